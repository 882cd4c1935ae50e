//! `/parameters`: settings of components in a virtual host. Limits of virtual hosts and operator policies appear here
//! as well, as parameters of theirs.

use api::Parameter;
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use catalog::{Answer, Command, VhostLimits};
use model::PolicyLevel;
use serde_json::{Value, json};
use std::sync::Arc;

use super::{
    Api,
    answer::{self, Outcome},
    body::Body,
    caller::Policymaker,
    failure::{self, Failure},
    list::Parameters,
    policies, vhost_limits,
};

/// The component whose one parameter, `limits`, holds a virtual host's limits.
pub const LIMITS: &str = "vhost-limits";
/// The component whose parameters are the operator's policies.
pub const OPERATOR_POLICY: &str = "operator_policy";

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/parameters", get(list))
        .route("/parameters/{component}", get(of_component))
        .route("/parameters/{component}/{vhost}", get(of_vhost))
        .route(
            "/parameters/{component}/{vhost}/{name}",
            get(one).put(put).delete(delete),
        )
}

/// The parameters of a virtual host, by component.
pub fn of(vhost: &catalog::Vhost) -> Vec<Parameter> {
    let parameter = |component: &str, name: &str, value: Value| Parameter {
        component: component.to_owned(),
        vhost: vhost.name().to_string(),
        name: name.to_owned(),
        value,
    };
    let operators = vhost.policies(PolicyLevel::Operator).map(|policy| {
        let shown = policies::shape(policy);
        let value = json!({"apply-to": shown.apply_to, "definition": shown.definition, "pattern": shown.pattern,
            "priority": shown.priority});
        parameter(OPERATOR_POLICY, &shown.name, value)
    });
    let mut all: Vec<Parameter> = operators.collect();
    let limits = vhost_limits::limits(vhost.limits());
    if !limits.is_empty() {
        all.push(parameter(LIMITS, "limits", json!(limits)));
    }
    all
}

fn rows(api: &Api, caller: &super::caller::Caller, wanted: impl Fn(&Parameter) -> bool) -> Vec<Parameter> {
    let snapshot = api.node.snapshot();
    let seen = snapshot.catalog.vhosts().filter(|vhost| caller.sees(api, vhost.name()));
    seen.flat_map(|vhost| of(vhost)).filter(wanted).collect()
}

async fn list(State(api): State<Arc<Api>>, Policymaker(caller): Policymaker, query: Parameters) -> Outcome {
    query.all(rows(&api, &caller, |_| true))
}

async fn of_component(
    State(api): State<Arc<Api>>,
    Policymaker(caller): Policymaker,
    Path(component): Path<String>,
    query: Parameters,
) -> Outcome {
    query.all(rows(&api, &caller, |own| own.component == component))
}

async fn of_vhost(
    State(api): State<Arc<Api>>,
    Policymaker(caller): Policymaker,
    Path((component, vhost)): Path<(String, String)>,
    query: Parameters,
) -> Outcome {
    caller.look_into(&api, &vhost)?;
    query.all(rows(&api, &caller, |own| {
        own.component == component && own.vhost == vhost
    }))
}

async fn one(
    State(api): State<Arc<Api>>,
    Policymaker(caller): Policymaker,
    Path((component, vhost, name)): Path<(String, String, String)>,
    query: Parameters,
) -> Outcome {
    caller.look_into(&api, &vhost)?;
    let wanted = |own: &Parameter| (&own.component, &own.vhost, &own.name) == (&component, &vhost, &name);
    let found = rows(&api, &caller, wanted).into_iter().next();
    query.one(found.ok_or_else(Failure::not_found)?)
}

async fn put(
    State(api): State<Arc<Api>>,
    Policymaker(caller): Policymaker,
    Path((component, vhost, name)): Path<(String, String, String)>,
    body: Body,
) -> Outcome {
    let vhost = caller.govern(&api, &vhost)?;
    body.require(&["value"])?;
    let was_set = has_limits(&api, vhost.as_str());
    let table = super::body::table(&body.0)?;
    let command = Command::SetParameter {
        vhost,
        component,
        name,
        value: table.get("value").cloned().unwrap_or(model::Value::Void),
    };
    api.node.commit(command).await?;
    answer::put(if was_set { Answer::Done } else { Answer::Created })
}

fn has_limits(api: &Api, vhost: &str) -> bool {
    let snapshot = api.node.snapshot();
    snapshot
        .catalog
        .vhost(vhost)
        .is_some_and(|found| found.limits() != VhostLimits::default())
}

async fn delete(
    State(api): State<Arc<Api>>,
    Policymaker(caller): Policymaker,
    Path((component, vhost, name)): Path<(String, String, String)>,
) -> Outcome {
    let vhost = caller.govern(&api, &vhost)?;
    let command = Command::ClearParameter { vhost, component, name };
    // The only refusal of its own is that there is none.
    answer::deleted(api.node.commit(command).await.map_err(failure::absent)?)
}
