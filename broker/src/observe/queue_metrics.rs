//! Families of queues, exchanges and virtual hosts: added up, or a series for each.
//!
//! Names and labels are RabbitMQ's, without the prefix that the page adds.

use catalog::ExchangeRecord;
use queue::{Counters, Counts};
use std::fmt::Display;

use super::{
    exposition::{
        Kind::{self, Counter, Gauge},
        Labels, Page,
    },
    metrics::{QueueRow, Scrape},
};
use crate::host::{ExchangeCounts, Reign};

type OfQueue = (&'static str, fn(&Counts) -> u64, &'static str);
type OfExchange = (&'static str, fn(&ExchangeCounts) -> u64, &'static str);
type OfReign = (&'static str, Kind, fn(&Reign, &Counts) -> u64, &'static str);
type OfCounters = (&'static str, fn(&Counters) -> u64, &'static str);

/// What RabbitMQ calls coarse.
const COARSE: [OfQueue; 3] = [
    (
        "queue_messages_ready",
        |c| c.ready.messages,
        "Messages ready to be delivered to consumers",
    ),
    (
        "queue_messages_unacked",
        |c| c.unacked.messages,
        "Messages delivered to consumers but not yet acknowledged",
    ),
    (
        "queue_messages",
        |c| c.all().messages,
        "Sum of ready and unacknowledged messages - total queue depth",
    ),
];

/// All others but the consumers.
const HELD: [OfQueue; 13] = [
    (
        "queue_messages_bytes",
        |c| c.all().bytes,
        "Size in bytes of ready and unacknowledged messages",
    ),
    (
        "queue_messages_ready_bytes",
        |c| c.ready.bytes,
        "Size in bytes of ready messages",
    ),
    (
        "queue_messages_unacked_bytes",
        |c| c.unacked.bytes,
        "Size in bytes of all unacknowledged messages",
    ),
    (
        "queue_messages_persistent",
        |c| c.all().persistent,
        "Persistent messages",
    ),
    (
        "queue_messages_persistent_bytes",
        |c| c.all().persistent_bytes,
        "Size in bytes of persistent messages",
    ),
    (
        "queue_messages_ram",
        |c| c.in_memory().0,
        "Ready and unacknowledged messages stored in memory",
    ),
    (
        "queue_messages_ram_bytes",
        |c| c.in_memory().1,
        "Size of ready and unacknowledged messages stored in memory",
    ),
    (
        "queue_messages_ready_ram",
        |c| c.ready.messages.saturating_sub(c.paged.messages),
        "Ready messages stored in memory",
    ),
    (
        "queue_messages_unacked_ram",
        |c| c.unacked.messages,
        "Unacknowledged messages stored in memory",
    ),
    (
        "queue_messages_paged_out",
        |c| c.paged.messages,
        "Messages paged out to disk",
    ),
    (
        "queue_messages_paged_out_bytes",
        |c| c.paged.bytes,
        "Size in bytes of messages paged out to disk",
    ),
    (
        "queue_consumer_utilisation",
        |c| u64::from(c.ready.messages == 0 && c.consumers > 0),
        "Same as consumer capacity",
    ),
    (
        "queue_consumer_capacity",
        |c| u64::from(c.ready.messages == 0 && c.consumers > 0),
        "Consumer capacity",
    ),
];

/// What happened to messages of a queue.
const DELIVERED: [OfCounters; 7] = [
    (
        "queue_messages_delivered_ack_total",
        |c| c.delivered,
        "Total number of messages delivered from a queue to consumers in manual acknowledgement mode",
    ),
    (
        "queue_messages_delivered_total",
        |c| c.delivered_no_ack,
        "Total number of messages delivered from a queue to consumers in automatic acknowledgement mode",
    ),
    (
        "queue_get_ack_total",
        |c| c.got,
        "Total number of messages fetched from a queue with basic.get in manual acknowledgement mode",
    ),
    (
        "queue_get_total",
        |c| c.got_no_ack,
        "Total number of messages fetched from a queue with basic.get in automatic acknowledgement mode",
    ),
    (
        "queue_get_empty_total",
        |c| c.get_empty,
        "Total number of times basic.get fetched no message from a queue",
    ),
    (
        "queue_messages_redelivered_total",
        |c| c.redelivered,
        "Total number of messages redelivered from a queue to consumers",
    ),
    (
        "queue_messages_acked_total",
        |c| c.acked,
        "Total number of messages acknowledged by consumers on a queue",
    ),
];

/// What queues have on disk.
const STORED: [OfCounters; 2] = [
    (
        "queue_disk_reads_total",
        |c| c.read,
        "Total number of times queue read messages from disk",
    ),
    (
        "queue_disk_writes_total",
        |c| c.written,
        "Total number of times queue wrote messages to disk",
    ),
];

/// What is known of the log of a quorum queue. What lives in it is what lives in the queue, so that all before is as good
/// as in a snapshot.
const RAFT: [OfReign; 5] = [
    (
        "raft_term_total",
        Counter,
        |reign, _| reign.term,
        "Current Raft term number",
    ),
    (
        "raft_log_commit_index",
        Gauge,
        |reign, _| reign.reached,
        "Raft log commit index",
    ),
    (
        "raft_log_last_applied_index",
        Gauge,
        |reign, _| reign.applied,
        "Raft log last applied index",
    ),
    (
        "raft_log_last_written_index",
        Gauge,
        |reign, _| reign.applied,
        "Raft log last written index",
    ),
    (
        "raft_log_snapshot_index",
        Gauge,
        |reign, counts| reign.applied.saturating_sub(counts.all().messages),
        "Raft log snapshot index",
    ),
];

/// A series for each queue, or all added up.
fn family<V: Display + std::iter::Sum>(
    page: &mut Page,
    scrape: &Scrape<'_>,
    (name, kind, help): (&str, Kind, &str),
    number: impl Fn(&QueueRow) -> V,
) {
    page.family(name, kind, help);
    if !scrape.each {
        return page.series(name, &[], scrape.queues().iter().map(number).sum::<V>());
    }
    for row in scrape.queues() {
        let labels: Labels<'_> = &[("vhost", row.vhost.as_str()), ("queue", row.queue.as_str())];
        page.series(name, labels, number(row));
    }
}

/// Messages of queues.
pub fn coarse(page: &mut Page, scrape: &Scrape<'_>) {
    for (name, number, help) in COARSE {
        family(page, scrape, (name, Gauge, help), |row| number(&row.reading.counts));
    }
}

/// Consumers of queues.
pub fn consumers(page: &mut Page, scrape: &Scrape<'_>) {
    let title = ("queue_consumers", Gauge, "Consumers on a queue");
    family(page, scrape, title, |row| row.reading.counts.consumers);
}

/// All that queues hold beside.
pub fn held(page: &mut Page, scrape: &Scrape<'_>) {
    consumers(page, scrape);
    for (name, number, help) in HELD {
        family(page, scrape, (name, Gauge, help), |row| number(&row.reading.counts));
    }
    head_timestamps(page, scrape);
    let title = ("queue_process_memory_bytes", Gauge, "Memory in bytes used by the queue");
    family(page, scrape, title, |row| row.reading.memory_bytes());
    for (name, number, help) in STORED {
        family(page, scrape, (name, Counter, help), |row| number(&row.reading.counters));
    }
}

/// How old the head of each classic queue is. Added up that would say nothing, so the sums have none.
fn head_timestamps(page: &mut Page, scrape: &Scrape<'_>) {
    let name = "queue_head_message_timestamp";
    page.family(name, Gauge, "Timestamp of the first message in the queue, if any");
    for row in scrape.queues().iter().filter(|row| scrape.each && !row.is_quorum) {
        let labels: Labels<'_> = &[("vhost", row.vhost.as_str()), ("queue", row.queue.as_str())];
        let seconds = row
            .head_timestamp
            .map_or_else(|| "NaN".to_owned(), |seconds| seconds.to_string());
        page.series(name, labels, seconds);
    }
}

/// Where the logs of quorum queues are that are led here, under the names that dashboards for Raft query.
pub fn raft(page: &mut Page, scrape: &Scrape<'_>) {
    let reigns = || {
        let of = |row: &'_ QueueRow| row.reign.map(|reign| (reign, row.reading.counts));
        scrape.queues().iter().filter_map(move |row| Some((row, of(row)?)))
    };
    for (name, kind, number, help) in RAFT {
        page.family(name, kind, help);
        if !scrape.each {
            let sum: u64 = reigns().map(|(_, (reign, counts))| number(&reign, &counts)).sum();
            page.series(name, &[], sum);
            continue;
        }
        for (row, (reign, counts)) in reigns() {
            let labels: Labels<'_> = &[("vhost", row.vhost.as_str()), ("queue", row.queue.as_str())];
            page.series(name, labels, number(&reign, &counts));
        }
    }
    // Mirrors write beside the own log: whoever waits for both waits for the slower.
    let sync = scrape.node.keeping().meter.syncs.last();
    let latency = |reign: &Reign| reign.latency.max(sync).as_secs_f64();
    let name = "raft_entry_commit_latency_seconds";
    page.family(name, Gauge, "Time taken for a log entry to be committed");
    if !scrape.each {
        let sum: f64 = reigns().map(|(_, (reign, _))| latency(&reign)).sum();
        // A sum of nothing is a negative zero.
        return page.series(name, &[], sum + 0.0);
    }
    for (row, (reign, _)) in reigns() {
        let labels: Labels<'_> = &[("vhost", row.vhost.as_str()), ("queue", row.queue.as_str())];
        page.series(name, labels, latency(&reign));
    }
}

/// What was published to queues.
pub fn published(page: &mut Page, scrape: &Scrape<'_>) {
    let help = "Total number of messages published to queues";
    let title = ("queue_messages_published_total", Counter, help);
    family(page, scrape, title, |row| row.reading.counters.published);
}

/// What was delivered from queues.
pub fn delivered(page: &mut Page, scrape: &Scrape<'_>) {
    for (name, number, help) in DELIVERED {
        family(page, scrape, (name, Counter, help), |row| number(&row.reading.counters));
    }
}

/// What was published to exchanges.
pub fn exchanges(page: &mut Page, scrape: &Scrape<'_>) {
    let snapshot = scrape.node.snapshot();
    let records = snapshot.catalog.vhosts().filter(|vhost| scrape.is_wanted(vhost.name()));
    let rows: Vec<_> = records
        .flat_map(|vhost| vhost.exchanges())
        .filter_map(|record| Some((record, snapshot.counts_of_exchange(record)?.1)))
        .collect();
    let titles: [OfExchange; 2] = [
        (
            "exchange_messages_published_total",
            |counts| counts.published_in,
            "Total number of messages published to an exchange",
        ),
        (
            "exchange_messages_routed_total",
            |counts| counts.published_out,
            "Total number of copies of them that queues got",
        ),
    ];
    for (name, number, help) in titles {
        page.family(name, Counter, help);
        if !scrape.each {
            page.series(name, &[], rows.iter().map(|(_, counts)| number(counts)).sum::<u64>());
            continue;
        }
        for (record, counts) in &rows {
            let labels: Labels<'_> = &[("vhost", record.vhost.as_str()), ("exchange", record.name.as_str())];
            page.series(name, labels, number(counts));
        }
    }
}

/// Virtual hosts, of which every one runs.
pub fn vhosts(page: &mut Page, scrape: &Scrape<'_>) {
    page.family("vhost_status", Gauge, "Whether a given vhost is running");
    let snapshot = scrape.node.snapshot();
    for vhost in snapshot.catalog.vhosts().filter(|vhost| scrape.is_wanted(vhost.name())) {
        page.series("vhost_status", &[("vhost", vhost.name().as_str())], 1);
    }
}

fn of_exchanges(
    page: &mut Page,
    scrape: &Scrape<'_>,
    (name, help): (&str, &str),
    number: impl Fn(&ExchangeRecord) -> usize,
) {
    page.family(name, Gauge, help);
    let snapshot = scrape.node.snapshot();
    let vhosts = snapshot.catalog.vhosts().filter(|vhost| scrape.is_wanted(vhost.name()));
    for record in vhosts
        .flat_map(|vhost| vhost.exchanges())
        .filter(|record| !record.name.as_str().is_empty())
    {
        let labels: Labels<'_> = &[
            ("vhost", record.vhost.as_str()),
            ("exchange", record.name.as_str()),
            ("type", record.kind.as_str()),
        ];
        page.series(name, labels, number(record));
    }
}

/// Exchanges by name.
pub fn exchange_names(page: &mut Page, scrape: &Scrape<'_>) {
    let title = ("exchange_name", "Enumerates exchanges without any additional info");
    of_exchanges(page, scrape, title, |_| 1);
}

/// Bindings from each exchange.
pub fn exchange_bindings(page: &mut Page, scrape: &Scrape<'_>) {
    let snapshot = scrape.node.snapshot();
    let title = ("exchange_bindings", "Number of bindings for an exchange");
    of_exchanges(page, scrape, title, |record| {
        let vhost = snapshot.catalog.vhost(record.vhost.as_str());
        vhost.map_or(0, |vhost| vhost.bindings_from(&record.name).len())
    });
}
