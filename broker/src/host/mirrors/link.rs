//! The way from this node to the mirrors at another: one connection for all queues that it leads, with a bound.
//!
//! Octets are appended under the locks of queues and written by a task of its own. When the other end falls too far
//! behind, the link is cut and begins anew with bases (R17): a slow mirror never holds a queue up.

use link::{MIRROR_VERSION, MirrorOpening};
use model::NodeUuid;
use parking_lot::Mutex;
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::BufReader,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Notify,
};

use super::super::node::Node;
use super::records::{FRAME_BYTES_MAX, Records};
use crate::peer::write_frames;

/// Octets that wait for the other end; more, and the link is cut.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// While more octets than this wait, what could wait as well is not added: bases.
const BUSY_BYTES: usize = 4 * 1024 * 1024;
/// A write that takes longer is given up.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// The next try to connect comes after this, then after twice as long each time ...
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// ... but not after longer than this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct State {
    /// The start of the other node that is connected.
    open: Option<u64>,
    out: Vec<u8>,
    /// Octets that are being written.
    writing: usize,
    /// Too much waited.
    cut: bool,
}

impl State {
    fn waiting(&self) -> usize {
        self.out.len() + self.writing
    }
}

/// The way to the mirrors at one node.
#[derive(Debug)]
pub struct Link {
    /// Which node.
    pub to: NodeUuid,
    state: Mutex<State>,
    /// There is something to write.
    wake: Notify,
    /// There is room again.
    room: Notify,
}

impl Link {
    /// Not connected.
    pub fn new(to: NodeUuid) -> Self {
        Link {
            to,
            state: Mutex::default(),
            wake: Notify::new(),
            room: Notify::new(),
        }
    }

    /// The start of the other node, while it is connected.
    pub fn incarnation(&self) -> Option<u64> {
        let state = self.state.lock();
        state.open.filter(|_| !state.cut)
    }

    /// Appends octets; false if nobody will read them.
    #[inline]
    pub fn say(&self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut state = self.state.lock();
        if state.open.is_none() || state.cut {
            return false;
        }
        let was_empty = state.out.is_empty();
        write(&mut state.out);
        if state.waiting() > WAITING_BYTES_MAX {
            state.cut = true;
            state.out = Vec::new();
        }
        if was_empty || state.cut {
            self.wake.notify_one();
        }
        !state.cut
    }

    /// True while so much waits that a base had better wait, too.
    fn is_busy(&self) -> bool {
        self.state.lock().waiting() > BUSY_BYTES
    }

    /// Waits until a base may go on; at once when nobody would read it.
    pub async fn until_calm(&self) {
        while self.is_busy() {
            let mut room = std::pin::pin!(self.room.notified());
            // Before the look, so that room that is made right after it is not missed.
            room.as_mut().enable();
            if !self.is_busy() {
                return;
            }
            room.await;
        }
    }

    pub(super) fn open(&self, incarnation: u64) {
        let open = Some(incarnation);
        *self.state.lock() = State {
            open,
            ..State::default()
        };
    }

    fn close(&self) {
        *self.state.lock() = State::default();
        self.room.notify_waiters();
    }

    /// Takes what waits, as soon as something does.
    pub(super) async fn next(&self) -> io::Result<Vec<u8>> {
        loop {
            {
                let mut state = self.state.lock();
                state.writing = 0;
                if state.cut {
                    let text = format!("more than {WAITING_BYTES_MAX} octets wait for it");
                    return Err(io::Error::new(io::ErrorKind::TimedOut, text));
                }
                if !state.out.is_empty() {
                    state.writing = state.out.len();
                    return Ok(std::mem::take(&mut state.out));
                }
            }
            self.room.notify_waiters();
            self.wake.notified().await;
        }
    }

    async fn write(&self, mut to: OwnedWriteHalf) -> io::Result<()> {
        loop {
            let octets = self.next().await?;
            write_frames(&mut to, &octets, FRAME_BYTES_MAX, WRITE_PATIENCE).await?;
        }
    }
}

/// Keeps a link connected until the node stops, or the other node belongs to the cluster no more.
pub async fn run(node: Arc<Node>, link: Arc<Link>) {
    let mut patience = RETRY_AFTER;
    loop {
        let Some(name) = node.snapshot().catalog.node(link.to).map(|other| other.name.clone()) else {
            return node.mirrors().drop_link(link.to);
        };
        match connect(&node, link.to, &name).await {
            Ok((tcp, incarnation)) => {
                patience = RETRY_AFTER;
                link.open(incarnation);
                tracing::info!(node = %name, incarnation, "mirrors at another node are connected");
                node.link_opened(&link);
                let ended = converse(&node, &link, tcp).await;
                link.close();
                node.link_closed(&link);
                tracing::warn!(node = %name, "mirrors at another node are cut off: {ended}");
            }
            Err(error) => tracing::debug!(node = %name, "mirrors cannot be reached: {error}"),
        }
        tokio::select! {
            () = node.stopping().cancelled() => return,
            () = tokio::time::sleep(patience) => {}
        }
        patience = (patience * 2).min(RETRY_AFTER_MAX);
    }
}

async fn connect(node: &Node, to: NodeUuid, name: &str) -> io::Result<(TcpStream, u64)> {
    let dialer = node.dialer.get();
    let dialer = dialer.ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "this node reaches no other"))?;
    let identity = node.identity();
    let opening = MirrorOpening {
        version: MIRROR_VERSION,
        node: node.name().to_string(),
        uuid: identity.node.to_string(),
        incarnation: identity.incarnation,
    };
    let (tcp, uuid, incarnation) = dialer.mirror(name, opening).await?;
    // What another node acknowledges is not this one's.
    if uuid != to {
        return Err(io::Error::other(format!("{name} is node {uuid} now, not {to}")));
    }
    Ok((tcp, incarnation))
}

/// Why the conversation ended.
async fn converse(node: &Arc<Node>, link: &Arc<Link>, tcp: TcpStream) -> io::Error {
    let (from, to) = tcp.into_split();
    let ended = tokio::select! {
        ended = link.write(to) => ended,
        ended = hear(node, link, from) => ended,
        () = node.stopping().cancelled() => Err(io::Error::other("this node stops")),
    };
    ended.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

async fn hear(node: &Arc<Node>, link: &Arc<Link>, from: OwnedReadHalf) -> io::Result<()> {
    let mut records = Records::new(BufReader::with_capacity(64 * 1024, from));
    while records.more().await? {
        while let Some((queue, word)) = records.next()? {
            node.on_answer(link, queue, word)?;
        }
    }
    Ok(())
}
