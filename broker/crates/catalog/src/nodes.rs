//! The nodes that make up the broker, and what a node's start does to the definitions.
//!
//! A process is one incarnation of its node. When a new one starts, what lived in the memory of the one before is gone:
//! its transient and exclusive queues, and transient exchanges once no node is left that knows them.

use crate::apply::{Applied, Change};
use crate::command::Answer;
use crate::record::{NodeName, NodeRecord, QueueRecord};
use crate::texts;
use model::{ExchangeName, NodeUuid, QueueId, Refusal, VhostName};
use std::sync::Arc;

/// True if the queue ends with the process that leads it.
fn ends_with_process(queue: &QueueRecord) -> bool {
    !queue.durable || queue.owner.is_some()
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

impl Change<'_> {
    /// A process of a node has started, or turns out to run still.
    pub(crate) fn node_up(&mut self, uuid: NodeUuid, name: NodeName, incarnation: u64, boot_id: u64) -> Applied {
        let known = self.catalog.nodes.get(&uuid).cloned();
        if let Some(known) = &known {
            check(known, incarnation, boot_id)?;
        }
        let record = NodeRecord {
            uuid,
            name: name.clone(),
            incarnation,
            boot_id,
            up: true,
        };
        self.catalog.nodes.insert(uuid, Arc::new(record));
        // Publishes go to queues of nodes that are up.
        self.catalog.touch();
        match &known {
            Some(known) if known.incarnation == incarnation => return Ok(Answer::Done),
            Some(known) if known.name != name => self.rename_leader(&known.name, &name)?,
            Some(_) | None => {}
        }
        self.end_transient_queues(&name);
        let others = self.catalog.nodes.values().any(|other| other.uuid != uuid && other.up);
        if !others {
            self.end_transient_exchanges();
        }
        Ok(Answer::Done)
    }

    /// Queues follow their node to its new name.
    fn rename_leader(&mut self, from: &NodeName, to: &NodeName) -> Result<(), Refusal> {
        let led = self.catalog.queues().filter(|queue| queue.leader == *from);
        let renamed = led.map(|queue| QueueRecord {
            leader: to.clone(),
            ..queue.as_ref().clone()
        });
        for record in renamed.collect::<Vec<_>>() {
            self.replace_queue(record)?;
        }
        Ok(())
    }

    fn end_transient_queues(&mut self, leader: &NodeName) {
        let queues = self.catalog.queues();
        let gone = queues.filter(|queue| queue.leader == *leader && ends_with_process(queue));
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
