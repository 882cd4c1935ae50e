//! The connection to a node: TCP, proof of the secret, requests and answers.
//!
//! Every wait has an end. What goes wrong on the way is explained as RabbitMQ's tools explain it.

use crate::image::Piece;
use crate::names::Way;
use crate::node::{self, Target};
use crate::problem::{CONFIG, Problem, TIMEOUT, UNAVAILABLE};
use link::{
    Channel, Cookie, FRAME_HEADER_BYTES, Failure, FrameHeader, HANDSHAKE_BYTES_MAX, Hello, REPLY_BYTES_MAX,
    REQUEST_BYTES_MAX, Reply, Request, Term, Verdict,
};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Longest time to connect and prove the secret.
const CONNECT_PATIENCE: Duration = Duration::from_secs(15);

/// Longest time that a node may take for the next piece of a copy.
const COPY_PATIENCE: Duration = Duration::from_secs(120);

/// A connection to a node that has proven the secret.
pub(crate) struct Client {
    tcp: TcpStream,
    deadline: Option<Instant>,
}

/// What a failed attempt found.
enum Obstacle {
    /// The host's name or the way to it.
    Unreachable(String),
    /// Nobody listens.
    Refused,
    /// Another node listens.
    OtherNode(String),
    /// The secrets differ.
    WrongSecret,
    /// It is no peer port, or of another version.
    Foreign(String),
}

/// The secret that this tool shows, in RabbitMQ's order: option, variable, file.
pub(crate) fn cookie(given: Option<&str>) -> Result<Cookie, Problem> {
    let unusable = |error: link::CookieError| Problem::plain(CONFIG, error.to_string());
    if let Some(text) = given {
        return Cookie::new(text, "--erlang-cookie").map_err(unusable);
    }
    if let Some(text) = node::variable("RABBITMQ_ERLANG_COOKIE") {
        return Cookie::new(&text, "RABBITMQ_ERLANG_COOKIE").map_err(unusable);
    }
    Cookie::read_or_create(&home().join(".erlang.cookie")).map_err(unusable)
}

fn home() -> PathBuf {
    std::env::home_dir().unwrap_or_default()
}

impl Client {
    /// Connects and proves the secret, both ways.
    ///
    /// # Errors
    /// Explains what was tried and what to look at.
    pub(crate) fn connect(target: &Target, cookie: &Cookie) -> Result<Self, Problem> {
        let own = format!("rabbitmqcli-{}-{}", std::process::id(), target.name);
        let way = Way::find(target.place, &target.host, target.short());
        let attempt = reach(target, way.port).and_then(|tcp| prove(tcp, target, cookie, &own));
        attempt.map_err(|obstacle| Problem::plain(UNAVAILABLE, explain(&obstacle, (target, &way), cookie, &own)))
    }

    /// From now on every wait ends at this time.
    pub(crate) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Asks, and hands over rows as they come.
    ///
    /// # Errors
    /// The node's refusal, or what became of the connection.
    pub(crate) fn ask(
        &mut self,
        request: &Request,
        mut each: impl FnMut(Vec<Term>) -> Result<(), Problem>,
    ) -> Result<Result<Term, Failure>, Problem> {
        let content = link::encode(request).map_err(|error| lost(&error.into()))?;
        self.wait_until_deadline().map_err(|error| lost(&error))?;
        send(&mut self.tcp, &content, REQUEST_BYTES_MAX).map_err(|error| lost(&error))?;
        loop {
            self.wait_until_deadline().map_err(|error| lost(&error))?;
            let content = receive(&mut self.tcp, REPLY_BYTES_MAX).map_err(|error| lost(&error))?;
            match link::decode(&content).map_err(|error| lost(&error.into()))? {
                Reply::Rows(rows) => rows.into_iter().try_for_each(&mut each)?,
                Reply::Image { .. } | Reply::File { .. } | Reply::Octets(_) => return Err(lost(&out_of_turn())),
                Reply::Done(term) => return Ok(Ok(term)),
                Reply::Failed(failure) => return Ok(Err(failure)),
            }
        }
    }

    /// Asks for a copy of the node, and hands over its pieces as they come.
    ///
    /// # Errors
    /// As `ask`, or that the pieces cannot be taken.
    pub(crate) fn copy(
        &mut self,
        request: &Request,
        each: &mut dyn FnMut(Piece<'_>) -> io::Result<()>,
    ) -> Result<Result<Term, Failure>, Problem> {
        let not_taken = |error: io::Error| Problem::error(UNAVAILABLE, format!("the copy cannot be written: {error}"));
        self.tcp
            .set_read_timeout(Some(COPY_PATIENCE))
            .map_err(|error| lost(&error))?;
        let content = link::encode(request).map_err(|error| lost(&error.into()))?;
        send(&mut self.tcp, &content, REQUEST_BYTES_MAX).map_err(|error| lost(&error))?;
        loop {
            let content = receive(&mut self.tcp, REPLY_BYTES_MAX).map_err(|error| lost(&error))?;
            match link::decode(&content).map_err(|error| lost(&error.into()))? {
                Reply::Image { files, octets } => each(Piece::Begin { files, octets }).map_err(not_taken)?,
                Reply::File { path, octets } => {
                    let path = path.as_str();
                    each(Piece::File { path, octets }).map_err(not_taken)?;
                }
                Reply::Octets(octets) => {
                    let piece = receive(&mut self.tcp, REPLY_BYTES_MAX).map_err(|error| lost(&error))?;
                    if piece.len() as u64 != octets {
                        return Err(lost(&out_of_turn()));
                    }
                    each(Piece::Octets(&piece)).map_err(not_taken)?;
                }
                Reply::Rows(_) => return Err(lost(&out_of_turn())),
                Reply::Done(term) => return Ok(Ok(term)),
                Reply::Failed(failure) => return Ok(Err(failure)),
            }
        }
    }

    /// Waits until the node has closed the connection, which it does when it stops.
    pub(crate) fn wait_for_end(&mut self) {
        // Any end is the end.
        let _ = self.wait_until_deadline().and_then(|()| self.tcp.read(&mut [0]));
    }

    fn wait_until_deadline(&self) -> io::Result<()> {
        let left = self
            .deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match left {
            Some(Duration::ZERO) => Err(io::ErrorKind::TimedOut.into()),
            left => self.tcp.set_read_timeout(left),
        }
    }
}

fn out_of_turn() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it answers out of turn")
}

/// A connection lost on the way, or a deadline that has passed.
fn lost(error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Problem::plain(TIMEOUT, "timed out"),
        _ => Problem::error(UNAVAILABLE, format!("the connection to the node was lost: {error}")),
    }
}

fn reach(target: &Target, port: u16) -> Result<TcpStream, Obstacle> {
    let unreachable = |error: io::Error| match error.kind() {
        io::ErrorKind::ConnectionRefused => Obstacle::Refused,
        _ => Obstacle::Unreachable(error.to_string()),
    };
    let addresses = (target.host.as_str(), port).to_socket_addrs();
    let addresses = addresses.map_err(|_| Obstacle::Unreachable("nxdomain (non-existing domain)".into()))?;
    let mut last = Obstacle::Unreachable("nxdomain (non-existing domain)".into());
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT_PATIENCE) {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = unreachable(error),
        }
    }
    Err(last)
}

fn prove(mut tcp: TcpStream, target: &Target, cookie: &Cookie, own: &str) -> Result<Client, Obstacle> {
    let foreign = |error: io::Error| Obstacle::Foreign(error.to_string());
    tcp.set_read_timeout(Some(CONNECT_PATIENCE)).map_err(foreign)?;
    tcp.set_write_timeout(Some(CONNECT_PATIENCE)).map_err(foreign)?;
    let hello = Hello::new(Channel::Cli, own, &target.name);
    say(&mut tcp, &hello).map_err(foreign)?;
    let challenge = match hear(&mut tcp).map_err(foreign)? {
        Verdict::Prove(challenge) => challenge,
        other => return Err(obstacle(other)),
    };
    say(&mut tcp, &link::prove(cookie, &hello, &challenge)).map_err(foreign)?;
    match hear(&mut tcp).map_err(foreign)? {
        Verdict::Welcome(proof) if link::verify(cookie, &hello, &challenge, proof) => {
            Ok(Client { tcp, deadline: None })
        }
        // It let us in without knowing the secret: not our node.
        Verdict::Welcome(_) => Err(Obstacle::WrongSecret),
        other => Err(obstacle(other)),
    }
}

fn obstacle(verdict: Verdict) -> Obstacle {
    match verdict {
        Verdict::WrongSecret => Obstacle::WrongSecret,
        Verdict::OtherNode(name) => Obstacle::OtherNode(name),
        Verdict::WrongVersion(version) => Obstacle::Foreign(format!(
            "it speaks version {version} of the peer protocol, this tool version {}",
            link::protocol_version()
        )),
        Verdict::Prove(_) | Verdict::Welcome(_) => Obstacle::Foreign("it answers out of turn".into()),
    }
}

fn say(tcp: &mut TcpStream, message: &impl serde::Serialize) -> io::Result<()> {
    send(tcp, &link::encode(message)?, HANDSHAKE_BYTES_MAX)
}

fn hear(tcp: &mut TcpStream) -> io::Result<Verdict> {
    Ok(link::decode(&receive(tcp, HANDSHAKE_BYTES_MAX)?)?)
}

fn send(tcp: &mut TcpStream, content: &[u8], max: usize) -> io::Result<()> {
    tcp.write_all(&link::frame(content, max).map_err(io::Error::other)?)
}

fn receive(tcp: &mut TcpStream, max: usize) -> io::Result<Vec<u8>> {
    let mut header = [0; FRAME_HEADER_BYTES];
    tcp.read_exact(&mut header)?;
    let header = FrameHeader::read(header, max).map_err(io::Error::other)?;
    let mut content = vec![0; header.bytes];
    tcp.read_exact(&mut content)?;
    header.check(&content).map_err(io::Error::other)?;
    Ok(content)
}

/// RabbitMQ's diagnosis: what was tried, what was found, what to look at.
fn explain(obstacle: &Obstacle, (target, way): (&Target, &Way), cookie: &Cookie, own: &str) -> String {
    let name = &target.name;
    let found = findings(obstacle, target, way).join("\n");
    let home = home();
    format!(
        "Error: unable to perform an operation on node '{name}'. Please see diagnostics information and suggestions below.

Most common reasons for this are:

 * Target node is unreachable (e.g. due to hostname resolution, TCP connection or firewall issues)
 * CLI tool fails to authenticate with the server (e.g. due to CLI tool's Erlang cookie not matching that of the server)
 * Target node is not running

In addition to the diagnostics info below:

 * See the CLI, clustering and networking guides on https://rabbitmq.com/documentation.html to learn more
 * Consult server logs on node {name}
 * If target node is configured to use long node names, don't forget to use --longnames with CLI tools

DIAGNOSTICS
===========

attempted to contact: [{name}]

{name}:
{found}

Current node details:
 * node name: '{own}'
 * effective user's home directory: {}
 * Erlang cookie hash: {}
",
        home.display(),
        cookie.hash()
    )
}

fn findings(obstacle: &Obstacle, target: &Target, way: &Way) -> Vec<String> {
    let (host, port, short) = (&target.host, way.port, target.short());
    let mut told = way.told(host, short);
    // Nobody at the default port either: the name service has said all there is to say.
    if way.is_unknown(short) && !matches!(obstacle, Obstacle::WrongSecret) {
        return told;
    }
    let reached = format!("  * TCP connection to port {port} on {host} succeeded");
    let mut lines = match obstacle {
        Obstacle::Unreachable(why) => vec![format!("  * unable to connect to port {port} on {host}: {why}")],
        Obstacle::Refused => vec![
            format!("  * node '{short}' not running at all: nothing listens on port {port} on {host}"),
            "  * suggestion: start the node".to_owned(),
        ],
        Obstacle::OtherNode(other) => vec![
            reached,
            format!("  * node '{short}' not running at all"),
            format!(
                "    other nodes on {host}: [{}]",
                other.split('@').next().unwrap_or_default()
            ),
            format!(
                "  * suggestion: port {port} belongs to the node {other}; use -n {other} or set RABBITMQ_DIST_PORT"
            ),
        ],
        Obstacle::WrongSecret => vec![
            reached,
            "  * Authentication failed (rejected by the remote node), please check the Erlang cookie".to_owned(),
            "  * suggestion: check if the Erlang cookie is identical for all server nodes and CLI tools".to_owned(),
        ],
        Obstacle::Foreign(why) => vec![
            reached,
            format!("  * what listens there is not a node of this kind: {why}"),
        ],
    };
    if way.service.is_none() {
        lines.push("  * the port is that of RABBITMQ_DIST_PORT".to_owned());
    }
    told.append(&mut lines);
    told
}
