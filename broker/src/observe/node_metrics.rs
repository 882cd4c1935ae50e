//! Families of the node as a whole: who it is, its machine, its disk, what came and went, what happened to messages.
//!
//! Names are RabbitMQ's, without the prefix that the page adds. A number that this broker does not have is left out rather
//! than shown as zero.

use queue::Counters;

use super::{
    Machine,
    exposition::{
        Kind::{Counter, Gauge, Untyped},
        Labels, Page,
    },
    look,
    metrics::Scrape,
    run_queue,
};
use crate::host::{Assured, Attempts, Node, NodeCounts, RABBITMQ_VERSION, Way, alarms};

const PROTOCOL: Labels<'static> = &[("protocol", "amqp091")];
/// RabbitMQ's names of the types of queues; the place says whether it is quorum queues.
const TYPES: [(bool, &str); 2] = [(false, "rabbit_classic_queue"), (true, "rabbit_quorum_queue")];

type OfAttempts = (&'static str, fn(Attempts) -> u64, &'static str);
type OfNode = (&'static str, fn(&NodeCounts) -> u64, &'static str);
type OfCounters = (&'static str, fn(&Counters) -> u64, &'static str);

/// Counters of the node itself.
const CHURN: [OfNode; 7] = [
    (
        "connections_opened_total",
        |c| c.connections_opened,
        "Total number of connections opened",
    ),
    (
        "connections_closed_total",
        |c| c.connections_closed,
        "Total number of connections closed or terminated",
    ),
    (
        "channels_opened_total",
        |c| c.channels_opened,
        "Total number of channels opened",
    ),
    (
        "channels_closed_total",
        |c| c.channels_closed,
        "Total number of channels closed",
    ),
    (
        "queues_declared_total",
        |c| c.queues_declared,
        "Total number of queues declared",
    ),
    (
        "queues_created_total",
        |c| c.queues_created,
        "Total number of queues created",
    ),
    (
        "queues_deleted_total",
        |c| c.queues_deleted,
        "Total number of queues deleted",
    ),
];

/// Log-ins.
const LOGINS: [OfAttempts; 3] = [
    (
        "total",
        |attempts| attempts.tried,
        "Total number of authorization attempts",
    ),
    (
        "succeeded_total",
        |attempts| attempts.succeeded(),
        "Total number of successful authentication attempts",
    ),
    (
        "failed_total",
        |attempts| attempts.failed,
        "Total number of failed authentication attempts",
    ),
];

/// What happened to messages before a queue had them.
const ROUTING: [OfNode; 6] = [
    (
        "messages_received_confirm_total",
        |c| c.confirmable,
        "Total number of messages received from publishers using confirms",
    ),
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

type OfDeaths = (
    &'static str,
    fn(&Counters) -> [u64; 2],
    Option<fn(&Assured) -> u64>,
    &'static str,
);

/// How messages died: all that did and those of them that were dead-lettered, and of these those that are assured to arrive.
const DEATHS: [OfDeaths; 4] = [
    (
        "delivery_limit",
        |c| [c.delivery_limited, c.lettered_limited],
        Some(|assured| assured.limited),
        "Total number of messages dead-lettered due to delivery-limit exceeded",
    ),
    (
        "expired",
        |c| [c.expired, c.lettered_expired],
        Some(|assured| assured.expired),
        "Total number of messages dead-lettered due to message TTL exceeded",
    ),
    (
        "maxlen",
        |c| [c.dropped, c.lettered_dropped].map(|died| died + c.lettered_refused),
        None,
        "Total number of messages dead-lettered due to overflow drop-head or reject-publish-dlx",
    ),
    (
        "rejected",
        |c| [c.rejected, c.lettered_rejected],
        Some(|assured| assured.rejected),
        "Total number of messages dead-lettered due to basic.reject or basic.nack",
    ),
];

/// What came and went.
pub fn churn(page: &mut Page, scrape: &Scrape<'_>) {
    for (name, number, help) in CHURN {
        page.one(name, Counter, help, &[], number(&scrape.counts));
    }
}

/// How often clients logged in.
pub fn logins(page: &mut Page, scrape: &Scrape<'_>) {
    for (name, number, help) in LOGINS {
        let name = format!("auth_attempts_{name}");
        page.family(&name, Counter, help);
        for way in Way::ALL {
            let attempts = scrape.node.attempts_ever(way);
            if way == Way::Amqp || attempts.tried > 0 {
                page.series(&name, &[("protocol", way.protocol())], number(attempts));
            }
        }
    }
}

/// The same by who tried, while that is tracked.
pub fn logins_by_source(page: &mut Page, scrape: &Scrape<'_>) {
    let all = scrape.node.auth_attempts_by_source();
    for (name, number, help) in LOGINS {
        let name = format!("auth_attempts_detailed_{name}");
        page.family(&name, Counter, &format!("{help} with source info"));
        for (source, attempts) in &all {
            let address = source.address.to_string();
            let labels: Labels<'_> = &[
                ("remote_address", &address),
                ("username", &source.user),
                ("protocol", source.way.protocol()),
            ];
            page.series(&name, labels, number(*attempts));
        }
    }
}

/// Who the node is. The same on every page.
pub fn who(page: &mut Page, scrape: &Scrape<'_>) {
    let node = scrape.node;
    let name = node.name().as_ref();
    let cluster = node.cluster_name();
    let permanent = node.cluster_id();
    let config = node.config();
    let product = config.shown.product();
    let build: Labels<'_> = &[
        ("rabbitmq_version", RABBITMQ_VERSION),
        ("prometheus_plugin_version", RABBITMQ_VERSION),
        ("prometheus_client_version", env!("CARGO_PKG_VERSION")),
        ("erlang_version", "none"),
        ("product_name", product.0),
        ("product_version", product.1),
    ];
    page.one("build_info", Untyped, "RabbitMQ & product version info", build, 1);
    let identity: Labels<'_> = &[
        ("rabbitmq_node", name),
        ("rabbitmq_cluster", &cluster),
        ("rabbitmq_cluster_permanent_id", &permanent),
    ];
    page.one(
        "identity_info",
        Untyped,
        "RabbitMQ node & cluster identity info",
        identity,
        1,
    );
}

/// When the process started, under the name that all programs have for it.
pub fn process(page: &mut Page, scrape: &Scrape<'_>) {
    let started = scrape.node.started_at().0 / 1000;
    let help = "Start time of the process since unix epoch in seconds.";
    page.one("process_start_time_seconds", Gauge, help, &[], started);
}

/// What the node uses of its machine.
pub fn coarse(page: &mut Page, scrape: &Scrape<'_>) {
    let node = scrape.node;
    let machine = look();
    let disk_free = alarms::disk_free(node.config().node.data.as_path()).unwrap_or_default();
    let gauges: [(&str, u64, &str); 5] = [
        ("process_open_fds", machine.descriptors_used, "Open file descriptors"),
        (
            "process_open_tcp_sockets",
            node.clients().count() as u64,
            "Open TCP sockets",
        ),
        (
            "process_resident_memory_bytes",
            alarms::memory_used().unwrap_or_default(),
            "Memory used in bytes",
        ),
        ("disk_space_available_bytes", disk_free, "Disk space available in bytes"),
        (
            "erlang_processes_used",
            machine.threads,
            "Threads used, the runtime's processes here",
        ),
    ];
    for (name, value, help) in gauges {
        page.one(name, Gauge, help, &[], value);
    }
    let (name, help) = (
        "erlang_scheduler_context_switches_total",
        "Total number of context switches of its threads",
    );
    page.one(name, Counter, help, &[], machine.context_switches);
}

/// What the node may use, and whether it uses too much.
pub fn limits(page: &mut Page, scrape: &Scrape<'_>) {
    let node = scrape.node;
    let machine = look();
    let away = node.snapshot().catalog.nodes().filter(|other| !other.up).count();
    let gauges: [(&str, u64, &str); 7] = [
        (
            "process_max_fds",
            machine.descriptors_max,
            "Open file descriptors limit",
        ),
        (
            "process_max_tcp_sockets",
            machine.descriptors_max,
            "Open TCP sockets limit",
        ),
        (
            "resident_memory_limit_bytes",
            node.alarms().memory_level().bytes,
            "Memory high watermark in bytes",
        ),
        (
            "disk_space_available_limit_bytes",
            node.alarms().disk_level().bytes,
            "Free disk space low watermark in bytes",
        ),
        ("erlang_processes_limit", machine.threads_max, "Threads limit"),
        ("erlang_scheduler_run_queue", run_queue(), "Threads that run or could"),
        (
            "unreachable_cluster_peers_count",
            away as u64,
            "Number of peers in the cluster the current node cannot reach.",
        ),
    ];
    for (name, value, help) in gauges {
        page.one(name, Gauge, help, &[], value);
    }
    alarms_in_effect(page, scrape, &machine);
    let uptime_ms = node.now().0.saturating_sub(node.started_at().0);
    let seconds = uptime_ms as f64 / 1000.0;
    page.one("erlang_uptime_seconds", Gauge, "Node uptime", &[], seconds);
    let help = "Seconds after which a silent node counts as gone";
    let silence = node.config().node.down_after;
    page.one("erlang_net_ticktime_seconds", Gauge, help, &[], silence);
}

fn alarms_in_effect(page: &mut Page, scrape: &Scrape<'_>, machine: &Machine) {
    let node = scrape.node;
    let all: [(&str, u64, &str); 3] = [
        (
            "alarms_memory_used_watermark",
            node.alarms().memory().into(),
            "is 1 if VM memory watermark alarm is in effect",
        ),
        (
            "alarms_free_disk_space_watermark",
            node.alarms().disk().into(),
            "is 1 if free disk space watermark alarm is in effect",
        ),
        (
            "alarms_file_descriptor_limit",
            (machine.descriptors_used >= machine.descriptors_max).into(),
            "is 1 if file descriptor limit alarm is in effect",
        ),
    ];
    for (name, value, help) in all {
        page.one(name, Untyped, help, &[], value);
    }
}

/// What happened to the files of messages.
pub fn persister(page: &mut Page, scrape: &Scrape<'_>) {
    let keeping = scrape.node.keeping();
    let meter = &keeping.meter;
    let counters: [(&str, u64, &str); 7] = [
        (
            "io_read_ops_total",
            meter.reads.count.get(),
            "Total number of I/O read operations",
        ),
        (
            "io_read_bytes_total",
            meter.reads.octets.get(),
            "Total number of I/O bytes read",
        ),
        (
            "io_write_ops_total",
            meter.writes.count.get(),
            "Total number of I/O write operations",
        ),
        (
            "io_write_bytes_total",
            meter.writes.octets.get(),
            "Total number of I/O bytes written",
        ),
        (
            "io_sync_ops_total",
            meter.syncs.count.get(),
            "Total number of I/O sync operations",
        ),
        (
            "msg_store_read_total",
            keeping.pages_loaded.get(),
            "Total number of pages of messages that came back into memory",
        ),
        (
            "msg_store_write_total",
            keeping.pages_out.get(),
            "Total number of pages of messages that left memory",
        ),
    ];
    for (name, value, help) in counters {
        page.one(name, Counter, help, &[], value);
    }
    let help = "Number of states of the definitions that were written";
    let definitions = scrape.node.snapshot().generation().0;
    page.one("schema_db_disk_tx_total", Counter, help, &[], definitions);
    for (name, calls) in [("read", &meter.reads), ("write", &meter.writes), ("sync", &meter.syncs)] {
        let title = format!("io_{name}_time_seconds_total");
        let help = format!("Total I/O {name} time");
        page.one(&title, Counter, &help, &[], calls.time().as_secs_f64());
    }
}

/// What happened to messages, over all queues, channels and exchanges that there ever were.
pub fn messages(page: &mut Page, scrape: &Scrape<'_>) {
    let (node, queues) = (&scrape.counts, scrape.did());
    for (name, number, help) in ROUTING {
        page.one(&format!("global_{name}"), Counter, help, PROTOCOL, number(node));
    }
    delivered(page, scrape);
    dead_lettered(page, scrape);
    for (name, value, help) in by_channel_names(node, &queues) {
        page.one(&format!("channel_{name}"), Counter, help, &[], value);
    }
    let help = "Total number of messages published to queues";
    page.one("queue_messages_published_total", Counter, help, &[], queues.published);
}

/// What happened to messages in queues of each type.
fn delivered(page: &mut Page, scrape: &Scrape<'_>) {
    let by_type = TYPES.map(|(is_quorum, title)| (title, scrape.did_of(is_quorum)));
    for (name, number, help) in DELIVERY {
        let name = format!("global_{name}");
        page.family(&name, Counter, help);
        for (title, did) in &by_type {
            let labels: Labels<'_> = &[("protocol", "amqp091"), ("queue_type", title)];
            page.series(&name, labels, number(did));
        }
    }
}

/// Messages that died in queues of each type and became dead letters, those for which no exchange was named, and letters that arrived.
fn dead_lettered(page: &mut Page, scrape: &Scrape<'_>) {
    let by_type = TYPES.map(|(is_quorum, title)| (is_quorum, title, scrape.did_of(is_quorum)));
    let all_assured = scrape.node.assured_letters();
    for (name, numbers, assured_of, help) in DEATHS {
        let name = format!("global_messages_dead_lettered_{name}_total");
        page.family(&name, Counter, help);
        for (is_quorum, title, did) in &by_type {
            let [died, letters] = numbers(did);
            let assured = assured_of.filter(|_| *is_quorum).map(|of| of(&all_assured));
            let series = [
                (
                    "at_most_once",
                    Some(letters.saturating_sub(assured.unwrap_or_default())),
                ),
                ("disabled", Some(died.saturating_sub(letters))),
                ("at_least_once", assured),
            ];
            for (strategy, number) in series {
                let labels: Labels<'_> = &[("queue_type", title), ("dead_letter_strategy", strategy)];
                number.into_iter().for_each(|number| page.series(&name, labels, number));
            }
        }
    }
    let (name, help) = (
        "global_messages_dead_lettered_confirmed_total",
        "Total number of messages dead-lettered and confirmed by target queues",
    );
    let labels: Labels<'_> = &[
        ("queue_type", "rabbit_quorum_queue"),
        ("dead_letter_strategy", "at_least_once"),
    ];
    page.one(name, Counter, help, labels, all_assured.arrived);
}

/// How many of each kind of thing there are.
pub fn objects(page: &mut Page, scrape: &Scrape<'_>) {
    let clients = scrape.clients();
    let channels: usize = clients.iter().map(|client| client.channel_count()).sum();
    let consumers = scrape.held().consumers;
    let numbers: [(&str, usize, &str); 4] = [
        ("connections", clients.len(), "Connections currently open"),
        ("channels", channels, "Channels currently open"),
        ("consumers", consumers, "Consumers currently connected"),
        ("queues", scrape.queues().len(), "Queues available"),
    ];
    for (name, value, help) in numbers {
        page.one(name, Gauge, help, &[], value);
    }
    let help = "Current number of consumers";
    page.one("global_consumers", Gauge, help, PROTOCOL, consumers);
    let help = "Current number of publishers";
    page.one("global_publishers", Gauge, help, PROTOCOL, publishers(scrape.node));
}

/// Channels on which something was published.
fn publishers(node: &Node) -> usize {
    let clients = node.open_clients();
    let counts = clients.iter().flat_map(|client| client.channel_counts());
    counts.filter(|(_, counts)| counts.published > 0).count()
}

/// The same under the names that older dashboards query.
fn by_channel_names(node: &NodeCounts, queues: &Counters) -> [(&'static str, u64, &'static str); 11] {
    [
        (
            "get_empty_total",
            queues.get_empty,
            "Total number of times basic.get operations fetched no message",
        ),
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
