//! What Prometheus reads of two servers under the same load: families, their types and the names of their labels. Numbers are not
//! compared. Whatever RabbitMQ has and Warren does not is named here with the reason, and nothing else may be missing.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::management::Management;
use crate::script;
use crate::server::Server;
use crate::stage::{self, Outcome};

/// What is printed of it.
pub const NAME: &str = "metrics: every family that RabbitMQ has is there, with its type and its labels";

/// Families that only an Erlang program can have, or whose subject Warren does not have; a star stands for any text.
const LACKING: [(&str, &str); 8] = [
    ("erlang_vm_*", "the inside of an Erlang machine"),
    (
        "erlang_mnesia_*",
        "Erlang's own database, which holds definitions there",
    ),
    ("rabbitmq_erlang_gc_*", "nothing collects garbage"),
    (
        "rabbitmq_*_process_reductions_total",
        "reductions are a measure of Erlang's",
    ),
    (
        "rabbitmq_io_seek_*",
        "files are read and written at positions, without seeks",
    ),
    ("rabbitmq_io_reopen_ops_total", "files stay open"),
    ("rabbitmq_queue_index_*", "there is no index of queues on the disk"),
    (
        "rabbitmq_schema_db_ram_tx_total",
        "every change of definitions goes to the disk",
    ),
];

/// Every group of the page that one chooses from.
const GROUPS: [&str; 20] = [
    "connection_churn_metrics",
    "auth_attempt_metrics",
    "auth_attempt_detailed_metrics",
    "node_coarse_metrics",
    "node_metrics",
    "node_persister_metrics",
    "ra_metrics",
    "queue_coarse_metrics",
    "queue_consumer_count",
    "queue_metrics",
    "channel_metrics",
    "channel_exchange_metrics",
    "channel_process_metrics",
    "channel_queue_metrics",
    "channel_queue_exchange_metrics",
    "connection_coarse_metrics",
    "connection_metrics",
    "vhost_status",
    "exchange_names",
    "exchange_bindings",
];

/// The load: each kind of queue, publishes with confirms and without a queue, deliveries, gets and a transaction. Then it stays.
const LOAD: &str = "== a load to be scraped
exchange.declare $x fanout
queue.declare $q
queue.declare $k durable {x-queue-type: 'quorum'}
queue.bind $q $x ''
queue.bind $k $x ''
confirm.select
basic.publish $x k m1 {timestamp: 1700000000}
basic.publish $x k m2
basic.publish '' $nowhere m3
< settled +1..3
basic.qos 0 7
basic.consume $q c
< basic.consume-ok c
< basic.deliver c 1 $x k m1 {timestamp: 1700000000}
< basic.deliver c 2 $x k m2
basic.ack 1
basic.get $k
< basic.get-ok 3 $x k 1 m1 {headers: {x-delivery-count: l:0}, timestamp: 1700000000}
basic.ack 3
@3 confirm.select
@3 basic.publish $x k m5
@3 < settled +1
@1 < basic.deliver c 4 $x k m5
@2 tx.select
@2 basic.publish '' $q m4
wait 20000ms
";

/// A family as a page tells it.
#[derive(Clone, Debug, Default)]
struct Family {
    kind: String,
    /// The names of the labels of its series.
    labels: BTreeSet<BTreeSet<String>>,
}

type Page = BTreeMap<String, Family>;

/// The names of the labels of a series, in whose values there may be anything.
fn labels(series: &str) -> BTreeSet<String> {
    let (mut names, mut name, mut is_quoted, mut is_escaped) = (BTreeSet::new(), String::new(), false, false);
    let inside = series.split_once('{').map_or("", |(_, inside)| inside);
    for c in inside.chars() {
        match (is_quoted, c) {
            (true, _) if is_escaped => is_escaped = false,
            (true, '\\') => is_escaped = true,
            (_, '"') => is_quoted = !is_quoted,
            (true, _) | (false, ',' | '}') => {}
            (false, '=') => drop(names.insert(std::mem::take(&mut name))),
            (false, c) => name.push(c),
        }
    }
    names
}

/// Series of a summary are named after it with what they count.
fn read(text: &str) -> Page {
    let mut page = Page::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            current = name.to_owned();
            page.entry(current.clone()).or_default().kind = kind.to_owned();
        } else if !line.starts_with('#') && !line.is_empty() {
            page.entry(current.clone()).or_default().labels.insert(labels(line));
        }
    }
    page
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail),
    }
}

/// Why a family may be missing.
fn is_lacking(name: &str) -> bool {
    let plain = name.replacen("rabbitmq_detailed_", "rabbitmq_", 1);
    LACKING.iter().any(|(pattern, _)| fits(pattern, &plain))
}

/// What of `judge`'s page is not on the other, as sentences.
fn missing(judge: &Page, other: &Page) -> Vec<String> {
    let mut all = Vec::new();
    for (name, family) in judge {
        let Some(own) = other.get(name) else {
            if !is_lacking(name) {
                all.push(format!("{name} is missing"));
            }
            continue;
        };
        if is_lacking(name) {
            all.push(format!("{name} is there, and said to be lacking"));
        }
        if own.kind != family.kind {
            all.push(format!("{name} is a {}, not a {}", own.kind, family.kind));
        }
        let has = |wanted: &&BTreeSet<String>| !own.labels.iter().any(|labels| labels.is_superset(wanted));
        all.extend(
            family
                .labels
                .iter()
                .filter(has)
                .map(|labels| format!("{name} has no series with {labels:?}")),
        );
    }
    all
}

fn switch_on(server: &Server) -> Result<()> {
    let ctl = server.ctl.as_ref().context("no command line for this server")?;
    let (program, leading) = ctl.command.split_first().context("no program")?;
    let mut command = match leading {
        [] => Command::new(program.replace("rabbitmqctl", "rabbitmq-plugins")),
        _ => {
            let mut command = Command::new(program);
            command.arg("plugins");
            command
        }
    };
    let path = std::env::vars().filter(|(key, _)| key == "PATH");
    command
        .args(["enable", "rabbitmq_prometheus"])
        .env_clear()
        .envs(path)
        .envs(ctl.env.iter().cloned());
    let output = command.output().context("starting rabbitmq-plugins")?;
    ensure!(
        output.status.success(),
        "{}: rabbitmq_prometheus cannot be switched on: {}",
        server.name,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// The three pages.
fn pages(api: &Management) -> Result<[Page; 3]> {
    let groups = GROUPS.map(|group| format!("family={group}")).join("&");
    let whole = api.text("/metrics")?;
    let each = api.text("/metrics/per-object")?;
    let chosen = api.text(&format!("/metrics/detailed?{groups}"))?;
    Ok([whole, each, chosen].map(|text| read(&text)))
}

/// Plays the load on both and looks until nothing is missing. RabbitMQ counts every five seconds.
///
/// # Errors
/// What is missing still when the load has ended, page by page.
pub fn compare(judge: &Server, other: &Server) -> Result<()> {
    let apis = judge.prometheus.as_ref().zip(other.prometheus.as_ref());
    let (first, second) = apis.context("both are started here")?;
    for (server, api) in [(judge, first), (other, second)] {
        switch_on(server)?;
        pages(api).with_context(|| server.name.clone())?;
    }
    let load = script::parse("metrics", LOAD)?.pop().context("one behaviour")?;
    std::thread::scope(|scope| {
        let players = [judge, other].map(|server| scope.spawn(|| stage::play(&load, server, "metrics_")));
        let outcome = look(first, second);
        for player in players {
            // A player that panics is a fault of this program and must be seen.
            let played = player.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            if let Outcome::Failed(why) = played {
                bail!("the load: {why}");
            }
        }
        outcome
    })
}

fn look(judge: &Management, other: &Management) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(18);
    // Until RabbitMQ has counted the load.
    std::thread::sleep(Duration::from_secs(11));
    loop {
        let (theirs, ours) = (pages(judge)?, pages(other)?);
        let whole: Vec<String> = theirs
            .iter()
            .zip(&ours)
            .flat_map(|(judge, own)| missing(judge, own))
            .collect();
        if whole.is_empty() {
            return check_load(&theirs[1]);
        }
        ensure!(Instant::now() < until, "{}", whole.join("\n      "));
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// The judge has seen what the load is for: else nothing is compared.
fn check_load(page: &Page) -> Result<()> {
    for name in [
        "rabbitmq_channel_messages_published_total",
        "rabbitmq_channel_messages_acked_total",
        "rabbitmq_queue_messages_published_total",
        "rabbitmq_queue_head_message_timestamp",
        "rabbitmq_raft_entry_commit_latency_seconds",
        "rabbitmq_connection_channels",
    ] {
        let has_series = page.get(name).is_some_and(|family| !family.labels.is_empty());
        ensure!(has_series, "RabbitMQ shows no series of {name}: the load is too small");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const JUDGE: &str =
        "# TYPE a_total counter\n# HELP a_total A\na_total{x=\"1,y=\\\"2\",z=\"3\"} 1\n# TYPE b gauge\nb 1\n";

    #[test]
    fn labels_are_read_whatever_their_values_are() {
        let page = read(JUDGE);
        let names: Vec<&String> = page["a_total"].labels.iter().flatten().collect();
        assert_eq!(names, ["x", "z"]);
        assert!(page["b"].labels.contains(&BTreeSet::new()));
    }

    #[test]
    fn a_family_that_is_missing_and_one_of_another_type_or_with_fewer_labels_is_named() {
        let judge = read(JUDGE);
        assert!(missing(&judge, &judge).is_empty());
        let other = read("# TYPE a_total gauge\na_total{x=\"1\"} 1\n");
        let named = missing(&judge, &other);
        assert_eq!(named.len(), 3, "{named:?}");
        assert!(named[2].starts_with("b is missing"), "{named:?}");
    }

    #[test]
    fn what_may_be_missing_may_be_so_on_each_page() {
        assert!(is_lacking("rabbitmq_detailed_queue_process_reductions_total"));
        assert!(is_lacking("erlang_vm_atom_count") && !is_lacking("rabbitmq_queue_messages"));
        let judge = read("# TYPE erlang_vm_atom_count gauge\nerlang_vm_atom_count 1\n");
        assert!(missing(&judge, &Page::new()).is_empty());
        assert_eq!(
            missing(&judge, &judge).len(),
            1,
            "and must be, as long as it is in the list"
        );
    }
}
