//! What the Prometheus Operator reads: a ServiceMonitor, by which the nodes are scraped, and a PrometheusRule with the alerts. Both are kinds
//! that an API server may lack; whether it has them comes in as data.

use kube::api::{ApiResource, DynamicObject};
use serde_json::{Value, json};

use super::{alerts, ports};
use crate::cluster::names::Map;
use crate::cluster::validate::ValidCluster;
use crate::crd::CreateMonitoring;

/// Group and version of both kinds.
pub const API: &str = "monitoring.coreos.com/v1";

/// Which of the kinds the API server has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Apis {
    /// ServiceMonitor.
    pub service_monitors: bool,
    /// PrometheusRule.
    pub prometheus_rules: bool,
}

/// The kind ServiceMonitor.
pub fn service_monitors() -> ApiResource {
    resource("ServiceMonitor", "servicemonitors")
}

/// The kind PrometheusRule.
pub fn prometheus_rules() -> ApiResource {
    resource("PrometheusRule", "prometheusrules")
}

fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: "monitoring.coreos.com".into(),
        version: "v1".into(),
        api_version: API.into(),
        kind: kind.into(),
        plural: plural.into(),
    }
}

/// Whether the user wants to be monitored and the nodes tell anything.
pub fn is_wanted(cluster: &ValidCluster) -> bool {
    cluster.spec.monitoring.create == CreateMonitoring::Auto && ports::is_on(cluster, ports::PROMETHEUS)
}

pub(super) fn service_monitor(cluster: &ValidCluster, apis: Apis) -> Option<DynamicObject> {
    let spec = json!({
        "namespaceSelector": {"matchNames": [cluster.namespace]},
        "selector": {"matchLabels": cluster.names.selector(&cluster.uid)},
        "endpoints": [endpoint(cluster)],
    });
    let wanted = apis.service_monitors && is_wanted(cluster);
    wanted.then(|| object(cluster, &service_monitors(), spec))
}

pub(super) fn prometheus_rule(cluster: &ValidCluster, apis: Apis) -> Option<DynamicObject> {
    let spec = json!({"groups": alerts::groups(cluster)});
    let wanted = apis.prometheus_rules && is_wanted(cluster);
    wanted.then(|| object(cluster, &prometheus_rules(), spec))
}

/// The port without TLS where there is one: what is scraped is open to whoever reaches it. Else the certificate must name the Service.
fn endpoint(cluster: &ValidCluster) -> Value {
    let interval = format!("{}s", cluster.spec.monitoring.interval_seconds);
    match cluster.spec.tls.as_ref().filter(|tls| tls.disable_plain) {
        None => json!({"port": "prometheus", "interval": interval}),
        Some(tls) => json!({
            "port": "prometheus-tls",
            "scheme": "https",
            "interval": interval,
            "tlsConfig": {
                "ca": {"secret": {"name": tls.secret_name, "key": "ca.crt"}},
                "serverName": format!("{}.{}.svc", cluster.names.cluster, cluster.namespace),
            },
        }),
    }
}

fn object(cluster: &ValidCluster, kind: &ApiResource, spec: Value) -> DynamicObject {
    let mut object = DynamicObject::new("", kind).data(json!({"spec": spec}));
    object.metadata = super::meta(cluster, cluster.names.server());
    let mut labels: Map = cluster.spec.monitoring.labels.clone();
    labels.extend(object.metadata.labels.take().unwrap_or_default()); // ours win: we select by them
    object.metadata.labels = Some(labels);
    object
}
