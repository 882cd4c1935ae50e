//! One state of the whole model: three nodes, the catalogue's entries that some have not learned yet, what was promised.
//!
//! A value of fixed size. What may happen in it is said in `step`, what must hold in `judge`.

use crate::copy::{Copy, Entry};
use crate::record::{Act, NODES, Promise, Proposal, Record};
use crate::rules::Rule;

/// Most messages of a run.
pub(crate) const MESSAGES_MAX: u8 = 4;
/// Most operations of one epoch.
pub(crate) const LOG_MAX: usize = 8;
/// Most entries that some node has not learned.
pub(crate) const HISTORY_MAX: usize = 12;
/// Most removals of one epoch.
const REMOVES_MAX: usize = 2;
/// Most proposals under way.
const PROPOSALS_MAX: usize = 2;

/// What a run explores.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Publishes.
    pub messages: u8,
    /// Bits: which of them are transient.
    pub transient: u8,
    /// Crashes.
    pub crashes: u8,
    /// Entries that say a process is dead.
    pub deaths: u8,
    /// Proposals.
    pub proposals: u8,
    /// Acknowledgements by consumers.
    pub consumes: u8,
    /// Leaders may hand over.
    pub hands_over: bool,
    /// Bits: who is in sync at first.
    pub in_sync: u8,
    /// So many copies are counted at least.
    pub floor: usize,
    /// The rule that is not followed.
    pub off: Option<Rule>,
    /// Judge the copies beside the leader's too.
    pub strict: bool,
    /// Look for loss, not for duplicates.
    pub duplicates_are_fine: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            messages: 2,
            transient: 0,
            crashes: 1,
            deaths: 1,
            proposals: 1,
            consumes: 0,
            hands_over: false,
            in_sync: 0b111,
            floor: 1,
            off: None,
            strict: true,
            duplicates_are_fine: false,
        }
    }
}

/// One operation of a leader's stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Op {
    /// A place of an operation that nobody knows any more.
    #[default]
    Unknown,
    /// A message comes.
    Enqueue(u8),
    /// A message goes.
    Remove(Entry),
}

/// What a leader has heard of a mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ack {
    /// From which process.
    pub incarnation: u8,
    /// So far it has applied.
    pub pos: u8,
    /// So far it is durable, with its base.
    pub durable: Option<u8>,
}

/// One node: a process that runs or not, and a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Node {
    /// Its process runs.
    pub alive: bool,
    /// How often it was started.
    pub incarnation: u8,
    /// Which of the catalogue's entries it has learned last.
    pub known: u8,
    /// What its process holds.
    pub memory: Copy,
    /// What its disk holds.
    pub disk: Copy,
    /// The epoch of its stream; 0 without one.
    pub stream: u8,
    /// Operations applied.
    pub pos: u8,
    /// Operations durable; none until the base is.
    pub durable: Option<u8>,
    /// Bits: messages of the base that have yet to come.
    pub lacks: u8,
    /// The operations of its reign.
    pub log: [Op; LOG_MAX],
    /// How many.
    pub log_len: u8,
    /// How many of them remove something.
    pub removes: u8,
    /// What mirrors have acknowledged.
    pub acks: [Option<Ack>; NODES],
    /// Additions under way, by the version they were proposed on.
    pub pending: [Option<u8>; NODES],
    /// Evictions proposed; only looked at when the rule about them is off.
    pub evicting: u8,
    /// The highest position that was confirmed.
    pub confirmed_to: u8,
    /// The next publish of the origin that is connected to it, while it leads.
    pub next: Option<u8>,
}

impl Node {
    /// What this leader did.
    pub fn ops(&self) -> &[Op] {
        &self.log[..usize::from(self.log_len)]
    }

    /// True if there is room for another operation.
    pub fn has_room(&self) -> bool {
        usize::from(self.log_len) < LOG_MAX - 1
    }

    /// One more operation of this leader.
    pub fn log(&mut self, op: Op) {
        self.log[usize::from(self.log_len)] = op;
        self.log_len += 1;
        self.pos = self.log_len;
    }

    /// True if another removal can be remembered.
    pub fn may_remove(&self) -> bool {
        usize::from(self.removes) < REMOVES_MAX
    }

    /// What is known of a leader's reign goes.
    pub fn end_reign(&mut self) {
        self.log = Default::default();
        (self.log_len, self.removes, self.confirmed_to, self.evicting) = (0, 0, 0, 0);
        self.acks = Default::default();
        self.pending = Default::default();
        self.next = None;
    }
}

/// A fault that a step itself has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fault {
    /// None.
    #[default]
    None,
    /// A leader took for new what its own copy had held.
    TakenTwice,
    /// Two processes confirmed in one epoch.
    TwoConfirmers,
}

/// Everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The nodes.
    pub nodes: [Node; NODES],
    pub(crate) history: [Record; HISTORY_MAX],
    pub(crate) history_len: u8,
    /// Proposals that are neither committed nor lost.
    pub proposals: [Option<Proposal>; PROPOSALS_MAX],
    /// Bits: answered with an ack.
    pub confirmed: u8,
    /// Bits: answered with a nack.
    pub nacked: u8,
    /// Bits: taken by a consumer.
    pub consumed: u8,
    /// In which epoch each was confirmed.
    pub confirmed_in: [u8; MESSAGES_MAX as usize],
    /// Which process confirmed in each epoch.
    pub confirmers: [Option<(u8, u8)>; 10],
    /// The last epoch that began with a disk alone.
    pub last_loss: u8,
    /// What is left of the bounds.
    pub crashes: u8,
    /// What is left of the bounds.
    pub deaths: u8,
    /// What is left of the bounds.
    pub proposals_left: u8,
    /// What is left of the bounds.
    pub consumes: u8,
    /// What went wrong.
    pub fault: Fault,
}

impl State {
    /// All nodes run, and know who leads.
    pub fn first(bounds: &Bounds) -> Self {
        let record = Record::first(bounds.in_sync);
        let node = |node: usize| {
            let is_whole = record.copies[node].is_counted();
            Node {
                alive: true,
                incarnation: 1,
                stream: u8::from(is_whole),
                durable: is_whole.then_some(0),
                next: Some(0),
                ..Node::default()
            }
        };
        let mut history = [Record::default(); HISTORY_MAX];
        history[0] = record;
        State {
            nodes: std::array::from_fn(node),
            history,
            history_len: 1,
            proposals: [None; PROPOSALS_MAX],
            confirmed: 0,
            nacked: 0,
            consumed: 0,
            confirmed_in: Default::default(),
            confirmers: Default::default(),
            last_loss: 0,
            crashes: bounds.crashes,
            deaths: bounds.deaths,
            proposals_left: bounds.proposals,
            consumes: bounds.consumes,
            fault: Fault::None,
        }
    }

    /// The record that the node has learned.
    pub fn known(&self, node: usize) -> &Record {
        &self.history[usize::from(self.nodes[node].known)]
    }

    /// The record as it is.
    pub fn record(&self) -> &Record {
        &self.history[usize::from(self.history_len) - 1]
    }

    /// True if this node's process believes that it leads.
    pub fn leads(&self, node: usize) -> bool {
        let known = self.known(node);
        let own = &self.nodes[node];
        own.alive && usize::from(known.leader) == node && known.leader_incarnation == own.incarnation
    }

    /// An entry is committed; false if there is no room to remember it.
    pub(crate) fn commit(&mut self, record: Record) -> bool {
        let at = usize::from(self.history_len);
        if at < HISTORY_MAX {
            self.history[at] = record;
            self.history_len += 1;
        }
        at < HISTORY_MAX
    }

    /// Entries that everybody has learned are forgotten, so that equal states are equal.
    pub(crate) fn compact(&mut self) {
        for node in self.nodes.iter_mut().filter(|node| !node.alive) {
            node.known = self.history_len - 1;
        }
        let oldest = self.nodes.iter().map(|node| node.known).min().unwrap_or_default();
        let len = usize::from(self.history_len);
        self.history.copy_within(usize::from(oldest)..len, 0);
        self.history[len - usize::from(oldest)..len].fill(Record::default());
        self.history_len -= oldest;
        self.nodes.iter_mut().for_each(|node| node.known -= oldest);
        self.proposals.sort_unstable();
    }

    /// Bits: whom this leader waits for.
    pub fn waiting_set(&self, leader: usize, off: Option<Rule>) -> u8 {
        let (known, own) = (self.known(leader), &self.nodes[leader]);
        let waits = |mirror: &usize| {
            let added = own.pending[*mirror].is_some() && off != Some(Rule::WaitForAdded);
            let evicted = off == Some(Rule::WaitUntilEvicted) && own.evicting & (1 << mirror) != 0;
            *mirror == leader || (added || known.copies[*mirror].is_counted()) && !evicted
        };
        (0..NODES).filter(waits).fold(0, |set, mirror| set | 1 << mirror)
    }

    /// A node has learned the next record: it begins to lead, goes on, or leads no more.
    pub(crate) fn follow(&mut self, node: usize, off: Option<Rule>) {
        let record = *self.known(node);
        let leads = self.leads(node);
        let own = &mut self.nodes[node];
        if !leads {
            own.end_reign();
            return;
        }
        if own.stream != record.epoch || own.next.is_none() {
            begin_reign(own, record.epoch, off);
        }
        for mirror in 0..NODES {
            own.pending[mirror] = own.pending[mirror].filter(|version| *version == record.version);
            if record.copies[mirror] == Promise::Syncing {
                own.evicting &= !(1 << mirror);
            }
        }
    }

    /// The same proposal is not made twice.
    pub(crate) fn may_propose(&self, proposal: &Proposal) -> bool {
        self.proposals_left > 0 && self.proposals.contains(&None) && !self.proposals.contains(&Some(*proposal))
    }

    /// Proposes; what to do about the mirror's acknowledgements is the leader's business.
    pub(crate) fn put_proposal(&mut self, proposal: Proposal) {
        if let Some(free) = self.proposals.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(proposal);
            self.proposals_left -= 1;
        }
    }

    /// What the leader would propose on the record that it knows.
    pub(crate) fn proposal(&self, leader: usize, node: usize, act: Act) -> Proposal {
        let known = self.known(leader);
        Proposal {
            act,
            epoch: known.epoch,
            version: known.version,
            node: node as u8,
        }
    }
}

fn begin_reign(own: &mut Node, epoch: u8, off: Option<Rule>) {
    own.end_reign();
    own.stream = epoch;
    own.lacks = 0;
    if off == Some(Rule::RestartBeginsEpoch) {
        // It counts on from the highest number of this epoch that it finds.
        let of_epoch = own.memory.held.entries().iter().filter(|entry| entry.epoch == epoch);
        own.log_len = of_epoch.map(|entry| entry.number).max().unwrap_or_default();
    }
    own.pos = own.log_len;
    own.durable = None;
    own.next = Some(0);
}
