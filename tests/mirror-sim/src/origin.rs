//! A node's clients that publish: what they send to a queue is numbered, kept until it is answered, and sent again in order to
//! whoever leads next.

use std::collections::{BTreeMap, VecDeque};

use model::{Epoch, NodeUuid, QueueId};

/// Who leads, as the origin's node knows.
pub type Leading = (NodeUuid, u64, Epoch);

/// A publish under way.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Its number.
    pub number: u64,
    /// The lowest number that is not answered.
    pub floor: u64,
    /// Which publish.
    pub id: u32,
    /// It was sent before, perhaps to another leader.
    pub again: bool,
}

/// The way of one node's clients to one queue.
#[derive(Clone, Debug, Default)]
pub struct Line {
    next: u64,
    /// Unanswered, in order.
    pub open: VecDeque<(u64, u32)>,
    /// To whom it leads.
    pub to: Option<Leading>,
    /// Tells what is under way from what was.
    pub turn: u64,
    /// How many of the unanswered have been sent this turn.
    pub sent: usize,
    /// The last that has ever been sent.
    highest: u64,
    /// Publishes under way.
    pub out: VecDeque<Sent>,
    /// Answers under way: true = confirmed.
    pub back: VecDeque<(u64, bool)>,
}

/// A node's clients.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// Their ways.
    pub lines: BTreeMap<QueueId, Line>,
}

impl Line {
    /// A client publishes; returns the number.
    pub fn publish(&mut self, id: u32) -> u64 {
        self.next += 1;
        self.open.push_back((self.next, id));
        self.next
    }

    /// The way is broken: what was on it is gone.
    pub fn cut(&mut self) {
        self.to = None;
        self.turn += 1;
        self.sent = 0;
        self.out.clear();
        self.back.clear();
    }

    /// Sends to whoever leads what has not been sent to it; all of it, if somebody else led before.
    pub fn send(&mut self, leading: Option<Leading>) {
        if self.to != leading {
            self.cut();
            self.to = leading;
        }
        if self.to.is_none() {
            return;
        }
        let floor = self.open.front().map_or(0, |(number, _)| *number);
        for (number, id) in self.open.iter().skip(self.sent) {
            self.out.push_back(Sent {
                number: *number,
                floor,
                id: *id,
                again: *number <= self.highest,
            });
        }
        self.sent = self.open.len();
        self.highest = self.next;
    }

    /// An answer has come; returns the publish that it answers.
    pub fn answered(&mut self) -> Option<(u32, bool)> {
        let (number, ack) = self.back.pop_front()?;
        let at = self.open.iter().position(|(open, _)| *open == number)?;
        let (_, id) = self.open.remove(at)?;
        self.sent = self.sent.saturating_sub(1);
        Some((id, ack))
    }
}
