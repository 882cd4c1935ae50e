//! `/aliveness-test`: declares a queue, publishes to it and gets the message back, as the caller.

use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use catalog::{DeclareQueue, Request};
use model::{ExchangeName, QueueName, Table};
use serde_json::json;
use std::sync::Arc;

use super::{Api, answer::Outcome, caller::Caller, failure::Failure, list::Parameters, permissions::bad_name};
use crate::host::{Afterwards, Post};

/// The queue stays, so that the next test is quick.
const QUEUE: &str = "aliveness-test";

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new().route("/aliveness-test/{vhost}", get(test))
}

async fn test(State(api): State<Arc<Api>>, caller: Caller, Path(vhost): Path<String>, query: Parameters) -> Outcome {
    let client = caller.enter(&api, &vhost)?;
    let name: QueueName = QUEUE.parse().map_err(bad_name)?;
    let declare = DeclareQueue {
        generated: name.clone(),
        name: name.clone(),
        passive: false,
        durable: false,
        exclusive: false,
        auto_delete: false,
        arguments: Table::default(),
    };
    api.node.request(&client, Request::DeclareQueue(declare)).await?;
    let post = Post {
        exchange: ExchangeName::default(),
        routing_key: QUEUE.to_owned(),
        properties: wire::Properties::default(),
        body: b"test_message".to_vec(),
    };
    let routed = api.node.post(&client, &post)?;
    let taken = api.node.take(&client, &name, 1, Afterwards::Acked).await?;
    match routed && !taken.is_empty() {
        true => query.one(json!({"status": "ok"})),
        false => Err(Failure::bad_request("the test message did not come back")),
    }
}
