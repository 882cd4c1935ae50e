//! `/health/checks`: questions that monitoring asks, answered with 200 or 503.

use api::{Alarm, Health, HealthStatus};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::Value;
use std::sync::Arc;

use super::{Api, answer::Outcome, caller::Caller, failure::Failure, readiness::target_size};
use crate::host::{AlarmsOn, Node, certificates};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/health/checks/alarms", get(alarms))
        .route("/health/checks/local-alarms", get(local_alarms))
        .route(
            "/health/checks/certificate-expiration/{within}/{unit}",
            get(check_certificates),
        )
        .route("/health/checks/port-listener/{port}", get(port))
        .route("/health/checks/protocol-listener/{protocol}", get(protocol))
        .route("/health/checks/virtual-hosts", get(virtual_hosts))
        .route("/health/checks/node-is-mirror-sync-critical", get(mirror_sync_critical))
        .route("/health/checks/node-is-quorum-critical", get(quorum_critical))
        .route("/healthchecks/node", get(node))
        .route("/healthchecks/node/{node}", get(named_node))
}

pub(super) fn verdict(health: Health) -> Outcome {
    Ok(answered(health))
}

fn answered(health: Health) -> Response {
    let status = match health.status {
        HealthStatus::Ok => StatusCode::OK,
        HealthStatus::Failed => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(health)).into_response()
}

/// The checks that need no more than a name, such as `node-is-quorum-critical`; `None` if there is no such.
pub fn check(node: &Node, name: &str) -> Option<Response> {
    Some(answered(match name {
        "alarms" => alarms_of_all(node),
        "local-alarms" => own_alarms(node),
        "node-is-mirror-sync-critical" => mirrors_depend_on(node),
        "node-is-quorum-critical" => majorities_depend_on(node),
        "reached-target-cluster-size" => target_size(node),
        _ => return None,
    }))
}

/// The checks that ask about one port or protocol; `None` if there is no such.
pub fn check_of(node: &Node, name: &str, of: &str) -> Option<Response> {
    let outcome = match name {
        "port-listener" => listens_on(node, of),
        "protocol-listener" => speaks(node, of),
        _ => return None,
    };
    Some(outcome.unwrap_or_else(Failure::into_response))
}

async fn alarms(State(api): State<Arc<Api>>, _: Caller) -> Outcome {
    verdict(alarms_of_all(&api.node))
}

async fn local_alarms(State(api): State<Arc<Api>>, _: Caller) -> Outcome {
    verdict(own_alarms(&api.node))
}

fn alarms_of_all(node: &Node) -> Health {
    judge_alarms(node.alarms_of_all(), "There are alarms in effect in the cluster")
}

fn own_alarms(node: &Node) -> Health {
    let own = (node.name().clone(), node.alarms().own());
    judge_alarms(vec![own], "There are alarms in effect on the node")
}

fn judge_alarms(on: Vec<(catalog::NodeName, AlarmsOn)>, reason: &str) -> Health {
    let raised = on.iter().flat_map(|(node, on)| {
        let alarm = |resource: &str| Alarm {
            node: node.to_string(),
            resource: resource.to_owned(),
        };
        let memory = on.memory.then(|| alarm("memory"));
        memory.into_iter().chain(on.disk.then(|| alarm("disk")))
    });
    let raised: Vec<Alarm> = raised.collect();
    match raised.is_empty() {
        true => Health::ok(),
        false => Health {
            alarms: Some(raised),
            ..Health::failed(reason)
        },
    }
}

/// Every virtual host of the catalogue is served; there is no state between.
async fn virtual_hosts(_: Caller) -> Outcome {
    verdict(Health::ok())
}

/// Nothing depends on a node that is alone.
fn single_node() -> Health {
    Health {
        reason: Some("single node cluster".to_owned()),
        ..Health::ok()
    }
}

async fn mirror_sync_critical(State(api): State<Arc<Api>>, _: Caller) -> Outcome {
    verdict(mirrors_depend_on(&api.node))
}

async fn quorum_critical(State(api): State<Arc<Api>>, _: Caller) -> Outcome {
    verdict(majorities_depend_on(&api.node))
}

fn mirrors_depend_on(node: &Node) -> Health {
    let reason = "There are classic mirrored queues without online synchronised mirrors";
    critical(node, Node::mirror_sync_critical, reason)
}

fn majorities_depend_on(node: &Node) -> Health {
    let reason = "There are quorum queues that would lose their quorum if the target node is shut down";
    critical(node, Node::quorum_critical, reason)
}

/// Fails if queues depend on the node.
fn critical(node: &Node, which: fn(&Node) -> Vec<Arc<catalog::QueueRecord>>, reason: &str) -> Health {
    if node.is_alone() {
        return single_node();
    }
    let queues: Vec<Value> = which(node).iter().map(|queue| named(queue)).collect();
    match queues.is_empty() {
        true => Health::ok(),
        false => Health {
            queues: Some(queues),
            ..Health::failed(reason)
        },
    }
}

pub(super) fn named(queue: &catalog::QueueRecord) -> Value {
    let (name, vhost) = (queue.name.as_str(), queue.vhost.as_str());
    serde_json::json!({"name": name, "readable_name": format!("queue '{name}' in vhost '{vhost}'"),
        "type": queue.args.kind.as_str(), "virtual_host": vhost})
}

async fn check_certificates(
    State(api): State<Arc<Api>>,
    _: Caller,
    Path((within, unit)): Path<(String, String)>,
) -> Outcome {
    let days_in = match unit.as_str() {
        "days" => 1,
        "weeks" => 7,
        "months" => 30,
        "years" => 365,
        _ => {
            let text = "Time unit not recognised. Supported units: days, weeks, months, years.";
            return Err(Failure::bad_request(text));
        }
    };
    let bad = || Failure::bad_request(format!("{within} is not a number of {unit}"));
    let within_days = within
        .parse::<u32>()
        .ok()
        .and_then(|n| n.checked_mul(days_in))
        .ok_or_else(bad)?;
    let found = certificates::of_listeners(&api.node.config(), &api.node.plugins());
    let found = found.map_err(|why| Failure::bad_request(format!("{why:#}")))?;
    let until = (api.node.now().0 / 1000).saturating_add(u64::from(within_days) * 86_400);
    let expiring = found
        .into_iter()
        .filter(|one| u64::try_from(one.not_after).is_ok_and(|at| at <= until));
    let expiring: Vec<Value> = expiring.map(expired).collect();
    verdict(match expiring.is_empty() {
        true => Health::ok(),
        false => Health {
            expired: Some(expiring),
            ..Health::failed("Certificates expiring")
        },
    })
}

/// A certificate that is or will be out of date.
fn expired(one: certificates::Found) -> Value {
    serde_json::json!({"name": one.key, "certfile": one.file.display().to_string(), "subject": one.subject,
        "issuer": one.issuer, "certfile_expires_on": one.not_after})
}

async fn port(State(api): State<Arc<Api>>, _: Caller, Path(port): Path<String>) -> Outcome {
    listens_on(&api.node, &port)
}

fn listens_on(node: &Node, port: &str) -> Outcome {
    let wanted: u16 = port.parse().map_err(|_| Failure::bad_request("Invalid port"))?;
    let ports: Vec<u16> = node.ports().iter().map(|port| port.address.port()).collect();
    verdict(match ports.contains(&wanted) {
        true => Health {
            port: Some(wanted),
            ..Health::ok()
        },
        false => Health {
            missing: Some(Value::from(wanted)),
            ports: Some(ports),
            ..Health::failed("No active listener")
        },
    })
}

/// RabbitMQ's name of a protocol that people spell in many ways.
fn normalised(protocol: &str) -> &str {
    match protocol {
        "amqp091" | "amqp0.9.1" | "amqp0-9-1" | "amqp09" | "amqp0.9" | "amqp1.0" | "amqp10" | "amqp" => "amqp",
        "amqps" | "amqp/ssl" | "amqp/tls" => "amqp/ssl",
        "management" | "http" => "http",
        "prometheus" | "http/prometheus" => "http/prometheus",
        other => other,
    }
}

async fn protocol(State(api): State<Arc<Api>>, _: Caller, Path(protocol): Path<String>) -> Outcome {
    speaks(&api.node, &protocol)
}

fn speaks(node: &Node, protocol: &str) -> Outcome {
    let wanted = normalised(&protocol.to_ascii_lowercase()).to_owned();
    let mut protocols: Vec<String> = node.ports().iter().map(|port| port.protocol.to_owned()).collect();
    protocols.dedup();
    verdict(match protocols.contains(&wanted) {
        true => Health {
            protocol: Some(wanted),
            ..Health::ok()
        },
        false => Health {
            missing: Some(Value::from(wanted)),
            protocols: Some(protocols),
            ..Health::failed("No active listener")
        },
    })
}

async fn node(_: Caller) -> Outcome {
    verdict(Health::ok())
}

async fn named_node(State(api): State<Arc<Api>>, _: Caller, Path(node): Path<String>) -> Outcome {
    match node == api.node.name().as_ref() {
        true => verdict(Health::ok()),
        false => Err(Failure::not_found()),
    }
}
