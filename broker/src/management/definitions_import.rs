//! A definitions file as commands for the catalogue, names and values checked.
//!
//! What RabbitMQ skips is skipped: `amq.*` exchanges, bindings of what is not there, and queues and bindings until the cluster has its
//! size; exclusive queues are never in a file.

use access::{HashAlgorithm, PasswordHash, PermissionTexts, UserLimits};
use api::{ApplyTo, Definitions, DestinationType, UserDefinition};
use catalog::{Command, PolicySpec, VhostMetadata};
use model::{PolicyLevel, UserName, VhostName};
use routing::{Binding, Destination};
use serde_json::{Map, Value};

use super::{
    body::{Body, table, tags},
    definitions_check::{self, Refused},
    failure::Failure,
    global_parameters,
    parameters::OPERATOR_POLICY,
    permissions::{bad_name, check_pattern},
    users, vhosts,
};
use crate::host::{Node, defaults_of_new_vhost, hash_algorithm, type_of_new_vhosts};

type Read<T> = Result<T, Failure>;

/// The commands that load a file, in order. With `vhost` everything goes there, and only what a virtual host holds.
///
/// # Errors
/// The first item that cannot be.
pub fn commands(node: &Node, user: &UserName, file: Definitions, vhost: Option<&str>) -> Result<Vec<Command>, Refused> {
    check_tags(&file)?;
    let others = other_parameters(&file, vhost)?;
    let read = Reader {
        node,
        file: &file,
        vhost,
    };
    let mut definitions = read.definitions()?;
    leave_out_early(node, &mut definitions);
    let catalog = &node.snapshot().catalog;
    let places = others.iter().map(|(vhost, _)| vhost);
    definitions_check::check(catalog, &definitions, places)?;
    definitions_check::leave_out_loose_ends(catalog, &mut definitions);
    let commands = definitions.commands(catalog, node.name(), user);
    let mut commands = with_defaults(node, catalog, commands);
    commands.extend(others.into_iter().map(|(_, command)| command));
    Ok(commands)
}

/// New virtual hosts get what the configuration has for them, before what the file has.
fn with_defaults(node: &Node, catalog: &catalog::Catalog, commands: Vec<Command>) -> Vec<Command> {
    let config = node.config();
    let own: Vec<UserName> = commands.iter().filter_map(put_user).collect();
    let mut out = Vec::with_capacity(commands.len());
    for command in commands {
        let new = match &command {
            Command::PutVhost { name, .. } if catalog.vhost(name.as_str()).is_none() => Some(name.clone()),
            _ => None,
        };
        out.push(command);
        let defaults = new.map(|name| defaults_of_new_vhost(&config, catalog, &name));
        let is_missing = |command: &Command| put_user(command).is_none_or(|name| !own.contains(&name));
        out.extend(defaults.into_iter().flatten().filter(|command| is_missing(command)));
    }
    out
}

fn put_user(command: &Command) -> Option<UserName> {
    match command {
        Command::PutUser(user) => Some(user.name.clone()),
        _ => None,
    }
}

/// A user without tags is one whose file was cut, for RabbitMQ.
fn check_tags(file: &Definitions) -> Read<()> {
    let mut users = file.users.iter().flatten();
    match users.all(|own| own.tags.is_some()) {
        true => Ok(()),
        false => Err(Failure::bad_request("tags_not_present")),
    }
}

/// While the cluster has not the size that it shall have, queues and what is bound wait: where their copies are would be decided among
/// too few. Who joins last, and has the same file, imports them.
fn leave_out_early(node: &Node, definitions: &mut catalog::Definitions) {
    let size = node.cluster_size();
    if size.is_reached() || (definitions.queues.is_empty() && definitions.bindings.is_empty()) {
        return;
    }
    let (queues, bindings) = (definitions.queues.len(), definitions.bindings.len());
    tracing::warn!(
        "the cluster has fewer members than cluster_formation.target_cluster_size_hint = {}: {queues} queues and {bindings} bindings of \
         the definitions are left out",
        size.target
    );
    definitions.queues.clear();
    definitions.bindings.clear();
}

struct Reader<'a> {
    node: &'a Node,
    file: &'a Definitions,
    vhost: Option<&'a str>,
}

/// Where an item belongs.
fn place(item: &str, own: Option<&str>, forced: Option<&str>) -> Read<VhostName> {
    let missing = || Failure::bad_request(format!("{item} has no vhost"));
    forced.or(own).ok_or_else(missing)?.parse().map_err(bad_name)
}

/// Parameters that are no policies, such as the limits of virtual hosts, and where they are to be.
fn other_parameters(file: &Definitions, forced: Option<&str>) -> Read<Vec<(VhostName, Command)>> {
    let others = file.parameters.iter().filter(|own| own.component != OPERATOR_POLICY);
    let command = |own: &api::Parameter| {
        let fields = Map::from_iter([("value".to_owned(), own.value.clone())]);
        let vhost = place(&own.name, Some(&own.vhost), forced)?;
        let command = Command::SetParameter {
            vhost: vhost.clone(),
            component: own.component.clone(),
            name: own.name.clone(),
            value: global_parameters::value(&Body(fields))?,
        };
        Ok((vhost, command))
    };
    others.map(command).collect()
}

impl Reader<'_> {
    fn definitions(&self) -> Read<catalog::Definitions> {
        let mut out = catalog::Definitions {
            exchanges: self.exchanges()?,
            policies: self.policies()?,
            queues: self.queues()?,
            bindings: self.bindings()?,
            ..catalog::Definitions::default()
        };
        if self.vhost.is_none() {
            let file = self.file;
            out.users = file
                .users
                .iter()
                .flatten()
                .map(|user| self.user(user))
                .collect::<Read<_>>()?;
            out.vhosts = file
                .vhosts
                .iter()
                .flatten()
                .map(|own| self.vhost_definition(own))
                .collect::<Read<_>>()?;
            out.permissions = file.permissions.iter().flatten().map(permission).collect::<Read<_>>()?;
            out.topic_permissions = file
                .topic_permissions
                .iter()
                .flatten()
                .map(topic)
                .collect::<Read<_>>()?;
            out.global_parameters = self.global_parameters()?;
        }
        Ok(out)
    }

    fn global_parameters(&self) -> Read<Vec<(std::sync::Arc<str>, model::Value)>> {
        let read = |own: &api::GlobalParameter| {
            let fields = Map::from_iter([("value".to_owned(), own.value.clone())]);
            Ok((own.name.as_str().into(), global_parameters::value(&Body(fields))?))
        };
        self.file.global_parameters.iter().flatten().map(read).collect()
    }

    fn user(&self, own: &UserDefinition) -> Read<access::User> {
        let config = self.node.config();
        let config = &config.access;
        let name: UserName = own.name.parse().map_err(bad_name)?;
        let password = match (&own.password, own.password_hash.as_deref()) {
            (Some(password), None | Some("")) => {
                users::check_password(password, &name, config)?;
                PasswordHash::new(
                    hash_algorithm(config.password_hashing),
                    rand::random(),
                    password.as_bytes(),
                )
            }
            (_, hash) => {
                let read = PasswordHash::from_base64(self.algorithm(own)?, hash.unwrap_or_default());
                read.map_err(|error| Failure::bad_request(format!("user {name}: {error}")))?
            }
        };
        let limit = |key: &str| own.limits.get(key).copied();
        Ok(access::User {
            name,
            password,
            tags: own.tags.clone().unwrap_or_default(),
            limits: UserLimits {
                connections_max: limit("max-connections"),
                channels_max: limit("max-channels"),
            },
        })
    }

    /// A file says nothing about tracing: it stays as it is.
    fn vhost_definition(&self, own: &api::VhostDefinition) -> Read<catalog::VhostDefinition> {
        let mut read = vhost(own)?;
        let snapshot = self.node.snapshot();
        let before = snapshot.catalog.vhost(&own.name);
        read.metadata.tracing = before.is_some_and(|before| before.metadata().tracing);
        let is_new = before.is_none() && own.default_queue_type.is_none();
        let kind = || type_of_new_vhosts(&self.node.config());
        read.metadata.default_queue_type = read.metadata.default_queue_type.or_else(|| is_new.then(kind)?);
        Ok(read)
    }

    /// Files that do not say were written by old versions, which tells how.
    fn algorithm(&self, own: &UserDefinition) -> Read<HashAlgorithm> {
        if let Some(word) = &own.hashing_algorithm {
            return word
                .parse()
                .map_err(|error| Failure::bad_request(format!("user {}: {error}", own.name)));
        }
        let version = self.file.rabbit_version.as_deref().unwrap_or_default();
        let is_old = ["3.5.", "3.4.", "3.3.", "3.2.", "3.1.", "3.0."]
            .iter()
            .any(|old| version.starts_with(old));
        Ok(match is_old {
            true => HashAlgorithm::Md5,
            false => hash_algorithm(self.node.config().access.password_hashing),
        })
    }

    fn exchanges(&self) -> Read<Vec<catalog::ExchangeDefinition>> {
        let declared = |own: &&api::ExchangeDefinition| !own.name.is_empty() && !own.name.starts_with("amq.");
        let read = |own: &api::ExchangeDefinition| {
            Ok(catalog::ExchangeDefinition {
                vhost: place(&own.name, own.vhost.as_deref(), self.vhost)?,
                name: own.name.parse().map_err(bad_name)?,
                kind: own.kind.parse().map_err(|_| {
                    Failure::bad_request(format!("unknown exchange type '{}' of exchange {}", own.kind, own.name))
                })?,
                durable: own.durable,
                auto_delete: own.auto_delete,
                internal: own.internal,
                arguments: table(&own.arguments)?,
            })
        };
        self.file.exchanges.iter().filter(declared).map(read).collect()
    }

    fn queues(&self) -> Read<Vec<catalog::QueueDefinition>> {
        let read = |own: &api::QueueDefinition| {
            let mut arguments = table(&own.arguments)?;
            if let Some(kind) = own.kind.as_deref().filter(|kind| *kind != "classic") {
                arguments.set("x-queue-type", kind.into());
            }
            Ok(catalog::QueueDefinition {
                vhost: place(&own.name, own.vhost.as_deref(), self.vhost)?,
                name: own.name.parse().map_err(bad_name)?,
                durable: own.durable,
                auto_delete: own.auto_delete,
                arguments,
            })
        };
        self.file.queues.iter().map(read).collect()
    }

    fn bindings(&self) -> Read<Vec<catalog::BindingDefinition>> {
        let read = |own: &api::BindingDefinition| {
            let destination = match own.destination_type {
                DestinationType::Queue => Destination::Queue(own.destination.parse().map_err(bad_name)?),
                DestinationType::Exchange => Destination::Exchange(own.destination.parse().map_err(bad_name)?),
            };
            let source = own.source.parse().map_err(bad_name)?;
            let arguments = table(&own.arguments)?;
            Ok(catalog::BindingDefinition {
                vhost: place(&own.destination, own.vhost.as_deref(), self.vhost)?,
                binding: Binding::new(source, destination, own.routing_key.as_bytes(), arguments),
            })
        };
        let declared = |own: &&api::BindingDefinition| !own.source.is_empty();
        self.file.bindings.iter().filter(declared).map(read).collect()
    }

    fn policies(&self) -> Read<Vec<PolicySpec>> {
        let own = self.file.policies.iter().map(|own| self.policy(own, PolicyLevel::User));
        let operators = self
            .file
            .parameters
            .iter()
            .filter(|own| own.component == OPERATOR_POLICY);
        let operators = operators.map(|own| self.policy(&operator_policy(own)?, PolicyLevel::Operator));
        own.chain(operators).collect()
    }

    fn policy(&self, own: &api::Policy, level: PolicyLevel) -> Read<PolicySpec> {
        Ok(PolicySpec {
            vhost: place(&own.name, Some(&own.vhost), self.vhost)?,
            name: own.name.as_str().into(),
            level,
            pattern: own.pattern.clone(),
            apply_to: apply_to(own.apply_to),
            priority: own.priority,
            definition: table(&own.definition)?,
        })
    }
}

fn apply_to(word: ApplyTo) -> model::ApplyTo {
    match word {
        ApplyTo::All => model::ApplyTo::All,
        ApplyTo::Queues => model::ApplyTo::Queues,
        ApplyTo::Exchanges => model::ApplyTo::Exchanges,
        ApplyTo::ClassicQueues => model::ApplyTo::ClassicQueues,
        ApplyTo::QuorumQueues => model::ApplyTo::QuorumQueues,
        ApplyTo::Streams => model::ApplyTo::Streams,
    }
}

/// An operator policy lies in a file as a parameter; its value has the fields of a policy but name and place.
fn operator_policy(own: &api::Parameter) -> Read<api::Policy> {
    let mut fields = own.value.as_object().cloned().unwrap_or_default();
    fields.insert("name".to_owned(), own.name.clone().into());
    fields.insert("vhost".to_owned(), own.vhost.clone().into());
    let read = serde_json::from_value(Value::Object(fields));
    read.map_err(|error| Failure::bad_request(format!("operator policy {}: {error}", own.name)))
}

/// Older files have description and tags only in `metadata`.
fn vhost(own: &api::VhostDefinition) -> Read<catalog::VhostDefinition> {
    let described = || {
        own.metadata
            .get("description")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let labels = match (own.tags.is_empty(), own.metadata.get("tags")) {
        (true, Some(labels)) => tags(labels)?,
        _ => own.tags.clone(),
    };
    let kind = own.default_queue_type.as_deref().filter(|word| *word != "undefined");
    let kind = kind.map(str::parse).transpose();
    Ok(catalog::VhostDefinition {
        name: own.name.parse().map_err(bad_name)?,
        metadata: VhostMetadata {
            description: own.description.clone().or_else(described).unwrap_or_default(),
            tags: labels,
            default_queue_type: kind
                .map_err(|_| Failure::bad_request(format!("vhost {}: unknown default_queue_type", own.name)))?,
            protected: own.metadata.get(vhosts::PROTECTED).and_then(Value::as_bool) == Some(true),
            ..VhostMetadata::default()
        },
        limits: catalog::VhostLimits::default(),
    })
}

fn permission(own: &api::Permission) -> Read<catalog::PermissionDefinition> {
    for text in [&own.configure, &own.write, &own.read] {
        check_pattern(text)?;
    }
    Ok(catalog::PermissionDefinition {
        vhost: own.vhost.parse().map_err(bad_name)?,
        user: own.user.parse().map_err(bad_name)?,
        permissions: PermissionTexts {
            configure: own.configure.clone(),
            write: own.write.clone(),
            read: own.read.clone(),
        },
    })
}

fn topic(own: &api::TopicPermission) -> Read<catalog::TopicPermissionDefinition> {
    Ok(catalog::TopicPermissionDefinition {
        vhost: own.vhost.parse().map_err(bad_name)?,
        user: own.user.parse().map_err(bad_name)?,
        exchange: own.exchange.parse().map_err(bad_name)?,
        write: own.write.clone(),
        read: own.read.clone(),
    })
}
