//! How fast a base is sent: at once while nobody publishes at this node, otherwise in small portions with rests between them.
//!
//! A portion takes the queue's lock, a processor here and one at the mirror; who waits for a confirm waits behind it. So portions are short, and
//! the rests leave most of the machine to clients. It only ever slows a base down; what a mirror is told of new messages never waits.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use queue::Portion;

use super::super::node::Node;

/// While nobody publishes: so much before other tasks have their turn.
const WHOLE: Portion = Portion {
    messages: 16 * 1024,
    bytes: 1024 * 1024,
};
/// While somebody does: a fraction of a millisecond's work, be the messages small or large.
const PART: Portion = Portion {
    messages: 512,
    bytes: 256 * 1024,
};
/// Between two portions while somebody publishes.
const REST: Duration = Duration::from_millis(1);
/// Without a message for so long nobody publishes.
const QUIET: Duration = Duration::from_millis(100);

/// The pace of all bases of a node.
#[derive(Debug, Default)]
pub struct Pace {
    /// Messages published at this node, or that came to its queues, and since when they are no more than that.
    seen: Mutex<Option<(u64, Instant)>>,
}

impl Pace {
    /// How much is sent now.
    pub(super) fn portion(&self, node: &Node) -> Portion {
        match self.is_quiet(node) {
            true => WHOLE,
            false => PART,
        }
    }

    /// Lets others have their turn.
    pub(super) async fn rest(&self, node: &Node) {
        match self.is_quiet(node) {
            true => tokio::task::yield_now().await,
            false => tokio::time::sleep(REST).await,
        }
    }

    fn is_quiet(&self, node: &Node) -> bool {
        let counters = node.counters();
        self.has_rested(
            counters.published.get().wrapping_add(counters.routed.get()),
            Instant::now(),
        )
    }

    /// Nothing has come for a while. Who looks for the first time does not know, and takes it that something has.
    fn has_rested(&self, messages: u64, now: Instant) -> bool {
        let mut seen = self.seen.lock();
        match *seen {
            Some((before, since)) if before == messages => now.duration_since(since) > QUIET,
            _ => {
                *seen = Some((messages, now));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_sent_at_once_only_when_no_message_has_come_for_a_while() {
        let (pace, start) = (Pace::default(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        assert!(!pace.has_rested(7, at(0)), "nobody knows yet");
        assert!(!pace.has_rested(7, at(90)));
        assert!(pace.has_rested(7, at(110)));
        assert!(!pace.has_rested(8, at(111)), "one has come");
        assert!(!pace.has_rested(8, at(200)));
        assert!(pace.has_rested(8, at(212)));
    }
}
