//! Tables of decisions: which of several faults is told, and in which words. Texts and orders are RabbitMQ's.
//! Each test names the behaviour.

use crate::fixture::Fixture;
use crate::{Command, Open, VhostLimits, check_channel, check_enter, check_publish, check_read};
use access::UserLimits;

const LOCKED: &str = "CH RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be \
                      originally declared on another connection or the exclusive property value does not match that of \
                      the original declaration.";

#[test]
fn a_queue_declared_again_must_be_the_same() {
    let other = "CH PRECONDITION_FAILED - inequivalent arg";
    Fixture::new().check(&format!(
        "queue q durable x-max-length=5
         queue q durable x-max-length=5 => ok
         queue q durable x-max-length=5 x-mine=1 => ok
         queue q passive => ok
         queue q x-max-length=5 => {other} 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'
         queue q durable auto_delete => {other} 'auto_delete' for queue 'q' in vhost '/': received 'true' but current is 'false'
         queue q durable => {other} 'x-max-length' for queue 'q' in vhost '/': received none but current is the value '5' of type 'signedint'
         queue q durable x-max-length=a => {other} 'x-max-length' for queue 'q' in vhost '/': received 'a' but current is '5'
         queue q durable exclusive => {LOCKED}"
    ));
}

#[test]
fn an_exclusive_queue_is_its_connections_alone() {
    let mut fixture = Fixture::new();
    fixture.check("queue q exclusive durable\nqueue q exclusive => ok\nbind amq.direct q:q k");
    fixture.check(&format!("queue q => {LOCKED}"));
    let queue = fixture.catalog.queue("/", "q").unwrap().clone();
    assert!(!queue.durable, "exclusive queues are never durable");
    fixture.on_connection(2).check(&format!(
        "queue q exclusive => {LOCKED}
         queue q passive => {LOCKED}
         bind amq.fanout q:q k => {LOCKED}
         bind amq.headers q:q k x-match=zz => CH PRECONDITION_FAILED - Invalid x-match field value <<\"zz\">>; expected all, any, all-with-x, or any-with-x
         unbind amq.direct q:q k => {LOCKED}
         unbind amq.direct q:q other => ok
         delete-queue q => {LOCKED}"
    ));
    let refused = check_read(&fixture.catalog, &fixture.client, &queue.name).unwrap_err();
    assert_eq!(format!("CH {refused}"), LOCKED);
    fixture.apply(Command::ConnectionClosed(queue.owner.clone().unwrap()));
    fixture.check("queue q passive => CH NOT_FOUND - no queue 'q' in vhost '/'");
}

#[test]
fn names_of_the_broker_are_reserved() {
    Fixture::new().check(
        "queue amq.foo => CH ACCESS_REFUSED - queue name 'amq.foo' contains reserved prefix 'amq.*'
         queue amq.foo passive => CH NOT_FOUND - no queue 'amq.foo' in vhost '/'
         queue '' passive => CH NOT_FOUND - no queue '' in vhost '/'
         exchange amq.z direct => CH ACCESS_REFUSED - exchange name 'amq.z' contains reserved prefix 'amq.*'
         exchange amq.topic topic durable => ok
         exchange amq.topic topic => CH PRECONDITION_FAILED - inequivalent arg 'durable' for exchange 'amq.topic' in vhost '/': received 'false' but current is 'true'
         delete-exchange amq.direct => CH ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed",
    );
}

#[test]
fn a_queue_without_a_name_gets_the_generated_one() {
    let mut fixture = Fixture::new();
    fixture.check(
        "queue ''
         queue '' x-queue-type=quorum => CH PRECONDITION_FAILED - Cannot declare a server-named queue for type rabbit_quorum_queue",
    );
    assert!(fixture.catalog.queue("/", "amq.gen-1").is_some());
}

#[test]
fn an_exchange_declared_again_must_be_the_same() {
    let other = "CH PRECONDITION_FAILED - inequivalent arg";
    Fixture::new().check(&format!(
        "exchange x direct durable
         exchange x direct durable mine=1 => ok
         exchange x nonsense passive => ok
         exchange x fanout durable => {other} 'type' for exchange 'x' in vhost '/': received 'fanout' but current is 'direct'
         exchange x direct durable internal => {other} 'internal' for exchange 'x' in vhost '/': received 'true' but current is 'false'
         exchange x direct durable alternate-exchange=a => {other} 'alternate-exchange' for exchange 'x' in vhost '/': received the value 'a' of type 'longstr' but current is none
         exchange x x-random durable => {other} 'type' for exchange 'x' in vhost '/': received ''x-random'' but current is 'direct'
         exchange y zz => CH PRECONDITION_FAILED - unknown exchange type 'zz'
         exchange '' zz => CH PRECONDITION_FAILED - unknown exchange type 'zz'
         exchange y x-delayed-message x-delayed-type=zz => CH PRECONDITION_FAILED - unknown exchange type 'zz'
         exchange y x-delayed-message => CH PRECONDITION_FAILED - Invalid argument, 'x-delayed-type' must be an existing exchange type
         exchange '' direct => CH ACCESS_REFUSED - operation not permitted on the default exchange
         exchange '' direct passive => CH ACCESS_REFUSED - operation not permitted on the default exchange
         exchange y direct passive => CH NOT_FOUND - no exchange 'y' in vhost '/'
         exchange y direct alternate-exchange=5 => CH PRECONDITION_FAILED - invalid type 'signedint' for arg 'alternate-exchange' in exchange 'y' in vhost '/'"
    ));
}

#[test]
fn bad_queues_are_refused_before_they_exist() {
    let bad = "CH PRECONDITION_FAILED - invalid";
    Fixture::new().check(&format!(
        "queue q x-max-length=-1 => {bad} arg 'x-max-length' for queue 'q' in vhost '/': {{value_negative,-1}}
         queue q x-dead-letter-exchange=5 => {bad} type 'signedint' for arg 'x-dead-letter-exchange' in queue 'q' in vhost '/'
         queue q x-queue-type=quorum => {bad} property 'non-durable' for queue 'q' in vhost '/'
         queue q exclusive x-queue-type=quorum => {bad} property 'exclusive-owner' for queue 'q' in vhost '/'
         queue q auto_delete x-queue-type=stream => {bad} property 'auto-delete' for queue 'q' in vhost '/'
         queue q durable x-queue-type=stream => {bad} arg 'x-queue-type' for queue 'q' in vhost '/': queue type 'stream' is not supported, use 'classic' or 'quorum'
         queue q passive => CH NOT_FOUND - no queue 'q' in vhost '/'"
    ));
}

#[test]
fn bindings_are_made_once_and_unbinding_nothing_is_fine() {
    Fixture::new().check(
        "queue q
         exchange x headers
         bind x q:q k
         bind x q:q k => ok
         bind x q:q k n=1
         bind x x:x k
         bind nope q:none k => CH NOT_FOUND - no exchange 'nope' in vhost '/'
         bind x q:none k => CH NOT_FOUND - no queue 'none' in vhost '/'
         bind x x:none k => CH NOT_FOUND - no exchange 'none' in vhost '/'
         bind '' q:q k => CH ACCESS_REFUSED - operation not permitted on the default exchange
         bind x x: k => CH ACCESS_REFUSED - operation not permitted on the default exchange
         bind x q:q k x-match=zz => CH PRECONDITION_FAILED - Invalid x-match field value <<\"zz\">>; expected all, any, all-with-x, or any-with-x
         unbind x q:q k n=2 => ok
         unbind x q:none k => ok
         unbind nope q:q k => ok
         unbind x q:q k => ok
         unbind '' q:q q => CH ACCESS_REFUSED - operation not permitted on the default exchange",
    );
}

#[test]
fn deleting_what_is_missing_is_fine_and_conditions_are_kept() {
    let mut fixture = Fixture::new();
    fixture.check(
        "queue q
         exchange x fanout
         exchange y fanout
         bind x q:q k
         bind x x:y k
         delete-exchange x if_unused => CH PRECONDITION_FAILED - exchange 'x' in vhost '/' in use
         delete-exchange y if_unused => ok
         delete-exchange x => ok
         delete-exchange x => absent
         delete-exchange '' => CH ACCESS_REFUSED - operation not permitted on the default exchange
         delete-queue none => absent
         delete-queue q if_empty => conditions
         delete-queue q => ok",
    );
}

#[test]
fn conditions_of_a_deletion_are_judged_by_live_counts() {
    let mut fixture = Fixture::new();
    fixture.check("queue q");
    let queue = fixture.catalog.queue("/", "q").unwrap();
    let check = |if_unused, if_empty, consumers, ready| {
        let conditions = crate::Conditions { if_unused, if_empty };
        conditions
            .check(queue, consumers, ready)
            .map_err(|refusal| refusal.text)
    };
    assert_eq!(check(true, true, 1, 1), Err("queue 'q' in vhost '/' not empty".into()));
    assert_eq!(check(true, true, 1, 0), Err("queue 'q' in vhost '/' in use".into()));
    assert_eq!(check(false, true, 1, 1), Err("queue 'q' in vhost '/' not empty".into()));
    assert_eq!(check(true, true, 0, 0), Ok(()));
    assert_eq!(check(false, false, 1, 1), Ok(()));
}

#[test]
fn each_request_needs_its_permissions_and_missing_ones_are_told_first() {
    let no = |access: &str, what: &str| {
        format!("CH ACCESS_REFUSED - {access} access to {what} in vhost '/' refused for user 'bob'")
    };
    let mut fixture = Fixture::new();
    fixture.check("queue q\nexchange x direct");
    fixture.as_bob("^mine", "^mine|^w", "^mine|^r").check(&format!(
        "queue q passive => ok
         exchange x direct passive => ok
         queue q durable => {configure_q}
         queue none => {configure_none}
         delete-queue q => {configure_q}
         delete-exchange none => {configure_x}
         exchange none direct => {configure_x}
         queue mine x-dead-letter-exchange=other => {write_other}
         queue mine x-dead-letter-exchange=w
         exchange minex direct alternate-exchange=other => {write_other}
         exchange minex direct alternate-exchange=w
         bind x q:q k => {write_q}
         bind none q:mine k => {read_none}
         bind x q:mine k => {read_x}
         bind x x:none k => {write_none}
         bind '' q:mine k => CH ACCESS_REFUSED - operation not permitted on the default exchange
         bind minex q:mine k
         unbind x q:mine k => {read_x}",
        configure_q = no("configure", "queue 'q'"),
        configure_none = no("configure", "queue 'none'"),
        configure_x = no("configure", "exchange 'none'"),
        write_other = no("write", "exchange 'other'"),
        write_q = no("write", "queue 'q'"),
        read_none = no("read", "exchange 'none'"),
        read_x = no("read", "exchange 'x'"),
        write_none = no("write", "exchange 'none'"),
    ));
}

#[test]
fn publishing_is_checked_in_rabbitmqs_order() {
    let mut fixture = Fixture::new();
    fixture.check("exchange topic topic\nexchange inside direct internal");
    fixture.as_bob("", "^(topic|inside|none|amq.default)$", "").client.user = "bob".parse().unwrap();
    let (vhost, user) = ("/".parse().unwrap(), "bob".parse().unwrap());
    let exchange = "topic".parse().unwrap();
    let topic = Command::SetTopicPermissions {
        vhost,
        user,
        exchange,
        write: "^ok".into(),
        read: "^ok".into(),
    };
    fixture.apply(topic);
    let publish = |exchange: &str, key: &str| {
        let name = exchange.parse().unwrap();
        check_publish(&fixture.catalog, &fixture.client, &name, key.as_bytes()).map_err(|refusal| refusal.to_string())
    };
    let refused = |text: &str| Err(text.to_owned());
    assert_eq!(publish("", "q"), Ok(()));
    assert_eq!(publish("topic", "ok.1"), Ok(()));
    assert_eq!(
        publish("topic", "no"),
        refused("ACCESS_REFUSED - write access to topic 'no' in exchange 'topic' in vhost '/' refused for user 'bob'")
    );
    assert_eq!(
        publish("none", "k"),
        refused("NOT_FOUND - no exchange 'none' in vhost '/'")
    );
    assert_eq!(
        publish("inside", "k"),
        refused("ACCESS_REFUSED - cannot publish to internal exchange 'inside' in vhost '/'")
    );
    assert_eq!(
        publish("missing", "k"),
        refused("ACCESS_REFUSED - write access to exchange 'missing' in vhost '/' refused for user 'bob'")
    );
}

#[test]
fn a_binding_key_of_a_topic_exchange_needs_its_own_permission() {
    let mut fixture = Fixture::new();
    fixture.check("exchange t topic\nqueue q");
    fixture.as_bob("", ".*", ".*");
    let (vhost, user, exchange) = ("/".parse().unwrap(), "bob".parse().unwrap(), "t".parse().unwrap());
    fixture.apply(Command::SetTopicPermissions {
        vhost,
        user,
        exchange,
        write: ".*".into(),
        read: "^ok".into(),
    });
    fixture.check(
        "bind t q:q ok.#
         bind t q:q # => CH ACCESS_REFUSED - read access to topic '#' in exchange 't' in vhost '/' refused for user 'bob'
         bind amq.direct q:q #",
    );
}

#[test]
fn reading_needs_permission_then_a_queue() {
    let mut fixture = Fixture::new();
    fixture.check("queue q");
    let read = |fixture: &Fixture, name: &str| {
        let queue = check_read(&fixture.catalog, &fixture.client, &name.parse().unwrap());
        queue
            .map(|queue| queue.name.to_string())
            .map_err(|refusal| refusal.to_string())
    };
    assert_eq!(read(&fixture, "q"), Ok("q".into()));
    assert_eq!(
        read(&fixture, "none"),
        Err("NOT_FOUND - no queue 'none' in vhost '/'".into())
    );
    fixture.as_bob("", "", "^q$");
    assert_eq!(
        read(&fixture, "none"),
        Err("ACCESS_REFUSED - read access to queue 'none' in vhost '/' refused for user 'bob'".into())
    );
}

#[test]
fn limits_hold_for_new_queues_connections_and_channels() {
    let mut fixture = Fixture::new();
    fixture.check("queue a");
    let name = fixture.client.vhost.clone();
    let limits = VhostLimits {
        connections_max: Some(2),
        queues_max: Some(1),
    };
    fixture.apply(Command::SetVhostLimits {
        name: name.clone(),
        limits,
    });
    fixture.check(
        "queue a => ok
         queue b => CH PRECONDITION_FAILED - cannot declare queue 'b': queue limit in vhost '/' (1) is reached",
    );
    let ann = fixture.client.user.clone();
    let limits = UserLimits {
        connections_max: Some(1),
        channels_max: Some(3),
    };
    fixture.apply(Command::SetUserLimits {
        name: ann.clone(),
        limits,
    });
    let enter = |vhost: &str, in_vhost, of_user| {
        let open = Open { in_vhost, of_user };
        check_enter(&fixture.catalog, &ann, &vhost.parse().unwrap(), open).map_err(|refusal| refusal.to_string())
    };
    let no = |text: &str| Err(format!("NOT_ALLOWED - {text}"));
    assert_eq!(enter("/", 1, 0), Ok(()));
    assert_eq!(
        enter("/", 2, 1),
        no("access to vhost '/' refused for user 'ann': connection limit (2) is reached")
    );
    assert_eq!(
        enter("/", 0, 1),
        no("connection refused for user 'ann': user connection limit (1) is reached")
    );
    assert_eq!(enter("nope", 0, 0), no("vhost nope not found"));
    let channel = |open| check_channel(&fixture.catalog, &ann, open).map_err(|refusal| refusal.to_string());
    assert_eq!(channel(2), Ok(()));
    let text = "number of channels opened for user 'ann' has reached the maximum allowed user limit of (3)";
    assert_eq!(channel(3), no(text));
}

#[test]
fn a_user_without_permissions_may_not_enter() {
    let mut fixture = Fixture::new();
    fixture.apply(Command::PutUser(crate::fixture::user("eve")));
    let entered = check_enter(
        &fixture.catalog,
        &"eve".parse().unwrap(),
        &fixture.client.vhost,
        Open::default(),
    );
    assert_eq!(
        entered.unwrap_err().to_string(),
        "NOT_ALLOWED - access to vhost '/' refused for user 'eve'"
    );
}
