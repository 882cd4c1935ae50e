//! The management HTTP API of port 15672, one file per resource as in its URL.
//!
//! A handler authorises, parses, gives the node one command or asks for one view, and answers in a shape of `api`.
//! It decides nothing about messages and holds no lock.

mod accept;
mod aliveness;
mod answer;
mod attention;
mod auth;
mod bare;
mod bindings;
mod body;
mod caller;
mod channels;
mod cli;
mod client_stats;
mod cluster_name;
mod connections;
mod consumers;
mod definitions;
mod definitions_boot;
mod definitions_check;
mod definitions_export;
mod definitions_fetch;
mod definitions_import;
mod elsewhere;
mod exchanges;
mod failure;
mod features;
mod flows;
mod global_parameters;
mod guesses;
mod headers;
mod health;
mod list;
mod messages;
mod nodes;
mod openapi;
mod operator_policies;
mod overview;
mod parameters;
mod permissions;
mod policies;
mod queues;
mod quorum_queues;
mod readiness;
mod rebalance;
mod reset;
mod stats;
mod topic_permissions;
mod ui;
mod user_limits;
mod users;
mod vhost_limits;
mod vhosts;

use axum::{
    Router,
    extract::{Request, State},
    http::Uri,
    middleware,
};
use std::sync::Arc;

use crate::{
    config::Config,
    host::Node,
    http::{self, Bound},
    observe::Samples,
};
pub use definitions::{answer as answer_definitions, load_for_operator as load_definitions};
pub use definitions_boot::{
    import as import_definitions, import_changed as import_changed_definitions, import_whole as import_all_definitions,
};
pub use definitions_check::Refused as RefusedDefinitions;
pub use definitions_export::whole as all_definitions;
pub use elsewhere::answer as answer_node;
use failure::Failure;
pub use features::{Deprecated, ENABLED as FEATURE_FLAGS, deprecated};
use guesses::Guesses;
pub use health::{check as health_check, check_of as health_check_of};
pub use openapi::text as openapi;
pub use policies::shape as policy_shape;

/// What handlers work with.
#[derive(Debug)]
pub struct Api {
    /// The broker.
    pub node: Arc<Node>,
    /// How fast its numbers change.
    pub samples: Arc<Samples>,
    /// Who guesses passwords.
    guesses: Guesses,
}

impl Api {
    fn new(node: Arc<Node>, samples: Arc<Samples>) -> Self {
        let guesses = Guesses::default();
        Api { node, samples, guesses }
    }
}

/// Binds the API's ports.
///
/// # Errors
/// A port or its certificate cannot be had.
pub fn bind(config: &Config) -> anyhow::Result<Vec<Bound>> {
    http::bind_all(config, &config.management.listener, "management", ["http", "https"])
}

/// What the API tells other nodes.
pub fn pages(node: Arc<Node>, samples: Arc<Samples>) -> Router {
    resources()
        .fallback(|| async { Failure::not_found() })
        .with_state(Arc::new(Api::new(node, samples)))
}

fn resources() -> Router<Arc<Api>> {
    Router::new()
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
        .merge(openapi::routes())
        .merge(operator_policies::routes())
        .merge(overview::routes())
        .merge(parameters::routes())
        .merge(permissions::routes())
        .merge(policies::routes())
        .merge(queues::routes())
        .merge(quorum_queues::routes())
        .merge(readiness::routes())
        .merge(rebalance::routes())
        .merge(reset::routes())
        .merge(topic_permissions::routes())
        .merge(ui::reference())
        .merge(user_limits::routes())
        .merge(users::routes())
        .merge(vhost_limits::routes())
        .merge(vhosts::routes())
}

/// The whole API and its page.
pub fn routes(node: Arc<Node>, samples: Arc<Samples>) -> Router {
    let api = Arc::new(Api::new(node, samples));
    let prefix = api.node.config().management.path_prefix.clone();
    let whole = Router::new()
        .merge(ui::routes(&prefix))
        .merge(cli::routes(&prefix))
        .nest(&format!("{prefix}/api"), resources())
        .fallback(|| async { Failure::not_found() })
        .layer(middleware::from_fn_with_state(api.clone(), headers::add))
        .with_state(api);
    let below: Arc<str> = format!("{prefix}/api/").into();
    // A layer comes before the paths of what is behind the fallback only.
    Router::new()
        .fallback_service(whole)
        .layer(middleware::map_request_with_state(below, without_last_slash))
}

/// A slash at the end of a path of the API says nothing, as in RabbitMQ: client libraries write it.
async fn without_last_slash(State(below): State<Arc<str>>, mut request: Request) -> Request {
    let uri = request.uri();
    let path = uri.path().strip_suffix('/').filter(|path| !path.ends_with('/'));
    let Some(path) = path.filter(|path| path.starts_with(&*below)) else {
        return request;
    };
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    // Both are parts of what was a URI before.
    if let Ok(shorter) = path_and_query.parse() {
        parts.path_and_query = Some(shorter);
        if let Ok(shorter) = Uri::from_parts(parts) {
            *request.uri_mut() = shorter;
        }
    }
    request
}

#[cfg(test)]
#[path = "security_tests.rs"]
mod security;
#[cfg(test)]
#[path = "conversation_tests.rs"]
mod tests;
