//! `GET /health/checks/NAME`, and `/health/checks/port-listener/PORT` and its like: RabbitMQ's checks of the management API for whoever has proven the cluster's secret, without a user and with the
//! plugin off. Behind the proof, since some name queues.

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
    routing::get,
};
use std::sync::Arc;

use super::policies::{failed, on_app};
use crate::{
    management::{health_check, health_check_of},
    process::Process,
};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Process>> {
    Router::new()
        .route("/health/checks/{name}", get(check))
        .route("/health/checks/{name}/{of}", get(check_of))
}

async fn check(State(process): State<Arc<Process>>, Path(name): Path<String>) -> Response {
    on_app(&process, |node| async move {
        health_check(&node, &name).unwrap_or_else(unknown)
    })
    .await
}

async fn check_of(State(process): State<Arc<Process>>, Path((name, of)): Path<(String, String)>) -> Response {
    on_app(&process, |node| async move {
        health_check_of(&node, &name, &of).unwrap_or_else(unknown)
    })
    .await
}

fn unknown() -> Response {
    failed(StatusCode::NOT_FOUND, "not_found", "there is no such check")
}
