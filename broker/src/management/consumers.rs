//! `/consumers`: who consumes from which queue, read under each queue's lock one by one.

use api::{ChannelDetails, Consumer, QueueRef};
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use catalog::QueueRecord;
use std::sync::Arc;

use super::{Api, answer::Outcome, bare, caller::Caller, elsewhere::Elsewhere, failure::Failure, list::Parameters};
use crate::host::ConsumerView;

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/consumers", get(list))
        .route("/consumers/{vhost}", get(of_vhost))
}

/// A consumer as the API shows it.
pub fn shape(api: &Api, view: &ConsumerView) -> Consumer {
    let client = &view.consumer.client;
    let connection = client.name();
    let user = client.profile().map(|profile| profile.user.to_string());
    let is_single = view.queue.settings.single_active_consumer;
    let status = match (is_single, view.active) {
        (false, _) => "up",
        (true, true) => "single_active",
        (true, false) => "waiting",
    };
    Consumer {
        consumer_tag: view.consumer.tag.to_string(),
        queue: QueueRef {
            name: view.queue.name.to_string(),
            vhost: view.queue.vhost.to_string(),
        },
        channel_details: ChannelDetails {
            name: format!("{connection} ({})", view.consumer.channel),
            number: view.consumer.channel,
            connection_name: connection,
            node: client.home().map_or(api.node.name(), |(node, _)| node).to_string(),
            peer_host: client.peer.ip().to_string(),
            peer_port: client.peer.port(),
            user: user.unwrap_or_default(),
        },
        ack_required: !view.no_ack,
        exclusive: view.exclusive,
        prefetch_count: view.prefetch.into(),
        active: view.active,
        activity_status: status.to_owned(),
        arguments: api::to_json(&view.consumer.wish.arguments),
    }
}

fn all<'a>(api: &Api, queues: impl Iterator<Item = &'a Arc<QueueRecord>>) -> Vec<Consumer> {
    let views = queues.flat_map(|record| api.node.consumers_of(record));
    views.map(|view| shape(api, &view)).collect()
}

/// With those of queues that other nodes lead.
async fn show(api: &Api, caller: &Caller, others: &Elsewhere, query: &Parameters, own: Vec<Consumer>) -> Outcome {
    let there = others.rows(api, caller).await;
    let own = own.iter().map(|own| serde_json::to_value(own).unwrap_or_default());
    query.all(own.chain(there))
}

async fn list(State(api): State<Arc<Api>>, caller: Caller, others: Elsewhere, query: Parameters) -> Outcome {
    bare::refuse(&api, &query)?;
    let snapshot = api.node.snapshot();
    let seen = snapshot
        .catalog
        .vhosts()
        .filter(|vhost| caller.sees(&api, vhost.name()));
    let own = all(&api, seen.flat_map(|vhost| vhost.queues()));
    show(&api, &caller, &others, &query, own).await
}

async fn of_vhost(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(vhost): Path<String>,
    others: Elsewhere,
    query: Parameters,
) -> Outcome {
    let vhost = caller.look_into(&api, &vhost)?;
    bare::refuse(&api, &query)?;
    let snapshot = api.node.snapshot();
    let found = snapshot.catalog.vhost(vhost.as_str()).ok_or_else(Failure::not_found)?;
    show(&api, &caller, &others, &query, all(&api, found.queues())).await
}
