//! A client that is connected, as the page shows it, and its end by a click.

use anyhow::{Context, Result, ensure};
use lapin::{
    Channel, Connection, ConnectionProperties, Consumer,
    options::{BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions},
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
