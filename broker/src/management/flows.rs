//! Who feeds whom, for the pages of single queues, exchanges and channels: `deliveries`, `publishes`, `incoming`, `outgoing`. Told in
//! detailed mode, by the node that is asked or leads the queue; empty otherwise, as in RabbitMQ.

use api::Rates;
use catalog::{ExchangeRecord, QueueRecord};
use model::{ConnectionId, QueueId};
use serde_json::{Value, json};
use std::sync::Arc;

use super::{Api, client_stats};
use crate::host::{ChannelCounts, Client, Flow};

type ChannelId = (ConnectionId, u16);

/// A queue's deliveries by channel, and what came in by exchange.
pub fn of_queue(api: &Api, record: &QueueRecord) -> (Vec<Value>, Vec<Value>) {
    let (mut deliveries, mut incoming) = (Vec::new(), Vec::new());
    for (flow, counts) in api.node.flows() {
        match flow {
            Flow::Delivered(queue, channel) if queue == record.id => {
                let shown = |details| json!({"channel_details": details, "stats": stats(api, flow, &counts)});
                deliveries.extend(channel_details(api, channel).map(shown));
            }
            Flow::Routed(exchange, queue) if queue == record.id => {
                let shown = |exchange| json!({"exchange": exchange, "stats": stats(api, flow, &counts)});
                incoming.extend(exchange_of(api, exchange).map(shown));
            }
            _ => {}
        }
    }
    (deliveries, incoming)
}

/// What came to an exchange by channel, and what went on by queue.
pub fn of_exchange(api: &Api, record: &ExchangeRecord) -> (Vec<Value>, Vec<Value>) {
    let (mut incoming, mut outgoing) = (Vec::new(), Vec::new());
    let Some((own, _)) = api.node.snapshot().counts_of_exchange(record) else {
        return (incoming, outgoing);
    };
    for (flow, counts) in api.node.flows() {
        match flow {
            Flow::Published(exchange, channel) if exchange == own => {
                let shown = |details| json!({"channel_details": details, "stats": stats(api, flow, &counts)});
                incoming.extend(channel_details(api, channel).map(shown));
            }
            Flow::Routed(exchange, queue) if exchange == own => {
                let shown = |queue| json!({"queue": queue, "stats": stats(api, flow, &counts)});
                outgoing.extend(queue_of(api, queue).map(shown));
            }
            _ => {}
        }
    }
    (incoming, outgoing)
}

/// A channel's deliveries by queue, and its publishes by exchange.
pub fn of_channel(api: &Api, own: ChannelId) -> (Vec<Value>, Vec<Value>) {
    let (mut deliveries, mut publishes) = (Vec::new(), Vec::new());
    for (flow, counts) in api.node.flows() {
        match flow {
            Flow::Delivered(queue, channel) if channel == own => {
                let shown = |queue| json!({"queue": queue, "stats": stats(api, flow, &counts)});
                deliveries.extend(queue_of(api, queue).map(shown));
            }
            Flow::Published(exchange, channel) if channel == own => {
                let shown = |exchange| json!({"exchange": exchange, "stats": stats(api, flow, &counts)});
                publishes.extend(exchange_of(api, exchange).map(shown));
            }
            _ => {}
        }
    }
    (deliveries, publishes)
}

fn stats(api: &Api, flow: Flow, counts: &ChannelCounts) -> Rates {
    client_stats::of_flow(api, flow, counts)
}

fn queue_of(api: &Api, queue: QueueId) -> Option<Value> {
    let snapshot = api.node.snapshot();
    let record = snapshot.catalog.queue_by_id(queue)?;
    Some(json!({"name": record.name.as_str(), "vhost": record.vhost.as_str()}))
}

fn exchange_of(api: &Api, exchange: u64) -> Option<Value> {
    let (vhost, name) = api.node.snapshot().exchange_with_counters(exchange)?;
    Some(json!({"name": name.as_str(), "vhost": vhost.as_str()}))
}

fn channel_details(api: &Api, (connection, number): ChannelId) -> Option<Value> {
    let client: Arc<Client> = api
        .node
        .clients()
        .get(connection)
        .or_else(|| api.node.legs().get(connection))?;
    let user = client.with_profile(|profile| profile.user.to_string())?;
    let node = client.home().map_or(api.node.name(), |(node, _)| node);
    Some(json!({
        "name": format!("{} ({number})", client.name()),
        "number": number,
        "connection_name": client.name(),
        "node": &**node,
        "peer_host": client.peer.ip().to_string(),
        "peer_port": client.peer.port(),
        "user": user,
    }))
}
