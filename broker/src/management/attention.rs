//! `/attention`: what an administrator should look at now, in the whole cluster: nodes that are down, alarms, resources that
//! run out, queues that nobody serves, mirrors that are not in sync, queues that nobody consumes and queues that grow.
//!
//! Decides what is a concern, from numbers and definitions alone. Each node judges its own resources and the queues that it
//! leads; what all nodes know is judged by the one that is asked. Changes nothing.

use api::{Attention, Concern, Severity, Troubled};
use axum::{
    Json, Router,
    extract::{Path, State},
    response::IntoResponse,
    routing::get,
};
use catalog::QueueRecord;
use model::{QueueId, VhostName};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    str::FromStr,
    sync::Arc,
};

use super::{Api, answer::Outcome, caller::Caller, elsewhere::Elsewhere, failure::Failure, list::Parameters};
use crate::{
    host::{Snapshot, alarms},
    observe,
};

/// Objects that an item names at most.
const EXAMPLES_MAX: usize = 10;
/// A queue grows when it gains this many messages in a minute and has not stopped.
const GROWTH_MIN: u64 = 100;
/// Parts of a hundred of memory or descriptors from which on they are a concern.
const NEARLY_FULL_PERCENT: u64 = 90;

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/attention", get(read))
        .route("/attention/{kind}", get(read_kind))
}

/// Why a queue is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueueConcern {
    /// Its leader is down, and no other node may lead it.
    Unavailable,
    /// A mirror does not hold what its leader holds.
    Unsynchronised,
    /// More messages come than go.
    Growing,
    /// Messages wait and nobody consumes.
    NoConsumers,
}

use QueueConcern::{Growing, NoConsumers, Unavailable, Unsynchronised};

const QUEUE_CONCERNS: [QueueConcern; 4] = [Unavailable, Unsynchronised, Growing, NoConsumers];

impl QueueConcern {
    fn word(self) -> &'static str {
        match self {
            Unavailable => "unavailable_queues",
            Unsynchronised => "unsynchronised_mirrors",
            Growing => "growing_backlogs",
            NoConsumers => "queues_without_consumers",
        }
    }

    fn severity(self) -> Severity {
        match self {
            Unavailable => Severity::Error,
            Unsynchronised | Growing | NoConsumers => Severity::Warning,
        }
    }

    /// True if definitions tell, which all nodes have; otherwise the node tells that leads the queue.
    fn is_defined(self) -> bool {
        matches!(self, Unavailable | Unsynchronised)
    }
}

impl FromStr for QueueConcern {
    type Err = Failure;
    fn from_str(word: &str) -> Result<Self, Failure> {
        let found = QUEUE_CONCERNS.into_iter().find(|concern| concern.word() == word);
        found.ok_or_else(|| {
            let words = QUEUE_CONCERNS.map(QueueConcern::word).join(", ");
            Failure::bad_request(format!("attention must be one of {words}, not '{word}'"))
        })
    }
}

/// What is wrong with a queue that holds so many ready messages; `gained` for one that grows.
fn judge(ready: u64, consumers: usize, gained: Option<u64>) -> impl Iterator<Item = QueueConcern> {
    let grows = gained.map(|_| Growing);
    let waits = (ready > 0 && consumers == 0).then_some(NoConsumers);
    grows.into_iter().chain(waits)
}

/// A queue that is to be looked at.
#[derive(Clone, Debug)]
struct Found {
    concern: QueueConcern,
    record: Arc<QueueRecord>,
    messages: u64,
    gained: Option<u64>,
}

impl Found {
    fn told(&self) -> Troubled {
        Troubled {
            node: self.record.leader.to_string(),
            vhost: Some(self.record.vhost.to_string()),
            queue: Some(self.record.name.to_string()),
            value: self.messages,
            gained: self.gained,
            limit: None,
        }
    }
}

/// The queues led here, as they were read last: that costs no look at each of them.
fn led_here(api: &Api) -> Vec<Found> {
    let growing = api.samples.growing(GROWTH_MIN);
    let snapshot = api.node.snapshot();
    let readings = api.samples.readings();
    let found = readings.iter().flat_map(|(id, reading)| {
        let gained = growing.get(id).copied();
        let (ready, all) = (reading.counts.ready.messages, reading.counts.all().messages);
        let concerns = judge(ready, reading.counts.consumers, gained);
        let snapshot = &snapshot;
        concerns.filter_map(move |concern| {
            let cell = snapshot.cell(*id)?;
            let record = snapshot.catalog.queue(cell.vhost.as_str(), cell.name.as_str())?;
            Some(Found {
                concern,
                record: record.clone(),
                messages: all,
                gained: gained.filter(|_| concern == Growing),
            })
        })
    });
    found.collect()
}

fn judge_definition(snapshot: &Snapshot, record: &QueueRecord) -> Option<QueueConcern> {
    if snapshot.is_remote(record) && !snapshot.is_led(record) {
        return Some(Unavailable);
    }
    let replicas = record.replicas.as_ref()?;
    let lags = snapshot.catalog.unsynchronised(replicas).next().is_some();
    lags.then_some(Unsynchronised)
}

/// What definitions tell of all queues.
fn defined(api: &Api) -> Vec<Found> {
    let snapshot = api.node.snapshot();
    let found = snapshot.catalog.queues().filter_map(|record| {
        let concern = judge_definition(&snapshot, record)?;
        let (counts, _) = api.node.numbers_anywhere(record);
        Some(Found {
            concern,
            record: record.clone(),
            messages: counts.all().messages,
            gained: None,
        })
    });
    found.collect()
}

/// The queues of one kind that are led here, or that definitions tell of.
fn of_kind(api: &Api, wanted: QueueConcern) -> Vec<Found> {
    let mut found = match wanted.is_defined() {
        true => defined(api),
        false => led_here(api),
    };
    found.retain(|found| found.concern == wanted);
    found
}

/// The queues of the cluster that are to be looked at for this reason.
pub async fn queues(api: &Api, caller: &Caller, others: &Elsewhere, wanted: QueueConcern) -> HashSet<QueueId> {
    let mut ids: HashSet<QueueId> = of_kind(api, wanted).iter().map(|found| found.record.id).collect();
    if !wanted.is_defined() {
        let path = format!("/attention/{}", wanted.word());
        let told = others.about(&path).rows(api, caller).await;
        let snapshot = api.node.snapshot();
        let named = told.iter().filter_map(|row| {
            let (vhost, queue) = (row["vhost"].as_str()?, row["queue"].as_str()?);
            Some(snapshot.catalog.queue(vhost, queue)?.id)
        });
        ids.extend(named);
    }
    ids
}

/// Leaves out what the caller may not see.
fn seen(api: &Api, caller: &Caller, mut found: Vec<Found>) -> Vec<Found> {
    let mut known: BTreeMap<VhostName, bool> = BTreeMap::new();
    found.retain(|found| {
        let vhost = &found.record.vhost;
        *known.entry(vhost.clone()).or_insert_with(|| caller.sees(api, vhost))
    });
    found
}

fn of_queues(api: &Api, caller: &Caller, is_here_alone: bool) -> Vec<Concern> {
    let mut all = led_here(api);
    if !is_here_alone {
        all.extend(defined(api));
    }
    let mut by_kind: BTreeMap<QueueConcern, Vec<Troubled>> = BTreeMap::new();
    for found in seen(api, caller, all) {
        by_kind.entry(found.concern).or_default().push(found.told());
    }
    let item = |(kind, all): (QueueConcern, Vec<Troubled>)| concern(kind.word(), kind.severity(), all);
    by_kind.into_iter().map(item).collect()
}

fn concern(kind: &str, severity: Severity, all: Vec<Troubled>) -> Concern {
    let mut concern = Concern {
        kind: kind.to_owned(),
        severity,
        count: all.len(),
        examples: all,
    };
    name_worst(&mut concern.examples);
    concern
}

fn name_worst(examples: &mut Vec<Troubled>) {
    examples.sort_by_key(|trouble| std::cmp::Reverse((trouble.gained, trouble.value)));
    examples.truncate(EXAMPLES_MAX);
}

/// Adds what another node has found.
fn add(own: &mut Vec<Concern>, theirs: Vec<Concern>) {
    for item in theirs {
        match own.iter_mut().find(|known| known.kind == item.kind) {
            Some(known) => {
                known.count += item.count;
                known.examples.extend(item.examples);
                name_worst(&mut known.examples);
            }
            None => own.push(item),
        }
    }
}

fn of_cluster(api: &Api, answered: &BTreeSet<String>) -> Vec<Concern> {
    let snapshot = api.node.snapshot();
    let own = api.node.name();
    let trouble = |name: &str| Troubled {
        node: name.to_owned(),
        ..Troubled::default()
    };
    let nodes = || snapshot.catalog.nodes();
    let down = nodes().filter(|node| node.name != *own && !(node.up && answered.contains(&*node.name)));
    let drained = nodes().filter(|node| node.up && node.maintenance);
    let minority = (!api.node.has_majority()).then(|| trouble(own));
    let found = [
        ("minority", Severity::Error, minority.into_iter().collect::<Vec<_>>()),
        (
            "node_down",
            Severity::Error,
            down.map(|node| trouble(&node.name)).collect(),
        ),
        (
            "maintenance",
            Severity::Warning,
            drained.map(|node| trouble(&node.name)).collect(),
        ),
    ];
    let found = found.into_iter().filter(|(_, _, all)| !all.is_empty());
    found
        .map(|(kind, severity, all)| concern(kind, severity, all))
        .collect()
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

fn of_node(api: &Api) -> Vec<Concern> {
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

/// What this node alone can tell.
fn of_this_node(api: &Api, caller: &Caller, is_here_alone: bool) -> Vec<Concern> {
    let mut items = of_node(api);
    items.extend(of_queues(api, caller, is_here_alone));
    items
}

async fn read(State(api): State<Arc<Api>>, caller: Caller, others: Elsewhere) -> Outcome {
    let is_here_alone = others.is_asked_by_node();
    let there: Vec<Attention> = others.shown(&api, &caller).await;
    let mut items = of_this_node(&api, &caller, is_here_alone);
    if !is_here_alone {
        let answered = there.iter().map(|other| other.node.clone()).collect();
        let mut all = of_cluster(&api, &answered);
        add(&mut all, items);
        items = all;
    }
    for other in there {
        add(&mut items, other.items);
    }
    if !caller.is_monitor() {
        // Alarms concern everybody, since they block publishers; the rest of a node is the monitors' business.
        items.retain(|item| item.severity == Severity::Error || item.kind.parse::<QueueConcern>().is_ok());
    }
    items.sort_by_key(|item| item.severity);
    let node = api.node.name().to_string();
    Ok(Json(Attention { node, items }).into_response())
}

/// All queues of one kind.
async fn read_kind(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(kind): Path<String>,
    others: Elsewhere,
    query: Parameters,
) -> Outcome {
    let wanted: QueueConcern = kind.parse()?;
    let there = match wanted.is_defined() {
        true => Vec::new(),
        false => others.rows(&api, &caller).await,
    };
    let own = seen(&api, &caller, of_kind(&api, wanted)).into_iter();
    let own = own.map(|found| serde_json::to_value(found.told()).unwrap_or(Value::Null));
    query.all(own.chain(there))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_nobody_consumes_and_growth_are_concerns() {
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
    fn what_nodes_find_is_counted_together_and_the_worst_are_named() {
        let item = |values: &[u64]| {
            let all = values.iter().map(|value| Troubled {
                value: *value,
                ..Troubled::default()
            });
            concern("growing_backlogs", Severity::Warning, all.collect())
        };
        let mut own = vec![item(&[1, 9])];
        add(
            &mut own,
            vec![
                item(&[5; 12]),
                concern("minority", Severity::Error, vec![Troubled::default()]),
            ],
        );
        assert_eq!(
            (own[0].count, own[0].examples.len(), own[1].count),
            (14, EXAMPLES_MAX, 1)
        );
        assert_eq!((own[0].examples[0].value, own[0].examples[9].value), (9, 5));
    }

    #[test]
    fn a_resource_without_a_limit_is_never_full() {
        assert!(Resource { used: 90, limit: 100 }.is_nearly_full());
        assert!(!Resource { used: 89, limit: 100 }.is_nearly_full());
        assert!(!Resource { used: 5, limit: 0 }.is_nearly_full());
    }
}
