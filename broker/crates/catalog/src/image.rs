//! The whole catalogue as plain data, to be written down and read back.
//!
//! An image holds everything that a later command may depend on, down to the last queue's number, and nothing that
//! follows from the rest: which policy an object obeys is found anew. Fields are only ever added, with defaults.

use crate::command::{ExchangeSpec, PolicySpec, QueueSpec};
use crate::definitions::{PermissionDefinition, TopicPermissionDefinition};
use crate::history::Forced;
use crate::policies::{for_exchange, for_queue, settings};
use crate::record::{ExchangeRecord, NodeName, NodeRecord, QueueRecord, VhostLimits, VhostMetadata};
use crate::replicas::Replicas;
use crate::state::{Catalog, Vhost};
use crate::{exchange_rules, policies, queue_rules};
use access::{Access, Permissions, TopicPermissions, User};
use model::{ExchangeKind, Generation, NodeUuid, PolicyLevel, QueueId, Refusal, UserName, Value, VhostName};
use routing::Binding;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A catalogue written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Image {
    vhosts: Vec<VhostImage>,
    users: Vec<User>,
    permissions: Vec<PermissionDefinition>,
    topic_permissions: Vec<TopicPermissionDefinition>,
    global_parameters: Vec<(Arc<str>, Value)>,
    nodes: Vec<NodeRecord>,
    #[serde(default)]
    removed: Vec<NodeUuid>,
    #[serde(default)]
    replicas: Vec<(QueueId, Replicas)>,
    #[serde(default)]
    forced: Forced,
    #[serde(default)]
    level: u32,
    #[serde(default)]
    is_level_held: bool,
    last_queue: QueueId,
    generation: Generation,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct VhostImage {
    name: VhostName,
    metadata: VhostMetadata,
    limits: VhostLimits,
    policies: Vec<PolicySpec>,
    exchanges: Vec<ExchangeSpec>,
    queues: Vec<(QueueId, QueueSpec)>,
    bindings: Vec<Binding>,
}

/// An image that no catalogue can be made of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ImageError(String);

impl From<Refusal> for ImageError {
    fn from(refusal: Refusal) -> Self {
        ImageError(refusal.text)
    }
}

impl Catalog {
    /// Writes everything down.
    pub fn image(&self) -> Image {
        Image {
            vhosts: self.vhosts().map(|vhost| vhost.image()).collect(),
            users: self.access.users().map(|user| user.as_ref().clone()).collect(),
            permissions: self.permission_definitions(),
            topic_permissions: self.topic_permission_definitions(),
            global_parameters: self.global_parameters().map(|(k, v)| (k.clone(), v.clone())).collect(),
            nodes: self.nodes().map(|node| node.as_ref().clone()).collect(),
            removed: self.removed.iter().copied().collect(),
            replicas: self.queues().filter_map(|queue| queue.replicas_image()).collect(),
            forced: self.forced,
            level: self.level,
            is_level_held: self.is_level_held,
            last_queue: self.last_queue,
            generation: self.generation,
        }
    }
}

impl Vhost {
    fn image(&self) -> VhostImage {
        let all = [PolicyLevel::User, PolicyLevel::Operator];
        let policies = all.into_iter().flat_map(|level| self.policies(level));
        VhostImage {
            name: self.name.clone(),
            metadata: self.metadata.clone(),
            limits: self.limits,
            policies: policies.map(|policy| policy.spec()).collect(),
            exchanges: self.exchanges().map(|exchange| exchange.spec()).collect(),
            queues: self.queues().map(|queue| (queue.id, queue.spec())).collect(),
            bindings: self.router.bindings().map(|binding| binding.as_ref().clone()).collect(),
        }
    }
}

impl ExchangeRecord {
    fn spec(&self) -> ExchangeSpec {
        ExchangeSpec {
            vhost: self.vhost.clone(),
            name: self.name.clone(),
            kind: self.kind,
            durable: self.durable,
            auto_delete: self.auto_delete,
            internal: self.internal,
            arguments: self.args.table.clone(),
            user: self.user.clone(),
        }
    }
}

impl QueueRecord {
    fn replicas_image(&self) -> Option<(QueueId, Replicas)> {
        let replicas = self.replicas.as_ref()?;
        Some((self.id, replicas.as_ref().clone()))
    }

    fn spec(&self) -> QueueSpec {
        QueueSpec {
            vhost: self.vhost.clone(),
            name: self.name.clone(),
            durable: self.durable,
            auto_delete: self.auto_delete,
            owner: self.owner.clone(),
            arguments: self.args.table.clone(),
            leader: self.leader.clone(),
            user: self.user.clone(),
        }
    }
}

impl TryFrom<Image> for Catalog {
    type Error = ImageError;

    fn try_from(image: Image) -> Result<Self, ImageError> {
        let mut catalog = Catalog {
            access: access(&image)?,
            globals: image.global_parameters.into_iter().collect(),
            nodes: image
                .nodes
                .into_iter()
                .map(|node| (node.uuid, Arc::new(node)))
                .collect(),
            removed: image.removed.into_iter().collect(),
            forced: image.forced,
            level: image.level,
            is_level_held: image.is_level_held,
            last_queue: image.last_queue,
            generation: image.generation,
            ..Catalog::default()
        };
        let mut names = Names::default();
        let mut replicas = image.replicas.into_iter().collect();
        for vhost in image.vhosts {
            let vhost = vhost.restore(&mut names, &mut replicas)?;
            for queue in vhost.queues() {
                catalog.queues.insert(queue.id, queue.clone());
                catalog.copies.replace(None, Some(queue));
                if let Some(owner) = &queue.owner {
                    catalog.owned.insert((owner.clone(), queue.id));
                }
            }
            catalog.vhosts.insert(vhost.name.clone(), Arc::new(vhost));
        }
        Ok(catalog)
    }
}

fn access(image: &Image) -> Result<Access, ImageError> {
    let mut access = Access::default();
    image.users.iter().for_each(|user| access.put_user(user.clone()));
    for own in &image.permissions {
        let bad = |error| {
            ImageError(format!(
                "permissions of user '{}' in vhost '{}': {error}",
                own.user, own.vhost
            ))
        };
        let permissions = Permissions::compile(&own.permissions).map_err(bad)?;
        access.put_permissions(&own.vhost, &own.user, permissions);
    }
    for own in &image.topic_permissions {
        let bad = |error| ImageError(format!("topic permissions of user '{}': {error}", own.user));
        let topic = TopicPermissions::compile(&own.write, &own.read, own.user.as_str(), own.vhost.as_str());
        access.put_topic(&own.vhost, &own.user, &own.exchange, topic.map_err(bad)?);
    }
    Ok(access)
}

/// Names that many records share are kept once.
#[derive(Default)]
struct Names {
    nodes: BTreeSet<NodeName>,
    users: BTreeSet<UserName>,
}

fn shared<T: Ord + Clone>(names: &mut BTreeSet<T>, name: T) -> T {
    if let Some(known) = names.get(&name) {
        return known.clone();
    }
    names.insert(name.clone());
    name
}

impl VhostImage {
    fn restore(self, names: &mut Names, replicas: &mut BTreeMap<QueueId, Replicas>) -> Result<Vhost, ImageError> {
        let mut vhost = Vhost {
            name: self.name,
            metadata: self.metadata,
            limits: self.limits,
            router: routing::Router::default(),
            exchanges: imbl::OrdMap::new(),
            queues: imbl::OrdMap::new(),
            policies: imbl::OrdMap::new(),
        };
        for spec in self.policies {
            let policy = policies::compile(spec)?;
            vhost
                .policies
                .insert((policy.level, policy.name.clone()), Arc::new(policy));
        }
        for spec in self.exchanges {
            vhost.restore_exchange(spec, names)?;
        }
        for (id, spec) in self.queues {
            vhost.restore_queue(id, spec, replicas.remove(&id), names)?;
        }
        for binding in self.bindings {
            let (source, destination) = (binding.source.clone(), binding.destination.name().to_owned());
            if !vhost.router.bind(Arc::new(binding)) {
                return Err(ImageError(format!(
                    "a binding from exchange '{source}' to '{destination}' in vhost '{}' has lost an end",
                    vhost.name
                )));
            }
        }
        Ok(vhost)
    }
}

impl Vhost {
    fn restore_exchange(&mut self, spec: ExchangeSpec, names: &mut Names) -> Result<(), ImageError> {
        let args = exchange_rules::check_new(&spec.vhost, spec.name.as_str(), spec.kind, &spec.arguments)?;
        let (policy, operator_policy) = for_exchange(self, spec.name.as_str());
        let record = ExchangeRecord {
            vhost: self.name.clone(),
            name: spec.name,
            kind: spec.kind,
            durable: spec.durable,
            auto_delete: spec.auto_delete,
            internal: spec.internal,
            args,
            user: shared(&mut names.users, spec.user),
            policy,
            operator_policy,
        };
        self.route_exchange(&record);
        self.exchanges.insert(record.name.clone(), Arc::new(record));
        Ok(())
    }

    /// The part of an exchange that messages see.
    pub(crate) fn route_exchange(&mut self, record: &ExchangeRecord) {
        if record.name.is_default() {
            return;
        }
        self.router
            .add_exchange(&record.name, record.routes_as(), record.args.hash_on.clone());
        if record.kind == ExchangeKind::Delayed {
            self.router.set_delaying(&record.name);
        }
        self.router.set_alternate(&record.name, record.alternate());
    }

    fn restore_queue(
        &mut self,
        id: QueueId,
        spec: QueueSpec,
        replicas: Option<Replicas>,
        names: &mut Names,
    ) -> Result<(), ImageError> {
        let args = queue_rules::check_new(&spec)?;
        let (policy, operator_policy) = for_queue(self, spec.name.as_str(), args.kind);
        let settings = Arc::new(settings(&args, policy.as_deref(), operator_policy.as_deref()));
        let record = QueueRecord {
            id,
            vhost: self.name.clone(),
            name: spec.name,
            durable: spec.durable,
            auto_delete: spec.auto_delete,
            owner: spec.owner,
            args,
            leader: shared(&mut names.nodes, spec.leader),
            replicas: replicas.map(Arc::new),
            user: shared(&mut names.users, spec.user),
            policy,
            operator_policy,
            settings,
        };
        self.router.add_queue(&record.name, id);
        self.queues.insert(record.name.clone(), Arc::new(record));
        Ok(())
    }
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
