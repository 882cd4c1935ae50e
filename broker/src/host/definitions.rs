//! The node's copy of the definitions: changed by what is committed, and by nothing else.
//!
//! While the node starts, commands only change the copy; queues and exchanges that hold messages begin once, when it is
//! known which there are and what is left of them. From then on the events of each command start and stop them, and the
//! state after it is published before anybody is answered (I6).

use catalog::{Answer, Catalog, Command, Event};
use futures::future::try_join_all;
use model::{Epoch, QueueId, Refusal, UserName};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};
use store::{
    Formats, RecoveredQueue,
    disk::{Disk, FsDisk},
};

use super::{
    cell::QueueCell,
    data_directory::{self, ALONE_FILE, MEMBERS_FILE, META, Manner},
    events, first_start,
    keeping::{Found, Keeping, end_at_once},
    limits,
    node::{Node, Snapshot},
};
use crate::{
    cluster::{
        Identity, Machine, MetaStore, Outcome,
        presence::{Note, Presence},
        raft::{Opening, RaftStore, Timing},
        transport::{Introduction, Neighbourhood},
    },
    config::Config,
};

/// Commands that are asked for at once.
const COMMITTED_TOGETHER_MAX: usize = 256;

/// What the store of the definitions drives.
enum Phase {
    /// The node starts: definitions, and nobody who obeys them.
    Starting(Box<Catalog>),
    /// The node.
    Running(Arc<Node>),
    /// The store has stopped, with these definitions. It would hold the node for ever, as the node holds it.
    Ended(Box<Catalog>),
}

/// What is driven, behind the lock that lets it go over from one phase to the other.
struct Driven(Mutex<Phase>);

impl Driven {
    fn node(&self) -> Option<Arc<Node>> {
        match &*self.0.lock() {
            Phase::Starting(_) | Phase::Ended(_) => None,
            Phase::Running(node) => Some(node.clone()),
        }
    }

    /// Puts a node with these definitions in their place.
    fn run(&self, node: Node, found: BTreeMap<QueueId, RecoveredQueue>) -> Arc<Node> {
        let node = Arc::new(node);
        let mut phase = self.0.lock();
        if let Phase::Starting(catalog) = &*phase {
            node.begin_all(catalog.as_ref().clone(), found);
        }
        *phase = Phase::Running(node.clone());
        node
    }
}

impl Machine for Driven {
    fn apply(&self, commands: &[Command]) -> Vec<Outcome> {
        if let Phase::Starting(catalog) = &mut *self.0.lock() {
            let apply = |command: &Command| catalog.apply(command.clone(), &mut Vec::new());
            return commands.iter().map(apply).collect();
        }
        self.node().map(|node| node.apply(commands)).unwrap_or_default()
    }

    fn catalog(&self) -> Catalog {
        match &*self.0.lock() {
            Phase::Starting(catalog) | Phase::Ended(catalog) => catalog.as_ref().clone(),
            Phase::Running(node) => node.catalog.lock().catalog.clone(),
        }
    }

    fn install(&self, further: Catalog) {
        if let Phase::Starting(catalog) = &mut *self.0.lock() {
            **catalog = further;
            return;
        }
        if let Some(node) = self.node() {
            node.install(further);
        }
    }

    fn end(&self) {
        let ended = Phase::Ended(Box::new(self.catalog()));
        let before = std::mem::replace(&mut *self.0.lock(), ended);
        // Not under the lock: it may be the last who holds the node.
        drop(before);
    }
}

/// What every member had to understand when this directory was last used may be written in it.
fn must_understand(level: u32) -> anyhow::Result<()> {
    let own = link::feature_level();
    anyhow::ensure!(
        level <= own,
        "this program understands feature level {own}, and the cluster to which this data directory belongs needs {level}: start the newer \
         release, from which there was no way back once every member ran it"
    );
    Ok(())
}

/// Writes down who belongs to the cluster, for when the node is stopped.
fn note(disk: FsDisk) -> Note {
    Box::new(move |status| {
        let octets = serde_json::to_vec_pretty(status)?;
        store::disk::replace(&disk, ".", MEMBERS_FILE, &octets)
    })
}

/// Removes the nodes that an operator wants to be forgotten. One that cannot be is told of; the start goes on.
async fn forget(disk: &FsDisk, presence: &Presence) -> anyhow::Result<()> {
    for name in data_directory::forgotten(disk)? {
        match presence.forget(&name).await {
            Ok(()) => tracing::info!("node {name} was removed from the cluster"),
            Err(why) => tracing::warn!("node {name} was not removed from the cluster: {why}"),
        }
    }
    Ok(data_directory::nobody_is_forgotten(disk)?)
}

/// Opens what is kept of the messages of queues that survive a restart; the rest is forgotten.
pub(super) fn keep(config: &Config, formats: &Formats, catalog: &Catalog, epoch: Epoch) -> anyhow::Result<Found> {
    Keeping::open(config.node.data.as_path(), formats, epoch, &kept_queues(catalog))
}

/// The queues whose messages survive a restart.
pub fn kept_queues(catalog: &Catalog) -> BTreeSet<QueueId> {
    let durable = catalog.queues().filter(|queue| queue.durable && queue.owner.is_none());
    durable.map(|queue| queue.id).collect()
}

impl Node {
    /// Starts a node: opens its definitions, tells them of this process, and begins what they name. A blank node gets
    /// those of a first start. The data directory is locked by whoever calls.
    ///
    /// # Errors
    /// Why the definitions or messages cannot be had, or the other nodes do not want this process.
    pub async fn start(
        config: Config,
        (disk, manner): (FsDisk, Manner),
        identity: Identity,
        neighbours: &dyn Neighbourhood,
    ) -> anyhow::Result<Arc<Self>> {
        // One process, one reign: what it enqueues is numbered once.
        let epoch = Epoch(identity.incarnation);
        let driven = Arc::new(Driven(Mutex::new(Phase::Starting(Box::default()))));
        let transport = neighbours.transport(Introduction::of(&identity));
        let opening = Opening {
            transport: transport.clone(),
            identity: identity.clone(),
            joined: manner.joined,
            alone: manner.alone,
            machine: driven.clone(),
            fatal: Arc::new(end_at_once),
            timing: Timing::default(),
        };
        let noted_status = data_directory::noted_members(&disk)?;
        // Before anything is read that this program might not understand.
        must_understand(noted_status.as_ref().map_or(0, |status| status.level))?;
        let meta = RaftStore::open(disk.clone(), META, opening).await?;
        let parts = (meta.clone(), driven.clone() as Arc<dyn Machine>);
        let noted = (config.node.patience, note(disk.clone()));
        let presence = Presence::open(identity.clone(), parts, transport, neighbours, noted);
        if let Some(status) = noted_status {
            presence.remember(status);
        }
        presence.settle().await?;
        must_understand(driven.catalog().level())?;
        if manner.alone {
            presence.begin_history().await?;
            forget(&disk, &presence).await?;
            Disk::remove(&disk, ALONE_FILE)?;
        }
        // Reading what queues held may take longer than others are patient.
        presence.run();
        tokio::task::yield_now().await;
        let Found { keeping, queues, pages } = keep(&config, meta.formats(), &driven.catalog(), epoch)?;
        let parts: (Arc<dyn MetaStore>, _) = (meta, Some(presence.clone()));
        let node = driven.run(Node::new(config, identity, parts, (keeping, pages)), queues);
        // As in RabbitMQ, definitions to import are all that such a node starts with.
        let config = node.config();
        let definitions = &config.definitions;
        let has_defaults = !definitions.are_named() || definitions.keep_default_user;
        if node.snapshot().catalog.is_blank() && has_defaults {
            first_start::define(&node).await?;
        }
        Ok(node)
    }

    /// Has one command committed, and comes back once the state after it is published here, and on all nodes that are up if a
    /// client may rely on it at another. No lock may be held.
    ///
    /// # Errors
    /// Why the command cannot be, or that it could not be committed.
    pub async fn commit(&self, command: Command) -> Result<Answer, Refusal> {
        let user = events::actor();
        self.commit_by(&user, command).await
    }

    /// The same in a user's name, which events tell.
    ///
    /// # Errors
    /// As above.
    pub(super) async fn commit_by(&self, user: &UserName, command: Command) -> Result<Answer, Refusal> {
        let foretold = self.foretell(user, std::slice::from_ref(&command));
        let answer = self.commit_in_silence(command).await?;
        if events::has_changed(&answer) {
            self.tell_foretold(foretold);
        }
        Ok(answer)
    }

    async fn commit_in_silence(&self, command: Command) -> Result<Answer, Refusal> {
        match limits::exceeded(&self.config(), &self.snapshot().catalog, &command) {
            Some(refusal) => Err(refusal),
            None => {
                let is_between_nodes = matches!(command, Command::Mirrors(_) | Command::ConnectionClosed(_));
                let began = Instant::now();
                let answer = self.meta().propose(command).await?;
                if !is_between_nodes {
                    self.all_know().await;
                    let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    self.counters().definitions_committed.add(1);
                    self.counters().definitions_committed_ns.add(took);
                }
                Ok(answer)
            }
        }
    }

    /// Waits until what is published here is known on all nodes that are up: whoever is answered may go on at any of them, or send
    /// others there, as with RabbitMQ, whose nodes change their tables together.
    pub(super) async fn all_know(&self) {
        if let Some(presence) = self.presence() {
            presence.all_know().await;
        }
    }

    /// Has commands committed in order, up to the first that is refused, with few writes for many. What comes before a
    /// refused one stays.
    ///
    /// # Errors
    /// Why the first cannot be that cannot, or could not be committed.
    pub async fn commit_all(&self, mut commands: Vec<Command>) -> Result<(), Refusal> {
        let refusal = self.first_refusal(&commands);
        if let Some((place, _)) = &refusal {
            commands.truncate(*place);
        }
        let foretold = self.foretell(&events::actor(), &commands);
        let mut commands = commands.into_iter().peekable();
        while commands.peek().is_some() {
            let some = commands.by_ref().take(COMMITTED_TOGETHER_MAX);
            // Asked for in this order, so committed in this order.
            try_join_all(some.map(|command| self.commit_in_silence(command))).await?;
        }
        self.tell_foretold(foretold);
        refusal.map_or(Ok(()), |(_, refusal)| Err(refusal))
    }

    /// Whether `commit_all` would refuse one of them; nothing is committed.
    ///
    /// # Errors
    /// Why the first cannot be that cannot.
    pub fn would_commit_all(&self, commands: &[Command]) -> Result<(), Refusal> {
        self.first_refusal(commands).map_or(Ok(()), |(_, refusal)| Err(refusal))
    }

    /// Tries commands on a copy of the definitions: the first that would be refused, and its place.
    fn first_refusal(&self, commands: &[Command]) -> Option<(usize, Refusal)> {
        let mut copy = self.snapshot().catalog.clone();
        let mut events = Vec::new();
        commands.iter().enumerate().find_map(|(place, command)| {
            events.clear();
            let refused = limits::exceeded(&self.config(), &copy, command)
                .or_else(|| copy.apply(command.clone(), &mut events).err());
            refused.map(|refusal| (place, refusal))
        })
    }

    /// Begins all that the definitions name, in one pass, with what was found of the queues' messages.
    pub(super) fn begin_all(&self, catalog: Catalog, mut found: BTreeMap<QueueId, RecoveredQueue>) {
        let mut next = self.catalog.lock();
        next.catalog = catalog.clone();
        for vhost in catalog.vhosts() {
            next.exchanges.open_vhost(vhost.name());
        }
        for exchange in catalog.vhosts().flat_map(|vhost| vhost.exchanges()) {
            self.open_keeper(exchange);
            next.exchanges.open(exchange);
        }
        for record in catalog.queues() {
            if !next.is_remote(record) || self.has_copy(record) {
                self.settle_in(&mut next, record, Some(found.remove(&record.id).unwrap_or_default()));
            }
        }
        // Queues that were deleted while the node was starting.
        found.into_keys().for_each(|gone| self.store().forget(gone));
        self.publish(&next);
    }

    /// Buries queues that ended, and flushes the clients that hear of it.
    fn bury_all(&self, gone: &[Arc<QueueCell>]) {
        let mut touched = Vec::new();
        gone.iter().for_each(|cell| self.bury(cell, &mut touched));
        self.flush(&mut touched);
    }

    /// Goes over to definitions that are further, by what differs.
    fn go_over(&self, next: &mut Snapshot, catalog: Catalog) -> Vec<Arc<QueueCell>> {
        let before = std::mem::replace(&mut next.catalog, catalog);
        let differences = differences(&before, &next.catalog);
        let gone = self.follow(next, differences);
        let now = next.catalog.clone();
        let vhost_is_gone = |profile: &super::client::Profile| now.vhost(profile.vhost.as_str()).is_none();
        let user_is_gone = |profile: &super::client::Profile| now.access().user(profile.user.as_str()).is_none();
        self.expel("the virtual host is deleted", vhost_is_gone);
        self.expel("the user is deleted", user_is_gone);
        gone
    }
}

/// The events that lead from one state to another, as far as queues and exchanges that hold messages follow them.
fn differences(before: &Catalog, after: &Catalog) -> Vec<Event> {
    let mut events = Vec::new();
    let exchange = |catalog: &Catalog, record: &catalog::ExchangeRecord| {
        let vhost = catalog.vhost(record.vhost.as_str())?;
        vhost.exchange(record.name.as_str()).map(|found| found.kind)
    };
    let exchanges = |catalog: &Catalog| -> Vec<_> {
        let all = catalog.vhosts().flat_map(|vhost| vhost.exchanges());
        all.cloned().collect()
    };
    for record in exchanges(before) {
        if exchange(after, &record) != Some(record.kind) {
            events.push(Event::ExchangeDeleted(record));
        }
    }
    for record in exchanges(after) {
        if exchange(before, &record) != Some(record.kind) {
            events.push(Event::ExchangeDeclared(record));
        }
    }
    let missing = |catalog: &Catalog, id: QueueId| catalog.queue_by_id(id).is_none();
    let gone = before.queues().filter(|record| missing(after, record.id));
    events.extend(gone.cloned().map(Event::QueueDeleted));
    for record in after.queues() {
        match before.queue_by_id(record.id) {
            None => events.push(Event::QueueDeclared(record.clone())),
            Some(known) => {
                if known.settings != record.settings {
                    events.push(Event::QueueSettingsChanged(record.clone()));
                }
                if known.replicas != record.replicas {
                    let (before, now) = (known.clone(), record.clone());
                    events.push(Event::QueueReplicasChanged { before, now });
                }
            }
        }
    }
    events.extend(after.vhosts().map(|vhost| Event::VhostChanged(vhost.name().clone())));
    events
}

impl Node {
    /// Applies commands that are committed, in order; what comes of each.
    pub(super) fn apply(&self, commands: &[Command]) -> Vec<Outcome> {
        let mut next = self.catalog.lock();
        let (mut outcomes, mut gone) = (Vec::with_capacity(commands.len()), Vec::new());
        for command in commands {
            let mut events = Vec::new();
            let before = self.events().wanted().then(|| next.catalog.clone());
            outcomes.push(next.catalog.apply(command.clone(), &mut events));
            if let Some(before) = before {
                self.tell_of_nodes(command, (&before, &next.catalog), &events);
            }
            gone.extend(self.follow(&mut next, events));
        }
        self.publish(&next);
        drop(next);
        self.bury_all(&gone);
        outcomes
    }

    fn install(&self, catalog: Catalog) {
        let mut next = self.catalog.lock();
        let gone = self.go_over(&mut next, catalog);
        self.publish(&next);
        drop(next);
        self.bury_all(&gone);
    }
}

/// A started node for tests.
#[cfg(test)]
pub async fn started(config: Config) -> Arc<Node> {
    let data = super::data_directory::open(config.node.data.as_path(), config.node.name.as_str()).unwrap();
    let identity = data.begin().unwrap();
    let nobody = crate::cluster::transport::Nobody;
    // A configuration is large, and tests hold this future in theirs.
    let start = Node::start(config, (data.disk, Manner::default()), identity, &nobody);
    Box::pin(start).await.unwrap()
}

/// A started node for tests, of the usual configuration, with a data directory of its own.
#[cfg(test)]
pub async fn started_blank() -> (tempfile::TempDir, Arc<Node>) {
    use crate::config::{self, ServerArgs};
    let folder = tempfile::tempdir().unwrap();
    let args = ServerArgs {
        data: Some(folder.path().to_owned()),
        ..ServerArgs::default()
    };
    let config = config::load(&args, &config::Fixed::new()).unwrap().config;
    (folder, started(config).await)
}

/// The declaration, for tests, of a durable queue that this node is to lead.
#[cfg(test)]
pub fn durable_queue(node: &Node, name: &str) -> Command {
    Command::DeclareQueue(catalog::QueueSpec {
        vhost: "/".parse().unwrap(),
        name: name.parse().unwrap(),
        durable: true,
        auto_delete: false,
        owner: None,
        arguments: model::Table::default(),
        leader: node.name().clone(),
        user: "guest".parse().unwrap(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vhost(name: &str) -> Command {
        Command::PutVhost {
            name: name.parse().unwrap(),
            metadata: catalog::VhostMetadata::default(),
        }
    }

    #[tokio::test]
    async fn many_commands_are_committed_up_to_the_first_that_is_refused() {
        let (_folder, node) = started_blank().await;
        let absent = Command::DeleteVhost("absent".parse().unwrap());
        let mut commands: Vec<Command> = (0..600).map(|number| vhost(&format!("v{number}"))).collect();
        node.commit_all(commands.clone()).await.unwrap();
        assert_eq!(node.snapshot().catalog.vhosts().count(), 601);
        commands = vec![vhost("before"), absent, vhost("after")];
        let refusal = node.commit_all(commands).await.unwrap_err();
        assert!(refusal.text.contains("absent"), "{refusal}");
        let snapshot = node.snapshot();
        assert!(snapshot.catalog.vhost("before").is_some() && snapshot.catalog.vhost("after").is_none());
    }

    #[tokio::test]
    async fn a_node_goes_over_to_further_definitions_by_what_differs() {
        let (_folder, node) = started_blank().await;
        let queue = |name| durable_queue(&node, name);
        node.commit_all(vec![queue("stays"), queue("goes")]).await.unwrap();
        let (stays, goes) = {
            let snapshot = node.snapshot();
            let cell = |name: &str| {
                snapshot
                    .cell(snapshot.catalog.queue("/", name).unwrap().id)
                    .unwrap()
                    .clone()
            };
            (cell("stays"), cell("goes"))
        };
        let mut further = node.snapshot().catalog.clone();
        for command in [Command::DeleteQueue(goes.id), queue("comes")] {
            further.apply(command, &mut Vec::new()).unwrap();
        }
        node.install(further.clone());
        let snapshot = node.snapshot();
        assert!(snapshot.catalog == further);
        assert!(snapshot.cell(stays.id).is_some_and(|cell| Arc::ptr_eq(cell, &stays)));
        assert!(snapshot.cell(goes.id).is_none() && goes.hold().dead);
        assert!(
            snapshot
                .cell_by_name(&"/".parse().unwrap(), &"comes".parse().unwrap())
                .is_some()
        );
    }
}
