//! What the operator asks of a node that is to leave its cluster: that it be marked so (`PUT`), or not after all (`DELETE`), and how many queues
//! have yet to move for it.

use api::Leaving;
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
    Router::new().route("/leaving", get(look).put(mark).delete(unmark))
}

async fn look(State(process): State<Arc<Process>>) -> Response {
    on_app(&process, |node| async move { tell(&node, Ok(())) }).await
}

async fn mark(State(process): State<Arc<Process>>) -> Response {
    on_app(
        &process,
        |node| async move { tell(&node, node.set_leaving(true).await) },
    )
    .await
}

async fn unmark(State(process): State<Arc<Process>>) -> Response {
    on_app(
        &process,
        |node| async move { tell(&node, node.set_leaving(false).await) },
    )
    .await
}

fn tell(node: &Node, done: Result<(), Refusal>) -> Response {
    match done {
        Err(refusal) => refused(&refusal),
        Ok(()) => Json(of(node)).into_response(),
    }
}

/// What the node says of it.
pub(super) fn of(node: &Node) -> Leaving {
    Leaving {
        is_marked: node.is_leaving(),
        left: node.moving_off() as u64,
    }
}
