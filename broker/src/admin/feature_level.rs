//! What the operator asks so that nodes can go back to the release before: that the feature level stays what it is, or may rise again.
//!
//! When it rises is the cluster's to say: not before every member has shown that it understands more.

use api::FeatureLevel;
use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use catalog::{Command, Turn};
use std::sync::Arc;

use super::policies::{on_app, refused, wrong};
use crate::{host::Node, process::Process};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Process>> {
    Router::new().route("/feature-level", get(look).put(set))
}

async fn look(State(process): State<Arc<Process>>) -> Response {
    on_app(&process, |node| async move { tell(&node) }).await
}

async fn set(State(process): State<Arc<Process>>, body: Bytes) -> Response {
    let wanted: FeatureLevel = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(error) => return wrong(format!("the body says not whether the level is held: {error}")),
    };
    on_app(&process, move |node| async move {
        if node.snapshot().catalog.is_level_held() == wanted.held {
            return tell(&node);
        }
        match node.commit(Command::History(Turn::LevelHeld(wanted.held))).await {
            Ok(_) => tell(&node),
            Err(refusal) => refused(&refusal),
        }
    })
    .await
}

fn tell(node: &Node) -> Response {
    let catalog = &node.snapshot().catalog;
    let told = FeatureLevel {
        held: catalog.is_level_held(),
        level: catalog.level(),
    };
    (StatusCode::OK, Json(told)).into_response()
}
