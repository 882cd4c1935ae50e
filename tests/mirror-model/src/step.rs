//! What may happen in a state, and which state it leads to.
//!
//! Every step is one thing at one node, at any time and in any order: what the protocol allows, and what it must bear.

use crate::copy::{Copy, Entry};
use crate::record::{Act, NODES, Promise};
use crate::rules::Rule;
use crate::state::{Ack, Bounds, Fault, Node, Op, State};

/// One thing that may happen. Nodes are numbers; pairs are leader and mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The origin's next publish reaches a leader.
    Publish(usize),
    /// A leader answers a publish.
    Confirm(usize, u8),
    /// What a process holds is synced to its disk.
    Sync(usize),
    /// A mirror applies the next operation.
    Stream(usize, usize),
    /// A mirror follows a leader: what its copy has and the leader's has not is dropped.
    Attach(usize, usize),
    /// A mirror takes one message that it lacks.
    Base(usize, usize),
    /// A node learns the next entry of the catalogue.
    Learn(usize),
    /// A leader proposes.
    Evict(usize, usize),
    /// A leader proposes.
    Add(usize, usize),
    /// A leader proposes.
    HandOver(usize, usize),
    /// A proposal is committed or refused.
    Commit(usize),
    /// A process ends.
    Crash(usize),
    /// Another begins, and has learned of its own start.
    Restart(usize),
    /// A process is thought dead, whether it is or not.
    Death(usize),
    /// One that was only thought dead says so.
    Return(usize),
    /// A consumer takes the first message.
    Consume(usize),
}

/// All that can ever happen within the bounds.
pub fn steps(bounds: &Bounds) -> Vec<Step> {
    let mut all = Vec::new();
    for a in 0..NODES {
        all.push(Step::Publish(a));
        all.extend((0..bounds.messages).map(|message| Step::Confirm(a, message)));
        all.extend([Step::Sync(a), Step::Learn(a), Step::Crash(a), Step::Restart(a)]);
        all.extend([Step::Death(a), Step::Return(a), Step::Consume(a)]);
        for b in (0..NODES).filter(|b| *b != a) {
            all.extend([Step::Stream(a, b), Step::Attach(a, b), Step::Base(a, b)]);
            all.extend([Step::Evict(a, b), Step::Add(a, b), Step::HandOver(a, b)]);
        }
    }
    all.extend([Step::Commit(0), Step::Commit(1)]);
    all
}

impl Bounds {
    fn is_off(&self, rule: Rule) -> bool {
        self.off == Some(rule)
    }

    pub(crate) fn is_transient(&self, message: u8) -> bool {
        self.transient & (1 << message) != 0
    }

    /// The state after the step, if the step can be taken.
    pub fn step(&self, state: &State, step: Step) -> Option<State> {
        let mut next = *state;
        match step {
            Step::Publish(leader) => self.publish(&mut next, leader)?,
            Step::Confirm(leader, message) => self.confirm(&mut next, leader, message)?,
            Step::Sync(node) => self.sync(&mut next.nodes[node])?,
            Step::Stream(leader, mirror) => self.stream(&mut next, leader, mirror)?,
            Step::Attach(leader, mirror) => self.attach(&mut next, leader, mirror)?,
            Step::Base(leader, mirror) => self.base(&mut next, leader, mirror)?,
            Step::Learn(node) => self.learn(&mut next, node)?,
            Step::Evict(leader, mirror) => self.evict(&mut next, leader, mirror)?,
            Step::Add(leader, mirror) => self.add(&mut next, leader, mirror)?,
            Step::HandOver(leader, mirror) => self.hand_over(&mut next, leader, mirror)?,
            Step::Commit(place) => self.commit(&mut next, place)?,
            Step::Crash(node) => crash(&mut next, node)?,
            Step::Restart(node) => self.restart(&mut next, node)?,
            Step::Death(node) => self.death(&mut next, node)?,
            Step::Return(node) => self.come_back(&mut next, node)?,
            Step::Consume(leader) => consume(&mut next, leader)?,
        }
        if matches!(
            step,
            Step::Sync(_) | Step::Stream(..) | Step::Attach(..) | Step::Base(..)
        ) {
            self.acknowledge(&mut next);
        }
        next.compact();
        Some(next)
    }

    fn publish(&self, next: &mut State, leader: usize) -> Option<()> {
        let leads = next.leads(leader);
        let own = &mut next.nodes[leader];
        let message = own
            .next
            .filter(|message| leads && *message < self.messages && own.has_room())?;
        own.next = Some(message + 1);
        let bit = 1 << message;
        let later_is_known = own.memory.seen >> message != 0;
        let is_known = own.memory.seen & bit != 0 || (self.is_off(Rule::DuplicatesByNumber) && later_is_known);
        if next.nacked & bit != 0 || is_known {
            return Some(());
        }
        if later_is_known && !self.is_off(Rule::NackLate) {
            next.nacked |= bit & !next.confirmed;
            return Some(());
        }
        if own.memory.history & bit != 0 {
            next.fault = Fault::TakenTwice;
        }
        own.log(Op::Enqueue(message));
        let entry = Entry {
            epoch: own.stream,
            number: own.log_len,
            message,
        };
        own.memory.enqueue(entry, true);
        Some(())
    }

    /// The position at which the leader may answer this publish, if it may.
    fn confirmable(&self, state: &State, leader: usize, message: u8) -> Option<u8> {
        let own = &state.nodes[leader];
        let bit = 1u8 << message;
        let is_asked = own.next.is_some_and(|next| next > message);
        let by_highest = self.is_off(Rule::DuplicatesByNumber) && is_asked && own.memory.seen >> message != 0;
        let is_held = own.memory.seen & bit != 0 || by_highest;
        if !state.leads(leader) || (state.confirmed | state.nacked) & bit != 0 || !is_held || !is_asked {
            return None;
        }
        let place = own.ops().iter().rposition(|op| *op == Op::Enqueue(message));
        let pos = place.map_or(0, |place| place as u8 + 1);
        let waiting = state.waiting_set(leader, self.off);
        let waited: Vec<usize> = (0..NODES).filter(|node| waiting & (1 << node) != 0).collect();
        let received = self.is_transient(message) || self.is_off(Rule::WaitForDisk);
        let safe = |node: &&usize| has(own, leader, **node, pos, received);
        let safe_count = waited.iter().filter(safe).count();
        let enough = match self.is_off(Rule::WaitForAll) {
            true => safe_count * 2 > NODES,
            false => safe_count == waited.len(),
        };
        enough.then_some(pos)
    }

    fn confirm(&self, next: &mut State, leader: usize, message: u8) -> Option<()> {
        let pos = self.confirmable(next, leader, message)?;
        let own = &mut next.nodes[leader];
        own.confirmed_to = own.confirmed_to.max(pos);
        let (epoch, process) = (own.stream, (leader as u8, own.incarnation));
        next.confirmed |= 1 << message;
        next.confirmed_in[usize::from(message)] = epoch;
        if let Some(confirmer) = next.confirmers.get_mut(usize::from(epoch)) {
            if confirmer.is_some_and(|known| known != process) {
                next.fault = Fault::TwoConfirmers;
            }
            *confirmer = Some(process);
        }
        Some(())
    }

    fn sync(&self, own: &mut Node) -> Option<()> {
        let disk = own.memory.persisted(self.transient);
        let is_whole = own.stream != 0 && (own.lacks == 0 || self.is_off(Rule::AckAfterBase));
        let durable = is_whole.then_some(own.pos);
        if !own.alive || (own.disk, own.durable) == (disk, durable) {
            return None;
        }
        (own.disk, own.durable) = (disk, durable);
        Some(())
    }

    /// A mirror refuses everybody but the leader of the reign that it knows (R10).
    fn follows(&self, state: &State, leader: usize, mirror: usize) -> bool {
        if leader == mirror || !state.leads(leader) || !state.nodes[mirror].alive {
            return false;
        }
        if self.is_off(Rule::Fence) {
            return true;
        }
        let (epoch, known) = (state.known(leader).epoch, state.known(mirror));
        let is_leader = usize::from(known.leader) == leader;
        match self.is_off(Rule::OwnCatalogueFirst) {
            true => {
                let is_old = epoch < known.epoch || epoch < state.nodes[mirror].stream;
                !is_old && (known.epoch != epoch || is_leader)
            }
            false => known.epoch == epoch && is_leader,
        }
    }

    fn follows_and_leads_not(&self, state: &State, leader: usize, mirror: usize) -> bool {
        self.follows(state, leader, mirror) && (!state.leads(mirror) || self.is_off(Rule::Fence))
    }

    fn stream(&self, next: &mut State, leader: usize, mirror: usize) -> Option<()> {
        let follows = self.follows_and_leads_not(next, leader, mirror);
        let from = next.nodes[leader];
        let own = &mut next.nodes[mirror];
        if !follows || own.stream != from.stream {
            return None;
        }
        let op = *from.ops().get(usize::from(own.pos))?;
        own.pos += 1;
        match op {
            Op::Unknown => {}
            Op::Remove(gone) => own.memory.remove(gone),
            Op::Enqueue(message) => {
                let entry = Entry {
                    epoch: from.stream,
                    number: own.pos,
                    message,
                };
                own.memory.enqueue(entry, !self.is_off(Rule::TableTravels));
            }
        }
        Some(())
    }

    fn attach(&self, next: &mut State, leader: usize, mirror: usize) -> Option<()> {
        let follows = self.follows_and_leads_not(next, leader, mirror);
        let is_counted = next.known(leader).copies[mirror].is_counted();
        let from = next.nodes[leader];
        let own = &mut next.nodes[mirror];
        if !follows || own.stream == from.stream {
            return None;
        }
        (own.stream, own.durable) = (from.stream, None);
        if self.is_off(Rule::BaseForAll) && is_counted {
            own.pos = 0;
        } else {
            own.pos = from.log_len;
            self.prune(own, &from);
            if own.lacks == 0 {
                self.end_base(own, &from);
            }
        }
        if self.is_off(Rule::BaseIsSynced) {
            own.durable = Some(own.pos);
        }
        Some(())
    }

    /// Drops what the leader has not, and finds out what is missing. Of its table a mirror keeps what the leader has,
    /// too, and what is not missing here (R12).
    fn prune(&self, own: &mut Node, from: &Node) {
        let is_same = |a: &Entry, b: &Entry| match self.is_off(Rule::IdsHaveEpochs) {
            true => a.number == b.number,
            false => a.id() == b.id(),
        };
        let mut kept = Copy::default().held;
        own.lacks = 0;
        for wanted in from.memory.held.entries() {
            match own.memory.held.entries().iter().find(|entry| is_same(entry, wanted)) {
                Some(entry) => kept.put(*entry),
                None => own.lacks |= 1 << wanted.message,
            }
        }
        own.memory.held = kept;
        let common = from.memory.seen & !own.lacks;
        if self.is_off(Rule::TableAtEnd) {
            own.memory.seen = from.memory.seen;
        } else if !self.is_off(Rule::TableTravels) && !self.is_off(Rule::TailLeavesTable) {
            own.memory.seen &= common;
        }
        own.memory.history &= from.memory.history & !own.lacks;
        own.memory.removed &= from.memory.history & !own.lacks;
    }

    /// The base is whole: the leader's table is installed, without what the stream has yet to bring.
    fn end_base(&self, own: &mut Node, from: &Node) {
        let (mut late, mut late_removes) = (0, 0);
        for op in from.ops().iter().skip(usize::from(own.pos)) {
            match op {
                Op::Enqueue(message) => late |= 1 << message,
                Op::Remove(gone) => late_removes |= 1 << gone.message,
                Op::Unknown => {}
            }
        }
        if !self.is_off(Rule::TableTravels) {
            own.memory.seen |= from.memory.seen & !late;
        }
        own.memory.history |= from.memory.history & !late;
        own.memory.removed |= from.memory.removed & !late_removes & !late;
    }

    fn base(&self, next: &mut State, leader: usize, mirror: usize) -> Option<()> {
        let follows = self.follows(next, leader, mirror);
        let from = next.nodes[leader];
        let own = &mut next.nodes[mirror];
        if !follows || own.stream != from.stream || own.lacks == 0 {
            return None;
        }
        let message = own.lacks.trailing_zeros() as u8;
        own.lacks &= !(1 << message);
        // Only what is still live is sent: that it is gone follows in the stream, or was never to be known here.
        if let Some(entry) = from.memory.held.entries().iter().find(|entry| entry.message == message) {
            own.memory.enqueue(*entry, !self.is_off(Rule::TableTravels));
        }
        if own.lacks == 0 {
            self.end_base(own, &from);
        }
        Some(())
    }

    /// What mirrors have applied and synced, leaders hear: never before the base is whole (R11).
    pub(crate) fn acknowledge(&self, next: &mut State) {
        let pairs = (0..NODES).flat_map(|leader| (0..NODES).map(move |mirror| (leader, mirror)));
        for (leader, mirror) in pairs.filter(|(leader, mirror)| leader != mirror) {
            let own = next.nodes[mirror];
            let is_whole = own.lacks == 0 || self.is_off(Rule::AckAfterBase);
            if own.alive && is_whole && next.leads(leader) && own.stream == next.nodes[leader].stream {
                next.nodes[leader].acks[mirror] = Some(Ack {
                    incarnation: own.incarnation,
                    pos: own.pos,
                    durable: own.durable,
                });
            }
        }
    }

    fn learn(&self, next: &mut State, node: usize) -> Option<()> {
        let own = &mut next.nodes[node];
        if !own.alive || own.known + 1 >= next.history_len {
            return None;
        }
        own.known += 1;
        next.follow(node, self.off);
        Some(())
    }

    fn evict(&self, next: &mut State, leader: usize, mirror: usize) -> Option<()> {
        let is_counted = next.known(leader).copies[mirror].is_counted();
        let is_pending = next.nodes[leader].pending[mirror].is_some() && !self.is_off(Rule::Settle);
        let proposal = next.proposal(leader, mirror, Act::Evict);
        if leader == mirror || !next.leads(leader) || !(is_counted || is_pending) || !next.may_propose(&proposal) {
            return None;
        }
        if self.is_off(Rule::WaitUntilEvicted) {
            next.nodes[leader].evicting |= 1 << mirror;
        }
        next.put_proposal(proposal);
        Some(())
    }

    fn add(&self, next: &mut State, leader: usize, mirror: usize) -> Option<()> {
        let is_in_sync = matches!(next.known(leader).copies[mirror], Promise::InSync(_));
        let own = &next.nodes[leader];
        let ack = own.acks[mirror]?;
        let caught_up = ack.durable.is_some_and(|durable| durable >= own.confirmed_to) && ack.pos >= own.confirmed_to;
        let is_ready = caught_up || self.is_off(Rule::AddWhenCaughtUp);
        let proposal = next.proposal(leader, mirror, Act::AddInSync(ack.incarnation));
        let is_free = !is_in_sync && own.pending[mirror].is_none();
        if leader == mirror || !next.leads(leader) || !is_free || !is_ready || !next.may_propose(&proposal) {
            return None;
        }
        next.nodes[leader].pending[mirror] = Some(proposal.version);
        next.put_proposal(proposal);
        Some(())
    }

    fn hand_over(&self, next: &mut State, leader: usize, mirror: usize) -> Option<()> {
        let is_in_sync = matches!(next.known(leader).copies[mirror], Promise::InSync(_));
        let proposal = next.proposal(leader, mirror, Act::HandOver);
        let may = self.hands_over && is_in_sync && leader != mirror;
        if !may || !next.leads(leader) || !next.may_propose(&proposal) {
            return None;
        }
        next.put_proposal(proposal);
        Some(())
    }

    fn commit(&self, next: &mut State, place: usize) -> Option<()> {
        let proposal = next.proposals[place].take()?;
        let record = next
            .record()
            .proposed(proposal, self.floor, &mut next.last_loss, self.off);
        let is_room = record == *next.record() || next.commit(record);
        is_room.then_some(())
    }

    fn restart(&self, next: &mut State, node: usize) -> Option<()> {
        let own = &mut next.nodes[node];
        if own.alive {
            return None;
        }
        own.alive = true;
        own.incarnation += 1;
        own.memory = own.disk;
        let incarnation = own.incarnation;
        let record = next
            .record()
            .restarted(node, incarnation, &mut next.last_loss, self.off);
        if !next.commit(record) {
            return None;
        }
        next.nodes[node].known = next.history_len - 1;
        next.follow(node, self.off);
        Some(())
    }

    fn death(&self, next: &mut State, node: usize) -> Option<()> {
        if next.deaths == 0 || !next.record().is_up(node) {
            return None;
        }
        next.deaths -= 1;
        let record = next.record().died(node, &mut next.last_loss, self.off);
        next.commit(record).then_some(())
    }

    fn come_back(&self, next: &mut State, node: usize) -> Option<()> {
        let own = &next.nodes[node];
        let is_same = next.record().incarnations[node] == own.incarnation;
        if !own.alive || next.record().is_up(node) || !is_same {
            return None;
        }
        let record = next.record().came_back(node, &mut next.last_loss, self.off);
        next.commit(record).then_some(())
    }
}

/// True if the copy on the node is safe up to the position, as far as the leader knows.
fn has(own: &Node, leader: usize, node: usize, pos: u8, received: bool) -> bool {
    if node == leader {
        return received || own.durable.is_some_and(|durable| durable >= pos);
    }
    own.acks[node].is_some_and(|ack| match received {
        true => ack.pos >= pos,
        false => ack.durable.is_some_and(|durable| durable >= pos),
    })
}

fn crash(next: &mut State, node: usize) -> Option<()> {
    let own = &mut next.nodes[node];
    if !own.alive || next.crashes == 0 {
        return None;
    }
    next.crashes -= 1;
    *own = Node {
        incarnation: own.incarnation,
        disk: own.disk,
        ..Node::default()
    };
    Some(())
}

fn consume(next: &mut State, leader: usize) -> Option<()> {
    let leads = next.leads(leader);
    let own = &mut next.nodes[leader];
    let first = *own.memory.held.entries().first()?;
    if !leads || next.consumes == 0 || !own.has_room() || !own.may_remove() {
        return None;
    }
    next.consumes -= 1;
    next.consumed |= 1 << first.message;
    own.memory.remove(first);
    own.removes += 1;
    own.log(Op::Remove(first));
    Some(())
}
