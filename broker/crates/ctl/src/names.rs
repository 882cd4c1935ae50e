//! Where a node listens: a port that was given, or what the name service of its host says, else RabbitMQ's default.
//!
//! The name service may be wrong; whoever answers at the port must prove the secret and be the node that is meant.

use link::{NAMES_BYTES_MAX, NameRequest};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long a name service may take to accept, and to answer.
const PATIENCE: Duration = Duration::from_secs(7);

/// How a node's port is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It was given.
    Port(u16),
    /// By the name service on this port, else this one.
    Named {
        /// Port of the name service.
        service: u16,
        /// The port without it.
        otherwise: u16,
    },
}

/// Nodes of a host with their ports, or why they are not known.
type Nodes = Result<Vec<(String, u16)>, String>;

/// What was found on the way to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// The port to try.
    pub(crate) port: u16,
    /// What the name service says of the node's host, and its port.
    pub(crate) service: Option<(u16, Nodes)>,
}

impl Way {
    /// Looks for the port of the node `name` on `host`.
    pub(crate) fn find(place: Place, host: &str, name: &str) -> Self {
        match place {
            Place::Port(port) => Way { port, service: None },
            Place::Named { service, otherwise } => {
                let nodes = nodes(host, service);
                let known = nodes.as_ref().ok();
                let known = known.and_then(|nodes| nodes.iter().find(|(known, _)| known == name));
                Way {
                    port: known.map_or(otherwise, |(_, port)| *port),
                    service: Some((service, nodes)),
                }
            }
        }
    }

    /// Whether the name service knows no such node.
    pub(crate) fn is_unknown(&self, name: &str) -> bool {
        let known = |nodes: &[(String, u16)]| nodes.iter().any(|(known, _)| known == name);
        matches!(&self.service, Some((_, Ok(nodes))) if !known(nodes))
    }

    /// What the name service said, in the words of RabbitMQ's diagnosis.
    pub(crate) fn told(&self, host: &str, name: &str) -> Vec<String> {
        match &self.service {
            None => Vec::new(),
            Some((service, Err(why))) => vec![format!(
                "  * unable to connect to epmd (port {service}) on {host}: {why}"
            )],
            Some((service, Ok(nodes))) => {
                let mut lines = vec![format!("  * connected to epmd (port {service}) on {host}")];
                match self.is_unknown(name) {
                    true => lines.extend(absent(nodes, host, name)),
                    false => lines.push(format!(
                        "  * epmd reports node '{name}' uses port {} for inter-node and CLI tool traffic ",
                        self.port
                    )),
                }
                lines
            }
        }
    }
}

fn absent(nodes: &[(String, u16)], host: &str, name: &str) -> [String; 3] {
    let mut names: Vec<&str> = nodes.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let others = match names.is_empty() {
        true => format!("                  no other nodes on {host}"),
        false => format!("                  other nodes on {host}: [{}]", names.join(",")),
    };
    [
        format!("  * epmd reports: node '{name}' not running at all"),
        others,
        "  * suggestion: start the node".to_owned(),
    ]
}

fn nodes(host: &str, service: u16) -> Nodes {
    let addresses = (host, service).to_socket_addrs();
    let addresses = addresses.map_err(|_| "nxdomain (non-existing domain)".to_owned())?;
    let mut why = "nxdomain (non-existing domain)".to_owned();
    for address in addresses {
        match ask(address) {
            Ok(answer) => return Ok(link::names_in(&answer)),
            Err(error) => why = reason(&error),
        }
    }
    Err(why)
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "address (cannot connect to host/port)".into(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "timeout (timed out)".into(),
        _ => error.to_string(),
    }
}

fn ask(address: SocketAddr) -> io::Result<Vec<u8>> {
    let mut tcp = TcpStream::connect_timeout(&address, PATIENCE)?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.set_write_timeout(Some(PATIENCE))?;
    tcp.write_all(&NameRequest::Names.octets())?;
    let mut answer = Vec::new();
    tcp.take(NAMES_BYTES_MAX as u64).read_to_end(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_name_service_says_is_told_in_rabbitmqs_words() {
        let way = |nodes: Result<Vec<(&str, u16)>, &str>| Way {
            port: 25673,
            service: Some((
                4369,
                nodes
                    .map(|nodes| nodes.into_iter().map(|(name, port)| (name.to_owned(), port)).collect())
                    .map_err(str::to_owned),
            )),
        };
        let told = |way: Way| way.told("h", "r9").join("\n");
        assert_eq!(
            told(way(Ok(vec![("r2", 2), ("r1", 1)]))),
            "  * connected to epmd (port 4369) on h\n  * epmd reports: node 'r9' not running at all\n                  \
             other nodes on h: [r1,r2]\n  * suggestion: start the node"
        );
        assert!(told(way(Ok(vec![]))).contains("                  no other nodes on h\n"));
        assert!(told(way(Ok(vec![("r9", 25673)]))).ends_with("uses port 25673 for inter-node and CLI tool traffic "));
        assert_eq!(
            told(way(Err("timeout (timed out)"))),
            "  * unable to connect to epmd (port 4369) on h: timeout (timed out)"
        );
    }
}
