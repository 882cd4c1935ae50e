//! One life of a cluster: nodes, committed entries, proposals on their way, and the judge; how it is begun, goes on, and is
//! healed.

use catalog::{
    Catalog, Command, Definitions, Event, Loss, MirrorAct, MirrorChange, MirrorsProposal, NodeDeath, NodeKind,
};
use model::{Epoch, Millis, NodeUuid, QueueId};
use std::collections::{BTreeMap, BTreeSet};

use crate::draw::Draw;
use crate::judge::Judge;
use crate::links::Links;
use crate::log::Log;
use crate::node::{Node, Stage, World, has_copy};
use crate::origin::Origin;
use crate::rules::Rule;

/// What may go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Nodes die and come back.
    pub crashes: u64,
    /// Nodes that run are thought to be gone.
    pub false_deaths: u64,
    /// Links and lines are cut.
    pub cuts: u64,
    /// Proposals are late, lost, or nobody knows what became of them.
    pub lost_answers: u64,
    /// Disks are lost for good.
    pub wipes: u64,
}

impl Faults {
    /// Everything.
    pub const ALL: Faults = Faults {
        crashes: 6,
        false_deaths: 5,
        cuts: 4,
        lost_answers: 16,
        wipes: 1,
    };
}

/// How large a life is.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Steps before everything is healed.
    pub steps: u64,
    /// Nodes.
    pub nodes: usize,
    /// What goes wrong.
    pub faults: Faults,
    /// A rule that is left out.
    pub without: Option<Rule>,
}

/// As large as those of a campaign.
pub const SHAPE: Shape = Shape {
    steps: 700,
    nodes: 3,
    faults: Faults::ALL,
    without: None,
};

/// What a proposer waits for: its place, its start, and what it proposed of which queue.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) by: (usize, u64),
    pub(crate) of: (QueueId, Epoch, u64),
    /// That another leads.
    pub(crate) hands_over: bool,
    /// The entry, once there is one.
    pub(crate) entry: Option<usize>,
}

/// A proposal on its way.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) command: Command,
    pub(crate) asked: Option<Asked>,
}

/// One life.
pub struct Life {
    pub(crate) draw: Draw,
    pub(crate) now: Millis,
    pub(crate) nodes: Vec<Node>,
    pub(crate) entries: Vec<Command>,
    /// All of them applied.
    pub(crate) truth: Catalog,
    pub(crate) pending: Vec<Pending>,
    pub(crate) answers: Vec<Asked>,
    pub(crate) judge: Judge,
    pub(crate) without: Option<Rule>,
    pub(crate) faults: Faults,
    pub(crate) numbers: u64,
    /// Steps of the usual kind for one of the bad ones are so many times as many.
    pub(crate) calm: u64,
    /// The node whose disk is slow.
    pub(crate) slow: Option<usize>,
    /// What happened, if it is to be told.
    pub(crate) told: Option<Vec<String>>,
    steps: u64,
}

fn letter_of(at: usize) -> char {
    char::from(b'a' + at as u8)
}

fn first_definitions() -> Catalog {
    let password = access::PasswordHash::none(access::HashAlgorithm::Sha256);
    let user = access::User {
        name: "ann".parse().expect("a name"),
        password,
        tags: vec![],
        limits: access::UserLimits::default(),
    };
    let all = access::PermissionTexts {
        configure: ".*".into(),
        write: ".*".into(),
        read: ".*".into(),
    };
    let first = Definitions::first("/".parse().expect("a name"), user, all);
    let mut catalog = Catalog::default();
    let commands = first.commands(&catalog, &"a@h".into(), &"ann".parse().expect("a name"));
    for command in commands {
        catalog.apply(command, &mut Vec::new()).expect("the first definitions");
    }
    catalog
}

impl Life {
    /// The beginning of the life that a number means.
    pub fn new(seed: u64, shape: Shape) -> Self {
        let mut draw = Draw::new(seed);
        let truth = first_definitions();
        let node = |at: usize, resident_max| Node {
            uuid: NodeUuid(at as u128 + 1),
            name: format!("{}@h", letter_of(at)).as_str().into(),
            incarnation: 0,
            stage: Stage::Down,
            catalog: truth.clone(),
            applied: 0,
            log: Log::default(),
            links: Links::default(),
            led: BTreeMap::new(),
            copies: BTreeMap::new(),
            origin: Origin::default(),
            resident_max,
        };
        let resident_max = if draw.once_in(3) { 256 } else { 1 << 20 };
        let calm = [1, 2, 6][draw.index(3)];
        let slow = draw.once_in(2).then(|| draw.index(shape.nodes));
        let nodes = (0..shape.nodes).map(|at| node(at, resident_max)).collect();
        let mut life = Life {
            draw,
            now: Millis(1000),
            nodes,
            entries: Vec::new(),
            truth,
            pending: Vec::new(),
            answers: Vec::new(),
            judge: Judge::default(),
            without: shape.without,
            faults: shape.faults,
            numbers: 0,
            calm,
            slow,
            told: None,
            steps: shape.steps,
        };
        life.begin();
        life
    }

    /// Tells everything that happens from now on.
    pub fn telling(mut self) -> Self {
        self.told = Some(Vec::new());
        self
    }

    /// What happened.
    pub fn told(&self) -> &[String] {
        self.told.as_deref().unwrap_or_default()
    }

    /// How often what happened.
    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.judge.counts
    }

    fn begin(&mut self) {
        for at in 0..self.nodes.len() {
            if at > 0 {
                self.add_node(at);
            }
            self.start(at);
            while let Some(pending) = self.pending.pop() {
                self.commit(pending);
            }
        }
        self.know();
        self.set_policy();
        self.declare(0);
        self.declare(1);
        self.declare(2);
        while !self.pending.is_empty() {
            let first = self.pending.remove(0);
            self.commit(first);
        }
        (0..self.nodes.len()).for_each(|at| while self.learn(at) {});
    }

    /// Every node knows where the others are.
    pub(crate) fn know(&mut self) {
        let uuids: Vec<NodeUuid> = self.nodes.iter().map(|node| node.uuid).collect();
        self.nodes.iter_mut().for_each(|node| node.links.know(uuids.clone()));
    }

    pub(crate) fn add_node(&mut self, at: usize) {
        let node = &self.nodes[at];
        let (node, name) = (node.uuid, node.name.clone());
        self.commit_now(Command::AddNode {
            node,
            name,
            kind: NodeKind::Disc,
        });
    }

    pub(crate) fn commit_now(&mut self, command: Command) {
        self.commit(Pending { command, asked: None });
    }

    pub(crate) fn propose(&mut self, command: Command) {
        self.pending.push(Pending { command, asked: None });
    }

    /// A node, and what is beside it.
    pub(crate) fn at(&mut self, at: usize) -> (&mut Node, World<'_>) {
        let world = World {
            judge: &mut self.judge,
            without: self.without,
            now: self.now,
        };
        (&mut self.nodes[at], world)
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        self.judge.count(what);
    }

    pub(crate) fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(told) = &mut self.told {
            told.push(what());
        }
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// A process of a node starts: it counts its start, and lets it be known.
    pub(crate) fn start(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.incarnation += 1;
        node.stage = Stage::Starting;
        self.say_up(at);
    }

    /// A node says that it is there.
    pub(crate) fn say_up(&mut self, at: usize) {
        let node = &self.nodes[at];
        let (incarnation, boot_id) = (node.incarnation, node.incarnation);
        let (node, name) = (node.uuid, node.name.clone());
        self.propose(Command::NodeUp {
            node,
            name,
            incarnation,
            boot_id,
            mirrors: true,
        });
    }

    /// A node learns the next entry, if there is one.
    pub(crate) fn learn(&mut self, at: usize) -> bool {
        let Some(entry) = self.entries.get(self.nodes[at].applied).cloned() else {
            return false;
        };
        if self.nodes[at].stage == Stage::Down {
            return false;
        }
        let (node, mut world) = self.at(at);
        node.learn(&entry, &mut world);
        self.tell(|| format!("{} learns {entry:?}", letter_of(at)));
        self.hear_answers(at);
        true
    }

    /// What a node proposed is answered once it has learned the entry.
    fn hear_answers(&mut self, at: usize) {
        let applied = self.nodes[at].applied;
        let is_heard = |asked: &Asked| asked.by.0 == at && asked.entry.is_some_and(|entry| entry < applied);
        let (heard, open) = self.answers.drain(..).partition(is_heard);
        self.answers = open;
        let heard: Vec<Asked> = heard;
        heard.iter().for_each(|asked| self.answered(asked));
    }

    /// A leader hears what has become of what it proposed, or that nobody knows.
    pub(crate) fn answered(&mut self, asked: &Asked) {
        let (at, incarnation) = asked.by;
        let (queue, epoch, version) = asked.of;
        let (now, without) = (self.now, self.without);
        let node = &mut self.nodes[at];
        if node.incarnation != incarnation || node.stage == Stage::Down {
            return;
        }
        let stream = node.led.get_mut(&queue).and_then(|led| led.journal.stream.as_mut());
        let Some(stream) = stream.filter(|stream| stream.leader.record().epoch == epoch) else {
            return;
        };
        match asked.hands_over && asked.entry.is_some() {
            // It leads still: the entry has changed nothing.
            true => stream.leader.refused(version),
            false => stream.leader.answered(version, now),
        }
        if without == Some(Rule::Settle) {
            let record = stream.leader.record().clone();
            let version = record.version + 1;
            stream.leader.learn(
                mirror::Record {
                    version,
                    ..record.clone()
                },
                now,
            );
            stream.leader.learn(record, now);
        }
    }

    /// An entry is committed.
    pub(crate) fn commit(&mut self, pending: Pending) {
        let Pending { mut command, asked } = pending;
        self.undo_compare_and_set(&mut command);
        let (before, counted) = (self.in_sync(), self.counted());
        self.enter(command.clone());
        if let Some(asked) = asked {
            let entry = Some(self.entries.len() - 1);
            self.answers.push(Asked { entry, ..asked });
        }
        match (self.without, &command) {
            (Some(Rule::RestartDemotes), Command::NodeUp { node, incarnation, .. }) => {
                let (node, incarnation) = (*node, *incarnation);
                let promised = before.into_iter().filter(|(_, promised)| *promised == node);
                let queues: Vec<QueueId> = promised.map(|(queue, _)| queue).collect();
                let act = MirrorAct::AddInSync { node, incarnation };
                queues.iter().for_each(|queue| self.enforce(*queue, act));
            }
            (Some(Rule::DownStaysCounted), Command::NodeDown(deaths)) => {
                let queues: Vec<QueueId> = self.truth.queues().map(|record| record.id).collect();
                for NodeDeath { node, .. } in deaths.clone() {
                    queues
                        .iter()
                        .for_each(|queue| self.enforce(*queue, MirrorAct::Evict(node)));
                }
            }
            _ => {}
        }
        if matches!(command, Command::NodeUp { .. } | Command::NodeDown(_)) {
            self.judge_counted(&counted);
        }
    }

    /// Nodes that come and go put no copy out of the counted set, unless it is no copy any more (R3).
    fn judge_counted(&mut self, before: &BTreeSet<(QueueId, NodeUuid)>) {
        let now = self.counted();
        for (queue, node) in before.difference(&now) {
            let record = self.truth.queue_by_id(*queue);
            if record.is_some_and(|record| has_copy(record, *node)) {
                self.judge.breaks(|| {
                    format!("R3: the copy of {queue:?} on {node} counts no more, and no leader has said so")
                });
            }
        }
    }

    /// Which copies count, as the definitions say.
    fn counted(&self) -> BTreeSet<(QueueId, NodeUuid)> {
        let mut found = BTreeSet::new();
        for record in self.truth.queues() {
            let counted = record.replicas.iter().flat_map(|replicas| replicas.counted());
            found.extend(counted.map(|copy| (record.id, copy.node)));
        }
        found
    }

    fn enter(&mut self, command: Command) {
        let mut events = Vec::new();
        self.tell(|| format!("committed: {command:?}"));
        // What is refused changes nothing.
        let _answer = self.truth.apply(command.clone(), &mut events);
        self.entries.push(command);
        for event in events {
            match event {
                Event::MessagesGivenUp(record, Loss::Transient) => {
                    let epoch = record.replicas.as_ref().map_or(Epoch(0), |replicas| replicas.epoch);
                    self.judge.elected_from_disk(record.id, epoch);
                    self.count("elections from disk");
                }
                Event::QueueDeleted(record) => self.judge.deleted(record.id),
                Event::QueueReplicasChanged { before, now } => {
                    let epoch = |record: &catalog::QueueRecord| record.replicas.as_ref().map(|found| found.epoch);
                    if epoch(&before) != epoch(&now) {
                        self.count("elections");
                    }
                }
                _ => {}
            }
        }
    }

    /// Which copies are in sync, as the definitions say.
    fn in_sync(&self) -> BTreeSet<(QueueId, NodeUuid)> {
        let mut found = BTreeSet::new();
        for record in self.truth.queues() {
            for copy in record.replicas.iter().flat_map(|replicas| replicas.copies.iter()) {
                if matches!(copy.state, catalog::CopyState::InSync { .. }) {
                    found.insert((record.id, copy.node));
                }
            }
        }
        found
    }

    /// Makes a change as if the leader had proposed it on the record as it is.
    fn enforce(&mut self, queue: QueueId, act: MirrorAct) {
        let replicas = self.truth.queue_by_id(queue).and_then(|record| record.replicas.clone());
        let Some(replicas) = replicas else { return };
        let (epoch, version) = (replicas.epoch, replicas.version);
        self.enter(Command::Mirrors(MirrorsProposal {
            node: replicas.leader,
            incarnation: replicas.leader_incarnation,
            changes: vec![MirrorChange {
                queue,
                epoch,
                version,
                act,
            }],
        }));
    }

    fn undo_compare_and_set(&self, command: &mut Command) {
        let (Some(rule), Command::Mirrors(proposal)) = (self.without, command) else {
            return;
        };
        let [change] = &mut proposal.changes[..] else { return };
        let record = self.truth.queue_by_id(change.queue);
        let Some(replicas) = record.and_then(|record| record.replicas.as_ref()) else {
            return;
        };
        match rule {
            Rule::CompareAndSet => {
                (change.epoch, change.version) = (replicas.epoch, replicas.version);
                (proposal.node, proposal.incarnation) = (replicas.leader, replicas.leader_incarnation);
            }
            Rule::VersionToo if change.epoch == replicas.epoch => change.version = replicas.version,
            _ => {}
        }
    }

    /// Cuts a link.
    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        let now = self.now;
        let node = &mut self.nodes[from];
        if !node.links.cut(to) {
            return;
        }
        let uuid = node.links.uuid(to);
        for led in node.led.values_mut() {
            if let Some(stream) = &mut led.journal.stream {
                stream.attached.retain(|attached| attached.to != to);
                stream.leader.detach(uuid, now);
            }
        }
    }

    /// Lives until the end and is healed; the sentence that says which promise was broken, if one was.
    pub fn run(&mut self) -> Option<String> {
        for step in 0..self.steps {
            self.step();
            self.audit();
            if let Some(broken) = &self.judge.broken {
                return Some(format!("at step {step}: {broken}"));
            }
        }
        self.heal();
        self.judge.broken.clone()
    }
}
