//! Cuts frames out of a read buffer, borrowed, and says what is wrong with octets that are none.
//!
//! A frame that would be too large is refused as soon as its head of seven octets is there, so that a buffer never
//! grows for it. What a frame means is the session's business.

use crate::term::snippet;
use model::{Refusal, ReplyCode};

/// Head and end octet around a payload.
const EMPTY_FRAME_BYTES: u32 = 8;
/// Every frame ends with it.
pub(crate) const FRAME_END: u8 = 0xCE;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A method.
    Method = 1,
    /// A content header.
    Header = 2,
    /// A piece of a content body.
    Body = 3,
    /// Nothing: a sign of life, always on channel 0.
    Heartbeat = 8,
}

/// A whole frame, borrowed from the read buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it carries.
    pub kind: Kind,
    /// Channel number, 0 for the connection itself.
    pub channel: u16,
    /// The octets between head and end octet.
    pub payload: &'a [u8],
}

/// Octets that are no frame. The connection cannot go on after it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FrameError(Refusal);

impl FrameError {
    /// The refusal that closes the connection.
    pub fn refusal(&self) -> Refusal {
        self.0.clone()
    }

    #[cold]
    fn malformed(frame_type: u8, payload: &[u8], fault: &str) -> Self {
        let text = format!("type {frame_type}, {}: {fault}", snippet(payload));
        FrameError(Refusal::connection(ReplyCode::FrameError, text))
    }

    #[cold]
    fn too_large(frame_type: u8, size: u32, frame_max: u32) -> Self {
        let payload_max = frame_max.saturating_sub(EMPTY_FRAME_BYTES);
        Self::malformed(frame_type, &[], &format!("{{frame_too_large,{size},{payload_max}}}"))
    }

    #[cold]
    fn bad_end(frame_type: u8, payload: &[u8], end: u8) -> Self {
        Self::malformed(frame_type, payload, &format!("{{invalid_frame_end_marker,{end}}}"))
    }
}

/// The refusal of a sound frame that has no business on its channel: a heartbeat on another channel than 0, a content
/// header or body on channel 0.
#[cold]
pub fn unexpected_frame(frame: &Frame<'_>) -> Refusal {
    let text = format!("type {}, {}", frame.kind as u8, snippet(frame.payload));
    Refusal::connection(ReplyCode::UnexpectedFrame, text)
}

/// The refusal of a payload too short for its kind of frame.
#[cold]
pub(crate) fn unknown_frame(kind: Kind, payload: &[u8]) -> Refusal {
    FrameError::malformed(kind as u8, payload, "unknown_frame").0
}

/// The first frame in `buf` and how many octets it takes; `Ok(None)` when octets are missing.
///
/// `frame_max` is the negotiated size of a whole frame in octets, 0 for no limit. As RabbitMQ does, eight octets more
/// are let pass.
///
/// # Errors
/// Too large, wrong end octet, unknown type, heartbeat with a payload (501); heartbeat on a channel (505).
#[inline]
pub fn next_frame(buf: &[u8], frame_max: u32) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    let Some((&[frame_type, c0, c1, s0, s1, s2, s3], rest)) = buf.split_first_chunk::<7>() else {
        return Ok(None);
    };
    let size = u32::from_be_bytes([s0, s1, s2, s3]);
    if size > frame_max && frame_max != 0 {
        return Err(FrameError::too_large(frame_type, size, frame_max));
    }
    let size = size as usize;
    let Some((payload, [end, ..])) = rest.split_at_checked(size) else {
        return Ok(None);
    };
    if *end != FRAME_END {
        return Err(FrameError::bad_end(frame_type, payload, *end));
    }
    let frame = Frame {
        kind: kind_of(frame_type, payload)?,
        channel: u16::from_be_bytes([c0, c1]),
        payload,
    };
    match frame.kind == Kind::Heartbeat && frame.channel != 0 {
        true => Err(FrameError(unexpected_frame(&frame))),
        false => Ok(Some((frame, size + EMPTY_FRAME_BYTES as usize))),
    }
}

#[inline]
fn kind_of(frame_type: u8, payload: &[u8]) -> Result<Kind, FrameError> {
    match (frame_type, payload) {
        (1, _) => Ok(Kind::Method),
        (2, _) => Ok(Kind::Header),
        (3, _) => Ok(Kind::Body),
        (8, []) => Ok(Kind::Heartbeat),
        _ => Err(FrameError::malformed(frame_type, payload, "unknown_frame")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(octets: &[u8], frame_max: u32) -> String {
        next_frame(octets, frame_max)
            .expect_err("refused")
            .refusal()
            .to_string()
    }

    #[test]
    fn a_frame_fed_octet_by_octet_appears_with_its_last_octet() {
        let octets = [1, 0, 7, 0, 0, 0, 2, 9, 9, FRAME_END, 8, 0];
        for seen in 0..10 {
            assert_eq!(next_frame(&octets[..seen], 4096), Ok(None));
        }
        let frame = Frame {
            kind: Kind::Method,
            channel: 7,
            payload: &[9, 9],
        };
        assert_eq!(next_frame(&octets, 4096), Ok(Some((frame, 10))));
    }

    #[test]
    fn broken_frames_are_refused_with_rabbitmqs_words() {
        let cases: [(&[u8], &str); 6] = [
            (
                &[1, 0, 0, 0, 0, 0, 2, 0, 20, 255],
                "FRAME_ERROR - type 1, all octets = <<0,20>>: {invalid_frame_end_marker,255}",
            ),
            (
                &[3, 0, 1, 0, 2, 0, 9],
                "FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,131081,131064}",
            ),
            (
                &[9, 0, 1, 0, 0, 0, 1, 1, FRAME_END],
                "FRAME_ERROR - type 9, all octets = <<1>>: unknown_frame",
            ),
            (
                &[8, 0, 0, 0, 0, 0, 1, 1, FRAME_END],
                "FRAME_ERROR - type 8, all octets = <<1>>: unknown_frame",
            ),
            (
                &[8, 0, 1, 0, 0, 0, 0, FRAME_END],
                "UNEXPECTED_FRAME - type 8, all octets = <<>>",
            ),
            (
                b"AMQP\x00\x00\x09\x01",
                "FRAME_ERROR - type 65, all octets = <<>>: {frame_too_large,1342177289,131064}",
            ),
        ];
        for (octets, expected) in cases {
            assert_eq!(refusal(octets, 131_072), expected);
        }
    }

    #[test]
    fn eight_octets_above_frame_max_pass_and_nine_do_not() {
        let frame = |size: usize| {
            [
                &[3, 0, 1, 0, 0][..],
                &(size as u16).to_be_bytes(),
                &vec![0; size],
                &[FRAME_END],
            ]
            .concat()
        };
        assert!(matches!(next_frame(&frame(4096), 4096), Ok(Some((_, 4104)))));
        assert!(next_frame(&frame(4097), 4096).is_err());
        assert!(matches!(next_frame(&frame(4097), 0), Ok(Some((_, 4105)))));
    }
}
