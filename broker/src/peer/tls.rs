//! TLS between nodes: both ends show a certificate of the cluster's authority before either proves the secret, and the one that
//! is looked for has its host's name in it.
//!
//! What is served on the peer port keeps its plain socket: behind a TLS connection stand two local sockets that know only
//! each other, and a task that carries octets between. Tools on this host may always come without TLS.

use anyhow::Context;
use api::Reading;
use parking_lot::Mutex;
use rustls::{ClientConfig, ServerConfig, pki_types::ServerName};
use std::{collections::BTreeSet, fmt, io, net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{legs::tune, pace};
use crate::{
    config::{BetweenNodes, TlsOptions, Verify},
    host::tls,
};

/// How the settings begin.
const KEYS: &str = "distribution.ssl_options";
/// What a TLS connection begins with; no frame of ours does.
const HANDSHAKE_RECORD: u8 = 0x16;
/// Octets under way in each direction.
const CARRIED_BYTES: usize = 64 * 1024;
/// Nodes without TLS that are remembered; more are not told of.
const WITHOUT_MAX: usize = 1000;

/// Both ends of connections.
#[derive(Clone)]
struct Ends {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

struct Loaded {
    ends: Ends,
    stamps: tls::Stamps,
    reading: Reading,
}

/// Whether and how nodes speak TLS to each other. Files that change are read again.
pub struct PeerTls {
    mode: BetweenNodes,
    options: TlsOptions,
    loaded: Option<Mutex<Loaded>>,
    /// Nodes to which the last connection went without TLS, although it was asked for.
    without: Mutex<BTreeSet<String>>,
}

impl fmt::Debug for PeerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerTls")
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

fn load(options: &TlsOptions) -> anyhow::Result<Loaded> {
    Ok(Loaded {
        stamps: tls::stamps(options),
        reading: tls::reading(None),
        ends: Ends {
            server: tls::server_config(options, KEYS)?,
            client: tls::client_config(options, KEYS)?,
        },
    })
}

impl PeerTls {
    /// Reads the files, if there is to be TLS.
    ///
    /// # Errors
    /// A file is not named, or cannot be used.
    pub fn prepare(mode: BetweenNodes, files: &TlsOptions) -> anyhow::Result<Self> {
        let options = TlsOptions {
            verify: Verify::Peer,
            peer_cert_required: true,
            ..files.clone()
        };
        let loaded = match mode {
            BetweenNodes::None => None,
            BetweenNodes::Offered | BetweenNodes::Required => {
                Some(Mutex::new(load(&options).context("TLS between nodes")?))
            }
        };
        Ok(PeerTls {
            mode,
            options,
            loaded,
            without: Mutex::default(),
        })
    }

    /// The configurations, read again if a file has changed; a broken new file changes nothing.
    fn ends(&self) -> Option<Ends> {
        let mut loaded = self.loaded.as_ref()?.lock();
        let stamps = tls::stamps(&self.options);
        if stamps != loaded.stamps {
            match load(&self.options) {
                Ok(anew) => {
                    tracing::info!("certificates of TLS between nodes were read again");
                    *loaded = anew;
                }
                Err(why) => {
                    tracing::error!("certificates of TLS between nodes cannot be used, keeping the old: {why:#}");
                    loaded.stamps = stamps;
                    loaded.reading = tls::reading(Some(&why));
                }
            }
        }
        Some(loaded.ends.clone())
    }

    /// The connecting end: a connection to the node of this name as it is to be used.
    ///
    /// # Errors
    /// The other end has no certificate that counts, or does not take this one's.
    pub async fn connect(&self, tcp: TcpStream, to: &str) -> io::Result<TcpStream> {
        let Some(ends) = self.ends() else { return Ok(tcp) };
        let host = to.rsplit('@').next().unwrap_or(to).to_owned();
        let host = ServerName::try_from(host).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        tune(&tcp)?;
        let secured = tunnel(TlsConnector::from(ends.client).connect(host, tcp).await?).await?;
        self.without.lock().remove(to);
        Ok(secured)
    }

    /// Whether who could not come with TLS may come without it; told in the log when that begins.
    pub fn goes_without(&self, to: &str, why: &io::Error) -> bool {
        if self.mode != BetweenNodes::Offered {
            return false;
        }
        let mut without = self.without.lock();
        if without.len() < WITHOUT_MAX && without.insert(to.to_owned()) {
            tracing::warn!("no TLS to node {to}, going on without while distribution.tls is offered: {why}");
        }
        true
    }

    /// How the files were read last; nothing without TLS.
    pub fn reading(&self) -> Option<Reading> {
        self.ends()?;
        Some(self.loaded.as_ref()?.lock().reading.clone())
    }

    /// Nodes to which the last connection went without TLS, although it was asked for.
    pub fn without(&self) -> Vec<String> {
        self.without.lock().iter().cloned().collect()
    }

    /// The accepting end. The error is for the log.
    pub async fn accept(&self, tcp: TcpStream, from: SocketAddr) -> Result<TcpStream, String> {
        let Some(ends) = self.ends() else { return Ok(tcp) };
        let mut first = [0];
        let seen = tcp.peek(&mut first).await.map_err(|why| why.to_string())?;
        if seen == 1 && first[0] == HANDSHAKE_RECORD {
            tune(&tcp).map_err(|why| why.to_string())?;
            let shaken = TlsAcceptor::from(ends.server).accept(tcp).await;
            let shaken = shaken.map_err(|why| format!("TLS handshake: {why}"))?;
            return tunnel(shaken).await.map_err(|why| why.to_string());
        }
        let own = tcp.local_addr().map_err(|why| why.to_string())?;
        match self.mode == BetweenNodes::Required && !is_local(from, own) {
            true => Err("it speaks no TLS, and distribution.tls is required".to_owned()),
            false => Ok(tcp),
        }
    }
}

/// Whether who is there is on this host: it came to the host's own address from just that, as tools do where the host's name is that address.
fn is_local(from: SocketAddr, own: SocketAddr) -> bool {
    let from = from.ip().to_canonical();
    from.is_loopback() || from == own.ip().to_canonical()
}

/// A plain socket that stands for a TLS connection.
async fn tunnel(mut secured: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> io::Result<TcpStream> {
    let (near, mut far) = local_pair().await?;
    tokio::spawn(async move {
        let carried = copy_bidirectional_with_sizes(&mut secured, &mut far, CARRIED_BYTES, CARRIED_BYTES).await;
        tracing::debug!("a TLS connection between nodes ended: {carried:?}");
    });
    Ok(near)
}

/// Two sockets that are connected to each other.
async fn local_pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    pace::of_accepted(&listener)?;
    let near = pace::connect(listener.local_addr()?).await?;
    let own = near.local_addr()?;
    loop {
        let (far, from) = listener.accept().await?;
        // Somebody else of this host may have been quicker.
        if from == own {
            return Ok((near, far));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use std::{fs, path::Path, time::Duration};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Writes an authority, and a certificate of it for `localhost`.
    fn equip(directory: &Path) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        fs::write(directory.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        fs::write(directory.join("cert.pem"), certificate.pem()).unwrap();
        fs::write(directory.join("key.pem"), key.serialize_pem()).unwrap();
    }

    fn node(mode: BetweenNodes, directory: &Path) -> PeerTls {
        let file = |name: &str| Some(directory.join(name));
        let files = TlsOptions {
            ca_file: file("ca.pem"),
            cert_file: file("cert.pem"),
            key_file: file("key.pem"),
            ..TlsOptions::default()
        };
        PeerTls::prepare(mode, &files).unwrap()
    }

    /// What becomes of a connection on both ends; `from` is where it seems to come from.
    async fn meet(
        near: &PeerTls,
        to: &str,
        far: &PeerTls,
        from: [u8; 4],
    ) -> (io::Result<TcpStream>, Result<TcpStream, String>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap();
        let connecting = async {
            let mut tcp = near.connect(TcpStream::connect(port).await?, to).await?;
            tcp.write_all(b"hello").await?;
            Ok(tcp)
        };
        let accepting = async {
            let (tcp, _) = listener.accept().await.unwrap();
            far.accept(tcp, (from, 1).into()).await
        };
        tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(connecting, accepting) })
            .await
            .unwrap()
    }

    const ELSEWHERE: [u8; 4] = [10, 0, 0, 1];

    #[tokio::test]
    async fn octets_go_both_ways_once_both_ends_have_shown_their_certificates() {
        let directory = tempfile::tempdir().unwrap();
        equip(directory.path());
        let node = node(BetweenNodes::Required, directory.path());
        let (near, far) = meet(&node, "rabbit@localhost", &node, ELSEWHERE).await;
        let (mut near, mut far) = (near.unwrap(), far.unwrap());
        let mut heard = [0; 5];
        far.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
        far.write_all(b"world").await.unwrap();
        near.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"world");
        drop(far);
        assert_eq!(
            near.read(&mut heard).await.unwrap(),
            0,
            "an end is an end on both sides"
        );
    }

    #[tokio::test]
    async fn another_authority_another_host_and_no_tls_at_all_are_refused() {
        let (own, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        equip(own.path());
        equip(other.path());
        let node_of = |directory: &tempfile::TempDir| node(BetweenNodes::Required, directory.path());
        let (near, far) = meet(&node_of(&other), "rabbit@localhost", &node_of(&own), ELSEWHERE).await;
        assert!(near.is_err() && far.unwrap_err().starts_with("TLS handshake: "));
        let (near, far) = meet(&node_of(&own), "rabbit@elsewhere", &node_of(&own), ELSEWHERE).await;
        assert!(near.is_err() && far.is_err());
        let plain = node(BetweenNodes::None, own.path());
        let (_, far) = meet(&plain, "rabbit@localhost", &node_of(&own), ELSEWHERE).await;
        assert_eq!(far.unwrap_err(), "it speaks no TLS, and distribution.tls is required");
        let (_, far) = meet(&plain, "rabbit@localhost", &node_of(&own), [127, 0, 0, 1]).await;
        assert!(far.is_ok(), "a tool of the same host");
        let lost = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert!(
            !plain.goes_without("rabbit@localhost", &lost) && !node_of(&own).goes_without("rabbit@localhost", &lost)
        );
        let offered = node(BetweenNodes::Offered, own.path());
        for near in [&plain, &node_of(&own)] {
            let (near, far) = meet(near, "rabbit@localhost", &offered, ELSEWHERE).await;
            assert!(
                near.is_ok() && far.is_ok(),
                "while nodes are changed one after the other"
            );
        }
    }

    #[test]
    fn a_tool_of_this_host_comes_from_its_loopback_or_from_the_address_to_which_it_goes() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert!(is_local(at("127.0.0.1:9"), at("10.0.0.1:25672")));
        assert!(is_local(at("10.0.0.1:9"), at("[::ffff:10.0.0.1]:25672")));
        assert!(!is_local(at("10.0.0.2:9"), at("10.0.0.1:25672")));
    }

    #[tokio::test]
    async fn where_it_is_offered_it_is_spoken_to_who_takes_it_and_known_of_who_does_not() {
        let directory = tempfile::tempdir().unwrap();
        equip(directory.path());
        let node_of = |mode| node(mode, directory.path());
        let offered = node_of(BetweenNodes::Offered);
        let lost = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert!(offered.goes_without("rabbit@localhost", &lost));
        assert_eq!(offered.without(), ["rabbit@localhost"]);
        for far in [node_of(BetweenNodes::Required), node_of(BetweenNodes::Offered)] {
            let (near, far) = meet(&offered, "rabbit@localhost", &far, ELSEWHERE).await;
            assert!(near.is_ok() && far.is_ok());
        }
        assert!(offered.without().is_empty(), "the last connection had it");
    }

    #[tokio::test]
    async fn new_files_count_without_a_restart_and_broken_ones_do_not() {
        let directory = tempfile::tempdir().unwrap();
        equip(directory.path());
        let node = node(BetweenNodes::Required, directory.path());
        let before = node.ends().unwrap();
        let first = node.reading().unwrap();
        assert!(first.error.is_none() && first.at > 0);
        fs::write(directory.path().join("cert.pem"), "no certificate").unwrap();
        let soon = std::time::SystemTime::now() + Duration::from_secs(5);
        let touch = |name: &str| {
            let file = fs::File::options()
                .append(true)
                .open(directory.path().join(name))
                .unwrap();
            file.set_modified(soon).unwrap();
        };
        touch("cert.pem");
        assert!(Arc::ptr_eq(&before.server, &node.ends().unwrap().server));
        let why = node.reading().unwrap().error.unwrap();
        assert!(why.contains("cert.pem"), "{why}");
        equip(directory.path());
        touch("key.pem");
        assert!(!Arc::ptr_eq(&before.server, &node.ends().unwrap().server));
        assert_eq!(node.reading().unwrap().error, None);
        let (near, far) = meet(&node, "rabbit@localhost", &node, ELSEWHERE).await;
        assert!(near.is_ok() && far.is_ok());
    }
}
