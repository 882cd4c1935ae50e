//! What the operator asks when settings have changed that need no restart: judge the new file, or take over of it what a running node may.
//!
//! The text comes with the request, since the mounted file is brought by the kubelet when it sees fit. What is wrong with it is told in the
//! words of a start that it would have failed.

use api::{Settings, SettingsTaken};
use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use std::sync::Arc;

use super::policies::wrong;
use crate::{
    config::Renewed,
    process::Process,
    renewal::{self, Renewal, Unusable},
};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Process>> {
    Router::new().route("/settings", post(judge).put(take))
}

async fn judge(Extension(renewal): Extension<Arc<Renewal>>, body: Bytes) -> Response {
    match read(&body).and_then(|asked| renewal.judge(&asked.text).map_err(refused)) {
        Ok(renewed) => told(renewed),
        Err(refusal) => *refusal,
    }
}

async fn take(
    State(process): State<Arc<Process>>,
    Extension(renewal): Extension<Arc<Renewal>>,
    body: Bytes,
) -> Response {
    let taken = read(&body).and_then(|asked| renewal.take_text(&asked.text, &asked.word).map_err(refused));
    match taken {
        Ok(renewed) => {
            process.renew(renewed.config.clone()).await;
            if !renewed.in_force.is_empty() {
                renewal::tell(&renewed);
            }
            told(renewed)
        }
        Err(refusal) => *refusal,
    }
}

fn read(body: &[u8]) -> Result<Settings, Box<Response>> {
    serde_json::from_slice(body).map_err(|error| Box::new(wrong(format!("the body is no settings: {error}"))))
}

fn refused(why: Unusable) -> Box<Response> {
    Box::new(wrong(why.to_string()))
}

fn told(renewed: Renewed) -> Response {
    Json(SettingsTaken {
        in_force: renewed.in_force,
        waiting: renewed.waiting,
    })
    .into_response()
}
