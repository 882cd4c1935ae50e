//! Port 15692: the node's numbers for Prometheus, under RabbitMQ's names as far as this broker has them.
//!
//! Open to whoever reaches the port, as RabbitMQ's. A scrape reads each queue once and changes nothing.

use axum::{
    Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use std::{collections::BTreeSet, sync::Arc};

use super::metrics;
use crate::{
    config::Config,
    host::Node,
    http::{self, Bound},
};

/// The version of the text format.
const TEXT: &str = "text/plain; version=0.0.4";

/// Binds the endpoint's ports.
///
/// # Errors
/// A port or its certificate cannot be had.
pub fn bind(config: &Config) -> anyhow::Result<Vec<Bound>> {
    let protocols = ["http/prometheus", "https/prometheus"];
    http::bind_all(config, &config.prometheus.listener, "prometheus", protocols)
}

/// The endpoint's paths.
pub fn routes(node: Arc<Node>) -> Router {
    let path = node.config().prometheus.path.clone();
    Router::new()
        .route(&path, get(whole))
        .route(&format!("{path}/per-object"), get(per_object))
        .route(&format!("{path}/detailed"), get(detailed))
        .route(&format!("{path}/memory-breakdown"), get(memory))
        .fallback(|| async { StatusCode::NOT_FOUND })
        .with_state(node)
}

async fn whole(State(node): State<Arc<Node>>) -> impl IntoResponse {
    let page = match node.config().prometheus.per_object {
        true => metrics::per_object(&node).await,
        false => metrics::whole(&node),
    };
    ([(header::CONTENT_TYPE, TEXT)], page)
}

/// `?family=…` as often as there are groups of families to show, and `?vhost=…` for those of some virtual hosts alone.
async fn detailed(State(node): State<Arc<Node>>, Query(pairs): Query<Vec<(String, String)>>) -> impl IntoResponse {
    let of = |wanted: &'static str| {
        let own = pairs.iter().filter(move |(key, _)| key == wanted);
        own.map(|(_, value)| value.as_str())
    };
    let vhosts: BTreeSet<String> = of("vhost").map(str::to_owned).collect();
    let groups: Vec<&str> = of("family").collect();
    let page = metrics::detailed(&node, &groups, Some(vhosts).filter(|some| !some.is_empty())).await;
    ([(header::CONTENT_TYPE, TEXT)], page)
}

async fn memory(State(node): State<Arc<Node>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, TEXT)], metrics::memory(&node))
}

async fn per_object(State(node): State<Arc<Node>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, TEXT)], metrics::per_object(&node).await)
}
