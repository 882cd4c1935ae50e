//! Delayed exchanges: when messages come, by which bindings, and which never come.

use crate::broker::{Broker, soon};
use futures::StreamExt;
use lapin::{
    BasicProperties, Channel, Confirmation, Consumer, ExchangeKind,
    message::Delivery,
    options::*,
    types::{AMQPValue, FieldTable},
};
use std::time::{Duration, Instant};

fn table<const N: usize>(pairs: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in pairs {
        table.insert(key.into(), value);
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// An exchange that delays and then routes as a topic exchange.
async fn declare(channel: &Channel, exchange: &str) {
    let kind = ExchangeKind::Custom("x-delayed-message".into());
    let arguments = table([("x-delayed-type", text("topic"))]);
    let declared = channel.exchange_declare(exchange.into(), kind, ExchangeDeclareOptions::default(), arguments);
    declared.await.unwrap();
}

/// Publishes with confirm and the mandatory flag; the broker must have taken it.
async fn publish(channel: &Channel, exchange: &str, body: &str, delay_ms: Option<i32>) {
    let headers = delay_ms.map(|delay| table([("x-delay", AMQPValue::LongInt(delay))]));
    let properties = headers.map_or_else(BasicProperties::default, |h| BasicProperties::default().with_headers(h));
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let sent = channel.basic_publish(exchange.into(), "a.b".into(), options, body.as_bytes(), properties);
    assert_eq!(
        soon(sent.await.unwrap()).await.unwrap(),
        Confirmation::Ack(None),
        "{body}"
    );
}

/// A new queue bound to `exchange`, and its consumer.
async fn consume(channel: &Channel, exchange: &str) -> Consumer {
    let exclusive = QueueDeclareOptions::exclusive();
    let queue = channel
        .queue_declare("".into(), exclusive, FieldTable::default())
        .await
        .unwrap();
    let bound = channel.queue_bind(
        queue.name().clone(),
        exchange.into(),
        "a.*".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bound.await.unwrap();
    let options = BasicConsumeOptions {
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    let consuming = channel.basic_consume(queue.name().clone(), "".into(), options, FieldTable::default());
    consuming.await.unwrap()
}

async fn next(consumer: &mut Consumer) -> (String, Option<AMQPValue>) {
    let delivery: Delivery = soon(consumer.next()).await.unwrap().unwrap();
    let headers = delivery.properties.headers().as_ref();
    let delay = headers.and_then(|headers| headers.inner().get("x-delay").cloned());
    (String::from_utf8(delivery.data).unwrap(), delay)
}

async fn channel(broker: &Broker) -> (lapin::Connection, Channel) {
    let connection = broker.connect().await;
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    (connection, channel)
}

#[tokio::test]
async fn messages_come_when_their_delay_is_over_with_the_header_turned_negative() {
    let broker = Broker::start("");
    let (_connection, channel) = channel(&broker).await;
    declare(&channel, "x").await;
    let mut consumer = consume(&channel, "x").await;
    let begun = Instant::now();
    publish(&channel, "x", "late", Some(900)).await;
    publish(&channel, "x", "soon", Some(300)).await;
    publish(&channel, "x", "negative", Some(-5)).await;
    publish(&channel, "x", "now", None).await;
    let delay = |ms| Some(AMQPValue::LongInt(ms));
    assert_eq!(next(&mut consumer).await, ("negative".into(), delay(-5)));
    assert_eq!(next(&mut consumer).await, ("now".into(), None));
    assert_eq!(next(&mut consumer).await, ("soon".into(), delay(-300)));
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(next(&mut consumer).await, ("late".into(), delay(-900)));
    assert!(begun.elapsed() >= Duration::from_millis(900));
}

#[tokio::test]
async fn the_bindings_of_the_time_when_the_delay_is_over_decide() {
    let broker = Broker::start("");
    let (_connection, channel) = channel(&broker).await;
    declare(&channel, "x").await;
    publish(&channel, "x", "held", Some(1500)).await;
    let mut consumer = consume(&channel, "x").await;
    assert_eq!(next(&mut consumer).await.0, "held");
}

#[tokio::test]
async fn what_a_deleted_exchange_held_never_comes() {
    let broker = Broker::start("");
    let (_connection, channel) = channel(&broker).await;
    declare(&channel, "x").await;
    publish(&channel, "x", "never", Some(200)).await;
    channel
        .exchange_delete("x".into(), ExchangeDeleteOptions::default())
        .await
        .unwrap();
    declare(&channel, "x").await;
    let mut consumer = consume(&channel, "x").await;
    publish(&channel, "x", "later", Some(400)).await;
    assert_eq!(next(&mut consumer).await.0, "later");
}

#[tokio::test]
async fn a_delayed_exchange_delays_what_another_exchange_and_dead_letters_bring() {
    let broker = Broker::start("");
    let (_connection, channel) = channel(&broker).await;
    declare(&channel, "x").await;
    let mut consumer = consume(&channel, "x").await;
    let fanout = channel.exchange_declare(
        "front".into(),
        ExchangeKind::Fanout,
        ExchangeDeclareOptions::default(),
        FieldTable::default(),
    );
    fanout.await.unwrap();
    let bound = channel.exchange_bind(
        "x".into(),
        "front".into(),
        "".into(),
        ExchangeBindOptions::default(),
        FieldTable::default(),
    );
    bound.await.unwrap();
    let begun = Instant::now();
    publish(&channel, "front", "through", Some(400)).await;
    assert_eq!(
        next(&mut consumer).await,
        ("through".into(), Some(AMQPValue::LongInt(-400)))
    );
    assert!(begun.elapsed() >= Duration::from_millis(400));
    let dying = table([
        ("x-message-ttl", AMQPValue::LongInt(0)),
        ("x-dead-letter-exchange", text("x")),
        ("x-dead-letter-routing-key", text("a.dead")),
    ]);
    let declared = channel.queue_declare("dying".into(), QueueDeclareOptions::exclusive(), dying);
    declared.await.unwrap();
    let headers = table([("x-delay", AMQPValue::LongInt(400))]);
    let begun = Instant::now();
    let properties = BasicProperties::default().with_headers(headers);
    let options = BasicPublishOptions::default();
    channel
        .basic_publish("".into(), "dying".into(), options, b"letter", properties)
        .await
        .unwrap();
    assert_eq!(
        next(&mut consumer).await,
        ("letter".into(), Some(AMQPValue::LongInt(-400)))
    );
    assert!(begun.elapsed() >= Duration::from_millis(400));
}
