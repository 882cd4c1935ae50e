//! Which node is meant and where its peer port is: options, then the environment, then RabbitMQ's defaults.
//!
//! Node names resolve as host names do; there is no name service in between.

use crate::options::Options;
use std::env;

/// The node to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// `rabbit@host`.
    pub(crate) name: String,
    /// Host to connect to.
    pub(crate) host: String,
    /// Its peer port.
    pub(crate) port: u16,
}

impl Target {
    /// The node that options and environment name.
    ///
    /// # Errors
    /// Names the variable that is no port number.
    pub(crate) fn of(options: &Options) -> Result<Self, String> {
        let long = options.flag("longnames") || variable("RABBITMQ_USE_LONGNAME").is_some_and(|value| value == "true");
        let wanted = options.text("node").map(str::to_owned);
        let wanted = wanted
            .or_else(|| variable("RABBITMQ_NODENAME"))
            .unwrap_or_else(|| "rabbit".to_owned());
        let name = match wanted.contains('@') {
            true => wanted,
            false => format!("{wanted}@{}", host_name(long)),
        };
        let host = name.rsplit('@').next().unwrap_or_default().to_owned();
        let port = peer_port()?;
        Ok(Target { name, host, port })
    }

    /// The name without its host.
    pub(crate) fn short(&self) -> &str {
        self.name.split('@').next().unwrap_or_default()
    }
}

/// `RABBITMQ_DIST_PORT`, else 20000 above the AMQP port.
fn peer_port() -> Result<u16, String> {
    let number = |name: &str| match variable(name) {
        None => Ok(None),
        Some(text) => text
            .parse::<u16>()
            .map(Some)
            .map_err(|_| format!("{name} = {text} is no port number")),
    };
    if let Some(port) = number("RABBITMQ_DIST_PORT")? {
        return Ok(port);
    }
    let amqp = number("RABBITMQ_NODE_PORT")?.unwrap_or(5672);
    let too_high = format!("RABBITMQ_NODE_PORT = {amqp} leaves no port 20000 above it; set RABBITMQ_DIST_PORT");
    amqp.checked_add(20000).ok_or(too_high)
}

/// This host's name, up to the first dot unless `long`.
pub(crate) fn host_name(long: bool) -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    match long {
        true => name,
        false => name.split('.').next().unwrap_or_default().to_owned(),
    }
}

/// A variable that is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
