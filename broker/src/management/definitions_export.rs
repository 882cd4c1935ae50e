//! The catalogue's definitions in the shape of a definitions file.

use api::{
    BindingDefinition, Definitions, DestinationType, ExchangeDefinition, Permission, QueueDefinition, TopicPermission,
    UserDefinition, VhostDefinition,
};
use catalog::Catalog;
use model::{PolicyLevel, QueueArgs};
use routing::Destination;
use serde_json::Value;

use super::{global_parameters, parameters, policies, users, vhosts};
use crate::host::RABBITMQ_VERSION;

/// How global parameters begin that are of one cluster and no part of its definitions.
const INTERNAL: &str = "internal_";

/// Everything.
pub fn whole(catalog: &Catalog, product: (&str, &str)) -> Definitions {
    let all = catalog.definitions();
    let version = || Some(RABBITMQ_VERSION.to_owned());
    Definitions {
        rabbit_version: version(),
        rabbitmq_version: version(),
        product_name: Some(product.0.to_owned()),
        product_version: Some(product.1.to_owned()),
        users: Some(all.users.iter().map(user).collect()),
        vhosts: Some(all.vhosts.iter().map(vhost).collect()),
        permissions: Some(all.permissions.iter().map(permission).collect()),
        topic_permissions: Some(all.topic_permissions.iter().map(topic_permission).collect()),
        parameters: catalog.vhosts().flat_map(|vhost| parameters::of(vhost)).collect(),
        global_parameters: Some(
            catalog
                .global_parameters()
                .filter(|(name, _)| !name.starts_with(INTERNAL))
                .map(|(name, value)| global_parameters::shape(name, value))
                .collect(),
        ),
        policies: catalog.vhosts().flat_map(|vhost| own_policies(vhost)).collect(),
        queues: all.queues.iter().map(queue).collect(),
        exchanges: all.exchanges.iter().map(exchange).collect(),
        bindings: all.bindings.iter().map(binding).collect(),
    }
}

/// What one virtual host holds; its name is left out, so that the file can be loaded into another.
pub fn of_vhost(vhost: &catalog::Vhost) -> Definitions {
    let all = vhost.definitions();
    Definitions {
        rabbit_version: Some(RABBITMQ_VERSION.to_owned()),
        parameters: parameters::of(vhost),
        policies: own_policies(vhost),
        queues: all
            .queues
            .iter()
            .map(|own| QueueDefinition {
                vhost: None,
                ..queue(own)
            })
            .collect(),
        exchanges: all
            .exchanges
            .iter()
            .map(|own| ExchangeDefinition {
                vhost: None,
                ..exchange(own)
            })
            .collect(),
        bindings: all
            .bindings
            .iter()
            .map(|own| BindingDefinition {
                vhost: None,
                ..binding(own)
            })
            .collect(),
        ..Definitions::default()
    }
}

fn own_policies(vhost: &catalog::Vhost) -> Vec<api::Policy> {
    let own = vhost.policies(PolicyLevel::User);
    own.map(|policy| policies::shape(policy)).collect()
}

fn user(user: &access::User) -> UserDefinition {
    UserDefinition {
        name: user.name.to_string(),
        password_hash: Some(user.password.to_base64()),
        password: None,
        hashing_algorithm: Some(user.password.algorithm().as_str().to_owned()),
        tags: Some(user.tags.clone()),
        limits: users::limits(user.limits),
    }
}

fn vhost(vhost: &catalog::VhostDefinition) -> VhostDefinition {
    let metadata = &vhost.metadata;
    VhostDefinition {
        name: vhost.name.to_string(),
        description: Some(metadata.description.clone()),
        tags: metadata.tags.clone(),
        default_queue_type: metadata.default_queue_type.map(|kind| kind.to_string()),
        metadata: [
            ("description".to_owned(), Value::from(metadata.description.as_str())),
            ("tags".to_owned(), Value::from(metadata.tags.clone())),
        ]
        .into_iter()
        .chain(
            metadata
                .protected
                .then(|| (vhosts::PROTECTED.to_owned(), Value::from(true))),
        )
        .collect(),
    }
}

fn permission(own: &catalog::PermissionDefinition) -> Permission {
    Permission {
        user: own.user.to_string(),
        vhost: own.vhost.to_string(),
        configure: own.permissions.configure.clone(),
        write: own.permissions.write.clone(),
        read: own.permissions.read.clone(),
    }
}

fn topic_permission(own: &catalog::TopicPermissionDefinition) -> TopicPermission {
    TopicPermission {
        user: own.user.to_string(),
        vhost: own.vhost.to_string(),
        exchange: own.exchange.to_string(),
        write: own.write.clone(),
        read: own.read.clone(),
    }
}

fn queue(own: &catalog::QueueDefinition) -> QueueDefinition {
    // Arguments of a queue that exists were read before.
    let kind = QueueArgs::parse(own.arguments.clone()).map(|args| args.kind);
    QueueDefinition {
        name: own.name.to_string(),
        vhost: Some(own.vhost.to_string()),
        durable: own.durable,
        auto_delete: own.auto_delete,
        kind: kind.ok().map(|kind| kind.to_string()),
        arguments: api::to_json(&own.arguments),
    }
}

fn exchange(own: &catalog::ExchangeDefinition) -> ExchangeDefinition {
    ExchangeDefinition {
        name: own.name.to_string(),
        vhost: Some(own.vhost.to_string()),
        kind: own.kind.as_str().to_owned(),
        durable: own.durable,
        auto_delete: own.auto_delete,
        internal: own.internal,
        arguments: api::to_json(&own.arguments),
    }
}

fn binding(own: &catalog::BindingDefinition) -> BindingDefinition {
    let (destination_type, destination) = match &own.binding.destination {
        Destination::Queue(name) => (DestinationType::Queue, name.to_string()),
        Destination::Exchange(name) => (DestinationType::Exchange, name.to_string()),
    };
    BindingDefinition {
        source: own.binding.source.to_string(),
        vhost: Some(own.vhost.to_string()),
        destination,
        destination_type,
        routing_key: String::from_utf8_lossy(&own.binding.key).into_owned(),
        arguments: api::to_json(&own.binding.arguments),
    }
}
