//! The NetworkPolicy, if it is asked for: what nodes say to each other and to the operator is open to those alone, and the ports for clients to
//! whom the user names. Probes come from the kubelet, which no policy stops.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::ports;
use crate::cluster::names::{OPERATOR, PORT_ADMIN, PORT_PEERS, map};
use crate::cluster::validate::ValidCluster;

pub(super) fn build(cluster: &ValidCluster) -> Option<NetworkPolicy> {
    let asked = &cluster.spec.network_policy;
    let policy = || NetworkPolicy {
        metadata: super::meta(cluster, cluster.names.server()),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(super::pods(cluster)),
            policy_types: Some(vec!["Ingress".into()]),
            ingress: Some(vec![
                rule(asked.clients.clone(), ports::served(cluster).map(|port| port.number)),
                rule(vec![nodes(cluster), operator()], [PORT_PEERS, PORT_ADMIN]),
            ]),
            ..NetworkPolicySpec::default()
        }),
    };
    asked.enabled.then(policy)
}

/// Nobody named means everybody.
fn rule(from: Vec<NetworkPolicyPeer>, ports: impl IntoIterator<Item = i32>) -> NetworkPolicyIngressRule {
    let port = |number| NetworkPolicyPort {
        port: Some(IntOrString::Int(number)),
        protocol: Some("TCP".into()),
        end_port: None,
    };
    NetworkPolicyIngressRule {
        from: Some(from).filter(|from| !from.is_empty()),
        ports: Some(ports.into_iter().map(port).collect()),
    }
}

fn nodes(cluster: &ValidCluster) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(super::pods(cluster)),
        ..NetworkPolicyPeer::default()
    }
}

/// Operators of any namespace: a pod cannot tell in which one its operator lives. All that is asked there needs the cluster's secret.
fn operator() -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        pod_selector: Some(LabelSelector {
            match_labels: Some(map([("app.kubernetes.io/name", OPERATOR)])),
            ..LabelSelector::default()
        }),
        ip_block: None,
    }
}
