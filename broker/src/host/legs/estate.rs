//! What was open on a leg when it broke: publishes without an answer, and consumers.
//!
//! Read out of the very octets that were sent. Decides nothing: who takes it over is for the client's task to say.

use session::{Publication, Receipt};
use std::{collections::BTreeMap, sync::Arc};
use wire::{Forward, LegMethod, Targets};

use super::leg::FarConsumer;

/// What was open.
#[derive(Debug)]
pub struct Estate {
    /// All octets since the first publish that is open: whole frames, in order.
    pub(super) chunks: Vec<Vec<u8>>,
    /// What clients are to be told of the publishes that are open, by channel: of its last ones, in order.
    pub(super) open: BTreeMap<u16, Vec<Receipt>>,
    /// Consumers with channel and tag.
    pub consumers: Vec<(u16, String, Arc<FarConsumer>)>,
}

/// A publish that was not answered.
#[derive(Debug)]
pub struct Unheard<'a> {
    /// Channel number.
    pub channel: u16,
    /// What its client is to be told.
    pub receipt: Receipt,
    /// Its number.
    pub sequence: u64,
    /// It had been sent before, by another way.
    pub again: bool,
    /// Where it goes.
    pub targets: Targets<'a>,
    /// The message.
    pub message: Publication<'a>,
}

impl Estate {
    /// The publishes that were not answered, in the order in which they were sent.
    pub fn publishes(&self) -> impl Iterator<Item = Unheard<'_>> {
        let mut answered = BTreeMap::<u16, usize>::new();
        for (channel, ..) in self.sent() {
            *answered.entry(channel).or_default() += 1;
        }
        for (channel, count) in &mut answered {
            let open = self.open.get(channel).map_or(0, Vec::len);
            *count = count.saturating_sub(open);
        }
        let receipts = self.open.iter().map(|(channel, open)| (*channel, open.iter()));
        let mut receipts: BTreeMap<u16, _> = receipts.collect();
        self.sent().filter_map(move |(channel, forward, body)| {
            if let Some(left) = answered.get_mut(&channel).filter(|left| **left > 0) {
                *left -= 1;
                return None;
            }
            let receipt = *receipts.get_mut(&channel)?.next()?;
            unheard(channel, receipt, &forward, body)
        })
    }

    fn sent(&self) -> impl Iterator<Item = (u16, Forward<'_>, &[u8])> {
        self.chunks.iter().flat_map(|chunk| numbered(chunk))
    }
}

/// The publishes in a chunk that may be sent again, each with its channel and its body.
fn numbered(chunk: &[u8]) -> impl Iterator<Item = (u16, Forward<'_>, &[u8])> {
    let mut rest = chunk;
    let frames = std::iter::from_fn(move || {
        // Only whole frames of this node's own making are in it.
        let (frame, octets) = wire::next_frame(rest, 0).ok()??;
        rest = &rest[octets..];
        Some(frame)
    });
    let publishes = frames.filter_map(|frame| match wire::decode_leg_method(frame.payload) {
        Some(LegMethod::Forward(forward)) if forward.sequence != 0 => Some((frame.channel, forward)),
        _ => None,
    });
    publishes.flat_map(|(channel, forward)| forward.each().map(move |(one, body)| (channel, one, body)))
}

fn unheard<'a>(channel: u16, receipt: Receipt, forward: &Forward<'a>, body: &'a [u8]) -> Option<Unheard<'a>> {
    let seen = wire::decode_properties(forward.properties).ok()?;
    Some(Unheard {
        channel,
        receipt,
        sequence: forward.sequence,
        again: forward.again,
        targets: forward.targets,
        message: session::routed(forward, &seen, body),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::QueueId;

    fn publish((out, tail): &mut (Vec<u8>, wire::Tail), channel: u16, sequence: u64, body: &str) {
        let forwarding = wire::Forwarding {
            channel,
            sequence,
            floor: 1,
            again: false,
            queues: &[QueueId(sequence)],
            exchange: b"x",
            routing_key: b"k",
            properties: &[0x10, 0, 2],
            body: body.as_bytes(),
        };
        wire::forward(out, tail, &forwarding);
    }

    #[test]
    fn the_last_publishes_of_each_channel_are_open_and_others_are_not() {
        let mut first = (Vec::new(), wire::Tail::default());
        let mut second = (Vec::new(), wire::Tail::default());
        publish(&mut first, 1, 1, "answered");
        publish(&mut first, 2, 2, "b");
        wire::ack(&mut first.0, 1, 9, false);
        publish(&mut first, 1, 0, "nobody waits");
        publish(&mut second, 1, 3, "");
        publish(&mut second, 3, 4, "closed");
        let estate = Estate {
            chunks: vec![first.0, Vec::new(), second.0],
            open: BTreeMap::from([(1, vec![Receipt::Confirm(7)]), (2, vec![Receipt::Commit])]),
            consumers: Vec::new(),
        };
        let told = estate.publishes().map(|open| {
            let body = String::from_utf8_lossy(open.message.body).into_owned();
            assert!(open.message.persistent && open.targets.queues().eq([QueueId(open.sequence)]));
            (open.channel, open.receipt, open.sequence, body)
        });
        let expected = [
            (2, Receipt::Commit, 2, "b".to_owned()),
            (1, Receipt::Confirm(7), 3, String::new()),
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }
}
