//! What the operator waits for: that something has changed which it would act on. It asks with the mark of the last answer, and is answered
//! when the mark is another one, or after a while with the same.
//!
//! The wait is bounded and ends with the app. What has changed is not told: whoever asks looks again.

use api::Changes;
use axum::{
    Json, Router,
    extract::{Query, State},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};

use super::policies::on_app;
use crate::process::Process;

/// The longest wait.
const PATIENCE: Duration = Duration::from_secs(25);

#[derive(Deserialize)]
struct Asked {
    /// The mark of the last answer; without it the answer comes at once.
    since: Option<String>,
}

/// The routes of this resource.
pub fn routes() -> Router<Arc<Process>> {
    Router::new().route("/changes", get(wait))
}

async fn wait(State(process): State<Arc<Process>>, Query(asked): Query<Asked>) -> Response {
    on_app(&process, |node| async move {
        let mark = node.changes(asked.since.as_deref(), PATIENCE).await;
        Json(Changes { mark }).into_response()
    })
    .await
}
