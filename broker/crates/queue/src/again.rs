//! Ready messages that came back to a queue which serves them in the order in which they did: some before everything,
//! some behind what was there at that moment.
//!
//! Decides which of them is next, and whether it is before a message that has not been handed out yet. Knows no limits.

use std::collections::VecDeque;

use model::Seq;

use crate::fresh::resident_bytes;
use crate::lane::Held;
use crate::message::Message;

/// Where a message goes that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Its old place.
    Old,
    /// Before all that was not handed out, behind what came back before.
    First,
    /// Behind everything that is there.
    Last,
}

pub(crate) struct Again<M> {
    first: VecDeque<Held<M>>,
    /// Each with the position behind which it is served.
    last: VecDeque<(Seq, Held<M>)>,
    bytes: u64,
}

/// The position at this place of ascending runs.
pub(crate) fn nth(runs: impl IntoIterator<Item = (Seq, Seq)>, place: u64) -> Option<Seq> {
    let mut left = place;
    for (begin, end) in runs {
        let count = end.0 - begin.0 + 1;
        if left < count {
            return Some(Seq(begin.0 + left));
        }
        left -= count;
    }
    None
}

impl<M> Default for Again<M> {
    fn default() -> Self {
        Self {
            first: VecDeque::new(),
            last: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl<M: Message> Again<M> {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.last.is_empty()
    }

    /// Memory of its messages.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A message came back; it is served before all others.
    pub(crate) fn put_first(&mut self, held: Held<M>) {
        self.bytes += resident_bytes(&held.message);
        self.first.push_back(held);
    }

    /// A message came back; it is served behind all that is there: `newest` is the highest position so far.
    pub(crate) fn put_last(&mut self, newest: Seq, held: Held<M>) {
        self.bytes += resident_bytes(&held.message);
        self.last.push_back((newest, held));
    }

    /// The next of them; `None` if `fresh`, the first position that was not handed out, is before it.
    pub(crate) fn head(&self, fresh: Option<Seq>) -> Option<&Held<M>> {
        let is_next = |(behind, _): &&(Seq, Held<M>)| fresh.is_none_or(|fresh| *behind < fresh);
        let last = self.last.front().filter(is_next);
        self.first.front().or(last.map(|(_, held)| held))
    }

    /// Takes what `head` shows.
    pub(crate) fn pop(&mut self, fresh: Option<Seq>) -> Option<Held<M>> {
        self.head(fresh)?;
        let held = self.first.pop_front();
        let held = held.or_else(|| self.last.pop_front().map(|(_, held)| held))?;
        self.bytes -= resident_bytes(&held.message);
        Some(held)
    }

    /// The position of the ready message at this place, counted in the order in which they are served; `fresh` are the
    /// positions that were not handed out, as ascending runs.
    pub(crate) fn at(&self, place: u64, fresh: &[(Seq, Seq)]) -> Option<Seq> {
        let firsts = self.first.len() as u64;
        if place < firsts {
            return self.first.get(usize::try_from(place).ok()?).map(|held| held.seq);
        }
        let (mut left, mut runs) = (place - firsts, fresh.iter().copied());
        let mut run = runs.next();
        for (behind, held) in &self.last {
            // Fresh ones up to `behind` are served before it.
            while let Some((begin, end)) = run.filter(|(begin, _)| begin <= behind) {
                let upto = end.min(*behind);
                let count = upto.0 - begin.0 + 1;
                if left < count {
                    return Some(Seq(begin.0 + left));
                }
                left -= count;
                run = match upto < end {
                    true => Some((upto.next(), end)),
                    false => runs.next(),
                };
            }
            if left == 0 {
                return Some(held.seq);
            }
            left -= 1;
        }
        nth(run.into_iter().chain(runs), left)
    }

    /// All of them, in no particular but always the same order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Held<M>> {
        self.first.iter().chain(self.last.iter().map(|(_, held)| held))
    }

    /// Takes all out.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Held<M>> {
        let Self { first, last, .. } = std::mem::take(self);
        first.into_iter().chain(last.into_iter().map(|(_, held)| held))
    }
}
