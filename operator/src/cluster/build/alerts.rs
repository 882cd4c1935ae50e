//! The alerts that a cluster's PrometheusRule holds: what somebody should get up for, and what can wait until the morning. Each has a row in
//! docs/monitoring.md that says what to do, and queries only what the brokers tell: tests hold both.

use serde_json::{Value, json};

use crate::cluster::validate::ValidCluster;

/// An alert. In `expression` SELECTOR stands for the labels of the cluster's series.
struct Alert {
    name: &'static str,
    expression: &'static str,
    /// For so many minutes.
    minutes: u32,
    severity: Severity,
    summary: &'static str,
}

#[derive(Clone, Copy)]
enum Severity {
    /// Clients are without service, or one more loss takes it from them.
    Critical,
    /// It will become critical, or something is not as it should be.
    Warning,
}

const fn critical(name: &'static str, minutes: u32, expression: &'static str, summary: &'static str) -> Alert {
    Alert {
        name,
        expression,
        minutes,
        severity: Severity::Critical,
        summary,
    }
}

const fn warning(name: &'static str, minutes: u32, expression: &'static str, summary: &'static str) -> Alert {
    Alert {
        severity: Severity::Warning,
        ..critical(name, minutes, expression, summary)
    }
}

const ALERTS: [Alert; 23] = [
    critical(
        "WarrenClusterDown",
        1,
        "absent(up{SELECTOR} == 1)",
        "No node answers Prometheus.",
    ),
    critical(
        "WarrenNodeDown",
        2,
        "up{SELECTOR} == 0",
        "A node does not answer Prometheus.",
    ),
    critical(
        "WarrenNodeMissing",
        2,
        "max(rabbitmq_unreachable_cluster_peers_count{SELECTOR}) > 0",
        "Nodes of the cluster are not reached by the others.",
    ),
    critical(
        "WarrenNoMajority",
        1,
        "warren_serving{SELECTOR} == 0",
        "A node hears no majority of its cluster, and serves nobody.",
    ),
    critical(
        "WarrenQueuesWithoutLeader",
        1,
        "max(warren_queues_without_leader{SELECTOR}) > 0",
        "Queues have no leader: nobody can publish to them or consume from them.",
    ),
    critical(
        "WarrenQueuesAtRisk",
        5,
        "sum(warren_queues_without_synchronised_mirror{SELECTOR}) > 0",
        "Mirrored queues have no mirror in sync: the loss of one more node takes them away.",
    ),
    critical(
        "WarrenMessagesGivenUp",
        0,
        "sum(increase(warren_queues_given_up_total{SELECTOR}[1h])) > 0",
        "A mirror was promoted that lacked messages, as its policy says.",
    ),
    critical(
        "WarrenMemoryAlarm",
        1,
        "rabbitmq_alarms_memory_used_watermark{SELECTOR} == 1",
        "Publishers are blocked: a node uses more memory than its watermark.",
    ),
    critical(
        "WarrenDiskAlarm",
        1,
        "rabbitmq_alarms_free_disk_space_watermark{SELECTOR} == 1",
        "Publishers are blocked: the volume of a node is nearly full.",
    ),
    warning(
        "WarrenDiskFillsUp",
        15,
        "predict_linear(rabbitmq_disk_space_available_bytes{SELECTOR}[1h], 4 * 3600) < rabbitmq_disk_space_available_limit_bytes{SELECTOR}",
        "At the pace of the last hour publishers will be blocked within four hours.",
    ),
    warning(
        "WarrenMemoryNearLimit",
        5,
        "rabbitmq_process_resident_memory_bytes{SELECTOR} > 0.9 * rabbitmq_resident_memory_limit_bytes{SELECTOR}",
        "A node uses nine tenths of its memory watermark.",
    ),
    warning(
        "WarrenFailOver",
        0,
        "sum(increase(warren_queues_taken_over_total{SELECTOR,cause=\"loss\"}[10m])) > 0",
        "Mirrors have taken over queues because a leader was lost.",
    ),
    warning(
        "WarrenMirrorsUnsynchronised",
        15,
        "sum(warren_mirrors_unsynchronised{SELECTOR}) > 0",
        "Mirrors are not in sync, and have not been for a while.",
    ),
    warning(
        "WarrenSynchronisationStands",
        15,
        "sum(warren_messages_to_synchronise{SELECTOR}) > 0 and sum(delta(warren_messages_to_synchronise{SELECTOR}[15m])) >= 0",
        "Mirrors are being synchronised and do not come closer to their leaders.",
    ),
    warning(
        "WarrenMirrorsLag",
        5,
        "max(warren_mirror_lag_operations{SELECTOR}) > 50000",
        "Mirrors are far behind a leader, and publishers wait for them.",
    ),
    warning(
        "WarrenDefinitionsSlow",
        5,
        "sum(rate(warren_definitions_commit_seconds_total{SELECTOR}[5m])) / sum(rate(warren_definitions_commits_total{SELECTOR}[5m])) > 1",
        "Declares and other changes of definitions take more than a second in the mean.",
    ),
    warning(
        "WarrenDescriptorsRunOut",
        5,
        "rabbitmq_process_open_fds{SELECTOR} > 0.9 * rabbitmq_process_max_fds{SELECTOR}",
        "A node will soon refuse new connections.",
    ),
    warning(
        "WarrenDiskIsSlow",
        10,
        "rate(rabbitmq_io_sync_time_seconds_total{SELECTOR}[5m]) / rate(rabbitmq_io_sync_ops_total{SELECTOR}[5m]) > 0.1",
        "A sync of the disk takes more than 100 ms in the mean, and with it every confirm.",
    ),
    warning(
        "WarrenBacklogGrows",
        15,
        "sum(delta(rabbitmq_queue_messages_ready{SELECTOR}[15m])) > 10000",
        "Consumers do not keep up with publishers.",
    ),
    warning(
        "WarrenNobodyConsumes",
        15,
        "sum(rabbitmq_queue_messages_ready{SELECTOR}) > 0 and sum(rabbitmq_consumers{SELECTOR}) == 0",
        "Messages wait, and there is no consumer at all.",
    ),
    warning(
        "WarrenMessagesDropped",
        5,
        "sum(rate(rabbitmq_global_messages_unroutable_dropped_total{SELECTOR}[5m])) > 0",
        "Messages are published that no queue takes.",
    ),
    warning(
        "WarrenLogInsFail",
        5,
        "sum(rate(rabbitmq_auth_attempts_failed_total{SELECTOR}[5m])) > 1",
        "Log-ins are refused more than once a second.",
    ),
    warning(
        "WarrenConnectionsChurn",
        10,
        "sum(rate(rabbitmq_connections_opened_total{SELECTOR}[5m])) > 10",
        "Clients open connections for single messages.",
    ),
];

/// The groups of the PrometheusRule.
pub(super) fn groups(cluster: &ValidCluster) -> Value {
    let (namespace, service) = (&cluster.namespace, &cluster.names.cluster);
    let selector = format!("namespace=\"{namespace}\",service=\"{service}\"");
    let rules: Vec<_> = ALERTS.iter().map(|alert| rule(alert, cluster, &selector)).collect();
    json!([{"name": format!("{namespace}.{service}"), "rules": rules}])
}

fn rule(alert: &Alert, cluster: &ValidCluster, selector: &str) -> Value {
    let severity = match alert.severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
    };
    json!({
        "alert": alert.name,
        "expr": alert.expression.replace("SELECTOR", selector),
        "for": format!("{}m", alert.minutes),
        "labels": {
            "severity": severity,
            "namespace": cluster.namespace,
            "rabbitcluster": cluster.names.cluster,
        },
        "annotations": {
            "summary": alert.summary,
            "description": format!(
                "RabbitCluster {}/{}{{{{ with $labels.pod }}}}, pod {{{{ . }}}}{{{{ end }}}}: {} What to do is in docs/monitoring.md under {}.",
                cluster.namespace, cluster.names.cluster, alert.summary, alert.name
            ),
        },
    })
}
