//! `/operator-policies`: limits that an operator sets over users' policies. The configuration can freeze them.

use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use model::PolicyLevel;
use std::sync::Arc;

use super::{
    Api,
    answer::Outcome,
    body::Body,
    caller::{Administrator, Caller},
    failure::Failure,
    list::Parameters,
    policies,
};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/operator-policies", get(list))
        .route("/operator-policies/{vhost}", get(of_vhost))
        .route("/operator-policies/{vhost}/{name}", get(one).put(put).delete(delete))
}

async fn list(State(api): State<Arc<Api>>, caller: Caller, query: Parameters) -> Outcome {
    query.all(policies::all(&api, &caller, PolicyLevel::Operator))
}

async fn of_vhost(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(vhost): Path<String>,
    query: Parameters,
) -> Outcome {
    query.all(policies::all_of(&api, &caller, &vhost, PolicyLevel::Operator)?)
}

async fn one(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    query: Parameters,
) -> Outcome {
    query.one(policies::find(&api, &caller, &vhost, PolicyLevel::Operator, &name)?)
}

fn not_frozen(api: &Api) -> Result<(), Failure> {
    match api.node.config().management.operator_policies_frozen {
        true => Err(Failure::not_allowed()),
        false => Ok(()),
    }
}

async fn put(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path((vhost, name)): Path<(String, String)>,
    body: Body,
) -> Outcome {
    not_frozen(&api)?;
    policies::set(&api, &vhost, PolicyLevel::Operator, &name, &body).await
}

async fn delete(State(api): State<Arc<Api>>, _: Administrator, Path((vhost, name)): Path<(String, String)>) -> Outcome {
    not_frozen(&api)?;
    policies::clear(&api, &vhost, PolicyLevel::Operator, &name).await
}
