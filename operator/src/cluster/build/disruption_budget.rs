//! The PodDisruptionBudget: evictions (node drains) take at most one node at a time. Kubernetes counts a node that is down already as
//! that one. A node that does not work may always be evicted, else a broken pod would hold up the drain of its machine for ever.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::cluster::validate::ValidCluster;
use crate::crd::DisruptionBudget;

pub(super) fn build(cluster: &ValidCluster) -> Option<PodDisruptionBudget> {
    match cluster.spec.disruption.pdb {
        DisruptionBudget::MaxUnavailable1 => Some(one_at_a_time(cluster)),
        DisruptionBudget::None => None,
    }
}

fn one_at_a_time(cluster: &ValidCluster) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: super::meta(cluster, cluster.names.server()),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(super::pods(cluster)),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
