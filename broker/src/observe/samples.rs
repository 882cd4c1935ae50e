//! How fast numbers change and what they were: every few seconds the counters of all queues, exchanges, connections and
//! channels and of the node are read.
//!
//! Reads only, one lock at a time. Without a second reading a rate is zero.

use model::{ConnectionId, Millis, QueueId};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    history::{Past, Pasts, Readings, Span, TICK_MS, Whole},
    machine::{self, Machine},
    reading::{ChannelId, Everything, QueueReading, Reading},
};
use crate::host::{
    ChannelCounts, ExchangeCounts, FileCounts, Flow, Node, NodeCounts, Traffic, VhostCounts, alarms, sum_counters,
};

/// Ticks over which a queue must have grown to be called growing: a minute, and its last quarter.
const GROWTH_TICKS: [usize; 2] = [12, 3];

/// What the node as a whole showed when it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WholeReading {
    /// All queues together, with what deleted ones had done.
    pub queues: QueueReading,
    /// The node's own counters.
    pub node: NodeCounts,
    /// Descriptors and threads.
    pub machine: Machine,
    /// Resident octets.
    pub memory_used: u64,
    /// Octets of free disk space.
    pub disk_free: u64,
    /// Open connections.
    pub connections: u64,
    /// Octets of all connections that there ever were.
    pub traffic: Traffic,
    /// What happened to the files of messages.
    pub files: FileCounts,
    /// States of the definitions so far.
    pub definitions: u64,
}

/// Two readings with the seconds between them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change<T> {
    /// The earlier one.
    pub before: T,
    /// The later one.
    pub after: T,
    seconds: f64,
}

impl<T> Change<T> {
    /// Two readings that were taken elsewhere.
    pub fn between(before: T, after: T, span: Duration) -> Self {
        let seconds = span.as_secs_f64();
        Change { before, after, seconds }
    }
}

#[derive(Debug, Default)]
struct State {
    /// When the last reading was, and what it is filed under.
    at: Option<(Millis, Millis)>,
    /// Between the last two readings; zero before there are two.
    seconds: f64,
    last: (WholeReading, WholeReading),
    queues: Pasts<QueueId, QueueReading>,
    exchanges: Pasts<u64, ExchangeCounts>,
    connections: Pasts<ConnectionId, Traffic>,
    channels: Pasts<ChannelId, ChannelCounts>,
    flows: Pasts<Flow, ChannelCounts>,
    vhosts: Pasts<u64, VhostCounts>,
    whole: Whole,
}

/// The readings.
#[derive(Debug, Default)]
pub struct Samples(Mutex<State>);

impl State {
    /// How one thing changed between the last two readings.
    fn change<K: Copy + Ord, R: Reading>(&self, kind: impl Fn(&Self) -> &Pasts<K, R>, id: K) -> Change<R> {
        let (before, after) = kind(self).last_change(id).unwrap_or_default();
        Change {
            before,
            after,
            seconds: self.seconds,
        }
    }
}

impl<T> Change<T> {
    /// The change of a part.
    pub fn map<U>(self, part: impl Fn(T) -> U) -> Change<U> {
        Change {
            before: part(self.before),
            after: part(self.after),
            seconds: self.seconds,
        }
    }

    /// Change per second of one of the numbers; what shrinks has a negative rate.
    pub fn rate(&self, number: impl Fn(&T) -> u64) -> f64 {
        let (before, after) = (number(&self.before), number(&self.after));
        match self.seconds > 0.0 {
            true => (after as f64 - before as f64) / self.seconds,
            false => 0.0,
        }
    }
}

/// The time that a reading is filed under: that of its neighbour and so many ticks, however early or late this one is.
fn slot(last: Option<(Millis, Millis)>, now: Millis) -> Millis {
    let ticks = |ms: u64| (ms + TICK_MS / 2) / TICK_MS * TICK_MS;
    match last {
        None => Millis(ticks(now.0)),
        Some((at, slot)) => Millis(slot.0 + ticks(now.0.saturating_sub(at.0))),
    }
}

fn whole(node: &Node, all: &Everything) -> WholeReading {
    let mut queues = sum(all.queues.iter().map(|(_, reading)| reading));
    queues.counters = sum_counters(&queues.counters, &node.retired());
    WholeReading {
        queues,
        node: node.counters().read(),
        machine: machine::look(),
        memory_used: alarms::memory_used().unwrap_or_default(),
        disk_free: alarms::disk_free(node.config().node.data.as_path()).unwrap_or_default(),
        connections: node.clients().count() as u64,
        traffic: sum(all.connections.iter().map(|(_, traffic)| traffic)).together(&ended(node)),
        files: node.keeping().file_counts(),
        definitions: node.snapshot().generation().0,
    }
}

/// All of these together.
pub fn sum<'a, R: Reading + 'a>(all: impl Iterator<Item = &'a R>) -> R {
    all.fold(R::default(), |sum, one| sum.together(one))
}

/// What went over connections that are gone.
pub fn ended(node: &Node) -> Traffic {
    let counts = node.counters().read();
    Traffic {
        received: counts.octets_received,
        reads: counts.reads,
        sent: counts.octets_sent,
        writes: counts.writes,
    }
}

/// What all things show now; `queues` has room for theirs.
fn read(node: &Node, mut queues: Readings<QueueId, QueueReading>) -> Everything {
    let snapshot = node.snapshot();
    let queue = |(id, counts, counters)| (id, QueueReading { counts, counters });
    let clients = node.clients().all();
    let channels = clients.iter().flat_map(|client| {
        let of = |(number, counts)| ((client.id, number), counts);
        client.channel_counts().into_iter().map(of)
    });
    queues.extend(snapshot.all_numbers().map(queue));
    Everything {
        queues,
        exchanges: snapshot.exchange_counts(),
        channels: channels.collect(),
        flows: node.flows(),
        connections: clients.iter().map(|client| (client.id, client.traffic())).collect(),
        vhosts: node.vhost_counts().into_iter().collect(),
    }
}

impl Samples {
    fn take(&self, node: &Node) {
        let room = self.0.lock().queues.take_room();
        let all = read(node, room);
        let whole = whole(node, &all);
        let now = node.now();
        let mut state = self.0.lock();
        let slot = slot(state.at, now);
        if let Some((at, _)) = state.at {
            state.seconds = now.0.saturating_sub(at.0) as f64 / 1000.0;
        }
        state.at = Some((now, slot));
        state.last = (state.last.1, whole);
        state.queues.push(slot, all.queues);
        state.exchanges.push(slot, all.exchanges);
        state.connections.push(slot, all.connections);
        state.channels.push(slot, all.channels);
        state.flows.push(slot, all.flows);
        state.vhosts.push(slot, all.vhosts);
        state.whole.push(slot, whole);
    }

    /// Forgets all that was read.
    pub fn reset(&self) {
        *self.0.lock() = State::default();
    }

    /// How a queue changed; a queue that began meanwhile began with nothing.
    pub fn of_queue(&self, id: QueueId) -> Change<QueueReading> {
        self.0.lock().change(|state| &state.queues, id)
    }

    /// How an exchange changed.
    pub fn of_exchange(&self, id: u64) -> Change<ExchangeCounts> {
        self.0.lock().change(|state| &state.exchanges, id)
    }

    /// How a connection changed.
    pub fn of_connection(&self, id: ConnectionId) -> Change<Traffic> {
        self.0.lock().change(|state| &state.connections, id)
    }

    /// How a virtual host changed.
    pub fn of_vhost(&self, id: u64) -> Change<VhostCounts> {
        self.0.lock().change(|state| &state.vhosts, id)
    }

    /// How what goes between two changed.
    pub fn of_flow(&self, flow: Flow) -> Change<ChannelCounts> {
        self.0.lock().change(|state| &state.flows, flow)
    }

    /// How a channel changed. One that began anew under its number began with nothing.
    pub fn of_channel(&self, id: ChannelId) -> Change<ChannelCounts> {
        let change = self.0.lock().change(|state| &state.channels, id);
        match change.after.has_grown_from(&change.before) {
            true => change,
            false => Change {
                before: ChannelCounts::default(),
                ..change
            },
        }
    }

    /// When something happened in a queue last; none if that was just now, or the queue is not known yet.
    pub fn queue_is_idle_since(&self, id: QueueId) -> Option<Millis> {
        self.0.lock().queues.idle_since(id)
    }

    /// The same of a channel.
    pub fn channel_is_idle_since(&self, id: ChannelId) -> Option<Millis> {
        self.0.lock().channels.idle_since(id)
    }

    /// What a virtual host was, for at most ten minutes.
    pub fn past_of_vhost(&self, id: u64, span: Span) -> Past<VhostCounts> {
        self.0.lock().vhosts.past(&[id], span)
    }

    /// What an exchange was, for at most ten minutes.
    pub fn past_of_exchange(&self, id: u64, span: Span) -> Past<ExchangeCounts> {
        self.0.lock().exchanges.past(&[id], span)
    }

    /// What a connection was, for at most ten minutes.
    pub fn past_of_connection(&self, id: ConnectionId, span: Span) -> Past<Traffic> {
        self.0.lock().connections.past(&[id], span)
    }

    /// What a channel was, for at most ten minutes.
    pub fn past_of_channel(&self, id: ChannelId, span: Span) -> Past<ChannelCounts> {
        self.0.lock().channels.past(&[id], span)
    }

    /// How some queues changed together. A queue that ended meanwhile is in neither reading.
    pub fn of_queues(&self, ids: impl IntoIterator<Item = QueueId>) -> Change<QueueReading> {
        let state = self.0.lock();
        let (before, after) = state.queues.last_change_of(ids.into_iter());
        Change {
            before,
            after,
            seconds: state.seconds,
        }
    }

    /// What all queues together showed when they were read last; none before that.
    pub fn all_queues(&self) -> Option<QueueReading> {
        let state = self.0.lock();
        state.at.map(|_| state.last.1.queues)
    }

    /// How the node as a whole changed.
    pub fn of_node(&self) -> Change<WholeReading> {
        let state = self.0.lock();
        let (before, after) = state.last;
        Change {
            before,
            after,
            seconds: state.seconds,
        }
    }

    /// What some queues together were, for at most ten minutes.
    pub fn past_of_queues(&self, mut ids: Vec<QueueId>, span: Span) -> Past<QueueReading> {
        ids.sort_unstable();
        self.0.lock().queues.past(&ids, span)
    }

    /// What the node as a whole was, for at most a day.
    pub fn past_of_node(&self, span: Span) -> Past<WholeReading> {
        self.0.lock().whole.past(span)
    }

    /// How the queues changed that did change.
    pub fn changes(&self) -> Vec<(QueueId, Change<QueueReading>)> {
        let state = self.0.lock();
        let change = |(id, before, after)| {
            let seconds = state.seconds;
            (id, Change { before, after, seconds })
        };
        state.queues.last_changes().into_iter().map(change).collect()
    }

    /// What all queues showed when they were read last, by id: cheaper than a look at each, and a few seconds old.
    pub fn readings(&self) -> Arc<Vec<(QueueId, QueueReading)>> {
        self.0.lock().queues.current()
    }

    /// The queues that gained at least `least` messages in the last minute and are still growing, with their gains.
    pub fn growing(&self, least: u64) -> BTreeMap<QueueId, u64> {
        self.0.lock().queues.grown(GROWTH_TICKS, least, held)
    }
}

/// Messages that a queue holds.
pub(super) fn held(reading: &QueueReading) -> u64 {
    reading.counts.all().messages
}

/// Reads until the node stops.
pub async fn sample(samples: Arc<Samples>, node: Arc<Node>) {
    let mut every = tokio::time::interval(Duration::from_millis(TICK_MS));
    loop {
        tokio::select! {
            () = node.stopping().cancelled() => return,
            _ = every.tick() => samples.take(&node),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_change_over_time_and_zero_without_two_readings() {
        let change = Change {
            before: 10u64,
            after: 35,
            seconds: 5.0,
        };
        assert!((change.rate(|n| *n) - 5.0).abs() < f64::EPSILON);
        assert!(Change { seconds: 0.0, ..change }.rate(|n| *n) == 0.0);
        let shrunk = Change {
            before: 10u64,
            after: 0,
            seconds: 5.0,
        };
        assert!((shrunk.rate(|n| *n) + 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn samples_without_readings_know_no_change() {
        let change = Samples::default().of_queue(QueueId(1));
        assert_eq!((change.before, change.after), Default::default());
        assert!(change.rate(|reading| reading.counts.ready.messages) == 0.0);
    }

    #[test]
    fn ticks_a_little_early_or_late_fall_into_neighbouring_slots() {
        let mut last = None;
        let slots = [7_499, 12_501, 17_499, 32_400].map(|now| {
            let slot = slot(last, Millis(now));
            last = Some((Millis(now), slot));
            slot.0
        });
        assert_eq!(slots, [5_000, 10_000, 15_000, 30_000]);
    }
}
