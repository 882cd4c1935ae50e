//! The management HTTP API of port 15672, one file per resource as in its URL.
//!
//! A handler authorises, parses, gives the node one command or asks for one view, and answers in a shape of `api`.
//! It decides nothing about messages and holds no lock.

mod aliveness;
mod answer;
mod attention;
mod auth;
mod bindings;
mod body;
mod caller;
mod channels;
mod cluster_name;
mod connections;
mod consumers;
mod definitions;
mod definitions_export;
mod definitions_import;
mod exchanges;
mod failure;
mod features;
mod global_parameters;
mod headers;
mod health;
mod list;
mod messages;
mod nodes;
mod operator_policies;
mod overview;
mod parameters;
mod permissions;
mod policies;
mod queues;
mod stats;
mod topic_permissions;
mod ui;
mod user_limits;
mod users;
mod vhost_limits;
mod vhosts;

use anyhow::Context;
use axum::{Router, extract::connect_info::IntoMakeServiceWithConnectInfo, middleware};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;

use crate::{
    config::Config,
    host::{
        Node,
        listener::{self, Port},
    },
    observe::Samples,
};
use failure::Failure;

/// What handlers work with.
#[derive(Debug)]
pub struct Api {
    /// The broker.
    pub node: Arc<Node>,
    /// How fast its numbers change.
    pub samples: Arc<Samples>,
}

/// The API's bound port.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    port: Port,
}

/// Binds the API's port when its plugin is enabled.
///
/// # Errors
/// The port cannot be had, or TLS is asked for.
pub fn bind(config: &Config) -> anyhow::Result<Option<Bound>> {
    let listen = &config.management.listener;
    if !config.plugins.management() {
        return Ok(None);
    }
    anyhow::ensure!(
        listen.tls().is_none(),
        "management.ssl.port is set, and the management API has no TLS yet: remove it and put a TLS proxy in front of \
         management.tcp.port"
    );
    let Some(address) = listen.plain() else { return Ok(None) };
    let bound = listener::bind(address, config.listeners.socket.backlog);
    let listener = bound.with_context(|| format!("cannot listen on {address} (management.tcp.port)"))?;
    let address = listener.local_addr()?;
    let port = Port {
        protocol: "http",
        address,
    };
    Ok(Some(Bound { listener, port }))
}

impl Bound {
    /// What is served where.
    pub fn port(&self) -> Port {
        self.port.clone()
    }

    /// Serves until the node stops.
    pub async fn run(self, node: Arc<Node>, samples: Arc<Samples>) {
        let stopping = node.stopping().clone();
        let service = routes(Arc::new(Api { node, samples }));
        let served =
            axum::serve(self.listener, service).with_graceful_shutdown(async move { stopping.cancelled().await });
        if let Err(error) = served.await {
            tracing::error!("management API ended: {error}");
        }
    }
}

fn routes(api: Arc<Api>) -> IntoMakeServiceWithConnectInfo<Router, SocketAddr> {
    let resources = Router::new()
        .merge(aliveness::routes())
        .merge(attention::routes())
        .merge(auth::routes())
        .merge(bindings::routes())
        .merge(channels::routes())
        .merge(cluster_name::routes())
        .merge(connections::routes())
        .merge(consumers::routes())
        .merge(definitions::routes())
        .merge(exchanges::routes())
        .merge(features::routes())
        .merge(global_parameters::routes())
        .merge(health::routes())
        .merge(nodes::routes())
        .merge(operator_policies::routes())
        .merge(overview::routes())
        .merge(parameters::routes())
        .merge(permissions::routes())
        .merge(policies::routes())
        .merge(queues::routes())
        .merge(topic_permissions::routes())
        .merge(ui::reference())
        .merge(user_limits::routes())
        .merge(users::routes())
        .merge(vhost_limits::routes())
        .merge(vhosts::routes());
    let prefix = api.node.config().management.path_prefix.clone();
    Router::new()
        .merge(ui::routes(&prefix))
        .nest(&format!("{prefix}/api"), resources)
        .fallback(|| async { Failure::not_found() })
        .layer(middleware::from_fn_with_state(api.clone(), headers::add))
        .with_state(api)
        .into_make_service_with_connect_info::<SocketAddr>()
}

#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
