//! Numbers of queues and of the whole in the names of the API, with how fast they change.
//!
//! Adds up what the node shows; decides nothing.

use api::{Rate, Rates};
use model::QueueId;
use queue::Counters;

use super::Api;
use crate::{
    config::RatesMode,
    host::QueueView,
    observe::{Change, QueueReading, together},
};

type Number = fn(&Counters) -> u64;
type Held = fn(&QueueReading) -> u64;

/// Names and numbers of what happens to messages in queues.
const MESSAGES: [(&str, Number); 9] = [
    ("publish", |c| c.published),
    ("deliver", |c| c.delivered),
    ("deliver_no_ack", |c| c.delivered_no_ack),
    ("get", |c| c.got),
    ("get_no_ack", |c| c.got_no_ack),
    ("get_empty", |c| c.get_empty),
    ("deliver_get", |c| {
        c.delivered + c.delivered_no_ack + c.got + c.got_no_ack
    }),
    ("redeliver", |c| c.redelivered),
    ("ack", |c| c.acked),
];

/// How fast a queue grows.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// All messages.
    pub messages: Rate,
    /// Ready ones.
    pub ready: Rate,
    /// Unacknowledged ones.
    pub unacked: Rate,
}

/// A queue's statistics.
#[derive(Clone, Debug)]
pub struct QueueStats {
    /// What happened to messages.
    pub message_stats: Rates,
    /// How fast it grows; none when rates are not kept.
    pub depth: Option<Depth>,
}

/// Statistics of several queues together.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    /// What happened to messages; none when nothing has.
    pub message_stats: Option<Rates>,
    /// What the queues hold.
    pub queue_totals: Rates,
}

fn keeps_rates(api: &Api) -> bool {
    api.node.config().management.rates_mode != RatesMode::None
}

fn messages(reading: &QueueReading) -> u64 {
    reading.counts.ready.messages + reading.counts.unacked.messages
}

/// What happened to messages; `change` is none when rates are not kept.
fn message_stats(now: &Counters, change: Option<&Change<QueueReading>>) -> Rates {
    let mut rates = Rates::default();
    for (name, number) in MESSAGES {
        match change {
            Some(change) => rates.set_with_rate(name, number(now), change.rate(|reading| number(&reading.counters))),
            None => rates.set(name, number(now)),
        }
    }
    rates
}

/// One queue's statistics.
pub fn of_queue(api: &Api, view: &QueueView) -> QueueStats {
    let change = keeps_rates(api).then(|| api.samples.of_queue(view.record.id));
    let rate = |change: &Change<QueueReading>, number: fn(&QueueReading) -> u64| Rate {
        rate: change.rate(number),
    };
    QueueStats {
        message_stats: message_stats(&view.counters, change.as_ref()),
        depth: change.as_ref().map(|change| Depth {
            messages: rate(change, messages),
            ready: rate(change, |reading| reading.counts.ready.messages),
            unacked: rate(change, |reading| reading.counts.unacked.messages),
        }),
    }
}

/// Octets of memory that a queue takes: bodies, and so much for each message and consumer.
pub fn memory_of_queue(view: &QueueView) -> u64 {
    let bytes = view.counts.ready.bytes + view.counts.unacked.bytes;
    let messages = view.counts.ready.messages + view.counts.unacked.messages;
    bytes + 100 * messages + 500 * view.counts.consumers as u64 + 1_000
}

/// What these queues hold and did.
pub fn of_queues<'a>(
    api: &Api,
    queues: impl Iterator<Item = &'a std::sync::Arc<catalog::QueueRecord>>,
) -> (Sum, QueueReading) {
    let mut now = QueueReading::default();
    let mut ids: Vec<QueueId> = Vec::new();
    for record in queues {
        let (counts, counters) = api.node.queue_numbers(record);
        now = together(&now, &QueueReading { counts, counters });
        ids.push(record.id);
    }
    let change = keeps_rates(api).then(|| api.samples.of_queues(ids));
    let mut queue_totals = Rates::default();
    let depths: [(&str, Held); 3] = [
        ("messages", messages),
        ("messages_ready", |reading| reading.counts.ready.messages),
        ("messages_unacknowledged", |reading| reading.counts.unacked.messages),
    ];
    for (name, number) in depths {
        match &change {
            Some(change) => queue_totals.set_with_rate(name, number(&now), change.rate(number)),
            None => queue_totals.set(name, number(&now)),
        }
    }
    let sum = Sum {
        message_stats: Some(message_stats(&now.counters, change.as_ref())),
        queue_totals,
    };
    (sum, now)
}

/// What the queues of a virtual host hold and did.
pub fn of_vhost(api: &Api, vhost: &catalog::Vhost) -> Sum {
    of_queues(api, vhost.queues()).0
}
