//! Messages that this node sends on its own behalf to queues that another node leads: dead letters, delayed messages,
//! copies for the firehose, what is published over HTTP.
//!
//! One leg to each leader, for all of them, without a client. What is sent is confirmed by the leader; whoever sent it may
//! wait for that. Nothing is sent again: what was open on a leg that broke counts as lost, and whoever sent it decides.

use catalog::NodeName;
use model::{Generation, QueueId};
use parking_lot::Mutex;
use session::Publication;
use std::{
    collections::{BTreeMap, VecDeque},
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{net::TcpStream, sync::Notify};
use wire::{AMQPClass, Method, channel, confirm};

use super::super::{node::Node, strayed::Strayed};
use super::{
    pipe::{Flushed, Next, Pipe},
    remote::Remote,
};

/// Above this many unwritten octets nothing more is taken.
const UNWRITTEN_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Above this many unanswered messages nothing more is taken.
const UNANSWERED_MAX: usize = 262_144;
/// The one channel.
const CHANNEL: u16 = 1;
/// Who sends; RabbitMQ's name for it.
const USER: &str = "rmq-internal";

/// What is done when a message has arrived everywhere, or is lost.
type Then = Box<dyn FnOnce(bool) + Send>;

/// A message on its way to one or several leaders. When the last has answered, it is told whether all have taken it.
pub struct Arrival {
    is_lost: AtomicBool,
    then: Mutex<Option<Then>>,
}

impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrival")
            .field("is_lost", &self.is_lost)
            .finish_non_exhaustive()
    }
}

impl Arrival {
    /// Of which nobody wants to hear.
    pub fn unheard() -> Arc<Self> {
        Self::with(Box::new(|_| {}))
    }

    /// Of which this is told.
    pub fn with(then: Then) -> Arc<Self> {
        Arc::new(Arrival {
            is_lost: AtomicBool::new(false),
            then: Mutex::new(Some(then)),
        })
    }

    /// It will not arrive everywhere.
    pub fn lose(&self) {
        self.is_lost.store(true, Ordering::Release);
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if let Some(then) = self.then.get_mut().take() {
            then(!self.is_lost.load(Ordering::Acquire));
        }
    }
}

#[derive(Debug, Default)]
struct State {
    out: Vec<u8>,
    tail: wire::Tail,
    told: Generation,
    answered: u64,
    open: VecDeque<Arc<Arrival>>,
    broken: bool,
}

/// The leg to one leader.
#[derive(Debug, Default)]
struct Courier {
    pipe: Pipe,
    state: Mutex<State>,
    attention: Notify,
}

/// All of a node's.
#[derive(Debug, Default)]
pub struct Couriers {
    all: Mutex<BTreeMap<NodeName, Arc<Courier>>>,
    /// What waits until it is known where it goes.
    pub strayed: Strayed,
}

impl Node {
    /// Sends a message to queues of other nodes.
    pub(in super::super) fn send_far(&self, remotes: &[Remote], message: &Publication<'_>, arrival: &Arc<Arrival>) {
        for remote in remotes {
            let as_of = self.snapshot().generation();
            let is_sent = self.courier(&remote.leader).is_some_and(|courier| {
                let sent = courier.send(as_of, &remote.queues, message, arrival);
                courier.flush();
                sent
            });
            if !is_sent {
                tracing::warn!(
                    "a message for queues of node {} is lost: it cannot be reached",
                    remote.leader
                );
                arrival.lose();
            }
        }
    }

    fn courier(&self, leader: &NodeName) -> Option<Arc<Courier>> {
        let mut all = self.couriers().all.lock();
        if let Some(courier) = all.get(leader).filter(|courier| !courier.state.lock().broken) {
            return Some(courier.clone());
        }
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        let opening = self.opening(leader, (USER.to_owned(), "/".to_owned()))?;
        let dialing = self.dialer.get()?.dial(leader, opening);
        let courier = Arc::new(Courier::open());
        all.insert(leader.clone(), courier.clone());
        let (running, leader) = (courier.clone(), leader.clone());
        runtime.spawn(async move {
            let end = match dialing.await {
                Ok(tcp) => running.run(tcp).await,
                Err(error) => error,
            };
            tracing::debug!("the way to queues of node {leader} is closed: {end}");
            running.give_up();
        });
        Some(courier)
    }
}

impl Courier {
    fn open() -> Self {
        let courier = Courier::default();
        let mut state = courier.state.lock();
        let open = channel::AMQPMethod::Open(channel::Open {});
        wire::method(&mut state.out, CHANNEL, AMQPClass::Channel(open));
        let select = confirm::AMQPMethod::Select(confirm::Select { nowait: true });
        wire::method(&mut state.out, CHANNEL, AMQPClass::Confirm(select));
        courier.pipe.added(state.out.len());
        drop(state);
        courier
    }

    fn send(&self, as_of: Generation, queues: &[QueueId], message: &Publication<'_>, arrival: &Arc<Arrival>) -> bool {
        let mut state = self.state.lock();
        let is_full = state.open.len() >= UNANSWERED_MAX || self.pipe.waiting_bytes() > UNWRITTEN_BYTES_MAX;
        if state.broken || is_full {
            return false;
        }
        let before = state.out.len();
        if state.told < as_of {
            state.told = as_of;
            wire::as_of(&mut state.out, as_of);
        }
        let forwarding = wire::Forwarding {
            channel: CHANNEL,
            // Never sent again.
            sequence: 0,
            floor: 0,
            again: false,
            queues,
            exchange: message.exchange,
            routing_key: message.routing_key,
            properties: message.properties,
            body: message.body,
        };
        let State { out, tail, .. } = &mut *state;
        wire::forward(out, tail, &forwarding);
        state.open.push_back(arrival.clone());
        self.pipe.added(state.out.len() - before);
        true
    }

    fn flush(&self) {
        let swap = |chunk: &mut Vec<u8>| {
            chunk.clear();
            let mut state = self.state.lock();
            state.tail.cut();
            if state.broken {
                return Next::Never;
            }
            std::mem::swap(&mut state.out, chunk);
            Next::of(chunk)
        };
        if self.pipe.flush(swap) != Flushed::All {
            self.attention.notify_one();
        }
    }

    async fn run(&self, tcp: TcpStream) -> io::Error {
        self.pipe.connect(tcp);
        self.flush();
        let Some(tcp) = self.pipe.tcp() else {
            return io::ErrorKind::NotConnected.into();
        };
        let mut buffer = Vec::with_capacity(4096);
        loop {
            let heard = tokio::select! {
                ready = tcp.readable() => ready.and_then(|()| self.hear(tcp, &mut buffer)),
                ready = tcp.writable(), if self.pipe.is_blocked() => {
                    self.pipe.unblock();
                    self.flush();
                    ready
                }
                () = self.attention.notified() => Ok(()),
            };
            if let Err(error) = heard {
                return error;
            }
        }
    }

    fn hear(&self, tcp: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
        match tcp.try_read_buf(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        let mut used = 0;
        while let Some((frame, octets)) = wire::next_frame(&buffer[used..], 0).map_err(io::Error::other)? {
            used += octets;
            match wire::decode_method(frame.payload) {
                Ok(Method::Ack { tag, .. }) => self.on_answer(tag, false),
                Ok(Method::Nack { tag, .. }) => self.on_answer(tag, true),
                Ok(Method::Other(AMQPClass::Channel(channel::AMQPMethod::Close(close)))) => {
                    return Err(io::Error::other(close.reply_text.to_string()));
                }
                // Answers to what was opened, and states of the catalogue.
                Ok(_) | Err(_) => {}
            }
        }
        buffer.drain(..used);
        buffer.reserve(4096);
        Ok(())
    }

    /// Answers come in the order of the messages. What follows from them is done without the lock.
    fn on_answer(&self, upto: u64, refused: bool) {
        let mut state = self.state.lock();
        let count = usize::try_from(upto.saturating_sub(state.answered)).unwrap_or(usize::MAX);
        let count = count.min(state.open.len());
        let answered: Vec<Arc<Arrival>> = state.open.drain(..count).collect();
        state.answered = state.answered.max(upto);
        drop(state);
        if refused {
            answered.iter().for_each(|arrival| arrival.lose());
        }
    }

    fn give_up(&self) {
        let mut state = self.state.lock();
        state.broken = true;
        state.out = Vec::new();
        state.tail.cut();
        let open = std::mem::take(&mut state.open);
        drop(state);
        open.iter().for_each(|arrival| arrival.lose());
    }
}
