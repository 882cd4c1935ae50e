//! Port 15680: what Kubernetes and the operator ask a node. Always on, independent of plugins and users, and of whether the
//! app runs.
//!
//! Open to all are probes, which tell the truth: started, ready for clients, alive; and which cluster the node belongs to.
//! Everything that changes something, or tells of what users have, is behind the proof of the cluster's secret (`proven`).

mod changes;
mod definitions;
mod evacuation;
mod feature_level;
mod health;
mod leader;
mod leaving;
mod links;
mod maintenance;
mod members;
mod policies;
mod policy_report;
mod proven;
mod queues;
mod settings;
#[cfg(test)]
mod tests;

use api::{ClusterMember, Membership};
use axum::{
    Extension, Json, Router,
    extract::State,
    http::StatusCode,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use std::{sync::Arc, time::Duration};

pub use proven::Door;

use crate::{
    cluster::presence::Status,
    host::Node,
    peer::Peers,
    process::{Process, Running},
    renewal::Renewal,
};

/// How long the app's threads may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The routes of the admin port.
pub fn routes(process: Arc<Process>, door: Arc<Door>) -> Router {
    let files = definitions::files().route_layer(middleware::from_fn_with_state(door.clone(), proven::demand_file));
    let proven = policies::routes()
        .merge(definitions::routes())
        .merge(maintenance::routes())
        .merge(evacuation::routes())
        .merge(leaving::routes())
        .merge(leader::routes())
        .merge(links::routes())
        .merge(changes::routes())
        .merge(queues::routes())
        .merge(health::routes())
        .merge(members::routes())
        .merge(settings::routes())
        .merge(feature_level::routes())
        .route_layer(middleware::from_fn_with_state(door, proven::demand));
    Router::new()
        .route("/startup", get(started))
        .route("/ready", get(ready))
        .route("/live", get(live))
        .route("/cluster", get(cluster))
        .merge(proven)
        .merge(files)
        .with_state(process)
}

type Verdict = (StatusCode, &'static str);

async fn started(State(process): State<Arc<Process>>) -> Verdict {
    verdict(process.has_served(), "started\n", "starting\n")
}

async fn ready(State(process): State<Arc<Process>>) -> Verdict {
    if process.stopping().is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match (process.running(), process.has_served() && !process.is_booting()) {
        (Some(app), _) if app.node.is_under_maintenance() => (StatusCode::SERVICE_UNAVAILABLE, "under maintenance\n"),
        (Some(_), _) => (StatusCode::OK, "ready\n"),
        (None, false) => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        (None, true) => (StatusCode::SERVICE_UNAVAILABLE, "stopped\n"),
    }
}

/// A queue or catalogue lock that is never released would be a hang, as would be threads that do not come back. A process
/// without its app is alive.
async fn live(State(process): State<Arc<Process>>) -> Verdict {
    let responsive = match process.running() {
        Some(app) => tokio::time::timeout(PATIENCE, is_responsive(&app))
            .await
            .unwrap_or(false),
        None => true,
    };
    verdict(responsive, "alive\n", "the catalogue has been locked for a second\n")
}

/// Names and identities only: what any client is told by the server's properties, or could see by asking for names.
async fn cluster(
    State(process): State<Arc<Process>>,
    peers: Option<Extension<Arc<Peers>>>,
    renewal: Option<Extension<Arc<Renewal>>>,
) -> Response {
    let status = match process.status().await {
        Ok(Some(status)) => status,
        Ok(None) => return (StatusCode::SERVICE_UNAVAILABLE, "the node belongs to no cluster yet\n").into_response(),
        Err(error) => return (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    };
    let app = process.running();
    let members = status.nodes.iter().map(|node| ClusterMember {
        name: node.name.clone(),
        uuid: node.node.to_string(),
        up: node.up,
        voter: Some(node.votes),
    });
    Json(Membership {
        cluster_id: status.cluster.to_string(),
        node: process.name().to_owned(),
        serving: status.serving,
        maintenance: app.as_ref().is_some_and(|app| app.node.is_under_maintenance()),
        leaving: app.as_ref().map(|app| leaving::of(&app.node)),
        alarms: app.as_ref().map(|app| alarms(&app.node)).unwrap_or_default(),
        without_tls: peers.map(|peers| without_tls(&peers, &status)).unwrap_or_default(),
        settings: renewal.and_then(|renewal| renewal.word()),
        feature_level: status.level,
        feature_level_held: status.is_level_held,
        understands: link::feature_level(),
        leader: status.leader,
        certificate: app.as_ref().and_then(|app| app.node.certificate()),
        members: members.collect(),
    })
    .into_response()
}

/// Of the nodes that are members still.
fn without_tls(peers: &Peers, status: &Status) -> Vec<String> {
    let mut without = peers.without_tls();
    without.retain(|name| status.nodes.iter().any(|node| node.name == *name));
    without
}

fn alarms(node: &Node) -> Vec<String> {
    let on = node.alarms().own();
    let named = [(on.memory, "memory"), (on.disk, "disk")].into_iter();
    named.filter(|(on, _)| *on).map(|(_, name)| name.to_owned()).collect()
}

/// Asked on the app's own threads: a task, then the catalogue's lock.
async fn is_responsive(app: &Running) -> bool {
    let node = app.node.clone();
    let look = app.handle.spawn(async move {
        let look = tokio::task::spawn_blocking(move || node.is_responsive());
        look.await.unwrap_or(false)
    });
    // A stop that comes between is no hang.
    look.await.unwrap_or(true)
}

fn verdict(good: bool, yes: &'static str, no: &'static str) -> Verdict {
    if good {
        (StatusCode::OK, yes)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, no)
    }
}
