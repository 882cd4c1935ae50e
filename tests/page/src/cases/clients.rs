//! A client that is connected, as the page shows it, and its end by a click.

use anyhow::{Context, Result, ensure};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicQosOptions,
        QueueDeclareOptions,
    },
    types::FieldTable,
};
use serde_json::json;

use crate::{browser::eventually, stage::Stage};

/// A connection with a channel that consumes from `consumed`. The client ends what nobody holds.
async fn consume(url: &str) -> Result<(Connection, Channel, Consumer)> {
    let connection = Connection::connect(
        url,
        ConnectionProperties::default().with_connection_name("shown by name".into()),
    )
    .await?;
    let channel = connection.create_channel().await?;
    let none = FieldTable::default;
    channel
        .queue_declare("consumed".into(), QueueDeclareOptions::default(), none())
        .await?;
    channel.basic_qos(20, BasicQosOptions::default()).await?;
    let consumer = channel
        .basic_consume(
            "consumed".into(),
            "a-tag".into(),
            BasicConsumeOptions::default(),
            none(),
        )
        .await?;
    Ok((connection, channel, consumer))
}

/// A channel in a transaction with two messages and an acknowledgement, and one that holds a delivery.
async fn hold(url: &str) -> Result<(Connection, Channel, Channel)> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let (open, holding) = (connection.create_channel().await?, connection.create_channel().await?);
    let (none, queue) = (FieldTable::default, || "held".into());
    open.queue_declare(queue(), QueueDeclareOptions::default(), none())
        .await?;
    let publish = async || {
        let options = BasicPublishOptions::default();
        let published = open.basic_publish("".into(), queue(), options, b"m", BasicProperties::default());
        published.await.map(drop)
    };
    publish().await?;
    publish().await?;
    holding.basic_qos(5, BasicQosOptions::default()).await?;
    holding.basic_get(queue(), BasicGetOptions::default()).await?;
    open.tx_select().await?;
    open.basic_get(queue(), BasicGetOptions::default()).await?;
    open.basic_ack(1, BasicAckOptions::default()).await?;
    publish().await?;
    publish().await?;
    Ok((connection, open, holding))
}

pub(crate) fn the_list_of_channels_shows_what_each_holds_and_the_channel_what_is_not_committed(
    stage: &mut Stage,
) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("a runtime starts")?;
    let (connection, _open, _holding) = runtime.block_on(hold(&stage.server.amqp_url()))?;
    stage.enter("#/channels?sort=messages_unacknowledged&reverse=1", "Channels")?;
    let browser = &stage.browser;
    let cells =
        "const row = [...document.querySelectorAll('.list tbody tr')].find((row) => row.textContent.includes('(2)'));
                 const cells = [...row.querySelectorAll('td')].map((cell) => cell.textContent);
                 return cells[6] === '5' && cells[7] === '1' && cells[8] === '0'";
    browser.holds(cells, &json!([]))?;
    browser.click(".list tbody a[href*='(1)']")?;
    browser.sees("#main .facts", "Uncommitted\n2 messages, 1 acknowledgement")?;
    Ok(runtime.block_on(connection.close(200, "bye".into()))?)
}

pub(crate) fn a_connection_is_shown_with_its_channel_and_consumer_and_closed_with_a_reason(
    stage: &mut Stage,
) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("a runtime starts")?;
    let (connection, _channel, _consumer) = runtime.block_on(consume(&stage.server.amqp_url()))?;
    stage.enter("#/queues/%2F/consumed", "consumed")?;
    let browser = &stage.browser;
    browser.sees("#main", "a-tag")?;
    browser.sees(".graph .consumer", "a-tag")?;
    stage.visit("#/channels", "Channels")?;
    browser.click(".list tbody a")?;
    browser.sees("#main .facts", "Prefetch of a consumer\n20")?;
    stage.visit("#/connections", "Connections")?;
    browser.click_text("shown by name")?;
    browser.sees("#main h1", "shown by name")?;
    browser.sees("#main", "lapin")?;
    browser.click_text("Close")?;
    browser.fill("Reason", "the test is over")?;
    browser.click_text("Close connection")?;
    stage.is_told("The connection is closed.")?;
    eventually(|| {
        ensure!(!connection.status().connected(), "the client has not heard of it");
        Ok(())
    })?;
    let left = stage.server.get("connections")?;
    ensure!(left == json!([]), "{left}");
    Ok(())
}
