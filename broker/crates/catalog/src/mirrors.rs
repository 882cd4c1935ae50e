//! What leaders propose about the copies of their queues, and what follows from that and from every other entry that
//! touches a queue's copies or a node: an election, and copies where the policies want them.
//!
//! A proposal may carry many queues; each is judged by itself against the record as it is now: an old one, or one of
//! somebody who does not lead any more, changes nothing.

use crate::apply::{Applied, Change};
use crate::command::Answer;
use crate::copy_placement::Wish;
use crate::event::{Event, Loss};
use crate::record::{NodeRecord, QueueRecord};
use crate::replicas::{CopyState, Election, Replicas, running};
use crate::state::Catalog;
use crate::texts;
use model::{Epoch, HaMode, NodeUuid, QueueId, Refusal};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What one leader wants changed, in many queues at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorsProposal {
    /// The node that leads them.
    pub node: NodeUuid,
    /// Which of its starts.
    pub incarnation: u64,
    /// One by one.
    pub changes: Vec<MirrorChange>,
}

/// A change of one queue's copies, proposed on one state of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorChange {
    /// Which queue.
    pub queue: QueueId,
    /// The epoch that the leader knew.
    pub epoch: Epoch,
    /// The version that the leader knew.
    pub version: u64,
    /// What is to change.
    pub act: MirrorAct,
}

/// What is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MirrorAct {
    /// Confirms wait for this node's copy no longer.
    Evict(NodeUuid),
    /// This node's copy is complete.
    AddInSync {
        /// Where.
        node: NodeUuid,
        /// Which of that node's starts has acknowledged it.
        incarnation: u64,
    },
    /// A copy begins there, empty.
    AddCopy(NodeUuid),
    /// The copy there ends.
    RemoveCopy(NodeUuid),
    /// Another leads.
    HandOver {
        /// Where.
        node: NodeUuid,
        /// Which of that node's starts.
        incarnation: u64,
    },
}

/// Why a change was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MirrorRefusal {
    /// The queue is gone.
    #[error("there is no such queue any more")]
    NoQueue,
    /// It has no copies.
    #[error("the queue has never been mirrored")]
    NotMirrored,
    /// The proposer's process does not lead.
    #[error("another process leads the queue")]
    NotTheLeader,
    /// It was proposed on a record that has changed since.
    #[error("the record has changed since: it is at epoch {} and version {version}", epoch.0)]
    Stale {
        /// As it is.
        epoch: Epoch,
        /// As it is.
        version: u64,
    },
    /// What is proposed cannot be done to the leader's own copy.
    #[error("that is the leader's own copy")]
    TheLeader,
    /// So many copies are counted at least.
    #[error("at least {0} of the copies must be counted: another one has to be in sync first")]
    TooFew(u32),
    /// The node has no copy.
    #[error("that node has no copy of the queue")]
    NoCopy,
    /// The node has a copy.
    #[error("that node has a copy of the queue already")]
    HasCopy,
    /// The copy is another process's by now.
    #[error("that node has been started again since")]
    OtherProcess,
    /// The copy is not whole.
    #[error("that node's copy is not in sync")]
    NotInSync,
    /// The node is not known to run.
    #[error("that node is down")]
    Down,
    /// The node is unknown, or of a release without mirrors.
    #[error("that node is no member that can hold copies")]
    NoMirrors,
}

/// Whether the policies' wishes are looked at after a change. What a leader does by name stays so until the next event
/// of a policy or a node: so it can move a queue to where no policy wants it, by a copy, a hand-over and a removal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Placing {
    Not,
    /// This node's copy is not left over, whatever they say.
    Sparing(NodeUuid),
    Fully,
}

impl Placing {
    fn after(act: MirrorAct) -> Self {
        match act {
            MirrorAct::AddCopy(_) | MirrorAct::RemoveCopy(_) => Placing::Not,
            MirrorAct::AddInSync { node, .. } => Placing::Sparing(node),
            MirrorAct::Evict(_) | MirrorAct::HandOver { .. } => Placing::Fully,
        }
    }

    fn spared(self) -> Option<NodeUuid> {
        match self {
            Placing::Sparing(node) => Some(node),
            Placing::Not | Placing::Fully => None,
        }
    }
}

/// So many members has a quorum queue that does not say how many, as in RabbitMQ.
pub(crate) const GROUP_SIZE: u64 = 3;

impl Change<'_> {
    /// Judges what a leader proposes, queue by queue.
    pub(crate) fn mirrors(&mut self, proposal: &MirrorsProposal) -> Answer {
        let judged = proposal.changes.iter().map(|change| self.judge(proposal, change));
        Answer::Mirrors(judged.collect())
    }

    fn judge(&mut self, proposal: &MirrorsProposal, change: &MirrorChange) -> Result<(), MirrorRefusal> {
        let record = self.catalog.queues.get(&change.queue).cloned();
        let record = record.ok_or(MirrorRefusal::NoQueue)?;
        let known = record.replicas.as_deref().cloned();
        let begun = || self.catalog.begun_replicas(&record, change.act);
        let mut replicas = known.or_else(begun).ok_or(MirrorRefusal::NotMirrored)?;
        let by = (proposal.node, proposal.incarnation);
        replicas.propose(by, change, &self.catalog.nodes)?;
        self.conclude(&record, replicas, Placing::after(change.act));
        Ok(())
    }

    /// Changes the copies of a queue, if it is a mirrored one or can become one now, and does what follows from that.
    pub(crate) fn revise(&mut self, id: QueueId, change: impl FnOnce(&mut Replicas, &QueueRecord)) {
        let Some(record) = self.catalog.queues.get(&id).cloned() else {
            return;
        };
        let known = record.replicas.as_deref().cloned();
        let Some(mut replicas) = known.or_else(|| self.catalog.first_replicas(&record)) else {
            return;
        };
        change(&mut replicas, &record);
        self.conclude(&record, replicas, Placing::Fully);
    }

    /// As `revise`, for many.
    pub(crate) fn revise_all(&mut self, ids: impl IntoIterator<Item = QueueId>) {
        ids.into_iter().for_each(|id| self.revise(id, |_, _| {}));
    }

    /// The end of every entry that touches a record or a node: elect (R4), place, write down, tell.
    fn conclude(&mut self, before: &Arc<QueueRecord>, mut replicas: Replicas, placing: Placing) {
        let nodes = &self.catalog.nodes;
        let election = replicas.elect(nodes);
        let is_lost = !before.durable && !replicas.copies.iter().any(|copy| Replicas::is_in_sync(copy, nodes));
        if is_lost {
            self.delete_queue(before.id);
            return;
        }
        // A quorum queue's members are chosen once, and change by an administrator's word alone: such as that a node is to leave.
        let members = self.catalog.members_beside_leavers(before, &replicas);
        let is_placed = !before.is_quorum() || members.is_some();
        if placing != Placing::Not && is_placed && replicas.is_led(nodes) {
            let wish = self.catalog.wish_for(members.as_ref().or(before.ha_mode()));
            wish.place(&mut replicas, placing.spared(), |_| CopyState::Syncing);
        }
        if before.is_quorum() {
            replicas.keep_majority();
        }
        assert!(
            replicas.is_counted(replicas.leader),
            "V9: the leader of {} is counted",
            before.title()
        );
        if before.replicas.as_deref() != Some(&replicas) {
            let now = self.put_replicas(before, replicas);
            // A quorum queue has no transient messages.
            if election == Some(Election::FromDisk) && !now.is_quorum() {
                self.tell(Event::MessagesGivenUp(now, Loss::Transient));
            }
        }
    }

    fn put_replicas(&mut self, before: &Arc<QueueRecord>, replicas: Replicas) -> Arc<QueueRecord> {
        let leader = self.catalog.nodes.get(&replicas.leader);
        let now = Arc::new(QueueRecord {
            leader: leader.map_or_else(|| before.leader.clone(), |node| node.name.clone()),
            replicas: Some(Arc::new(replicas)),
            ..before.as_ref().clone()
        });
        self.catalog.put_record(&now);
        self.catalog.touch();
        let (before, told) = (before.clone(), now.clone());
        self.tell(Event::QueueReplicasChanged { before, now: told });
        now
    }

    /// Makes a copy the leader that is known not to be whole, because none that is can be had (R18).
    pub(crate) fn force_promote(&mut self, id: QueueId) -> Applied {
        let record = self.catalog.queues.get(&id).cloned();
        let record = record.ok_or_else(|| texts::not_found("the queue whose mirror is to be promoted is gone"))?;
        let (node, incarnation) = self.catalog.forced_leader(&record)?;
        let mut replicas = record
            .replicas
            .as_deref()
            .cloned()
            .ok_or_else(|| not_mirrored(&record))?;
        replicas.force(node, incarnation);
        let now = self.put_replicas(&record, replicas);
        self.tell(Event::MessagesGivenUp(now, Loss::Forced));
        self.revise(id, |_, _| {});
        Ok(Answer::Done)
    }
}

fn not_mirrored(record: &QueueRecord) -> Refusal {
    texts::precondition(format!("{} is not mirrored: it has no copy to promote", record.title()))
}

impl Catalog {
    pub(crate) fn wish<'a>(&'a self, record: &'a QueueRecord) -> Wish<'a> {
        self.wish_for(record.ha_mode())
    }

    pub(crate) fn wish_for<'a>(&'a self, mode: Option<&'a HaMode>) -> Wish<'a> {
        Wish {
            mode,
            nodes: &self.nodes,
            index: &self.copies,
        }
    }

    /// The record of a queue that a policy or its type wants copied and that has not been before, if its leader can have
    /// copies elsewhere.
    fn first_replicas(&self, record: &QueueRecord) -> Option<Replicas> {
        let is_wanted = record.ha_mode().is_some() || record.is_quorum();
        is_wanted.then(|| self.single_copy(record))?
    }

    /// The leader's own copy, if it runs and can have copies elsewhere.
    fn single_copy(&self, record: &QueueRecord) -> Option<Replicas> {
        let leader = self
            .node_by_name(&record.leader)
            .filter(|node| node.up && node.mirrors)?;
        Some(Replicas::first(leader.uuid, leader.incarnation))
    }

    /// The record of a queue with one copy, when its leader proposes another by name, so that it can move.
    fn begun_replicas(&self, record: &QueueRecord, act: MirrorAct) -> Option<Replicas> {
        let begins = matches!(act, MirrorAct::AddCopy(_)) && record.durable && record.owner.is_none();
        begins.then(|| self.single_copy(record))?
    }

    /// The copies of a queue that begins: all that run are in sync, since an empty copy holds every confirmed message.
    pub(crate) fn new_replicas(&self, record: &QueueRecord) -> Option<Replicas> {
        let mut replicas = self.first_replicas(record)?;
        let whole = |node: &NodeRecord| CopyState::InSync {
            incarnation: node.incarnation,
        };
        let members = record
            .is_quorum()
            .then(|| HaMode::Exactly(record.args.group_size.unwrap_or(GROUP_SIZE)));
        let wish = self.wish_for(members.as_ref().or(record.ha_mode()));
        wish.place(&mut replicas, None, whole);
        if record.is_quorum() {
            replicas.keep_majority();
        }
        Some(replicas)
    }

    /// Who would lead if a promotion was forced.
    fn forced_leader(&self, record: &QueueRecord) -> Result<(NodeUuid, u64), Refusal> {
        let replicas = record.replicas.as_deref().ok_or_else(|| not_mirrored(record))?;
        if replicas.min_counted > 1 {
            return Err(texts::precondition(format!(
                "{} promises that a majority has every confirmed message, so no other copy can be promoted: start its \
                 nodes again",
                record.title()
            )));
        }
        let whole = replicas
            .counted()
            .find_map(|copy| self.nodes.get(&copy.node).filter(|node| node.up));
        if let Some(node) = whole {
            return Err(texts::precondition(format!(
                "node '{}' runs and has every confirmed message of {}: nothing needs to be forced",
                node.name,
                record.title()
            )));
        }
        let chosen = self.force_promotable(record);
        chosen.ok_or_else(|| {
            texts::precondition(format!(
                "no node that runs has a copy of {}: start one that has",
                record.title()
            ))
        })
    }

    /// The process that a forced promotion would make the leader: of the oldest copy that runs, if none that has every
    /// confirmed message does. A queue that needs a majority of copies is never promoted by force.
    pub fn force_promotable(&self, record: &QueueRecord) -> Option<(NodeUuid, u64)> {
        let replicas = record
            .replicas
            .as_deref()
            .filter(|replicas| replicas.min_counted <= 1)?;
        let node = replicas.forcible(&self.nodes)?;
        Some((node, running(&self.nodes, node)?))
    }
}

#[cfg(test)]
#[path = "mirrors_tests.rs"]
mod tests;
