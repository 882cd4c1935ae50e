//! `/auth` and what is below it: what ways of logging in there are, how often they were tried over AMQP, and passwords as they
//! are kept. `/login` tells whether name and password are right; it gives nothing to come back with, each request brings its own.

use axum::{
    Json, Router,
    extract::{FromRequest, Path, Query, Request, State},
    http::Uri,
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};

use super::{
    Api,
    answer::{self, Outcome},
    body::Octets,
    caller::{self, Administrator, Monitor},
    failure::Failure,
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
        .route("/login", post(log_in))
}

/// Name and password as a form has them, whatever type the body claims to be of.
fn form(octets: &[u8]) -> Option<(String, String)> {
    let uri: Uri = format!("/?{}", std::str::from_utf8(octets).ok()?).parse().ok()?;
    let Query(mut fields) = Query::<BTreeMap<String, String>>::try_from_uri(&uri).ok()?;
    Some((fields.remove("username")?, fields.remove("password")?))
}

async fn log_in(State(api): State<Arc<Api>>, request: Request) -> Outcome {
    let from = caller::address(request.extensions());
    let Octets(octets) = Octets::from_request(request, &api).await?;
    let (name, password) = form(&octets).ok_or_else(Failure::login_failed)?;
    caller::log_in((&name, password.as_bytes()), from, &api).await?;
    Ok(Json("ok").into_response())
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
