//! Columns of queues, exchanges, bindings, consumers, connections and channels.
//!
//! A column that would have to be guessed is not here, so the tool refuses it by name.

use catalog::{Catalog, ExchangeRecord, MemberNames, MirrorNames, NodeName, Policy, QueueRecord, Vhost};
use link::{Failure, Term, Which};
use model::{Table, Value};
use routing::{Binding, Destination};
use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::{clients::channel_pid, list::Rows};
use crate::host::{self, ChannelView, Client, Node, QueueView};
use crate::observe::QueueReading;

/// Parts of this node that are named like processes: queues are counted apart from connections.
const QUEUE_PART: u64 = 1 << 32;

/// A value as compact JSON.
pub(super) fn json(value: &Value) -> String {
    let wrapped = api::to_json(&Table(vec![(String::new(), value.clone())]));
    wrapped.get("").map(ToString::to_string).unwrap_or_default()
}

/// A table as compact JSON.
pub(super) fn json_object(table: &Table) -> String {
    serde_json::Value::Object(api::to_json(table)).to_string()
}

/// An AMQP table with the types of its values.
pub(super) fn table(table: &Table) -> Term {
    let row = |(key, value): &(String, Value)| (key.clone(), value.type_name().to_owned(), term(value));
    Term::Table(table.0.iter().map(row).collect())
}

pub(super) fn term(value: &Value) -> Term {
    if let Some(whole) = value.as_integer() {
        return Term::count(whole);
    }
    match value {
        Value::Bool(yes) => Term::Bool(*yes),
        Value::F32(number) => Term::Float(f64::from(*number)),
        Value::F64(number) => Term::Float(*number),
        Value::Decimal(decimal) => Term::Float(f64::from(decimal.value) / 10f64.powi(i32::from(decimal.scale))),
        Value::LongStr(octets) | Value::Bytes(octets) => text(octets),
        Value::Array(items) => Term::List(items.iter().map(term).collect()),
        Value::Timestamp(seconds) => Term::count(*seconds),
        Value::Table(inner) => table(inner),
        _ => Term::atom("undefined"),
    }
}

fn text(octets: &[u8]) -> Term {
    Term::text(String::from_utf8_lossy(octets))
}

fn policy_name(policy: Option<&Arc<Policy>>) -> Term {
    policy.map_or_else(Term::none, |policy| Term::text(&*policy.name))
}

/// An unknown virtual host holds nothing, as RabbitMQ has it in these lists.
fn vhost<'a>(catalog: &'a Catalog, name: &str) -> impl Iterator<Item = &'a Arc<Vhost>> {
    catalog.vhost(name).into_iter()
}

/// All queues that this node can list, or some: each is listed by the node that leads it, and those whose nodes are away by
/// any.
pub(super) fn queues(
    node: &Node,
    catalog: &Catalog,
    name: &str,
    which: Option<Which>,
    rows: &mut Rows<'_>,
) -> Result<(), Failure> {
    let mut all = vhost(catalog, name).flat_map(|vhost| vhost.queues());
    let snapshot = node.snapshot();
    let is_up = |record: &catalog::QueueRecord| snapshot.is_led(record);
    all.try_for_each(|record| {
        let is_away = snapshot.is_remote(record);
        let is_wanted = match which {
            None => true,
            Some(Which::Offline) => is_away,
            Some(Which::Online | Which::Local) => !is_away,
        };
        if !is_wanted || (is_away && is_up(record)) {
            return Ok(());
        }
        let view = node.queue_view(record);
        rows.add(|column| match column {
            "state" if is_away => Some(Term::atom("down")),
            _ => queue_column(&view, column)
                .or_else(|| in_memory(&view, column))
                .or_else(|| on_disk(&view, column))
                .or_else(|| queue_place(node, &view, column)),
        })
    })
}

fn queue_column(view: &QueueView, column: &str) -> Option<Term> {
    let (record, counts) = (&view.record, &view.counts);
    let (ready, unacked, all) = (counts.ready, counts.unacked, counts.all());
    Some(match column {
        "name" => Term::text(record.name.as_str()),
        "durable" => Term::Bool(record.durable),
        "auto_delete" => Term::Bool(record.auto_delete),
        "arguments" => table(&record.args.table),
        "policy" => policy_name(record.policy.as_ref()),
        "operator_policy" => policy_name(record.operator_policy.as_ref()),
        "effective_policy_definition" => Term::text(json_object(&record.effective_policy().table)),
        "exclusive" => Term::Bool(record.owner.is_some()),
        "type" => Term::atom(record.args.kind.as_str()),
        "state" => Term::atom("running"),
        "exclusive_consumer_tag" => {
            let consumer = view.exclusive_consumer.as_ref();
            consumer.map_or_else(Term::none, |consumer| Term::text(&*consumer.tag))
        }
        "messages" => Term::count(all.messages),
        "messages_ready" => Term::count(ready.messages),
        "messages_unacknowledged" => Term::count(unacked.messages),
        "messages_persistent" => Term::count(all.persistent),
        "message_bytes" => Term::count(all.bytes),
        "message_bytes_ready" => Term::count(ready.bytes),
        "message_bytes_unacknowledged" => Term::count(unacked.bytes),
        "message_bytes_persistent" => Term::count(all.persistent_bytes),
        "consumers" => Term::count(counts.consumers),
        "head_message_timestamp" => view.head_timestamp.map_or_else(Term::none, Term::count),
        host::NUMBERS => host::numbers(view),
        _ => return None,
    })
}

/// What of a queue is in memory, and how its consumers keep up.
fn in_memory(view: &QueueView, column: &str) -> Option<Term> {
    let (ready, unacked, paged) = (view.counts.ready, view.counts.unacked, view.counts.paged);
    let reading = QueueReading {
        counts: view.counts,
        counters: view.counters,
    };
    Some(match column {
        "messages_ready_ram" => Term::count(ready.messages.saturating_sub(paged.messages)),
        "messages_unacknowledged_ram" => Term::count(unacked.messages),
        "messages_ram" => Term::count(view.counts.in_memory().0),
        "message_bytes_ram" => Term::count(view.counts.in_memory().1),
        "memory" => Term::count(reading.memory_bytes()),
        "consumer_utilisation" | "consumer_capacity" => match view.counts.consumers {
            0 => Term::Integer(0),
            _ => Term::Float(if ready.messages == 0 { 1.0 } else { 0.0 }),
        },
        _ => return None,
    })
}

/// What a classic queue wrote to the disk and read back; of quorum queues RabbitMQ has no such numbers.
fn on_disk(view: &QueueView, column: &str) -> Option<Term> {
    let number = match column {
        "disk_reads" => view.counters.read,
        "disk_writes" => view.counters.written,
        _ => return None,
    };
    Some(match view.record.is_quorum() {
        true => Term::none(),
        false => Term::count(number),
    })
}

fn queue_place(node: &Node, view: &QueueView, column: &str) -> Option<Term> {
    let record = &view.record;
    match column {
        "pid" => Some(queue_pid(node, record)),
        "owner_pid" => Some(match &record.owner {
            Some(owner) => Term::Pid(node.pid(owner.connection.0, 0)),
            None => Term::none(),
        }),
        "exclusive_consumer_pid" => Some(match &view.exclusive_consumer {
            Some(consumer) => Term::Pid(channel_pid(node, &consumer.client, consumer.channel)),
            None => Term::none(),
        }),
        "leader" => Some(Term::atom(&*record.leader)),
        "slave_pids" | "mirror_pids" => Some(mirrors(node, record, |names| names.running)),
        "synchronised_slave_pids" | "synchronised_mirror_pids" => {
            Some(mirrors(node, record, |names| names.synchronised))
        }
        "recoverable_slaves" => Some(mirror_nodes(node, record)),
        "members" => Some(members(node, record, |names| names.all)),
        "online" => Some(members(node, record, |names| names.online)),
        _ => None,
    }
}

/// A queue as a process.
pub(super) fn queue_pid(node: &Node, record: &QueueRecord) -> Term {
    Term::Pid(node.pid(record.id.0, QUEUE_PART))
}

/// The mirrors of a queue as processes of their nodes; nothing where it is not mirrored.
fn mirrors(node: &Node, record: &QueueRecord, which: impl Fn(MirrorNames) -> Vec<NodeName>) -> Term {
    if record.replicas.is_none() || record.is_quorum() {
        return Term::none();
    }
    let snapshot = node.snapshot();
    let pid = |name: &NodeName| {
        let uuid = snapshot.catalog.node_by_name(name).map_or(0, |node| node.incarnation);
        Term::Pid(format!("<{name}.{uuid}.{}.{QUEUE_PART}>", record.id.0))
    };
    Term::List(which(snapshot.catalog.mirror_names(record)).iter().map(pid).collect())
}

/// The nodes that have a copy of a quorum queue; nothing for other queues.
fn members(node: &Node, record: &QueueRecord, which: impl Fn(MemberNames) -> Vec<NodeName>) -> Term {
    if !record.is_quorum() {
        return Term::none();
    }
    let names = which(node.snapshot().catalog.member_names(record));
    Term::List(names.iter().map(|name| Term::atom(&**name)).collect())
}

pub(super) fn mirror_nodes(node: &Node, record: &QueueRecord) -> Term {
    if record.replicas.is_none() || record.is_quorum() {
        return Term::none();
    }
    let names = node.snapshot().catalog.mirror_names(record);
    Term::List(names.recoverable.iter().map(|name| Term::atom(&**name)).collect())
}

pub(super) fn exchanges(catalog: &Catalog, name: &str, rows: &mut Rows<'_>) -> Result<(), Failure> {
    let mut all = vhost(catalog, name).flat_map(|vhost| vhost.exchanges());
    all.try_for_each(|record| rows.add(|column| exchange_column(record, column)))
}

fn exchange_column(record: &ExchangeRecord, column: &str) -> Option<Term> {
    Some(match column {
        "name" => Term::text(record.name.as_str()),
        "type" => Term::atom(record.kind.as_str()),
        "durable" => Term::Bool(record.durable),
        "auto_delete" => Term::Bool(record.auto_delete),
        "internal" => Term::Bool(record.internal),
        "arguments" => table(&record.args.table),
        "policy" => policy_name(record.policy.as_ref()),
        _ => return None,
    })
}

pub(super) fn bindings(catalog: &Catalog, name: &str, rows: &mut Rows<'_>) -> Result<(), Failure> {
    let mut all = vhost(catalog, name).flat_map(|vhost| vhost.bindings());
    all.try_for_each(|binding| rows.add(|column| binding_column(&binding, column)))
}

fn binding_column(binding: &Binding, column: &str) -> Option<Term> {
    let kind = match binding.destination {
        Destination::Queue(_) => "queue",
        Destination::Exchange(_) => "exchange",
    };
    Some(match column {
        "source_name" => Term::text(binding.source.as_str()),
        "source_kind" => Term::atom("exchange"),
        "destination_name" => Term::text(binding.destination.name()),
        "destination_kind" => Term::atom(kind),
        "routing_key" => text(&binding.key),
        "arguments" => table(&binding.arguments.clone().sorted()),
        _ => return None,
    })
}

pub(super) fn consumers(node: &Node, catalog: &Catalog, name: &str, rows: &mut Rows<'_>) -> Result<(), Failure> {
    let all = vhost(catalog, name).flat_map(|vhost| vhost.queues());
    for record in all {
        for view in node.consumers_of(record) {
            let consumer = &view.consumer;
            let status = if view.active { "up" } else { "waiting" };
            rows.add(|column| {
                Some(match column {
                    "queue_name" => Term::text(record.name.as_str()),
                    "channel_pid" => Term::Pid(channel_pid(node, &consumer.client, consumer.channel)),
                    "consumer_tag" => Term::text(&*consumer.tag),
                    "ack_required" => Term::Bool(!view.no_ack),
                    "prefetch_count" => Term::count(view.prefetch),
                    "active" => Term::Bool(view.active),
                    "activity_status" => Term::atom(status),
                    "arguments" => table(&consumer.wish.arguments),
                    _ => return None,
                })
            })?;
        }
    }
    Ok(())
}

pub(super) fn connections(node: &Node, rows: &mut Rows<'_>) -> Result<(), Failure> {
    node.open_clients().iter().try_for_each(|client| {
        rows.add(|column| socket_column(node, client, column).or_else(|| login_column(client, column)))
    })
}

fn socket_column(node: &Node, client: &Client, column: &str) -> Option<Term> {
    Some(match column {
        "pid" => Term::Pid(node.pid(client.id.0, 0)),
        "name" => Term::text(client.name()),
        "port" => Term::count(client.local.port()),
        "host" => Term::text(client.local.ip().to_string()),
        "peer_port" => Term::count(client.peer.port()),
        "peer_host" => Term::text(client.peer.ip().to_string()),
        "ssl" => Term::Bool(client.outbox().socket.is_tls()),
        "state" => Term::atom("running"),
        "channels" => Term::count(client.outbox().lock().channels().count()),
        "protocol" => Term::text("AMQP 0-9-1"),
        "recv_oct" => Term::count(client.received.load(Relaxed)),
        "recv_cnt" => Term::count(client.traffic().reads),
        "send_oct" => Term::count(client.outbox().sent.load(Relaxed)),
        "send_cnt" => Term::count(client.traffic().writes),
        "send_pend" => Term::count(client.outbox().waiting_bytes()),
        "connected_at" => Term::count(client.connected_at.0),
        other => return tls_column(client, other),
    })
}

fn tls_column(client: &Client, column: &str) -> Option<Term> {
    if !column.starts_with("ssl_") && !column.starts_with("peer_cert_") {
        return None;
    }
    let facts = client.outbox().socket.tls_facts();
    let shown = match column {
        "ssl_protocol" => return Some(facts.protocol.map_or_else(Term::none, Term::atom)),
        "ssl_hash" => return Some(facts.hash.map_or_else(Term::none, Term::atom)),
        "ssl_key_exchange" => facts.key_exchange,
        "ssl_cipher" => facts.cipher,
        "peer_cert_subject" => facts.subject,
        "peer_cert_issuer" => facts.issuer,
        "peer_cert_validity" => facts.validity,
        _ => return None,
    };
    Some(shown.map_or_else(Term::none, Term::text))
}

fn login_column(client: &Client, column: &str) -> Option<Term> {
    let profile = client.profile()?;
    Some(match column {
        "auth_mechanism" => Term::text(&profile.mechanism),
        "user" => Term::text(profile.user.as_str()),
        "vhost" => Term::text(profile.vhost.as_str()),
        "timeout" => Term::count(profile.tuned.heartbeat),
        "frame_max" => Term::count(profile.tuned.frame_max),
        "channel_max" => Term::count(profile.tuned.channel_max),
        "client_properties" => table(&profile.client_properties),
        _ => return None,
    })
}

pub(super) fn channels(node: &Node, rows: &mut Rows<'_>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Handle::current();
    for client in node.open_clients() {
        let Some(profile) = client.profile() else { continue };
        for channel in runtime.block_on(node.channels_of(&client)) {
            rows.add(|column| {
                channel_place(node, &client, channel.number, column).or_else(|| match column {
                    "user" => Some(Term::text(profile.user.as_str())),
                    "vhost" => Some(Term::text(profile.vhost.as_str())),
                    _ => channel_column(&channel, column),
                })
            })?;
        }
    }
    Ok(())
}

fn channel_place(node: &Node, client: &Client, number: u16, column: &str) -> Option<Term> {
    Some(match column {
        "pid" => Term::Pid(node.pid(client.id.0, number.into())),
        "connection" => Term::Pid(node.pid(client.id.0, 0)),
        "name" => Term::text(format!("{} ({number})", client.name())),
        "number" => Term::count(number),
        _ => return None,
    })
}

fn channel_column(channel: &ChannelView, column: &str) -> Option<Term> {
    Some(match column {
        "transactional" => Term::Bool(channel.transactional),
        "confirm" => Term::Bool(channel.confirm),
        "consumer_count" => Term::count(channel.consumers),
        "messages_unacknowledged" => Term::count(channel.unacked),
        "messages_uncommitted" => Term::count(channel.uncommitted),
        "messages_unconfirmed" => Term::count(channel.unconfirmed),
        "acks_uncommitted" => Term::count(channel.uncommitted_acks),
        "prefetch_count" => Term::count(channel.prefetch),
        "global_prefetch_count" => Term::count(channel.global_prefetch),
        _ => return None,
    })
}
