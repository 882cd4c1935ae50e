//! `/vhost-limits`: how many connections and queues a virtual host may have.

use api::{Limits, VhostLimits};
use axum::{
    Router,
    extract::{Path, State},
    routing::{get, put},
};
use catalog::Command;
use model::VhostName;
use serde_json::Value;
use std::sync::Arc;

use super::{
    Api,
    answer::{self, Outcome},
    body::Body,
    caller::{Administrator, Caller},
    failure::Failure,
    list::Parameters,
};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/vhost-limits", get(list))
        .route("/vhost-limits/{vhost}", get(of_vhost))
        .route("/vhost-limits/{vhost}/{name}", put(set).delete(clear))
}

/// Limits as the API names them.
pub fn limits(limits: catalog::VhostLimits) -> Limits {
    let named = [
        ("max-connections", limits.connections_max),
        ("max-queues", limits.queues_max),
    ];
    let set = named
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    set.collect()
}

fn rows(api: &Api, caller: &Caller, wanted: impl Fn(&VhostName) -> bool) -> Vec<VhostLimits> {
    let snapshot = api.node.snapshot();
    let own = |vhost: &Arc<catalog::Vhost>| {
        let value = limits(vhost.limits());
        let shown = wanted(vhost.name()) && caller.sees(api, vhost.name()) && !value.is_empty();
        shown.then(|| VhostLimits {
            vhost: vhost.name().to_string(),
            value,
        })
    };
    snapshot.catalog.vhosts().filter_map(own).collect()
}

async fn list(State(api): State<Arc<Api>>, caller: Caller, query: Parameters) -> Outcome {
    query.all(rows(&api, &caller, |_| true))
}

async fn of_vhost(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(vhost): Path<String>,
    query: Parameters,
) -> Outcome {
    let name = caller.look_into(&api, &vhost)?;
    query.all(rows(&api, &caller, |own| *own == name))
}

/// The limits with one changed, in the words of RabbitMQ's validation where that cannot be.
fn changed(before: catalog::VhostLimits, name: &str, value: &Value) -> Result<catalog::VhostLimits, Failure> {
    let shown = model::Value::term(&term(value));
    let failed = |problem: String| Failure::bad_request(format!("Validation failed\n\n{problem}\n"));
    let number = || {
        let wrong = || failed(format!("{name} should be a number, actually was {shown}"));
        value.as_i64().map(Some).ok_or_else(wrong)
    };
    let mut after = before;
    match name {
        "max-connections" => after.connections_max = number()?,
        "max-queues" => after.queues_max = number()?,
        _ => {
            return Err(failed(format!(
                "Unrecognised terms [{{<<{name:?}>>,{shown}}}] in limits"
            )));
        }
    }
    Ok(after)
}

/// A JSON value as Erlang would print it.
fn term(value: &Value) -> model::Value {
    let fields = serde_json::Map::from_iter([("value".to_owned(), value.clone())]);
    // A number too large for AMQP is shown as nothing; the refusal stays the same.
    let table = api::from_json(&fields).unwrap_or_default();
    table.get("value").cloned().unwrap_or(model::Value::Void)
}

async fn set(
    State(api): State<Arc<Api>>,
    _: Administrator,
    Path((vhost, limit)): Path<(String, String)>,
    body: Body,
) -> Outcome {
    let (name, before) = found(&api, &vhost)?;
    body.require(&["value"])?;
    let value = body.0.get("value").unwrap_or(&Value::Null);
    let limits = changed(before, &limit, value)?;
    api.node.commit(Command::SetVhostLimits { name, limits }).await?;
    answer::done()
}

/// Clearing what is not set is no error.
async fn clear(State(api): State<Arc<Api>>, _: Administrator, Path((vhost, limit)): Path<(String, String)>) -> Outcome {
    let (name, mut limits) = found(&api, &vhost)?;
    match limit.as_str() {
        "max-connections" => limits.connections_max = None,
        "max-queues" => limits.queues_max = None,
        _ => return answer::done(),
    }
    api.node.commit(Command::SetVhostLimits { name, limits }).await?;
    answer::done()
}

fn found(api: &Api, vhost: &str) -> Result<(VhostName, catalog::VhostLimits), Failure> {
    let snapshot = api.node.snapshot();
    let found = snapshot
        .catalog
        .vhost(vhost)
        .ok_or_else(|| Failure::missing("vhost_not_found"))?;
    Ok((found.name().clone(), found.limits()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_limit_is_a_number_with_a_known_name() {
        let none = catalog::VhostLimits::default();
        assert_eq!(changed(none, "max-queues", &json!(3)).unwrap().queues_max, Some(3));
        let text = "Validation failed\n\nmax-queues should be a number, actually was <<\"3\">>\n";
        assert_eq!(
            changed(none, "max-queues", &json!("3")),
            Err(Failure::bad_request(text))
        );
        let text = "Validation failed\n\nUnrecognised terms [{<<\"zz\">>,3}] in limits\n";
        assert_eq!(changed(none, "zz", &json!(3)), Err(Failure::bad_request(text)));
    }
}
