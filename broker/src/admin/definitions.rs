//! What whoever has proven the cluster's secret does with definitions: save them and load them, all or those of one virtual host (`?vhost=`), as a backup
//! needs it that no user's password is told to.
//!
//! Document, rules and words of refusals are the management API's, whether that runs or not. With `dry_run` a file is judged and nothing is changed. What is
//! longer than an answer may be is refused in words, and never cut off.

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{DefaultBodyLimit, Query, State},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;
use std::sync::Arc;

use super::{
    policies::{failed, on_app},
    proven::{ANSWER_BYTES_MAX, FILE_BYTES_MAX},
};
use crate::{
    management::{answer_definitions, load_definitions},
    process::Process,
};

/// The routes that read.
pub fn routes() -> Router<Arc<Process>> {
    Router::new().route("/definitions", get(export))
}

/// The routes whose body is a file.
pub fn files() -> Router<Arc<Process>> {
    Router::new()
        .route("/definitions", post(import))
        .layer(DefaultBodyLimit::max(FILE_BYTES_MAX))
}

/// Whose definitions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whose {
    /// All, if none is named.
    vhost: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Load {
    vhost: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

async fn export(State(process): State<Arc<Process>>, Query(Whose { vhost }): Query<Whose>) -> Response {
    on_app(&process, |node| async move {
        whole(answer_definitions(&node, vhost.as_deref())).await
    })
    .await
}

async fn whole(answer: Response) -> Response {
    let (parts, body) = answer.into_parts();
    match to_bytes(body, ANSWER_BYTES_MAX).await {
        Ok(body) => Response::from_parts(parts, body.into()),
        Err(_) => failed(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            &format!(
                "the definitions are larger than {ANSWER_BYTES_MAX} bytes: ask for one virtual host at a time, or use rabbitmqctl export_definitions"
            ),
        ),
    }
}

async fn import(State(process): State<Arc<Process>>, Query(load): Query<Load>, file: Bytes) -> Response {
    on_app(&process, |node| async move {
        load_definitions(&node, &file, load.vhost.as_deref(), load.dry_run).await
    })
    .await
}
