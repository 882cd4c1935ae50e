//! What queues that other nodes lead hold, as their leaders told it last: for whoever looks at this node.
//!
//! Asked for when somebody looks and what is known is older than a second; nothing is asked while nobody does. Nothing
//! may be decided by these numbers.

use catalog::{NodeName, QueueRecord};
use link::{Listing, Reply, Request, Term};
use model::{QueueName, VhostName};
use parking_lot::Mutex;
use queue::{Counts, Tally};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

use super::node::Node;

/// Numbers of this age will do.
const FRESH: Duration = Duration::from_secs(1);
/// What is asked for, in the order in which it is read.
const COLUMNS: [&str; 6] = [
    "name",
    "messages_ready",
    "messages_unacknowledged",
    "message_bytes_ready",
    "message_bytes_unacknowledged",
    "consumers",
];
/// Frames of an answer that wait to be read.
const FRAMES_MAX: usize = 4;

type All = BTreeMap<(VhostName, QueueName), Counts>;

/// The numbers told last, and when they were asked for.
#[derive(Debug, Default)]
pub struct FarCounts(Mutex<(Option<Instant>, All)>);

impl FarCounts {
    /// What a queue held when its leader was asked; all zero before.
    pub fn of(&self, record: &QueueRecord) -> Counts {
        let known = self.0.lock();
        let key = (record.vhost.clone(), record.name.clone());
        known.1.get(&key).copied().unwrap_or_default()
    }

    /// True for the first who finds the numbers too old; that one asks.
    fn are_old(&self) -> bool {
        let mut known = self.0.lock();
        let are_old = known.0.is_none_or(|at| at.elapsed() > FRESH);
        if are_old {
            known.0 = Some(Instant::now());
        }
        are_old
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
        self.far_counts().0.lock().1 = told.into_iter().flatten().collect();
    }

    async fn look_at(&self, other: &NodeName, vhosts: &[VhostName]) -> All {
        let mut all = All::new();
        for vhost in vhosts {
            let (rows, mut heard) = mpsc::channel(FRAMES_MAX);
            let request = Request::List {
                what: Listing::Here(Box::new(Listing::Queues(vhost.to_string()))),
                columns: COLUMNS.map(str::to_owned).to_vec(),
            };
            let gather = async {
                while let Some(reply) = heard.recv().await {
                    let Reply::Rows(rows) = reply else { continue };
                    let named = rows.iter().filter_map(|row| read(row));
                    all.extend(named.map(|(name, counts)| ((vhost.clone(), name), counts)));
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

/// One row of the list.
fn read(row: &[Term]) -> Option<(QueueName, Counts)> {
    let [Term::Binary(name), numbers @ ..] = row else {
        return None;
    };
    let number = |at: usize| match numbers.get(at) {
        Some(Term::Integer(number)) => u64::try_from(*number).unwrap_or(0),
        _ => 0,
    };
    let tally = |messages, bytes| Tally {
        messages,
        bytes,
        ..Tally::default()
    };
    let counts = Counts {
        ready: tally(number(0), number(2)),
        unacked: tally(number(1), number(3)),
        consumers: usize::try_from(number(4)).unwrap_or(usize::MAX),
        ..Counts::default()
    };
    Some((name.parse().ok()?, counts))
}
