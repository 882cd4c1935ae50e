//! What the operator orders before a node goes for good: that queues with one copy move to other nodes. The order is repeated for as long as it is
//! meant; a minute without it ends it.

use api::{Evacuation, EvacuationOrder};
use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use std::sync::Arc;

use super::policies::{on_app, wrong};
use crate::process::Process;

/// The routes of this resource.
pub fn routes() -> Router<Arc<Process>> {
    Router::new().route("/evacuation", get(look).put(order))
}

async fn look(State(process): State<Arc<Process>>) -> Response {
    on_app(&process, |node| async move { tell(node.to_evacuate()) }).await
}

async fn order(State(process): State<Arc<Process>>, body: Bytes) -> Response {
    let order: EvacuationOrder = match serde_json::from_slice(&body) {
        Ok(order) => order,
        Err(error) => return wrong(format!("the body says not where queues are to go: {error}")),
    };
    on_app(&process, |node| async move { tell(node.evacuate(order.to)) }).await
}

fn tell(left: usize) -> Response {
    Json(Evacuation { left: left as u64 }).into_response()
}
