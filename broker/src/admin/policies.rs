//! What the operator asks of policies: read one with what it does, set it, clear it. Users' policies only, and no
//! user's permission is asked: whoever is here has proven the cluster's secret.
//!
//! It decides nothing about policies; the catalogue does.

use api::{ApiError, ApplyTo, Policy};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use catalog::{Answer, Command, PolicySpec};
use model::{PolicyLevel, Refusal, ReplyCode, VhostName};
use std::sync::Arc;

use super::policy_report::report;
use crate::{host::Node, process::Process};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Process>> {
    Router::new().route("/policies/{vhost}/{name}", get(read).put(set).delete(clear))
}

type Key = Path<(String, String)>;

async fn read(State(process): State<Arc<Process>>, Path((vhost, name)): Key) -> Response {
    on_app(&process, |node| async move {
        let snapshot = node.snapshot();
        match snapshot.catalog.vhost(&vhost) {
            Some(found) => Json(report(&snapshot.catalog, found, &name)).into_response(),
            None => no_vhost(),
        }
    })
    .await
}

async fn set(State(process): State<Arc<Process>>, Path((vhost, name)): Key, body: Bytes) -> Response {
    let policy: Policy = match serde_json::from_slice(&body) {
        Ok(policy) => policy,
        Err(error) => return wrong(format!("the body is no policy: {error}")),
    };
    if (&policy.vhost, &policy.name) != (&vhost, &name) {
        return wrong(format!(
            "the body speaks of policy '{}' in vhost '{}'",
            policy.name, policy.vhost
        ));
    }
    on_app(&process, |node| async move {
        let Some(vhost) = existing(&node, &vhost) else {
            return no_vhost();
        };
        match spec(policy, vhost) {
            Ok(spec) => answered(node.commit(Command::SetPolicy(spec)).await),
            Err(problem) => wrong(problem),
        }
    })
    .await
}

async fn clear(State(process): State<Arc<Process>>, Path((vhost, name)): Key) -> Response {
    on_app(&process, |node| async move {
        let Some(vhost) = existing(&node, &vhost) else {
            return no_vhost();
        };
        let (level, name) = (PolicyLevel::User, name.into());
        answered(node.commit(Command::ClearPolicy { vhost, level, name }).await)
    })
    .await
}

/// The app's threads do the work, and it ends with them.
pub(super) async fn on_app<F>(process: &Process, work: impl FnOnce(Arc<Node>) -> F) -> Response
where
    F: Future<Output = Response> + Send + 'static,
{
    let Some(app) = process.running() else {
        return failed(
            StatusCode::SERVICE_UNAVAILABLE,
            "service_unavailable",
            "the app does not run on this node",
        );
    };
    let working = app.handle.spawn(work(app.node.clone()));
    working.await.unwrap_or_else(|_| {
        failed(
            StatusCode::SERVICE_UNAVAILABLE,
            "service_unavailable",
            "the app was stopped meanwhile",
        )
    })
}

fn existing(node: &Node, vhost: &str) -> Option<VhostName> {
    node.snapshot().catalog.vhost(vhost).map(|vhost| vhost.name().clone())
}

fn spec(policy: Policy, vhost: VhostName) -> Result<PolicySpec, String> {
    Ok(PolicySpec {
        vhost,
        name: policy.name.into(),
        level: PolicyLevel::User,
        pattern: policy.pattern,
        apply_to: apply_to(policy.apply_to),
        priority: policy.priority,
        definition: api::from_json(&policy.definition).map_err(|error| error.to_string())?,
    })
}

fn apply_to(to: ApplyTo) -> model::ApplyTo {
    match to {
        ApplyTo::All => model::ApplyTo::All,
        ApplyTo::Exchanges => model::ApplyTo::Exchanges,
        ApplyTo::Queues => model::ApplyTo::Queues,
        ApplyTo::ClassicQueues => model::ApplyTo::ClassicQueues,
        ApplyTo::QuorumQueues => model::ApplyTo::QuorumQueues,
        ApplyTo::Streams => model::ApplyTo::Streams,
    }
}

fn answered(done: Result<Answer, Refusal>) -> Response {
    match done {
        Ok(Answer::Created) => StatusCode::CREATED.into_response(),
        Ok(Answer::Done | Answer::Absent | Answer::Queue { .. } | Answer::Mirrors(_)) => {
            StatusCode::NO_CONTENT.into_response()
        }
        Err(refusal) => refused(&refusal),
    }
}

pub(super) fn refused(refusal: &Refusal) -> Response {
    match refusal.code {
        ReplyCode::NotFound => failed(StatusCode::NOT_FOUND, "not_found", &refusal.text),
        ReplyCode::InternalError | ReplyCode::ResourceError => {
            failed(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", &refusal.text)
        }
        _ => wrong(refusal.text.to_string()),
    }
}

fn no_vhost() -> Response {
    failed(StatusCode::NOT_FOUND, "not_found", "vhost_not_found")
}

pub(super) fn wrong(reason: String) -> Response {
    failed(StatusCode::BAD_REQUEST, "bad_request", reason.trim_end())
}

pub(super) fn failed(status: StatusCode, error: &str, reason: &str) -> Response {
    (status, Json(ApiError::new(error, reason))).into_response()
}
