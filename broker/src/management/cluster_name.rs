//! `/cluster-name`: what people call the cluster. It is the global parameter `cluster_name`.

use axum::{Router, extract::State, routing::get};
use catalog::Command;
use serde_json::json;
use std::sync::Arc;

use super::{
    Api,
    answer::{self, Outcome},
    body::Body,
    caller::{Administrator, Caller},
    list::Parameters,
};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new().route("/cluster-name", get(read).put(write))
}

/// The name that was given, else the configured one, else that of the node.
pub fn of(api: &Api) -> String {
    api.node.cluster_name()
}

async fn read(State(api): State<Arc<Api>>, _: Caller, query: Parameters) -> Outcome {
    query.one(json!({"name": of(&api)}))
}

async fn write(State(api): State<Arc<Api>>, _: Administrator, body: Body) -> Outcome {
    let name = body.required_text("name")?;
    api.node
        .commit(Command::SetGlobalParameter {
            name: "cluster_name".into(),
            value: name.into(),
        })
        .await?;
    answer::done()
}
