//! What is known of one queue: a fact for everything the lane did to it and everything the server answered. It records and
//! never concludes; what the facts allow after a crash is the auditor's to say.

use crate::finding::{Fault, Finding};
use crate::message::Id;
use amq_protocol::types::{AMQPValue, FieldTable};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Milliseconds since 1970: survives a pause of the campaign, as expiry times do.
pub(crate) type Moment = u64;

/// How a durable queue is declared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// Its name.
    pub(crate) name: String,
    /// `x-queue-mode: lazy`.
    #[serde(default)]
    pub(crate) lazy: bool,
    /// `x-max-priority`.
    #[serde(default)]
    pub(crate) priorities: Option<u8>,
    /// `x-message-ttl`; the lane may set it on each message instead.
    #[serde(default)]
    pub(crate) ttl_ms: Option<u64>,
    /// `x-max-length`; the head is dropped.
    #[serde(default)]
    pub(crate) length_max: Option<usize>,
    /// Queue that dead letters go to, through the default exchange.
    #[serde(default)]
    pub(crate) dead_letters_to: Option<String>,
}

impl Spec {
    /// A queue with this name and no arguments.
    pub(crate) fn plain(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// The arguments it is declared with.
    pub(crate) fn arguments(&self) -> FieldTable {
        let mut table = FieldTable::default();
        let mut number = |key: &str, value: Option<u64>| {
            if let Some(value) = value {
                table.insert(key.into(), AMQPValue::LongLongInt(value as i64));
            }
        };
        number("x-max-priority", self.priorities.map(u64::from));
        number("x-message-ttl", self.ttl_ms);
        number("x-max-length", self.length_max.map(|length| length as u64));
        let mut text = |key: &str, value: &str| {
            table.insert(key.into(), AMQPValue::LongString(value.into()));
        };
        if self.lazy {
            text("x-queue-mode", "lazy");
        }
        if let Some(target) = &self.dead_letters_to {
            text("x-dead-letter-exchange", "");
            text("x-dead-letter-routing-key", target);
        }
        table
    }
}

/// What is known of one message in one queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Copy {
    /// Delivery mode 2.
    pub(crate) persistent: bool,
    /// Its priority as the queue counts it.
    pub(crate) priority: u8,
    /// When it was sent, at the earliest.
    pub(crate) sent_at: Moment,
    /// When the server's confirm (or commit) was read, or when it was found after a restart.
    pub(crate) confirmed_at: Option<Moment>,
    /// Something was sent that may take it away: an ack, a purge, a get without acknowledgement.
    pub(crate) leaving: bool,
    /// A SIGKILL from this moment on must not bring it back.
    pub(crate) gone_from: Option<Moment>,
    /// When it last reached a consumer.
    pub(crate) delivered_at: Option<Moment>,
    /// Where it stood among the others when the queue was last looked through.
    pub(crate) place: Option<u64>,
}

impl Copy {
    /// Just sent.
    pub(crate) fn sent(persistent: bool, priority: u8, sent_at: Moment) -> Self {
        Self {
            persistent,
            priority,
            sent_at,
            confirmed_at: None,
            leaving: false,
            gone_from: None,
            delivered_at: None,
            place: None,
        }
    }
}

/// A queue and what is known of its messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shelf {
    /// How it is declared.
    pub(crate) spec: Spec,
    /// Every message that may be in it.
    pub(crate) copies: BTreeMap<Id, Copy>,
    /// So many messages may be missing because a get without acknowledgement was not answered.
    pub(crate) loose: usize,
}

impl Shelf {
    /// An empty queue.
    pub(crate) fn new(spec: Spec) -> Self {
        Self {
            spec,
            copies: BTreeMap::new(),
            loose: 0,
        }
    }

    /// The queue's name.
    pub(crate) fn name(&self) -> &str {
        &self.spec.name
    }

    /// A message is about to be sent.
    pub(crate) fn send(&mut self, id: Id, copy: Copy) {
        self.copies.insert(id, copy);
    }

    /// The server has confirmed it.
    pub(crate) fn confirm(&mut self, id: Id, now: Moment) {
        if let Some(copy) = self.copies.get_mut(&id) {
            copy.confirmed_at = Some(now);
        }
    }

    /// The server has delivered it while it runs; answers whether it had been delivered before.
    ///
    /// # Errors
    /// It cannot be there.
    pub(crate) fn deliver(&mut self, id: Id, now: Moment) -> Result<bool, Finding> {
        let name = self.spec.name.clone();
        let Some(copy) = self.copies.get_mut(&id) else {
            let text = "delivered, yet it was never sent here, or had left before the last restart";
            return Err(Finding::of(Fault::Phantom, &name, id, text));
        };
        if let Some(from) = copy.gone_from {
            let text = format!("delivered again at {now}, yet it had been settled at {from}");
            return Err(Finding::of(Fault::Resurrected, &name, id, text));
        }
        // What took it away was sent on a connection that has ended, and did not arrive.
        copy.leaving = false;
        Ok(copy.delivered_at.replace(now).is_some())
    }

    /// Something is about to be sent that takes it away.
    pub(crate) fn leave(&mut self, id: Id) {
        if let Some(copy) = self.copies.get_mut(&id) {
            copy.leaving = true;
        }
    }

    /// A round trip has proven that the server took it away.
    pub(crate) fn left(&mut self, id: Id, from: Moment) {
        if let Some(copy) = self.copies.get_mut(&id).filter(|copy| copy.leaving) {
            copy.gone_from = copy.gone_from.or(Some(from));
        }
    }

    /// Messages that may be in the queue while the server runs.
    pub(crate) fn live(&self) -> impl Iterator<Item = (&Id, &Copy)> {
        self.copies.iter().filter(|(_, copy)| copy.gone_from.is_none())
    }

    /// Whether it holds as much as a round may leave in it.
    pub(crate) fn is_full(&self, messages_max: usize) -> bool {
        self.copies.len() >= messages_max
    }
}
