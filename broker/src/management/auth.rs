//! `/auth` and `/auth/attempts`: what ways of logging in there are, and how often they were tried over AMQP.

use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use serde_json::json;
use std::sync::Arc;

use super::{Api, answer::Outcome, caller::Monitor, failure::Failure, list::Parameters};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/auth", get(ways))
        .route("/auth/attempts/{node}", get(attempts))
}

/// Open to everybody: the page asks before anybody has logged in.
async fn ways(query: Parameters) -> Outcome {
    query.one(json!({"oauth_enabled": false}))
}

async fn attempts(State(api): State<Arc<Api>>, _: Monitor, Path(node): Path<String>, query: Parameters) -> Outcome {
    if node != api.node.name().as_ref() {
        return Err(Failure::not_found());
    }
    let counts = api.node.counters().read();
    query.all([json!({
        "protocol": "amqp091",
        "auth_attempts": counts.logins,
        "auth_attempts_failed": counts.logins_failed,
        "auth_attempts_succeeded": counts.logins - counts.logins_failed.min(counts.logins),
    })])
}
