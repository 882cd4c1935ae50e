//! `/auth` and what is below it: what ways of logging in there are, how often they were tried over AMQP, and passwords as they
//! are kept.

use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use serde_json::json;
use std::sync::Arc;

use super::{
    Api,
    answer::{self, Outcome},
    caller::{Administrator, Monitor},
    list::Parameters,
    nodes,
};
use crate::host::hash_algorithm;

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/auth", get(ways))
        .route("/auth/attempts/{node}", get(attempts).delete(reset_attempts))
        .route(
            "/auth/attempts/{node}/source",
            get(attempts_by_source).delete(reset_attempts),
        )
        .route("/auth/hash_password/{password}", get(hash))
}

/// Open to everybody: the page asks before anybody has logged in.
async fn ways(query: Parameters) -> Outcome {
    query.one(json!({"oauth_enabled": false}))
}

async fn attempts(State(api): State<Arc<Api>>, _: Monitor, Path(node): Path<String>, query: Parameters) -> Outcome {
    nodes::is_this(&api, &node)?;
    let counts = api.node.auth_attempts();
    query.all([json!({
        "protocol": "amqp091",
        "auth_attempts": counts.tried,
        "auth_attempts_failed": counts.failed,
        "auth_attempts_succeeded": counts.tried - counts.failed.min(counts.tried),
    })])
}

async fn reset_attempts(State(api): State<Arc<Api>>, _: Administrator, Path(node): Path<String>) -> Outcome {
    nodes::is_this(&api, &node)?;
    api.node.reset_auth_attempts();
    answer::done()
}

/// Nobody's attempts are told apart by where they came from, as in a RabbitMQ that does not track it.
async fn attempts_by_source(
    State(api): State<Arc<Api>>,
    _: Monitor,
    Path(node): Path<String>,
    query: Parameters,
) -> Outcome {
    nodes::is_this(&api, &node)?;
    query.all::<serde_json::Value>([])
}

/// A password as it would be kept.
async fn hash(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path(password): Path<String>,
    query: Parameters,
) -> Outcome {
    let algorithm = hash_algorithm(api.node.config().access.password_hashing);
    let hash = access::PasswordHash::new(algorithm, rand::random(), password.as_bytes());
    query.one(json!({"ok": hash.to_base64()}))
}
