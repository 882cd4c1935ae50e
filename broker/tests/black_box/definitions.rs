//! Definitions outlive the process: what a client or tool was told is done is there after a kill that nothing can catch.
//!
//! What RabbitMQ keeps in memory only goes with the process here too.

use crate::{
    broker::{Broker, program, soon},
    ports::free_addresses,
};
use lapin::{
    BasicProperties, Channel, ExchangeKind,
    options::{
        BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
        QueueDeclareOptions,
    },
    types::FieldTable,
};
use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

fn table() -> FieldTable {
    FieldTable::default()
}

async fn declare(channel: &Channel, queue: &str, options: QueueDeclareOptions) -> lapin::Result<()> {
    channel.queue_declare(queue.into(), options, table()).await.map(drop)
}

async fn exchange(channel: &Channel, name: &str, durable: bool) {
    let options = ExchangeDeclareOptions {
        durable,
        ..ExchangeDeclareOptions::default()
    };
    let declared = channel.exchange_declare(name.into(), ExchangeKind::Fanout, options, table());
    declared.await.unwrap();
}

async fn bind(channel: &Channel, queue: &str, exchange: &str) {
    let bound = channel.queue_bind(
        queue.into(),
        exchange.into(),
        "k".into(),
        QueueBindOptions::default(),
        table(),
    );
    bound.await.unwrap();
}

/// Publishes a persistent message and waits until it is confirmed.
async fn publish(channel: &Channel, queue: &str, body: &[u8]) {
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let persistent = BasicProperties::default().with_delivery_mode(2);
    let sent = channel.basic_publish(
        "".into(),
        queue.into(),
        BasicPublishOptions::default(),
        body,
        persistent,
    );
    let confirmed = sent.await.unwrap().await.unwrap();
    assert!(confirmed.is_ack());
}

/// Lines of a listing, sorted.
fn lines(broker: &Broker, arguments: &[&str]) -> Vec<String> {
    let text = broker.ctl(arguments);
    let mut lines: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_kill() {
    let mut broker = Broker::start("");
    let connection = broker.connect().await;
    let channel = connection.create_channel().await.unwrap();
    exchange(&channel, "stays", true).await;
    exchange(&channel, "goes", false).await;
    declare(&channel, "transient", QueueDeclareOptions::default())
        .await
        .unwrap();
    declare(&channel, "exclusive", QueueDeclareOptions::exclusive())
        .await
        .unwrap();
    declare(&channel, "durable", QueueDeclareOptions::durable())
        .await
        .unwrap();
    for (queue, exchange) in [("durable", "stays"), ("durable", "goes"), ("transient", "stays")] {
        bind(&channel, queue, exchange).await;
    }
    publish(&channel, "durable", b"kept").await;
    broker.ctl(&["add_vhost", "other"]);
    broker.ctl(&["add_user", "ann", "secret"]);
    broker.ctl(&["set_user_tags", "ann", "monitoring"]);
    broker.ctl(&["set_permissions", "-p", "other", "ann", "^a", "^b", "^c"]);
    broker.ctl(&["set_policy", "long", "^d", r#"{"max-length":7}"#]);
    broker.kill_and_restart();
    assert_eq!(lines(&broker, &["list_queues", "name", "policy"]), ["durable\tlong"]);
    let exchanges = lines(&broker, &["list_exchanges", "name"]);
    assert!(
        exchanges.contains(&"stays".to_owned()) && !exchanges.contains(&"goes".to_owned()),
        "{exchanges:?}"
    );
    assert_eq!(
        lines(&broker, &["list_bindings", "source_name", "destination_name"]),
        ["\tdurable", "stays\tdurable"]
    );
    assert_eq!(lines(&broker, &["list_vhosts", "name"]), ["/", "other"]);
    assert!(lines(&broker, &["list_users"]).contains(&"ann\t[monitoring]".to_owned()));
    assert_eq!(lines(&broker, &["list_user_permissions", "ann"]), ["other\t^a\t^b\t^c"]);
    let channel = broker.connect().await.create_channel().await.unwrap();
    let got = channel
        .basic_get("durable".into(), BasicGetOptions::default())
        .await
        .unwrap();
    assert_eq!(got.expect("the message that was confirmed").delivery.data, b"kept");
    broker.ctl(&["authenticate_user", "ann", "secret"]);
    broker.ctl(&["delete_user", "guest"]);
    broker.kill_and_restart();
    assert_eq!(
        lines(&broker, &["list_users"]),
        ["ann\t[monitoring]"],
        "the default user does not come back"
    );
}

/// Declares queues one after the other until the connection breaks.
async fn declare_until_killed(channel: Channel, round: usize, told: Arc<AtomicUsize>) {
    for number in 0.. {
        let queue = format!("q-{round}-{number}");
        if declare(&channel, &queue, QueueDeclareOptions::durable()).await.is_err() {
            return;
        }
        told.store(number + 1, Ordering::Release);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_declaration_that_was_answered_is_lost_whenever_the_kill_comes() {
    let mut broker = Broker::start("");
    for round in 0..6 {
        let connection = broker.connect().await;
        let told = Arc::new(AtomicUsize::new(0));
        let channel = connection.create_channel().await.unwrap();
        let declaring = tokio::spawn(declare_until_killed(channel, round, told.clone()));
        let deadline = Instant::now() + Duration::from_secs(20);
        while told.load(Ordering::Acquire) < 5 + round * 7 {
            assert!(Instant::now() < deadline, "{}", broker.log());
            tokio::task::yield_now().await;
        }
        broker.kill_and_restart();
        soon(declaring).await.unwrap();
        let queues = lines(&broker, &["list_queues", "name"]);
        for number in 0..told.load(Ordering::Acquire) {
            let name = format!("q-{round}-{number}");
            assert!(queues.contains(&name), "{name} was declared and is gone: {queues:?}");
        }
    }
}

#[test]
fn a_second_broker_on_the_same_directory_is_refused_and_told_who_has_it() {
    let broker = Broker::start("");
    let [peers] = free_addresses();
    let second = program(broker.directory(), peers)
        .args(["server", "--data"])
        .arg(broker.directory().join("data"))
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success());
    let holder = format!("is in use by another broker (process {})", broker.pid());
    assert!(said.contains("BOOT FAILED") && said.contains(&holder), "{said}");
}
