//! Assembly of content frames into messages: what a channel expects next, and what is out of sequence.
//!
//! Memory is bounded by what has really arrived: an announced size is never allocated for.

use model::{Refusal, ReplyCode};
use wire::{ContentHeader, Kind};

/// Content on its way in.
#[derive(Debug, Default)]
pub(crate) enum Content {
    /// None: a method is expected.
    #[default]
    None,
    /// A publish has been seen: its header is expected.
    AwaitHeader(Envelope),
    /// The header has been seen: `missing` octets of body are expected.
    AwaitBody(Box<Partial>),
}

/// Where a message goes, owned.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub(crate) exchange: Vec<u8>,
    pub(crate) routing_key: Vec<u8>,
    pub(crate) mandatory: bool,
    pub(crate) immediate: bool,
}

/// A message without all of its body.
#[derive(Debug)]
pub(crate) struct Partial {
    pub(crate) envelope: Envelope,
    /// The header frame's payload.
    pub(crate) header: Vec<u8>,
    pub(crate) body: Vec<u8>,
    /// Octets still to come.
    pub(crate) missing: u64,
    /// Body octets are counted, not kept, since the message will be refused.
    pub(crate) oversize: bool,
}

impl Envelope {
    pub(crate) fn of(publish: &wire::Publish<'_>) -> Self {
        Envelope {
            exchange: publish.exchange.to_vec(),
            routing_key: publish.routing_key.to_vec(),
            mandatory: publish.mandatory,
            immediate: publish.immediate,
        }
    }
}

impl Partial {
    /// Adds one body frame.
    pub(crate) fn push(&mut self, octets: &[u8]) -> Result<(), Refusal> {
        let length = octets.len() as u64;
        if length > self.missing {
            let text = format!("content body of {} octets more than announced", length - self.missing);
            return Err(unexpected(text));
        }
        self.missing -= length;
        if !self.oversize {
            self.body.extend_from_slice(octets);
        }
        Ok(())
    }
}

impl Content {
    /// The method that a frame out of sequence is blamed on: the publish it broke, or none.
    pub(crate) fn culprit(&self) -> (u16, u16) {
        match self {
            Content::None => (0, 0),
            Content::AwaitHeader(_) | Content::AwaitBody(_) => PUBLISH,
        }
    }
}

/// Class and method id of `basic.publish`.
pub(crate) const PUBLISH: (u16, u16) = (60, 40);

/// Judges a header against the publish before it.
pub(crate) fn check_header(header: &ContentHeader<'_>) -> Result<(), Refusal> {
    match (header.class_id, header.weight) {
        (60, 0) => Ok(()),
        (class, _) => Err(unexpected(format!(
            "expected content header for class 60, got one for class {class} instead"
        ))),
    }
}

/// The refusal for a frame that is not the next one in sequence.
pub(crate) fn out_of_sequence(content: &Content, kind: Kind) -> Refusal {
    unexpected(match (content, kind) {
        (Content::None, _) => "expected method frame, got non method frame instead",
        (Content::AwaitHeader(_), _) => "expected content header for class 60, got non content header frame instead",
        (Content::AwaitBody(_), _) => "expected content body, got non content body frame instead",
    })
}

fn unexpected(text: impl Into<String>) -> Refusal {
    Refusal::connection(ReplyCode::UnexpectedFrame, text)
}
