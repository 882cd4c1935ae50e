//! Log lines as syslog messages, shaped by RFC 3164 or RFC 5424: one datagram each, or over a connection (`stream`).
//!
//! Nothing waits for the server: what the system does not take at once is lost, and nobody is told, since that would be
//! another line.

mod stream;

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket},
    process,
};
use tracing::Level;

use super::{clock, line::Line, shape};
use crate::config::{self, SyslogProtocol, SyslogTransport};
use stream::Stream;

/// Octets of one message; more does not fit into a datagram everywhere.
const MESSAGE_BYTES_MAX: usize = 8 * 1024;
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The way to the server.
#[derive(Debug)]
pub(super) struct Syslog {
    way: Way,
    settings: config::Syslog,
    host: String,
}

/// A message and how long its header is.
#[derive(Debug)]
struct Message {
    octets: String,
    header: usize,
}

#[derive(Debug)]
enum Way {
    Datagrams(UdpSocket),
    Connection(Stream),
}

impl Way {
    fn open(settings: &config::Syslog) -> io::Result<Self> {
        match settings.transport {
            SyslogTransport::Udp => datagrams(settings).map(Way::Datagrams),
            SyslogTransport::Tcp | SyslogTransport::Tls => Stream::begin(settings).map(Way::Connection),
        }
    }

    fn send(&self, message: Message) {
        match self {
            // A server that is away loses lines, as a full disk does.
            Way::Datagrams(socket) => drop(socket.send(message.octets.as_bytes())),
            Way::Connection(stream) => stream.send(message),
        }
    }
}

fn datagrams(settings: &config::Syslog) -> io::Result<UdpSocket> {
    let place = (settings.host.as_str(), settings.port);
    let server = place.to_socket_addrs()?.next();
    let server = server.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?;
    let own: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(own)?;
    socket.connect(server)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl Syslog {
    /// Finds the server. `host` is the name of this one.
    pub(super) fn open(settings: &config::Syslog, host: &str) -> io::Result<Self> {
        Ok(Syslog {
            way: Way::open(settings)?,
            settings: settings.clone(),
            host: host.to_owned(),
        })
    }

    /// Sends a line, as several messages if its text is of several.
    pub(super) fn send(&self, line: &Line) {
        let text = shape::render(line, &self.settings.shape);
        for part in text.lines().filter(|part| !part.is_empty()) {
            let mut octets = self.header(line);
            let header = octets.len();
            octets.push_str(part);
            octets.truncate(octets.floor_char_boundary(MESSAGE_BYTES_MAX));
            self.way.send(Message { octets, header });
        }
    }

    fn header(&self, line: &Line) -> String {
        let (seconds, us) = (line.at_us / 1_000_000, line.at_us % 1_000_000);
        let (date, time) = clock::shown(seconds);
        let priority = u16::from(self.settings.facility.number()) * 8 + severity(line.level);
        let (host, identity, pid) = (&self.host, &self.settings.identity, process::id());
        match self.settings.protocol {
            SyslogProtocol::Rfc5424 => {
                let category = line.category.unwrap_or("-");
                format!("<{priority}>1 {date}T{time}.{us:06}Z {host} {identity} {pid} {category} - ")
            }
            SyslogProtocol::Rfc3164 => {
                let (month, day) = day(&date);
                format!("<{priority}>{month} {day:>2} {time} {host} {identity}[{pid}]: ")
            }
        }
    }
}

fn severity(level: Level) -> u16 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// Month and day of a date such as `2026-01-02`.
fn day(date: &str) -> (&'static str, u8) {
    let mut parts = date.split('-').skip(1).map(|part| part.parse::<u8>().unwrap_or(1));
    let (month, day) = (parts.next().unwrap_or(1), parts.next().unwrap_or(1));
    let month = MONTHS[usize::from(month.clamp(1, 12)) - 1];
    (month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Fixed, ServerArgs, load};
    use std::time::Duration;

    pub(super) fn line() -> Line {
        Line {
            at_us: 1_767_323_045_000_007,
            level: Level::WARN,
            category: Some("connection"),
            pid: "<0.1.0>".to_owned(),
            text: "closing\nfor good".to_owned(),
            fields: Vec::new(),
        }
    }

    pub(super) fn opened(port: u16, settings: &str) -> io::Result<Syslog> {
        let settings = format!("log.syslog = true\nlog.syslog.port = {port}\nlog.syslog.ip = 127.0.0.1\n{settings}");
        let world = Fixed::new().file("/etc/rabbitmq/rabbitmq.conf", &settings);
        let config = load(&ServerArgs::default(), &world).unwrap().config;
        Syslog::open(&config.log.syslog, "box")
    }

    /// What a server hears of one line, with these settings.
    fn heard(settings: &str) -> String {
        let server = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        server.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let port = server.local_addr().unwrap().port();
        opened(port, settings).unwrap().send(&line());
        let mut octets = [0; 1000];
        let count = server.recv(&mut octets).unwrap();
        String::from_utf8_lossy(&octets[..count]).replace(&process::id().to_string(), "PID")
    }

    #[test]
    fn a_line_is_a_message_of_either_protocol() {
        let format = "log.syslog.formatter.plaintext.format = $msg\n";
        let older = heard(format);
        assert_eq!(older, "<28>Jan  2 03:04:05 box rabbitmq[PID]: closing");
        let settings = "log.syslog.protocol = rfc5424\nlog.syslog.facility = local7\nlog.syslog.identity = mq\n";
        let newer = heard(&format!("{format}{settings}"));
        assert_eq!(
            newer,
            "<188>1 2026-01-02T03:04:05.000007Z box mq PID connection - closing"
        );
    }
}
