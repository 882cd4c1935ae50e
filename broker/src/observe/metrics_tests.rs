//! What `promtool check metrics` would say of the pages, and that dashboards find what they query.

use super::*;
use std::collections::BTreeMap;

async fn node() -> (tempfile::TempDir, Arc<Node>) {
    let (folder, node) = crate::host::started_blank().await;
    let queue = crate::host::durable_queue(&node, "q \"1\"");
    node.commit(queue).await.unwrap();
    (folder, node)
}

fn all_groups() -> Vec<&'static str> {
    GROUPS.iter().map(|(name, _, _)| *name).collect()
}

/// A family as the page describes it.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    series: Vec<String>,
}

/// Reads a page, and says what is wrong with it: each family is described once and before its series.
fn read(page: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(!families.contains_key(name), "{name} is described twice");
            current = name.to_owned();
            families.entry(current.clone()).or_default().kind = kind.to_owned();
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert_eq!(name, current, "help of another family");
            families.get_mut(name).unwrap().help = help.to_owned();
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            assert_eq!(name, current, "a series outside of its family");
            value.parse::<f64>().unwrap();
            families.get_mut(name).unwrap().series.push(series.to_owned());
        }
    }
    families
}

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn check(page: &str) -> BTreeMap<String, Family> {
    let families = read(page);
    for (name, family) in &families {
        assert!(is_name(name), "{name}");
        assert!(!family.help.is_empty(), "{name} has no help");
        let is_counter = family.kind == "counter";
        let is_number = is_counter || family.kind == "gauge";
        assert!(is_number || family.kind == "untyped", "{name} is a {}", family.kind);
        assert_eq!(is_counter, name.ends_with("_total"), "{name} is a {}", family.kind);
        let units = ["milliseconds", "ms", "kilobytes", "kb", "megabytes", "mb", "minutes"];
        let mut words = name.split('_');
        assert!(!words.any(|word| units.contains(&word)), "{name} is in no base unit");
        let distinct: BTreeSet<_> = family.series.iter().collect();
        assert_eq!(distinct.len(), family.series.len(), "{name} has a series twice");
    }
    families
}

#[tokio::test]
async fn every_page_is_well_formed() {
    let (_folder, node) = node().await;
    let pages = [
        whole(&node).await,
        per_object(&node).await,
        detailed(&node, &all_groups(), None).await,
        detailed(&node, &[], None).await,
        memory(&node),
    ];
    let [whole, each, detailed, none, memory] = pages.map(|page| check(&page));
    assert!(each["rabbitmq_queue_messages"].series[0].contains("{vhost=\"/\",queue=\"q \\\"1\\\"\"}"));
    assert_eq!(whole["rabbitmq_queue_messages"].series, ["rabbitmq_queue_messages"]);
    assert_eq!(detailed["rabbitmq_detailed_queue_messages"].series.len(), 1);
    assert!(
        !detailed
            .keys()
            .any(|name| whole.contains_key(name) && !name.ends_with("_info"))
    );
    assert!(memory.contains_key("rabbitmq_identity_info") && memory.contains_key("rabbitmq_memory_code_module_bytes"));
    assert_eq!(
        none.keys().collect::<Vec<_>>(),
        ["rabbitmq_build_info", "rabbitmq_identity_info"]
    );
}

#[tokio::test]
async fn only_wanted_virtual_hosts_and_groups_are_on_the_page_that_one_chooses_from() {
    let (_folder, node) = node().await;
    let some = |vhost: &str| Some(BTreeSet::from([vhost.to_owned()]));
    let page = check(&detailed(&node, &["queue_coarse_metrics", "vhost_status"], some("/")).await);
    assert_eq!(
        page["rabbitmq_cluster_vhost_status"].series,
        ["rabbitmq_cluster_vhost_status{vhost=\"/\"}"]
    );
    assert_eq!(page["rabbitmq_detailed_queue_messages_ready"].series.len(), 1);
    assert!(!page.contains_key("rabbitmq_detailed_queue_messages_bytes"));
    let page = detailed(&node, &["queue_coarse_metrics", "vhost_status"], some("other")).await;
    let page = check(&page);
    assert!(page["rabbitmq_cluster_vhost_status"].series.is_empty());
    assert!(page["rabbitmq_detailed_queue_messages_ready"].series.is_empty());
}

/// The families that the queries of RabbitMQ's overview dashboards name, in the releases for 3.8 to 4.1.
const OVERVIEW: &str = "rabbitmq_build_info rabbitmq_identity_info rabbitmq_queue_messages_ready \
    rabbitmq_queue_messages_unacked rabbitmq_consumers rabbitmq_connections rabbitmq_queues rabbitmq_channels \
    rabbitmq_global_publishers rabbitmq_process_max_fds rabbitmq_process_open_fds rabbitmq_process_open_tcp_sockets \
    rabbitmq_process_max_tcp_sockets rabbitmq_process_resident_memory_bytes rabbitmq_resident_memory_limit_bytes \
    rabbitmq_disk_space_available_bytes rabbitmq_disk_space_available_limit_bytes rabbitmq_connections_opened_total \
    rabbitmq_connections_closed_total rabbitmq_channels_opened_total rabbitmq_channels_closed_total \
    rabbitmq_queues_declared_total rabbitmq_queues_created_total rabbitmq_queues_deleted_total \
    rabbitmq_global_messages_received_total rabbitmq_global_messages_received_confirm_total \
    rabbitmq_global_messages_routed_total rabbitmq_global_messages_confirmed_total \
    rabbitmq_global_messages_unroutable_returned_total rabbitmq_global_messages_unroutable_dropped_total \
    rabbitmq_global_messages_acknowledged_total rabbitmq_global_messages_redelivered_total \
    rabbitmq_global_messages_delivered_total rabbitmq_global_messages_delivered_consume_auto_ack_total \
    rabbitmq_global_messages_delivered_consume_manual_ack_total rabbitmq_global_messages_delivered_get_auto_ack_total \
    rabbitmq_global_messages_delivered_get_manual_ack_total rabbitmq_global_messages_get_empty_total \
    rabbitmq_channel_messages_published_total rabbitmq_channel_messages_confirmed_total \
    rabbitmq_channel_messages_unroutable_returned_total rabbitmq_channel_messages_unroutable_dropped_total \
    rabbitmq_channel_messages_delivered_total rabbitmq_channel_messages_delivered_ack_total \
    rabbitmq_channel_messages_redelivered_total rabbitmq_channel_messages_acked_total rabbitmq_channel_get_total \
    rabbitmq_channel_get_ack_total rabbitmq_channel_get_empty_total rabbitmq_queue_messages_published_total";

#[tokio::test]
async fn the_overview_dashboards_find_every_family_that_they_query() {
    let (_folder, node) = node().await;
    for page in [whole(&node).await, per_object(&node).await] {
        let families = check(&page);
        let missing: Vec<_> = OVERVIEW
            .split_whitespace()
            .filter(|name| !families.contains_key(*name))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
    let identity = &check(&whole(&node).await)["rabbitmq_identity_info"].series;
    let labels = [
        "rabbitmq_node=",
        "rabbitmq_cluster=",
        "rabbitmq_cluster_permanent_id=\"rabbitmq-cluster-id-",
    ];
    for label in labels {
        assert!(identity[0].contains(label), "{identity:?}");
    }
}

/// The series, with their labels, that the queries of RabbitMQ's dashboards of quorum queues and of dead letters select
/// by, and what its overview joins or groups by.
const SELECTED: [&str; 16] = [
    "rabbitmq_raft_term_total",
    "rabbitmq_raft_log_commit_index",
    "rabbitmq_raft_log_last_applied_index",
    "rabbitmq_raft_log_last_written_index",
    "rabbitmq_raft_log_snapshot_index",
    "rabbitmq_global_messages_received_total{protocol=\"amqp091\"}",
    "rabbitmq_global_messages_delivered_total{protocol=\"amqp091\",queue_type=\"rabbit_classic_queue\"}",
    "rabbitmq_global_messages_delivered_total{protocol=\"amqp091\",queue_type=\"rabbit_quorum_queue\"}",
    "rabbitmq_global_messages_dead_lettered_expired_total{queue_type=\"rabbit_classic_queue\",dead_letter_strategy=\"at_most_once\"}",
    "rabbitmq_global_messages_dead_lettered_maxlen_total{queue_type=\"rabbit_classic_queue\",dead_letter_strategy=\"disabled\"}",
    "rabbitmq_global_messages_dead_lettered_rejected_total{queue_type=\"rabbit_quorum_queue\",dead_letter_strategy=\"at_most_once\"}",
    "rabbitmq_global_messages_dead_lettered_delivery_limit_total{queue_type=\"rabbit_quorum_queue\",dead_letter_strategy=\"disabled\"}",
    "rabbitmq_global_messages_dead_lettered_expired_total{queue_type=\"rabbit_quorum_queue\",dead_letter_strategy=\"at_least_once\"}",
    "rabbitmq_global_messages_dead_lettered_rejected_total{queue_type=\"rabbit_quorum_queue\",dead_letter_strategy=\"at_least_once\"}",
    "rabbitmq_global_messages_dead_lettered_delivery_limit_total{queue_type=\"rabbit_quorum_queue\",dead_letter_strategy=\"at_least_once\"}",
    "rabbitmq_global_messages_dead_lettered_confirmed_total{queue_type=\"rabbit_quorum_queue\",dead_letter_strategy=\"at_least_once\"}",
];

#[tokio::test]
async fn dashboards_find_the_series_that_they_select_by_labels() {
    let (_folder, node) = node().await;
    let families = check(&whole(&node).await);
    let all: BTreeSet<&String> = families.values().flat_map(|family| &family.series).collect();
    let missing: Vec<_> = SELECTED
        .iter()
        .filter(|series| !all.contains(&(**series).to_owned()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let build = &families["rabbitmq_build_info"].series[0];
    for label in [
        "rabbitmq_version",
        "prometheus_plugin_version",
        "prometheus_client_version",
        "erlang_version",
    ] {
        assert!(build.contains(&format!("{label}=\"")), "{build}");
    }
}

/// The page of documentation names what RabbitMQ does not have, and every alert there queries what is here.
#[tokio::test]
async fn our_own_families_and_alerts_are_documented() {
    let (_folder, node) = node().await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/monitoring.md");
    let text = std::fs::read_to_string(path).unwrap();
    let families = check(&whole(&node).await);
    for name in families.keys().filter(|name| name.starts_with(OWN)) {
        assert!(text.contains(&format!("`{name}`")), "{name} is not documented");
    }
    for group in all_groups() {
        assert!(text.contains(&format!("`{group}`")), "{group} is not documented");
    }
    let expressions = text.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    for name in expressions.flat_map(named) {
        assert!(families.contains_key(name), "an alert queries {name}");
    }
}

/// The families of ours that a query names.
fn named(query: &str) -> impl Iterator<Item = &str> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let labels = ["rabbitmq_node", "rabbitmq_cluster"];
    let ours = |word: &&str| word.starts_with("rabbitmq_") || word.starts_with(OWN);
    words.filter(ours).filter(move |word| !labels.contains(word))
}

/// What the operator and its chart make for Prometheus and Grafana; the operator's own numbers are its tests' to check.
#[tokio::test]
async fn the_operators_alerts_and_dashboard_query_what_is_here() {
    let (_folder, node) = node().await;
    let families = check(&whole(&node).await);
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let of = |file: &str, before: &'static str| {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let lines = text.lines().filter_map(|line| line.trim().strip_prefix(before));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let alerts = of("operator/tests/operator/golden/monitoring.yaml", "expr: ");
    let panels = of("charts/warren-operator/files/dashboard.json", "\"expr\": ");
    let variables = of("charts/warren-operator/files/dashboard.json", "\"query\": ");
    assert!(alerts.len() == 23 && panels.len() > 30, "{alerts:?} {panels:?}");
    for query in alerts.iter().chain(&panels).chain(&variables) {
        for name in named(query).filter(|name| !name.starts_with("warren_operator_")) {
            assert!(families.contains_key(name), "{name} is not told: {query}");
        }
    }
}
