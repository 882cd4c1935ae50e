//! `/extensions`, `/feature-flags` and `/deprecated-features`: this broker has neither additions to its page nor features
//! that wait to be switched on, and what RabbitMQ 3.13 advises against is permitted; tools that ask are told so.

use axum::{
    Router,
    extract::{Path, State},
    routing::{get, put},
};
use serde_json::{Value, json};
use std::sync::Arc;

use super::{
    Api,
    answer::{self, Outcome},
    caller::{Administrator, Caller},
    failure::Failure,
    list::Parameters,
};
use crate::host::Node;

/// Features of RabbitMQ 3.13 that are always on here.
pub const ENABLED: [(&str, &str); 8] = [
    (
        "classic_mirrored_queue_version",
        "Support setting version for classic mirrored queues",
    ),
    (
        "drop_unroutable_metric",
        "Count unroutable publishes to be dropped in stats",
    ),
    (
        "empty_basic_get_metric",
        "Count AMQP `basic.get` on empty queues in stats",
    ),
    (
        "implicit_default_bindings",
        "Default bindings are implicit, instead of being stored in the database",
    ),
    ("maintenance_mode_status", "Maintenance mode status"),
    ("quorum_queue", "Support queues of type `quorum`"),
    ("user_limits", "Configure connection and channel limits for a user"),
    (
        "virtual_host_metadata",
        "Virtual host metadata (description, tags, etc)",
    ),
];

/// The routes of these resources.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/extensions", get(extensions))
        .route("/feature-flags", get(flags))
        .route("/feature-flags/{name}/enable", put(enable))
        .route("/deprecated-features", get(all_deprecated))
        .route("/deprecated-features/used", get(deprecated_in_use))
}

async fn extensions(_: Caller, query: Parameters) -> Outcome {
    query.all::<Value>([])
}

async fn flags(_: Caller, query: Parameters) -> Outcome {
    let flag = |(name, desc): (&str, &str)| {
        json!({"name": name, "desc": desc, "doc_url": "", "state": "enabled", "stability": "stable",
            "provided_by": "rabbit"})
    };
    query.all(ENABLED.map(flag))
}

/// A flag that exists is enabled already.
async fn enable(_: Administrator, Path(name): Path<String>) -> Outcome {
    match name == "all" || ENABLED.iter().any(|(flag, _)| *flag == name) {
        true => answer::done(),
        false => Err(Failure::bad_request(format!("feature flag {name} is not supported"))),
    }
}

/// Something that RabbitMQ 3.13 deprecates and this broker has.
#[derive(Clone, Copy, Debug)]
pub struct Deprecated {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub desc: &'static str,
    is_used: fn(&Node) -> bool,
}

const DEPRECATED: [Deprecated; 3] = [
    Deprecated {
        name: "classic_queue_mirroring",
        desc: "Classic mirrored queues; here they are the way to have a queue on several nodes",
        is_used: |node| node.snapshot().catalog.queues().any(|queue| queue.replicas.is_some()),
    },
    Deprecated {
        name: "ram_node_type",
        desc: "Nodes that keep no definitions on disk",
        is_used: |node| {
            let snapshot = node.snapshot();
            snapshot.catalog.nodes().any(|node| node.kind == catalog::NodeKind::Ram)
        },
    },
    Deprecated {
        name: "transient_nonexcl_queues",
        desc: "Queues that are neither durable nor exclusive",
        is_used: |node| {
            let snapshot = node.snapshot();
            snapshot
                .catalog
                .queues()
                .any(|queue| !queue.durable && queue.owner.is_none())
        },
    },
];

/// All that is deprecated, or what of it is in use.
pub fn deprecated(node: &Node, used: bool) -> impl Iterator<Item = &'static Deprecated> {
    DEPRECATED
        .iter()
        .filter(move |feature| !used || (feature.is_used)(node))
}

fn shown(node: &Node, used: bool) -> impl Iterator<Item = Value> {
    deprecated(node, used).map(|Deprecated { name, desc, .. }| {
        json!({"name": name, "desc": desc, "deprecation_phase": "permitted_by_default", "doc_url": "",
            "provided_by": "rabbit", "state": "permitted"})
    })
}

async fn all_deprecated(State(api): State<Arc<Api>>, _: Caller, query: Parameters) -> Outcome {
    query.all(shown(&api.node, false))
}

async fn deprecated_in_use(State(api): State<Arc<Api>>, _: Caller, query: Parameters) -> Outcome {
    query.all(shown(&api.node, true))
}
