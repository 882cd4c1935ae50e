//! `basic.deliver` as a client reads it: borrowed, for programs that consume at full speed.
//!
//! Servers never receive this method; `decode_method` gives it, unborrowed, like any other.

use crate::cursor::Cursor;

/// `basic.deliver`, borrowed; a content header follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// Which consumer it is for.
    pub consumer_tag: &'a [u8],
    /// Number on the channel, for the ack.
    pub delivery_tag: u64,
    /// Delivered before to somebody.
    pub redelivered: bool,
    /// Exchange it was published to.
    pub exchange: &'a [u8],
    /// Routing key it was published with.
    pub routing_key: &'a [u8],
}

/// The delivery in the payload of a method frame; `None` when it holds another method or a broken one.
#[inline]
pub fn decode_delivery(payload: &[u8]) -> Option<Delivery<'_>> {
    let mut rest = Cursor(payload.strip_prefix(&[0, 60, 0, 60])?);
    let delivery = Delivery {
        consumer_tag: rest.short()?,
        delivery_tag: rest.u64()?,
        redelivered: rest.u8()? & 1 != 0,
        exchange: rest.short()?,
        routing_key: rest.short()?,
    };
    rest.is_empty().then_some(delivery)
}
