//! What the user chooses, as command line options, and what cannot be chosen together.

use crate::error::Error;
use crate::forwarder::Ports;
use amq_protocol::uri::{AMQPScheme, AMQPUri};
use clap::{Parser, ValueEnum};
use serde::Serialize;
use std::{path::PathBuf, time::Duration};

/// Smallest body that has room for the time it was sent.
pub(crate) const STAMPED_BODY_BYTES_MIN: usize = 12;
/// Largest body RabbitMQ takes.
const BODY_BYTES_MAX: usize = 536_870_912;
/// Most bindings of one exchange; all their messages are made beforehand.
const BINDINGS_MAX: usize = 100_000;
/// Memory for the messages made beforehand.
const PREPARED_BYTES_MAX: usize = 1 << 30;

/// How published messages find their queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Exchange {
    /// By queue name through the default exchange
    Default,
    /// By queue name through a direct exchange
    Direct,
    /// Every message to every queue
    Fanout,
    /// By patterns; see --bindings
    Topic,
}

/// Make a load on an AMQP 0-9-1 broker and measure it.
///
/// Declares its queues (and an exchange), publishes and consumes for a time or a number of messages, prints a line a
/// second on standard error and the result on standard output, and deletes what it declared. Producers write many
/// publishes at once when they may, as busy clients do. Exit status 1 if a message was lost or refused.
#[derive(Clone, Debug, Parser, Serialize)]
#[command(name = "warren perf", version)]
pub struct Options {
    /// Broker and vhost: amqp://USER:PASSWORD@HOST:PORT/VHOST
    #[arg(long, default_value = "amqp://guest:guest@localhost:5672/%2f")]
    #[serde(skip)]
    pub uri: String,
    /// Publishing connections
    #[arg(long, short = 'x', default_value_t = 1, value_name = "N")]
    pub producers: usize,
    /// Consuming connections
    #[arg(long, short = 'y', default_value_t = 1, value_name = "N")]
    pub consumers: usize,
    /// Queues; producers and consumers are spread over them in turn
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub queues: usize,
    /// Body of each message in bytes; from 12 on it carries the time for latencies. Also 64KiB, 1MiB
    #[arg(long, short = 's', default_value = "16", value_parser = byte_size, value_name = "BYTES")]
    pub size: usize,
    /// Durable queues and delivery mode 2
    #[arg(long)]
    pub persistent: bool,
    /// Publisher confirms, with at most N unconfirmed per producer (0: no confirms)
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub confirm: usize,
    /// At most N messages published and not yet consumed, over all producers (0: no limit)
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub in_flight: u64,
    /// Prefetch of each consuming connection's consumers (0: no limit)
    #[arg(long, short = 'q', default_value_t = 0, value_name = "N")]
    pub prefetch: u16,
    /// Consume without acknowledgements
    #[arg(long, short = 'a')]
    pub auto_ack: bool,
    /// One ack (multiple) for every N deliveries
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub ack_every: u64,
    /// How messages find their queues
    #[arg(long, value_enum, default_value_t = Exchange::Default)]
    pub exchange: Exchange,
    /// Topic bindings, of four kinds of pattern, over all queues; each key matches one (default: one a queue)
    #[arg(long, value_name = "N")]
    pub bindings: Option<usize>,
    /// Publishes per second over all producers (0: as fast as they are taken)
    #[arg(long, short = 'r', default_value_t = 0, value_name = "N")]
    pub rate: u64,
    /// Most publishes in one write (default: as many as fit 64 KiB)
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Seconds to publish after the warm-up
    #[arg(long, short = 'd', value_name = "SECONDS", value_parser = seconds, conflicts_with = "messages")]
    pub duration: Option<f64>,
    /// Messages to publish over all producers (without producers: to consume) instead of a duration
    #[arg(long, short = 'm', value_name = "N")]
    pub messages: Option<u64>,
    /// Seconds of load before anything is counted
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "0", conflicts_with = "messages")]
    pub warmup: f64,
    /// At the end, wait for messages and confirms on their way until none came for so long
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "10")]
    pub drain: f64,
    /// Name of the exchange, and of the queues with a number behind it
    #[arg(long, default_value = "warren-perf", value_name = "NAME")]
    pub name: String,
    /// Queue argument, such as x-queue-type=quorum or x-max-length=1000; again for more
    #[arg(long, value_name = "KEY=VALUE")]
    pub queue_argument: Vec<String>,
    /// Do not empty the queues before, nor delete anything after
    #[arg(long)]
    pub keep: bool,
    /// Broker process whose CPU time to report; again for more
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// Add the CPU time of all descendants of those processes
    #[arg(long, requires = "pid")]
    pub pid_children: bool,
    /// Beside the load, measure what the machine takes: an fdatasync of 1 KiB in this directory, which should be on the
    /// broker's disk, and a TCP round trip on the loopback address
    #[arg(long, value_name = "DIRECTORY")]
    pub yardsticks: Option<PathBuf>,
    /// Make no load, but carry connections from one port of the loopback address to another with as little work as can be: a
    /// yardstick for what it costs to stand between a client and a broker
    #[arg(long, value_name = "FROM:TO", exclusive = true)]
    #[serde(skip)]
    pub forward: Option<Ports>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// No line a second
    #[arg(long)]
    pub quiet: bool,
}

fn byte_size(text: &str) -> Result<usize, String> {
    let (number, factor) = match text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())) {
        (number, "") => (number, 1),
        (number, "KiB") => (number, 1 << 10),
        (number, "MiB") => (number, 1 << 20),
        _ => return Err("not a number of bytes, such as 16, 64KiB or 1MiB".into()),
    };
    let bytes = number.parse::<usize>().ok().and_then(|n| n.checked_mul(factor));
    bytes
        .filter(|bytes| *bytes <= BODY_BYTES_MAX)
        .ok_or_else(|| "at most 512MiB".into())
}

fn seconds(text: &str) -> Result<f64, String> {
    let parsed = text.parse::<f64>().ok();
    parsed
        .filter(|s| (0.0..=1e6).contains(s))
        .ok_or_else(|| "not a number of seconds from 0 to 1000000".into())
}

impl Options {
    /// How long to publish; `None` when messages are counted. Ten seconds unless told.
    pub(crate) fn publish_for(&self) -> Option<Duration> {
        let seconds = self.duration.unwrap_or(10.0);
        self.messages.is_none().then(|| Duration::from_secs_f64(seconds))
    }

    /// True if bodies carry the time they were sent.
    pub(crate) fn is_stamped(&self) -> bool {
        self.size >= STAMPED_BODY_BYTES_MIN
    }

    /// Topic bindings; one a queue unless told.
    pub(crate) fn topic_bindings(&self) -> usize {
        self.bindings.unwrap_or(self.queues)
    }

    /// Deliveries that each publish leads to.
    pub(crate) fn copies(&self) -> u64 {
        match self.exchange {
            Exchange::Fanout => self.queues as u64,
            Exchange::Default | Exchange::Direct | Exchange::Topic => 1,
        }
    }

    /// The broker's address.
    ///
    /// # Errors
    /// The URI is none, or asks for TLS.
    pub(crate) fn broker(&self) -> Result<AMQPUri, Error> {
        let wrong = |problem: String| self.wrong("uri", problem);
        let uri: AMQPUri = self.uri.parse().map_err(wrong)?;
        match uri.scheme {
            AMQPScheme::AMQP => Ok(uri),
            AMQPScheme::AMQPS => Err(wrong("TLS is not offered here, measure over amqp://".into())),
        }
    }

    fn wrong(&self, option: &'static str, problem: impl Into<String>) -> Error {
        let value = match option {
            "uri" => self.uri.clone(),
            "queues" => self.queues.to_string(),
            "ack-every" => self.ack_every.to_string(),
            "bindings" => self.topic_bindings().to_string(),
            "batch" => self.batch.unwrap_or_default().to_string(),
            "name" => self.name.clone(),
            "size" => self.size.to_string(),
            "producers" => self.producers.to_string(),
            _ => self.in_flight.to_string(),
        };
        Error::Option {
            option,
            value,
            problem: problem.into(),
        }
    }

    /// Refuses what cannot be.
    ///
    /// # Errors
    /// The first option that is impossible, and what would be right.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let topic = self.exchange == Exchange::Topic;
        let waits_for_consumer = self.in_flight > 0 && self.consumers == 0;
        let faults = [
            (
                self.producers + self.consumers == 0,
                "producers",
                "give at least one producer or consumer",
            ),
            (self.queues == 0, "queues", "at least 1"),
            (self.name.len() > 200, "name", "at most 200 bytes"),
            (self.ack_every == 0, "ack-every", "at least 1"),
            (
                self.acks_starve(),
                "ack-every",
                "no more than --prefetch, or the broker waits for acks for ever",
            ),
            (
                waits_for_consumer,
                "in-flight",
                "nothing is ever consumed with --consumers 0",
            ),
            (
                self.bindings.is_some() && !topic,
                "bindings",
                "only with --exchange topic",
            ),
            (
                topic && self.topic_bindings() < self.queues,
                "bindings",
                "at least one for each queue",
            ),
            (self.topic_bindings() > BINDINGS_MAX, "bindings", "at most 100000"),
            (self.batch == Some(0), "batch", "at least 1"),
            (
                self.prepared_bytes() > PREPARED_BYTES_MAX,
                "size",
                "times --batch and --bindings is above 1 GiB",
            ),
        ];
        match faults.iter().find(|(wrong, ..)| *wrong) {
            Some((_, option, problem)) => Err(self.wrong(option, *problem)),
            None => Ok(()),
        }
    }

    fn acks_starve(&self) -> bool {
        !self.auto_ack && self.prefetch > 0 && self.ack_every > u64::from(self.prefetch)
    }

    fn prepared_bytes(&self) -> usize {
        let messages = self.batch.unwrap_or(1).max(self.topic_bindings());
        self.size.saturating_mul(messages).saturating_mul(self.producers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(line: &str) -> Result<(), String> {
        let words = std::iter::once("perf").chain(line.split_whitespace());
        let options = Options::try_parse_from(words).map_err(|error| error.to_string())?;
        options.check().map_err(|error| error.to_string())?;
        options.broker().map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn impossible_options_are_refused_with_what_would_be_right() {
        let cases = [
            ("--queues 0", "--queues 0: at least 1"),
            (
                "--prefetch 10 --ack-every 11",
                "--ack-every 11: no more than --prefetch",
            ),
            ("--in-flight 5 --consumers 0", "--in-flight 5: nothing is ever consumed"),
            ("--bindings 5", "--bindings 5: only with --exchange topic"),
            (
                "--exchange topic --queues 5 --bindings 4",
                "--bindings 4: at least one for each queue",
            ),
            ("--batch 0", "--batch 0: at least 1"),
            ("--producers 0 --consumers 0", "--producers 0: give at least one"),
            ("--size 64MiB --batch 100", "--size 67108864: times --batch"),
            ("--uri amqps://localhost", "--uri amqps://localhost: TLS is not offered"),
            ("--uri http://localhost", "--uri http://localhost: "),
            ("--size 5kb", "such as 16, 64KiB or 1MiB"),
            ("--duration x", "not a number of seconds"),
            ("--duration 5 --messages 5", "cannot be used with"),
            ("--pid-children", "--pid"),
        ];
        for (line, expected) in cases {
            let error = checked(line).expect_err(line);
            assert!(error.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn sizes_are_read_with_and_without_unit() {
        let cases = [
            ("0", Ok(0)),
            ("1KiB", Ok(1024)),
            ("2MiB", Ok(2 << 20)),
            ("513MiB", Err("at most 512MiB".into())),
        ];
        for (text, expected) in cases {
            assert_eq!(byte_size(text), expected);
        }
    }
}
