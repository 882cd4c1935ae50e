//! `/policies`: rules that set the options of queues and exchanges by name. Operator policies share all but the path.

use api::{ApplyTo, Policy};
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use catalog::{Command, PolicySpec};
use model::{PolicyLevel, Refusal, ReplyCode};
use serde_json::{Map, Value};
use std::sync::Arc;

use super::{
    Api,
    answer::{self, Outcome},
    body::{Body, table},
    caller::{Caller, Policymaker},
    failure::Failure,
    list::Parameters,
};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/policies", get(list))
        .route("/policies/{vhost}", get(of_vhost))
        .route("/policies/{vhost}/{name}", get(one).put(put).delete(delete))
}

/// The API's word for what a policy applies to.
pub fn apply_to(to: model::ApplyTo) -> ApplyTo {
    match to {
        model::ApplyTo::All => ApplyTo::All,
        model::ApplyTo::Exchanges => ApplyTo::Exchanges,
        model::ApplyTo::Queues => ApplyTo::Queues,
        model::ApplyTo::ClassicQueues => ApplyTo::ClassicQueues,
        model::ApplyTo::QuorumQueues => ApplyTo::QuorumQueues,
        model::ApplyTo::Streams => ApplyTo::Streams,
    }
}

/// A policy as the API shows it.
pub fn shape(policy: &catalog::Policy) -> Policy {
    Policy {
        vhost: policy.vhost.to_string(),
        name: policy.name.to_string(),
        pattern: policy.pattern.as_str().to_owned(),
        apply_to: apply_to(policy.apply_to),
        definition: api::to_json(&policy.definition.table),
        priority: policy.priority,
    }
}

/// The policies of one level in the virtual hosts that the caller sees.
pub fn all(api: &Api, caller: &Caller, level: PolicyLevel) -> Vec<Policy> {
    let snapshot = api.node.snapshot();
    let seen = snapshot.catalog.vhosts().filter(|vhost| caller.sees(api, vhost.name()));
    seen.flat_map(|vhost| vhost.policies(level).map(|policy| shape(policy)))
        .collect()
}

/// The policies of one level in a virtual host.
pub fn all_of(api: &Api, caller: &Caller, vhost: &str, level: PolicyLevel) -> Result<Vec<Policy>, Failure> {
    let name = caller.look_into(api, vhost)?;
    let snapshot = api.node.snapshot();
    let found = snapshot.catalog.vhost(name.as_str()).ok_or_else(Failure::not_found)?;
    Ok(found.policies(level).map(|policy| shape(policy)).collect())
}

/// One policy.
pub fn find(api: &Api, caller: &Caller, vhost: &str, level: PolicyLevel, name: &str) -> Result<Policy, Failure> {
    let vhost = caller.look_into(api, vhost)?;
    let snapshot = api.node.snapshot();
    let found = snapshot.catalog.vhost(vhost.as_str());
    let policy = found.and_then(|vhost| vhost.policy(level, name).map(|policy| shape(policy)));
    policy.ok_or_else(Failure::not_found)
}

fn failed(problem: impl std::fmt::Display) -> Failure {
    Failure::bad_request(format!("Validation failed\n\n{problem}\n"))
}

/// Sets a policy of one level from the body of its `PUT`.
pub async fn set(api: &Api, vhost: &str, level: PolicyLevel, name: &str, body: &Body) -> Outcome {
    let found = api
        .node
        .snapshot()
        .catalog
        .vhost(vhost)
        .map(|vhost| vhost.name().clone());
    let vhost = found.ok_or_else(|| Failure::missing("vhost_not_found"))?;
    body.require(&["pattern", "definition"])?;
    let empty = Map::new();
    let definition = body.0.get("definition").and_then(Value::as_object).unwrap_or(&empty);
    if definition.is_empty() {
        return Err(failed("no policy provided"));
    }
    let priority = body.get("priority").map_or(Some(0), Value::as_i64);
    let spec = PolicySpec {
        vhost,
        name: name.into(),
        level,
        pattern: body.required_text("pattern")?.to_owned(),
        apply_to: body.text("apply-to")?.unwrap_or("all").parse().map_err(failed)?,
        priority: priority.ok_or_else(|| {
            failed(format!(
                "priority should be a number, actually was {}",
                body.0["priority"]
            ))
        })?,
        definition: table(definition)?,
    };
    answer::put(api.node.commit(Command::SetPolicy(spec)).await?)
}

/// Clears a policy of one level.
pub async fn clear(api: &Api, vhost: &str, level: PolicyLevel, name: &str) -> Outcome {
    let found = api
        .node
        .snapshot()
        .catalog
        .vhost(vhost)
        .map(|vhost| vhost.name().clone());
    let command = Command::ClearPolicy {
        vhost: found.ok_or_else(Failure::not_found)?,
        level,
        name: name.into(),
    };
    let absent = |refusal: Refusal| match refusal.code {
        ReplyCode::NotFound => Failure::not_found(),
        _ => Failure::from(refusal),
    };
    answer::deleted(api.node.commit(command).await.map_err(absent)?)
}

async fn list(State(api): State<Arc<Api>>, caller: Caller, query: Parameters) -> Outcome {
    query.all(all(&api, &caller, PolicyLevel::User))
}

async fn of_vhost(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(vhost): Path<String>,
    query: Parameters,
) -> Outcome {
    query.all(all_of(&api, &caller, &vhost, PolicyLevel::User)?)
}

async fn one(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    query: Parameters,
) -> Outcome {
    query.one(find(&api, &caller, &vhost, PolicyLevel::User, &name)?)
}

async fn put(
    State(api): State<Arc<Api>>,
    Policymaker(caller): Policymaker,
    Path((vhost, name)): Path<(String, String)>,
    body: Body,
) -> Outcome {
    caller
        .govern(&api, &vhost)
        .map_err(|failure| match failure == Failure::not_found() {
            true => Failure::missing("vhost_not_found"),
            false => failure,
        })?;
    set(&api, &vhost, PolicyLevel::User, &name, &body).await
}

async fn delete(
    State(api): State<Arc<Api>>,
    Policymaker(caller): Policymaker,
    Path((vhost, name)): Path<(String, String)>,
) -> Outcome {
    caller.govern(&api, &vhost)?;
    clear(&api, &vhost, PolicyLevel::User, &name).await
}
