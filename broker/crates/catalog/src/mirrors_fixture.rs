//! A cluster for tests of mirrored queues: nodes `a@h`, `b@h` and so on that start, die and propose; records as one line.

use crate::fixture::Fixture;
use crate::{
    Answer, Command, CopyState, Event, MirrorAct, MirrorChange, MirrorRefusal, MirrorsProposal, NodeDeath, NodeKind,
    PolicySpec, QueueRecord, QueueSpec, Replicas,
};
use model::{ApplyTo, NodeUuid, PolicyLevel, Refusal, Table, Value};
use std::sync::Arc;

/// `a` is the first.
pub(crate) fn uuid(node: char) -> NodeUuid {
    NodeUuid(u128::from(u32::from(node) - u32::from('a') + 1))
}

pub(crate) fn letter(node: NodeUuid) -> char {
    char::from(b'a' + (node.0 as u8 - 1))
}

pub(crate) struct Cluster {
    pub(crate) fixture: Fixture,
}

/// `ha-mode` and `ha-params`.
pub(crate) fn all() -> Table {
    Table::from([("ha-mode", "all".into())])
}

pub(crate) fn exactly(count: i64) -> Table {
    Table::from([("ha-mode", "exactly".into()), ("ha-params", Value::I64(count))])
}

pub(crate) fn nodes(letters: &str) -> Table {
    let names = letters.chars().map(|node| format!("{node}@h").as_str().into());
    Table::from([
        ("ha-mode", "nodes".into()),
        ("ha-params", Value::Array(names.collect())),
    ])
}

pub(crate) fn policy(definition: Table) -> Command {
    Command::SetPolicy(PolicySpec {
        vhost: "/".parse().unwrap(),
        name: "ha".into(),
        level: PolicyLevel::User,
        pattern: "^q".into(),
        apply_to: ApplyTo::Queues,
        priority: 0,
        definition,
    })
}

pub(crate) fn no_policy() -> Command {
    Command::ClearPolicy {
        vhost: "/".parse().unwrap(),
        level: PolicyLevel::User,
        name: "ha".into(),
    }
}

pub(crate) fn queue(name: &str, leader: char) -> QueueSpec {
    QueueSpec {
        vhost: "/".parse().unwrap(),
        name: name.parse().unwrap(),
        durable: true,
        auto_delete: false,
        owner: None,
        arguments: Table::default(),
        leader: format!("{leader}@h").as_str().into(),
        user: "ann".parse().unwrap(),
    }
}

pub(crate) fn node_up(node: char, incarnation: u64) -> Command {
    Command::NodeUp {
        node: uuid(node),
        name: format!("{node}@h").as_str().into(),
        incarnation,
        boot_id: incarnation,
        mirrors: true,
    }
}

pub(crate) fn add_node(node: char) -> Command {
    Command::AddNode {
        node: uuid(node),
        name: format!("{node}@h").as_str().into(),
        kind: NodeKind::Disc,
    }
}

/// `e1 a1: a1 b1 cD d-`: epoch, leader and its start; then each copy with the start in which it is in sync, `D` for what
/// has its disk alone, `-` for what promises nothing.
pub(crate) fn shown(replicas: &Replicas) -> String {
    let copy = |copy: &crate::CopyRecord| {
        let state = match copy.state {
            CopyState::InSync { incarnation } => incarnation.to_string(),
            CopyState::Disk => "D".into(),
            CopyState::Syncing => "-".into(),
        };
        format!(" {}{state}", letter(copy.node))
    };
    let copies: String = replicas.copies.iter().map(copy).collect();
    let leader = letter(replicas.leader);
    format!("e{} {leader}{}:{copies}", replicas.epoch.0, replicas.leader_incarnation)
}

impl Cluster {
    /// Nodes that have each started once.
    pub(crate) fn of(letters: &str) -> Self {
        let mut cluster = Cluster {
            fixture: Fixture::new(),
        };
        for (place, node) in letters.chars().enumerate() {
            if place > 0 {
                cluster.apply(add_node(node));
            }
            cluster.apply(node_up(node, 1));
        }
        cluster
    }

    /// These nodes, a policy, and a queue `q` that `a` leads.
    pub(crate) fn with_queue(letters: &str, definition: Table) -> Self {
        let mut cluster = Self::of(letters);
        cluster.apply(policy(definition));
        cluster.apply(Command::DeclareQueue(queue("q", 'a')));
        cluster
    }

    pub(crate) fn try_apply(&mut self, command: Command) -> Result<Answer, Refusal> {
        self.fixture.events.clear();
        self.fixture.catalog.apply(command, &mut self.fixture.events)
    }

    pub(crate) fn apply(&mut self, command: Command) -> Answer {
        self.try_apply(command).unwrap()
    }

    fn incarnation(&self, node: char) -> u64 {
        self.fixture.catalog.node(uuid(node)).unwrap().incarnation
    }

    /// New processes of these nodes, one entry after the other.
    pub(crate) fn restart(&mut self, letters: &str) {
        for node in letters.chars() {
            self.apply(node_up(node, self.incarnation(node) + 1));
        }
    }

    /// These processes turn out to run still.
    pub(crate) fn come_back(&mut self, letters: &str) {
        for node in letters.chars() {
            self.apply(node_up(node, self.incarnation(node)));
        }
    }

    /// All of them in one entry.
    pub(crate) fn down(&mut self, letters: &str) {
        let death = |node| NodeDeath {
            node: uuid(node),
            incarnation: self.incarnation(node),
        };
        let deaths = letters.chars().map(death).collect();
        self.apply(Command::NodeDown(deaths));
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Arc<QueueRecord>> {
        self.fixture.catalog.queue("/", name)
    }

    pub(crate) fn record(&self) -> &Arc<QueueRecord> {
        self.find("q").unwrap()
    }

    pub(crate) fn replicas(&self) -> &Replicas {
        self.record().replicas.as_deref().unwrap()
    }

    pub(crate) fn shown(&self) -> String {
        shown(self.replicas())
    }

    /// What the process that leads `q` would propose on the record as it is now.
    pub(crate) fn proposal(&self, act: MirrorAct) -> Command {
        let replicas = self.replicas();
        Command::Mirrors(MirrorsProposal {
            node: replicas.leader,
            incarnation: replicas.leader_incarnation,
            changes: vec![MirrorChange {
                queue: self.record().id,
                epoch: replicas.epoch,
                version: replicas.version,
                act,
            }],
        })
    }

    pub(crate) fn commit(&mut self, proposal: Command) -> Result<(), MirrorRefusal> {
        match self.apply(proposal) {
            Answer::Mirrors(judged) => judged[0],
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn propose(&mut self, act: MirrorAct) -> Result<(), MirrorRefusal> {
        let proposal = self.proposal(act);
        self.commit(proposal)
    }

    pub(crate) fn add(&self, node: char) -> MirrorAct {
        MirrorAct::AddInSync {
            node: uuid(node),
            incarnation: self.incarnation(node),
        }
    }

    pub(crate) fn hand_over(&self, node: char) -> MirrorAct {
        MirrorAct::HandOver {
            node: uuid(node),
            incarnation: self.incarnation(node),
        }
    }

    /// What the last entry gave up.
    pub(crate) fn losses(&self) -> Vec<crate::Loss> {
        let loss = |event: &Event| match event {
            Event::MessagesGivenUp(_, loss) => Some(*loss),
            _ => None,
        };
        self.fixture.events.iter().filter_map(loss).collect()
    }
}
