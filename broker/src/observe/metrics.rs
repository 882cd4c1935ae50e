//! Which families of numbers Prometheus gets on which page. Names and labels are RabbitMQ's: dashboards query them.
//!
//! A page is written from one look at the node: each queue is locked once, and only where a family on the page needs it.

use model::VhostName;
use queue::{Counters, Counts};
use std::{cell::OnceCell, collections::BTreeSet, sync::Arc};

use super::{
    client_metrics as clients,
    exposition::Page,
    memory_metrics, mirror_metrics, node_metrics as node, queue_metrics as queues,
    reading::{QueueReading, Reading},
};
use crate::host::{ChannelView, Client, Node, NodeCounts, Reign, sum_counters};

/// What names begin with on most pages.
const PREFIX: &str = "rabbitmq_";
/// What they begin with on the page that one chooses from, so that it may be scraped beside the others.
const DETAILED: &str = "rabbitmq_detailed_";
/// What they begin with there if they are not of this node alone.
const CLUSTER: &str = "rabbitmq_cluster_";
/// What those begin with that RabbitMQ does not have.
const OWN: &str = "warren_";

/// Writes some families.
type Write = fn(&mut Page, &Scrape<'_>);

/// RabbitMQ's names of groups of families, with what they are written under on the page that one chooses from.
const GROUPS: [(&str, &str, Write); 22] = [
    ("connection_churn_metrics", DETAILED, node::churn),
    ("auth_attempt_metrics", DETAILED, node::logins),
    ("auth_attempt_detailed_metrics", DETAILED, node::logins_by_source),
    ("node_coarse_metrics", DETAILED, node::coarse),
    ("node_metrics", DETAILED, node::limits),
    ("node_persister_metrics", DETAILED, node::persister),
    ("connection_coarse_metrics", DETAILED, clients::octets),
    ("connection_metrics", DETAILED, clients::connections),
    ("channel_metrics", DETAILED, clients::channel_numbers),
    ("channel_exchange_metrics", DETAILED, clients::published),
    ("channel_queue_metrics", DETAILED, clients::delivered),
    ("channel_queue_exchange_metrics", DETAILED, clients::brought),
    ("queue_exchange_metrics", DETAILED, queues::published),
    ("queue_coarse_metrics", DETAILED, queues::coarse),
    ("queue_consumer_count", DETAILED, queues::consumers),
    ("queue_metrics", DETAILED, queues::held),
    ("queue_delivery_metrics", DETAILED, queues::delivered),
    ("ra_metrics", DETAILED, queues::raft),
    ("exchange_metrics", DETAILED, queues::exchanges),
    ("vhost_status", CLUSTER, queues::vhosts),
    ("exchange_names", CLUSTER, queues::exchange_names),
    ("exchange_bindings", CLUSTER, queues::exchange_bindings),
];

/// What the pages hold that nobody chooses from.
const ALL: [Write; 13] = [
    node::churn,
    node::logins,
    node::coarse,
    node::limits,
    node::persister,
    node::messages,
    node::objects,
    clients::octets,
    clients::connections,
    clients::channel_numbers,
    queues::coarse,
    queues::held,
    queues::raft,
];

/// What is told of each channel and queue, where others are told the sum.
const EACH: [Write; 5] = [
    node::logins_by_source,
    clients::published,
    clients::delivered,
    clients::brought,
    queues::delivered,
];

/// Groups for which it has to be counted who feeds whom.
const OF_FLOWS: [&str; 3] = [
    "channel_exchange_metrics",
    "channel_queue_metrics",
    "channel_queue_exchange_metrics",
];

/// A queue's name and place with its numbers.
#[derive(Debug)]
pub struct QueueRow {
    /// Where.
    pub vhost: VhostName,
    /// Name.
    pub queue: String,
    /// Whether it is a quorum queue.
    pub is_quorum: bool,
    /// How its reign goes, of a queue with copies that is led here.
    pub reign: Option<Reign>,
    /// The timestamp at its head, where it is led here and each queue is told of.
    pub head_timestamp: Option<u64>,
    /// Its numbers.
    pub reading: QueueReading,
}

/// One look at the node.
#[derive(Debug)]
pub struct Scrape<'a> {
    /// The node.
    pub node: &'a Node,
    /// Its own counters.
    pub counts: NodeCounts,
    /// A series for each thing, rather than their sum.
    pub each: bool,
    vhosts: Option<BTreeSet<String>>,
    /// What only the connections' own tasks know of their channels, by the name of each; empty where it was not asked.
    pub channels: Vec<(String, ChannelView)>,
    queues: OnceCell<Vec<QueueRow>>,
    clients: OnceCell<Vec<Arc<Client>>>,
}

impl<'a> Scrape<'a> {
    /// A look at the node; with `vhosts` at what is in these alone.
    pub fn new(node: &'a Node, each: bool, vhosts: Option<BTreeSet<String>>) -> Self {
        Scrape {
            node,
            counts: node.counters().read(),
            each,
            vhosts,
            channels: Vec::new(),
            queues: OnceCell::new(),
            clients: OnceCell::new(),
        }
    }

    /// Whether things in a virtual host are shown.
    pub fn is_wanted(&self, vhost: &VhostName) -> bool {
        self.vhosts
            .as_ref()
            .is_none_or(|wanted| wanted.contains(vhost.as_str()))
    }

    /// The queues.
    pub fn queues(&self) -> &[QueueRow] {
        self.queues.get_or_init(|| {
            let row = |record: &Arc<catalog::QueueRecord>| {
                let (counts, counters) = self.node.queue_numbers(record);
                QueueRow {
                    vhost: record.vhost.clone(),
                    queue: record.name.to_string(),
                    is_quorum: record.is_quorum(),
                    reign: record.is_quorum().then(|| self.node.reign_of(record.id)).flatten(),
                    head_timestamp: self.each.then(|| self.node.head_timestamp(record)).flatten(),
                    reading: QueueReading { counts, counters },
                }
            };
            let snapshot = self.node.snapshot();
            let wanted = snapshot.catalog.queues().filter(|queue| self.is_wanted(&queue.vhost));
            wanted.map(row).collect()
        })
    }

    /// The open connections.
    pub fn clients(&self) -> &[Arc<Client>] {
        self.clients.get_or_init(|| {
            let mut all = self.node.open_clients();
            all.retain(|client| client.with_profile(|own| self.is_wanted(&own.vhost)).unwrap_or(false));
            all
        })
    }

    fn sum(&self) -> QueueReading {
        self.sum_of(|_| true)
    }

    fn sum_of(&self, wanted: impl Fn(&QueueRow) -> bool) -> QueueReading {
        let all = self.queues().iter().filter(|row| wanted(row));
        all.fold(QueueReading::default(), |sum, row| sum.together(&row.reading))
    }

    /// What all queues hold.
    pub fn held(&self) -> Counts {
        self.sum().counts
    }

    /// What all quorum queues did that there ever were, or all others.
    pub fn did_of(&self, is_quorum: bool) -> Counters {
        let there = self.sum_of(|row| row.is_quorum == is_quorum).counters;
        sum_counters(&there, &self.node.retired_of(is_quorum))
    }

    /// What all queues did that there ever were.
    pub fn did(&self) -> Counters {
        sum_counters(&self.sum().counters, &self.node.retired())
    }
}

fn page(scrape: &Scrape<'_>) -> Page {
    let mut page = Page::under(PREFIX);
    node::who(&mut page, scrape);
    page
}

/// Every family, things added up.
pub async fn whole(node: &Node) -> String {
    let channels = channels(node, None).await;
    let mut scrape = Scrape::new(node, false, None);
    scrape.channels = channels;
    everything(&scrape)
}

/// Every family, one series for each queue and connection.
pub async fn per_object(node: &Node) -> String {
    node.want_flows();
    let channels = channels(node, None).await;
    let mut scrape = Scrape::new(node, true, None);
    scrape.channels = channels;
    everything(&scrape)
}

/// What the tasks of the open connections in some virtual hosts say of their channels.
async fn channels(node: &Node, vhosts: Option<&BTreeSet<String>>) -> Vec<(String, ChannelView)> {
    let mut clients = node.open_clients();
    let is_wanted = |own: &crate::host::Profile| vhosts.is_none_or(|wanted| wanted.contains(own.vhost.as_str()));
    clients.retain(|client| client.with_profile(is_wanted).unwrap_or(false));
    let asked = clients.iter().map(|client| node.channels_of(client));
    let answers = futures::future::join_all(asked).await;
    let named = |(client, views): (Arc<Client>, Vec<ChannelView>)| {
        let connection = client.name();
        let name = move |view: ChannelView| (format!("{connection} ({})", view.number), view);
        views.into_iter().map(name)
    };
    clients.into_iter().zip(answers).flat_map(named).collect()
}

fn everything(scrape: &Scrape<'_>) -> String {
    let mut page = page(scrape);
    if scrape.each {
        // Before the sums, which are left out then.
        EACH.iter().for_each(|write| write(&mut page, scrape));
    }
    ALL.iter().for_each(|write| write(&mut page, scrape));
    page.go_under(OWN);
    queues::exchanges(&mut page, scrape);
    mirror_metrics::mirrors(&mut page, scrape);
    page.go_under("");
    node::process(&mut page, scrape);
    page.finish()
}

/// The groups of families that are asked for, one series for each thing; those in some virtual hosts if these are named.
pub async fn detailed(node: &Node, groups: &[&str], vhosts: Option<BTreeSet<String>>) -> String {
    if OF_FLOWS.iter().any(|group| groups.contains(group)) {
        node.want_flows();
    }
    let channels = match groups.contains(&"channel_metrics") {
        true => channels(node, vhosts.as_ref()).await,
        false => Vec::new(),
    };
    let mut scrape = Scrape::new(node, true, vhosts);
    scrape.channels = channels;
    let mut page = page(&scrape);
    for (_, prefix, write) in GROUPS.iter().filter(|(name, _, _)| groups.contains(name)) {
        page.go_under(prefix);
        write(&mut page, &scrape);
    }
    page.finish()
}

/// What the node's memory is used for. The parts add up to what the process holds.
pub fn memory(node: &Node) -> String {
    let mut page = page(&Scrape::new(node, false, None));
    memory_metrics::parts(&mut page, &super::memory(node));
    page.finish()
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
