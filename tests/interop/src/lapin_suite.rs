//! The broker as lapin sees it, one more suite beside those in other languages: it runs as a process of its own,
//! reads the address from AMQP_URL and reports in the Test Anything Protocol. It never looks behind the socket.

use anyhow::{Context, Result, bail, ensure};
use futures::StreamExt;
use lapin::message::{BasicGetMessage, Delivery};
use lapin::options::*;
use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer, ErrorKind, ExchangeKind,
};
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(15);

type Test = fn(Broker) -> Pin<Box<dyn Future<Output = Result<()>>>>;

macro_rules! tests {
    ($($name:ident),* $(,)?) => { [$((stringify!($name), (|broker| Box::pin($name(broker))) as Test)),*] };
}

/// Runs every test against `url`; true if all passed.
pub(crate) async fn run(url: String) -> bool {
    let tests = tests![
        every_publish_is_confirmed,
        get_returns_messages_in_order_then_says_empty,
        nack_with_requeue_returns_a_message_to_its_old_place,
        reject_without_requeue_drops_a_message,
        recover_returns_unacknowledged_messages,
        prefetch_bounds_what_a_consumer_owes,
        unroutable_mandatory_message_is_returned_with_its_confirm,
        exclusive_queue_is_locked_to_its_connection,
        auto_delete_queue_goes_with_its_last_consumer,
        cancelled_consumer_receives_nothing_more,
        headers_exchange_matches_all_or_any,
        rpc_answer_is_found_by_its_correlation_id,
        refused_channel_leaves_its_connection_usable,
        differing_declaration_names_the_argument,
        unknown_delivery_tag_closes_the_channel,
        properties_and_headers_arrive_as_sent,
        bodies_of_every_size_arrive_whole,
        purge_and_delete_count_what_they_remove,
        wrong_password_is_refused,
    ];
    println!("1..{}", tests.len());
    let mut passed = true;
    for (number, (name, test)) in (1..).zip(tests) {
        match attempt(test, &url).await {
            Ok(()) => println!("ok {number} - {name}"),
            Err(error) => {
                passed = false;
                println!("not ok {number} - {name} # {}", format!("{error:#}").replace('\n', " "));
            }
        }
    }
    passed
}

async fn attempt(test: Test, url: &str) -> Result<()> {
    let broker = Broker {
        url: url.to_owned(),
        vhost: vhost(url)?,
    };
    tokio::time::timeout(2 * DEADLINE, test(broker))
        .await
        .context("the test did not end")?
}

fn vhost(url: &str) -> Result<String> {
    let uri: lapin::uri::AMQPUri = url.parse().map_err(anyhow::Error::msg)?;
    Ok(uri.vhost.as_str().to_owned())
}

/// Where the broker is; every test opens connections of its own, which close when dropped.
struct Broker {
    url: String,
    vhost: String,
}

impl Broker {
    async fn connect(&self) -> Result<Connection> {
        Ok(Connection::connect(&self.url, ConnectionProperties::default()).await?)
    }

    /// A channel and the connection that must outlive it.
    async fn channel(&self) -> Result<(Connection, Channel)> {
        let connection = self.connect().await?;
        let channel = connection.create_channel().await?;
        Ok((connection, channel))
    }
}

fn fresh(kind: &str) -> ShortString {
    // The process id and the clock keep two runs against one broker apart.
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos();
    format!("interop-{kind}-{}-{since}", std::process::id()).into()
}

fn same<T: PartialEq + std::fmt::Debug>(found: T, expected: T, what: &str) -> Result<()> {
    ensure!(found == expected, "{what}: expected {expected:?}, found {found:?}");
    Ok(())
}

async fn exclusive_queue(channel: &Channel) -> Result<ShortString> {
    let queue = channel
        .queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default())
        .await?;
    Ok(queue.name().clone())
}

async fn publish(channel: &Channel, queue: &ShortString, body: &[u8], properties: BasicProperties) -> Result<()> {
    channel
        .basic_publish(
            "".into(),
            queue.clone(),
            BasicPublishOptions::default(),
            body,
            properties,
        )
        .await?;
    Ok(())
}

async fn publish_each(channel: &Channel, queue: &ShortString, bodies: &str) -> Result<()> {
    for body in bodies.split("") {
        if !body.is_empty() {
            publish(channel, queue, body.as_bytes(), BasicProperties::default()).await?;
        }
    }
    Ok(())
}

async fn get(channel: &Channel, queue: &ShortString) -> Result<Option<BasicGetMessage>> {
    Ok(channel.basic_get(queue.clone(), BasicGetOptions::default()).await?)
}

/// One message, which must be there: its tag, body and redelivered flag.
async fn take(channel: &Channel, queue: &ShortString) -> Result<(u64, String, bool)> {
    let got = get(channel, queue).await?.context("the queue is empty")?;
    Ok((got.delivery_tag, String::from_utf8(got.data.clone())?, got.redelivered))
}

async fn is_empty(channel: &Channel, queue: &ShortString) -> Result<()> {
    ensure!(get(channel, queue).await?.is_none(), "there is one more message");
    Ok(())
}

/// Waits for a count of ready messages: a broker may answer before it has queued what was published just before.
async fn has_ready(channel: &Channel, queue: &ShortString, count: u32) -> Result<()> {
    let end = Instant::now() + DEADLINE;
    loop {
        let passive = QueueDeclareOptions::default().passive();
        let found = channel
            .queue_declare(queue.clone(), passive, FieldTable::default())
            .await?
            .message_count();
        if found == count {
            return Ok(());
        }
        ensure!(Instant::now() < end, "expected {count} ready messages, found {found}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until `queue` is not found.
async fn is_gone(connection: &Connection, queue: &ShortString) -> Result<()> {
    let end = Instant::now() + DEADLINE;
    loop {
        let passive = QueueDeclareOptions::default().passive();
        let channel = connection.create_channel().await?;
        match channel
            .queue_declare(queue.clone(), passive, FieldTable::default())
            .await
        {
            Err(error) if code_and_text(&error).is_some_and(|(code, _)| code == 404) => return Ok(()),
            _ => ensure!(Instant::now() < end, "{queue} is still there"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn consume(channel: &Channel, queue: &ShortString, tag: &str, no_ack: bool) -> Result<Consumer> {
    let options = BasicConsumeOptions {
        no_ack,
        ..Default::default()
    };
    Ok(channel
        .basic_consume(queue.clone(), tag.into(), options, FieldTable::default())
        .await?)
}

async fn next(consumer: &mut Consumer) -> Result<Delivery> {
    let next = tokio::time::timeout(DEADLINE, consumer.next())
        .await
        .context("no delivery")?;
    Ok(next.context("the consumer was cancelled")??)
}

fn code_and_text(error: &lapin::Error) -> Option<(u16, String)> {
    match error.kind() {
        ErrorKind::ProtocolError(refusal) => Some((refusal.get_id(), refusal.get_message().to_string())),
        _ => None,
    }
}

fn refused<T>(outcome: lapin::Result<T>, code: u16, text: &str) -> Result<()> {
    let Err(error) = outcome else {
        bail!("expected {code} {text}, but it was accepted")
    };
    let found = code_and_text(&error).with_context(|| format!("expected {code} {text}, found {error}"))?;
    same(found, (code, text.to_owned()), "refusal")
}

fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert((*key).into(), value.clone());
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

async fn every_publish_is_confirmed(broker: Broker) -> Result<()> {
    let (_connection, channel) = broker.channel().await?;
    let queue = exclusive_queue(&channel).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut confirms = Vec::new();
    for _ in 0..100 {
        let persistent = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions::default();
        confirms.push(
            channel
                .basic_publish("".into(), queue.clone(), options, b"x", persistent)
                .await?,
        );
    }
    for confirm in confirms {
        same(confirm.await?, Confirmation::Ack(None), "confirm")?;
    }
    has_ready(&channel, &queue, 100).await
}

async fn get_returns_messages_in_order_then_says_empty(broker: Broker) -> Result<()> {
    let (_connection, channel) = broker.channel().await?;
    let queue = exclusive_queue(&channel).await?;
    publish_each(&channel, &queue, "abc").await?;
    for (body, left) in [("a", 2), ("b", 1), ("c", 0)] {
        let got = get(&channel, &queue).await?.context("the queue is empty")?;
        same((got.data.as_slice(), got.message_count), (body.as_bytes(), left), "got")?;
        got.ack(BasicAckOptions::default()).await?;
    }
    is_empty(&channel, &queue).await
}

async fn nack_with_requeue_returns_a_message_to_its_old_place(broker: Broker) -> Result<()> {
    let (_connection, channel) = broker.channel().await?;
    let queue = exclusive_queue(&channel).await?;
    publish_each(&channel, &queue, "abc").await?;
    let tags = [take(&channel, &queue).await?.0, take(&channel, &queue).await?.0];
    for tag in tags.into_iter().rev() {
        channel
            .basic_nack(
                tag,
                BasicNackOptions {
                    multiple: false,
                    requeue: true,
                },
            )
            .await?;
    }
    for (body, redelivered) in [("a", true), ("b", true), ("c", false)] {
        let (_, found, again) = take(&channel, &queue).await?;
        same(
            (found.as_str(), again),
            (body, redelivered),
            "order and redelivered flag",
        )?;
    }
    Ok(())
}

async fn reject_without_requeue_drops_a_message(broker: Broker) -> Result<()> {
    let (_connection, channel) = broker.channel().await?;
    let queue = exclusive_queue(&channel).await?;
    publish_each(&channel, &queue, "ab").await?;
    for requeue in [false, true] {
        let (tag, ..) = take(&channel, &queue).await?;
        channel.basic_reject(tag, BasicRejectOptions { requeue }).await?;
    }
    let (_, body, redelivered) = take(&channel, &queue).await?;
    same((body.as_str(), redelivered), ("b", true), "left")?;
    is_empty(&channel, &queue).await
}

async fn recover_returns_unacknowledged_messages(broker: Broker) -> Result<()> {
    let (_connection, channel) = broker.channel().await?;
    let queue = exclusive_queue(&channel).await?;
    publish_each(&channel, &queue, "a").await?;
    same(take(&channel, &queue).await?.2, false, "redelivered at first")?;
    channel.basic_recover(BasicRecoverOptions { requeue: true }).await?;
    same(take(&channel, &queue).await?.2, true, "redelivered after basic.recover")
}

async fn prefetch_bounds_what_a_consumer_owes(broker: Broker) -> Result<()> {
    let (_connection, channel) = broker.channel().await?;
    let queue = exclusive_queue(&channel).await?;
    publish_each(&channel, &queue, "0123456789").await?;
    channel.basic_qos(3, BasicQosOptions::default()).await?;
    let mut consumer = consume(&channel, &queue, "", false).await?;
    let first = next(&mut consumer).await?;
    next(&mut consumer).await?;
    next(&mut consumer).await?;
    has_ready(&channel, &queue, 7).await?;
    first.ack(BasicAckOptions::default()).await?;
    same(next(&mut consumer).await?.data, b"3".to_vec(), "fourth")?;
    has_ready(&channel, &queue, 6).await
}

async fn unroutable_mandatory_message_is_returned_with_its_confirm(broker: Broker) -> Result<()> {
    let (_connection, channel) = broker.channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let key = fresh("nowhere");
    let options = BasicPublishOptions {
        mandatory: true,
        ..Default::default()
    };
    let publish = channel.basic_publish("".into(), key.clone(), options, b"lost", BasicProperties::default());
    let returned = publish.await?.await?.take_message().context("nothing was returned")?;
    same(
        (returned.reply_code, returned.reply_text.as_str()),
        (312, "NO_ROUTE"),
        "returned",
    )?;
    same(
        (&returned.routing_key, returned.data.as_slice()),
        (&key, b"lost".as_slice()),
        "returned message",
    )
}

async fn exclusive_queue_is_locked_to_its_connection(broker: Broker) -> Result<()> {
    let ((owner, mine), (other, theirs)) = (broker.channel().await?, broker.channel().await?);
    let name = fresh("excl");
    mine.queue_declare(name.clone(), QueueDeclareOptions::exclusive(), FieldTable::default())
        .await?;
    let text = format!(
        "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{name}' in vhost '{}'. It could be originally \
         declared on another connection or the exclusive property value does not match that of the original declaration.",
        broker.vhost
    );
    refused(
        theirs.queue_purge(name.clone(), QueuePurgeOptions::default()).await,
        405,
        &text,
    )?;
    owner.close(200, "OK".into()).await?;
    is_gone(&other, &name).await
}

async fn auto_delete_queue_goes_with_its_last_consumer(broker: Broker) -> Result<()> {
    let (connection, channel) = broker.channel().await?;
    let name = fresh("auto-delete");
    let options = QueueDeclareOptions::default().auto_delete();
    channel
        .queue_declare(name.clone(), options, FieldTable::default())
        .await?;
    let _consumers = [
        consume(&channel, &name, "one", true).await?,
        consume(&channel, &name, "two", true).await?,
    ];
    channel
        .basic_cancel("one".into(), BasicCancelOptions::default())
        .await?;
    has_ready(&channel, &name, 0).await?;
    channel
        .basic_cancel("two".into(), BasicCancelOptions::default())
        .await?;
    is_gone(&connection, &name).await
}

async fn cancelled_consumer_receives_nothing_more(broker: Broker) -> Result<()> {
    let (_connection, channel) = broker.channel().await?;
    let queue = exclusive_queue(&channel).await?;
    let mut consumer = consume(&channel, &queue, "mine", true).await?;
    publish_each(&channel, &queue, "a").await?;
    same(next(&mut consumer).await?.data, b"a".to_vec(), "first")?;
    channel
        .basic_cancel("mine".into(), BasicCancelOptions::default())
        .await?;
    publish_each(&channel, &queue, "b").await?;
    has_ready(&channel, &queue, 1).await?;
    ensure!(consumer.next().await.is_none(), "a delivery came after the cancel");
    Ok(())
}

async fn headers_exchange_matches_all_or_any(broker: Broker) -> Result<()> {
    let (_connection, channel) = broker.channel().await?;
    let exchange = fresh("headers");
    let options = ExchangeDeclareOptions {
        auto_delete: true,
        ..Default::default()
    };
    channel
        .exchange_declare(exchange.clone(), ExchangeKind::Headers, options, FieldTable::default())
        .await?;
    let (report, three) = (("kind", text("report")), ("pages", AMQPValue::LongInt(3)));
    let mut queues = Vec::new();
    for rule in ["all", "any"] {
        let queue = exclusive_queue(&channel).await?;
        let wanted = table(&[("x-match", text(rule)), report.clone(), three.clone()]);
        channel
            .queue_bind(
                queue.clone(),
                exchange.clone(),
                "".into(),
                QueueBindOptions::default(),
                wanted,
            )
            .await?;
        queues.push(queue);
    }
    for (body, headers) in [
        ("both", table(&[report.clone(), three])),
        ("one", table(&[report, ("pages", AMQPValue::LongInt(4))])),
        ("none", table(&[("kind", text("letter"))])),
    ] {
        let (options, properties) = (
            BasicPublishOptions::default(),
            BasicProperties::default().with_headers(headers),
        );
        channel
            .basic_publish(exchange.clone(), "".into(), options, body.as_bytes(), properties)
            .await?;
    }
    same(take(&channel, &queues[0]).await?.1.as_str(), "both", "matching all")?;
    is_empty(&channel, &queues[0]).await?;
    same(take(&channel, &queues[1]).await?.1.as_str(), "both", "matching any")?;
    same(take(&channel, &queues[1]).await?.1.as_str(), "one", "matching any")?;
    is_empty(&channel, &queues[1]).await
}

async fn rpc_answer_is_found_by_its_correlation_id(broker: Broker) -> Result<()> {
    let (connection, client) = broker.channel().await?;
    let server = connection.create_channel().await?;
    let (requests, replies) = (exclusive_queue(&server).await?, exclusive_queue(&client).await?);
    let mut serving = consume(&server, &requests, "", false).await?;
    let mut answers = consume(&client, &replies, "", true).await?;
    for word in ["one", "two"] {
        let asked = BasicProperties::default()
            .with_reply_to(replies.clone())
            .with_correlation_id(word.into());
        publish(&client, &requests, word.as_bytes(), asked).await?;
    }
    for word in ["one", "two"] {
        let request = next(&mut serving).await?;
        let reply_to = request
            .properties
            .reply_to()
            .clone()
            .context("the request has no reply-to")?;
        let id = request
            .properties
            .correlation_id()
            .clone()
            .context("the request has no correlation id")?;
        let properties = BasicProperties::default().with_correlation_id(id);
        publish(&server, &reply_to, &request.data.to_ascii_uppercase(), properties).await?;
        request.ack(BasicAckOptions::default()).await?;
        let answer = next(&mut answers).await?;
        same(
            answer.properties.correlation_id().clone(),
            Some(word.into()),
            "correlation id",
        )?;
        same(answer.data, word.to_uppercase().into_bytes(), "answer")?;
    }
    Ok(())
}

async fn refused_channel_leaves_its_connection_usable(broker: Broker) -> Result<()> {
    let (connection, channel) = broker.channel().await?;
    let name = fresh("none");
    let vhost = &broker.vhost;
    let not_found = format!("NOT_FOUND - no queue '{name}' in vhost '{vhost}'");
    refused(
        channel.basic_get(name.clone(), BasicGetOptions::default()).await,
        404,
        &not_found,
    )?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let options = BasicPublishOptions::default();
    let publish = channel
        .basic_publish(name.clone(), "k".into(), options, b"x", BasicProperties::default())
        .await?;
    refused(
        publish.await,
        404,
        &format!("NOT_FOUND - no exchange '{name}' in vhost '{vhost}'"),
    )?;
    let channel = connection.create_channel().await?;
    let queue = exclusive_queue(&channel).await?;
    has_ready(&channel, &queue, 0).await
}

async fn differing_declaration_names_the_argument(broker: Broker) -> Result<()> {
    let (_connection, channel) = broker.channel().await?;
    let name = fresh("plain");
    let options = QueueDeclareOptions::exclusive();
    channel
        .queue_declare(name.clone(), options, FieldTable::default())
        .await?;
    let text = format!(
        "PRECONDITION_FAILED - inequivalent arg 'auto_delete' for queue '{name}' in vhost '{}': received 'true' but current is \
         'false'",
        broker.vhost
    );
    refused(
        channel
            .queue_declare(name, options.auto_delete(), FieldTable::default())
            .await,
        406,
        &text,
    )
}

async fn unknown_delivery_tag_closes_the_channel(broker: Broker) -> Result<()> {
    let (_connection, channel) = broker.channel().await?;
    let queue = exclusive_queue(&channel).await?;
    // A request after the ack would be answered by the close or find the channel closing already; a consumer is told.
    let mut consumer = channel
        .basic_consume(queue, "".into(), BasicConsumeOptions::default(), FieldTable::default())
        .await?;
    channel.basic_ack(99, BasicAckOptions::default()).await?;
    let told = tokio::time::timeout(DEADLINE, consumer.next()).await?;
    let told = told.context("the consumer ended without a word")?;
    refused(told.map(drop), 406, "PRECONDITION_FAILED - unknown delivery tag 99")
}

async fn properties_and_headers_arrive_as_sent(broker: Broker) -> Result<()> {
    let (_connection, channel) = broker.channel().await?;
    let queue = exclusive_queue(&channel).await?;
    let headers = table(&[
        ("text", text("wörter")),
        ("bytes", AMQPValue::ByteArray(vec![0, 255].into())),
        ("octet", AMQPValue::ShortShortInt(-8)),
        ("unsigned octet", AMQPValue::ShortShortUInt(8)),
        ("short", AMQPValue::ShortInt(-16)),
        ("unsigned short", AMQPValue::ShortUInt(16)),
        ("int", AMQPValue::LongInt(-32)),
        ("unsigned int", AMQPValue::LongUInt(32)),
        ("long", AMQPValue::LongLongInt(-64)),
        ("float", AMQPValue::Float(1.5)),
        ("double", AMQPValue::Double(2.5)),
        ("yes", AMQPValue::Boolean(true)),
        ("time", AMQPValue::Timestamp(1_700_000_000)),
        ("nothing", AMQPValue::Void),
        (
            "list",
            AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::LongInt(1), text("two")])),
        ),
        (
            "table",
            AMQPValue::FieldTable(table(&[("deep", AMQPValue::FieldTable(FieldTable::default()))])),
        ),
    ]);
    let sent = BasicProperties::default()
        .with_content_type("text/plain".into())
        .with_content_encoding("utf-8".into())
        .with_headers(headers)
        .with_delivery_mode(2)
        .with_priority(7)
        .with_correlation_id("c".into())
        .with_reply_to("r".into())
        .with_expiration("60000".into())
        .with_message_id("m".into())
        .with_timestamp(1_700_000_000)
        .with_type("t".into())
        .with_app_id("a".into())
        .with_cluster_id("x".into());
    publish(&channel, &queue, b"body", sent.clone()).await?;
    let got = get(&channel, &queue).await?.context("the queue is empty")?;
    same(got.properties.clone(), sent, "properties")
}

async fn bodies_of_every_size_arrive_whole(broker: Broker) -> Result<()> {
    let (_connection, channel) = broker.channel().await?;
    let queue = exclusive_queue(&channel).await?;
    for size in [0, 1, 131_063, 131_064, 131_065, 262_128, 1 << 20] {
        let body: Vec<u8> = (0..=250).cycle().take(size).collect();
        publish(&channel, &queue, &body, BasicProperties::default()).await?;
        let got = get(&channel, &queue).await?.context("the queue is empty")?;
        ensure!(
            got.data == body,
            "{size} bytes came back as {} other ones",
            got.data.len()
        );
    }
    Ok(())
}

async fn purge_and_delete_count_what_they_remove(broker: Broker) -> Result<()> {
    let (_connection, channel) = broker.channel().await?;
    let queue = exclusive_queue(&channel).await?;
    publish_each(&channel, &queue, "abc").await?;
    same(
        channel.queue_purge(queue.clone(), QueuePurgeOptions::default()).await?,
        3,
        "purged",
    )?;
    publish_each(&channel, &queue, "d").await?;
    same(
        channel.queue_delete(queue, QueueDeleteOptions::default()).await?,
        1,
        "deleted",
    )
}

async fn wrong_password_is_refused(broker: Broker) -> Result<()> {
    let mut uri: lapin::uri::AMQPUri = broker.url.parse().map_err(anyhow::Error::msg)?;
    uri.authority.userinfo.password = fresh("wrong").to_string();
    let outcome = Connection::connect_uri(uri, ConnectionProperties::default()).await;
    let Err(error) = outcome else {
        bail!("the wrong password was accepted")
    };
    let (code, text) = code_and_text(&error).with_context(|| format!("expected 403, found {error}"))?;
    let expected = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.";
    ensure!(code == 403 && text.starts_with(expected), "{code} {text}");
    Ok(())
}
