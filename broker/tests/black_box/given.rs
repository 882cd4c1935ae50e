//! What the configuration gives: users, policies and limits to new virtual hosts, a name to the product, marks to messages, a bound to listeners
//! and to exchanges.

use crate::broker::{Broker, connect, soon};
use lapin::{
    BasicProperties,
    options::{BasicGetOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use std::{fs, time::Duration};

const QA: &str = "default_limits.vhosts.qa.pattern = ^qa\ndefault_limits.vhosts.qa.max_queues = 7\n\
    default_policies.operator.short.vhost_pattern = ^qa\ndefault_policies.operator.short.queue_pattern = ^temp\n\
    default_policies.operator.short.expires = 1h\n\
    default_users.tester.vhost_pattern = ^qa\ndefault_users.tester.password = secret\ndefault_users.tester.tags = monitoring\n\
    default_users.tester.configure = ^t";

#[test]
fn new_virtual_hosts_get_what_is_configured_for_their_names() {
    let broker = Broker::start(QA);
    broker.ctl(&["add_vhost", "qa1"]);
    broker.ctl(&["add_vhost", "live"]);
    let list = |command: &str, vhost: &str| broker.ctl(&[command, "-p", vhost]).trim().to_owned();
    assert_eq!(list("list_vhost_limits", "qa1"), "{\"max-queues\":7}");
    assert_eq!(list("list_vhost_limits", "live"), "");
    let policies = list("list_operator_policies", "qa1");
    assert!(
        policies.contains("qa1\tshort\t^temp\tall\t{\"expires\":3600000}\t0"),
        "{policies}"
    );
    assert!(!list("list_operator_policies", "live").contains("short"));
    assert!(list("list_permissions", "qa1").contains("tester\t^t\t.*\t.*"));
    assert!(!list("list_permissions", "live").contains("tester"));
    assert!(broker.ctl(&["list_users"]).contains("tester\t[monitoring]"));
    // A user that is there keeps the password that it has by now.
    broker.ctl(&["change_password", "tester", "changed"]);
    broker.ctl(&["add_vhost", "qa2"]);
    assert!(
        broker
            .ctl(&["authenticate_user", "tester", "changed"])
            .contains("Success")
    );
}

#[test]
fn new_virtual_hosts_of_a_definitions_file_get_it_as_well_and_what_the_file_says_wins() {
    let broker = Broker::start(QA);
    let file = broker.directory().join("d.json");
    let text = r#"{"users": [{"name": "tester", "password": "own", "tags": []}],
        "vhosts": [{"name": "qa1"}, {"name": "qa2"}],
        "permissions": [{"user": "tester", "vhost": "qa2", "configure": "^own", "write": "", "read": ""}],
        "parameters": [{"component": "vhost-limits", "vhost": "qa2", "name": "limits", "value": {"max-queues": 9}}]}"#;
    fs::write(&file, text).unwrap();
    broker.ctl(&["import_definitions", &file.display().to_string()]);
    let list = |command: &str, vhost: &str| broker.ctl(&[command, "-p", vhost]).trim().to_owned();
    assert_eq!(list("list_vhost_limits", "qa1"), "{\"max-queues\":7}");
    assert_eq!(list("list_vhost_limits", "qa2"), "{\"max-queues\":9}");
    assert!(list("list_permissions", "qa1").contains("tester\t^t\t.*\t.*"));
    assert!(list("list_permissions", "qa2").contains("tester\t^own"));
    assert!(broker.ctl(&["authenticate_user", "tester", "own"]).contains("Success"));
}

#[test]
fn a_product_has_the_name_and_version_that_it_is_given_and_the_log_begins_with_the_message_of_the_day() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("motd");
    fs::write(&file, "Maintenance on Friday.\nCall Ann.\n").unwrap();
    let settings = format!(
        "product.name = Acme MQ\nproduct.version = 9.9\nnode_tags.zone = a\nmotd_file = {}",
        file.display()
    );
    let broker = Broker::start_in(directory, &settings);
    let status = broker.ctl(&["status"]);
    for line in ["Product name: Acme MQ", "Product version: 9.9", "zone: a"] {
        assert!(status.lines().any(|told| told == line), "{line}: {status}");
    }
    let versions = broker.ctl(&["cluster_status"]);
    assert!(versions.contains(": Acme MQ 9.9 on "), "{versions}");
    let log = broker.log();
    let told = [
        "Starting Acme MQ 9.9, compatible with RabbitMQ ",
        "Maintenance on Friday.",
        "Call Ann.",
    ];
    let places: Vec<Option<usize>> = told.iter().map(|line| log.find(line)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{log}");
}

#[tokio::test]
async fn messages_are_marked_with_time_and_node_as_they_come() {
    let settings = "message_interceptors.incoming.set_header_timestamp.overwrite = true\n\
                    message_interceptors.incoming.set_header_routing_node.overwrite = false";
    let broker = Broker::start(settings);
    let connection = broker.connect().await;
    let channel = connection.create_channel().await.unwrap();
    let (options, none) = (QueueDeclareOptions::default(), FieldTable::default());
    channel.queue_declare("q".into(), options, none).await.unwrap();
    let mut headers = FieldTable::default();
    headers.insert("x-routed-by".into(), AMQPValue::LongString("mine".into()));
    let own = BasicProperties::default().with_timestamp(5).with_headers(headers);
    for properties in [BasicProperties::default(), own] {
        let (options, body) = (BasicPublishOptions::default(), b"m");
        let sent = channel
            .basic_publish("".into(), "q".into(), options, body, properties)
            .await;
        sent.unwrap();
    }
    for node in ["rabbit@localhost", "mine"] {
        let got = channel
            .basic_get("q".into(), BasicGetOptions { no_ack: true })
            .await
            .unwrap()
            .unwrap();
        let properties = &got.delivery.properties;
        let headers = properties.headers().as_ref().unwrap().inner();
        assert_eq!(headers.get("x-routed-by"), Some(&AMQPValue::LongString(node.into())));
        let Some(AMQPValue::LongLongInt(ms)) = headers.get("timestamp_in_ms") else {
            panic!("{headers:?}")
        };
        let seconds = properties.timestamp().unwrap();
        assert!(seconds > 1_600_000_000 && u64::try_from(*ms).unwrap() / 1000 == seconds);
    }
    connection.close(200, "bye".into()).await.unwrap();
}

#[tokio::test]
async fn exchanges_and_policies_are_counted_where_there_may_be_only_so_many() {
    // Every virtual host has seven from its beginning.
    let broker = Broker::start("cluster_exchange_limit = 8\nruntime_parameters.limits.policy = 1");
    let connection = broker.connect().await;
    let declare = async |name: &'static str| {
        let channel = connection.create_channel().await.unwrap();
        let options = ExchangeDeclareOptions::default();
        let declared =
            channel.exchange_declare(name.into(), lapin::ExchangeKind::Direct, options, FieldTable::default());
        declared.await.map_err(|why| why.to_string())
    };
    declare("one").await.unwrap();
    declare("one").await.unwrap();
    let refused = declare("two").await.unwrap_err();
    let text = "cannot declare exchange 'two' in vhost '/': exchange limit of 8 is reached";
    assert!(refused.contains(text), "{refused}");
    broker.ctl(&["set_policy", "a", ".*", "{\"max-length\":1}"]);
    let (code, said) = broker.fails(&["set_policy", "b", ".*", "{\"max-length\":1}"]);
    assert!(
        code == 69 && said.contains("component policy is limited to 1"),
        "{code} {said}"
    );
    connection.close(200, "bye".into()).await.unwrap();
}

#[tokio::test]
async fn who_comes_to_a_full_listener_waits_until_somebody_leaves() {
    let broker = Broker::start("ranch_connection_max = 1");
    let first = broker.connect().await;
    let second = connect(broker.amqp, "guest:guest@");
    tokio::pin!(second);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut second).await;
    assert!(early.is_err(), "it was accepted");
    first.close(200, "bye".into()).await.unwrap();
    let second = soon(second).await.unwrap();
    second.close(200, "bye".into()).await.unwrap();
}
