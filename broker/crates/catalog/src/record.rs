//! What the catalogue keeps of each object: queues, exchanges, policies, virtual hosts.
//!
//! Records never change in place: a change makes a new one behind a new `Arc`, so readers keep what they saw.

use crate::replicas::Replicas;
use access::Pattern;
use model::{
    ApplyTo, ConnectionId, ExchangeArgs, ExchangeKind, ExchangeName, Ha, HaMode, NodeUuid, PolicyDefinition,
    PolicyLevel, QueueArgs, QueueId, QueueKind, QueueName, QueueSettings, UserName, VhostName,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A node's name, such as `rabbit@host`.
pub type NodeName = Arc<str>;

/// The connection that owns an exclusive queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    /// The node it is on.
    pub node: NodeName,
    /// Its number there.
    pub connection: ConnectionId,
}

/// What a node keeps of the definitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// It may decide.
    #[default]
    Disc,
    /// It only listens.
    Ram,
}

/// A node of the broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its identity.
    pub uuid: NodeUuid,
    /// What it is called.
    pub name: NodeName,
    /// How often it has been started.
    pub incarnation: u64,
    /// Drawn by the process that made the last start.
    pub boot_id: u64,
    /// Not known to be gone. A hint: no promise depends on it.
    pub up: bool,
    /// Whether it may decide.
    #[serde(default)]
    pub kind: NodeKind,
    /// Its process can hold copies of queues that others lead; that of an earlier release cannot.
    #[serde(default)]
    pub mirrors: bool,
    /// It serves no clients and is to lead nothing more, until this process is told otherwise or another one starts.
    #[serde(default)]
    pub maintenance: bool,
    /// It is to leave the cluster: nothing more is placed there, and what has to be there elsewhere moves. Whichever process runs.
    #[serde(default)]
    pub leaving: bool,
    /// Its last process is down because it was stopped, and was not lost.
    #[serde(default)]
    pub has_stopped: bool,
}

impl NodeRecord {
    /// Of a process that has just started, its start and what it has drawn.
    pub(crate) fn started(uuid: NodeUuid, name: NodeName, (incarnation, boot_id): (u64, u64), mirrors: bool) -> Self {
        NodeRecord {
            uuid,
            name,
            incarnation,
            boot_id,
            up: true,
            kind: NodeKind::default(),
            mirrors,
            maintenance: false,
            leaving: false,
            has_stopped: false,
        }
    }

    /// A copy that begins there has come to stay.
    pub fn may_be_given_copies(&self) -> bool {
        self.up && self.mirrors && !self.leaving
    }

    /// It is in service and stays so.
    pub fn may_lead(&self) -> bool {
        !self.maintenance && !self.leaving
    }
}

/// A declared queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueRecord {
    /// Its identity; a queue declared again has another.
    pub id: QueueId,
    /// Virtual host.
    pub vhost: VhostName,
    /// Name.
    pub name: QueueName,
    /// Survives a restart. Exclusive queues never do.
    pub durable: bool,
    /// Goes with its last consumer.
    pub auto_delete: bool,
    /// The connection it is exclusive to.
    pub owner: Option<Owner>,
    /// Arguments as declared.
    pub args: QueueArgs,
    /// The node that leads it.
    pub leader: NodeName,
    /// Where its copies are; `None` if it was never mirrored.
    pub replicas: Option<Arc<Replicas>>,
    /// Who declared it.
    pub user: UserName,
    /// The user policy in effect.
    pub policy: Option<Arc<Policy>>,
    /// The operator policy in effect.
    pub operator_policy: Option<Arc<Policy>>,
    /// What the queue obeys: arguments and policies combined.
    pub settings: Arc<QueueSettings>,
}

impl QueueRecord {
    /// How errors name it: `queue 'q' in vhost '/'`.
    pub fn title(&self) -> String {
        crate::texts::queue_title(&self.vhost, self.name.as_str())
    }

    /// True if it is of the type that promises a majority of its copies for every confirmed message.
    pub fn is_quorum(&self) -> bool {
        self.args.kind == QueueKind::Quorum
    }

    /// Where its policies want copies; `None` if nowhere. Exclusive queues are never mirrored.
    pub fn ha_mode(&self) -> Option<&HaMode> {
        let (user, operator) = self.ha_keys();
        Ha::effective_mode(user, operator).filter(|_| self.owner.is_none())
    }

    /// The `ha-*` keys in effect.
    pub fn ha(&self) -> Option<Ha> {
        let (user, operator) = self.ha_keys();
        Ha::effective(user, operator).filter(|_| self.owner.is_none())
    }

    fn ha_keys(&self) -> (Option<&Ha>, Option<&Ha>) {
        fn of(policy: &Option<Arc<Policy>>) -> Option<&Ha> {
            policy.as_ref()?.definition.ha.as_ref()
        }
        (of(&self.policy), of(&self.operator_policy))
    }

    /// The effective policy for display; empty without any.
    pub fn effective_policy(&self) -> PolicyDefinition {
        effective(self.policy.as_deref(), self.operator_policy.as_deref())
    }
}

/// A declared exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct ExchangeRecord {
    /// Virtual host.
    pub vhost: VhostName,
    /// Name; empty for the default exchange.
    pub name: ExchangeName,
    /// Type.
    pub kind: ExchangeKind,
    /// Survives a restart.
    pub durable: bool,
    /// Goes with its last binding.
    pub auto_delete: bool,
    /// Closed to publishers.
    pub internal: bool,
    /// Arguments as declared.
    pub args: ExchangeArgs,
    /// Who declared it.
    pub user: UserName,
    /// The user policy in effect.
    pub policy: Option<Arc<Policy>>,
    /// The operator policy in effect.
    pub operator_policy: Option<Arc<Policy>>,
}

impl ExchangeRecord {
    /// How errors name it: `exchange 'x' in vhost '/'`.
    pub fn title(&self) -> String {
        crate::texts::exchange_title(&self.vhost, self.name.as_str())
    }

    /// The type by which it routes: its own, or the one a delayed exchange was told.
    pub fn routes_as(&self) -> ExchangeKind {
        self.args.delayed_kind.unwrap_or(self.kind)
    }

    /// Where messages go that find no destination: by argument, else by policy.
    pub fn alternate(&self) -> Option<ExchangeName> {
        let by_policy = || effective(self.policy.as_deref(), self.operator_policy.as_deref()).alternate_exchange;
        self.args.alternate.clone().or_else(by_policy)
    }
}

fn effective(user: Option<&Policy>, operator: Option<&Policy>) -> PolicyDefinition {
    PolicyDefinition::merged(
        user.map(|policy| &policy.definition),
        operator.map(|policy| &policy.definition),
    )
}

/// A policy in effect for the objects whose names it matches.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Virtual host.
    pub vhost: VhostName,
    /// Name, unique within its level.
    pub name: Arc<str>,
    /// Whose it is.
    pub level: PolicyLevel,
    /// What names it matches.
    pub pattern: Pattern,
    /// What objects.
    pub apply_to: ApplyTo,
    /// The highest wins; of equals the first by name.
    pub priority: i64,
    /// What it says.
    pub definition: PolicyDefinition,
}

/// What is known of a virtual host besides its contents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VhostMetadata {
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Free labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Type of queues declared without one.
    #[serde(default)]
    pub default_queue_type: Option<QueueKind>,
    /// Copies of all messages go to `amq.rabbitmq.trace`.
    #[serde(default)]
    pub tracing: bool,
    /// It cannot be deleted.
    #[serde(default)]
    pub protected: bool,
}

/// Limits of a virtual host; `None` and negative mean no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VhostLimits {
    /// Connections at once.
    #[serde(rename = "max-connections", skip_serializing_if = "Option::is_none", default)]
    pub connections_max: Option<i64>,
    /// Queues.
    #[serde(rename = "max-queues", skip_serializing_if = "Option::is_none", default)]
    pub queues_max: Option<i64>,
}

impl VhostLimits {
    /// Most connections, if limited.
    pub fn connections(&self) -> Option<u64> {
        self.connections_max.and_then(|n| u64::try_from(n).ok())
    }

    /// Most queues, if limited.
    pub fn queues(&self) -> Option<u64> {
        self.queues_max.and_then(|n| u64::try_from(n).ok())
    }
}
