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
use crate::host::{Attempts, Source, Way, hash_algorithm};

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
    let row = |(way, counts): (Way, Attempts)| {
        json!({"protocol": way.protocol(), "auth_attempts": counts.tried, "auth_attempts_failed": counts.failed,
            "auth_attempts_succeeded": counts.succeeded()})
    };
    query.all(api.node.auth_attempts().into_iter().map(row))
}

async fn reset_attempts(State(api): State<Arc<Api>>, _: Administrator, Path(node): Path<String>) -> Outcome {
    nodes::is_this(&api, &node)?;
    api.node.reset_auth_attempts();
    answer::done()
}

/// Attempts by who tried, while that is tracked: `rabbitmq-diagnostics enable_auth_attempt_source_tracking`.
async fn attempts_by_source(
    State(api): State<Arc<Api>>,
    _: Monitor,
    Path(node): Path<String>,
    query: Parameters,
) -> Outcome {
    nodes::is_this(&api, &node)?;
    let row = |(source, counts): (Source, Attempts)| {
        json!({"remote_address": source.address.to_string(), "username": source.user, "protocol": source.way.protocol(),
            "auth_attempts": counts.tried, "auth_attempts_failed": counts.failed, "auth_attempts_succeeded": counts.succeeded()})
    };
    query.all(api.node.auth_attempts_by_source().into_iter().map(row))
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
