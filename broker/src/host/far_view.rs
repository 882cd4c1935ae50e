//! What queues that other nodes lead hold, as their leaders told it last: for whoever looks at this node.
//!
//! Asked for when somebody looks and what is known is older than a second; nothing is asked while nobody does. Nothing
//! may be decided by these numbers.

use catalog::{NodeName, QueueRecord};
use link::{Listing, Reply, Request, Term};
use model::{Millis, QueueId, VhostName};
use parking_lot::{Mutex, RwLock};
use queue::{Counters, Counts, Tally};
use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};
use tokio::sync::{Notify, mpsc};

use super::{node::Node, view::QueueView};

/// Numbers of this age will do.
const FRESH: Duration = Duration::from_secs(1);
/// The column of the list of queues that holds all numbers, as nodes ask each other for it.
pub const NUMBERS: &str = "warren_numbers";
/// Frames of an answer that wait to be read.
const FRAMES_MAX: usize = 4;

/// What a queue holds, and what it did.
type Numbers = (Counts, Counters);

/// What leaders told: the numbers of their queues, how many messages the mirrors have of those that are synchronised, since when
/// nothing happens in those that are idle, the timestamps at their heads, and how many wait at each priority.
#[derive(Debug, Default)]
struct All {
    numbers: BTreeMap<QueueId, Numbers>,
    synchronised: BTreeMap<QueueId, u64>,
    idle: BTreeMap<QueueId, Millis>,
    heads: BTreeMap<QueueId, u64>,
    lengths: BTreeMap<QueueId, Vec<u64>>,
}

/// What a leader told of one queue.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    numbers: Numbers,
    synchronised: Option<u64>,
    idle_since: Option<Millis>,
    head_timestamp: Option<u64>,
    lengths: Vec<u64>,
}

impl All {
    fn add(&mut self, id: QueueId, told: Told) {
        self.numbers.insert(id, told.numbers);
        self.synchronised
            .extend(told.synchronised.map(|messages| (id, messages)));
        self.idle.extend(told.idle_since.map(|at| (id, at)));
        self.heads.extend(told.head_timestamp.map(|seconds| (id, seconds)));
        if !told.lengths.is_empty() {
            self.lengths.insert(id, told.lengths);
        }
    }

    fn join(&mut self, other: All) {
        self.numbers.extend(other.numbers);
        self.synchronised.extend(other.synchronised);
        self.idle.extend(other.idle);
        self.heads.extend(other.heads);
        self.lengths.extend(other.lengths);
    }
}

/// Who knows since when nothing happens in a queue of this node.
type IdleSince = Box<dyn Fn(QueueId) -> Option<Millis> + Send + Sync>;

/// That one, once it is there.
#[derive(Default)]
struct Observer(RwLock<Option<IdleSince>>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observer").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    asked_at: Option<Instant>,
    all: All,
    told_at: Option<Instant>,
    is_asking: bool,
    /// What was told the time before, and how long before.
    before: BTreeMap<QueueId, Numbers>,
    span: Duration,
}

/// The numbers told last, and when they were asked for.
#[derive(Debug, Default)]
pub struct FarCounts {
    state: Mutex<State>,
    /// Others have told.
    told: Notify,
    /// For what this node tells others.
    observer: Observer,
}

impl FarCounts {
    /// What a queue showed when its leader was asked; all zero before.
    pub fn of(&self, record: &QueueRecord) -> Numbers {
        let known = self.state.lock();
        known.all.numbers.get(&record.id).copied().unwrap_or_default()
    }

    /// Puts what a queue's leader told into the view of it.
    pub fn show(&self, view: &mut QueueView) {
        let id = view.record.id;
        let all = &self.state.lock().all;
        (view.counts, view.counters) = all.numbers.get(&id).copied().unwrap_or_default();
        view.synchronised = all.synchronised.get(&id).copied();
        view.idle_since = all.idle.get(&id).copied();
        view.head_timestamp = all.heads.get(&id).copied();
        view.lengths = all.lengths.get(&id).cloned().unwrap_or_default();
    }

    /// Says who knows that of this node's own queues. The last word counts.
    pub fn observed_by(&self, idle_since: impl Fn(QueueId) -> Option<Millis> + Send + Sync + 'static) {
        *self.observer.0.write() = Some(Box::new(idle_since));
    }

    /// The same of a queue of this node.
    pub fn idle_here_since(&self, id: QueueId) -> Option<Millis> {
        self.observer.0.read().as_ref().and_then(|idle_since| idle_since(id))
    }

    /// What a queue showed the last two times, and how long lies between.
    pub fn change_of(&self, record: &QueueRecord) -> (Numbers, Numbers, Duration) {
        let known = self.state.lock();
        let after = known.all.numbers.get(&record.id).copied().unwrap_or_default();
        let before = known.before.get(&record.id).copied().unwrap_or(after);
        (before, after, known.span)
    }

    /// What all queues of other nodes showed, by id.
    pub fn all(&self) -> Vec<(QueueId, Counts, Counters)> {
        let known = self.state.lock();
        let numbers = |(id, (counts, counters)): (&QueueId, &Numbers)| (*id, *counts, *counters);
        known.all.numbers.iter().map(numbers).collect()
    }

    /// How all of them changed between the last two looks, and how long lies between.
    pub fn changes(&self) -> (Vec<(QueueId, Numbers, Numbers)>, Duration) {
        let known = self.state.lock();
        let change = |(id, after): (&QueueId, &Numbers)| Some((*id, *known.before.get(id)?, *after));
        (known.all.numbers.iter().filter_map(change).collect(), known.span)
    }

    /// True for the first who finds the numbers too old; that one asks.
    fn are_old(&self) -> bool {
        let mut known = self.state.lock();
        let age = known.asked_at.map(|at| at.elapsed());
        let are_old = age.is_none_or(|age| age > FRESH);
        if are_old {
            known.asked_at = Some(Instant::now());
            known.is_asking = true;
        }
        are_old
    }

    fn tell(&self, all: All) {
        let mut known = self.state.lock();
        let now = Instant::now();
        // Together with the numbers: whoever looks meanwhile gets a span that belongs to them.
        known.span = known.told_at.map(|at| now.duration_since(at)).unwrap_or_default();
        known.told_at = Some(now);
        known.before = std::mem::replace(&mut known.all, all).numbers;
        known.is_asking = false;
        drop(known);
        self.told.notify_waiters();
    }

    /// Waits for what somebody else asks just now, so that all who look together see the same; not for long.
    async fn asked_by_another(&self) {
        let told = self.told.notified();
        tokio::pin!(told);
        told.as_mut().enable();
        if self.state.lock().is_asking {
            // Without an answer in time the older numbers will do.
            drop(tokio::time::timeout(FRESH, told).await);
        }
    }
}

impl Node {
    /// Asks the other nodes for the numbers of their queues, unless that was done just now. A node that does not answer
    /// has told nothing.
    pub async fn look_around(&self) {
        let others = self.snapshot().other_nodes();
        if others.is_empty() {
            return;
        }
        if !self.far_counts().are_old() {
            return self.far_counts().asked_by_another().await;
        }
        let vhosts: Vec<VhostName> = self
            .snapshot()
            .catalog
            .vhosts()
            .map(|vhost| vhost.name().clone())
            .collect();
        let asked = others.iter().map(|other| self.look_at(other, &vhosts));
        let told = futures::future::join_all(asked).await;
        let mut all = All::default();
        told.into_iter().for_each(|one| all.join(one));
        self.far_counts().tell(all);
    }

    async fn look_at(&self, other: &NodeName, vhosts: &[VhostName]) -> All {
        let mut all = All::default();
        for vhost in vhosts {
            let (rows, mut heard) = mpsc::channel(FRAMES_MAX);
            let request = Request::List {
                what: Listing::Here(Box::new(Listing::Queues(vhost.to_string()))),
                columns: vec!["name".to_owned(), NUMBERS.to_owned()],
            };
            let gather = async {
                while let Some(reply) = heard.recv().await {
                    let Reply::Rows(rows) = reply else { continue };
                    let snapshot = self.snapshot();
                    for (name, told) in rows.iter().filter_map(|row| read(row)) {
                        let known = snapshot.catalog.queue(vhost.as_str(), name);
                        let Some(record) = known.filter(|record| snapshot.is_remote(record)) else {
                            continue;
                        };
                        all.add(record.id, told);
                    }
                }
            };
            if let (Err(failure), ()) = tokio::join!(self.ask_node(other, request, Some(rows)), gather) {
                tracing::warn!("the queues of node {other} are shown without numbers: {failure:?}");
                break;
            }
        }
        all
    }
}

/// All numbers of a queue, in the order in which they are read.
pub fn numbers(view: &QueueView) -> Term {
    let Counts {
        ready,
        paged,
        unacked,
        consumers,
        letters,
    } = view.counts;
    let tally = |tally: Tally| [tally.messages, tally.bytes, tally.persistent, tally.persistent_bytes];
    let did = &view.counters;
    let counters = [
        did.published,
        did.refused,
        did.delivered,
        did.delivered_no_ack,
        did.got,
        did.got_no_ack,
        did.get_empty,
        did.redelivered,
        did.acked,
        did.requeued,
        did.rejected,
        did.expired,
        did.dropped,
        did.delivery_limited,
        did.purged,
    ];
    let tallies = [ready, paged, unacked].into_iter().flat_map(tally);
    let sync = [
        u64::from(view.synchronised.is_some()),
        view.synchronised.unwrap_or_default(),
    ];
    // Younger than the others, so behind them.
    let younger = [
        did.lettered_rejected,
        did.lettered_expired,
        did.lettered_dropped,
        did.lettered_limited,
        did.lettered_refused,
        did.written,
        did.read,
        view.idle_since.map_or(0, |at| at.0),
    ];
    let all = tallies
        .chain([consumers as u64])
        .chain(counters)
        .chain(sync)
        .chain(younger)
        .chain(tally(letters))
        .chain(view.head_timestamp.map_or([0, 0], |seconds| [1, seconds]))
        .chain(view.lengths.iter().copied());
    Term::List(all.map(Term::count).collect())
}

fn read_tally(next: &mut impl FnMut() -> u64) -> Tally {
    Tally {
        messages: next(),
        bytes: next(),
        persistent: next(),
        persistent_bytes: next(),
    }
}

/// One row of the list. What a neighbouring release does not tell is zero.
fn read(row: &[Term]) -> Option<(&str, Told)> {
    let [Term::Binary(name), Term::List(numbers)] = row else {
        return None;
    };
    let mut numbers = numbers.iter().map(|term| match term {
        Term::Integer(number) => u64::try_from(*number).unwrap_or(0),
        _ => 0,
    });
    let mut next = || numbers.next().unwrap_or(0);
    let [ready, paged, unacked] = [(); 3].map(|()| read_tally(&mut next));
    let mut counts = Counts {
        ready,
        paged,
        unacked,
        consumers: usize::try_from(next()).unwrap_or(usize::MAX),
        letters: Tally::default(),
    };
    let mut counters = Counters {
        published: next(),
        refused: next(),
        delivered: next(),
        delivered_no_ack: next(),
        got: next(),
        got_no_ack: next(),
        get_empty: next(),
        redelivered: next(),
        acked: next(),
        requeued: next(),
        rejected: next(),
        expired: next(),
        dropped: next(),
        delivery_limited: next(),
        purged: next(),
        ..Counters::default()
    };
    let (is_synchronising, synchronised) = (next() == 1, next());
    counters.lettered_rejected = next();
    counters.lettered_expired = next();
    counters.lettered_dropped = next();
    counters.lettered_limited = next();
    counters.lettered_refused = next();
    counters.written = next();
    counters.read = next();
    let idle_since = Some(Millis(next())).filter(|at| at.0 > 0);
    counts.letters = read_tally(&mut next);
    let (has_timestamp, timestamp) = (next() == 1, next());
    let told = Told {
        numbers: (counts, counters),
        synchronised: is_synchronising.then_some(synchronised),
        idle_since,
        head_timestamp: has_timestamp.then_some(timestamp),
        lengths: numbers.collect(),
    };
    Some((name, told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_row_tells_all_of_a_queue_and_one_of_an_older_release_what_that_knew() {
        let (_folder, node) = crate::host::started_blank().await;
        node.commit(crate::host::durable_queue(&node, "q")).await.unwrap();
        node.far_counts().observed_by(|_| Some(Millis(1_700_000_000_000)));
        let record = node.snapshot().catalog.queue("/", "q").unwrap().clone();
        let mut view = node.queue_view(&record);
        assert_eq!(view.idle_since, Some(Millis(1_700_000_000_000)));
        view.counters.read = 7;
        view.counts.letters.messages = 2;
        view.synchronised = Some(3);
        view.head_timestamp = Some(0);
        view.lengths = vec![4, 0, 5];
        let Term::List(mut row) = numbers(&view) else {
            panic!("no row")
        };
        let told = |row: &[Term]| {
            let row = [Term::text("q"), Term::List(row.to_vec())];
            read(&row).map(|(name, told)| (name.to_owned(), told)).unwrap()
        };
        let mut expected = Told {
            numbers: (view.counts, view.counters),
            synchronised: Some(3),
            idle_since: view.idle_since,
            head_timestamp: Some(0),
            lengths: vec![4, 0, 5],
        };
        assert_eq!(told(&row), ("q".to_owned(), expected));
        // It knew of no letters, of no head, of no levels, and not since when a queue is idle.
        row.truncate(row.len() - 10);
        view.counts.letters.messages = 0;
        expected = Told {
            numbers: (view.counts, view.counters),
            synchronised: Some(3),
            idle_since: None,
            head_timestamp: None,
            lengths: Vec::new(),
        };
        assert_eq!(told(&row), ("q".to_owned(), expected));
    }
}
