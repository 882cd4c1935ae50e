//! What the node shows of its queues and clients: copies taken under the locks that the data path holds anyway.
//!
//! Reads only. One queue or outbox is locked at a time and for a few copies, so looking costs the data path nothing.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use catalog::{ExchangeRecord, QueueRecord};
use model::{ExchangeName, Millis, QueueId, VhostName};
use queue::{Counters, Counts};
use session::ChannelFacts;
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    cell::{Consumer, Held, QueueCell},
    client::Client,
    counters::{ChannelCounts, ExchangeCounts, Traffic, VhostCounters, VhostCounts, sum},
    letters::Assured,
    message::Message,
    mirrors::Reign,
    node::{Node, Snapshot},
};

/// The global parameter that tells a cluster from all others.
pub const CLUSTER_ID: &str = "internal_cluster_id";
/// A connection's task answers at once, unless the machine has stopped.
const PATIENCE: Duration = Duration::from_secs(1);

/// A queue with its live numbers.
#[derive(Clone, Debug)]
pub struct QueueView {
    /// What was declared.
    pub record: Arc<QueueRecord>,
    /// What it holds now.
    pub counts: Counts,
    /// What it did since it began.
    pub counters: Counters,
    /// The exclusive consumer.
    pub exclusive_consumer: Option<Arc<Consumer>>,
    /// Tag of the single active consumer.
    pub active_consumer: Option<String>,
    /// How many messages all mirrors have, while they are being synchronised.
    pub synchronised: Option<u64>,
    /// Since when nothing happens in it, if that is so and its leader's numbers are observed.
    pub idle_since: Option<Millis>,
    /// The timestamp at its head, in seconds since the epoch; of quorum queues nobody tells it.
    pub head_timestamp: Option<u64>,
    /// Ready messages by priority, of a queue with priorities.
    pub lengths: Vec<u64>,
}

/// A consumer of a queue.
#[derive(Clone, Debug)]
pub struct ConsumerView {
    /// Its queue.
    pub queue: Arc<QueueRecord>,
    /// Tag, channel, connection and arguments.
    pub consumer: Arc<Consumer>,
    /// Takes without acknowledgement.
    pub no_ack: bool,
    /// The only one on its queue.
    pub exclusive: bool,
    /// Its limit of unacknowledged messages; 0 is none.
    pub prefetch: u16,
    /// False for the waiting ones of a single-active-consumer queue.
    pub active: bool,
}

/// A channel of a connection.
#[derive(Clone, Copy, Debug)]
pub struct ChannelView {
    /// Number.
    pub number: u16,
    /// Deliveries that wait for an acknowledgement.
    pub unacked: usize,
    /// Limit of the whole channel; 0 is none.
    pub global_prefetch: u16,
    /// Acknowledgements that wait for a commit.
    pub uncommitted_acks: usize,
    /// Limit of each new consumer; 0 is none.
    pub prefetch: u16,
    /// Consumers on it.
    pub consumers: usize,
    /// Publishes are confirmed.
    pub confirm: bool,
    /// Publishes wait for a commit.
    pub transactional: bool,
    /// Publishes that wait for a commit.
    pub uncommitted: usize,
    /// Publishes that wait for their confirm.
    pub unconfirmed: u64,
    /// What happened on it.
    pub counts: ChannelCounts,
}

impl Snapshot {
    /// The numbers of all queues of this node, by id. One queue is locked at a time.
    pub fn all_numbers(&self) -> impl Iterator<Item = (QueueId, Counts, Counters)> {
        self.cells().map(|cell| {
            let held = cell.hold();
            (cell.id, cell.counts(&held), *held.queue.counters())
        })
    }
}

impl Snapshot {
    /// What was published to each exchange of this node, by the id of its counters.
    pub fn exchange_counts(&self) -> Vec<(u64, ExchangeCounts)> {
        let mut all: Vec<_> = self.exchanges.all().map(|own| (own.id, own.read())).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    /// The exchange whose counters have this id.
    pub fn exchange_with_counters(&self, id: u64) -> Option<(VhostName, ExchangeName)> {
        self.exchanges.with_id(id)
    }

    /// Where it is counted what clients do in a virtual host.
    pub(super) fn vhost_counters(&self, vhost: &VhostName) -> Option<Arc<VhostCounters>> {
        self.exchanges.of_vhost(vhost)
    }

    /// The id of these counters.
    pub fn id_of_vhost(&self, vhost: &VhostName) -> Option<u64> {
        self.exchanges.of_vhost(vhost).map(|own| own.id)
    }

    /// The same of one exchange.
    pub fn counts_of_exchange(&self, record: &ExchangeRecord) -> Option<(u64, ExchangeCounts)> {
        let own = self.exchanges.get(&record.vhost, &record.name)?;
        Some((own.id, own.read()))
    }
}

/// RabbitMQ's way: the earlier one of the next message and the oldest that is handed out, if they have any; none of a quorum queue.
fn head_timestamp(cell: &QueueCell, held: &Held) -> Option<u64> {
    let foremost = held.queue.foremost().filter(|_| !cell.is_quorum);
    foremost.filter_map(Message::timestamp).min()
}

impl Node {
    /// A queue's numbers; all zero for a queue that is just being deleted. Those of other nodes' queues are as old as the
    /// last `look_around`.
    pub fn queue_view(&self, record: &Arc<QueueRecord>) -> QueueView {
        let snapshot = self.snapshot();
        let mut view = QueueView {
            record: record.clone(),
            counts: Counts::default(),
            counters: Counters::default(),
            exclusive_consumer: None,
            active_consumer: None,
            synchronised: self.synchronising(record).map(|sync| sync.done),
            idle_since: None,
            head_timestamp: None,
            lengths: Vec::new(),
        };
        let Some(cell) = snapshot.cell(record.id) else {
            if snapshot.is_remote(record) {
                self.far_counts().show(&mut view);
            }
            return view;
        };
        view.idle_since = self.far_counts().idle_here_since(record.id);
        let held = cell.hold();
        view.counts = cell.counts(&held);
        view.counters = *held.queue.counters();
        view.head_timestamp = head_timestamp(cell, &held);
        view.lengths = held.queue.lengths();
        if held.queue.has_exclusive_consumer() {
            view.exclusive_consumer = held.queue.consumers().next().map(|first| first.handle.clone());
        }
        if let Some(id) = held.queue.single_active_consumer() {
            let active = held.queue.consumers().find(|consumer| consumer.id == id);
            view.active_consumer = active.map(|consumer| consumer.handle.tag.to_string());
        }
        view
    }

    /// How far the reign of a queue with copies has come that this node leads.
    pub fn reign_of(&self, queue: QueueId) -> Option<Reign> {
        self.mirrors().led(queue).map(|led| led.stream.reign())
    }

    /// What the queues did that are gone from this node.
    pub fn retired(&self) -> Counters {
        let [classic, quorum] = *self.retired.lock();
        sum(&classic, &quorum)
    }

    /// What the classic queues did that are gone, or the quorum queues.
    pub fn retired_of(&self, is_quorum: bool) -> Counters {
        self.retired.lock()[usize::from(is_quorum)]
    }

    /// The consumers of a queue.
    pub fn consumers_of(&self, record: &Arc<QueueRecord>) -> Vec<ConsumerView> {
        let snapshot = self.snapshot();
        let Some(cell) = snapshot.cell(record.id) else {
            return Vec::new();
        };
        let held = cell.hold();
        let view = |consumer: queue::ConsumerView<'_, Arc<Consumer>>| ConsumerView {
            queue: record.clone(),
            consumer: consumer.handle.clone(),
            no_ack: consumer.no_ack,
            exclusive: consumer.exclusive,
            prefetch: consumer.prefetch,
            active: consumer.active,
        };
        held.queue.consumers().map(view).collect()
    }

    /// A queue's numbers, wherever it is; those of other nodes' queues are as old as the last `look_around`.
    pub fn numbers_anywhere(&self, record: &QueueRecord) -> (Counts, Counters) {
        match self.snapshot().is_remote(record) {
            true => self.far_counts().of(record),
            false => self.queue_numbers(record),
        }
    }

    /// A queue is led here no more: what it did counts on with what all did that were.
    pub(super) fn count_on(&self, cell: &QueueCell, did: &Counters) {
        let retired = &mut self.retired.lock()[usize::from(cell.is_quorum)];
        *retired = sum(retired, did);
    }

    /// Dead letters of queues that assure them, ever since this node began.
    pub fn assured_letters(&self) -> Assured {
        self.line().assured()
    }

    /// A queue's numbers alone; all zero for one that another node leads, which tells them itself.
    pub fn queue_numbers(&self, record: &QueueRecord) -> (Counts, Counters) {
        let snapshot = self.snapshot();
        let Some(cell) = snapshot.cell(record.id) else {
            return Default::default();
        };
        let held = cell.hold();
        (cell.counts(&held), *held.queue.counters())
    }

    /// The timestamp at the head of a queue that this node leads.
    pub fn head_timestamp(&self, record: &QueueRecord) -> Option<u64> {
        let snapshot = self.snapshot();
        let cell = snapshot.cell(record.id)?;
        head_timestamp(cell, &cell.hold())
    }

    /// A connection's channels, by number; none when it ends meanwhile. Its own task is asked, since it alone knows.
    pub async fn channels_of(&self, client: &Client) -> Vec<ChannelView> {
        let asked = tokio::time::timeout(PATIENCE, client.ask_channels()).await;
        let facts = asked.ok().and_then(Result::ok).unwrap_or_default();
        let mut state = client.outbox().lock();
        let view = |facts: ChannelFacts| {
            let out = state.channel(facts.number)?;
            Some(ChannelView {
                number: facts.number,
                unacked: out.ledger.unacked_count(),
                global_prefetch: out.ledger.prefetch(),
                uncommitted_acks: out.ledger.held_count(),
                prefetch: facts.prefetch,
                consumers: facts.consumer_count,
                confirm: facts.confirm,
                transactional: facts.transactional,
                uncommitted: facts.uncommitted,
                unconfirmed: facts.unconfirmed,
                counts: out.counts,
            })
        };
        facts.into_iter().filter_map(view).collect()
    }

    /// What clients of this node did in each virtual host, by the id of its counters.
    pub fn vhost_counts(&self) -> BTreeMap<u64, VhostCounts> {
        let snapshot = self.snapshot();
        let ended = snapshot.exchanges.all_vhosts().map(|own| (own.id, own.read()));
        let mut all: BTreeMap<u64, VhostCounts> = ended.collect();
        for client in self.clients().all() {
            let own = client.vhost_counters().and_then(|own| all.get_mut(&own.id));
            if let Some(counts) = own {
                let traffic = client.traffic();
                counts.received += traffic.received;
                counts.sent += traffic.sent;
            }
        }
        all
    }

    /// What tells the cluster from all others, in RabbitMQ's form: as it was given, else made of its own identity.
    pub fn cluster_id(&self) -> String {
        let snapshot = self.snapshot();
        let given = snapshot.catalog.global_parameter(CLUSTER_ID);
        let given = given.and_then(|id| id.as_text().map(str::to_owned));
        let own = || BASE64_URL_SAFE_NO_PAD.encode(self.identity().cluster.0.to_be_bytes());
        given.unwrap_or_else(|| format!("rabbitmq-cluster-id-{}", own()))
    }

    /// What the cluster is called: as it was named, else as configured, else as the first of its members by name.
    pub fn cluster_name(&self) -> String {
        let snapshot = self.snapshot();
        let given = snapshot.catalog.global_parameter("cluster_name");
        let given = given.and_then(|name| name.as_text().map(str::to_owned));
        let configured = || self.config().node.cluster_name.clone();
        let first = || snapshot.catalog.nodes().map(|node| node.name.to_string()).min();
        let named = given.or_else(configured).or_else(first);
        named.unwrap_or_else(|| self.name().to_string())
    }

    /// The connections that have logged in, in the order in which they came.
    pub fn open_clients(&self) -> Vec<Arc<Client>> {
        let mut all = self.clients().all();
        all.retain(|client| client.profile().is_some());
        all
    }
}

impl Node {
    /// An open connection has ended: its octets stay in the node's numbers.
    pub(super) fn count_closed(&self, client: &Client) {
        let counters = self.counters();
        if client.profile().is_some() {
            counters.connections_closed.add(1);
        }
        let traffic = client.traffic();
        if let Some(vhost) = client.vhost_counters() {
            vhost.count_closed(&traffic);
        }
        counters.octets_received.add(traffic.received);
        counters.reads.add(traffic.reads);
        counters.octets_sent.add(traffic.sent);
        counters.writes.add(traffic.writes);
    }
}

impl Client {
    /// What went over it so far.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            received: self.received.load(Ordering::Relaxed),
            reads: self.reads.load(Ordering::Relaxed),
            sent: self.outbox().sent.load(Ordering::Relaxed),
            writes: self.outbox().writes.load(Ordering::Relaxed),
        }
    }

    /// What happened on each channel, by number.
    pub fn channel_counts(&self) -> Vec<(u16, ChannelCounts)> {
        let mut state = self.outbox().lock();
        state.channels().map(|(number, out)| (number, out.counts)).collect()
    }

    /// Unacknowledged deliveries of each channel and its limit of them, by number.
    pub fn channel_limits(&self) -> Vec<(u16, (usize, u16))> {
        let mut state = self.outbox().lock();
        let own = state.channels();
        own.map(|(number, out)| (number, (out.ledger.unacked_count(), out.ledger.prefetch())))
            .collect()
    }

    /// How many channels are open.
    pub fn channel_count(&self) -> usize {
        self.outbox().lock().channels().count()
    }
}
