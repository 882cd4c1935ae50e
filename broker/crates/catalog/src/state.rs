//! The catalogue as one persistent value, and how readers look things up in it.
//!
//! Cloning is O(1) and a clone never changes: the host publishes one after each command. Only `apply` changes it.

use crate::copy_index::CopyIndex;
use crate::history::Forced;
use crate::record::{ExchangeRecord, NodeRecord, Owner, Policy, QueueRecord, VhostLimits, VhostMetadata};
use crate::texts;
use access::Access;
use imbl::{OrdMap, OrdSet};
use model::{ExchangeName, Generation, NodeUuid, PolicyLevel, QueueId, QueueName, Refusal, Value, VhostName};
use routing::Router;
use std::sync::Arc;

/// The members, whether they run or not.
pub(crate) type Nodes = OrdMap<NodeUuid, Arc<NodeRecord>>;

/// One virtual host with all it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Vhost {
    pub(crate) name: VhostName,
    pub(crate) metadata: VhostMetadata,
    pub(crate) limits: VhostLimits,
    pub(crate) router: Router,
    pub(crate) exchanges: OrdMap<ExchangeName, Arc<ExchangeRecord>>,
    pub(crate) queues: OrdMap<QueueName, Arc<QueueRecord>>,
    pub(crate) policies: OrdMap<(PolicyLevel, Arc<str>), Arc<Policy>>,
}

impl Vhost {
    /// Name.
    pub fn name(&self) -> &VhostName {
        &self.name
    }

    /// Description, tags, default queue type, tracing.
    pub fn metadata(&self) -> &VhostMetadata {
        &self.metadata
    }

    /// Limits.
    pub fn limits(&self) -> VhostLimits {
        self.limits
    }

    /// The routing of this virtual host.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// A queue by name.
    pub fn queue(&self, name: &str) -> Option<&Arc<QueueRecord>> {
        self.queues.get(name)
    }

    /// An exchange by name; the default one is always there.
    pub fn exchange(&self, name: &str) -> Option<&Arc<ExchangeRecord>> {
        self.exchanges.get(name)
    }

    /// All queues by name.
    pub fn queues(&self) -> impl Iterator<Item = &Arc<QueueRecord>> {
        self.queues.values()
    }

    /// Number of queues.
    pub fn queue_count(&self) -> usize {
        self.queues.len()
    }

    /// All exchanges by name, the default one first.
    pub fn exchanges(&self) -> impl Iterator<Item = &Arc<ExchangeRecord>> {
        self.exchanges.values()
    }

    /// Policies or operator policies by name.
    pub fn policies(&self, level: PolicyLevel) -> impl Iterator<Item = &Arc<Policy>> {
        self.policies.values().filter(move |policy| policy.level == level)
    }

    /// One policy.
    pub fn policy(&self, level: PolicyLevel, name: &str) -> Option<&Arc<Policy>> {
        self.policies.get(&(level, Arc::from(name)))
    }
}

/// Definitions of the whole cluster. Start with [`Catalog::default`], change with [`Catalog::apply`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    pub(crate) vhosts: OrdMap<VhostName, Arc<Vhost>>,
    pub(crate) access: Access,
    pub(crate) queues: OrdMap<QueueId, Arc<QueueRecord>>,
    /// Follows from the queues.
    pub(crate) copies: CopyIndex,
    /// Exclusive queues by their owners.
    pub(crate) owned: OrdSet<(Owner, QueueId)>,
    pub(crate) globals: OrdMap<Arc<str>, Value>,
    pub(crate) nodes: Nodes,
    /// Nodes that were removed; they never come back as they were.
    pub(crate) removed: OrdSet<NodeUuid>,
    pub(crate) forced: Forced,
    pub(crate) level: u32,
    pub(crate) is_level_held: bool,
    pub(crate) last_queue: QueueId,
    pub(crate) generation: Generation,
}

impl Catalog {
    /// Grows whenever something changes that decides where a publish goes or whether it may.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// A virtual host.
    pub fn vhost(&self, name: &str) -> Option<&Arc<Vhost>> {
        self.vhosts.get(name)
    }

    /// All virtual hosts by name.
    pub fn vhosts(&self) -> impl Iterator<Item = &Arc<Vhost>> {
        self.vhosts.values()
    }

    /// Users and permissions.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// A queue by its identity.
    pub fn queue_by_id(&self, id: QueueId) -> Option<&Arc<QueueRecord>> {
        self.queues.get(&id)
    }

    /// A queue by name.
    pub fn queue(&self, vhost: &str, name: &str) -> Option<&Arc<QueueRecord>> {
        self.vhost(vhost)?.queue(name)
    }

    /// All queues, in order of their declaration.
    pub fn queues(&self) -> impl Iterator<Item = &Arc<QueueRecord>> {
        self.queues.values()
    }

    /// A global parameter such as `cluster_name`.
    pub fn global_parameter(&self, name: &str) -> Option<&Value> {
        self.globals.get(name)
    }

    /// All global parameters by name.
    pub fn global_parameters(&self) -> impl Iterator<Item = (&Arc<str>, &Value)> {
        self.globals.iter()
    }

    /// All nodes that have ever started and not been removed.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<NodeRecord>> {
        self.nodes.values()
    }

    /// A node by its identity.
    pub fn node(&self, uuid: NodeUuid) -> Option<&Arc<NodeRecord>> {
        self.nodes.get(&uuid)
    }

    /// A node by its name.
    pub fn node_by_name(&self, name: &str) -> Option<&Arc<NodeRecord>> {
        self.nodes.values().find(|node| node.name.as_ref() == name)
    }

    /// True if the node was removed from the cluster.
    pub fn is_removed(&self, uuid: NodeUuid) -> bool {
        self.removed.contains(&uuid)
    }

    /// What somebody is told who wants something of a durable queue whose node is down.
    ///
    /// # Errors
    /// That text, if it is.
    pub fn check_home(&self, queue: &QueueRecord) -> Result<(), Refusal> {
        match self.node_by_name(&queue.leader) {
            Some(node) if !node.up => Err(texts::home_is_down(&queue.leader, &queue.vhost, &queue.name)),
            Some(_) | None => Ok(()),
        }
    }

    /// True before anything was ever defined.
    pub fn is_blank(&self) -> bool {
        self.vhosts.is_empty() && self.access.users().next().is_none()
    }

    pub(crate) fn vhost_mut(&mut self, name: &VhostName) -> Option<&mut Vhost> {
        self.vhosts.get_mut(name).map(Arc::make_mut)
    }

    /// A record takes the place of an earlier one of the same queue, which is returned.
    pub(crate) fn put_record(&mut self, record: &Arc<QueueRecord>) -> Option<Arc<QueueRecord>> {
        let before = self.queues.insert(record.id, record.clone());
        self.copies.replace(before.as_deref(), Some(record));
        if let Some(vhost) = self.vhost_mut(&record.vhost) {
            vhost.queues.insert(record.name.clone(), record.clone());
        }
        before
    }

    pub(crate) fn touch(&mut self) {
        self.generation = self.generation.next();
    }
}
