//! `/global-parameters`: settings of the whole cluster, kept by the catalogue as they are given.

use api::GlobalParameter;
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use catalog::Command;
use model::Value;
use serde_json::Map;
use std::sync::Arc;

use super::{
    Api,
    answer::{self, Outcome},
    body::{Body, table},
    caller::{Administrator, Policymaker},
    failure::{self, Failure},
    list::Parameters,
};
use crate::host::CLUSTER_ID;

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/global-parameters", get(list))
        .route("/global-parameters/{name}", get(one).put(put).delete(delete))
}

/// A parameter as the API shows it.
pub fn shape(name: &str, value: &Value) -> GlobalParameter {
    let mut fields: Map<_, _> = api::to_json(&[("value", value.clone())].into());
    GlobalParameter {
        name: name.to_owned(),
        value: fields.remove("value").unwrap_or_default(),
    }
}

/// The value of a body's `value`.
///
/// # Errors
/// 400 when there is none, or a number fits in no AMQP field.
pub fn value(body: &Body) -> Result<Value, Failure> {
    body.require(&["value"])?;
    Ok(table(&body.0)?.get("value").cloned().unwrap_or(Value::Void))
}

/// What tells the cluster from others is a parameter that nobody needs to set.
fn cluster_id(api: &Api) -> GlobalParameter {
    GlobalParameter {
        name: CLUSTER_ID.to_owned(),
        value: api.node.cluster_id().into(),
    }
}

async fn list(State(api): State<Arc<Api>>, _: Policymaker, query: Parameters) -> Outcome {
    let snapshot = api.node.snapshot();
    let own = (snapshot.catalog.global_parameter(CLUSTER_ID).is_none()).then(|| cluster_id(&api));
    let given = snapshot.catalog.global_parameters();
    query.all(own.into_iter().chain(given.map(|(name, value)| shape(name, value))))
}

async fn one(State(api): State<Arc<Api>>, _: Policymaker, Path(name): Path<String>, query: Parameters) -> Outcome {
    let snapshot = api.node.snapshot();
    match snapshot.catalog.global_parameter(&name) {
        Some(found) => query.one(shape(&name, found)),
        None if name == CLUSTER_ID => query.one(cluster_id(&api)),
        None => Err(Failure::not_found()),
    }
}

async fn put(State(api): State<Arc<Api>>, _: Administrator, Path(name): Path<String>, body: Body) -> Outcome {
    let command = Command::SetGlobalParameter {
        name: name.into(),
        value: value(&body)?,
    };
    answer::put(api.node.commit(command).await?)
}

async fn delete(State(api): State<Arc<Api>>, _: Administrator, Path(name): Path<String>) -> Outcome {
    let command = Command::ClearGlobalParameter(name.into());
    // The only refusal of its own is that there is none.
    answer::deleted(api.node.commit(command).await.map_err(failure::absent)?)
}
