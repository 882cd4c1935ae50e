//! Exports and imports: a full round trip, and what an import leaves alone.
//! Each test names the behaviour.

use crate::fixture::{Fixture, texts, user};
use crate::{Catalog, Command, PolicySpec, VhostLimits};
use model::{ApplyTo, PolicyLevel, Value};

fn full() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.check(
        "queue q durable x-max-length=5
         queue mine exclusive
         exchange x topic durable alternate-exchange=amq.fanout
         bind x q:q a.#
         bind x q:mine b
         bind amq.direct x:x k n=1",
    );
    let vhost = fixture.client.vhost.clone();
    let policy = |level, key: &str| PolicySpec {
        vhost: vhost.clone(),
        name: "p".into(),
        level,
        pattern: "^q".into(),
        apply_to: ApplyTo::Queues,
        priority: 3,
        definition: [(key, Value::I64(9))].into(),
    };
    fixture.apply(Command::SetPolicy(policy(PolicyLevel::User, "message-ttl")));
    fixture.apply(Command::SetPolicy(policy(PolicyLevel::Operator, "max-length")));
    fixture.apply(Command::PutUser(user("bob")));
    let limits = VhostLimits {
        connections_max: None,
        queues_max: Some(9),
    };
    fixture.apply(Command::SetVhostLimits {
        name: vhost.clone(),
        limits,
    });
    let (bob, exchange) = ("bob".parse().unwrap(), "x".parse().unwrap());
    fixture.apply(Command::SetTopicPermissions {
        vhost,
        user: bob,
        exchange,
        write: "^a".into(),
        read: "".into(),
    });
    fixture.apply(Command::SetGlobalParameter {
        name: "cluster_name".into(),
        value: "c".into(),
    });
    fixture
}

fn import(fixture: &Fixture, into: &mut Catalog) {
    let commands = fixture
        .catalog
        .definitions()
        .commands(into, &"n@h".into(), &"ann".parse().unwrap());
    commands
        .into_iter()
        .for_each(|command| drop(into.apply(command, &mut vec![]).unwrap()));
}

#[test]
fn an_export_brought_into_an_empty_broker_is_the_same_again() {
    let (fixture, mut other) = (full(), Catalog::default());
    import(&fixture, &mut other);
    assert_eq!(other.definitions(), fixture.catalog.definitions());
    assert_eq!(
        other.queue("/", "q").unwrap().settings,
        fixture.catalog.queue("/", "q").unwrap().settings
    );
    assert!(other.queue("/", "mine").is_none(), "exclusive queues stay behind");
}

#[test]
fn an_import_twice_changes_nothing() {
    let (fixture, mut other) = (full(), Catalog::default());
    import(&fixture, &mut other);
    let once = other.definitions();
    import(&fixture, &mut other);
    assert_eq!(other.definitions(), once);
}

#[test]
fn an_import_skips_queues_that_are_there_without_comparing() {
    let fixture = full();
    let mut other = Fixture::new();
    other.check("queue q");
    import(&fixture, &mut other.catalog);
    assert!(!other.catalog.queue("/", "q").unwrap().durable);
}

#[test]
fn an_import_gives_users_their_permissions() {
    let mut fixture = full();
    fixture.as_bob("^a", "", ".*");
    let mut other = Catalog::default();
    import(&fixture, &mut other);
    let own = other
        .access()
        .permissions(&"/".parse().unwrap(), &"bob".parse().unwrap())
        .unwrap();
    assert_eq!(own.texts(), texts("^a", "", ".*"));
}
