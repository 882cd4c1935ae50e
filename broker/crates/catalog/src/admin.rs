//! Changes of virtual hosts, users, permissions, limits and parameters.
//!
//! Refusals name what is missing or wrong in the words of RabbitMQ's tools; the management API gives them its codes.

use crate::apply::{Applied, Change};
use crate::command::Answer;
use crate::event::Event;
use crate::record::{VhostLimits, VhostMetadata};
use crate::state::Vhost;
use crate::{exchange_rules, queue_rules, texts};
use access::{PatternError, PermissionTexts, Permissions, TopicPermissions, User};
use model::{ExchangeName, QueueId, Refusal, Table, UserName, Value, VhostName};
use std::sync::Arc;

/// The component whose parameter holds a virtual host's limits.
const LIMITS: &str = "vhost-limits";

fn bad_pattern(error: &PatternError) -> Refusal {
    texts::precondition(format!("invalid regular expression: {error}"))
}

impl Change<'_> {
    pub(crate) fn put_vhost(&mut self, name: VhostName, metadata: VhostMetadata) -> Applied {
        if let Some(kind) = metadata
            .default_queue_type
            .filter(|kind| !queue_rules::is_offered(*kind))
        {
            return Err(texts::precondition(format!(
                "default queue type '{kind}' is not supported, use 'classic' or 'quorum'"
            )));
        }
        if name.is_empty() {
            return Err(texts::precondition("a virtual host's name must not be empty"));
        }
        if let Some(vhost) = self.catalog.vhost_mut(&name) {
            vhost.metadata = metadata;
            // Routes that clients remember know whether publishes are traced.
            self.catalog.touch();
            self.tell(Event::VhostChanged(name));
            return Ok(Answer::Done);
        }
        let vhost = Vhost {
            name: name.clone(),
            metadata,
            limits: VhostLimits::default(),
            router: routing::Router::default(),
            exchanges: imbl::OrdMap::new(),
            queues: imbl::OrdMap::new(),
            policies: imbl::OrdMap::new(),
        };
        self.catalog.vhosts.insert(name.clone(), Arc::new(vhost));
        self.tell(Event::VhostCreated(name.clone()));
        for (exchange, kind, internal) in exchange_rules::PREDECLARED {
            let exchange = exchange.parse().unwrap_or_default();
            self.put_exchange(&name, exchange_rules::predeclared(&name, exchange, kind, internal))?;
        }
        Ok(Answer::Created)
    }

    pub(crate) fn delete_vhost(&mut self, name: &VhostName) -> Applied {
        let vhost = self.vhost(name)?;
        if vhost.metadata().protected {
            return Err(texts::precondition(format!(
                "virtual host '{name}' is protected from deletion"
            )));
        }
        let queues: Vec<QueueId> = vhost.queues().map(|queue| queue.id).collect();
        for id in queues {
            self.delete_queue(id);
        }
        self.catalog.vhosts.remove(name);
        self.catalog.access.remove_vhost(name);
        self.catalog.touch();
        self.tell(Event::VhostDeleted(name.clone()));
        Ok(Answer::Done)
    }

    pub(crate) fn set_vhost_limits(&mut self, name: &VhostName, limits: VhostLimits) -> Applied {
        self.vhost_mut(name)?.limits = limits;
        self.tell(Event::VhostChanged(name.clone()));
        Ok(Answer::Done)
    }

    pub(crate) fn add_user(&mut self, user: User) -> Applied {
        if self.catalog.access.user(user.name.as_str()).is_some() {
            return Err(texts::precondition(format!("User \"{}\" already exists", user.name)));
        }
        Ok(self.put_user(user))
    }

    /// An existing user keeps the limits.
    pub(crate) fn put_user(&mut self, mut user: User) -> Answer {
        let name = user.name.clone();
        let existing = self.catalog.access.user(name.as_str()).cloned();
        if let Some(existing) = &existing {
            user.limits = existing.limits;
        }
        self.catalog.access.put_user(user);
        self.catalog.touch();
        self.tell(if existing.is_some() {
            Event::UserChanged(name)
        } else {
            Event::UserCreated(name)
        });
        if existing.is_some() {
            Answer::Done
        } else {
            Answer::Created
        }
    }

    pub(crate) fn edit_user(&mut self, name: &UserName, edit: impl FnOnce(&mut User)) -> Applied {
        let found = self
            .catalog
            .access
            .user(name.as_str())
            .ok_or_else(|| texts::user_does_not_exist(name))?;
        let mut user = found.as_ref().clone();
        edit(&mut user);
        self.catalog.access.put_user(user);
        self.catalog.touch();
        self.tell(Event::UserChanged(name.clone()));
        Ok(Answer::Done)
    }

    pub(crate) fn delete_user(&mut self, name: &UserName) -> Applied {
        self.catalog
            .access
            .remove_user(name)
            .ok_or_else(|| texts::user_does_not_exist(name))?;
        self.catalog.touch();
        self.tell(Event::UserDeleted(name.clone()));
        Ok(Answer::Done)
    }

    fn check_user_and_vhost(&self, user: &UserName, vhost: &VhostName) -> Result<(), Refusal> {
        self.vhost(vhost)?;
        self.catalog
            .access
            .user(user.as_str())
            .map(drop)
            .ok_or_else(|| texts::user_does_not_exist(user))
    }

    fn permissions_changed(&mut self, vhost: VhostName, user: UserName) {
        self.catalog.touch();
        self.tell(Event::PermissionsChanged { vhost, user });
    }

    pub(crate) fn set_permissions(&mut self, vhost: VhostName, user: UserName, texts: &PermissionTexts) -> Applied {
        let permissions = Permissions::compile(texts).map_err(|error| bad_pattern(&error))?;
        self.check_user_and_vhost(&user, &vhost)?;
        let existed = self.catalog.access.permissions(&vhost, &user).is_some();
        self.catalog.access.put_permissions(&vhost, &user, permissions);
        self.permissions_changed(vhost, user);
        Ok(if existed { Answer::Done } else { Answer::Created })
    }

    pub(crate) fn clear_permissions(&mut self, vhost: VhostName, user: UserName) -> Applied {
        self.check_user_and_vhost(&user, &vhost)?;
        if !self.catalog.access.remove_permissions(&vhost, &user) {
            return Ok(Answer::Absent);
        }
        self.permissions_changed(vhost, user);
        Ok(Answer::Done)
    }

    pub(crate) fn set_topic(
        &mut self,
        vhost: VhostName,
        user: UserName,
        exchange: &ExchangeName,
        write: &str,
        read: &str,
    ) -> Applied {
        let topic = TopicPermissions::compile(write, read, user.as_str(), vhost.as_str());
        let topic = topic.map_err(|error| bad_pattern(&error))?;
        self.check_user_and_vhost(&user, &vhost)?;
        let existed = self.catalog.access.topic(&vhost, &user, exchange).is_some();
        self.catalog.access.put_topic(&vhost, &user, exchange, topic);
        self.permissions_changed(vhost, user);
        Ok(if existed { Answer::Done } else { Answer::Created })
    }

    pub(crate) fn clear_topic(&mut self, vhost: VhostName, user: UserName, on: Option<&ExchangeName>) -> Applied {
        self.check_user_and_vhost(&user, &vhost)?;
        if !self.catalog.access.remove_topics(&vhost, &user, on) {
            return Ok(Answer::Absent);
        }
        self.permissions_changed(vhost, user);
        Ok(Answer::Done)
    }

    /// The only component there is keeps the limits of virtual hosts; policies have commands of their own.
    pub(crate) fn set_parameter(&mut self, vhost: VhostName, component: &str, name: &str, value: &Value) -> Applied {
        self.vhost(&vhost)?;
        if component != LIMITS {
            return Err(texts::validation_failed(format!("component {component} not found")));
        }
        match (name, value) {
            ("limits", Value::Table(table)) => self.set_vhost_limits(&vhost, limits(table)?),
            ("limits", other) => Err(texts::validation_failed(format!(
                "limits should be an object, got {}",
                other.term()
            ))),
            (other, _) => Err(texts::validation_failed(format!(
                "{LIMITS} has one parameter, limits, not {other}"
            ))),
        }
    }

    pub(crate) fn clear_parameter(&mut self, vhost: VhostName, component: &str, name: &str) -> Applied {
        let absent = self.vhost(&vhost)?.limits == VhostLimits::default();
        if (component, name) != (LIMITS, "limits") || absent {
            return Err(texts::not_found("Parameter does not exist"));
        }
        self.set_vhost_limits(&vhost, VhostLimits::default())
    }

    pub(crate) fn set_global(&mut self, name: Arc<str>, value: Value) -> Answer {
        let replaced = self.catalog.globals.insert(name.clone(), value);
        self.tell(Event::GlobalParameterChanged(name));
        if replaced.is_some() {
            Answer::Done
        } else {
            Answer::Created
        }
    }

    pub(crate) fn clear_global(&mut self, name: Arc<str>) -> Applied {
        let removed = self.catalog.globals.remove(&name);
        removed.ok_or_else(|| texts::not_found("Parameter does not exist"))?;
        self.tell(Event::GlobalParameterChanged(name));
        Ok(Answer::Done)
    }
}

fn limits(table: &Table) -> Result<VhostLimits, Refusal> {
    let mut limits = VhostLimits::default();
    for (key, value) in &table.0 {
        let number = value.as_integer().and_then(|n| i64::try_from(n).ok());
        let wrong = || texts::validation_failed(format!("{key} should be a number, actually was {}", value.term()));
        let number = Some(number.ok_or_else(wrong)?);
        match key.as_str() {
            "max-connections" => limits.connections_max = number,
            "max-queues" => limits.queues_max = number,
            _ => {
                return Err(texts::validation_failed(format!(
                    "Unrecognised terms [{{<<{key:?}>>,{}}}] in limits",
                    value.term()
                )));
            }
        }
    }
    Ok(limits)
}
