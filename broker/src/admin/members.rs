//! `DELETE /members/NAME`: a member that is down and never comes back is removed, with what only it has, by whoever has proven the cluster's secret.

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::delete,
};
use std::sync::Arc;

use super::policies::{failed, on_app};
use crate::{cluster::presence::ClusterError, process::Process};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Process>> {
    Router::new().route("/members/{name}", delete(remove))
}

async fn remove(State(process): State<Arc<Process>>, Path(name): Path<String>) -> Response {
    on_app(&process, |node| async move {
        let Some(presence) = node.presence() else {
            return failed(StatusCode::CONFLICT, "conflict", "the node belongs to no cluster");
        };
        match presence.forget(&name).await {
            Ok(()) => {
                tracing::info!("node {name} was removed from the cluster");
                StatusCode::NO_CONTENT.into_response()
            }
            Err(error @ ClusterError::NotAMember) => failed(StatusCode::NOT_FOUND, "not_found", &error.to_string()),
            Err(error) => failed(StatusCode::CONFLICT, "conflict", &error.to_string()),
        }
    })
    .await
}
