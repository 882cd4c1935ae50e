//! What must hold after every entry, whatever the order: judged on one replica that follows everything that is committed at
//! once. What other nodes see is compared with what it saw.

use crate::log::Proposal;
use crate::member::{Outcome, Replica};
use catalog::{Catalog, Command, Event, QueueRecord};
use model::{NodeUuid, QueueId};
use std::collections::{BTreeMap, BTreeSet};

/// The first to follow, and all it has seen.
#[derive(Default)]
pub(crate) struct Auditor {
    /// Everything that is committed.
    pub(crate) replica: Replica,
    /// After so many entries.
    states: Vec<Catalog>,
    outcomes: Vec<Outcome>,
    performed: BTreeSet<(NodeUuid, u64, u64)>,
    incarnations: BTreeMap<NodeUuid, (u64, u64)>,
    reigns: BTreeMap<(QueueId, u64), (NodeUuid, u64)>,
    gone: BTreeSet<NodeUuid>,
}

impl Auditor {
    /// Follows an entry and looks at what came of it. True if it was performed.
    pub(crate) fn follow(&mut self, proposal: &Proposal) -> bool {
        if self.states.is_empty() {
            self.states.push(self.replica.catalog.clone());
        }
        let before = self.replica.catalog.clone();
        let outcome = self.replica.follow(proposal);
        if let Outcome::Performed(answers) = &outcome {
            let first = self
                .performed
                .insert((proposal.origin, proposal.incarnation, proposal.number));
            assert!(first, "performed twice: {proposal:?}");
            self.replay(before, proposal);
            for (command, (answer, events)) in proposal.commands.iter().zip(answers) {
                assert!(
                    answer.is_ok() || events.is_empty(),
                    "refused, and yet told: {command:?}"
                );
                check_events(events);
            }
            self.look();
        }
        self.states.push(self.replica.catalog.clone());
        let performed = matches!(outcome, Outcome::Performed(_));
        self.outcomes.push(outcome);
        performed
    }

    /// The same again, step by step: a command that is refused changes nothing, and what lived in the memory of a process
    /// is gone once the process is known to be.
    fn replay(&self, mut state: Catalog, proposal: &Proposal) {
        for command in &proposal.commands {
            let before = state.clone();
            match state.apply(command.clone(), &mut Vec::new()) {
                Ok(_) => look_at_dead(&state, command),
                Err(_) => assert_eq!(state, before, "refused, and yet changed: {command:?}"),
            }
        }
        assert_eq!(state, self.replica.catalog, "the same commands on the same state");
    }

    /// What another node saw of the entry that it has just followed.
    pub(crate) fn compare(&self, applied: usize, outcome: &Outcome) {
        assert_eq!(outcome, &self.outcomes[applied - 1], "entry {applied}");
    }

    /// A node's definitions are those of the log as far as it has followed: no others, and nothing uncommitted (I6).
    pub(crate) fn compare_state(&self, replica: &Replica) {
        if let Some(state) = self.states.get(replica.applied) {
            assert_eq!(&replica.catalog, state, "after {} entries", replica.applied);
        } else {
            assert_eq!(replica.applied, 0, "nothing is committed");
        }
    }

    fn look(&mut self) {
        let catalog = &self.replica.catalog;
        for node in catalog.nodes() {
            let now = (node.incarnation, node.boot_id);
            let last = self.incarnations.insert(node.uuid, now).unwrap_or(now);
            assert!(now.0 >= last.0, "V11: {node:?} was start {}", last.0);
            assert!(
                now.0 > last.0 || now.1 == last.1 || last.0 == 0,
                "one process a start: {node:?}"
            );
            assert!(!self.gone.contains(&node.uuid), "{node:?} was removed");
        }
        let removed = self.incarnations.keys().filter(|node| catalog.is_removed(**node));
        self.gone.extend(removed.copied().collect::<Vec<_>>());
        let mut names: Vec<_> = catalog.nodes().map(|node| &node.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), catalog.nodes().count(), "one node a name");
        let records: Vec<_> = catalog.queues().cloned().collect();
        records.iter().for_each(|record| self.look_at(record));
    }

    fn look_at(&mut self, record: &QueueRecord) {
        let catalog = &self.replica.catalog;
        let by_name = catalog.queue(record.vhost.as_str(), record.name.as_str());
        assert_eq!(
            by_name.map(|found| found.id),
            Some(record.id),
            "found by its name: {record:?}"
        );
        let Some(replicas) = record.replicas.as_deref() else {
            return;
        };
        assert!(replicas.is_counted(replicas.leader), "V9: {replicas:?}");
        let members = replicas.copies.iter().all(|copy| catalog.node(copy.node).is_some());
        assert!(members, "a copy where no member is: {replicas:?}");
        let reign = (replicas.leader, replicas.leader_incarnation);
        let known = *self.reigns.entry((record.id, replicas.epoch.0)).or_insert(reign);
        assert_eq!(known, reign, "V1: one process an epoch: {record:?}");
    }
}

fn look_at_dead(state: &Catalog, command: &Command) {
    let Command::NodeDown(deaths) = command else { return };
    let dead = deaths
        .iter()
        .filter_map(|death| state.node(death.node))
        .filter(|node| !node.up);
    for node in dead {
        let mut led = state
            .queues()
            .filter(|queue| queue.leader == node.name && queue.replicas.is_none());
        let left = led.find(|queue| !queue.durable || queue.owner.is_some());
        assert_eq!(left, None, "{node:?} is dead, and what it had in memory is there");
    }
}

/// Epochs and versions ascend.
fn check_events(events: &[Event]) {
    for event in events {
        let Event::QueueReplicasChanged { before, now } = event else {
            continue;
        };
        if let (Some(before), Some(now)) = (before.replicas.as_deref(), now.replicas.as_deref()) {
            assert!(
                now.version > before.version && now.epoch >= before.epoch,
                "{before:?} became {now:?}"
            );
        }
    }
}
