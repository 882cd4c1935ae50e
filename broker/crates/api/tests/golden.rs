//! Our shapes against what a real RabbitMQ 3.10.8 answered: each recorded answer is read into its shape and written
//! back, and every field that comes out must be in the recording, with the same value.

use api::*;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

fn golden(name: &str) -> Value {
    let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).expect("recordings are JSON")
}

/// What `ours` says that `theirs` does not.
fn additions(at: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, value) in ours {
                let at = format!("{at}.{key}");
                match theirs.get(key) {
                    Some(other) => additions(&at, value, other, found),
                    // Null and an empty default stand for a field that the recording leaves out.
                    None if is_nothing(value) => {}
                    None => found.push(format!("{at} is not there")),
                }
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                additions(&format!("{at}[{index}]"), ours, theirs, found);
            }
        }
        (ours, theirs) if ours == theirs || numbers_agree(ours, theirs) => {}
        (ours, theirs) => found.push(format!("{at} is {theirs}, ours {ours}")),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::String(_) => false,
    }
}

/// RabbitMQ writes a whole fraction as 0 or as 0.0, as it comes.
fn numbers_agree(ours: &Value, theirs: &Value) -> bool {
    ours.as_f64()
        .zip(theirs.as_f64())
        .is_some_and(|(ours, theirs)| (ours - theirs).abs() < 1e-9)
}

fn check<T: Serialize + DeserializeOwned>(name: &str) {
    let theirs = golden(name);
    let shape: T = serde_json::from_value(theirs.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut found = Vec::new();
    additions(
        name,
        &serde_json::to_value(&shape).expect("shapes have text keys"),
        &theirs,
        &mut found,
    );
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn answers_about_the_broker_are_those_of_rabbitmq() {
    check::<Overview>("overview");
    check::<Overview>("overview_management");
    check::<WhoAmI>("whoami");
    check::<Node>("node");
    check::<Vec<Node>>("nodes");
    for name in [
        "health_alarms",
        "health_local_alarms",
        "health_port",
        "health_port_missing",
        "health_protocol",
    ] {
        check::<Health>(name);
    }
    for name in [
        "health_protocol_missing",
        "health_virtual_hosts",
        "health_mirror_critical",
        "health_quorum_critical",
    ] {
        check::<Health>(name);
    }
}

#[test]
fn answers_about_messages_and_their_ways_are_those_of_rabbitmq() {
    check::<Vec<Queue>>("queues");
    check::<Queue>("queue");
    check::<Page<Queue>>("queues_paged");
    check::<Vec<Exchange>>("exchanges");
    check::<Exchange>("exchange");
    check::<Vec<Binding>>("bindings");
    check::<Vec<Binding>>("queue_bindings");
    check::<Published>("publish");
    check::<Vec<GotMessage>>("get");
}

#[test]
fn answers_about_clients_are_those_of_rabbitmq() {
    check::<Vec<Connection>>("connections");
    check::<Connection>("connection");
    check::<Vec<Channel>>("channels");
    check::<Channel>("channel");
    check::<Vec<Consumer>>("consumers");
}

#[test]
fn answers_about_users_and_rules_are_those_of_rabbitmq() {
    check::<Vec<User>>("users");
    check::<User>("user");
    check::<Vec<Vhost>>("vhosts");
    check::<Vhost>("vhost");
    check::<Vec<Permission>>("permissions");
    check::<Vec<TopicPermission>>("topic_permissions");
    check::<Vec<Policy>>("policies");
    check::<Vec<Policy>>("operator_policies");
    check::<Vec<Parameter>>("parameters");
    check::<Vec<GlobalParameter>>("global_parameters");
    check::<Vec<VhostLimits>>("vhost_limits");
    check::<Vec<UserLimits>>("user_limits");
}

#[test]
fn a_definitions_file_is_read_and_written_without_loss() {
    let theirs = golden("definitions");
    let ours: Definitions = serde_json::from_value(theirs.clone()).unwrap();
    assert_eq!(serde_json::to_value(&ours).unwrap(), theirs);
}

#[test]
fn a_definitions_file_may_leave_nearly_everything_out() {
    let text = r#"{"queues":[{"name":"q","vhost":"/"}],"users":[{"name":"u","password":"p","tags":"a, b"}]}"#;
    let read: Definitions = serde_json::from_str(text).unwrap();
    assert!(read.queues[0].durable && !read.queues[0].auto_delete);
    let user = &read.users.as_ref().unwrap()[0];
    assert_eq!(user.tags.as_deref(), Some(["a".to_owned(), "b".to_owned()].as_slice()));
    let written = serde_json::to_string(&read).unwrap();
    assert!(!written.contains("password"), "{written}");
}

#[test]
fn errors_are_spelt_as_rabbitmq_spells_them() {
    let cases = [
        ("error_not_found", ApiError::not_found()),
        ("error_login", ApiError::login_failed()),
        ("error_tag", ApiError::not_authorised("Not management user")),
        ("error_admin", ApiError::not_authorised("Not administrator user")),
        ("error_action", ApiError::bad_request(vec!["unknown", "zz"])),
        ("error_json", ApiError::bad_request("not_json")),
    ];
    for (name, ours) in cases {
        assert_eq!(serde_json::to_value(&ours).unwrap(), golden(name), "{name}");
    }
}

#[test]
fn arguments_keep_their_meaning_through_json() {
    let text = r#"{"x-max-priority":5,"x-expires":9007199254740993,"a":[1,"b",null,true,1.5],"t":{"k":"v"}}"#;
    let json: Arguments = serde_json::from_str(text).unwrap();
    assert_eq!(to_json(&from_json(&json).unwrap()), json);
    let huge: Arguments = serde_json::from_str(r#"{"x":18446744073709551615}"#).unwrap();
    assert_eq!(from_json(&huge).unwrap_err().key, "x");
}

#[test]
fn rates_stand_beside_their_numbers() {
    let mut rates = Rates::default();
    rates.set_with_rate("publish", 3, 0.5);
    rates.set("ack", 1);
    let json = serde_json::json!({"ack": 1, "publish": 3, "publish_details": {"rate": 0.5}});
    assert_eq!(serde_json::to_value(&rates).unwrap(), json);
    assert_eq!(serde_json::from_value::<Rates>(json).unwrap(), rates);
    assert_eq!((rates.total("publish"), rates.total("nothing")), (3, 0));
}

#[test]
fn what_nodes_did_is_added_though_one_began_later() {
    let read = |text: &str| serde_json::from_str::<Rates>(text).unwrap();
    let mut older = read(
        r#"{"ack": 9, "ack_details": {"rate": 2.0, "avg": 1.0, "avg_rate": 1.0, "samples":
        [{"sample": 9, "timestamp": 10}, {"sample": 4, "timestamp": 5}]}}"#,
    );
    let younger = read(
        r#"{"ack": 7, "ack_details": {"rate": 0.5, "avg": 1.0, "avg_rate": 1.0, "samples": [{"sample": 7, "timestamp": 10}]},
        "get": 1, "get_details": {"rate": 1.0}}"#,
    );
    older.add_changes(&younger, ["ack", "get", "publish"].into_iter());
    assert_eq!((older.total("ack"), older.rate("ack")), (9, 2.5));
    assert_eq!((older.total("get"), older.rate("get")), (0, 1.0));
    let series = older.0["ack"].details.as_ref().unwrap().series.as_ref().unwrap();
    let samples: Vec<u64> = series.samples.iter().map(|sample| sample.sample).collect();
    assert_eq!(samples, [16, 4]);
}
