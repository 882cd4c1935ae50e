//! The PodDisruptionBudget: evictions (node drains) take at most one node at a time. Kubernetes counts a node that is down already as
//! that one. Where it follows the data, it allows none while any queue that policies mirror has no mirror in sync: who drains a machine is asked
//! to try again. A node that does not work may always be evicted, else a broken pod would hold up the drain of its machine for ever.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Shape;
use crate::cluster::validate::ValidCluster;
use crate::crd::DisruptionBudget;

pub(super) fn build(cluster: &ValidCluster, shape: &Shape) -> Option<PodDisruptionBudget> {
    match cluster.spec.disruption.pdb {
        DisruptionBudget::DataAware => Some(budget(cluster, i32::from(!shape.at_risk))),
        DisruptionBudget::MaxUnavailable1 => Some(budget(cluster, 1)),
        DisruptionBudget::None => None,
    }
}

fn budget(cluster: &ValidCluster, unavailable_max: i32) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: super::meta(cluster, cluster.names.server()),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(unavailable_max)),
            selector: Some(super::pods(cluster)),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
