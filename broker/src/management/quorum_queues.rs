//! `/queues/quorum`: members of quorum queues, who they are, who comes and who goes.
//!
//! An administrator's matter, as adding nodes is. What may not be is said in the words of the command line.

use axum::{
    Json, Router,
    extract::{Path, State},
    response::IntoResponse,
    routing::{delete, get, post},
};
use catalog::QueueRecord;
use serde_json::{Map, Value, json};
use std::sync::Arc;

use super::{
    Api,
    answer::{self, Outcome},
    body::Body,
    caller::Administrator,
    failure::Failure,
};
use crate::host::{Growing, Member, Membership, Resized};
use access::Pattern;

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/queues/quorum/{vhost}/{queue}/replicas/add", post(add))
        .route("/queues/quorum/{vhost}/{queue}/replicas/delete", delete(remove))
        .route("/queues/quorum/replicas/on/{node}/grow", post(grow))
        .route("/queues/quorum/replicas/on/{node}/shrink", delete(shrink))
        .route("/queues/quorum/{vhost}/{queue}/status", get(status))
}

fn record(api: &Api, vhost: &str, queue: &str) -> Result<Arc<QueueRecord>, Failure> {
    let snapshot = api.node.snapshot();
    let found = snapshot.catalog.queue(vhost, queue).cloned();
    found.ok_or_else(Failure::not_found)
}

/// A switch of the configuration leaves it to the command line.
fn check_allowed(api: &Api) -> Result<(), Failure> {
    match api.node.config().management.replica_operations_frozen {
        true => Err(Failure::not_allowed()),
        false => Ok(()),
    }
}

async fn change(api: &Api, (vhost, queue): (&str, &str), body: &Body, what: Membership) -> Outcome {
    check_allowed(api)?;
    let record = record(api, vhost, queue)?;
    body.require(&["node"])?;
    let node = body.required_text("node")?;
    let done = api.node.change_members(&record, node, what).await;
    done.map_err(|failure| refused(&failure))?;
    answer::done()
}

fn refused(failure: &link::Failure) -> Failure {
    match failure {
        link::Failure::NotFound => Failure::not_found(),
        link::Failure::Refused(why) => Failure::bad_request(why.clone()),
        other => Failure::bad_request(format!("{other:?}")),
    }
}

async fn add(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path((vhost, queue)): Path<(String, String)>,
    body: Body,
) -> Outcome {
    change(&api, (&vhost, &queue), &body, Membership::Add).await
}

async fn remove(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path((vhost, queue)): Path<(String, String)>,
    body: Body,
) -> Outcome {
    change(&api, (&vhost, &queue), &body, Membership::Delete).await
}

async fn grow(State(api): State<Arc<Api>>, _: Administrator, Path(node): Path<String>, body: Body) -> Outcome {
    check_allowed(&api)?;
    body.require(&["strategy"])?;
    let even = match body.required_text("strategy")? {
        "all" => false,
        "even" => true,
        other => {
            return Err(Failure::bad_request(format!(
                "strategy is {other}, and must be all or even"
            )));
        }
    };
    let pattern = |name: &str| {
        let text = body.0.get(name).and_then(Value::as_str).unwrap_or(".*");
        Pattern::new(text).map_err(|why| Failure::bad_request(format!("{name} {text}: {why}")))
    };
    let meant = Growing {
        even,
        vhost: pattern("vhost_pattern")?,
        queue: pattern("queue_pattern")?,
    };
    Ok(Json(rows(&api.node.grow(&node, &meant).await)).into_response())
}

async fn shrink(State(api): State<Arc<Api>>, _: Administrator, Path(node): Path<String>) -> Outcome {
    check_allowed(&api)?;
    Ok(Json(rows(&api.node.shrink_members(&node).await)).into_response())
}

fn rows(all: &[Resized]) -> Vec<Value> {
    let row = |resized: &Resized| {
        json!({
            "vhost": resized.record.vhost.as_str(),
            "name": resized.record.name.as_str(),
            "size": resized.size,
            "result": if resized.outcome.is_ok() { "ok" } else { "error" },
        })
    };
    all.iter().map(row).collect()
}

/// One object for each member.
async fn status(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path((vhost, queue)): Path<(String, String)>,
) -> Outcome {
    let record = record(&api, &vhost, &queue)?;
    let members = api.node.members(&record).await.map_err(|failure| refused(&failure))?;
    let row = |member: Member| {
        Map::from_iter([
            ("Node Name".to_owned(), Value::from(member.name)),
            ("Raft State".to_owned(), member.state.into()),
            ("Log Index".to_owned(), member.held.into()),
            ("Commit Index".to_owned(), member.durable.into()),
            ("Snapshot Index".to_owned(), "undefined".into()),
            ("Term".to_owned(), member.epoch.into()),
            ("Machine Version".to_owned(), 1.into()),
        ])
    };
    Ok(Json(members.into_iter().map(row).collect::<Vec<_>>()).into_response())
}
