//! Quorum queues: members chosen once, a majority of them always counted, and no policy that moves them.

use crate::mirrors_fixture::{Cluster, all, letter, policy, queue, uuid};
use crate::{Command, MirrorAct, MirrorRefusal, QueueSpec};
use model::{Table, Value};

fn quorum(name: &str, leader: char, more: &[(&str, i64)]) -> QueueSpec {
    let mut arguments = Table::from([("x-queue-type", "quorum".into())]);
    for (key, value) in more {
        arguments.set(key, Value::I64(*value));
    }
    QueueSpec {
        arguments,
        ..queue(name, leader)
    }
}

fn declared(letters: &str, more: &[(&str, i64)]) -> Cluster {
    let mut cluster = Cluster::of(letters);
    cluster.apply(Command::DeclareQueue(quorum("q", 'a', more)));
    cluster
}

#[test]
fn three_nodes_are_its_members_or_as_many_as_it_asks_for_or_as_there_are() {
    assert_eq!(declared("abcde", &[]).shown(), "e1 a1: a1 b1 c1");
    assert_eq!(
        declared("abcde", &[("x-quorum-initial-group-size", 5)]).shown(),
        "e1 a1: a1 b1 c1 d1 e1"
    );
    assert_eq!(declared("ab", &[]).shown(), "e1 a1: a1 b1");
    assert_eq!(declared("a", &[]).shown(), "e1 a1: a1");
}

#[test]
fn a_majority_is_counted_whoever_is_slow_or_dead() {
    let mut cluster = declared("abc", &[]);
    assert_eq!(cluster.replicas().min_counted, 2);
    cluster.propose(MirrorAct::Evict(uuid('b'))).unwrap();
    assert_eq!(
        cluster.propose(MirrorAct::Evict(uuid('c'))),
        Err(MirrorRefusal::TooFew(2))
    );
    cluster.down("c");
    assert_eq!(
        cluster.propose(MirrorAct::Evict(uuid('c'))),
        Err(MirrorRefusal::TooFew(2))
    );
    let (node, incarnation) = (uuid('b'), 1);
    cluster.propose(MirrorAct::AddInSync { node, incarnation }).unwrap();
    cluster.propose(MirrorAct::Evict(uuid('c'))).unwrap();
    assert_eq!(cluster.shown(), "e1 a1: a1 b1 c-");
}

#[test]
fn no_policy_and_no_new_node_moves_its_members_and_none_is_promoted_by_force() {
    let mut cluster = declared("abc", &[]);
    cluster.apply(policy(all()));
    cluster.apply(crate::mirrors_fixture::add_node('d'));
    cluster.apply(crate::mirrors_fixture::node_up('d', 1));
    assert_eq!(cluster.shown(), "e1 a1: a1 b1 c1");
    cluster.propose(MirrorAct::Evict(uuid('c'))).unwrap();
    cluster.down("ab");
    assert_eq!(
        cluster.shown(),
        "e1 a1: a1 b1 c-",
        "it waits for those that have everything"
    );
    let id = cluster.record().id;
    assert!(cluster.try_apply(Command::ForcePromote(id)).is_err());
}

#[test]
fn a_member_whose_node_leaves_for_good_is_no_member_any_more() {
    let mut cluster = declared("abc", &[]);
    cluster.down("c");
    cluster.propose(MirrorAct::Evict(uuid('c'))).unwrap();
    cluster.apply(Command::RemoveNode(uuid('c')));
    assert_eq!(cluster.shown(), "e1 a1: a1 b1");
    assert_eq!(cluster.replicas().min_counted, 2);
}

#[test]
fn members_come_and_go_by_word_while_a_majority_of_those_that_stay_is_counted() {
    let mut cluster = declared("abc", &[]);
    cluster.propose(MirrorAct::RemoveCopy(uuid('c'))).unwrap();
    assert_eq!(
        (cluster.shown().as_str(), cluster.replicas().min_counted),
        ("e1 a1: a1 b1", 2)
    );
    cluster.propose(MirrorAct::RemoveCopy(uuid('b'))).unwrap();
    assert_eq!(
        (cluster.shown().as_str(), cluster.replicas().min_counted),
        ("e1 a1: a1", 1)
    );
    assert_eq!(
        cluster.propose(MirrorAct::RemoveCopy(uuid('a'))),
        Err(MirrorRefusal::TheLeader)
    );
    for node in ['b', 'c'] {
        cluster.propose(MirrorAct::AddCopy(uuid(node))).unwrap();
    }
    assert_eq!(cluster.shown(), "e1 a1: a1 b- c-");
    let (node, incarnation) = (uuid('b'), 1);
    cluster.propose(MirrorAct::AddInSync { node, incarnation }).unwrap();
    assert_eq!(cluster.replicas().min_counted, 2);
    // Of a and c, which has nothing yet, a alone would be counted.
    assert_eq!(
        cluster.propose(MirrorAct::RemoveCopy(uuid('b'))),
        Err(MirrorRefusal::TooFew(2))
    );
    cluster.propose(MirrorAct::RemoveCopy(uuid('c'))).unwrap();
    assert_eq!(cluster.shown(), "e1 a1: a1 b1");
}

#[test]
fn what_stops_a_queue_from_confirming_is_known_before_the_node_stops() {
    let mut cluster = declared("abc", &[]);
    let critical = |cluster: &Cluster| {
        let is_critical = |node: &char| cluster.fixture.catalog.quorum_critical(uuid(*node)).next().is_some();
        "abc".chars().filter(is_critical).collect::<String>()
    };
    assert_eq!(critical(&cluster), "");
    cluster.down("c");
    assert_eq!(critical(&cluster), "ab");
    let names = cluster.fixture.catalog.member_names(cluster.record());
    assert_eq!(names.all.len(), 3);
    assert_eq!(names.online.len(), 2);
    assert_eq!(letter(cluster.replicas().leader), 'a');
}
