//! Port 15692: the node's numbers for Prometheus, under RabbitMQ's names as far as this broker has them.
//!
//! Open to whoever reaches the port, as RabbitMQ's. A scrape reads each queue once and changes nothing.

use anyhow::Context;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use std::sync::Arc;
use tokio::net::TcpListener;

use super::metrics;
use crate::{
    config::Config,
    host::{
        Node,
        listener::{self, Port},
    },
};

/// The version of the text format.
const TEXT: &str = "text/plain; version=0.0.4";

/// The endpoint's bound port.
#[derive(Debug)]
pub struct Scrapes {
    listener: TcpListener,
    port: Port,
}

/// Binds the endpoint's port when its plugin is enabled.
///
/// # Errors
/// The port cannot be had, or TLS is asked for.
pub fn bind(config: &Config) -> anyhow::Result<Option<Scrapes>> {
    let listen = &config.prometheus.listener;
    if !config.plugins.prometheus() {
        return Ok(None);
    }
    anyhow::ensure!(
        listen.tls().is_none(),
        "prometheus.ssl.port is set, and metrics have no TLS yet: remove it and put a TLS proxy in front of \
         prometheus.tcp.port"
    );
    let Some(address) = listen.plain() else { return Ok(None) };
    let bound = listener::bind(address, config.listeners.socket.backlog);
    let listener = bound.with_context(|| format!("cannot listen on {address} (prometheus.tcp.port)"))?;
    let address = listener.local_addr()?;
    let port = Port {
        protocol: "http/prometheus",
        address,
    };
    Ok(Some(Scrapes { listener, port }))
}

impl Scrapes {
    /// What is served where.
    pub fn port(&self) -> Port {
        self.port.clone()
    }

    /// Serves until the node stops.
    pub async fn run(self, node: Arc<Node>) {
        let stopping = node.stopping().clone();
        let path = node.config().prometheus.path.clone();
        let routes = Router::new()
            .route(&path, get(whole))
            .route(&format!("{path}/per-object"), get(per_object))
            .fallback(|| async { StatusCode::NOT_FOUND })
            .with_state(node);
        let served =
            axum::serve(self.listener, routes).with_graceful_shutdown(async move { stopping.cancelled().await });
        if let Err(error) = served.await {
            tracing::error!("metrics endpoint ended: {error}");
        }
    }
}

async fn whole(State(node): State<Arc<Node>>) -> impl IntoResponse {
    let page = match node.config().prometheus.per_object {
        true => metrics::per_object(&node),
        false => metrics::whole(&node),
    };
    ([(header::CONTENT_TYPE, TEXT)], page)
}

async fn per_object(State(node): State<Arc<Node>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, TEXT)], metrics::per_object(&node))
}
