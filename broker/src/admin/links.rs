//! `GET /links`: which nodes have come in at the peer port, by which of the secrets, and how certificates were read last. Behind the proof: it tells
//! who talks to whom.
//!
//! Answered whether the app runs or not; nothing is decided here.

use api::{Links, Reading};
use axum::{
    Extension, Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use std::{collections::BTreeMap, sync::Arc};

use crate::{peer::Peers, process::Process};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Process>> {
    Router::new().route("/links", get(tell))
}

async fn tell(State(process): State<Arc<Process>>, peers: Option<Extension<Arc<Peers>>>) -> Response {
    let between_nodes = peers.as_ref().and_then(|peers| peers.certificates());
    let of_clients = process.running().and_then(|app| app.node.certificates_read());
    let all = [("distribution.ssl_options", between_nodes), ("ssl_options", of_clients)];
    let certificates: BTreeMap<String, Reading> = all
        .into_iter()
        .filter_map(|(key, reading)| Some((key.to_owned(), reading?)))
        .collect();
    let links = peers.map(|peers| peers.links()).unwrap_or_default();
    Json(Links { links, certificates }).into_response()
}
