//! A message that an exchange keeps: all that a publication says, outside of any read buffer.
//!
//! Queues have no use for this: they keep a message alone, since it has been routed by then.

use model::Millis;
use session::Publication;

use super::message::Message;

/// A message that may be routed later.
#[derive(Clone, Debug)]
pub struct Stored {
    message: Message,
    extra_keys: Box<[Vec<u8>]>,
    priority: u8,
    ttl: Option<Millis>,
}

/// What a message costs beside its octets: maps, headers of allocations.
const OVERHEAD_BYTES: u64 = 200;

impl Stored {
    /// Copies a publication.
    pub fn keep(publication: &Publication<'_>) -> Self {
        Stored {
            message: Message::keep(publication, &mut Vec::new()),
            extra_keys: publication.extra_keys.into(),
            priority: publication.priority,
            ttl: publication.ttl,
        }
    }

    /// The publication as it was, not mandatory.
    pub fn publication(&self) -> Publication<'_> {
        Publication {
            exchange: self.message.exchange(),
            routing_key: self.message.routing_key(),
            mandatory: false,
            properties: self.message.properties(),
            headers: None,
            extra_keys: &self.extra_keys,
            body: self.message.body(),
            persistent: queue::Message::is_persistent(&self.message),
            priority: self.priority,
            ttl: self.ttl,
            fault: None,
        }
    }

    /// Memory it takes, in octets, about.
    pub fn bytes(&self) -> u64 {
        let keys: usize = self.extra_keys.iter().map(Vec::len).sum();
        let parts = [
            self.message.routing_key(),
            self.message.properties(),
            self.message.body(),
        ];
        let octets: usize = parts.iter().map(|part| part.len()).sum();
        (octets + keys) as u64 + OVERHEAD_BYTES
    }
}
