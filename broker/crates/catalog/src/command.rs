//! Commands: every change of the catalogue as data, ready for a replicated log.
//!
//! A command is complete: names, hashes, salts and nodes have been chosen before. Variants and fields are only ever
//! added, with defaults, since logs outlive releases.

use crate::mirrors::{MirrorRefusal, MirrorsProposal};
use crate::record::{NodeKind, NodeName, Owner, QueueRecord, VhostLimits, VhostMetadata};
use access::{PasswordHash, PermissionTexts, User, UserLimits};
use model::{
    ApplyTo, ExchangeKind, ExchangeName, NodeUuid, PolicyLevel, QueueId, QueueName, Table, UserName, Value, VhostName,
};
use routing::Binding;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An exchange to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExchangeSpec {
    /// Virtual host.
    pub vhost: VhostName,
    /// Name.
    pub name: ExchangeName,
    /// Type.
    pub kind: ExchangeKind,
    /// Survives a restart.
    pub durable: bool,
    /// Goes with its last binding.
    pub auto_delete: bool,
    /// Closed to publishers.
    pub internal: bool,
    /// Arguments.
    pub arguments: Table,
    /// Who declares it.
    pub user: UserName,
}

/// A queue to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueSpec {
    /// Virtual host.
    pub vhost: VhostName,
    /// Name, never empty.
    pub name: QueueName,
    /// Survives a restart.
    pub durable: bool,
    /// Goes with its last consumer.
    pub auto_delete: bool,
    /// The connection it is exclusive to.
    pub owner: Option<Owner>,
    /// Arguments.
    pub arguments: Table,
    /// The node that leads it.
    pub leader: NodeName,
    /// Who declares it.
    pub user: UserName,
}

/// A policy to be. Pattern and definition are checked when the command is applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicySpec {
    /// Virtual host.
    pub vhost: VhostName,
    /// Name.
    pub name: Arc<str>,
    /// Whose it is.
    pub level: PolicyLevel,
    /// Search pattern on names.
    pub pattern: String,
    /// What objects.
    pub apply_to: ApplyTo,
    /// The highest wins.
    pub priority: i64,
    /// Keys and values.
    pub definition: Table,
}

/// One change of the catalogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Declares an exchange, or finds it equivalent.
    DeclareExchange(ExchangeSpec),
    /// Deletes an exchange; an absent one is no error.
    DeleteExchange {
        /// Virtual host.
        vhost: VhostName,
        /// Name.
        name: ExchangeName,
        /// Refuse while it has outgoing bindings.
        if_unused: bool,
    },
    /// Declares a queue, or finds it equivalent.
    DeclareQueue(QueueSpec),
    /// Deletes this very queue; an absent one is no error.
    DeleteQueue(QueueId),
    /// Binds; an existing binding is no error.
    Bind {
        /// Virtual host.
        vhost: VhostName,
        /// The binding.
        binding: Binding,
    },
    /// Unbinds; an absent binding is no error.
    Unbind {
        /// Virtual host.
        vhost: VhostName,
        /// The binding.
        binding: Binding,
    },
    /// A connection ended: its exclusive queues go.
    ConnectionClosed(Owner),
    /// Creates a virtual host or changes its metadata.
    PutVhost {
        /// Name.
        name: VhostName,
        /// Metadata.
        metadata: VhostMetadata,
    },
    /// Deletes a virtual host with all it holds.
    DeleteVhost(VhostName),
    /// Replaces the limits of a virtual host.
    SetVhostLimits {
        /// Name.
        name: VhostName,
        /// Limits.
        limits: VhostLimits,
    },
    /// Creates a user; an existing one is an error.
    AddUser(User),
    /// Creates a user, or replaces password and tags of an existing one.
    PutUser(User),
    /// Changes a password.
    SetPassword {
        /// Whose.
        name: UserName,
        /// The new hash.
        password: PasswordHash,
    },
    /// Replaces tags.
    SetTags {
        /// Whose.
        name: UserName,
        /// The new tags.
        tags: Vec<String>,
    },
    /// Replaces the limits of a user.
    SetUserLimits {
        /// Whose.
        name: UserName,
        /// Limits.
        limits: UserLimits,
    },
    /// Deletes a user with all permissions.
    DeleteUser(UserName),
    /// Sets what a user may do in a virtual host.
    SetPermissions {
        /// Where.
        vhost: VhostName,
        /// Whose.
        user: UserName,
        /// Patterns.
        permissions: PermissionTexts,
    },
    /// Takes a user's permissions in a virtual host away; none is no error.
    ClearPermissions {
        /// Where.
        vhost: VhostName,
        /// Whose.
        user: UserName,
    },
    /// Sets which keys a user may publish and bind on a topic exchange.
    SetTopicPermissions {
        /// Where.
        vhost: VhostName,
        /// Whose.
        user: UserName,
        /// On which exchange.
        exchange: ExchangeName,
        /// Pattern on published keys.
        write: String,
        /// Pattern on bound keys.
        read: String,
    },
    /// Takes topic permissions away, on one exchange or on all.
    ClearTopicPermissions {
        /// Where.
        vhost: VhostName,
        /// Whose.
        user: UserName,
        /// On which exchange; `None` for all.
        exchange: Option<ExchangeName>,
    },
    /// Sets a policy or an operator policy.
    SetPolicy(PolicySpec),
    /// Clears a policy.
    ClearPolicy {
        /// Where.
        vhost: VhostName,
        /// Whose.
        level: PolicyLevel,
        /// Name.
        name: Arc<str>,
    },
    /// Sets a runtime parameter of a component.
    SetParameter {
        /// Where.
        vhost: VhostName,
        /// Which component reads it.
        component: String,
        /// Name.
        name: String,
        /// Value.
        value: Value,
    },
    /// Clears a runtime parameter.
    ClearParameter {
        /// Where.
        vhost: VhostName,
        /// Which component.
        component: String,
        /// Name.
        name: String,
    },
    /// Sets a global parameter.
    SetGlobalParameter {
        /// Name.
        name: Arc<str>,
        /// Value.
        value: Value,
    },
    /// Clears a global parameter.
    ClearGlobalParameter(Arc<str>),
    /// A process of a node has started: what lived in the memory of the one before it goes.
    NodeUp {
        /// The node.
        node: NodeUuid,
        /// What it is called now.
        name: NodeName,
        /// How often it has been started, this time included.
        incarnation: u64,
        /// Drawn by the process.
        boot_id: u64,
        /// It can hold copies of queues that others lead.
        #[serde(default)]
        mirrors: bool,
    },
    /// These processes are gone, all at once; others of the same nodes are not meant.
    NodeDown(Vec<NodeDeath>),
    /// A node belongs to the cluster from now on; it has not started yet.
    AddNode {
        /// The node.
        node: NodeUuid,
        /// What it is called.
        name: NodeName,
        /// Whether it may decide.
        kind: NodeKind,
    },
    /// A node that is down may decide, or only listen, when it comes back.
    SetNodeKind {
        /// The node.
        node: NodeUuid,
        /// Whether it may decide.
        kind: NodeKind,
    },
    /// A node that is down goes for ever, with the queues that only it holds.
    RemoveNode(NodeUuid),
    /// A leader wants the copies of its queues changed.
    Mirrors(MirrorsProposal),
    /// A copy that is not whole becomes the leader of a queue of which none that is can be had.
    ForcePromote(QueueId),
    /// This process has stopped in order: it is gone, and was not lost.
    NodeStopped(NodeDeath),
    /// A node serves no clients and is to lead nothing more, or it does again.
    SetMaintenance {
        /// The node.
        node: NodeUuid,
        /// It is to be left alone.
        on: bool,
    },
    /// A node is to leave the cluster, or it stays after all.
    SetLeaving {
        /// The node.
        node: NodeUuid,
        /// It is to leave.
        on: bool,
    },
    /// The cluster goes another way than before.
    History(Turn),
}

/// What makes the cluster another than it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Turn {
    /// This node was made to go on without the others, who knew more perhaps: another history begins.
    Forced(NodeUuid),
    /// Whoever leads understands words of this level.
    Level(u32),
    /// The level stays what it is, whatever members understand; or it rises again.
    LevelHeld(bool),
}

/// A process that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeDeath {
    /// Of which node.
    pub node: NodeUuid,
    /// Which of its starts.
    pub incarnation: u64,
}

/// What came of a command or request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Something new exists.
    Created,
    /// It is so, now or already.
    Done,
    /// There was nothing to delete, which is no error.
    Absent,
    /// The queue as it is now. `created` tells a new one from one that was there.
    Queue {
        /// The queue.
        record: Arc<QueueRecord>,
        /// It did not exist before.
        created: bool,
    },
    /// What became of each change that a leader proposed.
    Mirrors(Vec<Result<(), MirrorRefusal>>),
}
