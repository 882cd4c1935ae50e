//! Definitions as plain values: what an export holds and an import brings. The JSON around them is made elsewhere.
//!
//! An import only adds: exchanges and queues that are there are skipped without comparing, users, permissions and
//! policies are overwritten.

use crate::command::{Command, ExchangeSpec, PolicySpec, QueueSpec};
use crate::record::{ExchangeRecord, NodeName, Policy, QueueRecord, VhostLimits, VhostMetadata};
use crate::state::{Catalog, Vhost};
use access::{PermissionTexts, User};
use model::{ExchangeKind, ExchangeName, QueueName, Table, UserName, Value, VhostName};
use routing::{Binding, Destination};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A virtual host without its contents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VhostDefinition {
    /// Name.
    pub name: VhostName,
    /// Metadata.
    pub metadata: VhostMetadata,
    /// Limits.
    pub limits: VhostLimits,
}

/// Permissions of one user in one virtual host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PermissionDefinition {
    /// Where.
    pub vhost: VhostName,
    /// Whose.
    pub user: UserName,
    /// Patterns.
    pub permissions: PermissionTexts,
}

/// Topic permissions of one user on one exchange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopicPermissionDefinition {
    /// Where.
    pub vhost: VhostName,
    /// Whose.
    pub user: UserName,
    /// On which exchange.
    pub exchange: ExchangeName,
    /// Pattern on published keys.
    pub write: String,
    /// Pattern on bound keys.
    pub read: String,
}

/// An exchange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExchangeDefinition {
    /// Where.
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
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueDefinition {
    /// Where.
    pub vhost: VhostName,
    /// Name.
    pub name: QueueName,
    /// Survives a restart.
    pub durable: bool,
    /// Goes with its last consumer.
    pub auto_delete: bool,
    /// Arguments.
    pub arguments: Table,
}

/// A binding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BindingDefinition {
    /// Where.
    pub vhost: VhostName,
    /// Which.
    pub binding: Binding,
}

/// Definitions of a broker or of one virtual host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Definitions {
    /// Users.
    pub users: Vec<User>,
    /// Virtual hosts.
    pub vhosts: Vec<VhostDefinition>,
    /// Permissions.
    pub permissions: Vec<PermissionDefinition>,
    /// Topic permissions.
    pub topic_permissions: Vec<TopicPermissionDefinition>,
    /// Exchanges, without those that every virtual host has.
    pub exchanges: Vec<ExchangeDefinition>,
    /// Global parameters.
    pub global_parameters: Vec<(Arc<str>, Value)>,
    /// Policies and operator policies.
    pub policies: Vec<PolicySpec>,
    /// Queues, without exclusive ones.
    pub queues: Vec<QueueDefinition>,
    /// Bindings, without those of the default exchange and of exclusive queues.
    pub bindings: Vec<BindingDefinition>,
}

impl Catalog {
    /// Everything that can be exported.
    pub fn definitions(&self) -> Definitions {
        let access = self.access();
        let mut all = Definitions {
            users: access.users().map(|user| user.as_ref().clone()).collect(),
            vhosts: self.vhosts().map(|vhost| vhost.definition()).collect(),
            global_parameters: self
                .global_parameters()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            ..Definitions::default()
        };
        all.permissions = self.permission_definitions();
        all.topic_permissions = self.topic_permission_definitions();
        self.vhosts().for_each(|vhost| vhost.export(&mut all));
        all
    }

    pub(crate) fn permission_definitions(&self) -> Vec<PermissionDefinition> {
        let all = self.access().all_permissions();
        all.map(|(vhost, user, own)| {
            let (vhost, user) = (vhost.clone(), user.clone());
            PermissionDefinition {
                vhost,
                user,
                permissions: own.texts(),
            }
        })
        .collect()
    }

    pub(crate) fn topic_permission_definitions(&self) -> Vec<TopicPermissionDefinition> {
        let all = self.access().all_topics();
        all.map(|(vhost, user, exchange, own)| TopicPermissionDefinition {
            vhost: vhost.clone(),
            user: user.clone(),
            exchange: exchange.clone(),
            write: own.write.as_str().to_owned(),
            read: own.read.as_str().to_owned(),
        })
        .collect()
    }
}

impl Vhost {
    /// What of this virtual host can be exported: no users, no permissions, not itself.
    pub fn definitions(&self) -> Definitions {
        let mut own = Definitions::default();
        self.export(&mut own);
        own
    }

    fn definition(&self) -> VhostDefinition {
        VhostDefinition {
            name: self.name.clone(),
            metadata: self.metadata.clone(),
            limits: self.limits,
        }
    }

    fn export(&self, out: &mut Definitions) {
        let declared = |exchange: &&Arc<ExchangeRecord>| {
            !exchange.name.is_default() && !exchange.name.as_str().starts_with("amq.")
        };
        out.exchanges
            .extend(self.exchanges().filter(declared).map(|exchange| exchange.definition()));
        let shared = |queue: &&Arc<QueueRecord>| queue.owner.is_none();
        out.queues
            .extend(self.queues().filter(shared).map(|queue| queue.definition()));
        out.policies.extend(self.policies.values().map(|policy| policy.spec()));
        let stays = |binding: &&Arc<Binding>| match &binding.destination {
            Destination::Queue(name) => self.queue(name.as_str()).is_some_and(|queue| queue.owner.is_none()),
            Destination::Exchange(_) => true,
        };
        out.bindings.extend(self.router.bindings().filter(stays).map(|binding| {
            let (vhost, binding) = (self.name.clone(), binding.as_ref().clone());
            BindingDefinition { vhost, binding }
        }));
    }
}

impl ExchangeRecord {
    fn definition(&self) -> ExchangeDefinition {
        ExchangeDefinition {
            vhost: self.vhost.clone(),
            name: self.name.clone(),
            kind: self.kind,
            durable: self.durable,
            auto_delete: self.auto_delete,
            internal: self.internal,
            arguments: self.args.table.clone(),
        }
    }
}

impl QueueRecord {
    fn definition(&self) -> QueueDefinition {
        QueueDefinition {
            vhost: self.vhost.clone(),
            name: self.name.clone(),
            durable: self.durable,
            auto_delete: self.auto_delete,
            arguments: self.args.table.clone(),
        }
    }
}

impl Policy {
    pub(crate) fn spec(&self) -> PolicySpec {
        PolicySpec {
            vhost: self.vhost.clone(),
            name: self.name.clone(),
            level: self.level,
            pattern: self.pattern.as_str().to_owned(),
            apply_to: self.apply_to,
            priority: self.priority,
            definition: self.definition.table.clone(),
        }
    }
}

impl Definitions {
    /// The commands that bring these definitions into a catalogue, in the order in which they must be applied. Stop at
    /// the first that is refused; what was applied stays. Queues are led by `node` and belong to `user`.
    pub fn commands(self, catalog: &Catalog, node: &NodeName, user: &UserName) -> Vec<Command> {
        let mut out = Vec::new();
        for user in self.users {
            let (name, limits) = (user.name.clone(), user.limits);
            out.extend([Command::PutUser(user), Command::SetUserLimits { name, limits }]);
        }
        for VhostDefinition { name, metadata, limits } in self.vhosts {
            out.push(Command::PutVhost {
                name: name.clone(),
                metadata,
            });
            if limits != VhostLimits::default() {
                out.push(Command::SetVhostLimits { name, limits });
            }
        }
        out.extend(self.permissions.into_iter().map(PermissionDefinition::command));
        out.extend(
            self.topic_permissions
                .into_iter()
                .map(TopicPermissionDefinition::command),
        );
        let exchanges = self
            .exchanges
            .into_iter()
            .filter(|exchange| exchange.is_missing(catalog));
        out.extend(exchanges.map(|exchange| exchange.command(user)));
        let globals = self.global_parameters.into_iter();
        out.extend(globals.map(|(name, value)| Command::SetGlobalParameter { name, value }));
        out.extend(self.policies.into_iter().map(Command::SetPolicy));
        let queues = self.queues.into_iter().filter(|queue| queue.is_missing(catalog));
        out.extend(queues.map(|queue| queue.command(node, user)));
        out.extend(
            self.bindings
                .into_iter()
                .map(|BindingDefinition { vhost, binding }| Command::Bind { vhost, binding }),
        );
        out
    }

    /// What a broker that has no definitions yet begins with: one virtual host and one user who may do everything in it.
    pub fn first(vhost: VhostName, user: User, permissions: PermissionTexts) -> Definitions {
        let permissions = PermissionDefinition {
            vhost: vhost.clone(),
            user: user.name.clone(),
            permissions,
        };
        let metadata = VhostMetadata {
            description: "Default virtual host".to_owned(),
            ..VhostMetadata::default()
        };
        let vhost = VhostDefinition {
            name: vhost,
            metadata,
            limits: VhostLimits::default(),
        };
        Definitions {
            users: vec![user],
            vhosts: vec![vhost],
            permissions: vec![permissions],
            ..Definitions::default()
        }
    }
}

impl PermissionDefinition {
    fn command(self) -> Command {
        let PermissionDefinition {
            vhost,
            user,
            permissions,
        } = self;
        Command::SetPermissions {
            vhost,
            user,
            permissions,
        }
    }
}

impl TopicPermissionDefinition {
    fn command(self) -> Command {
        let TopicPermissionDefinition {
            vhost,
            user,
            exchange,
            write,
            read,
        } = self;
        Command::SetTopicPermissions {
            vhost,
            user,
            exchange,
            write,
            read,
        }
    }
}

impl ExchangeDefinition {
    fn is_missing(&self, catalog: &Catalog) -> bool {
        catalog
            .vhost(self.vhost.as_str())
            .is_none_or(|vhost| vhost.exchange(self.name.as_str()).is_none())
    }

    fn command(self, user: &UserName) -> Command {
        let ExchangeDefinition {
            vhost,
            name,
            kind,
            durable,
            auto_delete,
            internal,
            arguments,
        } = self;
        let user = user.clone();
        Command::DeclareExchange(ExchangeSpec {
            vhost,
            name,
            kind,
            durable,
            auto_delete,
            internal,
            arguments,
            user,
        })
    }
}

impl QueueDefinition {
    fn is_missing(&self, catalog: &Catalog) -> bool {
        catalog.queue(self.vhost.as_str(), self.name.as_str()).is_none()
    }

    fn command(self, node: &NodeName, user: &UserName) -> Command {
        let QueueDefinition {
            vhost,
            name,
            durable,
            auto_delete,
            arguments,
        } = self;
        let (leader, user) = (node.clone(), user.clone());
        Command::DeclareQueue(QueueSpec {
            vhost,
            name,
            durable,
            auto_delete,
            owner: None,
            arguments,
            leader,
            user,
        })
    }
}

#[cfg(test)]
#[path = "definitions_tests.rs"]
mod tests;
