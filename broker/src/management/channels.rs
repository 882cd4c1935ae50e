//! `/channels`: the channels of the open connections, as each connection's own task tells them.

use api::{Channel, ConnectionDetails};
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use std::sync::Arc;

use super::{
    Api,
    answer::Outcome,
    bare,
    caller::Caller,
    client_stats,
    connections::{self, Open},
    consumers,
    elsewhere::Elsewhere,
    failure::Failure,
    flows,
    list::Parameters,
    stats::Asked,
};
use crate::{
    host::{ChannelView, ConsumerView},
    observe,
};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/channels", get(list))
        .route("/channels/{name}", get(one))
        .route("/vhosts/{vhost}/channels", get(of_vhost))
}

/// A channel with its connection.
#[derive(Debug)]
struct Row {
    open: Arc<Open>,
    view: ChannelView,
    name: String,
}

async fn rows(api: &Api, opens: Vec<Open>) -> Vec<Row> {
    let mut rows = Vec::new();
    for open in opens {
        let open = Arc::new(open);
        let connection = open.client.name();
        let views = api.node.channels_of(&open.client).await;
        rows.extend(views.into_iter().map(|view| Row {
            name: format!("{connection} ({})", view.number),
            open: open.clone(),
            view,
        }));
    }
    rows
}

fn shape(api: &Api, row: &Row, asked: Asked) -> Channel {
    let Row { open, view, name } = row;
    let idle_since = api.samples.channel_is_idle_since((open.client.id, view.number));
    Channel {
        name: name.clone(),
        number: view.number,
        node: api.node.name().to_string(),
        connection_details: ConnectionDetails {
            name: open.client.name(),
            peer_host: open.client.peer.ip().to_string(),
            peer_port: open.client.peer.port(),
        },
        user: open.profile.user.to_string(),
        user_who_performed_action: open.profile.user.to_string(),
        vhost: open.profile.vhost.to_string(),
        state: "running".to_owned(),
        idle_since: idle_since.map(observe::timestamp),
        prefetch_count: view.prefetch.into(),
        global_prefetch_count: view.global_prefetch.into(),
        consumer_count: view.consumers as u64,
        confirm: view.confirm,
        transactional: view.transactional,
        messages_unacknowledged: view.unacked as u64,
        messages_unconfirmed: view.unconfirmed,
        messages_uncommitted: view.uncommitted as u64,
        acks_uncommitted: view.uncommitted_acks as u64,
        message_stats: client_stats::of_channel(api, (open.client.id, view.number), &view.counts, asked.rates),
        consumer_details: None,
        deliveries: None,
        publishes: None,
    }
}

async fn list(State(api): State<Arc<Api>>, caller: Caller, others: Elsewhere, query: Parameters) -> Outcome {
    bare::refuse(&api, &query)?;
    let rows = rows(&api, connections::seen(&api, &caller)).await;
    pages(&api, &caller, &others, &query, rows).await
}

async fn pages(api: &Api, caller: &Caller, others: &Elsewhere, query: &Parameters, rows: Vec<Row>) -> Outcome {
    let asked = Asked::of_list(query, rows.len())?;
    let build = |row: &Row| shape(api, row, asked);
    others.pages((api, caller), query, rows, |row| &row.name, build).await
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
    let mut opens = connections::seen(&api, &caller);
    opens.retain(|open| open.profile.vhost == vhost);
    let rows = rows(&api, opens).await;
    pages(&api, &caller, &others, &query, rows).await
}

/// `/connections/{name}/channels`
pub async fn of_connection(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
    others: Elsewhere,
    query: Parameters,
) -> Outcome {
    let open = match connections::find(&api, &caller, &name) {
        Ok(open) => open,
        Err(missing) => return others.one((&api, &caller), &query, missing).await,
    };
    let rows = rows(&api, vec![open]).await;
    let asked = Asked::of_list(&query, rows.len())?;
    query.pages(rows, |row| &row.name, |row| shape(&api, row, asked))
}

async fn one(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(name): Path<String>,
    others: Elsewhere,
    query: Parameters,
) -> Outcome {
    bare::refuse(&api, &query)?;
    // A channel's name is its connection's and its number in brackets.
    let connection = name.rsplit_once(" (").map_or("", |(connection, _)| connection);
    let open = match connections::find(&api, &caller, connection) {
        Ok(open) => open,
        Err(missing) => return others.one((&api, &caller), &query, missing).await,
    };
    let rows = rows(&api, vec![open]).await;
    let row = rows
        .iter()
        .find(|row| row.name == name)
        .ok_or_else(Failure::not_found)?;
    let mut consumers = consumers_on(&api, row);
    let there = others.about("/consumers").rows(&api, &caller).await;
    let there = there
        .into_iter()
        .filter_map(|shown| serde_json::from_value::<api::Consumer>(shown).ok());
    consumers.extend(there.filter(|consumer| consumer.channel_details.name == row.name));
    let (deliveries, publishes) = flows::of_channel(&api, (row.open.client.id, row.view.number));
    query.one(Channel {
        consumer_details: Some(consumers),
        deliveries: Some(deliveries),
        publishes: Some(publishes),
        ..shape(&api, row, Asked::of(&query)?)
    })
}

fn consumers_on(api: &Api, row: &Row) -> Vec<api::Consumer> {
    let snapshot = api.node.snapshot();
    let Some(vhost) = snapshot.catalog.vhost(row.open.profile.vhost.as_str()) else {
        return Vec::new();
    };
    let is_own =
        |view: &ConsumerView| view.consumer.channel == row.view.number && view.consumer.client.id == row.open.client.id;
    let views = vhost.queues().flat_map(|record| api.node.consumers_of(record));
    views.filter(is_own).map(|view| consumers::shape(api, &view)).collect()
}
