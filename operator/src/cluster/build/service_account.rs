//! The ServiceAccount of the broker pods. Brokers never talk to the API server, so it has no token and no role; it exists so that
//! the pods do not run as `default`, which others may give rights to.

use k8s_openapi::api::core::v1::ServiceAccount;

use crate::cluster::validate::ValidCluster;

pub(super) fn build(cluster: &ValidCluster) -> ServiceAccount {
    ServiceAccount {
        metadata: super::meta(cluster, cluster.names.server()),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
