//! A message's octets as both the log and the pages write them: exchange, routing key, properties, body.
//!
//! Lengths are checked before anything is sliced; nothing is copied and nothing is understood.

/// The parts of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content<'a> {
    /// Exchange it was published to; at most 255 octets.
    pub exchange: &'a [u8],
    /// Routing key it was published with; at most 255 octets.
    pub routing_key: &'a [u8],
    /// Property flags and list, raw.
    pub properties: &'a [u8],
    /// Body.
    pub body: &'a [u8],
}

/// Lengths before the octets: exchange, key, properties.
const HEAD_BYTES: usize = 6;

impl<'a> Content<'a> {
    /// Octets it takes when written.
    pub fn encoded_bytes(&self) -> usize {
        HEAD_BYTES + self.exchange.len() + self.routing_key.len() + self.properties.len() + self.body.len()
    }

    /// The lengths, as written before the octets.
    pub(crate) fn head(&self) -> [u8; HEAD_BYTES] {
        debug_assert!(self.exchange.len() < 256 && self.routing_key.len() < 256);
        let properties = (self.properties.len() as u32).to_le_bytes();
        let [a, b, c, d] = properties;
        [self.exchange.len() as u8, self.routing_key.len() as u8, a, b, c, d]
    }

    /// The parts in the order in which they are written.
    pub(crate) fn parts(&self) -> [&'a [u8]; 4] {
        [self.exchange, self.routing_key, self.properties, self.body]
    }

    /// Appends it.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head());
        for part in self.parts() {
            out.extend_from_slice(part);
        }
    }

    /// Reads one that fills all of `octets`; `None` if its lengths do not fit.
    pub fn decode(octets: &'a [u8]) -> Option<Self> {
        let (head, rest) = octets.split_first_chunk::<HEAD_BYTES>()?;
        let [exchange, key, a, b, c, d] = *head;
        let (exchange, rest) = rest.split_at_checked(exchange.into())?;
        let (routing_key, rest) = rest.split_at_checked(key.into())?;
        let properties = usize::try_from(u32::from_le_bytes([a, b, c, d])).ok()?;
        let (properties, body) = rest.split_at_checked(properties)?;
        Some(Content {
            exchange,
            routing_key,
            properties,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_message_reads_as_it_was_written(
            exchange in prop::collection::vec(any::<u8>(), 0..256),
            key in prop::collection::vec(any::<u8>(), 0..256),
            properties in prop::collection::vec(any::<u8>(), 0..600),
            body in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            let content = Content { exchange: &exchange, routing_key: &key, properties: &properties, body: &body };
            let mut octets = Vec::new();
            content.encode(&mut octets);
            prop_assert_eq!(octets.len(), content.encoded_bytes());
            prop_assert_eq!(Content::decode(&octets), Some(content));
        }

        #[test]
        fn any_octets_are_read_without_harm(octets in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Content::decode(&octets);
        }
    }
}
