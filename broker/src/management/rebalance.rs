//! `/rebalance/queues`: leaders of mirrored queues are moved so that every node leads about as many.
//!
//! Done in the background, as in RabbitMQ: whoever asks is not kept waiting.

use axum::{Router, extract::State, routing::post};
use link::QueueKind;
use std::sync::Arc;

use super::{
    Api,
    answer::{self, Outcome},
    caller::Administrator,
};
use crate::host::Selection;

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new().route("/rebalance/queues", post(queues))
}

async fn queues(State(api): State<Arc<Api>>, _: Administrator) -> Outcome {
    let node = api.node.clone();
    tokio::spawn(async move {
        let done = match Selection::new(QueueKind::All, ".*", ".*") {
            Ok(all) => node.rebalance(&all).await.map(|_| ()).map_err(|why| format!("{why:?}")),
            Err(why) => Err(why.to_string()),
        };
        if let Err(why) = done {
            tracing::warn!("leaders of mirrored queues are not rebalanced: {why}");
        }
    });
    answer::done()
}
