//! Health checks. A failed one is answered with status 503 and says what is missing.
//! What is healthy is decided by the node, never here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Healthy.
    Ok,
    /// Not.
    Failed,
}

/// An alarm that is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alarm {
    /// On which node.
    pub node: String,
    /// `memory` or `disk`.
    pub resource: String,
}

/// `GET /health/checks/...`; each check fills what it knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// The verdict.
    pub status: HealthStatus,
    /// Why it failed, or why it does not apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Alarms that are on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarms: Option<Vec<Alarm>>,
    /// The port that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The protocol that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The port or protocol that was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Value>,
    /// Ports that are there instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<u16>>,
    /// Protocols that are there instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocols: Option<Vec<String>>,
    /// Certificates that are or will be out of date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<Vec<Value>>,
    /// Queues that depend on the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queues: Option<Vec<Value>>,
    /// Nodes of the cluster that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<u32>,
    /// Nodes that it shall have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<u32>,
}

impl Health {
    /// Healthy.
    pub fn ok() -> Self {
        let status = HealthStatus::Ok;
        Health {
            status,
            reason: None,
            alarms: None,
            port: None,
            protocol: None,
            missing: None,
            ports: None,
            protocols: None,
            expired: None,
            queues: None,
            online: None,
            target: None,
        }
    }

    /// Not healthy, and why.
    pub fn failed(reason: &str) -> Self {
        Health {
            status: HealthStatus::Failed,
            reason: Some(reason.to_owned()),
            ..Health::ok()
        }
    }
}
