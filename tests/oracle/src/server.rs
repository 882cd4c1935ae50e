//! The broker under judgement: where it listens, who may log in, what it announces.
//! Behaviours that differ by version or by design choose their lines through this.

use std::time::{Duration, Instant};

use amq_protocol::uri::AMQPUri;
use anyhow::{Context as _, Result, anyhow};

use crate::client::{self, Connection};
use crate::management::Management;
use crate::value::{Table, Value};

/// A running broker.
#[derive(Clone, Debug)]
pub struct Server {
    /// Column title.
    pub name: String,
    /// Host of the AMQP listener.
    pub host: String,
    /// Port of the AMQP listener.
    pub port: u16,
    /// Login with all permissions on `/`.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Management API, if reachable; behaviours that need it are skipped otherwise.
    pub management: Option<Management>,
    /// Where Prometheus reads, once the plugin runs.
    pub prometheus: Option<Management>,
    /// Administration command with its leading arguments and environment; as for management.
    pub ctl: Option<Ctl>,
    /// Announced major and minor version.
    pub version: (u16, u16),
    /// Announced platform, e.g. `Erlang/OTP 25.2.3` or `Warren 0.1.0`.
    pub platform: String,
}

/// How `rabbitmqctl` is called for a server.
#[derive(Clone, Debug)]
pub struct Ctl {
    /// Program and leading arguments.
    pub command: Vec<String>,
    /// Added environment.
    pub env: Vec<(String, String)>,
}

impl Server {
    /// Reads what the broker at `url` announces.
    ///
    /// # Errors
    /// A malformed URL, no AMQP answer within 10 s.
    pub fn connect(name: &str, url: &str, management: Option<&str>, ctl: Option<Ctl>) -> Result<Self> {
        let uri: AMQPUri = url.parse().map_err(|e| anyhow!("AMQP URL '{url}': {e}"))?;
        let authority = uri.authority;
        let properties = announced(&authority.host, authority.port)?;
        let text = |key: &str| match properties.get(key) {
            Some(Value::Text(text)) => Ok(text.clone()),
            other => Err(anyhow!("server property {key} is {other:?}")),
        };
        Ok(Self {
            name: name.to_owned(),
            host: authority.host,
            port: authority.port,
            user: authority.userinfo.username,
            password: authority.userinfo.password,
            management: management.map(Management::new).transpose()?,
            prometheus: None,
            ctl,
            version: version(&text("version")?)?,
            platform: text("platform")?,
        })
    }

    /// Whether a line with this prefix is meant for this server.
    #[must_use]
    pub fn is(&self, prefix: &str) -> bool {
        match prefix {
            "3.10" => self.version < (3, 13),
            "3.13" => self.version >= (3, 13),
            "warren" => self.platform.contains("Warren"),
            "rabbitmq" => !self.platform.contains("Warren"),
            _ => false,
        }
    }
}

fn announced(host: &str, port: u16) -> Result<Table> {
    let mut connection = Connection::tcp(host, port)?;
    connection.send(client::HEADER)?;
    let deadline = Instant::now() + Duration::from_secs(10);
    let start = connection
        .next(0, deadline)?
        .context("no connection.start within 10 s")?;
    Table::parse(start.words.get(3).context("the server refused the protocol header")?)
}

fn version(text: &str) -> Result<(u16, u16)> {
    let mut parts = text.split('.').map(str::parse);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => Err(anyhow!("version '{text}'")),
    }
}
