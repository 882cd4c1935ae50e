//! Members of quorum queues that come and go by an administrator's word.
//!
//! The leader proposes it, whoever is asked; what the definitions refuse is not done. A new member is synchronised as
//! every mirror is, and counts when it has everything; a majority of the members stays counted.

use access::Pattern;
use catalog::{Answer, Command, MirrorAct, MirrorRefusal, MirrorsProposal, OnShutdown, QueueRecord, Transfer};
use link::{Failure, Request, Term};
use model::{NodeUuid, QueueId};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

use super::super::node::Node;
use super::evacuation::change;

/// How long another member may take to lead in the place of one that goes.
const HAND_OVER_PATIENCE: Duration = Duration::from_secs(10);
/// So often a change is proposed anew because the record has changed meanwhile.
const ATTEMPTS_MAX: usize = 20;

/// What becomes of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It comes.
    Add,
    /// It goes.
    Delete,
}

/// A queue that was grown or shrunk, and what came of it.
#[derive(Clone, Debug)]
pub struct Resized {
    /// The queue.
    pub record: Arc<QueueRecord>,
    /// Its members now.
    pub size: usize,
    /// Why it was not done.
    pub outcome: Result<(), Failure>,
}

/// Which quorum queues get a member more.
#[derive(Clone, Debug)]
pub struct Growing {
    /// Those alone whose members are an even number.
    pub even: bool,
    /// By the names of their virtual hosts.
    pub vhost: Pattern,
    /// By their own names.
    pub queue: Pattern,
}

/// A member, and what its leader knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The node's name.
    pub name: String,
    /// `leader`, `follower`, or `noproc` while its node is down.
    pub state: String,
    /// The last operation that it has in memory.
    pub held: Option<u64>,
    /// The last one that it has on disk.
    pub durable: Option<u64>,
    /// The reign.
    pub epoch: u64,
}

impl Member {
    /// As a row for another node, or a tool.
    pub fn row(self) -> Term {
        let index = |index: Option<u64>| index.map_or_else(Term::none, Term::count);
        Term::List(vec![
            Term::atom(self.name),
            Term::atom(self.state),
            index(self.held),
            index(self.durable),
            Term::count(self.epoch),
        ])
    }

    fn of_row(row: &Term) -> Option<Self> {
        let Term::List(cells) = row else { return None };
        let [Term::Atom(name), Term::Atom(state), held, durable, epoch] = cells.as_slice() else {
            return None;
        };
        let index = |cell: &Term| match cell {
            Term::Integer(index) => u64::try_from(*index).ok(),
            _ => None,
        };
        Some(Member {
            name: name.clone(),
            state: state.clone(),
            held: index(held),
            durable: index(durable),
            epoch: index(epoch)?,
        })
    }
}

fn refused(word: &str) -> Failure {
    Failure::Refused(word.to_owned())
}

fn size(record: &QueueRecord) -> usize {
    record.replicas.as_ref().map_or(1, |replicas| replicas.copies.len())
}

impl Node {
    /// Changes the members of a quorum queue, through its leader.
    ///
    /// # Errors
    /// In RabbitMQ's words where it has some.
    pub async fn change_members(&self, record: &QueueRecord, on: &str, what: Membership) -> Result<(), Failure> {
        let node = self.member(record, on, what)?;
        let Some(node) = node else { return Ok(()) };
        if self.is_away(record) {
            return Err(refused("the queue has no leader: too few of its members run"));
        }
        if self.snapshot().is_remote(record) {
            let (vhost, name, node) = (record.vhost.to_string(), record.name.to_string(), on.to_owned());
            let request = match what {
                Membership::Add => Request::AddMember { vhost, name, node },
                Membership::Delete => Request::DeleteMember { vhost, name, node },
            };
            return self.ask_node(&record.leader, request, None).await.map(|_: Term| ());
        }
        match what {
            Membership::Add => self.propose_member(record.id, MirrorAct::AddCopy(node)).await,
            Membership::Delete if node == self.identity().node => self.leave_to_another(record, on).await,
            Membership::Delete => self.propose_member(record.id, MirrorAct::RemoveCopy(node)).await,
        }
    }

    /// The members of a quorum queue, as its leader knows them; as the definitions say where nobody leads it.
    ///
    /// # Errors
    /// It is no quorum queue, or its leader cannot be asked.
    pub async fn members(&self, record: &QueueRecord) -> Result<Vec<Member>, Failure> {
        if !record.is_quorum() {
            return Err(refused("Cannot get quorum status of a classic queue"));
        }
        let snapshot = self.snapshot().clone();
        if !snapshot.is_remote(record) || self.is_away(record) {
            return Ok(self.members_here(record));
        }
        let (vhost, name) = (record.vhost.to_string(), record.name.to_string());
        let request = Request::QuorumStatus { vhost, name };
        match self.ask_node(&record.leader, request, None).await? {
            Term::List(rows) => Ok(rows.iter().filter_map(Member::of_row).collect()),
            _ => Ok(Vec::new()),
        }
    }

    fn members_here(&self, record: &QueueRecord) -> Vec<Member> {
        let Some(replicas) = record.replicas.as_deref() else {
            return Vec::new();
        };
        let known = self.mirrors().led(record.id).map(|led| led.stream.progress());
        let snapshot = self.snapshot();
        let member = |copy: &catalog::CopyRecord| {
            let node = snapshot.catalog.node(copy.node)?;
            let is_leader = copy.node == replicas.leader;
            let state = match (node.up, is_leader) {
                (false, _) => "noproc",
                (true, true) => "leader",
                (true, false) => "follower",
            };
            let progress = known.as_ref().and_then(|(leader, mirrors)| match is_leader {
                true => Some(*leader),
                false => mirrors.get(&copy.node).copied(),
            });
            Some(Member {
                name: node.name.to_string(),
                state: state.to_owned(),
                held: progress.and_then(|progress| progress.held),
                durable: progress.and_then(|progress| progress.durable),
                epoch: replicas.epoch.0,
            })
        };
        replicas.copies.iter().filter_map(member).collect()
    }

    /// The node that is to be a member or none, unless it is so already.
    fn member(&self, record: &QueueRecord, on: &str, what: Membership) -> Result<Option<NodeUuid>, Failure> {
        if !record.is_quorum() {
            return Err(refused("Cannot add members to a classic queue"));
        }
        let snapshot = self.snapshot();
        let found = snapshot.catalog.nodes().find(|node| &*node.name == on);
        let is_member = found.is_some_and(|node| {
            let replicas = record.replicas.as_ref();
            replicas.is_some_and(|replicas| replicas.copy(node.uuid).is_some())
        });
        match (what, found) {
            (Membership::Add, None) => Err(refused("node_not_running")),
            (Membership::Add, Some(node)) if !node.up => Err(refused("node_not_running")),
            (Membership::Add, Some(node)) => Ok(Some(node.uuid).filter(|_| !is_member)),
            (Membership::Delete, Some(node)) if is_member && size(record) == 1 => {
                tracing::debug!(node = %node.name, "the last member of {} stays", record.title());
                Err(refused("last_node"))
            }
            (Membership::Delete, found) => Ok(found.map(|node| node.uuid).filter(|_| is_member)),
        }
    }

    /// Gives a node a copy of a queue that is led here, or takes it away, by name. What its policy wants is looked at again when a policy or a node
    /// changes.
    ///
    /// # Errors
    /// In whose words there are that it cannot be.
    pub async fn change_copies(&self, record: &QueueRecord, on: &str, what: Membership) -> Result<(), Failure> {
        if record.is_quorum() {
            return self.change_members(record, on, what).await;
        }
        if self.snapshot().is_remote(record) {
            return Err(Failure::Refused(format!(
                "{} is led by {}: ask that node",
                record.title(),
                record.leader
            )));
        }
        let found = self.snapshot().catalog.node_by_name(on).map(|node| node.uuid);
        let node = found.ok_or_else(|| Failure::Refused(format!("there is no node '{on}'")))?;
        let has_one = record.replicas.as_ref().is_some_and(|all| all.copy(node).is_some());
        match what {
            Membership::Add if !has_one => self.propose_member(record.id, MirrorAct::AddCopy(node)).await,
            Membership::Delete if has_one => self.propose_member(record.id, MirrorAct::RemoveCopy(node)).await,
            Membership::Add | Membership::Delete => Ok(()),
        }
    }

    /// The leader's own copy goes once another leads: that one proposes it.
    async fn leave_to_another(&self, record: &QueueRecord, on: &str) -> Result<(), Failure> {
        let stays = || refused("the member leads the queue, and no other member is in sync that could");
        let from = self.identity().node;
        let to = match self.snapshot().catalog.on_shutdown(record) {
            OnShutdown::HandOver { node, .. } => node,
            OnShutdown::Elected(_) | OnShutdown::Force(_) | OnShutdown::Wait => return Err(stays()),
        };
        let queue = record.id;
        let deadline = Instant::now() + HAND_OVER_PATIENCE;
        if self.hand_over(&[Transfer { queue, from, to }], deadline).await == 0 {
            return Err(stays());
        }
        let (vhost, name, node) = (record.vhost.to_string(), record.name.to_string(), on.to_owned());
        let found = self.snapshot().catalog.node(to).map(|node| node.name.clone());
        let leader = found.ok_or_else(stays)?;
        let request = Request::DeleteMember { vhost, name, node };
        self.ask_node(&leader, request, None).await.map(|_: Term| ())
    }

    /// Proposes it on the record as it is, again if that has changed meanwhile.
    async fn propose_member(&self, queue: QueueId, act: MirrorAct) -> Result<(), Failure> {
        let identity = self.identity();
        for _ in 0..ATTEMPTS_MAX {
            let record = self.snapshot().catalog.queue_by_id(queue).cloned();
            let record = record.ok_or(Failure::NotFound)?;
            let proposal = MirrorsProposal {
                node: identity.node,
                incarnation: identity.incarnation,
                changes: vec![change(&record, act)],
            };
            match self.commit(Command::Mirrors(proposal)).await {
                Ok(Answer::Mirrors(outcomes)) => match outcomes.into_iter().next() {
                    None | Some(Err(MirrorRefusal::Stale { .. })) => {}
                    Some(Ok(())) => return Ok(()),
                    Some(Err(why)) => return Err(Failure::Refused(why.to_string())),
                },
                Ok(_) => {}
                Err(refusal) => return Err(Failure::Refused(refusal.text)),
            }
        }
        Err(refused("the queue's members change all the time, try again"))
    }

    /// Adds a member on that node to every quorum queue that is meant and has none there.
    pub async fn grow(&self, on: &str, meant: &Growing) -> Vec<Resized> {
        let snapshot = self.snapshot().clone();
        let Some(node) = snapshot.catalog.nodes().find(|node| &*node.name == on && node.up) else {
            return Vec::new();
        };
        let copy_here = |record: &QueueRecord| {
            record
                .replicas
                .as_ref()
                .is_some_and(|all| all.copy(node.uuid).is_some())
        };
        let is_meant = |record: &&Arc<QueueRecord>| {
            record.is_quorum()
                && !copy_here(record)
                && (!meant.even || size(record).is_multiple_of(2))
                && meant.vhost.matches(record.vhost.as_str())
                && meant.queue.matches(record.name.as_str())
        };
        let records: Vec<_> = snapshot.catalog.queues().filter(is_meant).cloned().collect();
        self.resize(records, on, Membership::Add).await
    }

    /// Takes the members away that quorum queues have on that node.
    pub async fn shrink_members(&self, on: &str) -> Vec<Resized> {
        let snapshot = self.snapshot().clone();
        let Some(node) = snapshot.catalog.nodes().find(|node| &*node.name == on) else {
            return Vec::new();
        };
        let copies = snapshot.catalog.copies_on(node.uuid);
        let records: Vec<_> = copies.filter(|record| record.is_quorum()).cloned().collect();
        self.resize(records, on, Membership::Delete).await
    }

    async fn resize(&self, records: Vec<Arc<QueueRecord>>, on: &str, what: Membership) -> Vec<Resized> {
        let mut all = Vec::new();
        for record in records {
            let outcome = self.change_members(&record, on, what).await;
            let before = size(&record);
            let size = match (&outcome, what) {
                (Err(_), _) => before,
                (Ok(()), Membership::Add) => before + 1,
                (Ok(()), Membership::Delete) => before - 1,
            };
            all.push(Resized { record, size, outcome });
        }
        all
    }
}
