//! The field `monitoring` of a RabbitCluster: what is made for the Prometheus Operator, where that is installed.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A ServiceMonitor that has Prometheus scrape the nodes, and a PrometheusRule with alerts. They are made where the API server has these
/// kinds and the plugin prometheus is on; the condition Monitored tells.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Monitoring {
    /// Whether they are made.
    #[serde(default)]
    pub create: CreateMonitoring,
    /// More labels of both, by which a Prometheus selects them, such as `release: prometheus`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Seconds between two scrapes.
    #[serde(default = "interval_seconds")]
    #[x_kube(
        validation = Rule::new("self >= 5 && self <= 3600")
            .message("monitoring.intervalSeconds must be between 5 and 3600")
    )]
    pub interval_seconds: i32,
}

impl Default for Monitoring {
    fn default() -> Self {
        Self {
            create: CreateMonitoring::default(),
            labels: BTreeMap::new(),
            interval_seconds: interval_seconds(),
        }
    }
}

fn interval_seconds() -> i32 {
    15
}

/// Whether objects for the Prometheus Operator are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum CreateMonitoring {
    /// Where the API server has these kinds.
    #[default]
    Auto,
    /// Not at all; those that were made are deleted.
    Never,
}
