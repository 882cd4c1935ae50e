//! What queues that other nodes lead hold, as their leaders told it last: for whoever looks at this node.
//!
//! Asked for when somebody looks and what is known is older than a second; nothing is asked while nobody does. Nothing
//! may be decided by these numbers.

use catalog::{NodeName, QueueRecord};
use link::{Listing, Reply, Request, Term};
use model::{QueueId, VhostName};
use parking_lot::Mutex;
use queue::{Counters, Counts, Tally};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

use super::{node::Node, view::QueueView};

/// Numbers of this age will do.
const FRESH: Duration = Duration::from_secs(1);
/// The column of the list of queues that holds all numbers, as nodes ask each other for it.
pub const NUMBERS: &str = "warren_numbers";
/// Frames of an answer that wait to be read.
const FRAMES_MAX: usize = 4;

/// What a queue holds, and what it did.
type Numbers = (Counts, Counters);
type All = BTreeMap<QueueId, Numbers>;

#[derive(Debug, Default)]
struct State {
    asked_at: Option<Instant>,
    all: All,
    /// What was told the time before, and how long before.
    before: All,
    span: Duration,
}

/// The numbers told last, and when they were asked for.
#[derive(Debug, Default)]
pub struct FarCounts(Mutex<State>);

impl FarCounts {
    /// What a queue showed when its leader was asked; all zero before.
    pub fn of(&self, record: &QueueRecord) -> Numbers {
        self.0.lock().all.get(&record.id).copied().unwrap_or_default()
    }

    /// What a queue showed the last two times, and how long lies between.
    pub fn change_of(&self, record: &QueueRecord) -> (Numbers, Numbers, Duration) {
        let known = self.0.lock();
        let after = known.all.get(&record.id).copied().unwrap_or_default();
        let before = known.before.get(&record.id).copied().unwrap_or(after);
        (before, after, known.span)
    }

    /// What all queues of other nodes showed.
    pub fn all(&self) -> Vec<Numbers> {
        self.0.lock().all.values().copied().collect()
    }

    /// True for the first who finds the numbers too old; that one asks.
    fn are_old(&self) -> bool {
        let mut known = self.0.lock();
        let age = known.asked_at.map(|at| at.elapsed());
        let are_old = age.is_none_or(|age| age > FRESH);
        if are_old {
            known.asked_at = Some(Instant::now());
            known.span = age.unwrap_or_default();
        }
        are_old
    }

    fn tell(&self, all: All) {
        let mut known = self.0.lock();
        known.before = std::mem::replace(&mut known.all, all);
    }
}

impl Node {
    /// Asks the other nodes for the numbers of their queues, unless that was done just now. A node that does not answer
    /// has told nothing.
    pub async fn look_around(&self) {
        let others = self.snapshot().other_nodes();
        if others.is_empty() || !self.far_counts().are_old() {
            return;
        }
        let vhosts: Vec<VhostName> = self
            .snapshot()
            .catalog
            .vhosts()
            .map(|vhost| vhost.name().clone())
            .collect();
        let asked = others.iter().map(|other| self.look_at(other, &vhosts));
        let told = futures::future::join_all(asked).await;
        self.far_counts().tell(told.into_iter().flatten().collect());
    }

    async fn look_at(&self, other: &NodeName, vhosts: &[VhostName]) -> All {
        let mut all = All::new();
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
                    let named = rows.iter().filter_map(|row| {
                        let (name, numbers) = read(row)?;
                        let record = snapshot.catalog.queue(vhost.as_str(), name)?;
                        snapshot.is_remote(record).then_some((record.id, numbers))
                    });
                    all.extend(named);
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
    let all = tallies.chain([consumers as u64]).chain(counters);
    Term::List(all.map(Term::count).collect())
}

/// One row of the list. What a neighbouring release does not tell is zero.
fn read(row: &[Term]) -> Option<(&str, Numbers)> {
    let [Term::Binary(name), Term::List(numbers)] = row else {
        return None;
    };
    let mut numbers = numbers.iter().map(|term| match term {
        Term::Integer(number) => u64::try_from(*number).unwrap_or(0),
        _ => 0,
    });
    let mut next = || numbers.next().unwrap_or(0);
    let mut tally = || Tally {
        messages: next(),
        bytes: next(),
        persistent: next(),
        persistent_bytes: next(),
    };
    let (ready, paged, unacked) = (tally(), tally(), tally());
    let counts = Counts {
        ready,
        paged,
        unacked,
        consumers: usize::try_from(next()).unwrap_or(usize::MAX),
    };
    let counters = Counters {
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
    };
    Some((name, (counts, counters)))
}
