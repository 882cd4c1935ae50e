//! One channel's deliveries: delivery tags, what is not yet acknowledged, the channel-wide prefetch limit.
//!
//! Generic over `Q`, the host's handle of a queue. The ledger decides which deliveries a tag means; the host
//! settles them with their queues. Tags only rise, so acknowledgement in order pops from the front.

use model::{DeliveryTag, Millis};
use std::collections::VecDeque;

use crate::host::Settle;

/// So many places of settled deliveries between others are not worth a clean-up.
const GAPS_MIN: usize = 64;

/// A delivery that the client has not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unacked<Q> {
    /// Its number on the channel.
    pub tag: DeliveryTag,
    /// The queue and the place in it.
    pub item: Q,
    /// True if a consumer got it, so that it counts against the channel's prefetch; false for `basic.get`.
    pub consumed: bool,
    /// When it was delivered.
    pub since: Millis,
}

/// The client named a delivery that it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown delivery tag {}", .0.0)]
pub struct UnknownTag(pub DeliveryTag);

/// The deliveries of one channel.
#[derive(Debug)]
pub struct Ledger<Q> {
    last: DeliveryTag,
    /// In order of tag; the item is gone where a later delivery was settled before an earlier one.
    unacked: VecDeque<(DeliveryTag, Option<Unacked<Q>>)>,
    unacked_count: usize,
    consumed_count: usize,
    held: Vec<(Unacked<Q>, Settle)>,
    prefetch: u16,
}

impl<Q> Default for Ledger<Q> {
    fn default() -> Self {
        Ledger {
            last: DeliveryTag(0),
            unacked: VecDeque::new(),
            unacked_count: 0,
            consumed_count: 0,
            held: Vec::new(),
            prefetch: 0,
        }
    }
}

impl<Q> Ledger<Q> {
    /// True while the channel-wide prefetch limit allows one more delivery to a consumer that acknowledges.
    pub fn has_room(&self) -> bool {
        self.prefetch == 0 || self.consumed_count < usize::from(self.prefetch)
    }

    /// Sets the channel-wide limit, 0 = none.
    pub fn set_prefetch(&mut self, limit: u16) {
        self.prefetch = limit;
    }

    /// The channel-wide limit, 0 = none.
    pub fn prefetch(&self) -> u16 {
        self.prefetch
    }

    /// The next tag for a delivery that needs no acknowledgement.
    pub fn number(&mut self) -> DeliveryTag {
        self.last = self.last.next();
        self.last
    }

    /// As many of them; the first of them is what was upcoming.
    pub fn number_many(&mut self, count: usize) {
        self.last = DeliveryTag(self.last.0 + count as u64);
    }

    /// The tag that the next delivery will get; direct replies show it without using it up.
    pub fn upcoming(&self) -> DeliveryTag {
        self.last.next()
    }

    /// Books a delivery and numbers it.
    pub fn book(&mut self, item: Q, consumed: bool, since: Millis) -> DeliveryTag {
        let tag = self.number();
        self.insert_at_end(Unacked {
            tag,
            item,
            consumed,
            since,
        });
        tag
    }

    fn insert_at_end(&mut self, entry: Unacked<Q>) {
        self.unacked_count += 1;
        self.consumed_count += usize::from(entry.consumed);
        self.unacked.push_back((entry.tag, Some(entry)));
    }

    /// Takes out the delivery `tag`, or with `multiple` all up to it (0 = all there are), oldest first.
    pub fn take(
        &mut self,
        tag: DeliveryTag,
        multiple: bool,
        mut each: impl FnMut(Unacked<Q>),
    ) -> Result<(), UnknownTag> {
        match (multiple, tag.0) {
            (true, 0) => self.take_front_while(|_| true, &mut each),
            (true, _) => {
                self.position(tag).ok_or(UnknownTag(tag))?;
                self.take_front_while(|found| found <= tag, &mut each);
            }
            (false, _) => {
                let at = self.position(tag).ok_or(UnknownTag(tag))?;
                each(self.take_at(at).ok_or(UnknownTag(tag))?);
            }
        }
        Ok(())
    }

    /// Takes out everything, oldest first; also what a transaction holds.
    pub fn take_all(&mut self, mut each: impl FnMut(Unacked<Q>)) {
        self.return_held();
        self.take_front_while(|_| true, &mut each);
    }

    /// Keeps settlements aside until the transaction's end.
    pub fn hold(&mut self, tag: DeliveryTag, multiple: bool, how: Settle) -> Result<(), UnknownTag> {
        let mut held = Vec::new();
        self.take(tag, multiple, |entry| held.push((entry, how)))?;
        self.held.append(&mut held);
        Ok(())
    }

    /// The held settlements, in the order in which they were asked for.
    pub fn take_held(&mut self) -> Vec<(Unacked<Q>, Settle)> {
        std::mem::take(&mut self.held)
    }

    /// Rolls back: held deliveries are unacknowledged again, at their old places.
    pub fn return_held(&mut self) {
        let mut held: Vec<Unacked<Q>> = self.held.drain(..).map(|(entry, _)| entry).collect();
        // From the back, so that those before the first place left go to the front one by one.
        held.sort_by_key(|entry| std::cmp::Reverse(entry.tag));
        held.into_iter().for_each(|entry| self.put_back(entry));
    }

    /// Costs what is held, not what is unacknowledged: a client may roll back as often as it likes.
    fn put_back(&mut self, entry: Unacked<Q>) {
        self.unacked_count += 1;
        self.consumed_count += usize::from(entry.consumed);
        let place = (entry.tag, Some(entry));
        match self.unacked.binary_search_by_key(&place.0, |(tag, _)| *tag) {
            Ok(gap) => self.unacked[gap] = place,
            Err(at) => self.unacked.insert(at, place),
        }
    }

    /// How many deliveries are not acknowledged.
    pub fn unacked_count(&self) -> usize {
        self.unacked_count
    }

    /// How many settlements a transaction holds.
    pub fn held_count(&self) -> usize {
        self.held.len()
    }

    /// Since when the oldest unacknowledged delivery waits.
    pub fn oldest(&self) -> Option<Millis> {
        self.unacked
            .front()
            .and_then(|(_, entry)| entry.as_ref())
            .map(|entry| entry.since)
    }

    fn take_front_while(&mut self, wanted: impl Fn(DeliveryTag) -> bool, each: &mut impl FnMut(Unacked<Q>)) {
        while self.unacked.front().is_some_and(|(tag, _)| wanted(*tag)) {
            let Some(entry) = self.take_at(0) else { return };
            each(entry);
        }
    }

    /// Place of `tag`. The front is always occupied, so acknowledgement in order is found at once.
    fn position(&self, tag: DeliveryTag) -> Option<usize> {
        let front = self.unacked.front()?;
        let at = if front.0 == tag {
            0
        } else {
            self.unacked.binary_search_by_key(&tag, |(tag, _)| *tag).ok()?
        };
        self.unacked[at].1.is_some().then_some(at)
    }

    fn take_at(&mut self, at: usize) -> Option<Unacked<Q>> {
        let entry = self.unacked.get_mut(at)?.1.take()?;
        self.unacked_count -= 1;
        self.consumed_count -= usize::from(entry.consumed);
        while matches!(self.unacked.front(), Some((_, None))) {
            self.unacked.pop_front();
        }
        self.forget_gaps();
        Some(entry)
    }

    /// One delivery kept for ever must not keep the places of all that were settled after it.
    fn forget_gaps(&mut self) {
        if self.unacked.len() > GAPS_MIN + 2 * self.unacked_count {
            self.unacked.retain(|(_, entry)| entry.is_some());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn booked(count: u64) -> Ledger<u64> {
        let mut ledger = Ledger::default();
        (1..=count).for_each(|n| assert_eq!(ledger.book(n, true, Millis(n)), DeliveryTag(n)));
        ledger
    }

    fn taken(ledger: &mut Ledger<u64>, tag: u64, multiple: bool) -> Result<Vec<u64>, UnknownTag> {
        let mut out = Vec::new();
        ledger
            .take(DeliveryTag(tag), multiple, |entry| out.push(entry.item))
            .map(|()| out)
    }

    #[test]
    fn multiple_takes_all_up_to_the_tag_that_are_left() {
        let mut ledger = booked(5);
        assert_eq!(taken(&mut ledger, 2, false), Ok(vec![2]));
        assert_eq!(taken(&mut ledger, 4, true), Ok(vec![1, 3, 4]));
        assert_eq!(taken(&mut ledger, 0, true), Ok(vec![5]));
        assert_eq!(
            taken(&mut ledger, 0, true),
            Ok(vec![]),
            "all outstanding, also when none are"
        );
    }

    #[test]
    fn a_tag_twice_or_from_the_future_is_unknown() {
        let mut ledger = booked(2);
        assert_eq!(taken(&mut ledger, 1, false), Ok(vec![1]));
        for (tag, multiple) in [(1, false), (1, true), (3, false), (3, true), (0, false)] {
            assert_eq!(taken(&mut ledger, tag, multiple), Err(UnknownTag(DeliveryTag(tag))));
        }
    }

    #[test]
    fn deliveries_settled_around_one_that_is_kept_leave_no_places() {
        let mut ledger = booked(10_000);
        for tag in 2..=10_000 {
            assert_eq!(taken(&mut ledger, tag, false), Ok(vec![tag]));
        }
        assert!(ledger.unacked.len() <= GAPS_MIN + 2, "{}", ledger.unacked.len());
        assert_eq!(taken(&mut ledger, 1, false), Ok(vec![1]));
    }

    #[test]
    fn rollback_puts_held_deliveries_back_in_order() {
        let mut ledger = booked(4);
        ledger.hold(DeliveryTag(3), false, Settle::Ack).unwrap();
        ledger.hold(DeliveryTag(1), false, Settle::Reject).unwrap();
        assert_eq!((ledger.unacked_count(), ledger.held_count()), (2, 2));
        ledger.return_held();
        assert_eq!(taken(&mut ledger, 4, true), Ok(vec![1, 2, 3, 4]));
    }

    #[test]
    fn only_consumed_deliveries_count_against_the_channel_prefetch() {
        let mut ledger = Ledger::default();
        ledger.set_prefetch(1);
        ledger.book(0, false, Millis(0));
        assert!(ledger.has_room());
        ledger.book(1, true, Millis(0));
        assert!(!ledger.has_room());
        ledger.take(DeliveryTag(2), false, |_: Unacked<i32>| {}).unwrap();
        assert!(ledger.has_room());
    }

    proptest! {
        #[test]
        fn any_order_of_acknowledgement_finds_each_tag_once(order in Just((1..=40u64).collect::<Vec<_>>()).prop_shuffle()) {
            let mut ledger = booked(40);
            for tag in order {
                prop_assert_eq!(taken(&mut ledger, tag, false), Ok(vec![tag]));
                prop_assert!(taken(&mut ledger, tag, false).is_err());
            }
            prop_assert_eq!(ledger.unacked_count(), 0);
        }
    }
}
