//! Nodes that are to leave, and what becomes of the copies on them.

use crate::mirrors_fixture::{Cluster, all, exactly, policy, queue, shown, uuid};
use crate::{Command, Locator, MirrorAct, MirrorChange, MirrorsProposal, leader};
use model::{Epoch, Table};

fn leaving(node: char, on: bool) -> Command {
    Command::SetLeaving { node: uuid(node), on }
}

fn moving(cluster: &Cluster, node: char) -> usize {
    cluster.fixture.catalog.moving_off(uuid(node)).count()
}

fn quorum(letters: &str) -> Cluster {
    let mut cluster = Cluster::of(letters);
    let mut spec = queue("q", 'a');
    spec.arguments = Table::from([("x-queue-type", "quorum".into())]);
    cluster.apply(Command::DeclareQueue(spec));
    cluster
}

#[test]
fn a_mirror_on_a_node_that_is_to_leave_goes_when_another_is_in_sync() {
    let mut cluster = Cluster::with_queue("abc", exactly(2));
    assert_eq!(cluster.shown(), "e1 a1: a1 b1");
    cluster.apply(leaving('b', true));
    assert_eq!(cluster.shown(), "e1 a1: a1 b1 c-");
    assert_eq!(moving(&cluster, 'b'), 1);
    cluster.propose(cluster.add('c')).unwrap();
    assert_eq!(cluster.shown(), "e1 a1: a1 c1");
    assert_eq!(moving(&cluster, 'b'), 0);
}

#[test]
fn a_leader_that_is_to_leave_hands_over_and_then_its_copy_goes() {
    let mut cluster = Cluster::with_queue("abc", exactly(2));
    cluster.apply(leaving('a', true));
    assert_eq!(cluster.shown(), "e1 a1: a1 b1 c-");
    let wanted = cluster.fixture.catalog.wanted(cluster.record());
    assert_eq!(wanted, Some(cluster.hand_over('b')));
    cluster.propose(wanted.unwrap()).unwrap();
    assert_eq!(
        cluster.shown(),
        "e2 b1: a1 b1 c-",
        "two are in sync as long as c is not"
    );
    assert_eq!(cluster.fixture.catalog.wanted(cluster.record()), None);
    cluster.propose(cluster.add('c')).unwrap();
    assert_eq!(cluster.shown(), "e2 b1: b1 c1");
}

#[test]
fn without_a_node_to_spare_copies_stay_where_they_are_and_nobody_waits_for_them() {
    let mut cluster = Cluster::with_queue("ab", exactly(2));
    cluster.apply(leaving('b', true));
    assert_eq!((cluster.shown().as_str(), moving(&cluster, 'b')), ("e1 a1: a1 b1", 0));
    cluster.apply(leaving('b', false));
    cluster.apply(leaving('a', true));
    assert_eq!(cluster.shown(), "e1 a1: a1 b1");
    cluster.propose(cluster.hand_over('b')).unwrap();
    assert_eq!((cluster.shown().as_str(), moving(&cluster, 'a')), ("e2 b1: a1 b1", 0));
}

#[test]
fn a_copy_on_a_node_that_is_away_is_no_reason_to_give_up_that_on_one_that_is_to_leave() {
    let mut cluster = Cluster::with_queue("abc", exactly(3));
    cluster.apply(policy(exactly(2)));
    assert_eq!(cluster.shown(), "e1 a1: a1 b1");
    cluster.apply(leaving('b', true));
    cluster.propose(cluster.add('c')).unwrap();
    cluster.apply(leaving('b', false));
    cluster.down("c");
    assert_eq!(cluster.shown(), "e1 a1: a1 c1 b-");
    cluster.propose(cluster.add('b')).unwrap();
    assert_eq!(cluster.shown(), "e1 a1: a1 b1");
}

#[test]
fn where_all_nodes_have_copies_those_of_one_that_is_to_leave_stay_in_sync_and_do_not_lead() {
    let mut cluster = Cluster::with_queue("abc", all());
    cluster.apply(leaving('a', true));
    assert_eq!(moving(&cluster, 'a'), 1);
    let wanted = cluster.fixture.catalog.wanted(cluster.record()).unwrap();
    cluster.propose(wanted).unwrap();
    assert_eq!(cluster.shown(), "e2 b1: a1 b1 c1");
    assert_eq!(moving(&cluster, 'a'), 0);
    cluster.apply(Command::DeclareQueue(queue("q2", 'b')));
    let new = cluster.find("q2").unwrap().replicas.clone().unwrap();
    assert_eq!(shown(&new), "e1 b1: b1 c1");
    cluster.apply(leaving('a', false));
    let new = cluster.find("q2").unwrap().replicas.clone().unwrap();
    assert_eq!(shown(&new), "e1 b1: b1 c1 a-", "it stays after all");
}

#[test]
fn a_quorum_queue_gets_another_member_before_one_leaves_and_keeps_its_majority() {
    let mut cluster = quorum("abcd");
    assert_eq!(cluster.shown(), "e1 a1: a1 b1 c1");
    cluster.apply(leaving('b', true));
    assert_eq!(cluster.shown(), "e1 a1: a1 b1 c1 d-");
    assert_eq!((cluster.replicas().min_counted, moving(&cluster, 'b')), (3, 1));
    cluster.propose(cluster.add('d')).unwrap();
    assert_eq!(cluster.shown(), "e1 a1: a1 c1 d1");
    assert_eq!((cluster.replicas().min_counted, moving(&cluster, 'b')), (2, 0));
}

#[test]
fn a_quorum_queue_of_as_many_members_as_there_are_nodes_waits_for_none() {
    let mut cluster = quorum("abc");
    cluster.apply(leaving('c', true));
    assert_eq!(
        (cluster.shown().as_str(), moving(&cluster, 'c')),
        ("e1 a1: a1 b1 c1", 0)
    );
}

#[test]
fn a_node_that_is_to_leave_says_so_after_a_restart_and_leads_nothing_new() {
    let mut cluster = Cluster::with_queue("abc", all());
    cluster.apply(leaving('b', true));
    cluster.restart("b");
    let catalog = &cluster.fixture.catalog;
    assert!(catalog.node(uuid('b')).unwrap().leaving);
    let chosen = leader(catalog, &queue("new", 'b'), Locator::ClientLocal, 0);
    assert_ne!(&*chosen, "b@h");
    cluster.propose(cluster.add('b')).unwrap();
    cluster.down("a");
    assert_eq!(
        crate::mirrors_fixture::letter(cluster.replicas().leader),
        'c',
        "although b's copy is older"
    );
}

#[test]
fn exactly_one_copy_becomes_two_until_the_other_leads() {
    let mut cluster = Cluster::with_queue("ab", exactly(1));
    cluster.apply(leaving('a', true));
    assert_eq!((cluster.shown().as_str(), moving(&cluster, 'a')), ("e1 a1: a1 b-", 1));
    cluster.propose(cluster.add('b')).unwrap();
    let wanted = cluster.fixture.catalog.wanted(cluster.record()).unwrap();
    cluster.propose(wanted).unwrap();
    assert_eq!((cluster.shown().as_str(), moving(&cluster, 'a')), ("e2 b1: b1", 0));
}

#[test]
fn queues_without_a_policy_and_unknown_nodes_are_no_business_of_it() {
    let mut cluster = Cluster::of("ab");
    cluster.apply(Command::DeclareQueue(queue("q", 'a')));
    cluster.apply(leaving('a', true));
    assert!(cluster.record().replicas.is_none());
    assert_eq!(moving(&cluster, 'a'), 0);
    let first = MirrorChange {
        queue: cluster.record().id,
        epoch: Epoch(1),
        version: 1,
        act: MirrorAct::AddCopy(uuid('b')),
    };
    let proposal = MirrorsProposal {
        node: uuid('a'),
        incarnation: 1,
        changes: vec![first],
    };
    cluster.commit(Command::Mirrors(proposal)).unwrap();
    cluster.propose(cluster.add('b')).unwrap();
    assert_eq!(
        cluster.fixture.catalog.wanted(cluster.record()),
        None,
        "who moves it hands it over"
    );
    assert!(cluster.try_apply(leaving('x', true)).is_err());
}
