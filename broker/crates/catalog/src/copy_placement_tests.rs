//! Where copies go as policies, nodes and queues come and go; never what a leader proposes.

use crate::mirrors_fixture::{Cluster, add_node, all, exactly, no_policy, node_up, nodes, policy, queue, uuid};
use crate::{Command, Event, MirrorAct, Owner};
use model::ConnectionId;

#[test]
fn all_means_every_node_that_runs_now_or_later() {
    let mut cluster = Cluster::with_queue("ab", all());
    assert_eq!(cluster.shown(), "e1 a1: a1 b1");
    cluster.apply(add_node('c'));
    assert_eq!(cluster.shown(), "e1 a1: a1 b1");
    cluster.apply(node_up('c', 1));
    assert_eq!(cluster.shown(), "e1 a1: a1 b1 c-");
    cluster.down("b");
    assert_eq!(
        cluster.shown(),
        "e1 a1: a1 b1 c-",
        "a node that is away keeps its place"
    );
}

#[test]
fn a_policy_mirrors_a_queue_that_has_messages_and_its_end_leaves_the_leader_alone() {
    let mut cluster = Cluster::of("abc");
    cluster.apply(Command::DeclareQueue(queue("q", 'b')));
    assert!(cluster.record().replicas.is_none());
    cluster.apply(policy(all()));
    assert_eq!(cluster.shown(), "e1 b1: b1 a- c-");
    cluster.propose(cluster.add('c')).unwrap();
    cluster.apply(no_policy());
    assert_eq!(cluster.shown(), "e1 b1: b1");
    cluster.apply(policy(exactly(2)));
    assert_eq!(
        cluster.shown(),
        "e1 b1: b1 a-",
        "it has kept its record, and its epochs with it"
    );
}

#[test]
fn exactly_takes_the_nodes_with_the_fewest_copies_by_name() {
    let mut cluster = Cluster::of("abcd");
    cluster.apply(policy(exactly(2)));
    let mut placed = Vec::new();
    for number in 0..4 {
        let name = format!("q{number}");
        cluster.apply(Command::DeclareQueue(queue(&name, 'a')));
        let replicas = cluster.find(&name).unwrap().replicas.clone().unwrap();
        placed.push(crate::mirrors_fixture::shown(&replicas));
    }
    assert_eq!(placed, ["e1 a1: a1 b1", "e1 a1: a1 c1", "e1 a1: a1 d1", "e1 a1: a1 b1"]);
}

#[test]
fn exactly_replaces_a_mirror_that_died_and_lets_it_go_when_the_new_one_is_in_sync() {
    let mut cluster = Cluster::with_queue("abc", exactly(2));
    cluster.down("b");
    assert_eq!(
        cluster.shown(),
        "e1 a1: a1 b1 c-",
        "what only b and a have is not given up yet"
    );
    cluster.propose(cluster.add('c')).unwrap();
    assert_eq!(cluster.shown(), "e1 a1: a1 c1");
    cluster.restart("b");
    assert_eq!(cluster.shown(), "e1 a1: a1 c1", "nothing moves back");
}

#[test]
fn exactly_prefers_a_mirror_that_came_back_to_one_that_has_only_begun() {
    let mut cluster = Cluster::with_queue("abc", exactly(2));
    cluster.down("b");
    cluster.come_back("b");
    assert_eq!(cluster.shown(), "e1 a1: a1 b1");
    cluster.down("b");
    cluster.restart("b");
    assert_eq!(cluster.shown(), "e1 a1: a1 bD");
    cluster.down("b");
    cluster.propose(MirrorAct::Evict(uuid('b'))).unwrap();
    assert_eq!(
        cluster.shown(),
        "e1 a1: a1 c-",
        "an evicted one that is away promises nothing"
    );
}

#[test]
fn a_smaller_number_drops_the_youngest_of_those_in_sync() {
    let mut cluster = Cluster::with_queue("abcd", exactly(4));
    assert_eq!(cluster.shown(), "e1 a1: a1 b1 c1 d1");
    cluster.propose(MirrorAct::Evict(uuid('b'))).unwrap();
    cluster.apply(policy(exactly(2)));
    assert_eq!(cluster.shown(), "e1 a1: a1 c1");
    cluster.apply(policy(exactly(9)));
    assert_eq!(cluster.shown(), "e1 a1: a1 c1 b- d-");
}

#[test]
fn after_the_leaders_death_exactly_is_made_up_again() {
    let mut cluster = Cluster::with_queue("abc", exactly(2));
    cluster.down("a");
    assert_eq!(cluster.shown(), "e2 b1: a1 b1 c-");
}

#[test]
fn nobody_gets_copies_of_a_queue_that_nobody_leads() {
    let mut cluster = Cluster::with_queue("ab", exactly(1));
    cluster.down("a");
    cluster.apply(policy(all()));
    assert_eq!(cluster.shown(), "e1 a1: a1");
    cluster.restart("a");
    assert_eq!(cluster.shown(), "e2 a2: a2 b-");
}

#[test]
fn named_nodes_take_over_from_a_leader_that_is_none_of_them() {
    let mut cluster = Cluster::with_queue("abcd", nodes("ab"));
    assert_eq!(cluster.shown(), "e1 a1: a1 b1");
    assert_eq!(cluster.fixture.catalog.wanted(cluster.record()), None);
    cluster.apply(policy(nodes("dc")));
    assert_eq!(
        cluster.shown(),
        "e1 a1: a1 b1 d- c-",
        "nothing whole goes before something whole has come"
    );
    assert_eq!(cluster.fixture.catalog.wanted(cluster.record()), None);
    cluster.propose(cluster.add('c')).unwrap();
    let wanted = cluster.fixture.catalog.wanted(cluster.record());
    assert_eq!(wanted, Some(cluster.hand_over('c')));
    cluster.propose(cluster.add('d')).unwrap();
    assert_eq!(cluster.shown(), "e1 a1: a1 d1 c1");
    let wanted = cluster.fixture.catalog.wanted(cluster.record());
    assert_eq!(wanted, Some(cluster.hand_over('d')), "the first that the policy names");
    cluster.propose(wanted.unwrap()).unwrap();
    assert_eq!(cluster.shown(), "e2 d1: d1 c1");
    assert_eq!(cluster.fixture.catalog.wanted(cluster.record()), None);
}

#[test]
fn named_nodes_keep_their_copies_while_they_are_away() {
    let mut cluster = Cluster::with_queue("abc", all());
    cluster.down("b");
    cluster.apply(policy(nodes("ab")));
    assert_eq!(cluster.shown(), "e1 a1: a1 b1");
    cluster.apply(policy(nodes("xy")));
    assert_eq!(cluster.shown(), "e1 a1: a1", "no node of these names: the leader alone");
}

#[test]
fn a_leader_can_move_a_queue_to_where_no_policy_wants_it() {
    let mut cluster = Cluster::with_queue("ab", exactly(1));
    cluster.propose(MirrorAct::AddCopy(uuid('b'))).unwrap();
    cluster.propose(cluster.add('b')).unwrap();
    assert_eq!(cluster.shown(), "e1 a1: a1 b1");
    cluster.propose(cluster.hand_over('b')).unwrap();
    assert_eq!(cluster.shown(), "e2 b1: b1", "the old leader's copy is left over");
}

#[test]
fn how_mirrors_are_brought_in_sync_is_told_of_as_settings_are() {
    let mut cluster = Cluster::with_queue("ab", all());
    let mut automatic = all();
    automatic.set("ha-sync-mode", "automatic".into());
    cluster.apply(policy(automatic));
    let is_told = |event: &Event| matches!(event, Event::QueueSettingsChanged(queue) if queue.name.as_str() == "q");
    assert!(cluster.fixture.events.iter().any(is_told));
    assert_eq!(cluster.record().ha().unwrap().sync_automatic, Some(true));
}

#[test]
fn the_operators_policy_may_ask_for_more() {
    let mut cluster = Cluster::with_queue("abc", exactly(1));
    let Command::SetPolicy(mut spec) = policy(exactly(3)) else {
        panic!("a policy")
    };
    spec.level = model::PolicyLevel::Operator;
    cluster.apply(Command::SetPolicy(spec));
    assert_eq!(cluster.shown(), "e1 a1: a1 b- c-");
}

#[test]
fn an_exclusive_queue_is_never_mirrored() {
    let mut cluster = Cluster::of("ab");
    cluster.apply(policy(all()));
    let mut exclusive = queue("q", 'a');
    exclusive.owner = Some(Owner {
        node: "a@h".into(),
        connection: ConnectionId(1),
    });
    exclusive.durable = false;
    cluster.apply(Command::DeclareQueue(exclusive));
    assert!(cluster.record().replicas.is_none());
    cluster.restart("b");
    assert!(cluster.record().replicas.is_none());
}
