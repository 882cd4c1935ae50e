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

/// Features of RabbitMQ 3.13 that are always on here.
pub const ENABLED: [(&str, &str); 6] = [
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
        .route("/deprecated-features", get(deprecated))
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

/// What RabbitMQ 3.13 deprecates and this broker has.
const DEPRECATED: [(&str, &str, IsUsed); 3] = [
    (
        "classic_queue_mirroring",
        "Classic mirrored queues; here they are the way to have a queue on several nodes",
        |api| {
            let snapshot = api.node.snapshot();
            snapshot.catalog.queues().any(|queue| queue.replicas.is_some())
        },
    ),
    ("ram_node_type", "Nodes that keep no definitions on disk", |api| {
        api.node
            .snapshot()
            .catalog
            .nodes()
            .any(|node| node.kind == catalog::NodeKind::Ram)
    }),
    (
        "transient_nonexcl_queues",
        "Queues that are neither durable nor exclusive",
        |api| {
            let snapshot = api.node.snapshot();
            snapshot
                .catalog
                .queues()
                .any(|queue| !queue.durable && queue.owner.is_none())
        },
    ),
];

/// Whether a feature is in use.
type IsUsed = fn(&Api) -> bool;

fn deprecated_features(api: &Api, wanted: impl Fn(&Api, IsUsed) -> bool) -> Vec<Value> {
    let all = DEPRECATED.into_iter().filter(|(_, _, is_used)| wanted(api, *is_used));
    let shape = |(name, desc, _)| {
        json!({"name": name, "desc": desc, "deprecation_phase": "permitted_by_default", "doc_url": "",
            "provided_by": "rabbit", "state": "permitted"})
    };
    all.map(shape).collect()
}

async fn deprecated(State(api): State<Arc<Api>>, _: Caller, query: Parameters) -> Outcome {
    query.all(deprecated_features(&api, |_, _| true))
}

async fn deprecated_in_use(State(api): State<Arc<Api>>, _: Caller, query: Parameters) -> Outcome {
    query.all(deprecated_features(&api, |api, is_used| is_used(api)))
}
