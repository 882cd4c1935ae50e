//! Syslog messages over one connection, plain or behind TLS, each behind its number of octets (RFC 6587, RFC 5425).
//!
//! A thread of its own connects, writes and connects again: whoever logs never waits. Messages that find no room are lost, and the
//! server hears how many as soon as it can be reached. What was written into a connection that breaks may be lost with it:
//! syslog has no acknowledgements.

use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use std::{
    fmt,
    io::{self, Write},
    net::{TcpStream, ToSocketAddrs},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use crate::{
    config::{self, SyslogTransport},
    host::tls,
};

use super::Message;

/// Messages that wait for the server.
const WAITING_MAX: usize = 4_096;
/// How long the server may take to be reached, and to take a message.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries to reach it.
const TRIES_APART: Duration = Duration::from_secs(1);

/// The way to the server.
pub(super) struct Stream {
    messages: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

impl Stream {
    /// Begins to connect.
    ///
    /// # Errors
    /// The settings of TLS cannot be used. A server that is away is none: it may come.
    pub(super) fn begin(settings: &config::Syslog) -> io::Result<Self> {
        let server = Server::of(settings)?;
        let (messages, waiting) = sync_channel(WAITING_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = lost.clone();
        thread::Builder::new()
            .name("syslog".to_owned())
            .spawn(move || write_all(&server, &waiting, &counted))?;
        Ok(Stream { messages, lost })
    }

    /// Leaves a message to the thread, or loses it.
    pub(super) fn send(&self, message: Message) {
        if self.messages.try_send(message).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Where the server is, and how it is believed.
struct Server {
    host: String,
    port: u16,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Server {
    fn of(settings: &config::Syslog) -> io::Result<Self> {
        let tls = match settings.transport {
            SyslogTransport::Tls => {
                let config = tls::outward_config(&settings.tls, "log.syslog.ssl_options");
                let config = config.map_err(|why| io::Error::other(format!("{why:#}")))?;
                let name = ServerName::try_from(settings.host.clone()).map_err(io::Error::other)?;
                Some((config, name))
            }
            SyslogTransport::Udp | SyslogTransport::Tcp => None,
        };
        Ok(Server {
            host: settings.host.clone(),
            port: settings.port,
            tls,
        })
    }

    fn connect(&self) -> io::Result<Box<dyn Write>> {
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(tcp) => return self.speak(tcp),
                Err(why) => failed = why,
            }
        }
        Err(failed)
    }

    fn speak(&self, tcp: TcpStream) -> io::Result<Box<dyn Write>> {
        tcp.set_write_timeout(Some(PATIENCE))?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        let Some((config, name)) = &self.tls else {
            return Ok(Box::new(tcp));
        };
        let client = ClientConnection::new(config.clone(), name.clone()).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(client, tcp);
        // The handshake is done before a message is taken for sent.
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Box::new(stream))
    }
}

/// Writes until nobody can log any more.
fn write_all(server: &Server, waiting: &Receiver<Message>, lost: &AtomicU64) {
    let mut connection = None;
    while let Ok(message) = waiting.recv() {
        while !write(&mut connection, server, &message, lost) {
            connection = None;
            thread::sleep(TRIES_APART);
        }
    }
}

/// False if the server cannot be reached, or does not take the message.
fn write(connection: &mut Option<Box<dyn Write>>, server: &Server, message: &Message, lost: &AtomicU64) -> bool {
    if connection.is_none() {
        *connection = server.connect().ok();
    }
    let Some(connection) = connection else { return false };
    let missing = lost.swap(0, Ordering::Relaxed);
    let told = match missing {
        0 => Ok(()),
        missing => frame(connection, &told_lost(message, missing)),
    };
    let written = told
        .and_then(|()| frame(connection, &message.octets))
        .and_then(|()| connection.flush());
    if written.is_err() {
        lost.fetch_add(missing, Ordering::Relaxed);
    }
    written.is_ok()
}

fn frame(connection: &mut dyn Write, message: &str) -> io::Result<()> {
    connection.write_all(format!("{} {message}", message.len()).as_bytes())
}

/// A message like the next one that tells how many there were before it.
fn told_lost(like: &Message, missing: u64) -> String {
    let header = like.octets.get(..like.header).unwrap_or_default();
    format!("{header}{missing} messages found no room and are lost")
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{line, opened},
        *,
    };
    use rcgen::{CertificateParams, KeyPair};
    use std::{io::Read, net::TcpListener, process};

    const PLAIN: &str = "log.syslog.formatter.plaintext.format = $msg\n";

    /// The next message that a server hears, by the number of octets before it.
    fn next(from: &mut dyn Read) -> String {
        let mut number = String::new();
        loop {
            let mut octet = [0];
            from.read_exact(&mut octet).unwrap();
            match octet[0] {
                b' ' => break,
                digit => number.push(char::from(digit)),
            }
        }
        let mut message = vec![0; number.parse().unwrap()];
        from.read_exact(&mut message).unwrap();
        String::from_utf8(message)
            .unwrap()
            .replace(&process::id().to_string(), "PID")
    }

    #[test]
    fn lines_go_over_one_connection_each_behind_its_length_and_again_over_the_next() {
        let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = server.local_addr().unwrap().port();
        let syslog = opened(port, &format!("{PLAIN}log.syslog.transport = tcp\n")).unwrap();
        syslog.send(&line());
        let (mut tcp, _) = server.accept().unwrap();
        assert_eq!(next(&mut tcp), "<28>Jan  2 03:04:05 box rabbitmq[PID]: closing");
        assert_eq!(next(&mut tcp), "<28>Jan  2 03:04:05 box rabbitmq[PID]: for good");
        drop(tcp);
        // What is written into a connection that has just broken is lost; the next message is not.
        server.set_nonblocking(true).unwrap();
        let (mut tcp, _) = loop {
            syslog.send(&line());
            match server.accept() {
                Ok(accepted) => break accepted,
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
        };
        tcp.set_nonblocking(false).unwrap();
        assert!(next(&mut tcp).starts_with("<28>Jan  2"));
    }

    #[test]
    fn a_server_that_comes_late_hears_what_waited_and_how_much_is_lost() {
        let [address] = crate::ports::free_addresses();
        let port = address.port();
        let settings = format!("{PLAIN}log.syslog.transport = tcp\nlog.syslog.protocol = rfc5424\n");
        let syslog = opened(port, &settings).unwrap();
        (0..WAITING_MAX).for_each(|_| syslog.send(&line()));
        let server = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let (mut tcp, _) = server.accept().unwrap();
        let first = next(&mut tcp);
        // The thread had one in hand, or was about to take it.
        let lost = first.strip_suffix(" messages found no room and are lost").unwrap();
        let lost = lost
            .strip_prefix("<28>1 2026-01-02T03:04:05.000007Z box rabbitmq PID connection - ")
            .unwrap();
        let lost: usize = lost.parse().unwrap();
        assert!((WAITING_MAX - 1..=WAITING_MAX).contains(&lost), "{lost}");
        let kept = 2 * WAITING_MAX - lost;
        let heard: Vec<String> = (0..kept).map(|_| next(&mut tcp)).collect();
        assert!(heard[0].ends_with("closing") && heard[1].ends_with("for good"));
    }

    #[test]
    fn lines_go_behind_tls_to_a_server_that_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![rcgen::SanType::IpAddress([127, 0, 0, 1].into())];
        let own = params.self_signed(&key).unwrap();
        let authority = folder.path().join("ca.pem");
        std::fs::write(&authority, own.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let private = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], private)
            .unwrap();
        let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = server.local_addr().unwrap().port();
        let believed = format!("log.syslog.ssl_options.cacertfile = {}\n", authority.display());
        let syslog = opened(port, &format!("{PLAIN}log.syslog.transport = tls\n{believed}")).unwrap();
        syslog.send(&line());
        let (tcp, _) = server.accept().unwrap();
        let mut tls = StreamOwned::new(rustls::ServerConnection::new(Arc::new(config)).unwrap(), tcp);
        assert_eq!(next(&mut tls), "<28>Jan  2 03:04:05 box rabbitmq[PID]: closing");
    }

    #[test]
    fn settings_of_tls_that_cannot_be_used_are_told_at_the_start() {
        let settings = "log.syslog.transport = tls\nlog.syslog.ssl_options.cacertfile = /nowhere/ca.pem\n";
        let why = opened(1, settings).unwrap_err().to_string();
        assert!(why.contains("/nowhere/ca.pem"), "{why}");
    }
}
