//! Which numbers Prometheus gets, and under which names. Names and labels are RabbitMQ's: dashboards query them.
//!
//! A number that this broker does not have is left out rather than shown as zero.

use queue::{Counters, Counts};
use std::sync::{Arc, atomic::Ordering};

use super::{
    exposition::{
        Kind::{self, Counter, Gauge},
        Labels, Page,
    },
    look,
    reading::{QueueReading, Reading},
};
use crate::host::{Node, NodeCounts, RABBITMQ_VERSION, alarms, sum_counters};

const PROTOCOL: Labels<'static> = &[("protocol", "amqp091")];
const QUEUES: Labels<'static> = &[("protocol", "amqp091"), ("queue_type", "rabbit_classic_queue")];

type OfNode = (&'static str, fn(&NodeCounts) -> u64, &'static str);
type OfQueue = (&'static str, fn(&Counts) -> u64, &'static str);
type OfCounters = (&'static str, fn(&Counters) -> u64, &'static str);

/// Counters of the node itself.
const CHURN: [OfNode; 7] = [
    (
        "rabbitmq_connections_opened_total",
        |c| c.connections_opened,
        "Total number of connections opened",
    ),
    (
        "rabbitmq_connections_closed_total",
        |c| c.connections_closed,
        "Total number of connections closed or terminated",
    ),
    (
        "rabbitmq_channels_opened_total",
        |c| c.channels_opened,
        "Total number of channels opened",
    ),
    (
        "rabbitmq_channels_closed_total",
        |c| c.channels_closed,
        "Total number of channels closed",
    ),
    (
        "rabbitmq_queues_declared_total",
        |c| c.queues_declared,
        "Total number of queues declared",
    ),
    (
        "rabbitmq_queues_created_total",
        |c| c.queues_created,
        "Total number of queues created",
    ),
    (
        "rabbitmq_queues_deleted_total",
        |c| c.queues_deleted,
        "Total number of queues deleted",
    ),
];

/// Log-ins.
const LOGINS: [OfNode; 3] = [
    (
        "rabbitmq_auth_attempts_total",
        |c| c.logins,
        "Total number of authorization attempts",
    ),
    (
        "rabbitmq_auth_attempts_succeeded_total",
        |c| c.logins - c.logins_failed.min(c.logins),
        "Total number of successful authentication attempts",
    ),
    (
        "rabbitmq_auth_attempts_failed_total",
        |c| c.logins_failed,
        "Total number of failed authentication attempts",
    ),
];

/// What happened to messages before a queue had them.
const ROUTING: [OfNode; 5] = [
    (
        "messages_received_total",
        |c| c.published,
        "Total number of messages received from publishers",
    ),
    (
        "messages_routed_total",
        |c| c.routed,
        "Total number of messages routed to queues or streams",
    ),
    (
        "messages_confirmed_total",
        |c| c.confirmed,
        "Total number of messages confirmed to publishers",
    ),
    (
        "messages_unroutable_returned_total",
        |c| c.returned,
        "Total number of messages published as mandatory and returned to the publisher as unroutable",
    ),
    (
        "messages_unroutable_dropped_total",
        |c| c.dropped,
        "Total number of messages published as non-mandatory and dropped as unroutable",
    ),
];

/// What happened to messages in queues.
const DELIVERY: [OfCounters; 8] = [
    (
        "messages_delivered_total",
        |c| c.delivered + c.delivered_no_ack + c.got + c.got_no_ack,
        "Total number of messages delivered to consumers",
    ),
    (
        "messages_delivered_consume_manual_ack_total",
        |c| c.delivered,
        "Total number of messages delivered to consumers using basic.consume with manual acknowledgment",
    ),
    (
        "messages_delivered_consume_auto_ack_total",
        |c| c.delivered_no_ack,
        "Total number of messages delivered to consumers using basic.consume with automatic acknowledgment",
    ),
    (
        "messages_delivered_get_manual_ack_total",
        |c| c.got,
        "Total number of messages delivered to consumers using basic.get with manual acknowledgment",
    ),
    (
        "messages_delivered_get_auto_ack_total",
        |c| c.got_no_ack,
        "Total number of messages delivered to consumers using basic.get with automatic acknowledgment",
    ),
    (
        "messages_get_empty_total",
        |c| c.get_empty,
        "Total number of times basic.get operations fetched no message",
    ),
    (
        "messages_redelivered_total",
        |c| c.redelivered,
        "Total number of messages redelivered to consumers",
    ),
    (
        "messages_acknowledged_total",
        |c| c.acked,
        "Total number of messages acknowledged by consumers",
    ),
];

/// What queues hold.
const DEPTH: [OfQueue; 9] = [
    (
        "rabbitmq_queue_messages_ready",
        |c| c.ready.messages,
        "Messages ready to be delivered to consumers",
    ),
    (
        "rabbitmq_queue_messages_unacked",
        |c| c.unacked.messages,
        "Messages delivered to consumers but not yet acknowledged",
    ),
    (
        "rabbitmq_queue_messages",
        |c| c.ready.messages + c.unacked.messages,
        "Sum of ready and unacknowledged messages - total queue depth",
    ),
    (
        "rabbitmq_queue_consumers",
        |c| c.consumers as u64,
        "Consumers on a queue",
    ),
    (
        "rabbitmq_queue_messages_bytes",
        |c| c.ready.bytes + c.unacked.bytes,
        "Size in bytes of ready and unacknowledged messages",
    ),
    (
        "rabbitmq_queue_messages_ready_bytes",
        |c| c.ready.bytes,
        "Size in bytes of ready messages",
    ),
    (
        "rabbitmq_queue_messages_unacked_bytes",
        |c| c.unacked.bytes,
        "Size in bytes of all unacknowledged messages",
    ),
    (
        "rabbitmq_queue_messages_persistent",
        |c| c.ready.persistent + c.unacked.persistent,
        "Persistent messages",
    ),
    (
        "rabbitmq_queue_messages_persistent_bytes",
        |c| c.ready.persistent_bytes + c.unacked.persistent_bytes,
        "Size in bytes of persistent messages",
    ),
];

/// A queue's name and place with its numbers.
struct Row {
    vhost: String,
    queue: String,
    reading: QueueReading,
}

fn rows(node: &Node) -> Vec<Row> {
    let row = |record: &Arc<catalog::QueueRecord>| {
        let (counts, counters) = node.queue_numbers(record);
        Row {
            vhost: record.vhost.to_string(),
            queue: record.name.to_string(),
            reading: QueueReading { counts, counters },
        }
    };
    node.snapshot().catalog.queues().map(row).collect()
}

/// Every family, queues and connections added up.
pub fn whole(node: &Node) -> String {
    let rows = rows(node);
    let zero = QueueReading::default();
    let sum = rows.iter().fold(zero, |sum, row| sum.together(&row.reading));
    let mut page = Page::default();
    of_node(&mut page, node, &rows, &sum);
    for (name, number, help) in DEPTH {
        page.one(name, Gauge, help, &[], number(&sum.counts));
    }
    of_connections(&mut page, node, false);
    page.finish()
}

/// Every family, one series for each queue and connection.
pub fn per_object(node: &Node) -> String {
    let rows = rows(node);
    let zero = QueueReading::default();
    let sum = rows.iter().fold(zero, |sum, row| sum.together(&row.reading));
    let mut page = Page::default();
    of_node(&mut page, node, &rows, &sum);
    for (name, number, help) in DEPTH {
        page.family(name, Gauge, help);
        for row in &rows {
            let labels: Labels<'_> = &[("vhost", &row.vhost), ("queue", &row.queue)];
            page.series(name, labels, number(&row.reading.counts));
        }
    }
    of_connections(&mut page, node, true);
    page.finish()
}

/// What is one number for the whole node.
fn of_node(page: &mut Page, node: &Node, rows: &[Row], sum: &QueueReading) {
    who(page, node);
    let counts = node.counters().read();
    for (name, number, help) in CHURN {
        page.one(name, Counter, help, &[], number(&counts));
    }
    for (name, number, help) in LOGINS {
        page.one(name, Counter, help, PROTOCOL, number(&counts));
    }
    of_machine(page, node);
    of_messages(page, &counts, &sum_counters(&sum.counters, &node.retired()));
    let open = node.open_clients();
    let channels: usize = open.iter().map(|client| client.channel_count()).sum();
    let consumers = sum.counts.consumers;
    page.one(
        "rabbitmq_connections",
        Gauge,
        "Connections currently open",
        &[],
        open.len(),
    );
    page.one("rabbitmq_channels", Gauge, "Channels currently open", &[], channels);
    page.one(
        "rabbitmq_consumers",
        Gauge,
        "Consumers currently connected",
        &[],
        consumers,
    );
    page.one("rabbitmq_queues", Gauge, "Queues available", &[], rows.len());
    let help = "Current number of consumers";
    page.one("rabbitmq_global_consumers", Gauge, help, PROTOCOL, consumers);
}

fn who(page: &mut Page, node: &Node) {
    let name = node.name().as_ref();
    let snapshot = node.snapshot();
    let given = snapshot
        .catalog
        .global_parameter("cluster_name")
        .and_then(|name| name.as_text());
    let cluster = given.or(node.config().node.cluster_name.as_deref()).unwrap_or(name);
    let build: Labels<'_> = &[
        ("rabbitmq_version", RABBITMQ_VERSION),
        ("prometheus_plugin_version", RABBITMQ_VERSION),
        ("product_name", "Warren"),
        ("product_version", env!("CARGO_PKG_VERSION")),
    ];
    page.one(
        "rabbitmq_build_info",
        Gauge,
        "RabbitMQ & Erlang/OTP version info",
        build,
        1,
    );
    let identity: Labels<'_> = &[("rabbitmq_node", name), ("rabbitmq_cluster", cluster)];
    page.one(
        "rabbitmq_identity_info",
        Gauge,
        "RabbitMQ node & cluster identity info",
        identity,
        1,
    );
}

fn of_machine(page: &mut Page, node: &Node) {
    let machine = look();
    let disk_free = alarms::disk_free(node.config().node.data.as_path()).unwrap_or_default();
    let uptime_ms = node.now().0.saturating_sub(node.started_at().0);
    let gauges: [(&str, u64, &str); 10] = [
        (
            "rabbitmq_process_open_fds",
            machine.descriptors_used,
            "Open file descriptors",
        ),
        (
            "rabbitmq_process_max_fds",
            machine.descriptors_max,
            "Open file descriptors limit",
        ),
        (
            "rabbitmq_process_open_tcp_sockets",
            node.clients().count() as u64,
            "Open TCP sockets",
        ),
        (
            "rabbitmq_process_max_tcp_sockets",
            machine.descriptors_max,
            "Open TCP sockets limit",
        ),
        (
            "rabbitmq_process_resident_memory_bytes",
            alarms::memory_used().unwrap_or_default(),
            "Memory used in bytes",
        ),
        (
            "rabbitmq_resident_memory_limit_bytes",
            node.alarms().memory_level().bytes,
            "Memory high watermark in bytes",
        ),
        (
            "rabbitmq_disk_space_available_bytes",
            disk_free,
            "Disk space available in bytes",
        ),
        (
            "rabbitmq_disk_space_available_limit_bytes",
            node.alarms().disk_level().bytes,
            "Free disk space low watermark in bytes",
        ),
        (
            "rabbitmq_alarms_memory_used_watermark",
            node.alarms().memory().into(),
            "is 1 if VM memory watermark alarm is in effect",
        ),
        (
            "rabbitmq_alarms_free_disk_space_watermark",
            node.alarms().disk().into(),
            "is 1 if free disk space watermark alarm is in effect",
        ),
    ];
    for (name, value, help) in gauges {
        page.one(name, Gauge, help, &[], value);
    }
    let seconds = uptime_ms as f64 / 1000.0;
    page.one("rabbitmq_erlang_uptime_seconds", Gauge, "Node uptime", &[], seconds);
    let started = node.started_at().0 / 1000;
    let help = "Start time of the process since unix epoch in seconds.";
    page.one("process_start_time_seconds", Gauge, help, &[], started);
}

fn of_messages(page: &mut Page, node: &NodeCounts, queues: &Counters) {
    for (name, number, help) in ROUTING {
        page.one(
            &format!("rabbitmq_global_{name}"),
            Counter,
            help,
            PROTOCOL,
            number(node),
        );
    }
    for (name, number, help) in DELIVERY {
        page.one(
            &format!("rabbitmq_global_{name}"),
            Counter,
            help,
            QUEUES,
            number(queues),
        );
    }
    for (name, value, help) in by_channel_names(node, queues) {
        page.one(&format!("rabbitmq_channel_{name}"), Counter, help, &[], value);
    }
    let help = "Total number of messages published to queues";
    page.one(
        "rabbitmq_queue_messages_published_total",
        Counter,
        help,
        &[],
        queues.published,
    );
}

/// The same under the names that older dashboards query.
fn by_channel_names(node: &NodeCounts, queues: &Counters) -> [(&'static str, u64, &'static str); 10] {
    [
        (
            "messages_published_total",
            node.published,
            "Total number of messages published into an exchange on a channel",
        ),
        (
            "messages_confirmed_total",
            node.confirmed,
            "Total number of messages published into an exchange and confirmed on the channel",
        ),
        (
            "messages_unroutable_returned_total",
            node.returned,
            "Total number of messages published as mandatory and returned as unroutable",
        ),
        (
            "messages_unroutable_dropped_total",
            node.dropped,
            "Total number of messages published as non-mandatory and dropped as unroutable",
        ),
        (
            "get_ack_total",
            queues.got,
            "Total number of messages fetched with basic.get in manual acknowledgement mode",
        ),
        (
            "get_total",
            queues.got_no_ack,
            "Total number of messages fetched with basic.get in automatic acknowledgement mode",
        ),
        (
            "messages_delivered_ack_total",
            queues.delivered,
            "Total number of messages delivered to consumers in manual acknowledgement mode",
        ),
        (
            "messages_delivered_total",
            queues.delivered_no_ack,
            "Total number of messages delivered to consumers in automatic acknowledgement mode",
        ),
        (
            "messages_redelivered_total",
            queues.redelivered,
            "Total number of messages redelivered to consumers",
        ),
        (
            "messages_acked_total",
            queues.acked,
            "Total number of messages acknowledged by consumers",
        ),
    ]
}

type OfClient = (&'static str, Kind, fn(&crate::host::Client) -> u64, &'static str);

const CONNECTIONS: [OfClient; 3] = [
    (
        "rabbitmq_connection_incoming_bytes_total",
        Counter,
        |client| client.received.load(Ordering::Relaxed),
        "Total number of bytes received on a connection",
    ),
    (
        "rabbitmq_connection_outgoing_bytes_total",
        Counter,
        |client| client.outbox().sent.load(Ordering::Relaxed),
        "Total number of bytes sent on a connection",
    ),
    (
        "rabbitmq_connection_channels",
        Gauge,
        |client| client.channel_count() as u64,
        "Channels on a connection",
    ),
];

fn of_connections(page: &mut Page, node: &Node, each: bool) {
    let open = node.open_clients();
    for (name, kind, number, help) in CONNECTIONS {
        page.family(name, kind, help);
        match each {
            false => page.series(name, &[], open.iter().map(|client| number(client)).sum::<u64>()),
            true => {
                for client in &open {
                    page.series(name, &[("connection", &client.name())], number(client));
                }
            }
        }
    }
}
