//! The two Services. `<n>-nodes` is headless and publishes pods before they are ready, because nodes look each other up while they
//! start.
//! `<n>` is for clients and spreads them over the nodes that are ready: any node serves any queue.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::ports;
use crate::cluster::names::{Map, PORT_ADMIN, PORT_PEERS};
use crate::cluster::validate::ValidCluster;
use crate::crd::{ExternalTrafficPolicy, IpFamilyPolicy, ServiceType};

pub(super) fn nodes(cluster: &ValidCluster) -> Service {
    Service {
        metadata: super::meta(cluster, cluster.names.nodes()),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".into()),
            publish_not_ready_addresses: Some(true),
            selector: Some(selector(cluster)),
            ports: Some(vec![port("peers", PORT_PEERS, None), port("admin", PORT_ADMIN, None)]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

pub(super) fn clients(cluster: &ValidCluster) -> Service {
    let asked = &cluster.spec.service;
    let mut metadata = super::meta(cluster, cluster.names.cluster.clone());
    let mut labels = asked.labels.clone();
    labels.extend(metadata.labels.take().unwrap_or_default()); // ours win: watches select by them
    metadata.labels = Some(labels);
    metadata.annotations = Some(asked.annotations.clone()).filter(|annotations| !annotations.is_empty());
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(kind(asked.kind).into()),
            selector: Some(selector(cluster)),
            ports: Some(client_ports(cluster)),
            ip_family_policy: asked.ip_family_policy.map(|policy| families(policy).into()),
            external_traffic_policy: asked.external_traffic_policy.map(|policy| from_outside(policy).into()),
            load_balancer_class: asked.load_balancer_class.clone(),
            load_balancer_source_ranges: Some(asked.load_balancer_source_ranges.clone()).filter(|all| !all.is_empty()),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn selector(cluster: &ValidCluster) -> Map {
    cluster.names.selector(&cluster.uid)
}

/// A port only for what listens: 15672 and 15692 come with their plugins.
fn client_ports(cluster: &ValidCluster) -> Vec<ServicePort> {
    let served = ports::served(cluster);
    served
        .map(|served| port(served.name, served.number, Some(served.protocol)))
        .collect()
}

fn port(name: &str, number: i32, protocol: Option<&str>) -> ServicePort {
    ServicePort {
        name: Some(name.into()),
        port: number,
        protocol: Some("TCP".into()),
        app_protocol: protocol.map(str::to_owned),
        target_port: Some(IntOrString::String(name.into())),
        ..ServicePort::default()
    }
}

fn kind(kind: ServiceType) -> &'static str {
    match kind {
        ServiceType::ClusterIP => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
    }
}

fn families(policy: IpFamilyPolicy) -> &'static str {
    match policy {
        IpFamilyPolicy::SingleStack => "SingleStack",
        IpFamilyPolicy::PreferDualStack => "PreferDualStack",
        IpFamilyPolicy::RequireDualStack => "RequireDualStack",
    }
}

fn from_outside(policy: ExternalTrafficPolicy) -> &'static str {
    match policy {
        ExternalTrafficPolicy::Cluster => "Cluster",
        ExternalTrafficPolicy::Local => "Local",
    }
}
