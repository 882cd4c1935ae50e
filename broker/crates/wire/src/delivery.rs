//! `basic.deliver` and `basic.get-ok` with their contents as a client reads them: borrowed, for programs that consume
//! at full speed and for the leg that hands deliveries on.
//!
//! Servers never receive these methods from clients; `decode_method` gives them, unborrowed, like any other.

use crate::cursor::Cursor;
use crate::frame::{FrameError, Kind, next_frame, unexpected_frame};
use model::{Refusal, ReplyCode};

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

/// `basic.get-ok`, borrowed; a content header follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched<'a> {
    /// Number on the channel, for the ack.
    pub delivery_tag: u64,
    /// Delivered before to somebody.
    pub redelivered: bool,
    /// Exchange it was published to.
    pub exchange: &'a [u8],
    /// Routing key it was published with.
    pub routing_key: &'a [u8],
    /// Ready messages left in the queue.
    pub message_count: u32,
}

/// The get-ok in the payload of a method frame; `None` when it holds another method or a broken one.
pub fn decode_fetched(payload: &[u8]) -> Option<Fetched<'_>> {
    let mut rest = Cursor(payload.strip_prefix(&[0, 60, 0, 71])?);
    let fetched = Fetched {
        delivery_tag: rest.u64()?,
        redelivered: rest.u8()? & 1 != 0,
        exchange: rest.short()?,
        routing_key: rest.short()?,
        message_count: rest.u32()?,
    };
    rest.is_empty().then_some(fetched)
}

/// A content whose body was not split, borrowed from its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<'a> {
    /// Flag word and property list, as they came.
    pub properties: &'a [u8],
    /// Body octets.
    pub body: &'a [u8],
    /// Octets of the frames.
    pub octets: usize,
}

/// Content header and body frames at the start of `octets`, with the body in at most one frame; `Ok(None)` when octets
/// are missing. The property list is not looked at: its sender has checked it.
///
/// # Errors
/// Octets that are no frames, or frames that are no such content.
#[inline]
pub fn whole_content(octets: &[u8]) -> Result<Option<Whole<'_>>, Refusal> {
    let refusal = |error: FrameError| error.refusal();
    let Some((header, header_octets)) = next_frame(octets, 0).map_err(refusal)? else {
        return Ok(None);
    };
    let (Kind::Header, Some((head, properties))) = (header.kind, header.payload.split_first_chunk::<12>()) else {
        return Err(unexpected_frame(&header));
    };
    let [_, _, _, _, size @ ..] = *head;
    let mut whole = Whole {
        properties,
        body: &[],
        octets: header_octets,
    };
    let size = u64::from_be_bytes(size);
    if size == 0 {
        return Ok(Some(whole));
    }
    let Some((body, body_octets)) = next_frame(&octets[header_octets..], 0).map_err(refusal)? else {
        return Ok(None);
    };
    if body.kind != Kind::Body || body.payload.len() as u64 != size {
        let text = format!("body of {size} octets in several frames");
        return Err(Refusal::connection(ReplyCode::UnexpectedFrame, text));
    }
    whole.body = body.payload;
    whole.octets += body_octets;
    Ok(Some(whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GetOk, get_ok, next_frame};

    #[test]
    fn a_get_ok_and_its_content_are_read_back_as_soon_as_the_last_octet_is_there() {
        let written = GetOk {
            channel: 3,
            delivery_tag: 9,
            redelivered: true,
            exchange: b"x",
            routing_key: b"key",
            message_count: 5,
            properties: &[0x10, 0, 2],
            body: b"body",
            frame_max: 0,
        };
        let mut octets = Vec::new();
        get_ok(&mut octets, &written);
        let (method, length) = next_frame(&octets, 0).unwrap().unwrap();
        let read = decode_fetched(method.payload).unwrap();
        assert_eq!((read.delivery_tag, read.redelivered, read.message_count), (9, true, 5));
        assert_eq!((read.exchange, read.routing_key), (&b"x"[..], &b"key"[..]));
        for end in length..octets.len() {
            assert_eq!(whole_content(&octets[length..end]), Ok(None));
        }
        let whole = whole_content(&octets[length..]).unwrap().unwrap();
        assert_eq!((whole.properties, whole.body), (&[0x10, 0, 2][..], &b"body"[..]));
        assert_eq!(length + whole.octets, octets.len());
    }

    #[test]
    fn a_content_in_several_frames_or_none_at_all_is_refused() {
        let mut octets = Vec::new();
        crate::content(&mut octets, 1, &[0, 0], &[7; 5000], 4096);
        assert!(whole_content(&octets).is_err());
        octets.clear();
        crate::ack(&mut octets, 1, 1, false);
        assert!(whole_content(&octets).is_err());
    }
}
