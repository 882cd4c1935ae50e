//! Liveness: when everything that still runs does what it can, every publish is answered.
//!
//! From a state, with one node dead for good or none, steps are taken fairly until nothing changes any more.

use crate::record::NODES;
use crate::state::{Bounds, State};
use crate::step::Step;

/// More rounds than any healing needs.
const ROUNDS_MAX: usize = 400;

struct Healing<'a> {
    bounds: &'a Bounds,
    state: State,
    changed: bool,
}

impl Healing<'_> {
    fn once(&mut self, step: Step) -> bool {
        let next = self.bounds.step(&self.state, step);
        if let Some(next) = next {
            self.state = next;
            self.changed = true;
        }
        next.is_some()
    }

    fn all(&mut self, step: Step) {
        while self.once(step) {}
    }

    fn round(&mut self, dead: Option<usize>) {
        for place in 0..2 {
            self.once(Step::Commit(place));
        }
        for node in 0..NODES {
            if Some(node) == dead {
                self.once(Step::Death(node));
            } else {
                self.all(Step::Restart(node));
                self.all(Step::Return(node));
            }
        }
        (0..NODES).for_each(|node| self.all(Step::Learn(node)));
        for (a, b) in pairs() {
            self.all(Step::Attach(a, b));
            self.all(Step::Base(a, b));
            self.all(Step::Stream(a, b));
        }
        for node in 0..NODES {
            self.once(Step::Publish(node));
            self.once(Step::Sync(node));
        }
        self.bounds.acknowledge(&mut self.state);
        for node in 0..NODES {
            for message in 0..self.bounds.messages {
                self.once(Step::Confirm(node, message));
            }
        }
        self.settle();
    }

    /// The leader evicts who is gone, settles what it has proposed, and keeps enough copies counted.
    fn settle(&mut self) {
        let record = *self.state.record();
        let leader = usize::from(record.leader);
        for mirror in 0..NODES {
            let is_gone = record.copies[mirror].is_counted() && !record.is_up(mirror);
            if is_gone || self.state.nodes[leader].pending[mirror].is_some() {
                self.once(Step::Evict(leader, mirror));
            }
        }
        if self.bounds.floor > 1 {
            let missing = (0..NODES).filter(|node| record.is_up(*node) && !record.is_in_sync(*node));
            for node in missing {
                self.once(Step::Add(leader, node));
            }
        }
    }
}

fn pairs() -> impl Iterator<Item = (usize, usize)> {
    (0..NODES).flat_map(|a| (0..NODES).map(move |b| (a, b)))
}

impl Bounds {
    /// Lets everything heal.
    ///
    /// # Errors
    /// What is wrong on the way, or which publishes are never answered although somebody could.
    pub fn heal(&self, state: &State, dead: Option<usize>) -> Result<(), String> {
        let mut healing = Healing {
            bounds: self,
            state: *state,
            changed: true,
        };
        let ends = dead.filter(|dead| state.nodes[*dead].alive);
        (healing.state.crashes, healing.state.deaths) = (1, 4);
        (healing.state.consumes, healing.state.proposals_left) = (0, 60);
        if let Some(node) = ends {
            healing.once(Step::Crash(node));
        }
        for _round in 0..ROUNDS_MAX {
            healing.changed = false;
            healing.round(dead);
            if let Some(wrong) = self.judge(&healing.state) {
                return Err(format!("while healing without {dead:?}: {wrong}"));
            }
            if !healing.changed {
                break;
            }
        }
        self.judge_end(&healing.state, dead)
    }

    fn judge_end(&self, state: &State, dead: Option<usize>) -> Result<(), String> {
        let all = (1u8 << self.messages) - 1;
        let answered = (state.confirmed | state.nacked) & all;
        let record = state.record();
        let has_all = |dead| (0..NODES).all(|node| node == dead || !record.copies[node].is_counted());
        if answered == all || dead.is_some_and(has_all) {
            return Ok(());
        }
        Err(format!(
            "LIVENESS: of publishes {all:04b} only {answered:04b} are answered without {dead:?}; {record}"
        ))
    }
}
