//! `POST /leader`: another node leads the definitions, by word, because whoever has proven the cluster's secret wants it; or it is told which would.
//!
//! Asked of the node that leads. What is so already is answered as done, wherever it is asked.

use api::{LeaderOrder, Led};
use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use std::sync::Arc;

use super::policies::{failed, on_app, wrong};
use crate::process::Process;

/// The routes of this resource.
pub fn routes() -> Router<Arc<Process>> {
    Router::new().route("/leader", post(lead))
}

async fn lead(State(process): State<Arc<Process>>, body: Bytes) -> Response {
    // Who only wants another to lead need not say anything.
    let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
    let order: LeaderOrder = match serde_json::from_slice(body) {
        Ok(order) => order,
        Err(error) => return wrong(format!("the body says not who is to lead: {error}")),
    };
    on_app(&process, |node| async move {
        let conflict = |why: &str| failed(StatusCode::CONFLICT, "conflict", why);
        let Some(presence) = node.presence() else {
            return conflict("the node belongs to no cluster");
        };
        match presence.move_leadership(order.to.as_deref(), order.dry_run).await {
            Ok(led) => Json(Led {
                leader: led.leader,
                moves: led.moves,
            })
            .into_response(),
            Err(why) => conflict(&why.to_string()),
        }
    })
    .await
}
