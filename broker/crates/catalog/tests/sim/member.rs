//! One node: what is on its disk, what its process knows, and what it has asked for. It follows the log with the real
//! state machine and tells what it saw; it judges nothing.

use crate::log::Proposal;
use catalog::{Answer, Catalog, Command, Event, Image};
use model::{NodeUuid, Refusal};
use std::collections::BTreeMap;

/// The last proposal of each node that was performed: its start and its number.
pub(crate) type Progress = BTreeMap<NodeUuid, (u64, u64)>;

/// What came of a proposal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// It had been performed before, or a later one had.
    Skipped,
    /// Each command's answer and events.
    Performed(Vec<(Result<Answer, Refusal>, Vec<Event>)>),
}

/// Definitions, and how far the log has been followed.
#[derive(Clone, Default)]
pub(crate) struct Replica {
    /// The definitions.
    pub(crate) catalog: Catalog,
    /// So many entries.
    pub(crate) applied: usize,
    /// What was performed.
    pub(crate) progress: Progress,
}

impl Replica {
    /// Follows the next entry.
    pub(crate) fn follow(&mut self, proposal: &Proposal) -> Outcome {
        self.applied += 1;
        let this = (proposal.incarnation, proposal.number);
        if self.progress.get(&proposal.origin).is_some_and(|last| *last >= this) {
            return Outcome::Skipped;
        }
        self.progress.insert(proposal.origin, this);
        let perform = |command: &Command| {
            let mut events = Vec::new();
            let answer = self.catalog.apply(command.clone(), &mut events);
            (answer, events)
        };
        Outcome::Performed(proposal.commands.iter().map(perform).collect())
    }

    /// Written down.
    pub(crate) fn write(&self) -> Snapshot {
        Snapshot {
            octets: rmp_serde::to_vec_named(&self.catalog.image()).unwrap(),
            applied: self.applied,
            progress: self.progress.clone(),
        }
    }
}

/// A replica as octets.
#[derive(Clone)]
pub(crate) struct Snapshot {
    octets: Vec<u8>,
    /// So many entries are in it.
    pub(crate) applied: usize,
    progress: Progress,
}

impl Snapshot {
    /// Read back.
    pub(crate) fn read(&self) -> Replica {
        let image: Image = rmp_serde::from_slice(&self.octets).unwrap();
        Replica {
            catalog: Catalog::try_from(image).unwrap(),
            applied: self.applied,
            progress: self.progress.clone(),
        }
    }
}

/// A node.
pub(crate) struct Member {
    /// Its identity; another one when its disk was lost.
    pub(crate) uuid: NodeUuid,
    /// `n1@h`.
    pub(crate) name: String,
    /// On its disk: how often it was started.
    pub(crate) incarnation: u64,
    /// On its disk: the last snapshot.
    pub(crate) snapshot: Option<Snapshot>,
    /// Its process runs.
    pub(crate) runs: bool,
    /// It hears of nobody, nor anybody of it.
    pub(crate) alone: bool,
    /// What its process knows.
    pub(crate) replica: Replica,
    /// Whom it believes to lead.
    pub(crate) leader: Option<usize>,
    /// What clients want that is not proposed yet.
    pub(crate) wanted: Vec<Command>,
    /// What it has proposed and not heard of, and for how many steps more it will wait.
    pub(crate) proposed: Option<(Proposal, u64)>,
    /// Proposals since its start.
    pub(crate) number: u64,
    /// Drawn by its process.
    pub(crate) boot_id: u64,
    /// It has asked to be known before it knew itself to be a member.
    pub(crate) asked_blindly: bool,
    /// The others do not want this process: it has ended.
    pub(crate) refused: bool,
}

impl Member {
    /// A blank one.
    pub(crate) fn new(place: usize, uuid: u128) -> Self {
        Member {
            uuid: NodeUuid(uuid),
            name: format!("n{place}@h"),
            incarnation: 0,
            snapshot: None,
            runs: false,
            alone: false,
            replica: Replica::default(),
            leader: None,
            wanted: Vec::new(),
            proposed: None,
            number: 0,
            boot_id: 0,
            asked_blindly: false,
            refused: false,
        }
    }

    /// A new process: it knows what is on the disk.
    pub(crate) fn start(&mut self, boot_id: u64) {
        self.runs = true;
        self.boot_id = boot_id;
        self.incarnation += 1;
        self.number = 0;
        (self.asked_blindly, self.refused) = (false, false);
        self.proposed = None;
        self.leader = None;
        self.replica = self.snapshot.as_ref().map(Snapshot::read).unwrap_or_default();
        self.wanted = Vec::new();
    }

    /// What it says of its process.
    pub(crate) fn up(&self) -> Command {
        Command::NodeUp {
            node: self.uuid,
            name: self.name.as_str().into(),
            incarnation: self.incarnation,
            boot_id: self.boot_id,
            mirrors: true,
        }
    }

    /// Its own start is committed as far as it knows: it serves clients.
    pub(crate) fn serves(&self) -> bool {
        let own = self.replica.catalog.node(self.uuid);
        let this = (self.incarnation, self.boot_id);
        self.runs && own.is_some_and(|own| own.up && (own.incarnation, own.boot_id) == this)
    }

    /// What it wants becomes a proposal, if it waits for none.
    pub(crate) fn propose(&mut self, patience: u64) {
        if self.proposed.is_none() && !self.wanted.is_empty() {
            self.number += 1;
            let proposal = Proposal {
                origin: self.uuid,
                incarnation: self.incarnation,
                number: self.number,
                commands: std::mem::take(&mut self.wanted),
            };
            self.proposed = Some((proposal, patience));
        }
    }
}
