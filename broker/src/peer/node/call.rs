//! Asking other nodes over TCP: one connection to each, made when it is needed, shared by all who ask.
//!
//! Bounded: so many questions on one connection at a time, each with a deadline. A node that could not be reached is left
//! alone for a moment, longer each time. A connection that broke fails all who wait on it at once; one on which nothing is
//! answered any more is given up, because after a cut cable TCP itself would try again only ever more seldom.

use futures::future::BoxFuture;
use link::{Channel, CookieError};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::{TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::{Semaphore, oneshot},
    time::{Instant, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::packet::{self, Kind, invalid};
use crate::{
    cluster::{
        resolver::Resolver,
        transport::{CALL_BYTES_MAX, Introduction, Peer, Reply, Request, Transport, Turned},
    },
    peer::{
        enter::{Credentials, enter},
        stream::{read_frame, write_frame},
    },
};

/// Questions under way to one node; more wait for their turn.
const UNDER_WAY_MAX: usize = 256;
/// How long the other end may take to introduce itself, and a write to make progress.
const PATIENCE: Duration = Duration::from_secs(10);
/// A connection on which nothing has been answered for so long while somebody waited is given up.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// How often a connection on which nobody asks is tried.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// The first pause after a node could not be reached, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Who the node shows itself to be, read anew for each connection.
pub type Own = Arc<dyn Fn() -> Result<Credentials, CookieError> + Send + Sync>;

/// The way to all other nodes.
pub struct TcpTransport {
    own: Introduction,
    credentials: Own,
    resolver: Arc<dyn Resolver>,
    lines: Mutex<BTreeMap<Peer, Arc<Line>>>,
    stopped: CancellationToken,
    _stop: DropGuard,
}

impl fmt::Debug for TcpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpTransport")
            .field("own", &self.own)
            .finish_non_exhaustive()
    }
}

/// The way to one.
struct Line {
    connection: tokio::sync::Mutex<State>,
    /// Why it was turned away last; said once.
    said: Mutex<String>,
}

#[derive(Default)]
struct State {
    open: Option<Arc<Connection>>,
    /// Not before then, after so long a pause, because of this.
    rest: Option<(Instant, Duration, io::ErrorKind, String)>,
}

/// One connection.
struct Connection {
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<Reply>>>,
    numbers: AtomicU64,
    slots: Semaphore,
    broken: AtomicBool,
    /// Since when somebody has waited and nothing was answered.
    silent_since: Mutex<Option<Instant>>,
    given_up: CancellationToken,
}

impl TcpTransport {
    /// A node's way to others. Its connections end with it.
    pub fn new(own: Introduction, credentials: Own, resolver: Arc<dyn Resolver>) -> Arc<Self> {
        let stopped = CancellationToken::new();
        Arc::new(TcpTransport {
            own,
            credentials,
            resolver,
            lines: Mutex::default(),
            _stop: stopped.clone().drop_guard(),
            stopped,
        })
    }

    /// Closes all connections; nobody is asked any more.
    pub fn close(&self) {
        self.stopped.cancel();
    }

    fn line(&self, to: &Peer) -> Arc<Line> {
        let mut lines = self.lines.lock();
        let fresh = || {
            Arc::new(Line {
                connection: tokio::sync::Mutex::default(),
                said: Mutex::default(),
            })
        };
        lines.entry(to.clone()).or_insert_with(fresh).clone()
    }

    async fn connection(&self, to: &Peer, line: &Line) -> io::Result<Arc<Connection>> {
        let mut state = line.connection.lock().await;
        if let Some(open) = state.open.as_ref().filter(|open| !open.broken.load(Ordering::Acquire)) {
            return Ok(open.clone());
        }
        state.open = None;
        let mut pause = PAUSES.0;
        if let Some((until, before, kind, why)) = &state.rest {
            if Instant::now() < *until {
                return Err(io::Error::new(*kind, why.clone()));
            }
            pause = (*before * 2).min(PAUSES.1);
        }
        match self.connect(to).await {
            Ok(connection) => {
                line.said.lock().clear();
                state.rest = None;
                state.open = Some(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                self.complain(to, line, &error);
                state.rest = Some((Instant::now() + pause, pause, error.kind(), error.to_string()));
                Err(error)
            }
        }
    }

    /// A refusal is logged when it is another than the last; that nobody is there is for the caller to tell.
    fn complain(&self, to: &Peer, line: &Line, error: &io::Error) {
        let refusals = [
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::Unsupported,
            io::ErrorKind::AddrNotAvailable,
        ];
        let mut said = line.said.lock();
        let text = error.to_string();
        if refusals.contains(&error.kind()) && *said != text {
            tracing::warn!(target: "connection", "connection to node {to} rejected: {text}");
            *said = text;
        }
    }

    async fn connect(&self, to: &Peer) -> io::Result<Arc<Connection>> {
        let addresses = self.resolver.resolve(&to.name).await?;
        let credentials = (self.credentials)().map_err(io::Error::other)?;
        let mut tcp = enter(&addresses, Channel::Node, &self.own.name, &to.name, &credentials).await?;
        let theirs = introduce(&mut tcp, &self.own).await?;
        judge(&self.own, to, &theirs)?;
        let (reader, writer) = tcp.into_split();
        let connection = Arc::new(Connection {
            writer: tokio::sync::Mutex::new(writer),
            waiting: Mutex::default(),
            numbers: AtomicU64::new(0),
            slots: Semaphore::new(UNDER_WAY_MAX),
            broken: AtomicBool::new(false),
            silent_since: Mutex::default(),
            given_up: CancellationToken::new(),
        });
        let (listened, stopped) = (connection.clone(), self.stopped.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                ended = listen(reader, &listened) => tracing::debug!("connection to a node ended: {ended:?}"),
                () = ping(&listened) => {}
                () = listened.given_up.cancelled() => tracing::debug!("connection to a node given up: it is silent"),
            }
            listened.fail();
        });
        Ok(connection)
    }
}

/// Says who this node is, and hears who the other one is.
async fn introduce(tcp: &mut TcpStream, own: &Introduction) -> io::Result<Introduction> {
    let octets = packet::write(Kind::Introduction, 0, own)?;
    write_frame(tcp, &octets, link::HANDSHAKE_BYTES_MAX, PATIENCE).await?;
    let octets = read_frame(tcp, link::HANDSHAKE_BYTES_MAX, PATIENCE).await?;
    let octets = octets.ok_or(io::ErrorKind::UnexpectedEof)?;
    match packet::read(&octets)? {
        (Kind::Introduction, _, words) => {
            let theirs: Result<Introduction, Turned> = packet::words(words)?;
            theirs.map_err(turned)
        }
        (Kind::Request | Kind::Reply, ..) => Err(invalid("an introduction was due")),
    }
}

/// The node at the other end must be the one that was looked for.
fn judge(own: &Introduction, to: &Peer, theirs: &Introduction) -> io::Result<()> {
    if theirs.level < link::feature_level_min() {
        let (theirs, least) = (theirs.level, link::feature_level_min());
        return Err(turned(Turned::TooOld { theirs, least }));
    }
    if let Some(node) = to.node.filter(|node| *node != theirs.node) {
        let text = format!("{to} is node {} now, not {node} any more", theirs.node);
        return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text));
    }
    if !own.guest && theirs.cluster != own.cluster {
        let (own, theirs) = (own.cluster, theirs.cluster);
        return Err(turned(Turned::OtherCluster { own, theirs }));
    }
    Ok(())
}

/// As an error that still holds the reason.
fn turned(why: Turned) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

async fn listen(mut reader: OwnedReadHalf, connection: &Connection) -> io::Result<()> {
    loop {
        let read = read_frame(&mut reader, CALL_BYTES_MAX, PING_INTERVAL * 3).await?;
        let octets = read.ok_or(io::ErrorKind::UnexpectedEof)?;
        let (kind, number, words) = packet::read(&octets)?;
        if kind != Kind::Reply {
            return Err(invalid("an answer was due"));
        }
        let (asked, others) = {
            let mut waiting = connection.waiting.lock();
            (waiting.remove(&number), !waiting.is_empty())
        };
        *connection.silent_since.lock() = others.then(Instant::now);
        if let Some(asked) = asked {
            // Who does not wait any more wants no answer.
            let _ = asked.send(packet::words(words).unwrap_or(Reply::Unknown));
        }
    }
}

/// Shows both ends that the other is there. Back when it cannot be shown.
async fn ping(connection: &Connection) {
    loop {
        tokio::time::sleep(PING_INTERVAL).await;
        if connection.ask(Request::Ping).await.is_err() {
            return;
        }
    }
}

/// Takes the question back when its asker gives up.
struct Asked<'a>(&'a Connection, u64);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.waiting.lock().remove(&self.1);
    }
}

impl Connection {
    async fn ask(&self, request: Request) -> io::Result<Reply> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let octets = packet::write(Kind::Request, number, &request)?;
        if octets.len() > CALL_BYTES_MAX {
            let text = format!(
                "a question of {} octets, at most {CALL_BYTES_MAX} are taken",
                octets.len()
            );
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        // The semaphore is never closed.
        let _slot = self.slots.acquire().await.map_err(io::Error::other)?;
        let (asked, answer) = oneshot::channel();
        self.waiting.lock().insert(number, asked);
        self.silent_since.lock().get_or_insert_with(Instant::now);
        let _asked = Asked(self, number);
        if self.broken.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.send(&octets).await?;
        answer.await.map_err(|_| io::ErrorKind::ConnectionReset.into())
    }

    /// A frame that is cut off by whoever asked giving up would spoil the connection: it is broken then.
    async fn send(&self, octets: &[u8]) -> io::Result<()> {
        struct Whole<'a>(Option<&'a AtomicBool>);
        impl Drop for Whole<'_> {
            fn drop(&mut self) {
                if let Some(broken) = self.0 {
                    broken.store(true, Ordering::Release);
                }
            }
        }
        let mut writer = self.writer.lock().await;
        let mut whole = Whole(Some(&self.broken));
        write_frame(&mut *writer, octets, CALL_BYTES_MAX, PATIENCE).await?;
        whole.0 = None;
        Ok(())
    }

    /// Somebody has waited in vain.
    fn doubt(&self) {
        let silent = self
            .silent_since
            .lock()
            .is_some_and(|since| since.elapsed() >= SILENCE_MAX);
        if silent {
            self.broken.store(true, Ordering::Release);
            self.given_up.cancel();
        }
    }

    fn fail(&self) {
        self.broken.store(true, Ordering::Release);
        self.waiting.lock().clear();
    }
}

impl Transport for TcpTransport {
    fn call(&self, to: &Peer, request: Request, patience: Duration) -> BoxFuture<'_, io::Result<Reply>> {
        let to = to.clone();
        Box::pin(async move {
            let mut asked = None;
            let ask = async {
                if self.stopped.is_cancelled() {
                    return Err(io::Error::new(io::ErrorKind::NotConnected, "this node stops"));
                }
                let line = self.line(&to);
                let connection = self.connection(&to, &line).await?;
                asked.insert(connection).ask(request).await
            };
            let late = || {
                io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("{to} does not answer within {patience:?}"),
                )
            };
            match timeout(patience, ask).await {
                Ok(Ok(Reply::Turned(why))) => Err(turned(why)),
                Ok(answer) => answer,
                Err(_) => {
                    asked.iter().for_each(|connection| connection.doubt());
                    Err(late())
                }
            }
        })
    }
}
