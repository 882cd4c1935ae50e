//! Numbers of queues and of the whole in the names of the API, with how fast they change and what they were.
//!
//! Adds up what the node shows; decides nothing.

use api::{Rate, Rates, Sample, Series};
use model::QueueId;
use queue::Counters;
use std::collections::HashMap;

use super::{Api, failure::Failure, list::Parameters};
use crate::{
    config::RatesMode,
    host::QueueView,
    observe::{Change, Past, QueueReading, Reading, Span},
};

type Number = fn(&Counters) -> u64;
type Held = fn(&QueueReading) -> u64;

/// Up to so many queues are looked at for their sum; that of more is as old as the last reading.
const LOOKS_MAX: usize = 2_000;

/// Most samples of one number that a request may ask for.
const SAMPLES_MAX: u32 = 500;

/// Most samples of each number that a list tells of all its rows; a longer list tells none.
const SAMPLES_OF_LIST_MAX: u64 = 100_000;

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

/// What queues wrote to the disk and read back, which is told of all together.
const DISK: [(&str, Number); 2] = [("disk_reads", |c| c.read), ("disk_writes", |c| c.written)];

/// Names and numbers of what queues hold.
const DEPTHS: [(&str, Held); 3] = [
    ("messages", messages),
    ("messages_ready", |reading| reading.counts.ready.messages),
    ("messages_unacknowledged", |reading| reading.counts.unacked.messages),
];

/// Which parts of the past a request asks for: `lengths_age` with `lengths_incr`, and so on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Of what queues hold.
    pub lengths: Option<Span>,
    /// Of what happens to messages.
    pub rates: Option<Span>,
    /// Of nodes.
    pub node: Option<Span>,
    /// Of what goes over connections.
    pub data: Option<Span>,
}

/// How fast a queue grows.
#[derive(Clone, Debug)]
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

impl Asked {
    /// Reads the parameters of a request.
    ///
    /// # Errors
    /// 400 when they ask for nothing or too much.
    pub fn of(query: &Parameters) -> Result<Self, Failure> {
        Ok(Asked {
            lengths: span(query, "lengths")?,
            rates: span(query, "msg_rates")?,
            node: span(query, "node_stats")?,
            data: span(query, "data_rates")?,
        })
    }

    /// The same for a list of so many rows. A list of too many samples tells how fast numbers change, and not what they were.
    ///
    /// # Errors
    /// As above.
    pub fn of_list(query: &Parameters, rows: usize) -> Result<Self, Failure> {
        let asked = Asked::of(query)?;
        let rows = query.shown_of(rows) as u64;
        let fits = |span: &Span| rows * (span.age_ms / span.step_ms + 1) <= SAMPLES_OF_LIST_MAX;
        Ok(Asked {
            lengths: asked.lengths.filter(fits),
            rates: asked.rates.filter(fits),
            node: asked.node.filter(fits),
            data: asked.data.filter(fits),
        })
    }
}

/// Both parameters are numbers of seconds, or it is as if nothing was asked for.
fn span(query: &Parameters, name: &str) -> Result<Option<Span>, Failure> {
    let seconds = |what: &str| query.get(&format!("{name}_{what}"))?.parse::<u32>().ok();
    let (Some(age_s), Some(step_s)) = (seconds("age"), seconds("incr")) else {
        return Ok(None);
    };
    let count = age_s.checked_div(step_s).unwrap_or(u32::MAX);
    if age_s == 0 || count > SAMPLES_MAX {
        let reason = format!("Invalid range parameters: age {age_s}, incr {step_s}");
        return Err(Failure::bad_request(reason));
    }
    Ok(Some(Span {
        age_ms: u64::from(age_s) * 1000,
        step_ms: u64::from(step_s) * 1000,
    }))
}

/// How a number changes, with what it was.
pub fn details<T>(rate: f64, past: Option<&Past<T>>, number: impl Fn(&T) -> u64) -> Rate {
    let sample = |(at, reading): &(model::Millis, T)| Sample {
        sample: number(reading),
        timestamp: at.0,
    };
    Rate {
        rate,
        series: past.map(|past| Series::of(past.iter().map(sample).collect())),
    }
}

/// Whether it is told how fast numbers change.
pub fn keeps_rates(api: &Api) -> bool {
    api.node.config().management.rates_mode != RatesMode::None
}

fn messages(reading: &QueueReading) -> u64 {
    reading.counts.all().messages
}

/// What happened to messages; `change` is none when rates are not kept.
fn message_stats(now: &Counters, change: Option<&Change<QueueReading>>, past: Option<&Past<QueueReading>>) -> Rates {
    stats_of(&MESSAGES, now, change, past)
}

fn stats_of(
    numbers: &[(&str, Number)],
    now: &Counters,
    change: Option<&Change<QueueReading>>,
    past: Option<&Past<QueueReading>>,
) -> Rates {
    let mut rates = Rates::default();
    for (name, number) in numbers {
        let number_of = |reading: &QueueReading| number(&reading.counters);
        match change {
            Some(change) => rates.set_with_rate(name, number(now), details(change.rate(number_of), past, number_of)),
            None => rates.set(name, number(now)),
        }
    }
    rates
}

fn queue_totals(now: &QueueReading, change: Option<&Change<QueueReading>>, past: Option<&Past<QueueReading>>) -> Rates {
    let mut rates = Rates::default();
    for (name, number) in DEPTHS {
        match change {
            Some(change) => rates.set_with_rate(name, number(now), details(change.rate(number), past, number)),
            None => rates.set(name, number(now)),
        }
    }
    rates
}

/// Adds how fast the queues of another node change; what they hold and did is counted already. What is published is
/// counted where it is, and not by queues.
pub fn add_changes(message_stats: &mut Rates, queue_totals: &mut Rates, theirs: (&Rates, &Rates)) {
    let of_queues = MESSAGES
        .iter()
        .chain(&DISK)
        .map(|(name, _)| *name)
        .filter(|name| *name != "publish");
    message_stats.add_changes(theirs.0, of_queues);
    queue_totals.add_changes(theirs.1, DEPTHS.iter().map(|(name, _)| *name));
}

/// One queue's statistics.
pub fn of_queue(api: &Api, view: &QueueView, asked: Asked) -> QueueStats {
    let id = view.record.id;
    let change = keeps_rates(api).then(|| match api.node.snapshot().is_remote(&view.record) {
        true => far_change(api, &view.record),
        false => api.samples.of_queue(id),
    });
    let past = |span: Option<Span>| span.map(|span| api.samples.past_of_queues(vec![id], span));
    let (lengths, rates) = (past(asked.lengths), past(asked.rates));
    let depth = |change: &Change<QueueReading>, number: Held| details(change.rate(number), lengths.as_ref(), number);
    QueueStats {
        message_stats: message_stats(&view.counters, change.as_ref(), rates.as_ref()),
        depth: change.as_ref().map(|change| Depth {
            messages: depth(change, DEPTHS[0].1),
            ready: depth(change, DEPTHS[1].1),
            unacked: depth(change, DEPTHS[2].1),
        }),
    }
}

/// How a queue of another node changed between the last two looks at it.
fn far_change(api: &Api, record: &catalog::QueueRecord) -> Change<QueueReading> {
    let reading = |(counts, counters)| QueueReading { counts, counters };
    let (before, after, span) = api.node.far_counts().change_of(record);
    Change::between(reading(before), reading(after), span)
}

/// A number of queues by the name of its field, for sorting; none for fields that are no such number. Queues of which it is
/// zero are left out, as are those that are younger than the last reading.
pub fn numbers_of_queues(api: &Api, field: &str) -> Option<HashMap<QueueId, f64>> {
    if let Some((_, number)) = DEPTHS.iter().find(|(name, _)| *name == field) {
        return Some(some_numbers(api, |reading| number(reading) as f64));
    }
    match field {
        "consumers" => return Some(some_numbers(api, |reading| reading.counts.consumers as f64)),
        "memory" => return Some(some_numbers(api, |reading| reading.memory_bytes() as f64)),
        _ => {}
    }
    let of = field.strip_suffix("_details.rate")?;
    if let Some((_, number)) = DEPTHS.iter().find(|(name, _)| *name == of) {
        return Some(rates(api, number));
    }
    let (_, number) = MESSAGES
        .iter()
        .find(|(name, _)| of.strip_prefix("message_stats.") == Some(name))?;
    Some(rates(api, |reading| number(&reading.counters)))
}

fn some_numbers(api: &Api, number: impl Fn(&QueueReading) -> f64) -> HashMap<QueueId, f64> {
    let readings = api.samples.readings();
    let here = readings.iter().map(|(id, reading)| (*id, number(reading)));
    let reading = |(id, counts, counters)| (id, number(&QueueReading { counts, counters }));
    let there = api.node.far_counts().all().into_iter().map(reading);
    here.chain(there).filter(|(_, number)| *number != 0.0).collect()
}

fn rates(api: &Api, number: impl Fn(&QueueReading) -> u64) -> HashMap<QueueId, f64> {
    let changes = api.samples.changes();
    let here = changes.iter().map(|(id, change)| (*id, change.rate(&number)));
    let (far, span) = api.node.far_counts().changes();
    let reading = |(counts, counters)| QueueReading { counts, counters };
    let there = far.into_iter().map(|(id, before, after)| {
        let change = Change::between(reading(before), reading(after), span);
        (id, change.rate(&number))
    });
    here.chain(there).filter(|(_, rate)| *rate != 0.0).collect()
}

/// What these queues hold and did.
pub fn of_queues<'a>(
    api: &Api,
    queues: impl Iterator<Item = &'a std::sync::Arc<catalog::QueueRecord>>,
    asked: Asked,
) -> (Sum, QueueReading) {
    let mut now = QueueReading::default();
    let mut ids: Vec<QueueId> = Vec::new();
    for record in queues {
        let (counts, counters) = api.node.numbers_anywhere(record);
        now = now.together(&QueueReading { counts, counters });
        ids.push(record.id);
    }
    let change = keeps_rates(api).then(|| api.samples.of_queues(ids.iter().copied()));
    let past = |span: Option<Span>| span.map(|span| api.samples.past_of_queues(ids.clone(), span));
    let (lengths, rates) = (past(asked.lengths), past(asked.rates));
    let sum = Sum {
        message_stats: Some(message_stats(&now.counters, change.as_ref(), rates.as_ref())),
        queue_totals: queue_totals(&now, change.as_ref(), lengths.as_ref()),
    };
    (sum, now)
}

/// What the queues of a virtual host hold and did. RabbitMQ tells what they held to who asks what happened.
pub fn of_vhost(api: &Api, vhost: &catalog::Vhost, asked: Asked) -> Sum {
    let asked = Asked {
        lengths: asked.lengths.or(asked.rates),
        ..asked
    };
    of_queues(api, vhost.queues(), asked).0
}

/// What all queues of this node hold, and what all did that there ever were. Many are not looked at one by one for everybody who asks: the last
/// reading tells.
fn all_here(api: &Api) -> QueueReading {
    let snapshot = api.node.snapshot();
    let count: usize = snapshot.catalog.vhosts().map(|vhost| vhost.queue_count()).sum();
    if count > LOOKS_MAX
        && let Some(reading) = api.samples.all_queues()
    {
        return reading;
    }
    let numbers = snapshot.all_numbers();
    let mut now = numbers.fold(QueueReading::default(), |sum, (_, counts, counters)| {
        sum.together(&QueueReading { counts, counters })
    });
    now.counters = crate::host::sum_counters(&now.counters, &api.node.retired());
    now
}

/// What all queues hold, and what all did that there ever were.
pub fn of_all(api: &Api, asked: Asked) -> (Sum, QueueReading) {
    let far = api.node.far_counts().all().into_iter();
    let now = far.fold(all_here(api), |sum, (_, counts, counters)| {
        sum.together(&QueueReading { counts, counters })
    });
    let change = keeps_rates(api).then(|| api.samples.of_node().map(|whole| whole.queues));
    let past = |span: Option<Span>| -> Option<Past<QueueReading>> {
        let past = api.samples.past_of_node(span?);
        Some(past.into_iter().map(|(at, whole)| (at, whole.queues)).collect())
    };
    let (lengths, rates) = (past(asked.lengths), past(asked.rates));
    let mut stats = message_stats(&now.counters, change.as_ref(), rates.as_ref());
    stats
        .0
        .extend(stats_of(&DISK, &now.counters, change.as_ref(), rates.as_ref()).0);
    let sum = Sum {
        message_stats: Some(stats),
        queue_totals: queue_totals(&now, change.as_ref(), lengths.as_ref()),
    };
    (sum, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Result<Asked, Failure> {
        Asked::of(&Parameters::from_pairs(pairs))
    }

    #[test]
    fn the_past_is_told_when_age_and_steps_are_asked_for() {
        let both = asked(&[("msg_rates_age", "60"), ("msg_rates_incr", "5")]).unwrap();
        let expected = Span {
            age_ms: 60_000,
            step_ms: 5_000,
        };
        assert_eq!((both.rates, both.lengths), (Some(expected), None));
        for half in [
            &[("lengths_age", "60")][..],
            &[("lengths_age", "x"), ("lengths_incr", "5")],
        ] {
            assert_eq!(asked(half), Ok(Asked::default()));
        }
    }

    #[test]
    fn a_list_of_too_many_rows_tells_no_past_and_a_page_of_it_does() {
        let ages = [("lengths_age", "600"), ("lengths_incr", "5")];
        let of = |pairs: &[(&str, &str)], rows| Asked::of_list(&Parameters::from_pairs(pairs), rows).unwrap().lengths;
        assert!(of(&ages, 800).is_some() && of(&ages, 50_000).is_none());
        let page = [ages[0], ages[1], ("page", "2")];
        assert!(of(&page, 50_000).is_some());
    }

    #[test]
    fn too_many_samples_are_refused_in_rabbitmqs_words() {
        let many = asked(&[("lengths_age", "5010"), ("lengths_incr", "10")]).unwrap_err();
        assert_eq!(
            many,
            Failure::bad_request("Invalid range parameters: age 5010, incr 10")
        );
        assert!(asked(&[("lengths_age", "9"), ("lengths_incr", "0")]).is_err());
    }
}
