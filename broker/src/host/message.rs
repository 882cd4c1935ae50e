//! A message kept in memory: one allocation with exchange, routing key, raw properties and body, shared by fan-out.
//!
//! Built from a publish only when a queue has to keep it; direct deliveries never make one.

use model::Millis;
use queue::{Facts, Incoming};
use session::Publication;
use std::sync::Arc;
use store::{Content, SharedBody, StoredMessage};
use triomphe::ThinArc;
use wire::Properties;

use super::cell::QueueCell;

/// Lengths of the parts, and what the queue asks for often.
#[derive(Debug)]
struct Head {
    properties_bytes: u32,
    exchange_bytes: u8,
    key_bytes: u8,
    persistent: bool,
}

/// A kept message. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Message(ThinArc<Head, u8>);

impl Message {
    /// Copies a publication.
    pub fn keep(publication: &Publication<'_>, scratch: &mut Vec<u8>) -> Self {
        Self::copy(&content_of(publication), publication.persistent, scratch)
    }

    /// Copies the parts. Exchange names and routing keys are short strings: 255 octets at most.
    fn copy(content: &Content<'_>, persistent: bool, scratch: &mut Vec<u8>) -> Self {
        scratch.clear();
        for part in [content.exchange, content.routing_key, content.properties, content.body] {
            scratch.extend_from_slice(part);
        }
        let head = Head {
            properties_bytes: content.properties.len() as u32,
            exchange_bytes: content.exchange.len() as u8,
            key_bytes: content.routing_key.len() as u8,
            persistent,
        };
        let kept = Message(ThinArc::from_header_and_slice(head, scratch));
        if scratch.capacity() > SCRATCH_BYTES_MAX {
            *scratch = Vec::new();
        }
        kept
    }

    fn part(&self, from: usize, length: usize) -> &[u8] {
        &self.0.slice[from..from + length]
    }

    fn properties_at(&self) -> usize {
        let head = &self.0.header.header;
        usize::from(head.exchange_bytes) + usize::from(head.key_bytes)
    }

    fn body_at(&self) -> usize {
        self.properties_at() + self.0.header.header.properties_bytes as usize
    }

    /// Exchange it was published to.
    pub fn exchange(&self) -> &[u8] {
        self.part(0, self.0.header.header.exchange_bytes.into())
    }

    /// Routing key it was published with.
    pub fn routing_key(&self) -> &[u8] {
        self.part(
            self.0.header.header.exchange_bytes.into(),
            self.0.header.header.key_bytes.into(),
        )
    }

    /// Property flags and list, raw.
    pub fn properties(&self) -> &[u8] {
        self.part(self.properties_at(), self.0.header.header.properties_bytes as usize)
    }

    /// The timestamp that its publisher gave it.
    pub fn timestamp(&self) -> Option<u64> {
        Properties::timestamp_of(self.properties())
    }

    /// Body octets.
    pub fn body(&self) -> &[u8] {
        &self.0.slice[self.body_at()..]
    }
}

/// A scratch buffer larger than this is given back after use.
const SCRATCH_BYTES_MAX: usize = 64 * 1024;

/// What a message's allocation takes beside its parts: reference count, head, length, and the allocator's own.
const ALLOCATION_BYTES: usize = 40;

impl queue::Message for Message {
    fn body_bytes(&self) -> u64 {
        (self.0.slice.len() - self.body_at()) as u64
    }

    fn is_persistent(&self) -> bool {
        self.0.header.header.persistent
    }

    fn resident_bytes(&self) -> u64 {
        (self.0.slice.len() + ALLOCATION_BYTES) as u64
    }
}

/// The parts that are kept of a publication.
pub fn content_of<'a>(publication: &Publication<'a>) -> Content<'a> {
    Content {
        exchange: publication.exchange,
        routing_key: publication.routing_key,
        properties: publication.properties,
        body: publication.body,
    }
}

impl StoredMessage for Message {
    fn content(&self) -> Content<'_> {
        Content {
            exchange: self.exchange(),
            routing_key: self.routing_key(),
            properties: self.properties(),
            body: self.body(),
        }
    }

    fn is_persistent(&self) -> bool {
        self.0.header.header.persistent
    }

    fn of(content: &Content<'_>, persistent: bool) -> Self {
        Self::copy(content, persistent, &mut Vec::new())
    }
}

/// A publication on its way through the queues it was routed to.
#[derive(Debug)]
pub struct Arriving<'a> {
    /// What arrives.
    pub publication: &'a Publication<'a>,
    kept: Option<Message>,
    scratch: &'a mut Vec<u8>,
    /// It is to be on disk wherever it waits: it was published so, or one of the queues wants that of everything.
    pub persistent: bool,
    /// Several queues get it: the store keeps one body for all of them.
    pub is_shared: bool,
    /// That body, once it has been appended.
    pub body: Option<SharedBody>,
}

impl<'a> Arriving<'a> {
    /// Nothing kept yet; `scratch` is borrowed for the copy.
    pub fn new(publication: &'a Publication<'a>, cells: &[Arc<QueueCell>], scratch: &'a mut Vec<u8>) -> Self {
        Arriving {
            persistent: publication.persistent || cells.iter().any(|cell| cell.is_quorum),
            publication,
            kept: None,
            scratch,
            is_shared: cells.len() > 1,
            body: None,
        }
    }
}

impl Incoming for Arriving<'_> {
    type Message = Message;

    fn facts(&self) -> Facts {
        Facts {
            body_bytes: self.publication.body.len() as u64,
            priority: self.publication.priority,
            ttl: self.publication.ttl.map(|span| Millis(span.0)),
            persistent: self.persistent,
        }
    }

    fn keep(&mut self) -> Message {
        match &self.kept {
            Some(message) => message.clone(),
            None => {
                let message = Message::copy(&content_of(self.publication), self.persistent, self.scratch);
                self.kept = Some(message.clone());
                message
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_message_has_the_parts_of_the_publication() {
        let publication = Publication {
            exchange: b"amq.topic",
            routing_key: b"a.b",
            mandatory: false,
            properties: &[0x10, 0, 2],
            headers: None,
            extra_keys: &[],
            body: b"hello",
            persistent: true,
            priority: 0,
            ttl: None,
            fault: None,
        };
        let message = Message::keep(&publication, &mut Vec::new());
        assert_eq!(message.exchange(), b"amq.topic");
        assert_eq!(message.routing_key(), b"a.b");
        assert_eq!(message.properties(), [0x10, 0, 2]);
        assert_eq!(message.body(), b"hello");
        assert_eq!(std::mem::size_of::<Message>(), 8);
    }
}
