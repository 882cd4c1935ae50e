//! Whether what a definitions file refers to is there, or comes with the file. Asked before anything of it is imported.
//!
//! RabbitMQ's words for what is missing, and like RabbitMQ a binding of what is not there is left out. Nothing is changed here.

use catalog::{BindingDefinition, Catalog, Definitions};
use model::{UserName, VhostName};
use routing::Destination;
use serde_json::json;
use std::{collections::HashSet, fmt};

use super::failure::Failure;

/// Why a definitions file is not imported.
#[derive(Clone, Debug, PartialEq)]
pub enum Refused {
    /// Something is to be in a virtual host that is not there.
    NoSuchVhost(String),
    /// A permission of a user who is not there.
    NoSuchUser(String),
    /// Anything else.
    Because(Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Refused::Because(failure)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoSuchVhost(name) => Failure::bad_request(json!(["no_such_vhost", name])),
            Refused::NoSuchUser(name) => Failure::bad_request(json!(["no_such_user", name])),
            Refused::Because(failure) => failure,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NoSuchVhost(name) => write!(f, "Virtual host '{name}' does not exist"),
            Refused::NoSuchUser(name) => write!(f, "User '{name}' does not exist"),
            Refused::Because(failure) => f.write_str(&failure.reason()),
        }
    }
}

impl std::error::Error for Refused {}

/// What there is, and what the file brings.
struct Known<'a> {
    catalog: &'a Catalog,
    vhosts: HashSet<&'a str>,
    users: HashSet<&'a str>,
}

impl Known<'_> {
    fn vhost(&self, name: &VhostName) -> Result<(), Refused> {
        let is_there = self.catalog.vhost(name.as_str()).is_some();
        match is_there || self.vhosts.contains(name.as_str()) {
            true => Ok(()),
            false => Err(Refused::NoSuchVhost(name.to_string())),
        }
    }

    fn user(&self, name: &UserName) -> Result<(), Refused> {
        let is_there = self.catalog.access().user(name.as_str()).is_some();
        match is_there || self.users.contains(name.as_str()) {
            true => Ok(()),
            false => Err(Refused::NoSuchUser(name.to_string())),
        }
    }
}

/// Looks for all that the file refers to, in the order in which RabbitMQ imports; `others` are where its parameters are to be.
///
/// # Errors
/// The first virtual host or user that is neither there nor in the file.
pub fn check<'a>(
    catalog: &Catalog,
    file: &'a Definitions,
    others: impl Iterator<Item = &'a VhostName>,
) -> Result<(), Refused> {
    let known = Known {
        catalog,
        vhosts: file.vhosts.iter().map(|own| own.name.as_str()).collect(),
        users: file.users.iter().map(|own| own.name.as_str()).collect(),
    };
    for own in &file.permissions {
        known.user(&own.user)?;
        known.vhost(&own.vhost)?;
    }
    for own in &file.topic_permissions {
        known.user(&own.user)?;
        known.vhost(&own.vhost)?;
    }
    let exchanges = file.exchanges.iter().map(|own| &own.vhost);
    let policies = file.policies.iter().map(|own| &own.vhost);
    let queues = file.queues.iter().map(|own| &own.vhost);
    let mut places = exchanges.chain(policies).chain(others).chain(queues);
    places.try_for_each(|vhost| known.vhost(vhost))
}

/// Leaves out bindings of which an end is neither there nor in the file, and says so in the log.
pub fn leave_out_loose_ends(catalog: &Catalog, file: &mut Definitions) {
    let bindings = std::mem::take(&mut file.bindings);
    let exchanges: HashSet<_> = file
        .exchanges
        .iter()
        .map(|own| (own.vhost.as_str(), own.name.as_str()))
        .collect();
    let queues: HashSet<_> = file
        .queues
        .iter()
        .map(|own| (own.vhost.as_str(), own.name.as_str()))
        .collect();
    let new_vhosts: HashSet<_> = file.vhosts.iter().map(|own| own.name.as_str()).collect();
    let has_exchange = |vhost: &str, name: &str| {
        // A virtual host is made with these.
        let is_first = name.starts_with("amq.") && new_vhosts.contains(vhost);
        let there = || catalog.vhost(vhost).is_some_and(|own| own.exchange(name).is_some());
        is_first || exchanges.contains(&(vhost, name)) || there()
    };
    let has_ends = |own: &BindingDefinition| {
        let vhost = own.vhost.as_str();
        let has_destination = match &own.binding.destination {
            Destination::Queue(name) => {
                queues.contains(&(vhost, name.as_str())) || catalog.queue(vhost, name.as_str()).is_some()
            }
            Destination::Exchange(name) => has_exchange(vhost, name.as_str()),
        };
        has_destination && has_exchange(vhost, own.binding.source.as_str())
    };
    let (whole, loose): (Vec<_>, Vec<_>) = bindings.into_iter().partition(has_ends);
    if let Some(first) = loose.first() {
        tracing::warn!(
            "{} bindings of the definitions are left out, since their source or destination does not exist; the first is from exchange \
             '{}' in vhost '{}'",
            loose.len(),
            first.binding.source,
            first.vhost
        );
    }
    file.bindings = whole;
}
