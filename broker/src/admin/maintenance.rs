//! What the operator asks before it stops a node: take it out of service, put it back, and how many mirrored queues it leads
//! still; and at any time how many queues it has copies of.
//!
//! The answer to `PUT` comes when all is led elsewhere that can be; what is left is told.

use api::Maintenance;
use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use model::Refusal;
use std::sync::Arc;

use super::policies::{on_app, refused};
use crate::{host::Node, process::Process};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Process>> {
    Router::new()
        .route("/maintenance", get(look).put(drain).delete(revive))
        .route("/copies", get(copies))
}

async fn look(State(process): State<Arc<Process>>) -> Response {
    on_app(&process, |node| async move { tell(&node, Ok(())) }).await
}

async fn copies(State(process): State<Arc<Process>>) -> Response {
    on_app(&process, |node| async move { Json(node.copies()).into_response() }).await
}

async fn drain(State(process): State<Arc<Process>>) -> Response {
    on_app(&process, |node| async move { tell(&node, node.drain().await) }).await
}

async fn revive(State(process): State<Arc<Process>>) -> Response {
    on_app(&process, |node| async move { tell(&node, node.revive().await) }).await
}

fn tell(node: &Node, done: Result<(), Refusal>) -> Response {
    if let Err(refusal) = done {
        return refused(&refusal);
    }
    Json(Maintenance {
        under_maintenance: node.is_under_maintenance(),
        leads: node.leads() as u64,
    })
    .into_response()
}
