//! Policies, parameters and limits: JSON texts become tables here, the catalogue judges them.
//!
//! Texts of refusals come from the catalogue and reach the user as they are.

use ::access::UserLimits;
use catalog::{Command, PolicySpec};
use link::{Failure, PolicyLevel, Request};
use model::Value;
use serde_json::Value as Json;

use super::{Outcome, commit, existing_user, existing_vhost};
use crate::host::Node;

/// Where the limits of a virtual host are kept.
const LIMITS: (&str, &str) = ("vhost-limits", "limits");

pub(super) fn execute(node: &Node, request: Request) -> Outcome {
    match request {
        Request::SetPolicy { .. } => set_policy(node, request),
        Request::ClearPolicy { vhost, level, name } => {
            let (vhost, level, name) = (existing_vhost(node, &vhost)?, model_level(level), name.into());
            commit(node, Command::ClearPolicy { vhost, level, name })
        }
        Request::SetParameter {
            vhost,
            component,
            name,
            value,
        } => set_parameter(node, &vhost, component, name, &value),
        Request::ClearParameter { vhost, component, name } => {
            let vhost = existing_vhost(node, &vhost)?;
            commit(node, Command::ClearParameter { vhost, component, name })
        }
        Request::SetGlobalParameter { name, value } => {
            let (name, value) = (name.into(), parse(&value)?);
            commit(node, Command::SetGlobalParameter { name, value })
        }
        Request::ClearGlobalParameter { name } => commit(node, Command::ClearGlobalParameter(name.into())),
        Request::SetVhostLimits { vhost, limits } => {
            set_parameter(node, &vhost, LIMITS.0.into(), LIMITS.1.into(), &limits)
        }
        Request::ClearVhostLimits { vhost } => {
            let (name, limits) = (existing_vhost(node, &vhost)?, catalog::VhostLimits::default());
            commit(node, Command::SetVhostLimits { name, limits })
        }
        Request::SetUserLimits { user, limits } => set_user_limits(node, &user, &limits),
        Request::ClearUserLimits { user, limit } => clear_user_limits(node, &user, &limit),
        _ => Err(Failure::Unknown),
    }
}

pub(super) fn model_level(level: PolicyLevel) -> model::PolicyLevel {
    match level {
        PolicyLevel::User => model::PolicyLevel::User,
        PolicyLevel::Operator => model::PolicyLevel::Operator,
    }
}

/// JSON as a table's value. The parser bounds its depth.
fn parse(text: &str) -> Result<Value, Failure> {
    let json: Json = serde_json::from_str(text).map_err(|_| Failure::BadJson)?;
    let wrapped = api::Arguments::from_iter([("value".to_owned(), json)]);
    let table = api::from_json(&wrapped).map_err(|error| Failure::Refused(error.to_string()))?;
    table.get("value").cloned().ok_or(Failure::BadJson)
}

fn set_policy(node: &Node, request: Request) -> Outcome {
    let Request::SetPolicy {
        vhost,
        level,
        name,
        pattern,
        apply_to,
        priority,
        definition,
    } = request
    else {
        return Err(Failure::Unknown);
    };
    let invalid = |problem: String| Failure::Refused(format!("Validation failed\n\n{problem}\n"));
    let definition = match parse(&definition)? {
        Value::Table(table) => table,
        other => {
            return Err(invalid(format!(
                "policy definition should be an object, not {}",
                other.term()
            )));
        }
    };
    let vhost = existing_vhost(node, &vhost)?;
    let apply_to = apply_to
        .parse()
        .map_err(|error: model::PolicyError| invalid(error.to_string()))?;
    let spec = PolicySpec {
        vhost,
        name: name.into(),
        level: model_level(level),
        pattern,
        apply_to,
        priority,
        definition,
    };
    commit(node, Command::SetPolicy(spec))
}

fn set_parameter(node: &Node, vhost: &str, component: String, name: String, value: &str) -> Outcome {
    let value = parse(value)?;
    let vhost = existing_vhost(node, vhost)?;
    let command = Command::SetParameter {
        vhost,
        component,
        name,
        value,
    };
    commit(node, command)
}

/// The definition is judged before the user is looked for, as RabbitMQ does.
fn set_user_limits(node: &Node, user: &str, definition: &str) -> Outcome {
    let Value::Table(table) = parse(definition)? else {
        return Err(Failure::BadJson);
    };
    let mut limits = existing_user(node, user).map_or_else(|_| UserLimits::default(), |user| user.limits);
    for (key, value) in &table.0 {
        let number = value.as_integer().and_then(|number| i64::try_from(number).ok());
        match key.as_str() {
            "max-connections" => limits.connections_max = number,
            "max-channels" => limits.channels_max = number,
            _ => {
                let terms = format!("[{{<<{key:?}>>,{}}}]", value.term());
                return Err(Failure::Refused(format!("Unrecognised terms {terms} in user-limits")));
            }
        }
        if number.is_none() {
            let text = format!("{key} should be a number, actually was {}", value.term());
            return Err(Failure::Refused(text));
        }
    }
    put_user_limits(node, &*existing_user(node, user)?, limits)
}

fn clear_user_limits(node: &Node, user: &str, limit: &str) -> Outcome {
    let found = existing_user(node, user)?;
    let mut limits = found.limits;
    match limit {
        "all" => limits = UserLimits::default(),
        "max-connections" => limits.connections_max = None,
        "max-channels" => limits.channels_max = None,
        // As RabbitMQ: a limit that there is none of is cleared already.
        _ => {}
    }
    put_user_limits(node, &found, limits)
}

fn put_user_limits(node: &Node, user: &::access::User, limits: UserLimits) -> Outcome {
    let name = user.name.clone();
    commit(node, Command::SetUserLimits { name, limits })
}
