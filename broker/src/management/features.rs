//! `/extensions` and `/feature-flags`: this broker has neither additions to its page nor features that wait to be
//! switched on; tools that ask are told so.

use axum::{Router, routing::get};
use serde_json::{Value, json};
use std::sync::Arc;

use super::{Api, answer::Outcome, caller::Caller, list::Parameters};

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
