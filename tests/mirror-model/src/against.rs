//! The broker's own catalogue, given the same entries as the model, has to come to the same record.
//!
//! The model knows three nodes that all have a copy; nothing of what the broker's policies place is looked at here.

use crate::record::{Act, NODES, Promise, Proposal, Record};
use crate::state::{Bounds, State};
use crate::step::Step;
use catalog::{
    Answer, Catalog, Command, CopyState, MirrorAct, MirrorChange, MirrorsProposal, NodeDeath, NodeKind, PolicySpec,
    QueueSpec, Replicas,
};
use model::{ApplyTo, NodeUuid, PolicyLevel, Refusal, Table};
use std::collections::{BTreeMap, HashSet};

/// An entry of the catalogue's log.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry {
    Restart(usize),
    Return(usize),
    Death(usize),
    Proposed(Proposal),
}

impl Entry {
    fn on(self, record: Record) -> Record {
        let lost = &mut 0;
        match self {
            Entry::Restart(node) => record.restarted(node, record.incarnations[node] + 1, lost, None),
            Entry::Return(node) => record.came_back(node, lost, None),
            Entry::Death(node) => record.died(node, lost, None),
            Entry::Proposed(proposal) => record.proposed(proposal, 1, lost, None),
        }
    }
}

/// The broker's catalogue, following the model.
#[derive(Clone, Debug)]
pub struct Shadow {
    catalog: Catalog,
    /// The broker's versions are ahead by so much.
    ahead: u64,
    /// Who led in which epoch: the model's proposals do not say whose they are.
    leaders: BTreeMap<u8, (u8, u8)>,
}

fn uuid(node: usize) -> NodeUuid {
    NodeUuid(node as u128 + 1)
}

fn name(node: usize) -> String {
    format!("rabbit@n{node}")
}

fn start(node: usize, incarnation: u8) -> Command {
    Command::NodeUp {
        node: uuid(node),
        name: name(node).into(),
        incarnation: incarnation.into(),
        boot_id: incarnation.into(),
        mirrors: true,
    }
}

fn wrong(refusal: Refusal) -> String {
    format!("the broker refuses: {}", refusal.text)
}

/// What a first start, three nodes, a policy and a queue are.
fn beginnings() -> Result<Vec<Command>, String> {
    let vhost: model::VhostName = "/".parse().map_err(|_| "a virtual host's name")?;
    let mut commands = vec![Command::PutVhost {
        name: vhost.clone(),
        metadata: Default::default(),
    }];
    for node in 0..NODES {
        if node > 0 {
            commands.push(Command::AddNode {
                node: uuid(node),
                name: name(node).into(),
                kind: NodeKind::Disc,
            });
        }
        commands.push(start(node, 1));
    }
    commands.push(Command::SetPolicy(PolicySpec {
        vhost: vhost.clone(),
        name: "all".into(),
        level: PolicyLevel::User,
        pattern: String::new(),
        apply_to: ApplyTo::Queues,
        priority: 0,
        definition: Table::from([("ha-mode", "all".into())]),
    }));
    commands.push(Command::DeclareQueue(QueueSpec {
        vhost,
        name: "q".parse().map_err(|_| "a queue's name")?,
        durable: true,
        auto_delete: false,
        owner: None,
        arguments: Table::default(),
        leader: name(0).into(),
        user: "guest".parse().map_err(|_| "a user's name")?,
    }));
    Ok(commands)
}

impl Shadow {
    /// As the model begins.
    ///
    /// # Errors
    /// What the broker does not accept, or does otherwise.
    pub fn new(bounds: &Bounds) -> Result<Self, String> {
        let first = Record::first(bounds.in_sync);
        let mut shadow = Shadow {
            catalog: Catalog::default(),
            ahead: 0,
            leaders: BTreeMap::from([(1, (0, 1))]),
        };
        for command in beginnings()? {
            shadow.apply(command)?;
        }
        for node in (0..NODES).filter(|node| !first.copies[*node].is_counted()) {
            shadow.ahead = shadow.replicas()?.version - 1;
            let version = first.version;
            let (act, epoch, node) = (Act::Evict, first.epoch, node as u8);
            let evict = Proposal {
                act,
                epoch,
                version,
                node,
            };
            shadow.apply(shadow.command(Entry::Proposed(evict), &first)?)?;
        }
        shadow.ahead = shadow.replicas()?.version - u64::from(first.version);
        shadow.compare(&first)?;
        Ok(shadow)
    }

    fn apply(&mut self, command: Command) -> Result<Answer, String> {
        self.catalog.apply(command, &mut Vec::new()).map_err(wrong)
    }

    fn queue(&self) -> Result<&catalog::QueueRecord, String> {
        let found = self.catalog.queue("/", "q").ok_or("the broker has lost the queue")?;
        Ok(found.as_ref())
    }

    fn replicas(&self) -> Result<&Replicas, String> {
        let found = self.queue()?.replicas.as_deref();
        found.ok_or_else(|| "the broker does not mirror the queue".to_owned())
    }

    fn command(&self, entry: Entry, record: &Record) -> Result<Command, String> {
        Ok(match entry {
            Entry::Restart(node) => start(node, record.incarnations[node] + 1),
            Entry::Return(node) => start(node, record.incarnations[node]),
            Entry::Death(node) => Command::NodeDown(vec![NodeDeath {
                node: uuid(node),
                incarnation: record.incarnations[node].into(),
            }]),
            Entry::Proposed(proposal) => Command::Mirrors(self.proposal(proposal, record)?),
        })
    }

    fn proposal(&self, proposal: Proposal, record: &Record) -> Result<MirrorsProposal, String> {
        let place = usize::from(proposal.node);
        let node = uuid(place);
        let act = match proposal.act {
            Act::Evict => MirrorAct::Evict(node),
            Act::AddInSync(incarnation) => MirrorAct::AddInSync {
                node,
                incarnation: incarnation.into(),
            },
            Act::HandOver => MirrorAct::HandOver {
                node,
                incarnation: record.incarnations[place].into(),
            },
        };
        let (leader, incarnation) = self.leaders.get(&proposal.epoch).ok_or("an epoch that nobody led")?;
        Ok(MirrorsProposal {
            node: uuid(usize::from(*leader)),
            incarnation: (*incarnation).into(),
            changes: vec![MirrorChange {
                queue: self.queue()?.id,
                epoch: model::Epoch(proposal.epoch.into()),
                version: u64::from(proposal.version) + self.ahead,
                act,
            }],
        })
    }

    /// One entry, which made `after` of the model's record.
    fn enter(&mut self, entry: Entry, before: &Record, after: &Record) -> Result<(), String> {
        let command = self.command(entry, before)?;
        self.apply(command)?;
        self.leaders
            .insert(after.epoch, (after.leader, after.leader_incarnation));
        let compared = self.compare(after);
        compared.map_err(|difference| format!("after {entry:?} on {before}: {difference}"))
    }

    fn compare(&self, record: &Record) -> Result<(), String> {
        let replicas = self.replicas()?;
        let state = |promise: &Promise| match promise {
            Promise::Syncing => CopyState::Syncing,
            Promise::Disk => CopyState::Disk,
            Promise::InSync(incarnation) => CopyState::InSync {
                incarnation: (*incarnation).into(),
            },
        };
        let copies = record.copies.iter().enumerate();
        let expected = Replicas {
            epoch: model::Epoch(record.epoch.into()),
            version: u64::from(record.version) + self.ahead,
            leader: uuid(record.leader.into()),
            leader_incarnation: record.leader_incarnation.into(),
            copies: copies
                .map(|(node, promise)| catalog::CopyRecord {
                    node: uuid(node),
                    state: state(promise),
                })
                .collect(),
            min_counted: 1,
        };
        let up = |node: usize| self.catalog.node(uuid(node)).is_some_and(|found| found.up);
        let same_nodes = (0..NODES).all(|node| up(node) == record.is_up(node));
        match *replicas == expected && same_nodes {
            true => Ok(()),
            false => Err(format!("the model says {record}, the broker {replicas:?}")),
        }
    }

    /// A step of the model. Most are none of the catalogue's business.
    ///
    /// # Errors
    /// How the broker's record differs from the model's.
    pub fn follow(&mut self, before: &State, step: Step, after: &State) -> Result<(), String> {
        let entry = match step {
            Step::Commit(place) => before.proposals[place].map(Entry::Proposed),
            Step::Restart(node) => Some(Entry::Restart(node)),
            Step::Death(node) => Some(Entry::Death(node)),
            Step::Return(node) => Some(Entry::Return(node)),
            _ => None,
        };
        let entry = entry.map(|entry| self.enter(entry, before.record(), after.record()));
        entry.unwrap_or(Ok(()))
    }
}

/// All entries that can meet a record: with proposals on it, and on the version before.
fn entries(record: &Record) -> Vec<Entry> {
    let mut all = Vec::new();
    for node in 0..NODES {
        all.push(Entry::Restart(node));
        all.push(if record.is_up(node) {
            Entry::Death(node)
        } else {
            Entry::Return(node)
        });
        let incarnation = record.incarnations[node];
        for act in [
            Act::Evict,
            Act::AddInSync(incarnation),
            Act::AddInSync(incarnation - 1),
            Act::HandOver,
        ] {
            for version in [record.version, record.version - 1] {
                let (epoch, node) = (record.epoch, node as u8);
                // The model's leaders propose nothing about themselves but what is refused.
                if node != record.leader || act == Act::Evict {
                    all.push(Entry::Proposed(Proposal {
                        act,
                        epoch,
                        version,
                        node,
                    }));
                }
            }
        }
    }
    all
}

/// Every record that so many entries can make of a first one, with each entry given to both; how many were compared.
///
/// # Errors
/// How the broker's record differs from the model's.
pub fn compare_all(depth: usize) -> Result<usize, String> {
    let bounds = Bounds::default();
    let first = Record::first(bounds.in_sync);
    let mut seen = HashSet::from([first]);
    let (mut frontier, mut compared) = (vec![(first, Shadow::new(&bounds)?)], 0);
    for _entry in 0..depth {
        let mut next = Vec::new();
        for (record, shadow) in &frontier {
            for entry in entries(record) {
                let after = entry.on(*record);
                let mut followed = shadow.clone();
                followed.enter(entry, record, &after)?;
                compared += 1;
                if seen.insert(after) {
                    next.push((after, followed));
                }
            }
        }
        frontier = next;
    }
    Ok(compared)
}
