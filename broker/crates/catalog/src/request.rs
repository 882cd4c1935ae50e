//! What an AMQP client asks of the catalogue, and what is decided about it.
//!
//! Decisions are made on a snapshot and change nothing. A command that results is checked once more where it is
//! applied, since the catalogue may have moved on.

use crate::command::{Answer, Command};
use crate::record::{NodeName, Owner, QueueRecord};
use crate::texts;
use model::{ConnectionId, ExchangeName, QueueName, Refusal, Table, UserName, VhostName};
use routing::Binding;
use std::sync::Arc;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The logged-in user.
    pub user: UserName,
    /// The virtual host the connection is in.
    pub vhost: VhostName,
    /// The connection.
    pub connection: ConnectionId,
    /// The node it is on; queues it declares are led there.
    pub node: NodeName,
}

impl Client {
    /// This connection as owner of exclusive queues.
    pub fn owner(&self) -> Owner {
        Owner {
            node: self.node.clone(),
            connection: self.connection,
        }
    }
}

/// `exchange.declare`.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclareExchange {
    /// Name.
    pub name: ExchangeName,
    /// Type as sent.
    pub kind: String,
    /// Only look.
    pub passive: bool,
    /// Survives a restart.
    pub durable: bool,
    /// Goes with its last binding.
    pub auto_delete: bool,
    /// Closed to publishers.
    pub internal: bool,
    /// Arguments.
    pub arguments: Table,
}

/// `queue.declare`.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclareQueue {
    /// Name; empty asks for `generated`.
    pub name: QueueName,
    /// A fresh name for a queue that is declared without one.
    pub generated: QueueName,
    /// Only look.
    pub passive: bool,
    /// Survives a restart.
    pub durable: bool,
    /// For this connection alone.
    pub exclusive: bool,
    /// Goes with its last consumer.
    pub auto_delete: bool,
    /// Arguments.
    pub arguments: Table,
}

/// A question about definitions.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// `exchange.declare`
    DeclareExchange(DeclareExchange),
    /// `exchange.delete`
    DeleteExchange {
        /// Which.
        name: ExchangeName,
        /// Refuse while it has outgoing bindings.
        if_unused: bool,
    },
    /// `queue.declare`
    DeclareQueue(DeclareQueue),
    /// `queue.delete`
    DeleteQueue {
        /// Which.
        name: QueueName,
        /// What must hold when it goes.
        conditions: Conditions,
    },
    /// `queue.bind`, `exchange.bind`
    Bind(Binding),
    /// `queue.unbind`, `exchange.unbind`
    Unbind(Binding),
}

/// What a queue must be for its deletion; judged under the queue's lock, where the counts cannot change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Without consumers.
    pub if_unused: bool,
    /// Without ready messages.
    pub if_empty: bool,
}

impl Conditions {
    /// Judges the queue's live counts.
    ///
    /// # Errors
    /// `PRECONDITION_FAILED` when it is in use or not empty.
    pub fn check(self, queue: &QueueRecord, consumers: u64, ready: u64) -> Result<(), Refusal> {
        match (self.if_empty && ready > 0, self.if_unused && consumers > 0) {
            (true, _) => Err(texts::precondition(format!("{} not empty", queue.title()))),
            (false, true) => Err(texts::in_use(&queue.title())),
            (false, false) => Ok(()),
        }
    }
}

/// What is decided about a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Nothing is to change; this is the answer.
    Unchanged(Answer),
    /// Apply this command; its answer is the answer.
    Commit(Command),
    /// Check the conditions under this queue's lock, then apply the command.
    CommitIf(Command, Arc<QueueRecord>, Conditions),
}
