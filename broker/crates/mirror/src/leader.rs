//! A leader's side of the stream: whom confirms wait for, how far each mirror is, and what is to be proposed.
//!
//! One machine lives for one reign (epoch). A position is an operation of that reign; 0 is what was inherited. A position
//! is *reached* once every copy that counts, and every one that may be about to count, has it; that never goes back.
//! What is proposed here changes nothing until an entry that says so has been learned (R13).

use std::collections::{BTreeMap, VecDeque};

use model::{Millis, NodeUuid};

use crate::record::{Record, State};
use crate::timing::Timing;

/// A change of the record that the leader wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Confirms wait for this mirror no more.
    Evict(NodeUuid),
    /// This start of the mirror's node holds every confirmed message.
    AddInSync {
        /// The mirror.
        node: NodeUuid,
        /// Which start.
        incarnation: u64,
    },
    /// This start of the mirror's node is to lead.
    HandOver {
        /// The mirror.
        node: NodeUuid,
        /// Which start.
        incarnation: u64,
    },
}

/// Positions that every copy has that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// In memory.
    pub held: Option<u64>,
    /// On disk.
    pub durable: Option<u64>,
}

impl Progress {
    const ALL: Progress = Progress {
        held: Some(u64::MAX),
        durable: Some(u64::MAX),
    };

    fn least(self, other: Progress) -> Progress {
        Progress {
            held: self.held.min(other.held),
            durable: self.durable.min(other.durable),
        }
    }

    fn most(self, other: Progress) -> Progress {
        Progress {
            held: self.held.max(other.held),
            durable: self.durable.max(other.durable),
        }
    }
}

/// The way to a mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nothing goes to it, since when.
    Away(Millis),
    /// It is attached and comes to hold the base.
    Base { incarnation: u64, since: Millis },
    /// Its base is complete: what it acknowledges counts.
    Whole { incarnation: u64, since: Millis },
}

/// A proposal on its way, made when the record had this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Proposed {
    version: u64,
    act: Act,
}

#[derive(Clone, Copy, Debug)]
struct Mirror {
    state: State,
    way: Way,
    acked: Progress,
    /// Confirms wait for it although it does not count yet: it is about to be proposed, or has been.
    joins: bool,
    /// A proposal to count it was refused, or nobody knows: only an entry about it can tell (R13).
    unsettled: bool,
}

impl Mirror {
    fn away(state: State, now: Millis) -> Self {
        Mirror {
            state,
            way: Way::Away(now),
            acked: Progress::default(),
            joins: false,
            unsettled: false,
        }
    }

    fn is_waited_for(&self) -> bool {
        self.state.is_counted() || self.joins || self.unsettled
    }

    /// The start of its node whose acknowledgements count.
    fn whole(&self) -> Option<u64> {
        match self.way {
            Way::Whole { incarnation, .. } => Some(incarnation),
            Way::Away(_) | Way::Base { .. } => None,
        }
    }
}

/// The leader of one mirrored queue for one reign.
#[derive(Clone, Debug)]
pub struct Leader {
    record: Record,
    timing: Timing,
    pos: u64,
    mirrors: BTreeMap<NodeUuid, Mirror>,
    reached: Progress,
    /// The highest position that somebody waits for.
    wanted: Option<u64>,
    /// How far operations had come, and when: where that has changed since the last look.
    marks: VecDeque<(Millis, u64)>,
    /// How far they had come at the last look.
    recent: u64,
    proposed: Option<Proposed>,
    /// Nothing is proposed before this.
    quiet_until: Millis,
}

impl Leader {
    /// Leads from now on; nothing is attached.
    pub fn new(record: Record, timing: Timing, now: Millis) -> Self {
        let mirrors = record.mirrors().map(|copy| (copy.node, Mirror::away(copy.state, now)));
        let mut leader = Leader {
            mirrors: mirrors.collect(),
            record,
            timing,
            pos: 0,
            reached: Progress::default(),
            wanted: None,
            marks: VecDeque::new(),
            recent: 0,
            proposed: None,
            quiet_until: now,
        };
        leader.look();
        leader
    }

    /// What was learned last.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Mirrors, and whether something goes to them.
    pub fn mirrors(&self) -> impl Iterator<Item = (NodeUuid, bool)> + '_ {
        let is_attached = |mirror: &Mirror| !matches!(mirror.way, Way::Away(_));
        self.mirrors
            .iter()
            .map(move |(node, mirror)| (*node, is_attached(mirror)))
    }

    /// Mirrors, and what they have acknowledged.
    pub fn acknowledged(&self) -> impl Iterator<Item = (NodeUuid, Progress)> + '_ {
        self.mirrors.iter().map(|(node, mirror)| (*node, mirror.acked))
    }

    /// The last operation.
    pub fn pos(&self) -> u64 {
        self.pos
    }

    /// What every copy has that counts.
    pub fn reached(&self) -> Progress {
        self.reached
    }

    /// True while there is nothing to look at until something happens: every mirror counts, has everything and is heard.
    pub fn is_settled(&self) -> bool {
        let is_settled = |mirror: &Mirror| {
            let counts = matches!((mirror.state, mirror.way),
                (State::InSync { incarnation }, Way::Whole { incarnation: whole, .. }) if incarnation == whole);
            counts && mirror.acked.durable == Some(self.pos) && !mirror.joins && !mirror.unsettled
        };
        self.proposed.is_none() && self.mirrors.values().all(is_settled)
    }

    /// Numbers one more operation; `awaited` if somebody waits until the copies have it.
    pub fn step(&mut self, awaited: bool) -> u64 {
        self.pos += 1;
        if awaited {
            self.wanted = Some(self.pos);
        }
        self.pos
    }

    /// Somebody waits for all operations so far, what was inherited being one; returns the last.
    pub fn want_all(&mut self) -> u64 {
        self.wanted = Some(self.pos);
        self.pos
    }

    /// A new record of the same reign. Returns the mirrors that are none any more; new ones are to be attached.
    pub fn learn(&mut self, record: Record, now: Millis) -> Vec<NodeUuid> {
        debug_assert_eq!(record.epoch, self.record.epoch, "one machine, one reign");
        for copy in record.mirrors() {
            let mirror = self.mirrors.entry(copy.node);
            mirror.or_insert_with(|| Mirror::away(copy.state, now)).state = copy.state;
        }
        let ended = self.mirrors.extract_if(.., |node, _| record.copy_on(*node).is_none());
        let ended = ended.map(|(node, _)| node).collect();
        self.settle(&record);
        self.record = record;
        self.look();
        ended
    }

    /// A later version tells what became of the proposal.
    fn settle(&mut self, record: &Record) {
        if let Some(proposed) = self.proposed.take_if(|proposed| record.version > proposed.version) {
            let mirror = self.mirrors.get_mut(&proposed.act.node());
            if let (Act::AddInSync { .. }, Some(mirror)) = (proposed.act, mirror) {
                mirror.joins = false;
            }
        }
        for mirror in self
            .mirrors
            .values_mut()
            .filter(|_| record.version > self.record.version)
        {
            mirror.unsettled = false;
        }
    }

    /// The link to a mirror stands, and it is attached: operations go to it from now on, after the base.
    pub fn attach(&mut self, node: NodeUuid, incarnation: u64, since: Millis) {
        if let Some(mirror) = self.mirrors.get_mut(&node) {
            mirror.way = Way::Base { incarnation, since };
            mirror.acked = Progress::default();
        }
    }

    /// Nothing goes to a mirror any more.
    pub fn detach(&mut self, node: NodeUuid, now: Millis) {
        if let Some(mirror) = self.mirrors.get_mut(&node)
            && !matches!(mirror.way, Way::Away(_))
        {
            mirror.way = Way::Away(now);
            mirror.acked = Progress::default();
            // What was only about to be proposed is not; what has been is waited for until it is settled.
            mirror.joins &= self.proposed.is_some_and(|proposed| proposed.act.node() == node);
            self.look();
        }
    }

    /// A mirror's node is known to be gone: it is given up as soon as an answer waits for it.
    pub fn lose(&mut self, node: NodeUuid, now: Millis) {
        self.detach(node, now);
        if let Some(mirror) = self.mirrors.get_mut(&node) {
            mirror.way = Way::Away(Millis(0));
        }
    }

    /// A mirror says that it lacks nothing of the base; true if it is to be told that the base ends.
    pub fn base_is_whole(&mut self, node: NodeUuid, since: Millis) -> bool {
        let Some(mirror) = self.mirrors.get_mut(&node) else {
            return false;
        };
        let Way::Base { incarnation, .. } = mirror.way else {
            return false;
        };
        mirror.way = Way::Whole { incarnation, since };
        true
    }

    /// A mirror has come so far. True if more is reached.
    pub fn acked(&mut self, node: NodeUuid, progress: Progress) -> bool {
        let Some(mirror) = self.mirrors.get_mut(&node).filter(|mirror| mirror.whole().is_some()) else {
            return false;
        };
        debug_assert!(progress.durable <= progress.held, "V6: what is durable is held");
        debug_assert!(
            progress.held <= Some(self.pos),
            "nothing is acknowledged that was not sent"
        );
        mirror.acked = mirror.acked.most(progress);
        self.look()
    }

    /// Reckons what is reached; true if it is more.
    pub fn look(&mut self) -> bool {
        let waited = self.mirrors.values().filter(|mirror| mirror.is_waited_for());
        let all = waited.fold(Progress::ALL, |least, mirror| least.least(mirror.acked));
        // Without any, all that has been numbered is reached, and no more: one may join later.
        let now = all.least(Progress {
            held: Some(self.pos),
            durable: Some(self.pos),
        });
        let before = self.reached;
        self.reached = before.most(now);
        self.reached != before
    }

    /// True once everybody who counts has this position.
    pub fn is_reached(&mut self, pos: u64, durable: bool) -> bool {
        self.look();
        let reached = if durable {
            self.reached.durable
        } else {
            self.reached.held
        };
        reached >= Some(pos)
    }

    /// Notes the time, and says what is to be proposed now: at most one thing at once (V2). Called at intervals.
    pub fn due(&mut self, now: Millis) -> Option<(u64, Act)> {
        self.look();
        self.mark(now);
        self.let_join(now);
        self.recent = self.pos;
        if self.proposed.is_some() || now < self.quiet_until {
            return None;
        }
        let act = self
            .settlement()
            .or_else(|| self.addition())
            .or_else(|| self.eviction(now))?;
        let version = self.record.version;
        self.proposed = Some(Proposed { version, act });
        Some((version, act))
    }

    /// Proposes that a mirror leads (R20), if it is in sync, nothing else is proposed, and every copy that counts has the
    /// operations up to this one and all that somebody waits for. No message is taken meanwhile.
    pub fn hand_over(&mut self, to: NodeUuid, upto: u64) -> Option<(u64, Act)> {
        let incarnation = self.successor(to)?;
        let has_all = self.reached.durable >= Some(upto).max(self.wanted);
        if self.proposed.is_some() || !has_all {
            return None;
        }
        let act = Act::HandOver { node: to, incarnation };
        let version = self.record.version;
        self.proposed = Some(Proposed { version, act });
        Some((version, act))
    }

    /// The start of a mirror's node that could lead soon: it is in sync and attached with all that it stands on.
    pub fn successor(&self, node: NodeUuid) -> Option<u64> {
        let mirror = self.mirrors.get(&node)?;
        let incarnation = mirror.whole()?;
        (mirror.state == State::InSync { incarnation }).then_some(incarnation)
    }

    /// The hand-over proposed at this version is known to have been refused: it changes nothing, and never will.
    pub fn refused(&mut self, version: u64) {
        let is_hand_over = |proposed: &mut Proposed| matches!(proposed.act, Act::HandOver { .. });
        self.proposed
            .take_if(|proposed| proposed.version == version && is_hand_over(proposed));
    }

    /// The proposal of this version has been answered, or is lost; if no record has told of it, it was refused.
    pub fn answered(&mut self, version: u64, now: Millis) {
        let Some(proposed) = self.proposed.take_if(|proposed| proposed.version == version) else {
            return;
        };
        self.quiet_until = now.after(self.timing.propose_again_after);
        let mirror = self.mirrors.get_mut(&proposed.act.node());
        if let (Act::AddInSync { .. } | Act::HandOver { .. }, Some(mirror)) = (proposed.act, mirror) {
            mirror.joins = false;
            mirror.unsettled = true;
            self.quiet_until = now;
        }
    }

    fn mark(&mut self, now: Millis) {
        let patience = self.timing.ack_timeout;
        let is_old = |(at, _): &(Millis, u64)| at.after(patience) <= now;
        // Of those that are old enough only the newest is needed.
        while self.marks.get(1).is_some_and(is_old) {
            self.marks.pop_front();
        }
        if self.marks.back().is_none_or(|(_, pos)| *pos != self.pos) {
            self.marks.push_back((now, self.pos));
        }
    }

    /// The position that everybody should have acknowledged by now.
    fn overdue(&self, now: Millis) -> Option<u64> {
        let (at, pos) = self.marks.front()?;
        (at.after(self.timing.ack_timeout) <= now).then_some(*pos)
    }

    /// Mirrors that have nearly all are waited for, so that they come to have everything that is confirmed (R16).
    fn let_join(&mut self, now: Millis) {
        let overdue = self.overdue(now);
        let recent = self.recent;
        let is_least = self.is_least();
        // One that is waited for in any case, and cannot be put out, is settled by the same change once more.
        let may_join = |mirror: &&mut Mirror| !mirror.unsettled || (is_least && mirror.state.is_counted());
        for mirror in self.mirrors.values_mut().filter(may_join) {
            let whole = mirror.whole();
            let is_settled = match (mirror.state, whole) {
                (State::InSync { incarnation }, Some(whole)) => incarnation == whole,
                _ => false,
            };
            let proposed = self
                .proposed
                .is_some_and(|proposed| matches!(proposed.act, Act::AddInSync { .. }));
            if mirror.joins && !proposed && mirror.acked.durable < overdue {
                mirror.joins = false;
            } else if !mirror.joins && !is_settled && whole.is_some() && mirror.acked.durable >= Some(recent) {
                mirror.joins = true;
            }
        }
    }

    /// True if no mirror that counts may be put out.
    fn is_least(&self) -> bool {
        self.record.counted() <= self.record.min_counted
    }

    /// A mirror whose state nobody knows is put out of the counted set, whether it is in it or not (R8). Where too few would
    /// count then, that would be refused for ever: another change settles it as well.
    fn settlement(&self) -> Option<Act> {
        let is_least = self.is_least();
        let may_go = |mirror: &Mirror| mirror.unsettled && !(is_least && mirror.state.is_counted());
        let mut unsettled = self.mirrors.iter().filter(|(_, mirror)| may_go(mirror));
        unsettled.next().map(|(node, _)| Act::Evict(*node))
    }

    /// A mirror that has everything that was ever confirmed may count.
    fn addition(&self) -> Option<Act> {
        let confirmed_to = self.reached.held.max(self.reached.durable);
        self.mirrors.iter().find_map(|(node, mirror)| {
            let incarnation = mirror.whole().filter(|_| mirror.joins)?;
            let is_there = mirror.acked.durable.is_some() && mirror.acked.durable >= confirmed_to;
            is_there.then_some(Act::AddInSync {
                node: *node,
                incarnation,
            })
        })
    }

    /// A mirror that an answer waits for and that does not acknowledge is given up (R17), unless too few would count (R7).
    fn eviction(&self, now: Millis) -> Option<Act> {
        let wanted = self.wanted?;
        let answer_waits = self.reached.durable < Some(wanted);
        if !answer_waits || self.is_least() {
            return None;
        }
        let overdue = self.overdue(now).map(|pos| pos.min(wanted));
        let is_late = |mirror: &Mirror| match mirror.way {
            Way::Away(since) => since.after(self.timing.link_grace) <= now,
            Way::Whole { since, .. } => {
                let is_behind = overdue.is_some_and(|pos| mirror.acked.durable < Some(pos));
                is_behind && since.after(self.timing.ack_timeout) <= now
            }
            // It has the messages or fetches them, and acknowledges nothing before it has all.
            Way::Base { since, .. } => since.after(self.timing.ack_timeout) <= now,
        };
        let counted = self.mirrors.iter().filter(|(_, mirror)| mirror.state.is_counted());
        let mut late = counted.filter(|(_, mirror)| is_late(mirror));
        late.next().map(|(node, _)| Act::Evict(*node))
    }
}

impl Act {
    /// The mirror it is about.
    pub fn node(self) -> NodeUuid {
        match self {
            Act::Evict(node) | Act::AddInSync { node, .. } | Act::HandOver { node, .. } => node,
        }
    }
}

#[cfg(test)]
#[path = "leader_tests.rs"]
mod tests;
