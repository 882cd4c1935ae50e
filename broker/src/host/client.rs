//! A client connection as the rest of the node sees it: identity, outbox, and what was learnt in the handshake.
//!
//! Written by the connection's own task, read by queues, management and whoever closes connections.

use model::{ConnectionId, Millis, Table, UserName, Value, VhostName};
use parking_lot::{Mutex, RwLock};
use session::ChannelFacts;
use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use tokio::sync::oneshot;

use super::{counters::VhostCounters, outbox::Outbox, socket::Socket};

/// One client connection.
#[derive(Debug)]
pub struct Client {
    /// Identity on this node.
    pub id: ConnectionId,
    /// The client's end.
    pub peer: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// When it was accepted.
    pub connected_at: Millis,
    outbox: Outbox,
    frame_max: AtomicU32,
    cancel_notices: AtomicBool,
    /// Octets received so far.
    pub received: AtomicU64,
    /// Reads that brought them.
    pub reads: AtomicU64,
    /// It has published while an alarm is on, and is read no further.
    pub is_blocked: AtomicBool,
    /// It holds nothing any more.
    has_left: AtomicBool,
    profile: RwLock<Option<Profile>>,
    /// Where what it does is counted for its virtual host; none on a leg, whose client is counted at its own node.
    vhost_counters: OnceLock<Arc<VhostCounters>>,
    /// On a leg: the node that the client is connected to, and its connection there.
    home: OnceLock<(catalog::NodeName, ConnectionId)>,
    /// Said in the handshake, for the log.
    said: OnceLock<Said>,
    /// Who waits to be told about the channels.
    curious: Mutex<Vec<oneshot::Sender<Vec<ChannelFacts>>>>,
    wake: Wake,
}

/// What a client has said of itself and proved, before its connection is open.
#[derive(Debug)]
struct Said {
    name: Option<Box<str>>,
    user: OnceLock<UserName>,
}

/// Longest name shown that a client gives itself.
const GIVEN_NAME_CHARS_MAX: usize = 256;

/// Wakes the connection's task.
struct Wake(store::Wake);

impl fmt::Debug for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wake")
    }
}

/// What is known once the connection is open.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Who.
    pub user: UserName,
    /// Where.
    pub vhost: VhostName,
    /// SASL mechanism used.
    pub mechanism: String,
    /// What was agreed on.
    pub tuned: session::Tuned,
    /// The client's self-description.
    pub client_properties: Table,
}

impl Client {
    /// The connection has ended, and holds nothing any more.
    pub fn leave(&self) {
        self.has_left.store(true, Ordering::Release);
    }

    /// True once it holds nothing any more.
    pub fn has_left(&self) -> bool {
        self.has_left.load(Ordering::Acquire)
    }

    /// A connection just accepted.
    pub fn new(id: ConnectionId, socket: Socket, peer: SocketAddr, local: SocketAddr, now: Millis) -> Self {
        let outbox = Outbox::new(socket);
        let attention = outbox.attention.clone();
        Client {
            id,
            peer,
            local,
            connected_at: now,
            outbox,
            frame_max: AtomicU32::new(4096),
            cancel_notices: AtomicBool::new(false),
            received: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            is_blocked: AtomicBool::new(false),
            has_left: AtomicBool::new(false),
            profile: RwLock::new(None),
            vhost_counters: OnceLock::new(),
            home: OnceLock::new(),
            said: OnceLock::new(),
            curious: Mutex::default(),
            wake: Wake(Arc::new(move || attention.notify_one())),
        }
    }

    /// Has the connection's task look up: what it waits for is durable.
    pub fn wake(&self) -> &store::Wake {
        &self.wake.0
    }

    /// What is on its way to the client.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Largest frame the client takes, in octets; 0 = no limit.
    pub fn frame_max(&self) -> u32 {
        self.frame_max.load(Ordering::Relaxed)
    }

    /// True if the client wants `basic.cancel` when a queue goes away under a consumer.
    pub fn wants_cancel_notices(&self) -> bool {
        self.cancel_notices.load(Ordering::Relaxed)
    }

    /// The connection is open.
    pub fn opened(&self, profile: Profile, cancel_notices: bool) {
        self.frame_max.store(profile.tuned.frame_max, Ordering::Relaxed);
        self.cancel_notices.store(cancel_notices, Ordering::Relaxed);
        *self.profile.write() = Some(profile);
    }

    /// What it does is counted here for its virtual host as well.
    pub fn count_for(&self, vhost: Arc<VhostCounters>) {
        // A connection is opened once.
        let _ = self.vhost_counters.set(vhost);
    }

    /// Where what it does is counted for its virtual host.
    pub fn vhost_counters(&self) -> Option<&VhostCounters> {
        self.vhost_counters.get().map(Arc::as_ref)
    }

    /// This serves a client of another node.
    pub fn serves(&self, node: catalog::NodeName, connection: ConnectionId) {
        // A leg is opened once.
        let _ = self.home.set((node, connection));
    }

    /// On a leg: the node that the client is connected to, and its connection there.
    pub fn home(&self) -> Option<&(catalog::NodeName, ConnectionId)> {
        self.home.get()
    }

    /// What is known of an open connection.
    pub fn profile(&self) -> Option<Profile> {
        self.profile.read().clone()
    }

    /// Looks at what is known of an open connection, without a copy.
    pub fn with_profile<R>(&self, look: impl FnOnce(&Profile) -> R) -> Option<R> {
        self.profile.read().as_ref().map(look)
    }

    /// Asks the connection's task about its channels; the answer never comes if the connection ends before.
    pub fn ask_channels(&self) -> oneshot::Receiver<Vec<ChannelFacts>> {
        let (answer, asked) = oneshot::channel();
        self.curious.lock().push(answer);
        self.outbox.attention.notify_one();
        asked
    }

    /// Answers whoever has asked.
    pub fn tell_channels(&self, facts: impl Fn() -> Vec<ChannelFacts>) {
        for curious in std::mem::take(&mut *self.curious.lock()) {
            // Whoever asked may have given up.
            let _ = curious.send(facts());
        }
    }

    /// Nobody will be answered any more.
    pub fn forget_curious(&self) {
        self.curious.lock().clear();
    }

    /// The client has described itself.
    pub fn introduce(&self, properties: &Table) {
        let name = match properties.get("connection_name") {
            Some(Value::LongStr(name)) => std::str::from_utf8(name).ok(),
            _ => None,
        };
        let cut = |name: &str| name.chars().take(GIVEN_NAME_CHARS_MAX).collect::<String>().into();
        // It does so once.
        let _ = self.said.set(Said {
            name: name.filter(|name| !name.is_empty()).map(cut),
            user: OnceLock::new(),
        });
    }

    /// The client has proved who it is.
    pub fn logged_in(&self, user: &UserName) {
        if let Some(said) = self.said.get() {
            // It does so once.
            let _ = said.user.set(user.clone());
        }
    }

    /// The name that the client has given itself.
    pub fn given_name(&self) -> Option<&str> {
        self.said.get()?.name.as_deref()
    }

    /// Who has logged in.
    pub fn user(&self) -> Option<&UserName> {
        self.said.get()?.user.get()
    }

    /// What stands in log lines where RabbitMQ shows the connection's process.
    pub fn pid(&self) -> String {
        self.channel_pid(0)
    }

    /// The same for a channel.
    pub fn channel_pid(&self, channel: u16) -> String {
        format!("<0.{}.{channel}>", self.id.0)
    }

    /// RabbitMQ's name of a connection: `127.0.0.1:50000 -> 127.0.0.1:5672`.
    pub fn name(&self) -> String {
        format!("{} -> {}", self.peer, self.local)
    }
}
