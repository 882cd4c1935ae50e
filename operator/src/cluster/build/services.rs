//! The Services. `<n>-nodes` is headless and publishes pods before they are ready, because nodes look each other up while they
//! start.
//! `<n>` is for clients and spreads them over the nodes that are ready: any node serves any queue. Where the user asks for it, each node has
//! one of its own, too, without the port that Prometheus scrapes: it would find the node twice.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::ports::{self, ClientPort};
use crate::cluster::names::{LABEL_POD, Map, PORT_ADMIN, PORT_PEERS};
use crate::cluster::validate::ValidCluster;
use crate::crd::{ExternalTrafficPolicy, IpFamilyPolicy, ServiceType};

/// Label in which Kubernetes gives a pod of a StatefulSet its own name.
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";

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
    let ports = ports::served(cluster).map(client_port).collect();
    service(cluster, cluster.names.cluster.clone(), selector(cluster), ports)
}

/// One for each of the first pods, where they are asked for.
pub(super) fn of_pods(cluster: &ValidCluster, count: u32) -> Vec<Service> {
    let of_pod = |ordinal| {
        let pod = cluster.names.pod(ordinal);
        let mut selector = selector(cluster);
        selector.insert(POD_NAME.into(), pod.clone());
        let ports = ports::served(cluster).filter(|port| !port.is_scraped());
        let mut service = service(cluster, pod.clone(), selector, ports.map(client_port).collect());
        let labels = service.metadata.labels.get_or_insert_default();
        labels.insert(LABEL_POD.into(), pod);
        service
    };
    let count = if cluster.spec.service.per_pod { count } else { 0 };
    (0..count).map(of_pod).collect()
}

fn service(cluster: &ValidCluster, name: String, selector: Map, ports: Vec<ServicePort>) -> Service {
    let asked = &cluster.spec.service;
    let mut metadata = super::meta(cluster, name);
    let mut labels = asked.labels.clone();
    labels.extend(metadata.labels.take().unwrap_or_default()); // ours win: watches select by them
    metadata.labels = Some(labels);
    metadata.annotations = Some(asked.annotations.clone()).filter(|annotations| !annotations.is_empty());
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(kind(asked.kind).into()),
            selector: Some(selector),
            ports: Some(ports),
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

fn client_port(served: ClientPort) -> ServicePort {
    port(served.name, served.number, Some(served.protocol))
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
