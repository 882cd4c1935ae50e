//! `/definitions`: everything that the broker was told, to save and to load, as a whole or for one virtual host.
//!
//! An import adds and overwrites, it never deletes; queues and exchanges that exist are left as they are. It stops at
//! the first thing that is refused, and what came before stays.

use api::Definitions;
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use model::UserName;
use std::sync::Arc;

use super::{
    Api,
    answer::{self, Outcome},
    body::Octets,
    caller::{Administrator, Caller},
    definitions_boot::IMPORTER,
    definitions_export, definitions_import,
    failure::{self, Failure},
    list::Parameters,
    permissions::bad_name,
};
use crate::host::Node;

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

/// All that is defined, or what is in one virtual host.
fn found(node: &Node, vhost: Option<&str>) -> Result<Definitions, Failure> {
    let snapshot = node.snapshot();
    match vhost {
        None => Ok(definitions_export::whole(
            &snapshot.catalog,
            node.config().shown.product(),
        )),
        Some(name) => {
            let vhost = snapshot.catalog.vhost(name).ok_or_else(Failure::not_found)?;
            Ok(definitions_export::of_vhost(vhost))
        }
    }
}

/// What a `GET` answers to whoever may see everything.
pub fn answer(node: &Node, vhost: Option<&str>) -> Response {
    found(node, vhost).map_or_else(Failure::into_response, |definitions| Json(definitions).into_response())
}

/// What a `POST` does and answers for whoever may do everything; with `dry_run` nothing is done, and the answer is the same.
pub async fn load_for_operator(node: &Node, octets: &Bytes, vhost: Option<&str>, dry_run: bool) -> Response {
    let done = async {
        vhost.map_or(Ok(()), |name| exists(node, name))?;
        let importer = IMPORTER.parse().map_err(bad_name)?;
        load(node, &importer, &Octets(octets.clone()), vhost, dry_run).await
    };
    done.await.unwrap_or_else(Failure::into_response)
}

async fn export(State(api): State<Arc<Api>>, _: Administrator, query: Parameters) -> Outcome {
    file(found(&api.node, None)?, &query)
}

async fn export_vhost(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path(vhost): Path<String>,
    query: Parameters,
) -> Outcome {
    file(found(&api.node, Some(&vhost))?, &query)
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    given.is_none_or(|text| text.starts_with("application/json"))
}

fn exists(node: &Node, vhost: &str) -> Result<(), Failure> {
    let snapshot = node.snapshot();
    snapshot.catalog.vhost(vhost).map(|_| ()).ok_or_else(Failure::not_found)
}

async fn load(node: &Node, user: &UserName, octets: &Octets, vhost: Option<&str>, dry_run: bool) -> Outcome {
    octets.object()?;
    let read: Definitions =
        serde_json::from_slice(&octets.0).map_err(|error| Failure::bad_request(error.to_string()))?;
    let commands = definitions_import::commands(node, user, read, vhost)?;
    let done = match dry_run {
        true => node.would_commit_all(&commands),
        false => node.commit_all(commands).await,
    };
    done.map_err(|refusal| failure::instead(refusal.clone(), || Failure::bad_request(refusal.text)))?;
    answer::done()
}

async fn sent(api: &Api, caller: &Caller, headers: &HeaderMap, octets: &Octets, vhost: Option<&str>) -> Outcome {
    match is_json(headers) {
        true => load(&api.node, &caller.user.name, octets, vhost, false).await,
        false => Ok(StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response()),
    }
}

async fn import(
    State(api): State<Arc<Api>>,
    Administrator(caller): Administrator,
    headers: HeaderMap,
    octets: Octets,
) -> Outcome {
    sent(&api, &caller, &headers, &octets, None).await
}

async fn import_vhost(
    State(api): State<Arc<Api>>,
    Administrator(caller): Administrator,
    Path(vhost): Path<String>,
    headers: HeaderMap,
    octets: Octets,
) -> Outcome {
    exists(&api.node, &vhost)?;
    sent(&api, &caller, &headers, &octets, Some(&vhost)).await
}
