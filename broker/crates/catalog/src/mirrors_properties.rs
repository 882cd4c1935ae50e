//! Whatever entries come in whatever order, no rule of the record is ever broken, and every node sees the same.

use crate::mirrors_fixture::{Cluster, add_node, all, exactly, no_policy, node_up, nodes, policy, queue, uuid};
use crate::{
    Catalog, Command, CopyState, Event, Image, MirrorAct, MirrorChange, MirrorsProposal, NodeDeath, QueueRecord,
    QueueSpec, Replicas,
};
use model::{NodeUuid, QueueId, Table};
use proptest::prelude::*;
use std::collections::BTreeMap;

const NODES: [char; 4] = ['a', 'b', 'c', 'd'];

/// An entry to be made of the state it meets.
#[derive(Clone, Debug)]
enum Entry {
    Restart(usize),
    ComeBack(usize),
    Down(u8),
    Policy(usize),
    Declare {
        queue: usize,
        leader: usize,
    },
    Delete(usize),
    /// Proposed by the queue's leader on its record as it is now, and committed at once or after `later` more entries.
    Propose {
        queue: usize,
        act: usize,
        node: usize,
        later: usize,
    },
    Force(usize),
    Remove(usize),
}

fn entry() -> impl Strategy<Value = Entry> {
    let (node, queue) = (0..NODES.len(), 0..4usize);
    prop_oneof![
        3 => node.clone().prop_map(Entry::Restart),
        2 => node.clone().prop_map(Entry::ComeBack),
        3 => (1..16u8).prop_map(Entry::Down),
        1 => (0..6usize).prop_map(Entry::Policy),
        2 => (queue.clone(), node.clone()).prop_map(|(queue, leader)| Entry::Declare { queue, leader }),
        1 => queue.clone().prop_map(Entry::Delete),
        9 => (queue.clone(), 0..6usize, node.clone(), 0..4usize)
            .prop_map(|(queue, act, node, later)| Entry::Propose { queue, act, node, later }),
        1 => queue.prop_map(Entry::Force),
        1 => node.prop_map(Entry::Remove),
    ]
}

fn name(queue: usize) -> String {
    format!("q{queue}")
}

fn definition(choice: usize) -> Option<Table> {
    [
        Some(all()),
        Some(exactly(2)),
        Some(exactly(3)),
        Some(nodes("bc")),
        Some(nodes("d")),
        None,
    ][choice]
        .clone()
}

fn incarnation(catalog: &Catalog, node: char) -> u64 {
    catalog.node(uuid(node)).map_or(0, |known| known.incarnation)
}

fn act(catalog: &Catalog, choice: usize, node: char) -> MirrorAct {
    let (node, incarnation) = (uuid(node), incarnation(catalog, node));
    match choice {
        0 => MirrorAct::Evict(node),
        1 | 2 => MirrorAct::AddInSync { node, incarnation },
        3 => MirrorAct::HandOver { node, incarnation },
        4 => MirrorAct::AddCopy(node),
        _ => MirrorAct::RemoveCopy(node),
    }
}

fn propose(catalog: &Catalog, queue: usize, choice: usize, node: char) -> Option<Command> {
    let record = catalog.queue("/", &name(queue))?;
    let replicas = record.replicas.as_deref()?;
    Some(Command::Mirrors(MirrorsProposal {
        node: replicas.leader,
        incarnation: replicas.leader_incarnation,
        changes: vec![MirrorChange {
            queue: record.id,
            epoch: replicas.epoch,
            version: replicas.version,
            act: act(catalog, choice, node),
        }],
    }))
}

/// The last queue is not durable.
fn declared(number: usize, leader: char) -> QueueSpec {
    QueueSpec {
        durable: number != 3,
        ..queue(&name(number), leader)
    }
}

fn command(catalog: &Catalog, entry: &Entry) -> Option<Command> {
    let id = |queue: usize| catalog.queue("/", &name(queue)).map(|record| record.id);
    match *entry {
        Entry::Restart(node) => Some(node_up(NODES[node], incarnation(catalog, NODES[node]) + 1)),
        Entry::ComeBack(node) => Some(node_up(NODES[node], incarnation(catalog, NODES[node]).max(1))),
        Entry::Down(set) => {
            let dead = NODES.iter().enumerate().filter(|(place, _)| set & (1 << place) != 0);
            let death = |(_, node): (usize, &char)| NodeDeath {
                node: uuid(*node),
                incarnation: incarnation(catalog, *node),
            };
            Some(Command::NodeDown(dead.map(death).collect()))
        }
        Entry::Policy(choice) => Some(definition(choice).map_or_else(no_policy, policy)),
        Entry::Declare { queue, leader } => Some(Command::DeclareQueue(declared(queue, NODES[leader]))),
        Entry::Delete(queue) => id(queue).map(Command::DeleteQueue),
        Entry::Propose { queue, act, node, .. } => propose(catalog, queue, act, NODES[node]),
        Entry::Force(queue) => id(queue).map(Command::ForcePromote),
        Entry::Remove(node) => Some(Command::RemoveNode(uuid(NODES[node]))),
    }
}

/// What was ever seen, to be compared with what comes.
#[derive(Default)]
struct Auditor {
    reigns: BTreeMap<(QueueId, u64), (NodeUuid, u64)>,
    incarnations: BTreeMap<NodeUuid, u64>,
}

fn is_candidate(catalog: &Catalog, copy: &crate::CopyRecord) -> bool {
    let up = catalog
        .node(copy.node)
        .filter(|node| node.up)
        .map(|node| node.incarnation);
    match copy.state {
        CopyState::InSync { incarnation } => up == Some(incarnation),
        CopyState::Disk => up.is_some(),
        CopyState::Syncing => false,
    }
}

impl Auditor {
    fn look(&mut self, catalog: &Catalog) {
        for node in catalog.nodes() {
            let last = self
                .incarnations
                .insert(node.uuid, node.incarnation)
                .unwrap_or_default();
            assert!(node.incarnation >= last, "V11: {node:?} was {last}");
        }
        for record in catalog.queues() {
            if let Some(replicas) = record.replicas.as_deref() {
                self.look_at(catalog, record, replicas);
            }
        }
    }

    fn look_at(&mut self, catalog: &Catalog, record: &QueueRecord, replicas: &Replicas) {
        assert!(replicas.is_counted(replicas.leader), "V9: {replicas:?}");
        let mut copies: Vec<_> = replicas.copies.iter().map(|copy| copy.node).collect();
        copies.sort_unstable();
        copies.dedup();
        assert_eq!(copies.len(), replicas.copies.len(), "one copy a node: {replicas:?}");
        assert!(
            copies.iter().all(|node| catalog.node(*node).is_some()),
            "a member's: {replicas:?}"
        );
        assert_eq!(record.leader, catalog.node(replicas.leader).unwrap().name);
        assert!(record.owner.is_none());
        let reign = (replicas.leader, replicas.leader_incarnation);
        let known = *self.reigns.entry((record.id, replicas.epoch.0)).or_insert(reign);
        assert_eq!(known, reign, "V1: one process an epoch");
        let elected = catalog.is_led(replicas) || !replicas.copies.iter().any(|copy| is_candidate(catalog, copy));
        assert!(elected, "R4: somebody could lead {replicas:?}");
    }
}

fn counted(catalog: &Catalog) -> Vec<(QueueId, Vec<NodeUuid>)> {
    let of = |record: &QueueRecord| {
        let replicas = record.replicas.as_deref()?;
        Some((record.id, replicas.counted().map(|copy| copy.node).collect()))
    };
    catalog
        .queues()
        .filter(|record| record.durable)
        .filter_map(|record| of(record))
        .collect()
}

/// R3: what is counted stays so when nodes die, unless something else in sync takes its place by policy.
fn check_death(before: &[(QueueId, Vec<NodeUuid>)], catalog: &Catalog) {
    for (id, counted) in before {
        let now = catalog
            .queue_by_id(*id)
            .and_then(|record| record.replicas.clone())
            .unwrap();
        let kept = counted.iter().filter(|node| now.is_counted(**node)).count();
        let has_policy = catalog
            .queue_by_id(*id)
            .is_some_and(|record| record.ha_mode().is_some());
        let led = catalog.is_led(&now);
        assert!(
            kept == counted.len() || led || !has_policy,
            "R3: {counted:?} became {now:?}"
        );
    }
}

/// Ascending epochs and versions, told of one by one.
fn check_events(events: &[Event]) {
    for event in events {
        let Event::QueueReplicasChanged { before, now } = event else {
            continue;
        };
        let now = now.replicas.as_deref().unwrap();
        let Some(before) = before.replicas.as_deref() else {
            continue;
        };
        assert!(now.version > before.version, "{before:?} became {now:?}");
        let same_reign = before.is_led_by(now.leader, now.leader_incarnation);
        let steps = now.epoch.0 - before.epoch.0;
        assert_eq!(same_reign, steps == 0, "{before:?} became {now:?}");
    }
}

fn written_and_read(catalog: &Catalog) -> Catalog {
    let octets = rmp_serde::to_vec_named(&catalog.image()).unwrap();
    Catalog::try_from(rmp_serde::from_slice::<Image>(&octets).unwrap()).unwrap()
}

/// Entries, and proposals that are committed when their time has come.
fn log(cluster: &mut Cluster, entries: &[Entry]) -> Vec<Command> {
    let (mut auditor, mut committed) = (Auditor::default(), Vec::new());
    let mut waiting: Vec<(usize, Command)> = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let made = command(&cluster.fixture.catalog, entry);
        if let (Entry::Propose { later, .. }, Some(made)) = (entry, made.clone()) {
            waiting.push((at + later, made));
        }
        let due: Vec<Command> = waiting
            .iter()
            .filter(|(when, _)| *when == at)
            .map(|(_, due)| due.clone())
            .collect();
        let now = made.filter(|_| !matches!(entry, Entry::Propose { .. }));
        for command in due.into_iter().chain(now) {
            let before = counted(&cluster.fixture.catalog);
            let is_death = matches!(command, Command::NodeDown(_));
            committed.push(command.clone());
            let applied = cluster.try_apply(command).is_ok();
            auditor.look(&cluster.fixture.catalog);
            check_events(&cluster.fixture.events);
            if is_death && applied {
                check_death(&before, &cluster.fixture.catalog);
            }
        }
    }
    committed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_rule_is_broken_and_every_node_sees_the_same(
        entries in prop::collection::vec(entry(), 1..80),
        cut in 0..80usize,
    ) {
        let mut first = Cluster::of("abcd");
        first.apply(policy(all()));
        (0..4).for_each(|number| drop(first.apply(Command::DeclareQueue(declared(number, 'a')))));
        let mut second = Cluster::of("abcd");
        second.apply(policy(all()));
        (0..4).for_each(|number| drop(second.apply(Command::DeclareQueue(declared(number, 'a')))));
        let committed = log(&mut first, &entries);
        for (at, command) in committed.into_iter().enumerate() {
            if at == cut {
                second.fixture.catalog = written_and_read(&second.fixture.catalog);
            }
            let _refused = second.try_apply(command).is_err();
        }
        prop_assert_eq!(&second.fixture.catalog, &first.fixture.catalog);
        prop_assert_eq!(&written_and_read(&first.fixture.catalog), &first.fixture.catalog);
    }
}

#[test]
fn a_node_that_was_added_again_begins_with_nothing() {
    let mut cluster = Cluster::with_queue("ab", all());
    cluster.down("b");
    cluster.apply(Command::RemoveNode(uuid('b')));
    cluster.apply(add_node('c'));
    cluster.apply(node_up('c', 1));
    assert_eq!(cluster.shown(), "e1 a1: a1 c-");
}
