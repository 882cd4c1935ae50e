//! The nodes that make up the broker, and what a node's start does to the definitions.
//!
//! A process is one incarnation of its node. When a new one starts, what lived in the memory of the one before is gone:
//! its transient and exclusive queues, and transient exchanges once no node is left that knows them. The same goes when
//! a process is known to be dead. A node belongs to the cluster from when it is added until it is removed.

use crate::apply::{Applied, Change};
use crate::command::{Answer, NodeDeath};
use crate::event::Event;
use crate::record::{NodeKind, NodeName, NodeRecord, QueueRecord};
use crate::texts;
use model::{ExchangeName, NodeUuid, QueueId, Refusal, VhostName};
use std::{collections::BTreeSet, sync::Arc};

/// True if the queue ends with the process that leads it: another copy may be there of a mirrored one.
fn ends_with_process(queue: &QueueRecord) -> bool {
    queue.replicas.is_none() && (!queue.durable || queue.owner.is_some())
}

/// A node's start is refused when its disk tells an older or another story than the catalogue.
fn check(known: &NodeRecord, incarnation: u64, boot_id: u64) -> Result<(), Refusal> {
    let name = &known.name;
    if incarnation < known.incarnation {
        return Err(texts::precondition(format!(
            "node '{name}' comes with start {incarnation} of {}, later than which start {} is known: its data directory \
             is an old copy",
            known.uuid, known.incarnation
        )));
    }
    if incarnation == known.incarnation && boot_id != known.boot_id {
        return Err(texts::precondition(format!(
            "node '{name}' comes with start {incarnation} of {}, which another process has made: its data directory is \
             a copy of one in use",
            known.uuid
        )));
    }
    Ok(())
}

fn removed(uuid: NodeUuid, name: &NodeName) -> Refusal {
    texts::precondition(format!(
        "node '{name}' ({uuid}) was removed from this cluster and cannot come back as it was: reset it and let it join \
         again"
    ))
}

impl Change<'_> {
    /// A process of a node has started, or turns out to run still.
    pub(crate) fn node_up(&mut self, started: NodeRecord) -> Applied {
        let (uuid, name, incarnation) = (started.uuid, started.name.clone(), started.incarnation);
        let known = self.catalog.nodes.get(&uuid).cloned();
        match &known {
            Some(known) => check(known, incarnation, started.boot_id)?,
            None => self.check_unknown(uuid, &name)?,
        }
        self.check_name(uuid, &name)?;
        let is_new = known.as_ref().is_none_or(|known| known.incarnation != incarnation);
        let record = Arc::new(NodeRecord {
            kind: known.as_ref().map(|known| known.kind).unwrap_or_default(),
            // A process that has just started is ready for all.
            maintenance: known.as_ref().is_some_and(|known| known.maintenance && !is_new),
            leaving: known.as_ref().is_some_and(|known| known.leaving),
            ..started
        });
        self.put_node(&record);
        self.tell(Event::NodeUp(record));
        if is_new {
            self.forget_process(known.as_deref(), uuid, &name);
        }
        self.revise_for(uuid, is_new);
        Ok(Answer::Done)
    }

    /// What lived in the memory of the process before goes.
    fn forget_process(&mut self, known: Option<&NodeRecord>, uuid: NodeUuid, name: &NodeName) {
        if let Some(known) = known.filter(|known| known.name != *name) {
            self.rename_leader(&known.name, name);
        }
        self.end_transient_queues(name);
        let others = self.catalog.nodes.values().any(|other| other.uuid != uuid && other.up);
        if !others {
            self.end_transient_exchanges();
        }
    }

    /// A node that is there may be elected and have copies; what was in its memory is not in its copies any more.
    fn revise_for(&mut self, node: NodeUuid, is_new: bool) {
        let watched: Vec<QueueId> = self.catalog.copies.watched().collect();
        for id in watched {
            self.revise(id, |replicas, queue| {
                // A record that begins only now knows this process already.
                if is_new && queue.replicas.is_some() {
                    replicas.restarted(node, queue.durable);
                }
            });
        }
    }

    /// Only the first node of a cluster comes without having been added.
    fn check_unknown(&self, uuid: NodeUuid, name: &NodeName) -> Result<(), Refusal> {
        if self.catalog.is_removed(uuid) {
            return Err(removed(uuid, name));
        }
        match self.catalog.nodes.is_empty() {
            true => Ok(()),
            false => Err(texts::precondition(format!(
                "node '{name}' ({uuid}) is no member of this cluster: let it join"
            ))),
        }
    }

    fn check_name(&self, uuid: NodeUuid, name: &NodeName) -> Result<(), Refusal> {
        match self.catalog.node_by_name(name) {
            Some(known) if known.uuid != uuid => Err(texts::precondition(format!(
                "the cluster knows another node ({}) by the name '{name}': remove that one first with 'rabbitmqctl \
                 forget_cluster_node {name}', or give this one another name",
                known.uuid
            ))),
            Some(_) | None => Ok(()),
        }
    }

    pub(crate) fn put_node(&mut self, record: &Arc<NodeRecord>) {
        self.catalog.nodes.insert(record.uuid, record.clone());
        // Where a publish goes may depend on who is there.
        self.catalog.touch();
    }

    /// Processes are gone: what lived in their memory goes.
    pub(crate) fn node_down(&mut self, deaths: &[NodeDeath], in_order: bool) -> Answer {
        // All of them first: nobody is elected who dies in the same entry.
        let dead: Vec<Arc<NodeRecord>> = deaths
            .iter()
            .filter_map(|death| self.mark_down(death, in_order))
            .collect();
        let mut orphans = BTreeSet::new();
        for record in dead {
            self.end_transient_queues(&record.name);
            orphans.extend(self.catalog.copies.on(record.uuid));
            self.tell(Event::NodeDown(record));
        }
        self.revise_all(orphans);
        Answer::Done
    }

    fn mark_down(&mut self, death: &NodeDeath, in_order: bool) -> Option<Arc<NodeRecord>> {
        let known = self.catalog.nodes.get(&death.node);
        let known = known.filter(|known| known.up && known.incarnation == death.incarnation)?;
        let record = Arc::new(NodeRecord {
            up: false,
            has_stopped: in_order,
            ..known.as_ref().clone()
        });
        self.put_node(&record);
        Some(record)
    }

    /// A node is to come.
    pub(crate) fn add_node(&mut self, uuid: NodeUuid, name: NodeName, kind: NodeKind) -> Applied {
        if self.catalog.is_removed(uuid) {
            return Err(removed(uuid, &name));
        }
        // One that was added and never came is another try of the same.
        let namesake = self
            .catalog
            .node_by_name(&name)
            .filter(|known| known.uuid != uuid && known.incarnation == 0);
        if let Some(namesake) = namesake.map(|known| known.uuid) {
            self.remove_node(namesake)?;
        }
        self.check_name(uuid, &name)?;
        if self.catalog.nodes.contains_key(&uuid) {
            return Ok(Answer::Done);
        }
        let record = Arc::new(NodeRecord {
            uuid,
            name,
            incarnation: 0,
            boot_id: 0,
            up: false,
            kind,
            mirrors: false,
            maintenance: false,
            leaving: false,
            has_stopped: false,
        });
        self.put_node(&record);
        self.tell(Event::NodeAdded(record));
        Ok(Answer::Created)
    }

    fn is_only_disc(&self, uuid: NodeUuid) -> bool {
        let discs = self.catalog.nodes.values().filter(|node| node.kind == NodeKind::Disc);
        discs.map(|node| node.uuid).eq([uuid])
    }

    /// A node of the cluster, whether it runs or not.
    pub(crate) fn member(&self, uuid: NodeUuid) -> Result<Arc<NodeRecord>, Refusal> {
        let known = self.catalog.nodes.get(&uuid).cloned();
        known.ok_or_else(|| texts::not_found("The node selected is not in the cluster."))
    }

    /// A node may decide, or only listen.
    pub(crate) fn set_node_kind(&mut self, uuid: NodeUuid, kind: NodeKind) -> Applied {
        let known = self.member(uuid)?;
        if kind == NodeKind::Ram && self.is_only_disc(uuid) {
            let text = "You cannot change the node type of the only disc node in a cluster. Please convert another \
                        node of the cluster to a disc node first.";
            return Err(texts::precondition(text));
        }
        let record = NodeRecord {
            kind,
            ..known.as_ref().clone()
        };
        self.put_node(&Arc::new(record));
        Ok(Answer::Done)
    }

    /// A node is taken out of service, or put back. What it leads moves by its own proposals.
    pub(crate) fn set_maintenance(&mut self, uuid: NodeUuid, on: bool) -> Applied {
        let known = self.member(uuid)?;
        if known.maintenance != on {
            let record = NodeRecord {
                maintenance: on,
                ..known.as_ref().clone()
            };
            self.put_node(&Arc::new(record));
        }
        Ok(Answer::Done)
    }

    /// A node goes for ever, with the queues that only it holds.
    pub(crate) fn remove_node(&mut self, uuid: NodeUuid) -> Applied {
        let Some(known) = self.catalog.nodes.get(&uuid).cloned() else {
            return Ok(Answer::Absent);
        };
        let name = &known.name;
        if known.up {
            return Err(texts::precondition(format!(
                "RabbitMQ on node {name} must be stopped with 'rabbitmqctl -n {name} stop_app' before it can be removed"
            )));
        }
        if self.is_only_disc(uuid) && self.catalog.nodes.len() > 1 {
            let text = "You cannot reset a node when it is the only disc node in a cluster. Please convert another \
                        node of the cluster to a disc node first.";
            return Err(texts::precondition(text));
        }
        self.check_copies(&known)?;
        self.catalog.nodes.remove(&uuid);
        self.catalog.removed.insert(uuid);
        self.catalog.touch();
        self.end_queues(|queue| queue.leader == *name);
        let copies: Vec<QueueId> = self.catalog.copies.on(uuid).collect();
        for id in copies {
            self.revise(id, |replicas, _| replicas.drop_copy(uuid));
        }
        self.tell(Event::NodeRemoved(known));
        Ok(Answer::Done)
    }

    /// A node that leads a mirrored queue, or that confirmed messages of one could be lost with, has to stay (R9). A
    /// queue of which there is no other copy at all goes with it, as one that is not mirrored does.
    fn check_copies(&self, node: &NodeRecord) -> Result<(), Refusal> {
        let needs = |queue: &&Arc<QueueRecord>| {
            let replicas = queue.replicas.as_deref();
            replicas.is_some_and(|replicas| replicas.copies.len() > 1 && replicas.needs(node.uuid))
        };
        let mut needing = self.catalog.copies_on(node.uuid).filter(needs);
        let Some(first) = needing.next() else { return Ok(()) };
        let (name, others) = (&node.name, needing.count());
        Err(texts::precondition(format!(
            "node '{name}' alone has every confirmed message of {} and of {others} other mirrored queues: start it again \
             until another node is in sync, or give up what only it has by 'ha-promote-on-failure' set to 'always', or \
             delete the queues",
            first.title()
        )))
    }

    /// Queues follow their node to its new name.
    fn rename_leader(&mut self, from: &NodeName, to: &NodeName) {
        let led = self.catalog.queues().filter(|queue| queue.leader == *from);
        let renamed = led.map(|queue| QueueRecord {
            leader: to.clone(),
            ..queue.as_ref().clone()
        });
        for record in renamed.collect::<Vec<_>>() {
            self.replace_queue(record);
        }
    }

    fn end_transient_queues(&mut self, leader: &NodeName) {
        self.end_queues(|queue| queue.leader == *leader && ends_with_process(queue));
    }

    fn end_queues(&mut self, which: impl Fn(&QueueRecord) -> bool) {
        let gone = self.catalog.queues().filter(|queue| which(queue));
        for id in gone.map(|queue| queue.id).collect::<Vec<QueueId>>() {
            self.delete_queue(id);
        }
    }

    fn end_transient_exchanges(&mut self) {
        let transient = |vhost: &crate::Vhost| -> (VhostName, Vec<ExchangeName>) {
            let gone = vhost.exchanges().filter(|exchange| !exchange.durable);
            (
                vhost.name().clone(),
                gone.map(|exchange| exchange.name.clone()).collect(),
            )
        };
        let all: Vec<_> = self.catalog.vhosts().map(|vhost| transient(vhost)).collect();
        for (vhost, names) in all {
            self.drop_exchanges(&vhost, names);
        }
    }
}

#[cfg(test)]
#[path = "nodes_tests.rs"]
mod tests;
