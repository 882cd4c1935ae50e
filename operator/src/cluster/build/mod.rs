//! Every object of a cluster, whole, from a valid cluster and the plan's number of nodes. Pure and total: no client, no clock, no
//! randomness, no failure. What is not named here is left to others, which is what lets `kubectl rollout restart` work: it
//! annotates the pod template, and server-side apply leaves annotations alone that are not ours.
//!
//! The pod template must hold nothing that changes without need for a restart: no replica count, no operator version, no date.

mod alerts;
mod config_map;
mod definitions;
mod disruption_budget;
pub mod monitoring;
mod network_policy;
mod ports;
mod service_account;
mod services;
mod stateful_set;
mod tls;

pub use config_map::text as config_text;
pub use stateful_set::config as template_config;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::api::DynamicObject;

use super::between::Between;
use super::validate::ValidCluster;
use crate::crd::RetentionPolicy;

/// The children in the order in which they are applied: what pods read before the pods.
#[derive(Clone, Debug, PartialEq)]
pub struct Children {
    /// Identity of the pods, without a token.
    pub service_account: ServiceAccount,
    /// rabbitmq.conf and enabled_plugins.
    pub config: ConfigMap,
    /// Host names of the pods.
    pub nodes: Service,
    /// What clients connect to.
    pub clients: Service,
    /// What clients connect to if they mean one node.
    pub pods: Vec<Service>,
    /// How many nodes may be evicted.
    pub disruption_budget: Option<PodDisruptionBudget>,
    /// Who may reach the pods.
    pub network_policy: Option<NetworkPolicy>,
    /// The pods.
    pub server: StatefulSet,
    /// Has the nodes scraped.
    pub service_monitor: Option<DynamicObject>,
    /// The alerts.
    pub prometheus_rule: Option<DynamicObject>,
}

/// What is known besides the spec.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// Pods that the StatefulSet is asked for.
    pub replicas: u32,
    /// How many nodes have data: a node that is stopped keeps its Service.
    pub held: u32,
    /// The cluster could not do without one of its nodes now.
    pub at_risk: bool,
    /// The nodes have formed a cluster of several, so none of them may begin another.
    pub formed: bool,
    /// Whether new pods speak TLS to each other.
    pub between: Between,
    /// Fingerprint of the definitions that nodes import, if any.
    pub definitions: Option<String>,
    /// Kinds of the Prometheus Operator that the API server has.
    pub monitoring: monitoring::Apis,
    /// Claim templates of the StatefulSet that exists. The API server refuses every change of them.
    pub claims: Option<Vec<PersistentVolumeClaim>>,
}

/// Builds every child.
pub fn build(cluster: &ValidCluster, shape: &Shape) -> Children {
    Children {
        service_account: service_account::build(cluster),
        nodes: services::nodes(cluster),
        clients: services::clients(cluster),
        pods: services::of_pods(cluster, shape.replicas.max(shape.held)),
        disruption_budget: disruption_budget::build(cluster, shape),
        network_policy: network_policy::build(cluster),
        server: stateful_set::build(cluster, shape),
        service_monitor: monitoring::service_monitor(cluster, shape.monitoring),
        prometheus_rule: monitoring::prometheus_rule(cluster, shape.monitoring),
        config: config_map::build(cluster, shape),
    }
}

/// Metadata of a child that is no part of the pass.
pub(super) fn child_meta(cluster: &ValidCluster, name: String) -> ObjectMeta {
    meta(cluster, name)
}

/// Metadata of a child of that name.
fn meta(cluster: &ValidCluster, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(cluster.namespace.clone()),
        labels: Some(cluster.names.labels(&cluster.uid)),
        owner_references: Some(vec![cluster.owner.clone()]),
        ..ObjectMeta::default()
    }
}

/// Metadata that both Secrets carry beside their drawn content. Where volumes outlive the cluster so do the Secrets that open
/// them: they then have no owner to be collected with.
pub fn secret_meta(cluster: &ValidCluster, name: String) -> ObjectMeta {
    let kept = cluster.spec.persistence.retention.when_deleted == RetentionPolicy::Retain;
    let mut meta = meta(cluster, name);
    if kept {
        meta.owner_references = None;
    }
    meta
}

/// Selects the pods.
fn pods(cluster: &ValidCluster) -> LabelSelector {
    LabelSelector {
        match_labels: Some(cluster.names.selector(&cluster.uid)),
        ..LabelSelector::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::validate::validate;

    #[test]
    fn a_node_has_a_service_of_its_own_where_that_is_asked_for_without_the_port_that_is_scraped() {
        let of = |per_pod: bool, replicas, held| {
            let cluster = format!(
                "{{metadata: {{name: orders, namespace: shop, uid: u}}, spec: {{service: {{perPod: {per_pod}}}}}}}"
            );
            let valid = validate(
                &serde_yaml::from_str(&cluster).unwrap(),
                &"localhost/warren:dev".parse().unwrap(),
            )
            .unwrap();
            let shape = Shape {
                replicas,
                held,
                ..Shape::default()
            };
            build(&valid, &shape).pods
        };
        assert_eq!(
            (of(false, 3, 3).len(), of(true, 3, 0).len(), of(true, 0, 3).len()),
            (0, 3, 3)
        );
        let second = of(true, 3, 3).swap_remove(1);
        assert_eq!(second.metadata.name.as_deref(), Some("orders-server-1"));
        let spec = second.spec.unwrap();
        assert_eq!(
            spec.selector.unwrap()["statefulset.kubernetes.io/pod-name"],
            "orders-server-1"
        );
        let ports: Vec<_> = spec.ports.unwrap().into_iter().map(|port| port.port).collect();
        assert_eq!(ports, [5672, 15672]);
    }

    #[test]
    fn a_budget_that_follows_the_data_allows_nothing_while_they_are_at_risk() {
        let of = |pdb: &str, at_risk| {
            let spec = format!("{{disruption: {{pdb: {pdb}}}}}");
            let cluster = format!("{{metadata: {{name: orders, namespace: shop, uid: u}}, spec: {spec}}}");
            let cluster = serde_yaml::from_str(&cluster).unwrap();
            let valid = validate(&cluster, &"localhost/warren:dev".parse().unwrap()).unwrap();
            let shape = Shape {
                at_risk,
                ..Shape::default()
            };
            let budget = build(&valid, &shape).disruption_budget;
            budget.map(|budget| budget.spec.unwrap().max_unavailable.unwrap())
        };
        use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int;
        assert_eq!(
            (of("DataAware", false), of("DataAware", true)),
            (Some(Int(1)), Some(Int(0)))
        );
        assert_eq!(of("MaxUnavailable1", true), Some(Int(1)));
        assert_eq!(of("None", true), None);
    }

    #[test]
    fn settings_that_count_at_once_are_in_the_file_and_restart_no_pod() {
        let of = |config: &str| {
            let spec = format!("{{replicas: 3, config: '{config}'}}");
            let cluster = format!("{{metadata: {{name: orders, namespace: shop, uid: u}}, spec: {spec}}}");
            let cluster = serde_yaml::from_str(&cluster).unwrap();
            let valid = validate(&cluster, &"localhost/warren:dev".parse().unwrap()).unwrap();
            let children = build(&valid, &Shape::default());
            (config_text(&children.config).unwrap().to_owned(), children.server)
        };
        let (none, hot, other) = (of(""), of("heartbeat = 7"), of("heartbeat = 8"));
        assert!(hot.0.contains("heartbeat = 7") && other.0.contains("heartbeat = 8"));
        assert_eq!(none.1, hot.1);
        assert_eq!(hot.1, other.1);
        assert_ne!(of("net_ticktime = 7").1, none.1);
    }

    #[test]
    fn that_a_cluster_has_formed_is_told_to_new_pods_and_restarts_none() {
        let cluster = "{metadata: {name: orders, namespace: shop, uid: u}, spec: {replicas: 3}}";
        let cluster = serde_yaml::from_str(cluster).unwrap();
        let valid = validate(&cluster, &"localhost/warren:dev".parse().unwrap()).unwrap();
        let of = |formed| {
            let shape = Shape {
                replicas: 3,
                formed,
                claims: None,
                ..Shape::default()
            };
            let children = build(&valid, &shape);
            let settings = children.config.data.unwrap()["rabbitmq.conf"].clone();
            (settings.contains("ordinal_start = 1000000"), children.server)
        };
        let ((before, pods), (after, same_pods)) = (of(false), of(true));
        assert_eq!((before, after), (false, true));
        assert_eq!(pods, same_pods);
    }
}
