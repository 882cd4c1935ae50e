//! What a node's start leaves of the definitions, what it takes along, and which starts are refused.

use crate::fixture::Fixture;
use crate::{Answer, Command, NodeDeath, NodeKind};
use model::{NodeUuid, Refusal};

fn up(node: u128, name: &str, incarnation: u64, boot_id: u64) -> Command {
    Command::NodeUp {
        node: NodeUuid(node),
        name: name.into(),
        incarnation,
        boot_id,
        mirrors: false,
    }
}

fn start(fixture: &mut Fixture, command: Command) -> Result<Answer, Refusal> {
    fixture.catalog.apply(command, &mut fixture.events)
}

fn fixture() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.apply(up(1, "n@h", 1, 7));
    fixture.check(
        "queue keeps durable\nqueue goes\nqueue mine exclusive\nexchange stays fanout durable\nexchange x fanout",
    );
    fixture.check("bind stays q:keeps k\nbind stays q:goes k\nbind x q:keeps k\nbind stays x:x k");
    fixture
}

fn queues(fixture: &Fixture) -> Vec<String> {
    fixture.catalog.queues().map(|queue| queue.name.to_string()).collect()
}

fn bindings(fixture: &Fixture) -> Vec<String> {
    let vhost = fixture.catalog.vhost("/").unwrap();
    let ends =
        |binding: &std::sync::Arc<routing::Binding>| format!("{} {}", binding.source, binding.destination.name());
    vhost.router().bindings().map(ends).collect()
}

#[test]
fn a_restart_keeps_what_is_durable_and_the_bindings_between() {
    let mut fixture = fixture();
    fixture.apply(up(1, "n@h", 2, 8));
    assert_eq!(queues(&fixture), ["keeps"]);
    assert_eq!(bindings(&fixture), ["stays keeps"]);
    let vhost = fixture.catalog.vhost("/").unwrap();
    assert!(vhost.exchange("x").is_none() && vhost.exchange("stays").is_some());
    assert!(vhost.exchange("amq.direct").is_some());
}

#[test]
fn a_process_that_was_only_thought_dead_loses_nothing() {
    let mut fixture = fixture();
    fixture.apply(up(1, "n@h", 1, 7));
    assert_eq!(queues(&fixture), ["keeps", "goes", "mine"]);
}

fn add(fixture: &mut Fixture, node: u128, name: &str) {
    fixture.apply(Command::AddNode {
        node: NodeUuid(node),
        name: name.into(),
        kind: NodeKind::Disc,
    });
}

fn down(node: u128, incarnation: u64) -> Command {
    let node = NodeUuid(node);
    Command::NodeDown(vec![NodeDeath { node, incarnation }])
}

#[test]
fn a_dead_nodes_transient_queues_go_and_its_durable_ones_say_where_they_are() {
    let mut fixture = fixture();
    add(&mut fixture, 2, "m@h");
    fixture.apply(up(2, "m@h", 1, 9));
    fixture.apply(down(1, 1));
    assert_eq!(queues(&fixture), ["keeps"]);
    assert!(
        fixture.catalog.vhost("/").unwrap().exchange("x").is_some(),
        "the other node knows it"
    );
    let record = fixture.catalog.queue("/", "keeps").unwrap().clone();
    let refusal = fixture.catalog.check_home(&record).unwrap_err();
    assert_eq!(refusal.code, model::ReplyCode::NotFound);
    assert_eq!(
        refusal.text,
        "home node 'n@h' of durable queue 'keeps' in vhost '/' is down or inaccessible"
    );
    fixture.apply(up(1, "n@h", 1, 7));
    assert!(fixture.catalog.check_home(&record).is_ok());
}

/// Found by the simulator (seed 77): its late declaration left a queue that nothing took away.
#[test]
fn a_process_that_was_given_up_leaves_no_queue_in_its_memory_by_a_late_declaration() {
    let mut fixture = fixture();
    let deaths = vec![NodeDeath {
        node: NodeUuid(1),
        incarnation: 1,
    }];
    fixture.apply(Command::NodeDown(deaths));
    let late = |name: &str, durable| crate::QueueSpec {
        vhost: "/".parse().unwrap(),
        name: name.parse().unwrap(),
        durable,
        auto_delete: false,
        owner: None,
        arguments: model::Table::default(),
        leader: "n@h".into(),
        user: "ann".parse().unwrap(),
    };
    let refusal = start(&mut fixture, Command::DeclareQueue(late("late", false))).unwrap_err();
    assert!(refusal.text.contains("which the cluster has given up"), "{refusal}");
    fixture.apply(Command::DeclareQueue(late("kept", true)));
    fixture.apply(up(1, "n@h", 1, 7));
    fixture.apply(Command::DeclareQueue(late("again", false)));
    assert_eq!(queues(&fixture), ["keeps", "kept", "again"]);
}

#[test]
fn the_death_of_an_earlier_process_is_old_news() {
    let mut fixture = fixture();
    fixture.apply(up(1, "n@h", 2, 8));
    fixture.apply(down(1, 1));
    assert!(fixture.catalog.node(NodeUuid(1)).unwrap().up);
}

#[test]
fn a_removed_node_takes_its_queues_along_and_never_comes_back() {
    let mut fixture = fixture();
    add(&mut fixture, 2, "m@h");
    fixture.apply(up(2, "m@h", 1, 9));
    let running = start(&mut fixture, Command::RemoveNode(NodeUuid(1))).unwrap_err();
    assert_eq!(
        running.text,
        "RabbitMQ on node n@h must be stopped with 'rabbitmqctl -n n@h stop_app' before it can be removed"
    );
    fixture.apply(down(1, 1));
    fixture.apply(Command::RemoveNode(NodeUuid(1)));
    assert!(queues(&fixture).is_empty());
    assert_eq!(
        start(&mut fixture, Command::RemoveNode(NodeUuid(1))),
        Ok(Answer::Absent)
    );
    let back = start(&mut fixture, up(1, "n@h", 2, 8)).unwrap_err();
    assert!(back.text.contains("was removed from this cluster"), "{back}");
    let image = crate::Catalog::try_from(fixture.catalog.image()).unwrap();
    assert!(image.is_removed(NodeUuid(1)) && image == fixture.catalog);
}

#[test]
fn a_stranger_and_a_second_node_of_one_name_are_refused() {
    let mut fixture = fixture();
    let stranger = start(&mut fixture, up(3, "s@h", 1, 1)).unwrap_err();
    assert!(stranger.text.contains("is no member of this cluster"), "{stranger}");
    let namesake = Command::AddNode {
        node: NodeUuid(4),
        name: "n@h".into(),
        kind: NodeKind::Disc,
    };
    let namesake = start(&mut fixture, namesake).unwrap_err();
    assert!(namesake.text.contains("another node"), "{namesake}");
}

#[test]
fn at_least_one_node_decides() {
    let mut fixture = fixture();
    let ram = |node: u128, kind| Command::SetNodeKind {
        node: NodeUuid(node),
        kind,
    };
    let only = start(&mut fixture, ram(1, NodeKind::Ram)).unwrap_err();
    assert!(only.text.contains("only disc node"), "{only}");
    add(&mut fixture, 2, "m@h");
    fixture.apply(ram(1, NodeKind::Ram));
    fixture.apply(up(1, "n@h", 2, 8));
    assert_eq!(fixture.catalog.node(NodeUuid(1)).unwrap().kind, NodeKind::Ram);
    let last = start(&mut fixture, Command::RemoveNode(NodeUuid(2))).unwrap_err();
    assert!(last.text.contains("only disc node"), "{last}");
}

#[test]
fn transient_exchanges_stay_while_another_node_knows_them() {
    let mut fixture = fixture();
    add(&mut fixture, 2, "m@h");
    fixture.apply(up(2, "m@h", 1, 9));
    fixture.apply(up(1, "n@h", 2, 8));
    assert_eq!(queues(&fixture), ["keeps"]);
    assert!(fixture.catalog.vhost("/").unwrap().exchange("x").is_some());
    fixture.apply(up(2, "m@h", 2, 10));
    assert_eq!(
        queues(&fixture),
        ["keeps"],
        "another node's queues are its own business"
    );
}

#[test]
fn an_old_or_copied_data_directory_is_refused() {
    let mut fixture = fixture();
    fixture.apply(up(1, "n@h", 5, 8));
    let old = start(&mut fixture, up(1, "n@h", 4, 9)).unwrap_err();
    assert!(old.text.contains("old copy"), "{old}");
    let copied = start(&mut fixture, up(1, "n@h", 5, 9)).unwrap_err();
    assert!(copied.text.contains("copy of one in use"), "{copied}");
    assert!(start(&mut fixture, up(1, "n@h", 5, 8)).is_ok());
}

#[test]
fn queues_follow_their_node_to_its_new_name() {
    let mut fixture = fixture();
    fixture.apply(up(1, "new@h", 2, 8));
    assert_eq!(queues(&fixture), ["keeps"]);
    assert_eq!(fixture.catalog.queue("/", "keeps").unwrap().leader.as_ref(), "new@h");
    assert_eq!(fixture.catalog.nodes().count(), 1);
}
