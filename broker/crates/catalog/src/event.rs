//! What a command changed, for the host: start, stop and tell whom it concerns.
//!
//! In the order in which things happened. Records are those of before for deletions and those of after otherwise.

use crate::record::{ExchangeRecord, NodeRecord, Policy, QueueRecord};
use model::{UserName, VhostName};
use routing::Binding;
use std::sync::Arc;

/// What is given up when a copy leads that does not have everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Transient messages: it was elected for what is on its disk.
    Transient,
    /// Whatever was confirmed and it lacks: it was promoted by force.
    Forced,
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A queue began.
    QueueDeclared(Arc<QueueRecord>),
    /// A queue ended: cancel its consumers, drop its messages.
    QueueDeleted(Arc<QueueRecord>),
    /// A queue obeys other settings, or other `ha-*` keys.
    QueueSettingsChanged(Arc<QueueRecord>),
    /// The copies of a queue, their leader or what they promise changed.
    QueueReplicasChanged {
        /// As it was.
        before: Arc<QueueRecord>,
        /// As it is.
        now: Arc<QueueRecord>,
    },
    /// A copy of this queue leads that may lack confirmed messages: to be logged and counted.
    MessagesGivenUp(Arc<QueueRecord>, Loss),
    /// An exchange began.
    ExchangeDeclared(Arc<ExchangeRecord>),
    /// An exchange ended.
    ExchangeDeleted(Arc<ExchangeRecord>),
    /// A binding began.
    BindingCreated {
        /// Where.
        vhost: VhostName,
        /// Which.
        binding: Arc<Binding>,
    },
    /// A binding ended.
    BindingDeleted {
        /// Where.
        vhost: VhostName,
        /// Which.
        binding: Arc<Binding>,
    },
    /// A virtual host began.
    VhostCreated(VhostName),
    /// A virtual host's description, limits or tracing changed.
    VhostChanged(VhostName),
    /// A virtual host ended: close its connections.
    VhostDeleted(VhostName),
    /// A user began.
    UserCreated(UserName),
    /// A user's password, tags or limits changed.
    UserChanged(UserName),
    /// A user ended: close their connections.
    UserDeleted(UserName),
    /// What a user may do in a virtual host changed.
    PermissionsChanged {
        /// Where.
        vhost: VhostName,
        /// Whose.
        user: UserName,
    },
    /// A policy was set.
    PolicySet(Arc<Policy>),
    /// A policy was cleared.
    PolicyCleared(Arc<Policy>),
    /// A process of a node is there, or turned out to be there still.
    NodeUp(Arc<NodeRecord>),
    /// A node's process is gone.
    NodeDown(Arc<NodeRecord>),
    /// A node belongs to the cluster.
    NodeAdded(Arc<NodeRecord>),
    /// A node does not belong to it any more.
    NodeRemoved(Arc<NodeRecord>),
    /// A global parameter was set or cleared.
    GlobalParameterChanged(Arc<str>),
}
