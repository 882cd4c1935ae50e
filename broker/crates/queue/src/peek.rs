//! What a leader shows of its messages to those that copy them: which there are, and themselves, in their places.
//!
//! Nothing is taken, moved or loaded for it. What lies in pages is named, and read by the host beside the queue.

use model::{PageId, Seq};

use crate::copied::Copied;
use crate::lane::Held;
use crate::listing::{Listing, holds, joined, within};
use crate::message::Message;
use crate::page::Paged;
use crate::queue::Queue;

/// What [`Queue::peek`] could not show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peeked {
    /// Still held, to be asked for again: there was no room, or their page is on its way to the queue. Ascending.
    pub later: Vec<(Seq, Seq)>,
    /// Those in the store, to be read there and given to [`Queue::peek_page`].
    pub pages: Vec<PageWanted>,
}

/// Messages of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageWanted {
    /// The page.
    pub page: PageId,
    /// Its level.
    pub level: u8,
    /// Which of its messages, as ascending runs.
    pub seqs: Vec<(Seq, Seq)>,
}

impl PageWanted {
    /// True if this one is wanted.
    pub fn holds(&self, seq: Seq) -> bool {
        holds(&self.seqs, seq)
    }

    /// Only those from `first` to `last`.
    pub fn part(&self, first: Seq, last: Seq) -> Self {
        PageWanted {
            seqs: within(&self.seqs, first, last).collect(),
            ..*self
        }
    }
}

/// How much is shown at once: no more once there are so many messages, or their bodies have so many octets, but at least one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    /// Messages.
    pub messages: u64,
    /// Octets of bodies.
    pub bytes: u64,
}

impl Portion {
    /// Everything.
    pub const ALL: Self = Portion {
        messages: u64::MAX,
        bytes: u64::MAX,
    };
}

impl<M: Message, C> Queue<M, C> {
    /// The positions of all that the queue holds from `from` on, ready, in pages and unacked, as ascending runs, at most
    /// so many. Whoever wants all asks again from behind the last, until there is none.
    pub fn runs(&self, from: Seq, runs_max: usize) -> Vec<(Seq, Seq)> {
        let mut listing = Listing::new(from, runs_max);
        self.backlog.list(&mut listing);
        let unacked = self.unacked.iter().chain(self.backlog.again()).map(|held| held.seq);
        let mut unacked: Vec<Seq> = unacked.filter(|seq| *seq >= from).collect();
        unacked.sort_unstable();
        listing.add(joined(unacked.into_iter().map(|seq| (seq, seq))));
        listing.finish()
    }

    /// The position of the ready message that is served after `place` others, as things are now. It costs a look at all runs
    /// of positions: for people who ask, not for clients.
    pub fn ready_at(&self, place: u64) -> Option<Seq> {
        self.backlog.at(place)
    }

    /// How often messages came back, of those from `first` to `last` that did, in no particular order.
    pub fn returns(&self, first: Seq, last: Seq) -> Vec<(Seq, u32)> {
        if first > last {
            return Vec::new();
        }
        let here = |held: &&Held<M>| held.delivery_count > 0 && (first..=last).contains(&held.seq);
        let unacked = self
            .unacked
            .iter()
            .filter(here)
            .map(|held| (held.seq, held.delivery_count));
        unacked.chain(self.backlog.returns(first, last)).collect()
    }

    /// Shows those messages of the ascending runs that are in memory, in no particular order, and of them at most a portion. What is not held
    /// any more is left out and not mentioned.
    pub fn peek(&self, wanted: &[(Seq, Seq)], most: Portion, mut each: impl FnMut(Copied<&M>)) -> Peeked {
        let (mut bytes, mut messages, mut peeked) = (0, 0, Peeked::default());
        let mut show = |copied: Copied<&M>| {
            if bytes >= most.bytes || messages >= most.messages {
                return peeked.later.push((copied.seq, copied.seq));
            }
            bytes += copied.message.body_bytes();
            messages += 1;
            each(copied);
        };
        let unacked = self.unacked.iter().filter(|held| holds(wanted, held.seq));
        unacked.for_each(|held| show(held.copied(true)));
        self.backlog.peek(wanted, &self.delivered_to, &mut show);
        for (page, is_loading) in self.backlog.peek_pages(wanted) {
            match is_loading {
                true => peeked.later.extend(page.seqs),
                false => peeked.pages.push(page),
            }
        }
        peeked.later.sort_unstable();
        peeked.later = joined(peeked.later);
        peeked
    }

    /// A page has been read beside the queue: shows those of its messages that were wanted and that it still holds.
    /// Returns those to be asked for again, since the queue has asked for the page itself by now; one that is in neither
    /// could not be read.
    pub fn peek_page(
        &self,
        wanted: &PageWanted,
        messages: impl IntoIterator<Item = Paged<M>>,
        mut each: impl FnMut(Copied<M>),
    ) -> Vec<(Seq, Seq)> {
        let PageWanted { page, level, seqs } = wanted;
        if !self
            .backlog
            .peek_pages(seqs)
            .iter()
            .any(|(there, is_loading)| there.page == *page && !is_loading)
        {
            return seqs.clone();
        }
        let delivered_to = self.delivered_to.get(usize::from(*level)).copied();
        for Paged { seq, expires, message } in messages {
            if holds(seqs, seq) {
                each(Copied {
                    seq,
                    level: *level,
                    expires,
                    delivery_count: self.backlog.returns_of(*level, seq),
                    delivered: Some(seq) <= delivered_to,
                    message,
                });
            }
        }
        Vec::new()
    }
}
