//! Families of mirrored queues and of definitions, and whether the node serves at all. RabbitMQ has none of them: the page puts our own prefix before their names.
//!
//! Each node tells of the queues that it leads, so that sums over the nodes count nothing twice; only of queues without a leader every node tells.

use catalog::{Catalog, QueueRecord};
use std::time::Duration;

use super::{
    exposition::{
        Kind::{Counter, Gauge},
        Page,
    },
    metrics::Scrape,
};
use crate::host::Node;

/// How the mirrors of all queues are that the node leads.
#[derive(Debug, Default)]
struct Mirrors {
    queues: u64,
    mirrors: u64,
    unsynchronised: u64,
    alone: u64,
}

fn of_leader(node: &Node, catalog: &Catalog) -> Mirrors {
    let mut sum = Mirrors::default();
    let led = catalog.leads(node.identity().node);
    for replicas in led.filter_map(|queue| queue.replicas.as_deref()) {
        let mirrors = replicas.mirrors().count();
        let in_sync = catalog.mirrors_in_sync(replicas);
        sum.queues += u64::from(mirrors > 0);
        sum.mirrors += mirrors as u64;
        sum.unsynchronised += (mirrors - in_sync) as u64;
        sum.alone += u64::from(mirrors > 0 && in_sync == 0);
    }
    sum
}

fn has_leader(catalog: &Catalog, queue: &QueueRecord) -> bool {
    match queue.replicas.as_deref() {
        Some(replicas) => catalog.is_led(replicas),
        None => catalog.node_by_name(&queue.leader).is_none_or(|node| node.up),
    }
}

/// What is led here and how far its mirrors are, and what was taken over.
pub fn mirrors(page: &mut Page, scrape: &Scrape<'_>) {
    let node = scrape.node;
    let snapshot = node.snapshot();
    let sum = of_leader(node, &snapshot.catalog);
    let leaderless = snapshot
        .catalog
        .queues()
        .filter(|queue| !has_leader(&snapshot.catalog, queue));
    let serving = node.presence().is_none_or(|presence| *presence.serving().borrow());
    let gauges: [(&str, u64, &str); 6] = [
        (
            "serving",
            serving.into(),
            "Is 1 while the node hears a majority of its cluster and serves clients",
        ),
        (
            "mirrored_queues",
            sum.queues,
            "Queues with mirrors that this node leads",
        ),
        ("mirrors", sum.mirrors, "Mirrors of these"),
        (
            "mirrors_unsynchronised",
            sum.unsynchronised,
            "Mirrors of these that are not in sync",
        ),
        (
            "queues_without_synchronised_mirror",
            sum.alone,
            "Queues of these of which no mirror is in sync",
        ),
        (
            "queues_without_leader",
            leaderless.count() as u64,
            "Queues of the cluster that no node leads now",
        ),
    ];
    for (name, value, help) in gauges {
        page.one(name, Gauge, help, &[], value);
    }
    far_behind(page, node);
    taken_over(page, scrape);
    commits(page, scrape);
    reigns(page, node);
}

/// What mirrors do not have yet: of operations those that count, of messages those that are being synchronised.
fn far_behind(page: &mut Page, node: &Node) {
    let (mut operations, mut messages) = (0, 0);
    for led in node.mirrors().all_led() {
        let reign = led.stream.reign();
        operations += reign.applied.saturating_sub(reign.reached);
        messages += led.stream.lacking().unwrap_or_default();
    }
    let help = "Operations of queues with mirrors that not every copy that counts has on disk yet";
    page.one("mirror_lag_operations", Gauge, help, &[], operations);
    let help = "Messages that mirrors still lack which are being synchronised";
    page.one("messages_to_synchronise", Gauge, help, &[], messages);
}

/// How long a change of definitions takes until all nodes that are up know it.
fn commits(page: &mut Page, scrape: &Scrape<'_>) {
    let help = "Changes of definitions that this node had committed";
    page.one(
        "definitions_commits_total",
        Counter,
        help,
        &[],
        scrape.counts.definitions_committed,
    );
    let seconds = Duration::from_nanos(scrape.counts.definitions_committed_ns).as_secs_f64();
    let help = "Time that these took, until all nodes that are up knew them";
    page.one("definitions_commit_seconds_total", Counter, help, &[], seconds);
}

/// How often the node began to lead the definitions.
fn reigns(page: &mut Page, node: &Node) {
    let name = "definitions_taken_over_total";
    let reigns = node.presence().map(|presence| presence.reigns()).unwrap_or_default();
    page.family(
        name,
        Counter,
        "How often this node began to lead the definitions because it was elected, or the one before had it lead",
    );
    page.series(name, &[("cause", "election")], reigns.by_election);
    page.series(name, &[("cause", "word")], reigns.by_word);
}

fn taken_over(page: &mut Page, scrape: &Scrape<'_>) {
    let name = "queues_taken_over_total";
    page.family(
        name,
        Counter,
        "Queues that this node began to lead because their leader was lost, or by plan",
    );
    page.series(name, &[("cause", "loss")], scrape.counts.taken_over_lost);
    page.series(name, &[("cause", "plan")], scrape.counts.taken_over_planned);
    let help = "Queues of this node whose mirror was promoted although it lacked messages";
    page.one("queues_given_up_total", Counter, help, &[], scrape.counts.given_up);
}
