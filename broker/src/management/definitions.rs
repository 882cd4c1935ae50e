//! `/definitions`: everything that the broker was told, to save and to load, as a whole or for one virtual host.
//!
//! An import adds and overwrites, it never deletes; queues and exchanges that exist are left as they are. It stops at
//! the first thing that is refused, and what came before stays.

use api::Definitions;
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use std::sync::Arc;

use super::{
    Api,
    answer::{self, Outcome},
    body::Octets,
    caller::Administrator,
    definitions_export, definitions_import,
    failure::{self, Failure},
    list::Parameters,
};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/definitions", get(export).post(import))
        .route("/all-configuration", get(export).post(import))
        .route("/definitions/{vhost}", get(export_vhost).post(import_vhost))
}

/// `?download=NAME` makes browsers save the file.
fn file(definitions: Definitions, query: &Parameters) -> Outcome {
    let mut response = Json(definitions).into_response();
    if let Some(name) = query.get("download") {
        let plain: String = name
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || "._-@".contains(*c))
            .collect();
        // Letters of a file name are always a header's value.
        if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename={plain}")) {
            response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
        }
    }
    Ok(response)
}

async fn export(State(api): State<Arc<Api>>, _: Administrator, query: Parameters) -> Outcome {
    file(definitions_export::whole(&api.node.snapshot().catalog), &query)
}

async fn export_vhost(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path(vhost): Path<String>,
    query: Parameters,
) -> Outcome {
    let snapshot = api.node.snapshot();
    let found = snapshot.catalog.vhost(&vhost).ok_or_else(Failure::not_found)?;
    file(definitions_export::of_vhost(found), &query)
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    given.is_none_or(|text| text.starts_with("application/json"))
}

async fn load(
    api: &Api,
    caller: &super::caller::Caller,
    headers: &HeaderMap,
    octets: &Octets,
    vhost: Option<&str>,
) -> Result<Response, Failure> {
    if !is_json(headers) {
        return Ok(StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response());
    }
    octets.object()?;
    let read: Definitions =
        serde_json::from_slice(&octets.0).map_err(|error| Failure::bad_request(error.to_string()))?;
    let commands = definitions_import::commands(&api.node, &caller.user.name, read, vhost)?;
    let done = api.node.commit_all(commands).await;
    done.map_err(|refusal| failure::instead(refusal.clone(), || Failure::bad_request(refusal.text)))?;
    answer::done()
}

async fn import(
    State(api): State<Arc<Api>>,
    Administrator(caller): Administrator,
    headers: HeaderMap,
    octets: Octets,
) -> Outcome {
    load(&api, &caller, &headers, &octets, None).await
}

async fn import_vhost(
    State(api): State<Arc<Api>>,
    Administrator(caller): Administrator,
    Path(vhost): Path<String>,
    headers: HeaderMap,
    octets: Octets,
) -> Outcome {
    api.node
        .snapshot()
        .catalog
        .vhost(&vhost)
        .ok_or_else(Failure::not_found)?;
    load(&api, &caller, &headers, &octets, Some(&vhost)).await
}
