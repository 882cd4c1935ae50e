//! What the host and the tools ask about mirrored queues: who has which copy, who is next, what may be given up.
//!
//! Looks only; every answer follows from one state of the catalogue.

use crate::mirrors::MirrorAct;
use crate::record::{NodeName, QueueRecord};
use crate::replicas::{CopyRecord, Replicas, may_lead, running};
use crate::state::Catalog;
use model::{NodeUuid, Promote};
use std::sync::Arc;

/// The nodes that mirror a queue, oldest copy first, as tools show them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MirrorNames {
    /// Those that run: `slave_nodes`.
    pub running: Vec<NodeName>,
    /// Those of them that have every confirmed message: `synchronised_slave_nodes`.
    pub synchronised: Vec<NodeName>,
    /// Those that run, or may be relied upon when they are back: `recoverable_slaves`.
    pub recoverable: Vec<NodeName>,
}

/// The nodes that have a copy of a quorum queue, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberNames {
    /// All of them.
    pub all: Vec<NodeName>,
    /// Those that run.
    pub online: Vec<NodeName>,
}

/// What becomes of a queue whose leader is about to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnShutdown {
    /// It hands over to that process, which is in sync.
    HandOver {
        /// Where.
        node: NodeUuid,
        /// Which of its starts.
        incarnation: u64,
    },
    /// That node will be elected for what is on its disk, once the leader is gone.
    Elected(NodeUuid),
    /// That node is to be promoted by force, once the leader is gone: the policy prefers that to waiting.
    Force(NodeUuid),
    /// It waits until the leader is back.
    Wait,
}

/// A queue whose policy prefers a leader that may lack messages to none.
#[derive(Clone, Copy, Debug)]
pub struct Promotion<'a> {
    /// The queue.
    pub queue: &'a Arc<QueueRecord>,
    /// The node that would lead it.
    pub node: NodeUuid,
    /// Which of its starts.
    pub incarnation: u64,
    /// Its leader was stopped, and was not lost: it confirms nothing any more.
    pub was_stopped: bool,
}

impl Catalog {
    /// The queues that have a copy on the node, its leader's own included.
    pub fn copies_on(&self, node: NodeUuid) -> impl Iterator<Item = &Arc<QueueRecord>> {
        self.copies.on(node).filter_map(|id| self.queues.get(&id))
    }

    /// The mirrored queues that the node leads.
    pub fn leads(&self, node: NodeUuid) -> impl Iterator<Item = &Arc<QueueRecord>> {
        let leads = move |queue: &&Arc<QueueRecord>| queue.replicas.as_ref().is_some_and(|found| found.leader == node);
        self.copies_on(node).filter(leads)
    }

    /// How many queues of others the node mirrors, and of how many of these it is not in sync.
    pub fn mirrored_by(&self, node: NodeUuid) -> (usize, usize) {
        let (mut mirrors, mut unsynced) = (0, 0);
        let copies = self.copies_on(node).filter_map(|queue| queue.replicas.as_deref());
        for copy in copies.flat_map(Replicas::mirrors).filter(|copy| copy.node == node) {
            mirrors += 1;
            unsynced += usize::from(!Replicas::is_in_sync(copy, &self.nodes));
        }
        (mirrors, unsynced)
    }

    /// True if a leader elsewhere still waits for a copy on the node, or would for the next message.
    pub fn is_counted_on(&self, node: NodeUuid) -> bool {
        let mut copies = self.copies_on(node).filter_map(|queue| queue.replicas.as_deref());
        copies.any(|replicas| replicas.leader != node && self.is_led(replicas) && replicas.is_counted(node))
    }

    /// True if the process that leads the mirrored queue is not known to be gone.
    pub fn is_led(&self, replicas: &Replicas) -> bool {
        replicas.is_led(&self.nodes)
    }

    /// The nodes that mirror the queue.
    pub fn mirror_names(&self, queue: &QueueRecord) -> MirrorNames {
        let mut names = MirrorNames::default();
        let mirrors = queue.replicas.iter().flat_map(|replicas| replicas.mirrors());
        for copy in mirrors {
            let Some(node) = self.nodes.get(&copy.node) else {
                continue;
            };
            if node.up {
                names.running.push(node.name.clone());
            }
            if Replicas::is_in_sync(copy, &self.nodes) {
                names.synchronised.push(node.name.clone());
            }
            if node.up || copy.state.is_counted() {
                names.recoverable.push(node.name.clone());
            }
        }
        names
    }

    /// The nodes that have a copy of the queue.
    pub fn member_names(&self, queue: &QueueRecord) -> MemberNames {
        let copies = queue.replicas.iter().flat_map(|replicas| &replicas.copies);
        let mut nodes: Vec<_> = copies.filter_map(|copy| self.nodes.get(&copy.node)).collect();
        nodes.sort_by_key(|node| &node.name);
        let names = |wanted: &dyn Fn(bool) -> bool| {
            let wanted = nodes.iter().filter(|node| wanted(node.up));
            wanted.map(|node| node.name.clone()).collect()
        };
        MemberNames {
            all: names(&|_| true),
            online: names(&|is_up| is_up),
        }
    }

    /// The quorum queues that could confirm nothing any more if the node stopped.
    pub fn quorum_critical(&self, node: NodeUuid) -> impl Iterator<Item = &Arc<QueueRecord>> {
        self.copies_on(node).filter(move |queue| {
            let replicas = queue.replicas.iter().flat_map(|replicas| replicas.counted());
            let others = replicas.filter(|copy| copy.node != node && running(&self.nodes, copy.node).is_some());
            let majority = queue
                .replicas
                .as_ref()
                .map_or(1, |replicas| replicas.copies.len() / 2 + 1);
            queue.is_quorum() && others.count() < majority
        })
    }

    /// What the leader should propose because the policy names other nodes than its own, or because its own is to leave. Copies that are to be added or
    /// taken away need no proposal.
    pub fn wanted(&self, queue: &QueueRecord) -> Option<MirrorAct> {
        let replicas = queue.replicas.as_deref()?;
        let named = self.wish(queue).hand_over(replicas);
        named.or_else(|| self.off_leaver(queue, replicas))
    }

    /// How many mirrors of a queue are in sync in the processes that run.
    pub fn mirrors_in_sync(&self, replicas: &Replicas) -> usize {
        let mirrors = replicas.mirrors();
        mirrors.filter(|copy| Replicas::is_in_sync(copy, &self.nodes)).count()
    }

    /// The copies that have yet to be brought in sync, where a process runs that could be.
    pub fn unsynchronised<'a>(&'a self, replicas: &'a Replicas) -> impl Iterator<Item = &'a CopyRecord> {
        let waits = |copy: &&CopyRecord| !Replicas::is_in_sync(copy, &self.nodes);
        let runs = |copy: &&CopyRecord| running(&self.nodes, copy.node).is_some();
        replicas.mirrors().filter(waits).filter(runs)
    }

    /// The queues that wait for a leader which their policies do not want to wait for, and the process that could be promoted
    /// by force: `ha-promote-on-failure` says `always`, or `ha-promote-on-shutdown` does and the leader was stopped.
    pub fn to_be_forced(&self) -> impl Iterator<Item = Promotion<'_>> {
        let watched = self.copies.watched().filter_map(|id| self.queues.get(&id));
        watched.filter_map(|queue| {
            let was_stopped = self.leader_was_stopped(queue);
            let (node, incarnation) = self.force_promotable(queue)?;
            promotes_always(queue, was_stopped).then_some(Promotion {
                queue,
                node,
                incarnation,
                was_stopped,
            })
        })
    }

    fn leader_was_stopped(&self, queue: &QueueRecord) -> bool {
        let leader = queue
            .replicas
            .as_ref()
            .and_then(|replicas| self.nodes.get(&replicas.leader));
        leader.is_some_and(|node| node.has_stopped)
    }

    /// What becomes of the queue when its leader stops now, by plan.
    pub fn on_shutdown(&self, queue: &QueueRecord) -> OnShutdown {
        let Some(replicas) = queue.replicas.as_deref() else {
            return OnShutdown::Wait;
        };
        let mut mirrors = replicas.mirrors().filter_map(|copy| {
            let incarnation = running(&self.nodes, copy.node)?;
            Some((copy, copy.node, incarnation))
        });
        let (mut in_sync, mut on_disk, mut oldest) = (None, None, None);
        for (copy, node, incarnation) in &mut mirrors {
            if Replicas::is_in_sync(copy, &self.nodes) {
                let hand_over = OnShutdown::HandOver { node, incarnation };
                // One that is to go leads before nobody does.
                if may_lead(&self.nodes, node) {
                    return hand_over;
                }
                in_sync = in_sync.or(Some(hand_over));
            }
            if copy.state.is_counted() {
                on_disk = on_disk.or(Some(node));
            }
            oldest = oldest.or(Some(node));
        }
        let may_force =
            replicas.min_counted <= 1 && queue.ha().and_then(|ha| ha.promote_on_shutdown) == Some(Promote::Always);
        let forced = oldest.filter(|_| may_force).map_or(OnShutdown::Wait, OnShutdown::Force);
        in_sync.unwrap_or(on_disk.map_or(forced, OnShutdown::Elected))
    }
}

fn promotes_always(queue: &QueueRecord, was_stopped: bool) -> bool {
    let Some(ha) = queue.ha() else { return false };
    let promote = match was_stopped {
        true => ha.promote_on_shutdown,
        false => ha.promote_on_failure,
    };
    promote == Some(Promote::Always)
}

#[cfg(test)]
#[path = "quorum_tests.rs"]
mod tests;
