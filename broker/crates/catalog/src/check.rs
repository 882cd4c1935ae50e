//! Whether a client may do what needs no command: enter a virtual host, open a channel, publish, read from a queue.
//!
//! All on a snapshot. Answers hold until the catalogue's generation changes, so hosts may keep them that long.

use crate::record::QueueRecord;
use crate::request::Client;
use crate::state::{Catalog, Vhost};
use crate::{queue_rules, texts};
use access::Permission::{self, Read, Write};
use model::{ExchangeKind, ExchangeName, QueueName, Refusal, UserName, VhostName};
use std::sync::Arc;

/// Names that only the broker gives.
pub(crate) fn is_system(name: &str) -> bool {
    name.starts_with("amq.")
}

/// A client together with the virtual host it is in.
pub(crate) struct Asker<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) client: &'a Client,
    pub(crate) vhost: &'a Vhost,
}

impl<'a> Asker<'a> {
    /// The virtual host may have been deleted a moment ago.
    pub(crate) fn new(catalog: &'a Catalog, client: &'a Client) -> Result<Self, Refusal> {
        let vhost = catalog
            .vhost(client.vhost.as_str())
            .ok_or_else(|| texts::no_vhost(&client.vhost))?;
        Ok(Asker { catalog, client, vhost })
    }

    fn may(&self, permission: Permission, resource: &str) -> bool {
        self.catalog
            .access
            .may(&self.client.user, &self.client.vhost, permission, resource)
    }

    pub(crate) fn check_queue(&self, permission: Permission, name: &QueueName) -> Result<(), Refusal> {
        if self.may(permission, name.as_str()) {
            return Ok(());
        }
        Err(texts::no_permission(
            permission,
            &texts::queue_title(&self.vhost.name, name.as_str()),
            &self.client.user,
        ))
    }

    pub(crate) fn check_exchange(&self, permission: Permission, name: &ExchangeName) -> Result<(), Refusal> {
        if self.may(permission, name.as_str()) {
            return Ok(());
        }
        // Texts call the default exchange as permissions do.
        let shown = if name.is_default() {
            "amq.default"
        } else {
            name.as_str()
        };
        Err(texts::no_permission(
            permission,
            &texts::exchange_title(&self.vhost.name, shown),
            &self.client.user,
        ))
    }

    /// Only topic exchanges have topic permissions; a missing exchange is found elsewhere.
    pub(crate) fn check_topic(&self, permission: Permission, name: &ExchangeName, key: &[u8]) -> Result<(), Refusal> {
        let is_topic = |name: &str| {
            self.vhost
                .exchange(name)
                .is_some_and(|found| found.kind == ExchangeKind::Topic)
        };
        let (user, vhost) = (&self.client.user, &self.client.vhost);
        if !is_topic(name.as_str()) || self.catalog.access.may_topic(user, vhost, name, permission, key) {
            return Ok(());
        }
        Err(texts::no_topic_permission(
            permission,
            key,
            &texts::exchange_title(vhost, name.as_str()),
            user,
        ))
    }

    pub(crate) fn existing_exchange(&self, name: &str) -> Result<(), Refusal> {
        match self.vhost.exchange(name) {
            Some(_) => Ok(()),
            None => Err(texts::missing(&texts::exchange_title(&self.vhost.name, name))),
        }
    }

    /// The queue, if it exists and is not exclusive to another connection.
    pub(crate) fn own_queue(&self, name: &QueueName) -> Result<&'a Arc<QueueRecord>, Refusal> {
        let missing = || texts::missing(&texts::queue_title(&self.vhost.name, name.as_str()));
        let queue = self.vhost.queue(name.as_str()).ok_or_else(missing)?;
        queue_rules::check_owner(queue, &self.client.owner())?;
        Ok(queue)
    }
}

/// May this client publish with that key to that exchange? Holds for the generation, the exchange and the key.
///
/// # Errors
/// No write permission, no such exchange, internal exchange, no topic permission: in this order.
pub fn check_publish(catalog: &Catalog, client: &Client, exchange: &ExchangeName, key: &[u8]) -> Result<(), Refusal> {
    let asker = Asker::new(catalog, client)?;
    asker.check_exchange(Write, exchange)?;
    asker.existing_exchange(exchange.as_str())?;
    if asker
        .vhost
        .exchange(exchange.as_str())
        .is_some_and(|found| found.internal)
    {
        let title = texts::exchange_title(&client.vhost, exchange.as_str());
        return Err(texts::access_refused(format!("cannot publish to internal {title}")));
    }
    asker.check_topic(Write, exchange, key)
}

/// May this client consume from, get from or purge that queue?
///
/// # Errors
/// No read permission, no such queue, exclusive to another connection: in this order.
pub fn check_read(catalog: &Catalog, client: &Client, queue: &QueueName) -> Result<Arc<QueueRecord>, Refusal> {
    let asker = Asker::new(catalog, client)?;
    asker.check_queue(Read, queue)?;
    asker.own_queue(queue).cloned()
}

/// Connections that are open now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// In the virtual host.
    pub in_vhost: u64,
    /// Of the user, in all virtual hosts.
    pub of_user: u64,
}

/// May this user open a connection to that virtual host, with so many open already?
///
/// # Errors
/// A limit is reached, no such virtual host, no permission in it: in this order.
pub fn check_enter(catalog: &Catalog, user: &UserName, vhost: &VhostName, open: Open) -> Result<(), Refusal> {
    let refused = format!("access to vhost '{vhost}' refused for user '{user}'");
    let vhost_limit = catalog
        .vhost(vhost.as_str())
        .and_then(|found| found.limits.connections());
    if let Some(limit) = vhost_limit.filter(|limit| open.in_vhost >= *limit) {
        return Err(texts::not_allowed(format!(
            "{refused}: connection limit ({limit}) is reached"
        )));
    }
    let user_limit = catalog
        .access
        .user(user.as_str())
        .and_then(|found| found.limits.connections());
    if let Some(limit) = user_limit.filter(|limit| open.of_user >= *limit) {
        let text = format!("connection refused for user '{user}': user connection limit ({limit}) is reached");
        return Err(texts::not_allowed(text));
    }
    if catalog.vhost(vhost.as_str()).is_none() {
        return Err(texts::no_vhost(vhost));
    }
    if catalog.access.may_enter(user, vhost) {
        Ok(())
    } else {
        Err(texts::not_allowed(refused))
    }
}

/// May this user open a channel, with so many open already?
///
/// # Errors
/// When the user's limit is reached.
pub fn check_channel(catalog: &Catalog, user: &UserName, open: u64) -> Result<(), Refusal> {
    let limit = catalog
        .access
        .user(user.as_str())
        .and_then(|found| found.limits.channels());
    match limit.filter(|limit| open >= *limit) {
        None => Ok(()),
        Some(limit) => Err(texts::not_allowed(format!(
            "number of channels opened for user '{user}' has reached the maximum allowed user limit of ({limit})"
        ))),
    }
}
