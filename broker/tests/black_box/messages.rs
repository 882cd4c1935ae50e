//! Messages outlive the process: what was confirmed and not settled is there after a kill that nothing can catch, at its
//! place, as it was; what was settled is not.
//!
//! The long campaign of such kills under load is elsewhere; here each promise stands alone.

use crate::broker::Broker;
use lapin::{
    BasicProperties, Channel, ExchangeKind,
    message::BasicGetMessage,
    options::{
        BasicAckOptions, BasicGetOptions, BasicPublishOptions, BasicRejectOptions, ConfirmSelectOptions,
        ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueuePurgeOptions,
    },
    types::{AMQPValue, FieldTable},
};
use std::time::Duration;

fn persistent() -> BasicProperties {
    BasicProperties::default().with_delivery_mode(2)
}

fn arguments(pairs: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in pairs {
        table.insert((*key).into(), value.clone());
    }
    table
}

/// A channel in confirm mode.
async fn confirming(broker: &Broker) -> Channel {
    let connection = broker.connect().await;
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel
}

async fn declare(channel: &Channel, queue: &str, pairs: &[(&str, AMQPValue)]) {
    let declared = channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments(pairs));
    declared.await.unwrap();
}

/// Publishes and waits for the confirm.
async fn publish(channel: &Channel, exchange: &str, key: &str, body: &[u8], properties: BasicProperties) {
    let options = BasicPublishOptions::default();
    let published = channel.basic_publish(exchange.into(), key.into(), options, body, properties);
    let confirm = published.await.unwrap().await.unwrap();
    assert!(confirm.is_ack(), "{confirm:?}");
}

async fn get(channel: &Channel, queue: &str) -> Option<BasicGetMessage> {
    channel
        .basic_get(queue.into(), BasicGetOptions::default())
        .await
        .unwrap()
}

/// Takes all there is, acknowledged at once, as `body` or `body*` where it was delivered before.
async fn drain(broker: &Broker, queue: &str) -> Vec<String> {
    let channel = broker.connect().await.create_channel().await.unwrap();
    let mut found = Vec::new();
    while let Some(message) = get(&channel, queue).await {
        let mark = if message.redelivered { "*" } else { "" };
        found.push(format!("{}{mark}", String::from_utf8_lossy(&message.data)));
        message.ack(BasicAckOptions::default()).await.unwrap();
    }
    found
}

#[tokio::test]
async fn confirmed_messages_are_at_their_places_and_marked_if_they_were_delivered() {
    let mut broker = Broker::start("");
    let channel = confirming(&broker).await;
    declare(&channel, "q", &[]).await;
    for body in ["a", "b", "c", "d"] {
        publish(&channel, "", "q", body.as_bytes(), persistent()).await;
    }
    publish(&channel, "", "q", b"transient", BasicProperties::default()).await;
    let first = get(&channel, "q").await.unwrap();
    let _second = get(&channel, "q").await.unwrap();
    first.ack(BasicAckOptions::default()).await.unwrap();
    // An acknowledgement is never waited for; it is on its way within a quarter of a second.
    tokio::time::sleep(Duration::from_millis(300)).await;
    broker.kill_and_restart();
    assert_eq!(drain(&broker, "q").await, ["b*", "c", "d"]);
}

#[tokio::test]
async fn what_came_after_a_restart_stands_behind_what_was_there() {
    let mut broker = Broker::start("");
    declare(&confirming(&broker).await, "q", &[]).await;
    for round in 0..4 {
        let channel = confirming(&broker).await;
        publish(&channel, "", "q", format!("{round}").as_bytes(), persistent()).await;
        broker.kill_and_restart();
    }
    assert_eq!(drain(&broker, "q").await, ["0", "1", "2", "3"]);
    broker.kill_and_restart();
    assert!(drain(&broker, "q").await.len() <= 4, "messages came back twice");
}

#[tokio::test]
async fn a_rejected_message_is_where_dead_letters_go_and_nowhere_else() {
    let mut broker = Broker::start("");
    let channel = confirming(&broker).await;
    declare(&channel, "dead", &[]).await;
    let to_dead = [
        ("x-dead-letter-exchange", AMQPValue::LongString("".into())),
        ("x-dead-letter-routing-key", AMQPValue::LongString("dead".into())),
    ];
    declare(&channel, "q", &to_dead).await;
    publish(&channel, "", "q", b"m", persistent()).await;
    let message = get(&channel, "q").await.unwrap();
    message.reject(BasicRejectOptions::default()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    broker.kill_and_restart();
    assert_eq!(drain(&broker, "dead").await, ["m"]);
    assert!(drain(&broker, "q").await.is_empty());
}

#[tokio::test]
async fn levels_of_priority_and_the_order_within_them_are_kept() {
    let mut broker = Broker::start("");
    let channel = confirming(&broker).await;
    declare(&channel, "q", &[("x-max-priority", AMQPValue::LongInt(5))]).await;
    for (body, priority) in [("low1", 0), ("high1", 5), ("low2", 0), ("mid", 3), ("high2", 5)] {
        publish(&channel, "", "q", body.as_bytes(), persistent().with_priority(priority)).await;
    }
    broker.kill_and_restart();
    assert_eq!(drain(&broker, "q").await, ["high1", "high2", "mid", "low1", "low2"]);
}

#[tokio::test]
async fn each_queue_of_a_fan_out_has_its_copy() {
    let mut broker = Broker::start("");
    let channel = confirming(&broker).await;
    let exchange = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let declared = channel.exchange_declare("all".into(), ExchangeKind::Fanout, exchange, FieldTable::default());
    declared.await.unwrap();
    let queues = ["one", "two", "three"];
    for queue in queues {
        declare(&channel, queue, &[]).await;
        let options = QueueBindOptions::default();
        let bound = channel.queue_bind(queue.into(), "all".into(), "".into(), options, FieldTable::default());
        bound.await.unwrap();
    }
    for number in 0..50 {
        publish(&channel, "all", "", format!("{number}").as_bytes(), persistent()).await;
    }
    broker.kill_and_restart();
    let expected: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    for queue in queues {
        assert_eq!(drain(&broker, queue).await, expected);
    }
}

#[tokio::test]
async fn what_a_purge_or_a_delete_was_answered_for_does_not_come_back() {
    let mut broker = Broker::start("");
    let channel = confirming(&broker).await;
    for queue in ["purged", "deleted"] {
        declare(&channel, queue, &[]).await;
        publish(&channel, "", queue, b"gone", persistent()).await;
    }
    channel
        .queue_purge("purged".into(), QueuePurgeOptions::default())
        .await
        .unwrap();
    channel
        .queue_delete("deleted".into(), Default::default())
        .await
        .unwrap();
    broker.kill_and_restart();
    let channel = confirming(&broker).await;
    declare(&channel, "deleted", &[]).await;
    assert!(drain(&broker, "purged").await.is_empty());
    assert!(drain(&broker, "deleted").await.is_empty());
}

#[tokio::test]
async fn a_committed_transaction_is_whole() {
    let mut broker = Broker::start("");
    let channel = broker.connect().await.create_channel().await.unwrap();
    declare(&channel, "q", &[]).await;
    channel.tx_select().await.unwrap();
    for body in ["a", "b", "c"] {
        let options = BasicPublishOptions::default();
        let published = channel.basic_publish("".into(), "q".into(), options, body.as_bytes(), persistent());
        published.await.unwrap();
    }
    channel.tx_commit().await.unwrap();
    broker.kill_and_restart();
    assert_eq!(drain(&broker, "q").await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_message_expires_in_its_time_also_if_the_broker_was_away_meanwhile() {
    let mut broker = Broker::start("");
    let channel = confirming(&broker).await;
    declare(&channel, "q", &[]).await;
    publish(&channel, "", "q", b"short", persistent().with_expiration("1".into())).await;
    publish(
        &channel,
        "",
        "q",
        b"long",
        persistent().with_expiration("3600000".into()),
    )
    .await;
    broker.kill_and_restart();
    assert_eq!(drain(&broker, "q").await, ["long"]);
}

#[tokio::test]
async fn a_backlog_that_does_not_fit_into_memory_comes_back_whole_and_in_order() {
    const MESSAGES: u32 = 6000;
    let mut broker = Broker::start("vm_memory_high_watermark.absolute = 80MB");
    let channel = confirming(&broker).await;
    declare(&channel, "q", &[]).await;
    let mut confirms = Vec::new();
    for number in 0..MESSAGES {
        let mut body = vec![b'.'; 20_000];
        body[..4].copy_from_slice(&number.to_be_bytes());
        let options = BasicPublishOptions::default();
        let published = channel.basic_publish("".into(), "q".into(), options, &body, persistent());
        confirms.push(published.await.unwrap());
    }
    for confirm in confirms {
        assert!(confirm.await.unwrap().is_ack());
    }
    broker.kill_and_restart();
    let channel = broker.connect().await.create_channel().await.unwrap();
    for number in 0..MESSAGES {
        let message = get(&channel, "q").await.expect("none is lost");
        assert_eq!(message.data[..4], number.to_be_bytes());
        message.ack(BasicAckOptions::default()).await.unwrap();
    }
    assert!(get(&channel, "q").await.is_none());
}

#[tokio::test]
async fn a_letter_that_no_queue_takes_outlives_a_kill() {
    let mut broker = Broker::start("");
    let channel = confirming(&broker).await;
    let text = |text: &str| AMQPValue::LongString(text.into());
    let assured = |more: &[(&'static str, AMQPValue)]| {
        let mut all = vec![
            ("x-queue-type", text("quorum")),
            ("x-overflow", text("reject-publish")),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text("late")),
        ];
        all.extend_from_slice(more);
        all
    };
    declare(&channel, "rejects", &assured(&[])).await;
    declare(
        &channel,
        "expires",
        &assured(&[("x-message-ttl", AMQPValue::LongInt(50))]),
    )
    .await;
    for queue in ["rejects", "expires"] {
        publish(&channel, "", queue, queue.as_bytes(), persistent()).await;
    }
    let message = get(&channel, "rejects").await.unwrap();
    message.reject(BasicRejectOptions { requeue: false }).await.unwrap();
    assert_eq!(drain(&broker, "rejects").await, [""; 0]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    broker.kill_and_restart();
    // Nobody wrote down why it had died.
    assert_eq!(drain(&broker, "rejects").await, ["rejects*"]);
    assert_eq!(drain(&broker, "expires").await, [""; 0]);
    declare(&confirming(&broker).await, "late", &[]).await;
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let mut arrived = Vec::new();
    while arrived.is_empty() && std::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(100)).await;
        arrived = drain(&broker, "late").await;
    }
    assert_eq!(arrived, ["expires"]);
}
