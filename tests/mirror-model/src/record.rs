//! The catalogue's side of the model: the record of one queue, and what each entry makes of it.
//!
//! Atomic and total: every entry that is committed meets the newest record. Nothing here knows messages.

use crate::rules::Rule;
use std::fmt;

/// Nodes of the model.
pub(crate) const NODES: usize = 3;

/// What a copy promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Promise {
    /// Nothing.
    #[default]
    Syncing,
    /// Its disk has every confirmed persistent message.
    Disk,
    /// That process has every confirmed message.
    InSync(u8),
}

impl Promise {
    /// Confirms wait for it.
    pub fn is_counted(self) -> bool {
        self != Promise::Syncing
    }
}

/// The record, and the node table as far as it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Record {
    /// Grows with every reign.
    pub epoch: u8,
    /// Grows with every change.
    pub version: u8,
    /// Who leads.
    pub leader: u8,
    /// Which of that node's starts.
    pub leader_incarnation: u8,
    /// Oldest first.
    pub copies: [Promise; NODES],
    /// Bits: who is not known to be gone.
    pub up: u8,
    /// The last start of each node.
    pub incarnations: [u8; NODES],
}

/// What a leader proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Act {
    /// Confirms do not wait for it any more.
    Evict,
    /// It is complete, by what that start of it has acknowledged.
    AddInSync(u8),
    /// It leads.
    HandOver,
}

/// A proposal under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Proposal {
    /// What.
    pub act: Act,
    /// The epoch that the leader knew.
    pub epoch: u8,
    /// The version that it knew.
    pub version: u8,
    /// Whose copy.
    pub node: u8,
}

impl Record {
    /// Three nodes that run; the first leads; those of the bits are in sync.
    pub fn first(in_sync: u8) -> Self {
        let promise = |node: usize| match in_sync & (1 << node) != 0 {
            true => Promise::InSync(1),
            false => Promise::Syncing,
        };
        Record {
            epoch: 1,
            version: 1,
            leader: 0,
            leader_incarnation: 1,
            copies: std::array::from_fn(promise),
            up: 0b111,
            incarnations: [1; NODES],
        }
    }

    /// Not known to be gone.
    pub fn is_up(&self, node: usize) -> bool {
        self.up & (1 << node) != 0
    }

    /// In sync, in the process that runs.
    pub fn is_in_sync(&self, node: usize) -> bool {
        self.is_up(node) && self.copies[node] == Promise::InSync(self.incarnations[node])
    }

    fn is_led(&self) -> bool {
        let leader = usize::from(self.leader);
        self.is_up(leader) && self.incarnations[leader] == self.leader_incarnation
    }

    fn can_lead(&self, node: usize) -> bool {
        self.is_up(node) && self.copies[node].is_counted()
    }

    /// At the end of every entry. `last_loss` is the last epoch that began with a disk alone.
    fn elect(&mut self, last_loss: &mut u8, off: Option<Rule>) {
        if self.is_led() {
            return;
        }
        let leader = usize::from(self.leader);
        if off == Some(Rule::RestartBeginsEpoch) && self.is_up(leader) {
            self.leader_incarnation = self.incarnations[leader];
            self.copies[leader] = Promise::InSync(self.leader_incarnation);
            self.version += 1;
            *last_loss = self.epoch;
            return;
        }
        let in_sync = (0..NODES).find(|node| self.is_in_sync(*node));
        let oldest_disk = || (0..NODES).find(|node| self.can_lead(*node));
        let disk = if self.can_lead(leader) {
            Some(leader)
        } else {
            oldest_disk()
        };
        let winner = if off == Some(Rule::InSyncFirst) {
            disk
        } else {
            in_sync.or(disk)
        };
        let Some(winner) = winner else { return };
        let loses = !self.is_in_sync(winner) && (0..NODES).all(|other| other == winner || !self.is_in_sync(other));
        self.crown(winner);
        if loses {
            *last_loss = self.epoch;
        }
    }

    fn crown(&mut self, node: usize) {
        self.epoch += 1;
        self.version += 1;
        self.leader = node as u8;
        self.leader_incarnation = self.incarnations[node];
        self.copies[node] = Promise::InSync(self.leader_incarnation);
    }

    /// A new process of a node.
    pub fn restarted(mut self, node: usize, incarnation: u8, last_loss: &mut u8, off: Option<Rule>) -> Self {
        self.up |= 1 << node;
        self.incarnations[node] = incarnation;
        self.version += 1;
        if matches!(self.copies[node], Promise::InSync(_)) {
            self.copies[node] = match off {
                Some(Rule::RestartDemotes) => Promise::InSync(incarnation),
                Some(Rule::DeathKeepsCounted) => Promise::Syncing,
                _ => Promise::Disk,
            };
        }
        self.elect(last_loss, off);
        self
    }

    /// A process that was only thought dead.
    pub fn came_back(mut self, node: usize, last_loss: &mut u8, off: Option<Rule>) -> Self {
        self.up |= 1 << node;
        self.elect(last_loss, off);
        self
    }

    /// A process is thought dead.
    pub fn died(mut self, node: usize, last_loss: &mut u8, off: Option<Rule>) -> Self {
        self.up &= !(1 << node);
        self.elect(last_loss, off);
        self
    }

    /// A proposal is committed, or refused.
    pub fn proposed(mut self, proposal: Proposal, floor: usize, last_loss: &mut u8, off: Option<Rule>) -> Self {
        let same_epoch = off == Some(Rule::CompareEpoch) || proposal.epoch == self.epoch;
        let compares = !matches!(off, Some(Rule::CompareEpoch | Rule::CompareVersion));
        if same_epoch && (!compares || proposal.version == self.version) {
            self.accept(proposal, floor, off);
        }
        if off != Some(Rule::ElectAlways) {
            self.elect(last_loss, off);
        }
        self
    }

    fn accept(&mut self, proposal: Proposal, floor: usize, off: Option<Rule>) {
        let node = usize::from(proposal.node);
        match proposal.act {
            Act::Evict => {
                let counted = self.copies.iter().filter(|copy| copy.is_counted()).count();
                let is_leader = self.leader == proposal.node && off != Some(Rule::CompareEpoch);
                if !is_leader && (!self.copies[node].is_counted() || counted > floor) {
                    self.copies[node] = Promise::Syncing;
                    self.version += 1;
                }
            }
            Act::AddInSync(incarnation) => {
                if incarnation == self.incarnations[node] || off == Some(Rule::CompareIncarnation) {
                    self.copies[node] = Promise::InSync(self.incarnations[node]);
                    self.version += 1;
                }
            }
            Act::HandOver => {
                if self.is_in_sync(node) {
                    self.crown(node);
                }
            }
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "e{} v{} leader n{}.{} [",
            self.epoch, self.version, self.leader, self.leader_incarnation
        )?;
        for (node, copy) in self.copies.iter().enumerate() {
            match copy {
                Promise::Syncing => write!(f, " n{node}:-")?,
                Promise::Disk => write!(f, " n{node}:disk")?,
                Promise::InSync(incarnation) => write!(f, " n{node}:{incarnation}")?,
            }
        }
        write!(f, " ] up={:03b}", self.up)
    }
}
