//! An ordinary AMQP program, written with a client library that is not ours: publishes confirmed messages, takes them back, and tells
//! how a connection ended. Each call opens a connection of its own, as a program that is started would.

use std::time::Duration;

use futures::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};

use crate::check::Outcome;

/// No AMQP conversation of these checks may take longer.
const LIMIT: Duration = Duration::from_secs(20);

/// Where a broker is and who asks.
#[derive(Clone, Debug)]
pub(crate) struct Login<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
}

impl Login<'_> {
    fn uri(&self) -> String {
        format!("amqp://{}:{}@{}:{}/%2f", self.user, self.password, self.host, self.port)
    }

    /// Publishes `count` persistent messages to a durable queue and waits for every confirm.
    pub(crate) fn put(&self, queue: &str, count: usize) -> Outcome {
        talk(async {
            let (connection, channel) = self.open().await?;
            let durable = QueueDeclareOptions {
                durable: true,
                ..QueueDeclareOptions::default()
            };
            channel
                .queue_declare(queue.into(), durable, FieldTable::default())
                .await
                .map_err(text)?;
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await
                .map_err(text)?;
            for number in 0..count {
                publish(&channel, queue, &body(number)).await?;
            }
            connection.close(200, "done".into()).await.map_err(text)
        })
    }

    /// Takes `count` messages, in the order of [`Login::put`], acknowledges them, and deletes the queue if it is empty then.
    pub(crate) fn take(&self, queue: &str, count: usize) -> Outcome {
        talk(async {
            let (connection, channel) = self.open().await?;
            for number in 0..count {
                let got = channel
                    .basic_get(queue.into(), BasicGetOptions::default())
                    .await
                    .map_err(text)?;
                let message = got.ok_or_else(|| format!("message {number} of {count} is missing"))?;
                crate::check::equal(String::from_utf8_lossy(&message.data).into_owned(), body(number))?;
                message.ack(BasicAckOptions::default()).await.map_err(text)?;
            }
            let if_empty = QueueDeleteOptions {
                if_empty: true,
                ..QueueDeleteOptions::default()
            };
            channel.queue_delete(queue.into(), if_empty).await.map_err(text)?;
            connection.close(200, "done".into()).await.map_err(text)
        })
    }

    /// Opens a connection with a consumer, does something else meanwhile, and waits for the broker to end it: the reason that was given.
    pub(crate) fn end_of_connection(&self, meanwhile: impl FnOnce() -> Outcome) -> Outcome<String> {
        talk(async {
            let (_connection, channel) = self.open().await?;
            let exclusive = QueueDeclareOptions {
                exclusive: true,
                ..QueueDeclareOptions::default()
            };
            let queue = channel
                .queue_declare("".into(), exclusive, FieldTable::default())
                .await
                .map_err(text)?;
            let consume = channel.basic_consume(
                queue.name().clone(),
                "".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            );
            let mut consumer = consume.await.map_err(text)?;
            // The client goes on answering the broker on another thread.
            tokio::task::block_in_place(meanwhile)?;
            match consumer.next().await {
                Some(Err(error)) => Ok(text(error)),
                other => Err(format!("the consumer was not told: {other:?}")),
            }
        })
    }

    /// What the broker says to somebody it does not let in.
    pub(crate) fn refusal(&self) -> Outcome<String> {
        talk(async {
            match self.open().await {
                Ok(_) => Err("was let in".into()),
                Err(reason) => Ok(reason),
            }
        })
    }

    /// The most channels that the broker and the client agreed upon.
    pub(crate) fn channel_max(&self) -> Outcome<u16> {
        talk(async {
            self.open()
                .await
                .map(|(connection, _)| connection.configuration().channel_max())
        })
    }

    async fn open(&self) -> Outcome<(Connection, Channel)> {
        let connection = Connection::connect(&self.uri(), ConnectionProperties::default())
            .await
            .map_err(text)?;
        let channel = connection.create_channel().await.map_err(text)?;
        Ok((connection, channel))
    }
}

async fn publish(channel: &Channel, queue: &str, body: &str) -> Outcome {
    let persistent = BasicProperties::default().with_delivery_mode(2);
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let sent = channel
        .basic_publish("".into(), queue.into(), options, body.as_bytes(), persistent)
        .await
        .map_err(text)?;
    match sent.await.map_err(text)? {
        Confirmation::Ack(None) => Ok(()),
        other => Err(format!("not confirmed: {other:?}")),
    }
}

fn body(number: usize) -> String {
    format!("message {number}")
}

fn text(error: lapin::Error) -> String {
    error.to_string()
}

fn talk<T>(conversation: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        tokio::time::timeout(LIMIT, conversation)
            .await
            .unwrap_or_else(|_| Err(format!("no end after {} s", LIMIT.as_secs())))
    })
}
