//! `/health/checks`: questions that monitoring asks, answered with 200 or 503.

use api::{Alarm, Health, HealthStatus};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::IntoResponse,
    routing::get,
};
use serde_json::Value;
use std::sync::Arc;

use super::{Api, answer::Outcome, caller::Caller, failure::Failure};
use crate::host::AlarmsOn;

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/health/checks/alarms", get(alarms))
        .route("/health/checks/local-alarms", get(local_alarms))
        .route(
            "/health/checks/certificate-expiration/{within}/{unit}",
            get(certificates),
        )
        .route("/health/checks/port-listener/{port}", get(port))
        .route("/health/checks/protocol-listener/{protocol}", get(protocol))
        .route("/health/checks/virtual-hosts", get(virtual_hosts))
        .route("/health/checks/node-is-mirror-sync-critical", get(single_node))
        .route("/health/checks/node-is-quorum-critical", get(single_node))
        .route("/healthchecks/node", get(node))
        .route("/healthchecks/node/{node}", get(named_node))
}

fn verdict(health: Health) -> Outcome {
    let status = match health.status {
        HealthStatus::Ok => StatusCode::OK,
        HealthStatus::Failed => StatusCode::SERVICE_UNAVAILABLE,
    };
    Ok((status, Json(health)).into_response())
}

async fn alarms(State(api): State<Arc<Api>>, _: Caller) -> Outcome {
    judge_alarms(api.node.alarms_of_all(), "There are alarms in effect in the cluster")
}

async fn local_alarms(State(api): State<Arc<Api>>, _: Caller) -> Outcome {
    let own = (api.node.name().clone(), api.node.alarms().own());
    judge_alarms(vec![own], "There are alarms in effect on the node")
}

fn judge_alarms(on: Vec<(catalog::NodeName, AlarmsOn)>, reason: &str) -> Outcome {
    let raised = on.iter().flat_map(|(node, on)| {
        let alarm = |resource: &str| Alarm {
            node: node.to_string(),
            resource: resource.to_owned(),
        };
        let memory = on.memory.then(|| alarm("memory"));
        memory.into_iter().chain(on.disk.then(|| alarm("disk")))
    });
    let raised: Vec<Alarm> = raised.collect();
    verdict(match raised.is_empty() {
        true => Health::ok(),
        false => Health {
            alarms: Some(raised),
            ..Health::failed(reason)
        },
    })
}

/// Every virtual host of the catalogue is served; there is no state between.
async fn virtual_hosts(_: Caller) -> Outcome {
    verdict(Health::ok())
}

/// Nothing depends on a node that is alone.
async fn single_node(_: Caller) -> Outcome {
    verdict(Health {
        reason: Some("single node cluster".to_owned()),
        ..Health::ok()
    })
}

async fn certificates(State(api): State<Arc<Api>>, _: Caller, Path((within, unit)): Path<(String, String)>) -> Outcome {
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
    match api.node.config().listeners.tls.is_empty() {
        true => verdict(Health::ok()),
        false => Err(Failure::bad_request(format!(
            "certificates of TLS listeners are not looked into yet, not even for {within_days} days"
        ))),
    }
}

async fn port(State(api): State<Arc<Api>>, _: Caller, Path(port): Path<String>) -> Outcome {
    let wanted: u16 = port.parse().map_err(|_| Failure::bad_request("Invalid port"))?;
    let ports: Vec<u16> = api.node.ports().iter().map(|port| port.address.port()).collect();
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
    let wanted = normalised(&protocol.to_ascii_lowercase()).to_owned();
    let mut protocols: Vec<String> = api.node.ports().iter().map(|port| port.protocol.to_owned()).collect();
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
