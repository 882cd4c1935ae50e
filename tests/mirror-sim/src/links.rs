//! The links of one node to the mirrors at others: octets in both directions, in order, until a link is cut.
//!
//! What is under way on a link that is cut is gone. The mirror's end lies here too, as its acknowledgements that are not true yet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mirror::Word;
use model::{NodeUuid, QueueId};

/// Octets that wait for the other end; more, and the link is cut (R17).
const WAITING_MAX: usize = 24 * 1024;

/// An acknowledgement that is not true yet.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    /// Of which queue.
    pub queue: QueueId,
    /// As it was attached.
    pub attachment: u64,
    /// The operation.
    pub pos: u64,
    /// True when so much is synced.
    pub safe_at: u64,
}

/// One link.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// Tells it from those before it.
    pub number: u64,
    /// The start of the other node.
    pub incarnation: u64,
    /// Records to the mirrors.
    pub out: VecDeque<Vec<u8>>,
    /// Records from them.
    pub back: VecDeque<Vec<u8>>,
    /// Acknowledgements that are not true yet.
    pub open: VecDeque<Open>,
    /// Queues that were attached over it.
    pub serves: BTreeSet<QueueId>,
}

/// A node's links.
#[derive(Clone, Debug, Default)]
pub struct Links {
    links: BTreeMap<usize, Link>,
    uuids: Vec<NodeUuid>,
    cut: Vec<usize>,
}

impl Links {
    /// The nodes by place.
    pub fn know(&mut self, uuids: Vec<NodeUuid>) {
        self.uuids = uuids;
    }

    /// Which node is at a place.
    pub fn uuid(&self, at: usize) -> NodeUuid {
        self.uuids.get(at).copied().unwrap_or(NodeUuid(0))
    }

    /// At which place a node is.
    pub fn place(&self, node: NodeUuid) -> Option<usize> {
        self.uuids.iter().position(|known| *known == node)
    }

    /// Opens a link.
    pub fn open(&mut self, to: usize, number: u64, incarnation: u64) {
        let link = Link {
            number,
            incarnation,
            ..Link::default()
        };
        self.links.insert(to, link);
    }

    /// Cuts one.
    pub fn cut(&mut self, to: usize) -> bool {
        self.links.remove(&to).is_some()
    }

    /// The number of the link and the start of the node to which it leads, if it is open.
    pub fn open_to(&self, to: usize) -> Option<(u64, u64)> {
        self.links.get(&to).map(|link| (link.number, link.incarnation))
    }

    /// A link.
    pub fn get(&mut self, to: usize) -> Option<&mut Link> {
        self.links.get_mut(&to)
    }

    /// Where links lead to.
    pub fn all(&self) -> impl Iterator<Item = (usize, &Link)> {
        self.links.iter().map(|(to, link)| (*to, link))
    }

    /// Says something, in octets. One that takes no more is to be cut.
    pub fn say(&mut self, to: usize, queue: QueueId, word: &Word<'_>) {
        let Some(link) = self.links.get_mut(&to) else { return };
        let mut octets = Vec::new();
        word.encode(queue, &mut octets);
        link.out.push_back(octets);
        if link.out.iter().map(Vec::len).sum::<usize>() > WAITING_MAX {
            self.cut.push(to);
        }
    }

    /// Links to be cut since too much waited.
    pub fn take_cut(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.cut)
    }
}

impl Link {
    /// The mirror's end says something.
    pub fn answer(&mut self, queue: QueueId, word: &Word<'_>) {
        let mut octets = Vec::new();
        word.encode(queue, &mut octets);
        self.back.push_back(octets);
    }

    fn ack(&mut self, open: &Open, is_durable: bool) {
        let word = Word::Ack {
            attachment: open.attachment,
            held: open.pos,
            durable: is_durable.then_some(open.pos),
        };
        self.answer(open.queue, &word);
    }

    /// A copy has come so far.
    pub fn come(&mut self, open: Open, news: bool, synced: u64) {
        if open.safe_at <= synced {
            return self.ack(&open, true);
        }
        if news {
            self.ack(&open, false);
        }
        self.open.push_back(open);
    }

    /// Says what has become true.
    pub fn synced(&mut self, synced: u64) {
        while let Some(open) = self.open.pop_front_if(|open| open.safe_at <= synced) {
            self.ack(&open, true);
        }
    }
}
