//! Names, labels and ports of everything that belongs to one cluster. They are part of the contract with users (Service
//! names in client configuration, labels in network policies, claims that outlive the cluster): a change here orphans data.

use std::collections::BTreeMap;

/// AMQP without TLS.
pub const PORT_AMQP: i32 = 5672;
/// AMQP with TLS.
pub const PORT_AMQPS: i32 = 5671;
/// Management API and pages, with TLS.
pub const PORT_MANAGEMENT_TLS: i32 = 15671;
/// Prometheus page, with TLS.
pub const PORT_PROMETHEUS_TLS: i32 = 15691;
/// Management API and pages.
pub const PORT_MANAGEMENT: i32 = 15672;
/// Prometheus page.
pub const PORT_PROMETHEUS: i32 = 15692;
/// Other nodes and the command line.
pub const PORT_PEERS: i32 = 25672;
/// Probes and the operator.
pub const PORT_ADMIN: i32 = 15680;

/// Label that holds the uid of the RabbitCluster, so that the pods of a predecessor of the same name are not taken for ours.
pub const LABEL_UID: &str = "warren.dev/cluster-uid";
/// Label of a volume whose node has left the cluster for good.
pub const LABEL_LEFT: &str = "warren.dev/left";
/// Label of the Service that one pod has for itself, with the pod's name.
pub const LABEL_POD: &str = "warren.dev/pod";
/// Label that names the cluster.
pub const LABEL_INSTANCE: &str = "app.kubernetes.io/instance";
/// Label that the operator's watches select by.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`LABEL_MANAGED_BY`], and the field manager of every write.
pub const OPERATOR: &str = "warren-operator";
/// Value of `app.kubernetes.io/name`.
pub const APP: &str = "warren";

/// Labels or annotations.
pub type Map = BTreeMap<String, String>;

/// The names of one cluster's children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Name of the RabbitCluster, and of the Service for clients.
    pub cluster: String,
}

impl Names {
    /// Names for the cluster of that name.
    pub fn new(cluster: &str) -> Self {
        Self {
            cluster: cluster.to_owned(),
        }
    }

    /// Headless Service that gives each pod its host name.
    pub fn nodes(&self) -> String {
        format!("{}-nodes", self.cluster)
    }

    /// StatefulSet and ServiceAccount of the brokers.
    pub fn server(&self) -> String {
        format!("{}-server", self.cluster)
    }

    /// Secret that nodes prove to each other.
    pub fn cookie(&self) -> String {
        format!("{}-cookie", self.cluster)
    }

    /// Secret with the first user.
    pub fn default_user(&self) -> String {
        format!("{}-default-user", self.cluster)
    }

    /// ConfigMap with rabbitmq.conf and enabled_plugins.
    pub fn config(&self) -> String {
        format!("{}-config", self.cluster)
    }

    /// ConfigMap with what all pods last ran well with.
    pub fn settled(&self) -> String {
        format!("{}-settled", self.cluster)
    }

    /// Pod of that ordinal.
    pub fn pod(&self, ordinal: u32) -> String {
        format!("{}-{ordinal}", self.server())
    }

    /// The broker in that pod, as the brokers call it.
    pub fn node(&self, ordinal: u32, namespace: &str) -> String {
        format!("rabbit@{}.{}.{namespace}", self.pod(ordinal), self.nodes())
    }

    /// Volume claim of that ordinal.
    pub fn claim(&self, ordinal: u32) -> String {
        format!("{CLAIM}-{}", self.pod(ordinal))
    }

    /// Ordinal of one of our volume claims.
    pub fn ordinal_of_claim(&self, claim: &str) -> Option<u32> {
        self.ordinal_of_pod(claim.strip_prefix(CLAIM)?.strip_prefix('-')?)
    }

    /// Ordinal of one of our pods.
    pub fn ordinal_of_pod(&self, pod: &str) -> Option<u32> {
        pod.strip_prefix(&self.server())?.strip_prefix('-')?.parse().ok()
    }

    /// Labels of every child.
    pub fn labels(&self, uid: &str) -> Map {
        let mut labels = self.selector(uid);
        labels.extend(map([
            ("app.kubernetes.io/component", "broker"),
            ("app.kubernetes.io/part-of", APP),
            (LABEL_MANAGED_BY, OPERATOR),
        ]));
        labels
    }

    /// The labels by which the pods are selected. A StatefulSet's selector cannot change, so neither can this.
    pub fn selector(&self, uid: &str) -> Map {
        map([
            ("app.kubernetes.io/name", APP),
            (LABEL_INSTANCE, &self.cluster),
            (LABEL_UID, uid),
        ])
    }

    /// Selects the claims of this cluster and of its predecessors of the same name.
    pub fn claims_selector(&self) -> String {
        format!("app.kubernetes.io/name={APP},{LABEL_INSTANCE}={}", self.cluster)
    }
}

/// Name of the volume and of its claim template.
pub const CLAIM: &str = "data";

/// The labels as a selector text.
pub fn selector_text(labels: &Map) -> String {
    let pairs: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

/// A map of owned strings.
pub fn map<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Map {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_are_read_back_from_the_names_given() {
        let names = Names::new("orders");
        assert_eq!(names.pod(12), "orders-server-12");
        assert_eq!(names.ordinal_of_pod("orders-server-12"), Some(12));
        assert_eq!(names.ordinal_of_claim("data-orders-server-0"), Some(0));
        for stranger in [
            "orders-server",
            "orders-server-x",
            "data-orders-2-server-0",
            "other-orders-server-0",
        ] {
            assert_eq!(names.ordinal_of_claim(stranger), None, "{stranger}");
            assert_eq!(names.ordinal_of_pod(stranger), None, "{stranger}");
        }
    }

    #[test]
    fn the_selector_is_a_part_of_the_labels() {
        let names = Names::new("orders");
        let labels = names.labels("u1");
        assert!(
            names
                .selector("u1")
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
        );
    }
}
