//! Which node is meant and how its peer port is known: options, then the environment, then `rabbitmq-env.conf`, then
//! RabbitMQ's defaults.
//!
//! A port that the environment gives is that of the environment's own node; others are asked for by name.

use crate::names::Place;
use crate::options::Options;
use std::collections::BTreeMap;
use std::env;
use std::sync::OnceLock;

/// The node to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// `rabbit@host`.
    pub(crate) name: String,
    /// Host to connect to.
    pub(crate) host: String,
    /// Its peer port.
    pub(crate) place: Place,
}

impl Target {
    /// The node that options and environment name.
    ///
    /// # Errors
    /// Names the variable that is no port number.
    pub(crate) fn of(options: &Options) -> Result<Self, String> {
        let long = options.flag("longnames") || variable("RABBITMQ_USE_LONGNAME").is_some_and(|value| value == "true");
        let full = |name: String| match name.contains('@') {
            true => name,
            false => format!("{name}@{}", host_name(long)),
        };
        let own = full(variable("RABBITMQ_NODENAME").unwrap_or_else(|| "rabbit".to_owned()));
        let name = options
            .text("node")
            .map_or_else(|| own.clone(), |name| full(name.to_owned()));
        let place = place(name == own)?;
        Ok(Target::new(name, place))
    }

    /// Another node, at the same name service.
    ///
    /// # Errors
    /// Names the variable that is no port number.
    pub(crate) fn other(name: &str) -> Result<Self, String> {
        Ok(Target::new(name.to_owned(), place(false)?))
    }

    fn new(name: String, place: Place) -> Self {
        let host = name.rsplit('@').next().unwrap_or_default().to_owned();
        Target { name, host, place }
    }

    /// The name without its host.
    pub(crate) fn short(&self) -> &str {
        self.name.split('@').next().unwrap_or_default()
    }
}

fn port(name: &str) -> Result<Option<u16>, String> {
    let Some(text) = variable(name) else { return Ok(None) };
    let port = text.parse::<u16>();
    port.map(Some).map_err(|_| format!("{name} = {text} is no port number"))
}

/// `RABBITMQ_DIST_PORT` for the environment's own node; any other by name, else 20000 above the AMQP port.
fn place(is_own: bool) -> Result<Place, String> {
    if let Some(port) = port("RABBITMQ_DIST_PORT")?
        && is_own
    {
        return Ok(Place::Port(port));
    }
    let service = port("ERL_EPMD_PORT")?.unwrap_or(link::NAME_SERVICE_PORT);
    let amqp = port("RABBITMQ_NODE_PORT")?.filter(|_| is_own).unwrap_or(5672);
    let too_high = format!("RABBITMQ_NODE_PORT = {amqp} leaves no port 20000 above it; set RABBITMQ_DIST_PORT");
    let otherwise = amqp.checked_add(20000).ok_or(too_high)?;
    Ok(Place::Named { service, otherwise })
}

/// This host's name, up to the first dot unless `long`.
pub(crate) fn host_name(long: bool) -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    match long {
        true => name,
        false => name.split('.').next().unwrap_or_default().to_owned(),
    }
}

/// The variables of `rabbitmq-env.conf`, with or without their prefix.
static OF_FILE: OnceLock<BTreeMap<String, String>> = OnceLock::new();

/// What `rabbitmq-env.conf` says, for as long as the process lives. Call it before anything else.
pub fn know_variables(of_file: BTreeMap<String, String>) {
    // A second call would be a mistake of ours, and what the first one said stays.
    let _ = OF_FILE.set(of_file);
}

/// A variable that is set and not empty, in the environment or else in the file.
pub(crate) fn variable(name: &str) -> Option<String> {
    let own = env::var(name).ok().filter(|value| !value.is_empty());
    own.or_else(|| in_file(OF_FILE.get()?, name))
}

fn in_file(file: &BTreeMap<String, String>, name: &str) -> Option<String> {
    let short = name.strip_prefix("RABBITMQ_").unwrap_or(name);
    file.get(name).or_else(|| file.get(short)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_variables_with_or_without_their_prefix() {
        let pairs = [("NODENAME", "a"), ("RABBITMQ_NODE_PORT", "1"), ("ERL_EPMD_PORT", "2")];
        let file: BTreeMap<String, String> = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let found = |name: &str| in_file(&file, name);
        assert_eq!(found("RABBITMQ_NODENAME").as_deref(), Some("a"));
        assert_eq!(found("RABBITMQ_NODE_PORT").as_deref(), Some("1"));
        assert_eq!(found("ERL_EPMD_PORT").as_deref(), Some("2"));
        assert_eq!(found("RABBITMQ_DIST_PORT"), None);
    }
}
