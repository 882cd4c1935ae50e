//! A queue's rules, effective arguments and policies already merged.
//!
//! Names (where dead letters go) stay with the host: the queue must only know whether anybody wants them.

use model::{Millis, Overflow, QueueSettings};

use crate::counts::Tally;

/// The rules of one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Longest stay of a message in the queue; 0 = deliver now or never.
    pub message_ttl: Option<Millis>,
    /// The queue asks to be deleted after being unused for this long; at least 1.
    pub expires: Option<Millis>,
    /// Most ready messages; 0 = hand over directly or not at all.
    pub max_length: Option<u64>,
    /// Most octets of ready bodies.
    pub max_length_bytes: Option<u64>,
    /// What happens at either limit. Drop-head drops what would be delivered next: in a priority queue the oldest of
    /// the highest priority, as RabbitMQ 3.x does.
    pub overflow: Overflow,
    /// A dead-letter exchange is set: without one, dead messages are dropped and the sink never hears of them.
    pub dead_letters: bool,
    /// Levels 0 to this one; fixed for the life of the queue.
    pub max_priority: Option<u8>,
    /// Only one consumer gets messages; fixed for the life of the queue.
    pub single_active_consumer: bool,
    /// A message returned more often than this is dead-lettered.
    pub delivery_limit: Option<u32>,
    /// What comes back is served in the order in which it did: behind everything if its consumer returned it and there is no
    /// delivery limit, before everything otherwise; else it goes to its old place. Fixed for the life of the queue.
    pub returns_in_turn: bool,
    /// Persistent messages are handed to the store, and it is told when they are gone; fixed for the life of the queue.
    pub durable: bool,
    /// Other nodes keep a copy: the sink hears of every message that the queue holds on to, transient ones too. May
    /// change while there are messages; of those the sink has not heard.
    pub replicated: bool,
    /// Octets of ready messages kept in memory; what is above goes to the store in pages. Each level of a priority
    /// queue has an equal part of it, but at least an eighth.
    pub resident_bytes_max: u64,
}

/// Ready messages of a queue keep this much memory unless the host says otherwise.
const RESIDENT_BYTES_MAX: u64 = 32 * 1024 * 1024;

impl Default for Settings {
    fn default() -> Self {
        Self {
            message_ttl: None,
            expires: None,
            max_length: None,
            max_length_bytes: None,
            overflow: Overflow::default(),
            dead_letters: false,
            max_priority: None,
            single_active_consumer: false,
            delivery_limit: None,
            returns_in_turn: false,
            durable: false,
            replicated: false,
            resident_bytes_max: RESIDENT_BYTES_MAX,
        }
    }
}

impl From<&QueueSettings> for Settings {
    fn from(rules: &QueueSettings) -> Self {
        Self {
            message_ttl: rules.message_ttl,
            expires: rules.expires,
            max_length: rules.max_length,
            max_length_bytes: rules.max_length_bytes,
            overflow: rules.overflow,
            dead_letters: rules.dead_letter.is_some(),
            max_priority: rules.max_priority,
            single_active_consumer: rules.single_active_consumer,
            delivery_limit: rules
                .delivery_limit
                .map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
            ..Self::default()
        }
    }
}

impl Settings {
    /// True if the sink must hear of a message for as long as the queue holds on to it.
    pub(crate) fn tells_of(&self, is_persistent: bool) -> bool {
        self.replicated || self.durable && is_persistent
    }

    /// True if somebody will ask how far the messages were handed out.
    pub(crate) fn tells_delivered(&self) -> bool {
        self.replicated || self.durable
    }

    /// True if `ready` is above a limit.
    pub(crate) fn is_exceeded_by(&self, ready: &Tally) -> bool {
        self.max_length.is_some_and(|max| ready.messages > max)
            || self.max_length_bytes.is_some_and(|max| ready.bytes > max)
    }

    /// True if one more message of `body_bytes` beside `ready` must be refused. RabbitMQ judges before it looks for
    /// a consumer, so a full queue refuses what a consumer could have taken.
    pub(crate) fn refuses(&self, ready: &Tally, body_bytes: u64) -> bool {
        self.overflow != Overflow::DropHead
            && (self.max_length.is_some_and(|max| ready.messages >= max)
                || self
                    .max_length_bytes
                    .is_some_and(|max| ready.bytes.saturating_add(body_bytes) > max))
    }

    /// The shorter of the queue's and the message's own time to live.
    pub(crate) fn ttl(&self, own: Option<Millis>) -> Option<Millis> {
        match (self.message_ttl, own) {
            (Some(queue), Some(own)) => Some(queue.min(own)),
            (queue, own) => queue.or(own),
        }
    }
}
