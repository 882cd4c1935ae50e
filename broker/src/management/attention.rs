//! `/attention`: what an administrator should look at now: alarms, resources that run out, queues that nobody consumes
//! and queues that grow.
//!
//! Decides what is a concern, from numbers alone. Changes nothing.

use api::{Attention, Severity, Troubled};
use axum::{Json, Router, extract::State, response::IntoResponse, routing::get};
use catalog::QueueRecord;
use model::{QueueId, VhostName};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    str::FromStr,
    sync::Arc,
};

use super::{Api, answer::Outcome, caller::Caller, failure::Failure};
use crate::{
    host::alarms,
    observe::{self, QueueReading},
};

/// Objects that an item names at most.
const EXAMPLES_MAX: usize = 10;
/// A queue grows when it gains this many messages in a minute and has not stopped.
const GROWTH_MIN: u64 = 100;
/// Parts of a hundred of memory or descriptors from which on they are a concern.
const NEARLY_FULL_PERCENT: u64 = 90;

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new().route("/attention", get(read))
}

/// Why a queue is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueConcern {
    /// Messages wait and nobody consumes.
    NoConsumers,
    /// More messages come than go.
    Growing,
}

const QUEUE_CONCERNS: [QueueConcern; 2] = [QueueConcern::Growing, QueueConcern::NoConsumers];

impl QueueConcern {
    fn word(self) -> &'static str {
        match self {
            QueueConcern::NoConsumers => "queues_without_consumers",
            QueueConcern::Growing => "growing_backlogs",
        }
    }
}

impl FromStr for QueueConcern {
    type Err = Failure;
    fn from_str(word: &str) -> Result<Self, Failure> {
        let found = QUEUE_CONCERNS.into_iter().find(|concern| concern.word() == word);
        found.ok_or_else(|| {
            let words = QUEUE_CONCERNS.map(QueueConcern::word).join(" or ");
            Failure::bad_request(format!("attention must be {words}, not '{word}'"))
        })
    }
}

/// What is wrong with a queue that holds so many ready messages; `gained` for one that grows.
fn judge(ready: u64, consumers: usize, gained: Option<u64>) -> impl Iterator<Item = QueueConcern> {
    let grows = gained.map(|_| QueueConcern::Growing);
    let waits = (ready > 0 && consumers == 0).then_some(QueueConcern::NoConsumers);
    grows.into_iter().chain(waits)
}

/// The queues to be looked at, as they were read last: that costs no look at each of them.
fn troubled(api: &Api) -> Vec<(QueueId, QueueConcern, QueueReading, Option<u64>)> {
    let growing = api.samples.growing(GROWTH_MIN);
    let readings = api.samples.readings();
    let found = readings.iter().flat_map(|(id, reading)| {
        let gained = growing.get(id).copied();
        let concerns = judge(reading.counts.ready.messages, reading.counts.consumers, gained);
        concerns.map(move |concern| (*id, concern, *reading, gained))
    });
    found.collect()
}

/// Keeps the queues that are to be looked at for this reason.
pub fn retain(api: &Api, wanted: QueueConcern, rows: &mut Vec<&Arc<QueueRecord>>) {
    let found = troubled(api)
        .into_iter()
        .filter(|(_, concern, _, _)| *concern == wanted);
    let ids: HashSet<QueueId> = found.map(|(id, _, _, _)| id).collect();
    rows.retain(|record| ids.contains(&record.id));
}

fn of_queues(api: &Api, caller: &Caller) -> Vec<api::Concern> {
    let snapshot = api.node.snapshot();
    let mut found: BTreeMap<&str, Vec<Troubled>> = BTreeMap::new();
    let mut seen: HashMap<VhostName, bool> = HashMap::new();
    for (id, concern, reading, gained) in troubled(api) {
        let Some(cell) = snapshot.cell(id) else { continue };
        let is_seen = *seen
            .entry(cell.vhost.clone())
            .or_insert_with(|| caller.sees(api, &cell.vhost));
        if !is_seen {
            continue;
        }
        found.entry(concern.word()).or_default().push(Troubled {
            node: api.node.name().to_string(),
            vhost: Some(cell.vhost.to_string()),
            queue: Some(cell.name.to_string()),
            value: reading.counts.ready.messages + reading.counts.unacked.messages,
            gained,
            limit: None,
        });
    }
    let item = |(kind, mut all): (&str, Vec<Troubled>)| {
        // The worst are named.
        all.sort_by_key(|trouble| std::cmp::Reverse((trouble.gained, trouble.value)));
        concern(kind, Severity::Warning, all)
    };
    found.into_iter().map(item).collect()
}

fn concern(kind: &str, severity: Severity, mut all: Vec<Troubled>) -> api::Concern {
    let count = all.len();
    all.truncate(EXAMPLES_MAX);
    api::Concern {
        kind: kind.to_owned(),
        severity,
        count,
        examples: all,
    }
}

/// A resource of a node.
#[derive(Clone, Copy, Debug)]
struct Resource {
    used: u64,
    limit: u64,
}

impl Resource {
    fn is_nearly_full(self) -> bool {
        self.limit > 0 && self.used as u128 * 100 >= self.limit as u128 * NEARLY_FULL_PERCENT as u128
    }
}

fn of_node(api: &Api) -> Vec<api::Concern> {
    let node = &api.node;
    let machine = observe::look();
    let memory = Resource {
        used: alarms::memory_used().unwrap_or_default(),
        limit: node.alarms().memory_level().bytes,
    };
    let descriptors = Resource {
        used: machine.descriptors_used,
        limit: machine.descriptors_max,
    };
    let disk = Resource {
        used: alarms::disk_free(node.config().node.data.as_path()).unwrap_or_default(),
        limit: node.alarms().disk_level().bytes,
    };
    let (memory_on, disk_on) = (node.alarms().memory(), node.alarms().disk());
    let found = [
        ("memory_alarm", Severity::Error, memory_on, memory),
        ("disk_alarm", Severity::Error, disk_on, disk),
        (
            "memory_nearly_full",
            Severity::Warning,
            !memory_on && memory.is_nearly_full(),
            memory,
        ),
        (
            "descriptors_nearly_used",
            Severity::Warning,
            descriptors.is_nearly_full(),
            descriptors,
        ),
    ];
    let told = |(kind, severity, _, resource): (&str, Severity, bool, Resource)| {
        let trouble = Troubled {
            node: node.name().to_string(),
            value: resource.used,
            limit: Some(resource.limit),
            ..Troubled::default()
        };
        concern(kind, severity, vec![trouble])
    };
    found.into_iter().filter(|(_, _, is_on, _)| *is_on).map(told).collect()
}

async fn read(State(api): State<Arc<Api>>, caller: Caller) -> Outcome {
    let mut items = of_node(&api);
    if !caller.is_monitor() {
        // Alarms concern everybody, since they block publishers; the rest of a node is the monitors' business.
        items.retain(|item| item.severity == Severity::Error);
    }
    items.extend(of_queues(&api, &caller));
    items.sort_by_key(|item| item.severity);
    Ok(Json(Attention { items }).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_nobody_consumes_and_growth_are_concerns() {
        use QueueConcern::{Growing, NoConsumers};
        let judged = |ready, consumers, gained| judge(ready, consumers, gained).collect::<Vec<_>>();
        assert_eq!(judged(1, 0, None), [NoConsumers]);
        assert_eq!(judged(9, 0, Some(200)), [Growing, NoConsumers]);
        assert_eq!(judged(9, 1, Some(200)), [Growing]);
        assert_eq!((judged(9, 1, None), judged(0, 0, None)), (vec![], vec![]));
    }

    #[test]
    fn concerns_of_queues_are_parameters_by_their_word() {
        for concern in QUEUE_CONCERNS {
            assert_eq!(concern.word().parse(), Ok(concern));
        }
        assert!("memory_alarm".parse::<QueueConcern>().is_err());
    }

    #[test]
    fn a_resource_without_a_limit_is_never_full() {
        assert!(Resource { used: 90, limit: 100 }.is_nearly_full());
        assert!(!Resource { used: 89, limit: 100 }.is_nearly_full());
        assert!(!Resource { used: 5, limit: 0 }.is_nearly_full());
    }
}
