//! What whoever has proven the cluster's secret asks about copies of queues: which the node has, that they be synchronised, put on another node or
//! taken away, led elsewhere, or that all nodes lead about as many.
//!
//! Nothing is decided here. A change of copies is the leader's to propose, so only the node that leads a queue takes it.

use api::{Move, QueueCopies, QueueCopy, QueueName, RebalanceOrder, Rebalanced, TransferOrder, Transferred};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use catalog::{QueueRecord, Transfer};
use link::{Failure, QueueKind};
use model::HaMode;
use serde::{Deserialize, de::DeserializeOwned};
use std::sync::Arc;

use super::policies::{failed, on_app, wrong};
use crate::{
    host::{Membership, Node, Selection, Snapshot},
    process::Process,
};

/// Queues in one answer: it has a bound (I7).
const PART: usize = 10_000;

/// The routes of this resource.
pub fn routes() -> Router<Arc<Process>> {
    Router::new()
        .route("/queues", get(list))
        .route("/queues/{vhost}/{name}/sync", post(synchronise).delete(cancel))
        .route("/queues/{vhost}/{name}/copies/{node}", put(add).delete(remove))
        .route("/transfers", post(transfer))
        .route("/rebalance", post(rebalance))
}

type Key = Path<(String, String)>;
type CopyKey = Path<(String, String, String)>;

/// Where a part begins: queues are numbered as they were declared.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct From {
    #[serde(default)]
    from: u64,
}

async fn list(State(process): State<Arc<Process>>, Query(From { from }): Query<From>) -> Response {
    on_app(&process, |node| async move {
        let snapshot = node.snapshot().clone();
        let own = node.identity().node;
        let has_copy = |queue: &&Arc<QueueRecord>| {
            let replicas = queue.replicas.as_ref();
            !snapshot.is_remote(queue) || replicas.is_some_and(|replicas| replicas.copy(own).is_some())
        };
        let mut there = snapshot
            .catalog
            .queues()
            .filter(|queue| queue.id.0 >= from)
            .filter(has_copy);
        let queues = there.by_ref().take(PART).map(|queue| told(&snapshot, queue)).collect();
        let next = there.next().map(|queue| queue.id.0);
        Json(QueueCopies { queues, next }).into_response()
    })
    .await
}

fn named(queue: &QueueRecord) -> QueueName {
    QueueName {
        vhost: queue.vhost.to_string(),
        name: queue.name.to_string(),
    }
}

fn told(snapshot: &Snapshot, queue: &QueueRecord) -> QueueCopy {
    let names = snapshot.catalog.mirror_names(queue);
    let texts = |names: Vec<catalog::NodeName>| names.iter().map(ToString::to_string).collect();
    let counts = snapshot.cell(queue.id).map(|cell| cell.hold().queue.counts());
    QueueCopy {
        queue: named(queue),
        kind: queue.args.kind.as_str().to_owned(),
        durable: queue.durable,
        exclusive: queue.owner.is_some(),
        leader: queue.leader.to_string(),
        mirrors: texts(names.running),
        synchronised: texts(names.synchronised),
        messages: counts.map(|counts| counts.ready.messages + counts.unacked.messages),
        tied_to: match queue.ha_mode() {
            Some(HaMode::Nodes(nodes)) => nodes.clone(),
            Some(HaMode::All | HaMode::Exactly(_)) | None => Vec::new(),
        },
    }
}

async fn synchronise(State(process): State<Arc<Process>>, Path(key): Key) -> Response {
    on_app(&process, |node| async move { sync(&node, key, true).await }).await
}

async fn cancel(State(process): State<Arc<Process>>, Path(key): Key) -> Response {
    on_app(&process, |node| async move { sync(&node, key, false).await }).await
}

async fn sync(node: &Node, (vhost, name): (String, String), wanted: bool) -> Response {
    match find(node, &vhost, &name) {
        Some(queue) => done(node.synchronise(&queue, wanted).await),
        None => no_queue(),
    }
}

async fn add(State(process): State<Arc<Process>>, Path(key): CopyKey) -> Response {
    on_app(
        &process,
        |node| async move { change(&node, key, Membership::Add).await },
    )
    .await
}

async fn remove(State(process): State<Arc<Process>>, Path(key): CopyKey) -> Response {
    on_app(
        &process,
        |node| async move { change(&node, key, Membership::Delete).await },
    )
    .await
}

async fn change(node: &Node, (vhost, name, on): (String, String, String), what: Membership) -> Response {
    match find(node, &vhost, &name) {
        Some(queue) => done(node.change_copies(&queue, &on, what).await),
        None => no_queue(),
    }
}

async fn transfer(State(process): State<Arc<Process>>, body: Bytes) -> Response {
    let order: TransferOrder = match read(&body, "queues to be led elsewhere") {
        Ok(order) => order,
        Err(problem) => return wrong(problem),
    };
    on_app(&process, |node| async move {
        let is_meant = |queue: &QueueRecord| order.queues.is_empty() || order.queues.contains(&named(queue));
        let may_have = |name: &str| order.to.is_empty() || order.to.contains(name);
        let (meant, moved) = node.transfer(is_meant, may_have).await;
        Json(Transferred {
            moved: moved as u64,
            stay: (meant - moved) as u64,
        })
        .into_response()
    })
    .await
}

async fn rebalance(State(process): State<Arc<Process>>, body: Bytes) -> Response {
    let order: RebalanceOrder = match read(&body, "rebalancing") {
        Ok(order) => order,
        Err(problem) => return wrong(problem),
    };
    let selection = match Selection::new(QueueKind::All, &order.vhost_pattern, &order.queue_pattern) {
        Ok(selection) => selection,
        Err(error) => return wrong(error.to_string()),
    };
    on_app(&process, |node| async move {
        let planned = planned(&node, &node.rebalancing(&selection));
        if order.dry_run {
            return Json(planned).into_response();
        }
        match node.rebalance(&selection).await {
            Ok(_) => Json(planned).into_response(),
            Err(failure) => refused(&failure),
        }
    })
    .await
}

fn planned(node: &Node, plan: &[Transfer]) -> Rebalanced {
    let snapshot = node.snapshot();
    let name = |node| snapshot.catalog.node(node).map(|node| node.name.to_string());
    let told = plan.iter().take(PART).filter_map(|transfer| {
        Some(Move {
            queue: named(snapshot.catalog.queue_by_id(transfer.queue)?),
            from: name(transfer.from)?,
            to: name(transfer.to)?,
        })
    });
    Rebalanced {
        count: plan.len() as u64,
        moves: told.collect(),
    }
}

fn find(node: &Node, vhost: &str, name: &str) -> Option<Arc<QueueRecord>> {
    node.snapshot().catalog.queue(vhost, name).cloned()
}

fn read<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, String> {
    // Who asks for everything need not say so.
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| format!("the body is no order for {what}: {error}"))
}

fn done(outcome: Result<(), Failure>) -> Response {
    match outcome {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(failure) => refused(&failure),
    }
}

fn refused(failure: &Failure) -> Response {
    match failure {
        Failure::NotFound => no_queue(),
        Failure::Refused(why) => failed(StatusCode::CONFLICT, "conflict", why),
        other => failed(
            StatusCode::SERVICE_UNAVAILABLE,
            "service_unavailable",
            &format!("{other:?}"),
        ),
    }
}

fn no_queue() -> Response {
    failed(StatusCode::NOT_FOUND, "not_found", "there is no such queue")
}
