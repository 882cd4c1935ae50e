//! What happens in the broker, told as messages of an exchange and as lines of a tool.

use crate::{
    broker::{Broker, PATIENCE, connect_tls},
    certificates::{Authority, directory},
    machines::Machines,
};
use lapin::{
    ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use std::{
    thread,
    time::{Duration, Instant},
};

/// Whether the exchange of events is there.
async fn has_exchange(broker: &Broker) -> bool {
    let channel = broker.connect().await.create_channel().await.unwrap();
    let options = ExchangeDeclareOptions {
        passive: true,
        ..ExchangeDeclareOptions::default()
    };
    let name = "amq.rabbitmq.event".into();
    let asked = channel.exchange_declare(name, ExchangeKind::Topic, options, FieldTable::default());
    asked.await.is_ok()
}

async fn until(mut reached: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !reached().await {
        assert!(Instant::now() < deadline, "this never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn events_are_published_from_the_moment_the_plugin_is_enabled_until_it_is_disabled() {
    let broker = Broker::start("");
    assert!(!has_exchange(&broker).await);
    let plugins = |what: &str| {
        broker
            .tool(&["plugins", what, "rabbitmq_event_exchange"])
            .status
            .success()
    };
    assert!(plugins("enable"));
    until(async || has_exchange(&broker).await).await;
    let channel = broker.connect().await.create_channel().await.unwrap();
    let declared = channel.queue_declare("events".into(), QueueDeclareOptions::default(), FieldTable::default());
    declared.await.unwrap();
    let bound = channel.queue_bind(
        "events".into(),
        "amq.rabbitmq.event".into(),
        "user.*".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bound.await.unwrap();
    broker.ctl(&["add_user", "ann", "secret"]);
    until(async || {
        let got = channel.basic_get("events".into(), Default::default()).await.unwrap();
        got.is_some_and(|got| got.routing_key.as_str() == "user.created" && got.data.is_empty())
    })
    .await;
    assert!(plugins("disable"));
    until(async || !has_exchange(&broker).await).await;
}

#[test]
fn a_tool_follows_what_happens_on_all_nodes_and_shows_what_it_is_asked_for() {
    let machines = Machines::cluster(2);
    let arguments = [
        "consume_event_stream",
        "--pattern",
        "^(queue|user)[.]",
        "--duration",
        "8",
    ];
    let output = thread::scope(|scope| {
        let tool = scope.spawn(|| machines.call_tool("rabbitmq-diagnostics", 1, &arguments));
        // What happens before its first question is not told: some of these come after it, and before its time is over.
        for number in 0..20 {
            machines.ctl(2, &["add_user", &format!("u{number}"), "secret"]);
            machines.ctl(2, &["add_vhost", &format!("v{number}")]);
            thread::sleep(Duration::from_millis(100));
        }
        tool.join().unwrap()
    });
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let shape = "{\"event\":\"user.created\",\"user_who_performed_action\":\"rmq-cli\",\"name\":\"u";
    assert!(
        !lines.is_empty() && lines.iter().all(|line| line.starts_with(shape)),
        "{text}"
    );
    let mut once = lines.clone();
    once.dedup();
    assert_eq!(once, lines);
}

#[tokio::test]
async fn what_tls_agreed_on_and_the_clients_certificate_are_shown_of_a_connection() {
    let ours = Authority::new("ours");
    let settings = "ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = false";
    let broker = Broker::start_with_tls(directory(&ours), settings);
    let columns = [
        "ssl",
        "ssl_protocol",
        "ssl_key_exchange",
        "ssl_cipher",
        "ssl_hash",
        "peer_cert_subject",
    ];
    let list = || broker.ctl(&[&["-q", "--no-table-headers", "list_connections"][..], &columns].concat());
    let plain = broker.connect().await;
    assert_eq!(list(), "false\t\t\t\t\t\n");
    plain.close(200, "bye".into()).await.unwrap();
    until(async || list().is_empty()).await;
    let _proven = connect_tls(broker.tls, "", ours.trusted_by(ours.sign("bob")))
        .await
        .unwrap();
    let shown = list();
    assert!(shown.starts_with("true\ttlsv1.3\tany\t"), "{shown}");
    assert!(shown.contains("\taead\t") && shown.contains("CN=bob"), "{shown}");
}
