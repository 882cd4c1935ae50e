//! What must hold in every state: nothing confirmed is lost, doubled, reordered or brought back, and the record is sound.
//!
//! Looks only; knows nothing of how a state came about.

use crate::record::{NODES, Promise};
use crate::state::{Bounds, Fault, State};

impl Bounds {
    /// What is wrong, if anything is.
    pub fn judge(&self, state: &State) -> Option<String> {
        let fault = match state.fault {
            Fault::TakenTwice if !self.duplicates_are_fine => Some("a leader took a publish that its copy had held"),
            Fault::TwoConfirmers => Some("two processes confirmed in one epoch"),
            Fault::TakenTwice | Fault::None => None,
        };
        let fault = fault.map(str::to_owned);
        fault
            .or_else(|| self.judge_leader(state))
            .or_else(|| self.judge_copies(state))
    }

    fn confirmed(&self, state: &State) -> impl Iterator<Item = u8> {
        let (confirmed, consumed) = (state.confirmed, state.consumed);
        (0..self.messages).filter(move |message| confirmed & !consumed & (1 << message) != 0)
    }

    /// A transient message may be lost when a reign begins with a disk alone.
    fn is_promised(&self, state: &State, message: u8) -> bool {
        !self.is_transient(message) || state.confirmed_in[usize::from(message)] >= state.last_loss
    }

    /// The queue as clients see it (P1, P2, P4, P5).
    fn judge_leader(&self, state: &State) -> Option<String> {
        let record = state.record();
        let leader = usize::from(record.leader);
        if !state.leads(leader) || state.known(leader).epoch != record.epoch {
            return None;
        }
        let memory = &state.nodes[leader].memory;
        let mut lost = self.confirmed(state).filter(|message| !memory.held.has(*message));
        if let Some(message) = lost.find(|message| self.is_promised(state, *message)) {
            return Some(format!("LOSS: confirmed m{message} is missing at the leader n{leader}"));
        }
        let held = memory.held.entries();
        for (place, first) in held.iter().enumerate() {
            let later = &held[place + 1..];
            if later.iter().any(|entry| entry.message == first.message) && !self.duplicates_are_fine {
                return Some(format!(
                    "DUPLICATE: m{} is twice in the queue of n{leader}",
                    first.message
                ));
            }
            let is_confirmed = |message: u8| state.confirmed & (1 << message) != 0;
            let overtaken = |entry: &&crate::copy::Entry| entry.message < first.message && is_confirmed(entry.message);
            if let Some(entry) = later.iter().find(overtaken).filter(|_| is_confirmed(first.message)) {
                return Some(format!("REORDER: m{} before m{}", first.message, entry.message));
            }
            if memory.removed & (1 << first.message) != 0 {
                return Some(format!("REAPPEAR: m{} was removed at this copy", first.message));
            }
        }
        None
    }

    /// The copies that count, and ids (P1, P2, P6, P7).
    fn judge_copies(&self, state: &State) -> Option<String> {
        if !self.strict {
            return None;
        }
        let record = state.record();
        for message in self.confirmed(state) {
            let on_disks = state.nodes.iter().filter(|node| node.disk.held.has(message)).count();
            if self.floor > 1 && on_disks < self.floor {
                return Some(format!("FLOOR: confirmed m{message} is on {on_disks} disks"));
            }
            if let Some(node) = (0..NODES).find(|node| self.breaks_promise(state, *node, message)) {
                return Some(format!(
                    "confirmed m{message} is missing at n{node}, which is {:?}",
                    record.copies[node]
                ));
            }
        }
        if !record.copies[usize::from(record.leader)].is_counted() {
            return Some("the leader is not counted".to_owned());
        }
        has_ambiguous_id(state).then(|| "one id, two messages".to_owned())
    }

    fn breaks_promise(&self, state: &State, node: usize, message: u8) -> bool {
        let own = &state.nodes[node];
        let promise = state.record().copies[node];
        if !self.is_transient(message) {
            return promise.is_counted() && !own.disk.held.has(message);
        }
        let is_same_process = own.alive && promise == Promise::InSync(own.incarnation);
        is_same_process && !own.memory.held.has(message) && self.is_promised(state, message)
    }
}

fn has_ambiguous_id(state: &State) -> bool {
    let copies = state.nodes.iter().flat_map(|node| [&node.memory, &node.disk]);
    let entries: Vec<_> = copies.flat_map(|copy| copy.held.entries()).collect();
    let differs = |a: &&crate::copy::Entry| entries.iter().any(|b| a.id() == b.id() && a.message != b.message);
    entries.iter().any(differs)
}
