//! What a node's start leaves of the definitions, what it takes along, and which starts are refused.

use crate::fixture::Fixture;
use crate::{Answer, Command};
use model::{NodeUuid, Refusal};

fn up(node: u128, name: &str, incarnation: u64, boot_id: u64) -> Command {
    Command::NodeUp {
        node: NodeUuid(node),
        name: name.into(),
        incarnation,
        boot_id,
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

#[test]
fn transient_exchanges_stay_while_another_node_knows_them() {
    let mut fixture = fixture();
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
