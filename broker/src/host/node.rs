//! The node: the snapshot that everybody reads, queues, clients, timers, and stopping.
//!
//! What is committed changes the definitions; their events start and stop queues here, then the new snapshot is
//! published. Nothing is visible before that (I6).

use arc_swap::ArcSwap;
use catalog::{Catalog, Event, NodeName, QueueRecord};
use model::{ConnectionId, ConsumerId, Generation, Millis, NodeUuid, QueueId, QueueName, Refusal, VhostName};
use parking_lot::Mutex;
use queue::{Counters, Queue};
use session::Publication;
use smallvec::SmallVec;
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use store::{Lsn, RecoveredQueue, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    alarms::Alarms,
    attempts::AttemptLog,
    cell::{QueueCell, Work},
    changes::Changes,
    client::Client,
    clients::Clients,
    content::MessageContent,
    counters::NodeCounters,
    delayed::Delayed,
    direct_reply::{DirectReplies, PREFIX, home_of},
    errands::{Errand, Line},
    events::Events,
    exchanges::Exchanges,
    far_view::FarCounts,
    gate::Gate,
    journal::Journal,
    keepers::Keeper,
    keeping::{Keeping, known_of, restored, settings},
    legs::{Couriers, Dial, Process, Remote, ServedLegs},
    listener::Port,
    loads::Pages,
    message::Message,
    mirrors::{CopyCell, Mirrors},
    offers::{limits, limits_of_legs, named},
    recent_history::Histories,
    retire::Retirements,
    route::{Route, exchange_name},
    timers::Timers,
    tls::Certificates,
    trace,
};
use crate::{
    cluster::{Identity, MetaStore, presence::Presence},
    config::{Config, Plugins},
};

/// The version that clients branch on; features of this line are what they get.
pub const RABBITMQ_VERSION: &str = "3.13.7";
/// How long clients may take to answer `connection.close` when the node stops.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// How long a node may lag behind another whose work relies on a later state of the catalogue.
const CATCH_UP_PATIENCE: Duration = Duration::from_secs(30);

/// A published state of the catalogue with the queues of this node.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The definitions.
    pub catalog: Catalog,
    cells: imbl::OrdMap<QueueId, Arc<QueueCell>>,
    /// What was published to each exchange.
    pub(super) exchanges: Exchanges,
    /// This node: it has the cells of the queues that it leads.
    home: NodeName,
    /// This process.
    process: (NodeUuid, u64),
}

/// One broker node.
#[derive(Debug)]
pub struct Node {
    config: ArcSwap<Config>,
    pub(super) limits: ArcSwap<session::Limits>,
    pub(super) limits_with_certificate: ArcSwap<session::Limits>,
    limits_of_legs: Arc<session::Limits>,
    name: Arc<str>,
    identity: Identity,
    meta: Arc<dyn MetaStore>,
    /// None where definitions are fed by hand.
    presence: Option<Arc<Presence>>,
    pub(super) catalog: Mutex<Snapshot>,
    snapshot: ArcSwap<Snapshot>,
    /// The state published last, for those who wait for one.
    generation: watch::Sender<Generation>,
    clients: Clients,
    /// Legs of clients of other nodes.
    legs: Clients,
    served_legs: ServedLegs,
    couriers: Couriers,
    far_counts: FarCounts,
    pub(super) dialer: OnceLock<Arc<dyn Dial>>,
    timers: Timers,
    retirements: Retirements,
    line: Arc<Line>,
    keeping: Arc<Keeping>,
    /// For the task that gives pages back to their queues.
    pages: Mutex<Option<Pages>>,
    delayed: Delayed,
    histories: Histories,
    direct_replies: DirectReplies,
    mirrors: Mirrors,
    alarms: Alarms,
    pub(super) changes: Changes,
    pub(super) events: Events,
    pub(super) ports: Mutex<Vec<Port>>,
    pub(super) plugins: ArcSwap<Plugins>,
    pub(super) attempts: AttemptLog,
    pub(super) shown: OnceLock<Arc<Certificates>>,
    pub(super) gate: Gate,
    stopping: CancellationToken,
    parted: CancellationToken,
    started: AtomicBool,
    started_at: Millis,
    /// Wall-clock milliseconds at `clock_zero`, so that the clock never runs backwards.
    clock_base: u64,
    clock_zero: Instant,
    connections: AtomicU64,
    consumers: AtomicU64,
    counters: NodeCounters,
    /// What queues did that are gone: classic ones, and quorum queues.
    pub(super) retired: Mutex<[Counters; 2]>,
    /// Somebody has asked who feeds whom.
    pub(super) flows_wanted: AtomicBool,
}

impl Snapshot {
    /// Counts catalogue states; routes are remembered by it.
    pub fn generation(&self) -> Generation {
        self.catalog.generation()
    }

    /// A queue's place on this node.
    pub fn cell(&self, id: QueueId) -> Option<&Arc<QueueCell>> {
        self.cells.get(&id)
    }

    /// A queue of this node has its place.
    pub(super) fn put_cell(&mut self, id: QueueId, cell: Arc<QueueCell>) {
        self.cells.insert(id, cell);
    }

    /// All queues of this node.
    pub fn cells(&self) -> impl Iterator<Item = &Arc<QueueCell>> {
        self.cells.values()
    }

    /// Checks a publish and finds its queues; the flag says whether exchange and key alone decided.
    pub fn resolve(&self, client: &catalog::Client, message: &Publication<'_>) -> Result<(Arc<Route>, bool), Refusal> {
        let exchange = exchange_name(message.exchange, &client.vhost)?;
        catalog::check_publish(&self.catalog, client, &exchange, message.routing_key)?;
        let traced = exchange.as_str() != trace::EXCHANGE && self.is_traced(&client.vhost);
        let counters = self.exchanges.get(&client.vhost, &exchange);
        if message.exchange.is_empty() && message.routing_key.starts_with(PREFIX.as_bytes()) {
            let address = String::from_utf8_lossy(message.routing_key).into_owned();
            let route = Route {
                remotes: self.requester_node(&address).into_iter().map(Remote::node).collect(),
                direct_reply: Some(address),
                traced,
                exchange: counters,
                ..Route::default()
            };
            return Ok((Arc::new(route), false));
        }
        let mut keys: SmallVec<[&[u8]; 1]> = SmallVec::new();
        keys.push(message.routing_key);
        keys.extend(message.extra_keys.iter().map(Vec::as_slice));
        let mut content = MessageContent::of(message.properties, message.headers);
        let (mut route, cacheable) = self.find(&client.vhost, exchange.as_str(), &keys, &mut content);
        route.traced = traced;
        route.exchange = counters;
        Ok((Arc::new(route), cacheable))
    }

    fn find(
        &self,
        vhost: &VhostName,
        exchange: &str,
        keys: &[&[u8]],
        content: &mut dyn routing::Content,
    ) -> (Route, bool) {
        let Some(record) = self.catalog.vhost(vhost.as_str()) else {
            return (Route::default(), false);
        };
        let mut queues = routing::Queues::new();
        let routed = record
            .router()
            .route(exchange, keys, content, rand::random(), &mut queues);
        let Ok(routed) = routed else {
            return (Route::default(), false);
        };
        let mut remotes: Vec<Remote> = Vec::new();
        let (mut cells, mut is_down) = (SmallVec::new(), false);
        for id in &queues {
            match self.cells.get(id) {
                Some(cell) => cells.push(cell.clone()),
                None => is_down |= !self.add_remote(*id, &mut remotes),
            }
        }
        let route = Route {
            cells,
            remotes,
            is_down,
            keepers: routed
                .keepers
                .into_iter()
                .map(|keeper| Keeper::new(keeper, vhost))
                .collect(),
            ..Route::default()
        };
        (route, routed.cacheable)
    }

    /// A queue that another node leads is on the way; false if that node is known to be down.
    fn add_remote(&self, id: QueueId, remotes: &mut Vec<Remote>) -> bool {
        let remote = self.catalog.queue_by_id(id).filter(|record| self.is_remote(record));
        let Some(record) = remote else { return true };
        if !self.is_led(record) {
            return false;
        }
        match remotes.iter_mut().find(|remote| remote.leader == record.leader) {
            Some(remote) => remote.add(record),
            None => remotes.push(Remote::of(record)),
        }
        true
    }

    /// The other node that knows an address for direct replies, if it is up.
    pub(super) fn requester_node(&self, address: &str) -> Option<NodeName> {
        let home = home_of(address)?;
        let mut nodes = self.catalog.nodes();
        let found = nodes.find(|node| node.uuid == home && node.up && node.name != self.home)?;
        Some(found.name.clone())
    }

    /// True for a queue that another process leads.
    pub fn is_remote(&self, record: &QueueRecord) -> bool {
        match &record.replicas {
            None => record.leader != self.home,
            Some(replicas) => !replicas.is_led_by(self.process.0, self.process.1),
        }
    }

    /// A queue has no place on this node any more.
    pub(super) fn remove_cell(&mut self, id: QueueId) -> Option<Arc<QueueCell>> {
        self.cells.remove(&id)
    }

    /// The other nodes that are not known to be down.
    pub fn other_nodes(&self) -> Vec<NodeName> {
        let others = self.catalog.nodes().filter(|node| node.up && node.name != self.home);
        others.map(|node| node.name.clone()).collect()
    }

    /// True unless a node is known to be down.
    pub fn is_up(&self, name: &NodeName) -> bool {
        self.catalog.nodes().any(|node| node.name == *name && node.up)
    }

    /// The process of another node that is up.
    pub fn process(&self, name: &NodeName) -> Option<Process> {
        let mut nodes = self.catalog.nodes();
        let found = nodes.find(|node| node.name == *name && node.up)?;
        Some(Process {
            node: found.uuid,
            incarnation: found.incarnation,
        })
    }

    /// True unless the process that leads a queue is known to be gone.
    pub fn is_led(&self, record: &QueueRecord) -> bool {
        match &record.replicas {
            None => self.is_up(&record.leader),
            Some(replicas) => self.catalog.is_led(replicas),
        }
    }

    /// The place of the queue that has this name.
    pub fn cell_by_name(&self, vhost: &VhostName, queue: &QueueName) -> Option<Arc<QueueCell>> {
        let record = self.catalog.vhost(vhost.as_str())?.queue(queue.as_str())?;
        self.cells.get(&record.id).cloned()
    }

    /// The way of a message from an exchange where the node itself sends it, such as a dead letter. Without the
    /// exchange: nowhere.
    pub fn route_unchecked(&self, vhost: &VhostName, exchange: &str, message: &Publication<'_>) -> Route {
        let mut keys: SmallVec<[&[u8]; 1]> = SmallVec::new();
        keys.push(message.routing_key);
        keys.extend(message.extra_keys.iter().map(Vec::as_slice));
        let mut content = MessageContent::of(message.properties, None);
        self.find(vhost, exchange, &keys, &mut content).0
    }
}

impl Node {
    /// A node without definitions, over what keeps them and what keeps messages.
    pub(super) fn new(
        config: Config,
        identity: Identity,
        (meta, presence): (Arc<dyn MetaStore>, Option<Arc<Presence>>),
        (keeping, pages): (Arc<Keeping>, Pages),
    ) -> Self {
        let name: Arc<str> = config.node.name.as_str().into();
        let base = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis() as u64;
        let empty = Snapshot {
            catalog: Catalog::default(),
            cells: imbl::OrdMap::new(),
            exchanges: Exchanges::default(),
            home: name.clone(),
            process: (identity.node, identity.incarnation),
        };
        Node {
            identity,
            meta,
            presence,
            limits: ArcSwap::from_pointee(limits(&config, false)),
            limits_with_certificate: ArcSwap::from_pointee(limits(&config, true)),
            limits_of_legs: Arc::new(limits_of_legs(&config)),
            catalog: Mutex::new(empty.clone()),
            snapshot: ArcSwap::from_pointee(empty),
            generation: watch::Sender::new(Generation(0)),
            clients: Clients::default(),
            legs: Clients::default(),
            served_legs: ServedLegs::default(),
            couriers: Couriers::default(),
            far_counts: FarCounts::default(),
            dialer: OnceLock::new(),
            timers: Timers::default(),
            retirements: Retirements::default(),
            line: Arc::default(),
            keeping,
            pages: Mutex::new(Some(pages)),
            delayed: Delayed::default(),
            histories: Histories::default(),
            direct_replies: DirectReplies::default(),
            mirrors: Mirrors::default(),
            alarms: Alarms::new(&config.resources),
            changes: Changes::default(),
            events: Events::default(),
            ports: Mutex::default(),
            plugins: ArcSwap::from_pointee(config.plugins.clone()),
            attempts: AttemptLog::default(),
            shown: OnceLock::new(),
            gate: Gate::default(),
            stopping: CancellationToken::new(),
            parted: CancellationToken::new(),
            started: AtomicBool::new(false),
            started_at: Millis(base),
            clock_base: base,
            clock_zero: Instant::now(),
            connections: AtomicU64::new(0),
            consumers: AtomicU64::new(0),
            counters: NodeCounters::default(),
            retired: Mutex::default(),
            flows_wanted: AtomicBool::new(false),
            name,
            config: ArcSwap::from_pointee(config),
        }
    }

    /// Now, in milliseconds since the Unix epoch; never runs backwards.
    pub fn now(&self) -> Millis {
        Millis(self.clock_base + self.clock_zero.elapsed().as_millis() as u64)
    }

    /// `rabbit@host`.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The configuration as it is now: that of the start, with what was read again since then.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// From now on this holds.
    pub(super) fn take_config(&self, config: Config) {
        self.config.store(Arc::new(config));
    }

    /// What connections are offered and allowed.
    pub fn limits(&self) -> Arc<session::Limits> {
        named(&self.limits, &self.cluster_name())
    }

    /// The same for a client that has proved a certificate.
    pub fn limits_with_certificate(&self) -> Arc<session::Limits> {
        named(&self.limits_with_certificate, &self.cluster_name())
    }

    /// The same for a leg: its client is limited where it is.
    pub fn limits_of_legs(&self) -> Arc<session::Limits> {
        self.limits_of_legs.clone()
    }

    /// Who this process is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What queues of other nodes hold.
    pub fn far_counts(&self) -> &FarCounts {
        &self.far_counts
    }

    /// Legs of clients of other nodes, by whose they are.
    pub(super) fn served_legs(&self) -> &ServedLegs {
        &self.served_legs
    }

    /// Ways to the queues of other nodes for the node itself.
    pub(super) fn couriers(&self) -> &Couriers {
        &self.couriers
    }

    /// Legs of clients of other nodes.
    pub fn legs(&self) -> &Clients {
        &self.legs
    }

    /// The published state.
    pub fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Who is connected.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// The queues' timer.
    pub fn timers(&self) -> &Timers {
        &self.timers
    }

    /// Queues that wait to be deleted.
    pub fn retirements(&self) -> &Retirements {
        &self.retirements
    }

    /// Queues whose dead letters wait to be routed.
    pub fn line(&self) -> &Arc<Line> {
        &self.line
    }

    /// Messages that delayed exchanges hold.
    pub fn delayed(&self) -> &Delayed {
        &self.delayed
    }

    /// Messages that exchanges remember.
    pub fn histories(&self) -> &Histories {
        &self.histories
    }

    /// What happened here since the start.
    pub fn counters(&self) -> &NodeCounters {
        &self.counters
    }

    /// Addresses of direct replies.
    pub fn direct_replies(&self) -> &DirectReplies {
        &self.direct_replies
    }

    /// What this node mirrors and has mirrored.
    pub fn mirrors(&self) -> &Mirrors {
        &self.mirrors
    }

    /// Memory and disk alarms.
    pub fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// Cancelled when the node stops.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Cancelled when the others know that the node stops.
    pub fn parted(&self) -> &CancellationToken {
        &self.parted
    }

    /// A port is served.
    pub fn announce(&self, port: Port) {
        self.ports.lock().push(port);
    }

    /// The ports that are served.
    pub fn ports(&self) -> Vec<Port> {
        self.ports.lock().clone()
    }

    /// All that a start needs has been done.
    pub fn started(&self) {
        self.started.store(true, Ordering::Release);
    }

    /// True once clients are welcome.
    pub fn has_started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    /// When the process started.
    pub fn started_at(&self) -> Millis {
        self.started_at
    }

    /// False if the catalogue's lock cannot be had within a second.
    pub fn is_responsive(&self) -> bool {
        self.catalog.try_lock_for(Duration::from_secs(1)).is_some()
    }

    /// A new connection's id.
    pub fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.connections.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A new consumer's id.
    pub fn next_consumer(&self) -> ConsumerId {
        ConsumerId(self.consumers.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Patience with a client that does not finish its handshake.
    pub fn handshake_timeout(&self) -> Millis {
        let timeout = self.config.load().amqp.handshake_timeout;
        Millis(timeout.max().map_or(u64::MAX / 2, |timeout| timeout.0))
    }

    /// How long a delivery may stay unacknowledged.
    pub fn consumer_timeout(&self) -> Option<Millis> {
        Some(Millis(self.config.load().queues.ack_timeout.0)).filter(|timeout| timeout.0 > 0)
    }

    /// How often overdue acknowledgements are looked for.
    pub fn ack_look(&self) -> Millis {
        Millis(self.config.load().queues.ack_look.0.max(1))
    }

    /// This node among the others.
    pub fn presence(&self) -> Option<&Arc<Presence>> {
        self.presence.as_ref()
    }

    /// True while clients are served: a majority of the cluster answers, and the node neither stops nor is under maintenance.
    pub fn serves(&self) -> bool {
        self.has_majority() && !self.stopping.is_cancelled() && !self.is_under_maintenance()
    }

    /// The store of the definitions.
    pub(super) fn meta(&self) -> &Arc<dyn MetaStore> {
        &self.meta
    }

    /// Everybody sees this state from now on.
    pub(super) fn publish(&self, next: &Snapshot) {
        let before = self.snapshot.swap(Arc::new(next.clone()));
        self.generation.send_replace(next.generation());
        self.note_published(&before, next);
    }

    /// Waits until this state of the catalogue, or a later one, is published here; false if that takes too long.
    pub async fn catch_up(&self, generation: Generation) -> bool {
        let mut published = self.generation.subscribe();
        let reached = published.wait_for(|now| *now >= generation);
        let waited = tokio::time::timeout(CATCH_UP_PATIENCE, reached).await;
        matches!(waited, Ok(Ok(_)))
    }

    /// Follows the states that are published.
    pub fn generations(&self) -> watch::Receiver<Generation> {
        self.generation.subscribe()
    }

    /// Queues begin and change with the catalogue; those that ended are returned.
    pub(super) fn follow(&self, next: &mut Snapshot, events: Vec<Event>) -> Vec<Arc<QueueCell>> {
        let mut gone = Vec::new();
        for event in events {
            tracing::debug!(?event, "catalogue");
            self.changes.heed(&event);
            self.follow_keepers(next, &event);
            next.exchanges.follow(&event);
            match event {
                Event::QueueDeclared(record) => self.settle_in(next, &record, None),
                Event::QueueDeleted(record) => {
                    self.end_copy(&record);
                    self.end_reign(&record);
                    gone.extend(next.cells.remove(&record.id));
                }
                Event::QueueReplicasChanged { before, now } => self.follow_replicas(next, &before, &now),
                Event::MessagesGivenUp(record, loss) => self.note_loss(&record, loss),
                Event::QueueSettingsChanged(record) => {
                    if let Some(cell) = next.cells.get(&record.id) {
                        self.adjust(cell, &record);
                    }
                    self.adjust_mirroring(&record);
                }
                Event::NodeDown(record) => self.lose_mirrors(record.uuid),
                Event::VhostChanged(vhost) => next.follow_tracing(&vhost),
                Event::UserDeleted(user) => self.expel(&format!("user '{user}' is deleted"), |p| p.user == user),
                Event::VhostDeleted(vhost) => self.expel(&format!("vhost '{vhost}' is deleted"), |p| p.vhost == vhost),
                _ => {}
            }
        }
        gone
    }

    /// A queue begins here as what this node is to it: its leader, a mirror, or nothing; `left`: with what was left of it
    /// when the node stopped, if it has not been declared just now.
    pub(super) fn settle_in(&self, next: &mut Snapshot, record: &QueueRecord, left: Option<RecoveredQueue>) {
        if !next.is_remote(record) {
            self.counters.queues_created.add(1);
            let cell = self.begin(record, left);
            cell.set_traced(next.is_traced(&record.vhost));
            self.begin_reign(&cell, record);
            next.put_cell(record.id, cell);
        } else if self.has_copy(record) {
            self.begin_copy(record, left);
        }
    }

    fn begin(&self, record: &QueueRecord, left: Option<RecoveredQueue>) -> Arc<QueueCell> {
        let dedup = known_of(left.as_ref());
        let restored = restored(left.unwrap_or_default());
        let journal = Journal::new(self.keeping.clone(), record.id, restored.delivered_to.clone());
        let queue = Queue::restore(settings(record), record.auto_delete, self.now(), restored);
        let cell = self.place(record, queue, journal);
        cell.hold().dedup = dedup;
        cell
    }

    /// The place of a queue.
    pub(super) fn place(
        &self,
        record: &QueueRecord,
        queue: Queue<Message, Arc<super::cell::Consumer>>,
        journal: Journal,
    ) -> Arc<QueueCell> {
        let cell = Arc::new(QueueCell::new(
            record.id,
            record.vhost.clone(),
            record.name.clone(),
            queue,
            journal,
            self.line.letters(),
        ));
        let mut held = cell.hold();
        held.dead_letter = record.settings.dead_letter.clone();
        cell.letters.assure(record.settings.assures_letters);
        let wake = cell.wants_waking(&held);
        drop(held);
        if let Some(at) = wake {
            self.timers.wake_at(at, &cell);
        }
        cell
    }

    pub(super) fn adjust(&self, cell: &Arc<QueueCell>, record: &QueueRecord) {
        let (mut touched, mut errands) = (Vec::new(), Vec::new());
        cell.hold().dead_letter = record.settings.dead_letter.clone();
        cell.letters.assure(record.settings.assures_letters);
        self.on_cell(cell, &mut touched, &mut errands, |work| {
            work.queue.set_settings(work.now, settings(record), &mut work.sink);
        });
        // Shortened limits may have killed messages: their letters wait for the timer's task, since the catalogue's
        // lock is held here.
        self.timers.leave_errands(errands, touched);
    }

    /// The definitions as applied last, published or about to be.
    pub(super) fn applied(&self) -> Catalog {
        self.catalog.lock().catalog.clone()
    }

    /// What a queue is on this node when nothing is under way: its place, or a copy.
    pub(super) fn place_now(&self, id: QueueId) -> (Option<Arc<QueueCell>>, Option<Arc<CopyCell>>) {
        let next = self.catalog.lock();
        (next.cell(id).cloned(), self.mirrors.copy(id))
    }

    /// A deleted queue tells its consumers.
    pub(super) fn bury(&self, cell: &Arc<QueueCell>, touched: &mut Vec<Arc<Client>>) {
        let mut errands = Vec::new();
        self.counters.queues_deleted.add(1);
        let mut held = cell.hold();
        held.dead = true;
        let did = *held.queue.counters();
        let mut work = held.work(cell, touched, &mut errands, self.now());
        work.queue.delete(&mut work.sink);
        held.journal.forget();
        drop(held);
        self.timers.forget(cell.id);
        self.count_on(cell, &did);
    }

    pub(super) fn expel(&self, reason: &str, whom: impl Fn(&super::client::Profile) -> bool) {
        for client in self.clients.all() {
            if client.profile().is_some_and(|profile| whom(&profile)) {
                client.outbox().post(super::outbox::Letter::Close {
                    reason: reason.to_owned(),
                });
            }
        }
    }

    /// Does one thing to a queue, with the time of now; what follows from it is left in `touched` and `errands`.
    pub(super) fn on_cell<R>(
        &self,
        cell: &Arc<QueueCell>,
        touched: &mut Vec<Arc<Client>>,
        errands: &mut Vec<Errand>,
        work: impl FnOnce(&mut Work<'_>) -> R,
    ) -> R {
        let mut held = cell.hold();
        let result = work(&mut held.work(cell, touched, errands, self.now()));
        let wake = cell.wants_waking(&held);
        drop(held);
        if let Some(at) = wake {
            self.timers.wake_at(at, cell);
        }
        result
    }

    /// Pages that come back from the store; taken once, by the task that gives them to their queues.
    pub(super) fn take_pages(&self) -> Option<Pages> {
        self.pages.lock().take()
    }

    /// What keeps the queues' messages, with its counters; it may be kept beyond this node's life.
    pub fn keeping(&self) -> &Arc<Keeping> {
        &self.keeping
    }

    /// What queues keep on disk.
    pub fn store(&self) -> &Store<Message> {
        &self.keeping.store
    }

    /// Waits until the log is durable up to a position.
    pub async fn until_durable(&self, lsn: Lsn) {
        self.keeping.until_durable(lsn).await;
    }

    /// Flushes clients and lets consumers go on that waited for room; they may touch further clients.
    pub fn flush(&self, touched: &mut Vec<Arc<Client>>) {
        let mut errands = Vec::new();
        while let Some(client) = touched.pop() {
            for (cell, consumer) in client.outbox().flush() {
                self.on_cell(&cell, touched, &mut errands, |work| {
                    work.queue.consumer_ready(work.now, consumer, &mut work.sink);
                });
            }
            if !errands.is_empty() {
                self.run_errands(std::mem::take(&mut errands), touched);
            }
        }
    }

    /// Stops: no new connections, every client is told, and gets some time to answer.
    pub async fn stop(&self) {
        self.stopping.cancel();
        let deadline = Instant::now() + STOP_PATIENCE;
        while self.clients.count() + self.legs.count() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Mirrors here acknowledge until it is known that they will not, so that nobody waits for them in vain.
        if let Some(presence) = &self.presence {
            presence.say_goodbye().await;
        }
        self.parted.cancel();
        self.keeping.stop().await;
        self.await_eviction().await;
        if let Some(presence) = &self.presence {
            presence.stop();
        }
        self.meta.stop().await;
    }
}
