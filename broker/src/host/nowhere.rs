//! Dead letters that no queue takes, of queues that assure them: there is no route, no exchange, or all refuse.
//!
//! They stay where they died, in the store and in memory, and are all tried once more, in rounds. Their number is bounded,
//! of each queue and of the node: a queue that can keep no more hands nothing out and lets nothing die, so what it has
//! waits in it, where it may leave memory (I7). None of them is ever let go. A node that starts, or that leads the queue
//! next, has them as messages that were delivered before.

use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use super::{
    cell::QueueCell,
    client::Client,
    errands::Errand,
    letters::{AllLetters, Dead},
    node::Node,
};

/// Letters that a queue may keep ...
const KEPT_MAX: usize = 8_192;
/// ... and octets of them.
const KEPT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Octets of those of all queues of the node beyond which a queue that keeps some keeps no more.
const NODE_KEPT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// From round to round.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Those of one queue, oldest attempt first.
#[derive(Debug, Default)]
pub struct Kept {
    letters: VecDeque<Dead>,
    octets: u64,
    /// So many of the first are to be tried in this round.
    to_try: usize,
    in_rounds: bool,
}

impl Kept {
    /// No queue has taken this one.
    pub fn push(&mut self, dead: Dead, of_node: &AllLetters) {
        self.octets += dead.octets();
        of_node.kept_octets.fetch_add(dead.octets(), Ordering::Relaxed);
        self.letters.push_back(dead);
    }

    /// True if that was the last for which there is room.
    pub fn are_full(&self, of_node: &AllLetters) -> bool {
        let is_node_full = of_node.kept_octets.load(Ordering::Relaxed) >= NODE_KEPT_BYTES_MAX;
        self.letters.len() >= KEPT_MAX || self.octets >= KEPT_BYTES_MAX || (is_node_full && !self.letters.is_empty())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Dead> {
        self.letters.iter()
    }

    /// The next that is to be tried in this round.
    pub fn next(&mut self, of_node: &AllLetters) -> Option<Dead> {
        self.to_try = self.to_try.checked_sub(1)?;
        let dead = self.letters.pop_front()?;
        self.octets -= dead.octets();
        of_node.kept_octets.fetch_sub(dead.octets(), Ordering::Relaxed);
        Some(dead)
    }

    /// True if the round is not over.
    pub fn has_next(&self) -> bool {
        self.to_try > 0
    }

    /// All are to be tried; false if there are none, and the queue takes part no more.
    pub fn begin_round(&mut self) -> bool {
        self.to_try = self.letters.len();
        self.in_rounds = self.to_try > 0;
        self.in_rounds
    }

    /// Takes part from now on; false if it does, or there is nothing to try.
    pub fn join(&mut self) -> bool {
        !self.letters.is_empty() && !std::mem::replace(&mut self.in_rounds, true)
    }

    /// Their queue is gone.
    pub fn clear(&mut self, of_node: &AllLetters) {
        self.to_try = self.letters.len();
        while self.next(of_node).is_some() {}
    }
}

/// The queues that keep letters, each once.
#[derive(Debug, Default)]
pub struct Rounds(Mutex<Vec<Weak<QueueCell>>>);

impl Rounds {
    /// A queue takes part as long as it keeps any.
    pub fn include(&self, cell: &Arc<QueueCell>) {
        if cell.letters.join_rounds() {
            self.0.lock().push(Arc::downgrade(cell));
        }
    }

    /// The queues of a round. What another node leads by now is that node's to send.
    fn begin(&self) -> Vec<Arc<QueueCell>> {
        let all = std::mem::take(&mut *self.0.lock());
        let there = all.iter().filter_map(Weak::upgrade);
        let taking_part: Vec<_> = there
            .filter(|cell| !cell.hold().dead && cell.letters.try_kept())
            .collect();
        self.0.lock().extend(taking_part.iter().map(Arc::downgrade));
        taking_part
    }
}

/// Begins a round now and then until the node stops.
pub async fn run(node: Arc<Node>) {
    loop {
        tokio::select! {
            () = node.stopping().cancelled() => return,
            () = tokio::time::sleep(TRY_AGAIN_AFTER) => {}
        }
        for cell in node.line().rounds.begin() {
            node.line().join(cell);
        }
    }
}

impl Node {
    /// Nothing was handed out for a while: all consumers are offered what there is.
    pub(super) fn offer_again(&self, cell: &Arc<QueueCell>, touched: &mut Vec<Arc<Client>>, errands: &mut Vec<Errand>) {
        let consumers: Vec<_> = cell.hold().queue.consumers().map(|consumer| consumer.id).collect();
        self.on_cell(cell, touched, errands, |work| {
            for consumer in consumers {
                work.queue.consumer_ready(work.now, consumer, &mut work.sink);
            }
        });
        cell.page_came.notify_waiters();
    }
}
