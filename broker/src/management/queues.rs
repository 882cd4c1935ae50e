//! `/queues`: queues with what they hold and did, their creation and end, and what is asked of one.

use api::{BackingQueueStatus, OwnerDetails, Queue, Totals};
use axum::{
    Router,
    extract::{Path, State},
    routing::{delete, get, post},
};
use catalog::{Conditions, DeclareQueue, NodeName, QueueRecord, Request};
use model::{QueueId, QueueName, ReplyCode};
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use super::{
    Api,
    answer::{self, Outcome},
    attention, bare, bindings,
    body::Body,
    caller::{Caller, Policymaker},
    consumers,
    elsewhere::Elsewhere,
    failure::Failure,
    flows,
    list::{Key, Parameters},
    messages,
    permissions::bad_name,
    stats::{self, Asked},
};
use crate::{
    host::QueueView,
    observe::{self, QueueReading},
};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/queues", get(list))
        .route("/queues/detailed", get(list))
        .route("/queues/{vhost}", get(of_vhost))
        .route("/queues/{vhost}/{queue}", get(one).put(put).delete(remove))
        .route("/queues/{vhost}/{queue}/bindings", get(bindings::to_queue))
        .route("/queues/{vhost}/{queue}/contents", delete(purge))
        .route("/queues/{vhost}/{queue}/get", post(messages::get))
        .route("/queues/{vhost}/{queue}/actions", post(act))
}

/// A queue as a list shows it.
#[derive(Serialize)]
#[serde(untagged)]
enum Row {
    Whole(Box<Queue>),
    Bare(Value),
}

fn owner(api: &Api, record: &QueueRecord) -> Option<OwnerDetails> {
    let client = api.node.clients().get(record.owner.as_ref()?.connection)?;
    Some(OwnerDetails {
        name: client.name(),
        peer_host: client.peer.ip().to_string(),
        peer_port: client.peer.port(),
    })
}

fn reading(view: &QueueView) -> QueueReading {
    QueueReading {
        counts: view.counts,
        counters: view.counters,
    }
}

fn totals(view: &QueueView) -> Totals {
    let (ready, unacked, paged) = (view.counts.ready, view.counts.unacked, view.counts.paged);
    let (all, in_memory) = (view.counts.all(), view.counts.in_memory());
    let letters = view.record.is_quorum().then_some(view.counts.letters);
    Totals {
        messages: all.messages,
        messages_ready: ready.messages,
        messages_unacknowledged: unacked.messages,
        messages_ram: in_memory.0,
        messages_ready_ram: ready.messages.saturating_sub(paged.messages),
        messages_unacknowledged_ram: unacked.messages,
        messages_paged_out: paged.messages,
        messages_persistent: all.persistent,
        messages_dlx: letters.map(|letters| letters.messages),
        message_bytes: all.bytes,
        message_bytes_ready: ready.bytes,
        message_bytes_unacknowledged: unacked.bytes,
        message_bytes_ram: in_memory.1,
        message_bytes_paged_out: paged.bytes,
        message_bytes_persistent: all.persistent_bytes,
        message_bytes_dlx: letters.map(|letters| letters.bytes),
        ..Totals::default()
    }
}

/// How many messages wait at each priority; none for a queue without priorities.
fn by_priority(lengths: &[u64]) -> Option<BTreeMap<String, u64>> {
    let named = lengths.iter().enumerate();
    (!lengths.is_empty()).then(|| {
        named
            .map(|(priority, length)| (priority.to_string(), *length))
            .collect()
    })
}

/// What is true here of RabbitMQ's look into a queue.
fn backing(record: &QueueRecord, view: &QueueView, stats: &stats::QueueStats) -> BackingQueueStatus {
    let rate = |name: &str| stats.message_stats.rate(name);
    BackingQueueStatus {
        mode: if record.settings.lazy { "lazy" } else { "default" }.to_owned(),
        len: view.counts.ready.messages,
        avg_ingress_rate: rate("publish"),
        avg_egress_rate: rate("deliver_get"),
        avg_ack_ingress_rate: rate("deliver") + rate("get"),
        avg_ack_egress_rate: rate("ack"),
        priority_lengths: by_priority(&view.lengths),
    }
}

/// Whether it can be used, and whether it is being synchronised.
pub fn state(api: &Api, view: &QueueView) -> &'static str {
    if api.node.is_away(&view.record) {
        return "down";
    }
    match view.synchronised {
        Some(_) => "syncing",
        None => "running",
    }
}

fn shape(api: &Api, record: &Arc<QueueRecord>, asked: Asked) -> Queue {
    let view = api.node.queue_view(record);
    let rates = stats::of_queue(api, &view, asked);
    let mut totals = totals(&view);
    let backing = (!record.is_quorum()).then(|| backing(record, &view, &rates));
    if let Some(depth) = rates.depth.clone() {
        totals.messages_details = Some(depth.messages);
        totals.messages_ready_details = Some(depth.ready);
        totals.messages_unacknowledged_details = Some(depth.unacked);
    }
    let snapshot = api.node.snapshot();
    let is_mirrored = record.replicas.is_some() && !record.is_quorum();
    let mirrors = is_mirrored.then(|| snapshot.catalog.mirror_names(record));
    let members = record.is_quorum().then(|| snapshot.catalog.member_names(record));
    let names = |names: &[catalog::NodeName]| names.iter().map(ToString::to_string).collect();
    let capacity = if view.counts.ready.messages == 0 && view.counts.consumers > 0 {
        1.0
    } else {
        0.0
    };
    Queue {
        name: record.name.to_string(),
        vhost: record.vhost.to_string(),
        durable: record.durable,
        auto_delete: record.auto_delete,
        exclusive: record.owner.is_some(),
        arguments: api::to_json(&record.args.table),
        kind: record.args.kind.to_string(),
        node: record.leader.to_string(),
        state: Some(state(api, &view).to_owned()),
        policy: record.policy.as_ref().map(|policy| policy.name.to_string()),
        operator_policy: record.operator_policy.as_ref().map(|policy| policy.name.to_string()),
        effective_policy_definition: api::to_json(&record.effective_policy().table),
        consumers: view.counts.consumers as u64,
        consumer_capacity: capacity,
        consumer_utilisation: capacity,
        exclusive_consumer_tag: view
            .exclusive_consumer
            .as_ref()
            .map(|consumer| consumer.tag.to_string()),
        single_active_consumer_tag: view.active_consumer.clone(),
        memory: reading(&view).memory_bytes(),
        idle_since: view.idle_since.map(observe::timestamp),
        head_message_timestamp: (!record.is_quorum()).then_some(view.head_timestamp),
        owner_pid_details: owner(api, record),
        slave_nodes: mirrors.as_ref().map(|mirrors| names(&mirrors.running)),
        synchronised_slave_nodes: mirrors.as_ref().map(|mirrors| names(&mirrors.synchronised)),
        recoverable_slaves: (!record.is_quorum()).then(|| mirrors.as_ref().map(|mirrors| names(&mirrors.recoverable))),
        leader: members.as_ref().map(|_| record.leader.to_string()),
        members: members.as_ref().map(|members| names(&members.all)),
        online: members.as_ref().map(|members| names(&members.online)),
        sync_messages: view.synchronised,
        message_stats: Some(rates.message_stats),
        backing_queue_status: backing,
        consumer_details: None,
        deliveries: None,
        incoming: None,
        totals,
    }
}

/// What queues are sorted by: names as they are, numbers as they were read last. None for fields that nobody sorts by.
fn sort_key(api: &Api, query: &Parameters) -> impl Fn(&QueueRecord, &str) -> Option<Key> + use<> {
    let numbers = query.get("sort").and_then(|field| stats::numbers_of_queues(api, field));
    move |record, field| {
        let text = |text: &str| Some(Key::Text(text.to_owned()));
        match field {
            "name" => text(record.name.as_str()),
            "vhost" => text(record.vhost.as_str()),
            "node" => text(record.leader.as_ref()),
            _ => {
                let number = numbers.as_ref()?.get(&record.id).copied();
                Some(Key::Number(number.unwrap_or_default()))
            }
        }
    }
}

/// The queues that give cause for concern, if `attention` says for which.
async fn of_concern(
    api: &Api,
    caller: &Caller,
    others: &Elsewhere,
    query: &Parameters,
) -> Result<Option<HashSet<QueueId>>, Failure> {
    Ok(match query.get("attention") {
        Some(word) => Some(attention::queues(api, caller, others, word.parse()?).await),
        None => None,
    })
}

/// A page of these queues, or of those of them that give cause for concern.
fn pages(
    api: &Api,
    query: &Parameters,
    of_concern: Option<&HashSet<QueueId>>,
    mut rows: Vec<&Arc<QueueRecord>>,
) -> Outcome {
    let (is_bare, totals) = (bare::is_asked_for(api, query), bare::wants_totals(api, query));
    if let Some(ids) = of_concern {
        rows.retain(|record| ids.contains(&record.id));
    }
    let asked = Asked::of_list(query, rows.len())?;
    let key = sort_key(api, query);
    query.pages_by(
        rows,
        |record| record.name.as_str(),
        |record, field| key(record, field),
        |record| match is_bare {
            true => {
                let view = totals.then(|| api.node.queue_view(record));
                Row::Bare(bare::queue_in_list(api, record, view.as_ref()))
            }
            false => Row::Whole(Box::new(shape(api, record, asked))),
        },
    )
}

async fn list(State(api): State<Arc<Api>>, caller: Caller, others: Elsewhere, query: Parameters) -> Outcome {
    api.node.look_around().await;
    let wanted = of_concern(&api, &caller, &others, &query).await?;
    let snapshot = api.node.snapshot();
    let seen = snapshot
        .catalog
        .vhosts()
        .filter(|vhost| caller.sees(&api, vhost.name()));
    let rows = seen.flat_map(|vhost| vhost.queues()).collect();
    pages(&api, &query, wanted.as_ref(), rows)
}

async fn of_vhost(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(vhost): Path<String>,
    others: Elsewhere,
    query: Parameters,
) -> Outcome {
    let vhost = caller.look_into(&api, &vhost)?;
    api.node.look_around().await;
    let wanted = of_concern(&api, &caller, &others, &query).await?;
    let snapshot = api.node.snapshot();
    let found = snapshot.catalog.vhost(vhost.as_str()).ok_or_else(Failure::not_found)?;
    pages(&api, &query, wanted.as_ref(), found.queues().collect())
}

/// A queue that the caller may see.
///
/// # Errors
/// 404, or 401 for its virtual host.
pub fn find(api: &Api, caller: &Caller, vhost: &str, queue: &str) -> Result<Arc<QueueRecord>, Failure> {
    let vhost = caller.look_into(api, vhost)?;
    let snapshot = api.node.snapshot();
    snapshot
        .catalog
        .queue(vhost.as_str(), queue)
        .cloned()
        .ok_or_else(Failure::not_found)
}

async fn one(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((vhost, queue)): Path<(String, String)>,
    others: Elsewhere,
    query: Parameters,
) -> Outcome {
    let record = find(&api, &caller, &vhost, &queue)?;
    if bare::is_asked_for(&api, &query) {
        return query.one(bare::queue(&api, &record));
    }
    if api.node.snapshot().is_remote(&record)
        && let Some(shown) = others.of_node(&api, &caller, &record.leader).await
    {
        return query.one(shown);
    }
    api.node.look_around().await;
    let consumers = api.node.consumers_of(&record);
    let (deliveries, incoming) = flows::of_queue(&api, &record);
    query.one(Queue {
        consumer_details: Some(consumers.iter().map(|view| consumers::shape(&api, view)).collect()),
        deliveries: Some(deliveries),
        incoming: Some(incoming),
        ..shape(&api, &record, Asked::of(&query)?)
    })
}

/// The node at which a queue is to be declared, as if its client were connected there. Without a host it is one of this host.
fn running(api: &Api, node: &str) -> Result<NodeName, Failure> {
    let own = api.node.name();
    let wanted = match own.split_once('@') {
        Some((_, host)) if !node.contains('@') => format!("{node}@{host}"),
        _ => node.to_owned(),
    };
    let mut nodes = std::iter::once(own.clone()).chain(api.node.snapshot().other_nodes());
    let found = nodes.find(|known| **known == *wanted);
    found.ok_or_else(|| Failure::bad_request(format!("Node {} could not be contacted", as_atom(&wanted))))
}

/// A name as Erlang prints an atom.
fn as_atom(name: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '@');
    match name.starts_with(|first: char| first.is_ascii_lowercase()) && name.chars().all(is_plain) {
        true => name.to_owned(),
        false => format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'")),
    }
}

async fn put(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((vhost, queue)): Path<(String, String)>,
    body: Body,
) -> Outcome {
    let mut client = caller.enter(&api, &vhost)?;
    if let Some(node) = body.text("node")? {
        client.node = running(&api, node)?;
    }
    let name: QueueName = queue.parse().map_err(bad_name)?;
    let declare = DeclareQueue {
        generated: name.clone(),
        name,
        passive: false,
        durable: body.boolean("durable", false)?,
        exclusive: false,
        auto_delete: body.boolean("auto_delete", false)?,
        arguments: body.arguments("arguments")?,
    };
    answer::put(api.node.request(&client, Request::DeclareQueue(declare)).await?)
}

async fn remove(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((vhost, queue)): Path<(String, String)>,
    query: Parameters,
) -> Outcome {
    let client = caller.enter(&api, &vhost)?;
    let name = find(&api, &caller, &vhost, &queue)?.name.clone();
    let conditions = Conditions {
        if_unused: query.is_true("if-unused"),
        if_empty: query.is_true("if-empty"),
    };
    api.node.delete_queue(&client, name, conditions).await?;
    answer::done()
}

async fn purge(State(api): State<Arc<Api>>, caller: Caller, Path((vhost, queue)): Path<(String, String)>) -> Outcome {
    let client = caller.enter(&api, &vhost)?;
    let name = find(&api, &caller, &vhost, &queue)?.name.clone();
    let refused = |refusal: model::Refusal| match refusal.code {
        ReplyCode::NotFound => Failure::not_found(),
        _ => Failure::from(refusal),
    };
    api.node.purge(&client, &name).await.map_err(refused)?;
    answer::done()
}

async fn act(
    State(api): State<Arc<Api>>,
    Policymaker(caller): Policymaker,
    Path((vhost, queue)): Path<(String, String)>,
    body: Body,
) -> Outcome {
    let record = find(&api, &caller, &vhost, &queue)?;
    let wanted = match body.required_text("action")? {
        "sync" => true,
        "cancel_sync" => false,
        other => return Err(Failure::bad_request(vec!["unknown", other])),
    };
    // Without mirrors, or with nothing to do, it is done, as in RabbitMQ.
    if api.node.is_away(&record) {
        return Err(Failure::not_found());
    }
    drop(api.node.synchronise(&record, wanted).await);
    answer::done()
}
