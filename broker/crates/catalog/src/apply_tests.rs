//! What follows from commands: cascades, live policies, replay, and invariants after every step.
//! Each test names the behaviour.

use super::*;
use crate::fixture::{Fixture, request, texts, user};
use crate::{Decision, Owner, PolicySpec, VhostMetadata, decide};
use model::{ApplyTo, ConnectionId, Generation, Millis, PolicyLevel, Table, Value, VhostName};
use proptest::prelude::*;
use routing::Destination;

fn names(events: &[Event]) -> Vec<String> {
    let name = |event: &Event| match event {
        Event::QueueDeclared(queue) => format!("+queue {}", queue.name),
        Event::QueueDeleted(queue) => format!("-queue {}", queue.name),
        Event::QueueSettingsChanged(queue) => format!("~queue {}", queue.name),
        Event::ExchangeDeclared(exchange) => format!("+exchange {}", exchange.name),
        Event::ExchangeDeleted(exchange) => format!("-exchange {}", exchange.name),
        Event::BindingCreated { binding, .. } => format!("+{}>{}", binding.source, binding.destination.name()),
        Event::BindingDeleted { binding, .. } => format!("-{}>{}", binding.source, binding.destination.name()),
        other => format!("{other:?}")
            .split(['(', ' '])
            .next()
            .unwrap_or_default()
            .to_owned(),
    };
    events.iter().map(name).collect()
}

#[test]
fn auto_delete_exchanges_vanish_along_the_chain_with_their_last_binding() {
    let mut fixture = Fixture::new();
    fixture.check(
        "queue q\nqueue r\nexchange a fanout auto_delete\nexchange b fanout auto_delete\nexchange c fanout auto_delete
         bind a x:b -\nbind b q:q -\nbind c q:q -\nbind c q:r -",
    );
    fixture.events.clear();
    fixture.check("delete-queue q => ok");
    assert_eq!(
        names(&fixture.events),
        ["-b>q", "-c>q", "-queue q", "-a>b", "-exchange b", "-exchange a"]
    );
    fixture.events.clear();
    fixture.check("unbind c q:r - => ok");
    assert_eq!(names(&fixture.events), ["-c>r", "-exchange c"]);
}

#[test]
fn an_auto_delete_exchange_without_a_binding_so_far_stays() {
    let mut fixture = Fixture::new();
    fixture.check("exchange a fanout auto_delete\nqueue q\ndelete-queue q => ok");
    assert!(fixture.catalog.vhost("/").unwrap().exchange("a").is_some());
}

#[test]
fn a_closed_connection_takes_its_exclusive_queues_and_no_others() {
    let mut fixture = Fixture::new();
    fixture.check("queue mine exclusive\nqueue shared");
    fixture.on_connection(2).check("queue other exclusive");
    fixture.apply(Command::ConnectionClosed(Owner {
        node: "n@h".into(),
        connection: ConnectionId(1),
    }));
    let left: Vec<&str> = fixture.catalog.queues().map(|queue| queue.name.as_str()).collect();
    assert_eq!(left, ["shared", "other"]);
}

#[test]
fn commands_decided_on_an_older_snapshot_are_judged_again() {
    let mut fixture = Fixture::new();
    fixture.check("queue q");
    let old = fixture.catalog.clone();
    let late = |line: &str| match decide(&old, &fixture.client, request(line, 1)) {
        Ok(Decision::Commit(command)) => command,
        other => panic!("{other:?}"),
    };
    let cases = [
        (late("bind amq.direct q:q k"), "NOT_FOUND - no queue 'q' in vhost '/'"),
        (
            late("queue r"),
            "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'r' in vhost '/': received 'false' but current is 'true'",
        ),
        (
            late("exchange x fanout"),
            "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'x' in vhost '/': received 'fanout' but current is 'direct'",
        ),
    ];
    fixture.check("delete-queue q => ok\nqueue r durable\nexchange x direct");
    for (command, text) in cases {
        assert_eq!(
            fixture.catalog.apply(command, &mut vec![]).unwrap_err().to_string(),
            text
        );
    }
}

#[test]
fn a_queue_declared_again_is_another_queue() {
    let mut fixture = Fixture::new();
    fixture.check("queue q");
    let old = fixture.catalog.queue("/", "q").unwrap().id;
    fixture.check("delete-queue q => ok\nqueue q");
    assert_eq!(fixture.apply(Command::DeleteQueue(old)), Answer::Absent);
    assert!(fixture.catalog.queue("/", "q").unwrap().id > old);
}

fn policy(name: &str, pattern: &str, priority: i64, definition: Table) -> Command {
    Command::SetPolicy(PolicySpec {
        vhost: "/".parse().unwrap(),
        name: name.into(),
        level: PolicyLevel::User,
        pattern: pattern.into(),
        apply_to: ApplyTo::All,
        priority,
        definition,
    })
}

fn clear(name: &str) -> Command {
    Command::ClearPolicy {
        vhost: "/".parse().unwrap(),
        level: PolicyLevel::User,
        name: name.into(),
    }
}

#[test]
fn policies_change_running_queues_and_the_highest_priority_wins() {
    let mut fixture = Fixture::new();
    fixture.check("queue q x-message-ttl=50\nqueue z");
    let ttl = |fixture: &Fixture| fixture.catalog.queue("/", "q").unwrap().settings.message_ttl;
    fixture.events.clear();
    fixture.apply(policy("low", "^q", 1, [("message-ttl", Value::I64(10))].into()));
    assert_eq!(ttl(&fixture), Some(Millis(10)));
    assert_eq!(names(&fixture.events), ["PolicySet", "~queue q"]);
    fixture.apply(policy("high", "^q", 2, [("message-ttl", Value::I64(90))].into()));
    assert_eq!(
        ttl(&fixture),
        Some(Millis(50)),
        "the argument is smaller than the winning policy"
    );
    fixture.apply(policy("also", "^q", 2, [("message-ttl", Value::I64(7))].into()));
    assert_eq!(ttl(&fixture), Some(Millis(7)), "of equals the first by name");
    fixture.apply(clear("also"));
    fixture.apply(clear("high"));
    fixture.apply(clear("low"));
    assert_eq!(ttl(&fixture), Some(Millis(50)));
    fixture.check("queue qq");
    assert_eq!(fixture.catalog.queue("/", "qq").unwrap().policy, None);
}

#[test]
fn a_policy_with_a_key_foreign_to_classic_queues_leaves_the_place_to_the_next() {
    let mut fixture = Fixture::new();
    fixture.check("queue q");
    let table = [("delivery-limit", Value::I64(1)), ("max-length", Value::I64(1))].into();
    fixture.apply(policy("quorum", ".*", 9, table));
    fixture.apply(policy("ttl", ".*", 1, [("message-ttl", Value::I64(1))].into()));
    let queue = fixture.catalog.queue("/", "q").unwrap();
    assert_eq!(queue.policy.as_ref().map(|policy| policy.name.as_ref()), Some("ttl"));
}

#[test]
fn a_policy_gives_an_exchange_its_alternate_at_once() {
    let mut fixture = Fixture::new();
    fixture.check("exchange x direct\nqueue q\nbind amq.fanout q:q -");
    let before = fixture.catalog.generation();
    fixture.apply(policy(
        "ae",
        "^x$",
        0,
        [("alternate-exchange", "amq.fanout".into())].into(),
    ));
    assert!(fixture.catalog.generation() > before);
    let exchange = fixture.catalog.vhost("/").unwrap().exchange("x").unwrap();
    assert_eq!(exchange.alternate(), Some("amq.fanout".parse().unwrap()));
}

#[test]
fn bad_policies_are_refused_and_change_nothing() {
    let mut fixture = Fixture::new();
    let before = fixture.catalog.clone();
    let bad = [
        (
            policy("p", "*", 0, [("expires", Value::I64(1))].into()),
            "pattern should be regular expression but is invalid",
        ),
        (
            policy("p", "", 0, [("nosuch", Value::I64(1))].into()),
            "[{<<\"nosuch\">>,1}] are not recognised policy settings",
        ),
    ];
    for (command, text) in bad {
        let refusal = fixture.catalog.apply(command, &mut vec![]).unwrap_err();
        assert!(
            refusal.text.starts_with(&format!("Validation failed\n\n{text}")),
            "{refusal}"
        );
    }
    assert_eq!(fixture.catalog, before);
}

#[test]
fn a_deleted_virtual_host_takes_everything_along() {
    let mut fixture = Fixture::new();
    fixture.check("queue q exclusive\nbind amq.direct q:q k");
    fixture.apply(Command::DeleteVhost("/".parse().unwrap()));
    assert_eq!(fixture.catalog.queues().count(), 0);
    assert_eq!(fixture.catalog.access().all_permissions().count(), 0);
    assert_eq!(fixture.ask("queue q"), "CONN NOT_ALLOWED - vhost / not found");
}

#[test]
fn administration_names_what_is_missing() {
    let mut fixture = Fixture::new();
    let (nov, ghost): (VhostName, _) = ("nov".parse().unwrap(), "ghost".parse().unwrap());
    let cases = [
        (
            Command::DeleteVhost(nov.clone()),
            "NOT_FOUND - Virtual host 'nov' does not exist",
        ),
        (Command::DeleteUser(ghost), "NOT_FOUND - User \"ghost\" does not exist"),
        (
            Command::AddUser(user("ann")),
            "PRECONDITION_FAILED - User \"ann\" already exists",
        ),
        (clear("none"), "NOT_FOUND - Parameter does not exist"),
        (
            Command::SetPermissions {
                vhost: nov,
                user: "ann".parse().unwrap(),
                permissions: texts("", "", ""),
            },
            "NOT_FOUND - Virtual host 'nov' does not exist",
        ),
        (
            Command::SetParameter {
                vhost: "/".parse().unwrap(),
                component: "nosuch".into(),
                name: "n".into(),
                value: Value::Void,
            },
            "PRECONDITION_FAILED - Validation failed\n\ncomponent nosuch not found\n",
        ),
    ];
    for (command, text) in cases {
        assert_eq!(
            fixture.catalog.apply(command, &mut vec![]).unwrap_err().to_string(),
            text
        );
    }
}

#[test]
fn a_default_queue_type_is_put_in_where_none_was_asked_for() {
    let mut fixture = Fixture::new();
    let metadata = VhostMetadata {
        default_queue_type: Some(model::QueueKind::Classic),
        ..VhostMetadata::default()
    };
    fixture.apply(Command::PutVhost {
        name: "/".parse().unwrap(),
        metadata,
    });
    fixture.check("queue q durable\nqueue q durable => ok\nqueue q durable x-queue-type=classic => ok");
    assert_eq!(
        fixture.catalog.queue("/", "q").unwrap().args.table,
        [("x-queue-type", "classic".into())].into()
    );
}

#[test]
fn limits_can_be_set_as_the_parameter_of_their_component() {
    let mut fixture = Fixture::new();
    let value = Value::Table([("max-queues", Value::I64(0))].into());
    let (vhost, component, name): (VhostName, _, _) =
        ("/".parse().unwrap(), "vhost-limits".to_owned(), "limits".to_owned());
    fixture.apply(Command::SetParameter {
        vhost: vhost.clone(),
        component: component.clone(),
        name: name.clone(),
        value,
    });
    assert!(fixture.ask("queue q").ends_with("(0) is reached"));
    fixture.apply(Command::ClearParameter { vhost, component, name });
    fixture.check("queue q");
}

#[test]
fn clones_for_readers_stay_as_they_were() {
    let mut fixture = Fixture::new();
    let (before, generation) = (fixture.catalog.clone(), fixture.catalog.generation());
    fixture.check("queue q");
    assert!(before.queue("/", "q").is_none());
    assert!(generation < fixture.catalog.generation() && generation > Generation(0));
}

/// Lines of requests over few names, so that they meet.
fn line() -> impl Strategy<Value = String> {
    let name = || prop::sample::select(vec!["a", "b", "c", "amq.direct", "amq.topic"]);
    let flags = prop::sample::select(vec![
        "",
        " auto_delete",
        " exclusive",
        " durable",
        " x-max-length=3",
        " x-expires=0",
    ]);
    let kind = prop::sample::select(vec![
        "direct",
        "fanout auto_delete",
        "topic auto_delete",
        "headers",
        "x-consistent-hash",
    ]);
    let end = prop::sample::select(vec!["q:a", "q:b", "x:a", "x:b", "x:c"]);
    let key = prop::sample::select(vec!["k", "1", "#.a"]);
    prop_oneof![
        (name(), flags).prop_map(|(name, flags)| format!("queue {name}{flags}")),
        (name(), kind).prop_map(|(name, kind)| format!("exchange {name} {kind}")),
        name().prop_map(|name| format!("delete-queue {name}")),
        (name(), prop::bool::ANY)
            .prop_map(|(name, unused)| format!("delete-exchange {name}{}", if unused { " if_unused" } else { "" })),
        (name(), end.clone(), key.clone()).prop_map(|(name, end, key)| format!("bind {name} {end} {key}")),
        (name(), end, key).prop_map(|(name, end, key)| format!("unbind {name} {end} {key}")),
    ]
}

/// A request, or something that happens besides.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Ask(u64, String),
    Apply(Command),
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let closed = |connection| {
        Command::ConnectionClosed(Owner {
            node: "n@h".into(),
            connection: ConnectionId(connection),
        })
    };
    prop_oneof![
        12 => (0..3u64, line()).prop_map(|(connection, line)| Step::Ask(connection, line)),
        1 => (0..3u64).prop_map(move |connection| Step::Apply(closed(connection))),
        1 => (0..3i64, 1..9i64).prop_map(|(priority, ttl)| {
            Step::Apply(policy(&format!("p{priority}"), "a|b", priority, [("message-ttl", Value::I64(ttl))].into()))
        }),
        1 => (0..3i64).prop_map(|priority| Step::Apply(clear(&format!("p{priority}")))),
        1 => Just(Step::Apply(policy("ae", ".*", 5, [("alternate-exchange", "c".into())].into()))),
    ]
}

pub(crate) fn run(fixture: &mut Fixture, step: &Step, at: u64) -> Option<Command> {
    let command = match step {
        Step::Apply(command) => command.clone(),
        Step::Ask(connection, line) => {
            fixture.on_connection(*connection);
            match decide(&fixture.catalog, &fixture.client, request(line, at)) {
                Ok(Decision::Commit(command)) => {
                    let accepted = fixture.catalog.apply(command.clone(), &mut fixture.events);
                    accepted.expect("what was decided on this snapshot is accepted");
                    return Some(command);
                }
                Ok(Decision::Unchanged(_) | Decision::CommitIf(..)) | Err(_) => return None,
            }
        }
    };
    fixture
        .catalog
        .apply(command.clone(), &mut fixture.events)
        .is_ok()
        .then_some(command)
}

fn check_invariants(catalog: &Catalog) {
    let mut total = 0;
    for vhost in catalog.vhosts() {
        for binding in vhost.router().bindings() {
            assert!(
                vhost.exchange(binding.source.as_str()).is_some(),
                "{binding:?} starts nowhere"
            );
            match &binding.destination {
                Destination::Queue(name) => assert!(vhost.queue(name.as_str()).is_some(), "{binding:?} ends nowhere"),
                Destination::Exchange(name) => {
                    assert!(vhost.exchange(name.as_str()).is_some(), "{binding:?} ends nowhere")
                }
            }
            assert!(vhost.bindings_to(&binding.destination).contains(binding));
        }
        for exchange in vhost.exchanges().filter(|exchange| !exchange.name.is_default()) {
            let outgoing = vhost.bindings_from(&exchange.name).len() as u64;
            assert_eq!(outgoing, vhost.router().outgoing_count(&exchange.name));
            let expected = crate::policies::for_exchange(vhost, exchange.name.as_str());
            assert_eq!((exchange.policy.clone(), exchange.operator_policy.clone()), expected);
        }
        for queue in vhost.queues() {
            assert_eq!(catalog.queue_by_id(queue.id), Some(queue));
            assert_eq!(vhost.router().queue(queue.name.as_str()), Some(queue.id));
            let is_owned = catalog
                .owned
                .iter()
                .any(|(owner, id)| *id == queue.id && Some(owner) == queue.owner.as_ref());
            assert_eq!(is_owned, queue.owner.is_some());
            let expected = crate::policies::for_queue(vhost, queue.name.as_str(), queue.args.kind);
            assert_eq!((queue.policy.clone(), queue.operator_policy.clone()), expected);
            total += 1;
        }
    }
    assert_eq!(catalog.queues().count(), total);
    assert!(catalog.owned.iter().all(|(_, id)| catalog.queue_by_id(*id).is_some()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn equal_commands_give_equal_states_and_events(steps in prop::collection::vec(step(), 0..60)) {
        let mut first = Fixture::new();
        let half = steps.len() / 2;
        let (mut log, mut middle) = (Vec::new(), None);
        for (at, step) in steps.iter().enumerate() {
            if at == half {
                middle = Some((first.catalog.clone(), log.len(), first.events.len()));
            }
            let (generation, before) = (first.catalog.generation(), first.events.len());
            log.extend(run(&mut first, step, at as u64));
            check_invariants(&first.catalog);
            if first.events.len() == before {
                prop_assert_eq!(first.catalog.generation(), generation, "nothing happened, nothing is told");
            }
        }
        let mut second = Fixture::new();
        log.iter().for_each(|command| drop(second.catalog.apply(command.clone(), &mut second.events)));
        prop_assert_eq!(&second.catalog, &first.catalog);
        prop_assert_eq!(&second.events, &first.events);
        if let Some((mut catalog, commands, events)) = middle {
            let mut replayed = Vec::new();
            log[commands..].iter().for_each(|command| drop(catalog.apply(command.clone(), &mut replayed)));
            prop_assert_eq!(&catalog, &first.catalog);
            prop_assert_eq!(&replayed[..], &first.events[events..]);
        }
        let text = serde_json::to_string(&log).unwrap();
        prop_assert_eq!(serde_json::from_str::<Vec<Command>>(&text).unwrap(), log, "a log survives being written down");
    }
}
