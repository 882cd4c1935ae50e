//! The clients: publishers with confirms and consumers with acks, a thread each, connected to one node, or one Service, for the whole round.
//! Whatever goes wrong they connect again and go on, as a patient program would. They write down what they know and
//! judge nothing.

use super::book::{Fate, Seen, Sent};
use super::net::amqp;
use super::plan::Pace;
use crate::client::{Connection, Event, Failure};
use crate::lane::{confirm_of, delivery, properties};
use crate::message::{Id, Origin};
use crate::method;
use amq_protocol::protocol::{AMQPClass, basic};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The longest wait for an answer before the connection is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// Publishes without a confirm.
const WINDOW: usize = 200;
/// Silence with publishes outstanding after which a connection is given up; longer than anybody is believed to be alive.
const SILENCE: Duration = Duration::from_secs(15);
/// How long a publisher waits for its last confirms.
const LAST: Duration = Duration::from_secs(12);
/// How soon somebody who was refused tries again.
const BACK_OFF: Duration = Duration::from_millis(50);
const BACK_OFF_MAX: Duration = Duration::from_millis(200);
/// A publisher that fell behind its pace makes up for so much at most.
const BEHIND_MAX: Duration = Duration::from_millis(250);
/// Octets of a body.
const SIZE: usize = 120;
/// Deliveries without an ack.
const PREFETCH: u16 = 300;
/// Acks that go together, and how long one waits for others.
const ACKED_AT_ONCE: u64 = 30;
const ACK_EVERY: Duration = Duration::from_millis(50);
/// How long a slow consumer keeps what it has.
const SLOW: Duration = Duration::from_millis(500);

/// What the conductor tells all clients of a round.
#[derive(Debug)]
pub(crate) struct Signals {
    began: Instant,
    began_at: SystemTime,
    /// No more publishes.
    pub(crate) enough: AtomicBool,
    /// Consumers that were to come later begin.
    pub(crate) drain: AtomicBool,
    /// All is over.
    pub(crate) done: AtomicBool,
}

impl Signals {
    /// For a round that begins now.
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            began_at: SystemTime::now(),
            enough: AtomicBool::new(false),
            drain: AtomicBool::new(false),
            done: AtomicBool::new(false),
        }
    }

    /// Milliseconds since the round began.
    pub(crate) fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// The hour of a moment of the round, as the logs of nodes tell it.
    pub(crate) fn clock(&self, moment: u64) -> String {
        let at = self.began_at + Duration::from_millis(moment);
        let ms = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() % 86_400_000;
        let (seconds, ms) = (ms / 1000, ms % 1000);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        format!("{hours:02}:{minutes:02}:{seconds:02}.{ms:03} UTC")
    }

    fn is(flag: &AtomicBool) -> bool {
        flag.load(Ordering::Relaxed)
    }
}

/// Where a client connects.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Door<'a> {
    /// To this node.
    Node(usize),
    /// To whatever node this address leads to; it may become another.
    Service(&'a Mutex<SocketAddr>),
}

impl Door<'_> {
    fn address(self) -> SocketAddr {
        match self {
            Door::Node(node) => amqp(node),
            // Whoever panicked with it has not half changed it.
            Door::Service(address) => *address.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
        }
    }
}

/// A queue of the load, and who uses it.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    /// The queue's name, which no other campaign or launch has used.
    pub(crate) queue: String,
    /// The node on which it was declared, which leads it at first.
    pub(crate) leader: usize,
    /// The node to which its publisher is connected.
    pub(crate) publisher: usize,
    /// The node to which its consumer is connected.
    pub(crate) consumer: usize,
    /// Makes the bodies.
    pub(crate) origin: Origin,
}

/// Why connections ended, and how often.
pub(crate) type Ends = BTreeMap<String, u64>;

/// What a publisher brings back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    /// Its messages.
    pub(crate) sent: Sent,
    /// When confirms came, in milliseconds of the round.
    pub(crate) confirms: Vec<u64>,
    /// Why its connections ended.
    pub(crate) ends: Ends,
}

/// When a publisher's last confirmed message had been sent, so that the conductor sees who is served again.
#[derive(Debug, Default)]
pub(crate) struct Progress(AtomicU64);

impl Progress {
    /// True if a message was confirmed that was sent after this moment.
    pub(crate) fn since(&self, moment: u64) -> bool {
        self.0.load(Ordering::Relaxed) > moment
    }
}

/// A publisher.
#[derive(Debug)]
pub(crate) struct Publisher<'a> {
    /// Its queue.
    pub(crate) lane: &'a Lane,
    /// Where it connects.
    pub(crate) door: Door<'a>,
    /// The round, which is part of every message's name.
    pub(crate) round: u32,
    /// Time from one publish to the next.
    pub(crate) every: Duration,
    /// What it is told.
    pub(crate) signals: &'a Signals,
    /// What it tells.
    pub(crate) progress: &'a Progress,
}

/// One connection of a publisher.
struct Session {
    connection: Connection,
    first: usize,
    /// By delivery tag: when it was sent.
    outstanding: BTreeMap<u64, u64>,
    heard: Instant,
}

impl Publisher<'_> {
    /// Publishes until it is enough, and waits for the last confirms.
    pub(crate) fn run(&self) -> Published {
        let mut published = Published::default();
        let (mut pause, mut last) = (BACK_OFF, None);
        loop {
            let confirmed = published.confirms.len();
            match self.session(&mut published, &mut last) {
                Ok(()) => return published,
                Err(failure) => note(&mut published.ends, &failure),
            }
            if Signals::is(&self.signals.enough) {
                return published;
            }
            pause = if published.confirms.len() > confirmed {
                BACK_OFF
            } else {
                BACK_OFF_MAX.min(pause * 2)
            };
            std::thread::sleep(pause);
        }
    }

    fn session(&self, published: &mut Published, last: &mut Option<Instant>) -> Result<(), Failure> {
        let mut connection = Connection::open_as(self.door.address(), PATIENCE, Some(&self.lane.queue))?;
        connection.open_channel(1)?;
        connection.call(1, method::confirms())?;
        connection.want_returns();
        published.sent.begin();
        let mut session = Session {
            connection,
            first: published.sent.fates.len(),
            outstanding: BTreeMap::new(),
            heard: Instant::now(),
        };
        let mut next = Instant::now();
        loop {
            let enough = Signals::is(&self.signals.enough);
            if enough && (session.outstanding.is_empty() || last.get_or_insert_with(Instant::now).elapsed() > LAST) {
                return Ok(());
            }
            let now = Instant::now();
            if !enough && now >= next && session.outstanding.len() < WINDOW {
                self.publish(&mut session, published)?;
                next = (next + self.every).max(now - BEHIND_MAX);
            }
            let until = if enough || session.outstanding.len() >= WINDOW {
                now + ACK_EVERY
            } else {
                next
            };
            if let Some(event) = session.connection.next(until)? {
                self.hear(&event, &mut session, published)?;
            }
            if session.outstanding.is_empty() {
                session.heard = Instant::now();
            } else if session.heard.elapsed() > SILENCE {
                return Err(Failure::Silent(format!("publishes within {SILENCE:?}")));
            }
        }
    }

    fn publish(&self, session: &mut Session, published: &mut Published) -> Result<(), Failure> {
        let number = published.sent.send();
        let tag = (number - session.first + 1) as u64;
        session.outstanding.insert(tag, self.signals.now());
        let id = Id {
            round: self.round,
            publisher: 0,
            number: number as u32,
        };
        let body = self.lane.origin.body(id, SIZE);
        session
            .connection
            .publish(1, ("", &self.lane.queue), properties(true, None), &body)?;
        session.connection.flush()
    }

    fn hear(&self, event: &Event, session: &mut Session, published: &mut Published) -> Result<(), Failure> {
        if let Event::Content(_, content) = event {
            let id = self.lane.origin.read(&content.body).map_err(Failure::Malformed)?;
            published.sent.hear(id.number as usize, Fate::Returned);
            return Ok(());
        }
        let Some((tag, multiple, taken)) = confirm_of(event) else {
            return Err(Failure::Malformed(format!("a publisher gets {event:?}")));
        };
        session.heard = Instant::now();
        let tags: Vec<u64> = if multiple {
            session.outstanding.range(..=tag).map(|(tag, _)| *tag).collect()
        } else {
            vec![tag]
        };
        for tag in tags {
            let Some(at) = session.outstanding.remove(&tag) else {
                return Err(Failure::Malformed(format!(
                    "a confirm for {tag}, which is not outstanding"
                )));
            };
            let number = session.first + tag as usize - 1;
            published
                .sent
                .hear(number, if taken { Fate::Confirmed } else { Fate::Refused });
            if published.sent.fates[number] == Fate::Confirmed {
                published.confirms.push(self.signals.now());
                published.sent.confirmed_at.insert(number, self.signals.now());
                self.progress.0.fetch_max(at, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

/// A consumer.
#[derive(Debug)]
pub(crate) struct Consumer<'a> {
    /// Its queue.
    pub(crate) lane: &'a Lane,
    /// Where it connects.
    pub(crate) door: Door<'a>,
    /// The round whose messages it knows.
    pub(crate) round: u32,
    /// When it acks.
    pub(crate) pace: Pace,
    /// What it is told.
    pub(crate) signals: &'a Signals,
}

impl Consumer<'_> {
    /// Takes messages until all is over.
    pub(crate) fn run(&self) -> (Seen, Ends) {
        let (mut seen, mut ends) = (Seen::default(), Ends::new());
        while !Signals::is(&self.signals.done) {
            if self.pace != Pace::Later || Signals::is(&self.signals.drain) {
                match self.session(&mut seen) {
                    Ok(()) => {}
                    Err(failure) => note(&mut ends, &failure),
                }
            }
            std::thread::sleep(BACK_OFF);
        }
        (seen, ends)
    }

    /// Until all is over, or the connection or the consumer is.
    fn session(&self, seen: &mut Seen) -> Result<(), Failure> {
        let mut connection = Connection::open_at(self.door.address(), PATIENCE)?;
        connection.open_channel(1)?;
        connection.call(1, method::prefetch(PREFETCH))?;
        connection.call(1, method::consume(&self.lane.queue, "part"))?;
        let (mut newest, mut acked, mut since) = (0, 0, Instant::now());
        while !Signals::is(&self.signals.done) {
            match connection.next(Instant::now() + ACK_EVERY)? {
                Some(Event::Content(_, content)) => {
                    let (tag, redelivered) = delivery(&content.method);
                    newest = tag;
                    self.read(&content.body, redelivered, seen);
                }
                Some(Event::Method(_, AMQPClass::Basic(basic::AMQPMethod::Cancel(_)))) => {
                    return Err(Failure::Malformed("basic.cancel".to_owned()));
                }
                Some(event) => return Err(Failure::Malformed(format!("a consumer gets {event:?}"))),
                None => {}
            }
            let slow = self.pace == Pace::Slow && !Signals::is(&self.signals.drain);
            let (many, patience) = if slow {
                (PREFETCH.into(), SLOW)
            } else {
                (ACKED_AT_ONCE, ACK_EVERY)
            };
            if newest > acked && (newest - acked >= many || since.elapsed() >= patience) {
                connection.queue(1, method::ack(newest, true));
                connection.flush()?;
                (acked, since) = (newest, Instant::now());
            }
        }
        Ok(())
    }

    fn read(&self, body: &[u8], redelivered: bool, seen: &mut Seen) {
        match self.lane.origin.read(body) {
            Ok(id) if id.round == self.round => seen.take(id.number as usize, redelivered),
            // The queue was seen empty after that round: an ack was lost, which is a delivery more and no harm.
            Ok(id) if id.round < self.round => seen.earlier += 1,
            Ok(id) => seen.strange.push(format!("message {id} comes before its round")),
            Err(why) => seen.strange.push(why),
        }
    }
}

fn note(ends: &mut Ends, failure: &Failure) {
    *ends.entry(failure.to_string()).or_default() += 1;
}
