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
    let snapshot = api.node.snapshot();
    let given = snapshot.catalog.global_parameter("cluster_name");
    let given = given.and_then(|name| name.as_text().map(str::to_owned));
    let configured = || api.node.config().node.cluster_name.clone();
    given.or_else(configured).unwrap_or_else(|| api.node.name().to_string())
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
