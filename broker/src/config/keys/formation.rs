//! Keys of peer discovery: how a blank node finds its cluster. A backend that cannot be honoured is refused by name.

use super::{Key, key, no_effect};
use crate::config::formation::Backend;
use crate::config::settings::Config;

pub(super) fn keys() -> Vec<Key> {
    let by_names = "nodes are found by the names that a StatefulSet gives to its pods; the API server is not asked";
    let elsewhere = "nodes are found by classic_config, dns or k8s; another peer_discovery_backend is refused";
    let one_seed = "one node of a cluster may begin it, known beforehand, so nothing is locked";
    vec![
        key("cluster_formation.peer_discovery_backend", |c: &mut Config, _, v: Backend| {
            c.formation.discovery = v.0
        })
        .default("classic_config")
        .doc("Where a blank node looks for its cluster: classic_config, dns or k8s, with or without rabbit_peer_discovery_ before it."),
        key("cluster_formation.node_type", |c: &mut Config, _, v| c.formation.node_type = v)
            .default("disc")
            .doc("What a node that joins becomes; ram nodes never decide."),
        key("cluster_formation.classic_config.nodes.$node", |c: &mut Config, names, v| {
            c.formation.nodes.insert(names[0].clone(), v);
        })
        .doc("A node of the cluster, rabbit@host. The first by name begins it; the others join."),
        key("cluster_formation.dns.hostname", |c: &mut Config, _, v| c.formation.hostname = Some(v))
            .doc("Host name with the address of each node; the nodes are called as those addresses are."),
        key("cluster_formation.k8s.ordinal_start", |c: &mut Config, _, v| c.formation.first_ordinal = v)
            .default("0")
            .doc("Ordinal of the pod that begins the cluster. Where no pod has it, none begins one."),
        no_effect("cluster_formation.k8s.*", by_names),
        no_effect("cluster_formation.aws.*", elsewhere),
        no_effect("cluster_formation.consul.*", elsewhere),
        no_effect("cluster_formation.etcd.*", elsewhere),
        no_effect("cluster_formation.proxy.*", elsewhere),
        key("cluster_formation.discovery_retry_limit", |c: &mut Config, _, v| c.formation.looks_max = v)
            .default("30")
            .doc("Looks for a cluster before a node that may not begin one gives up; with k8s it never does."),
        key("cluster_formation.discovery_retry_interval", |c: &mut Config, _, v| c.formation.pause = v)
            .default("1000")
            .doc("Pause between two looks."),
        no_effect("cluster_formation.lock_retry_limit", one_seed),
        no_effect("cluster_formation.lock_retry_timeout", one_seed),
        no_effect("cluster_formation.internal_lock_retries", one_seed),
        no_effect("cluster_formation.randomized_startup_delay_range.*", one_seed),
        key("cluster_formation.target_cluster_size_hint", |c: &mut Config, _, v| c.formation.members_wanted = v)
            .with(|text| match text.parse() {
                Ok(0_u32) => Err("must be at least 1".into()),
                _ => Ok(()),
            })
            .default("1")
            .doc(
                "Members that the cluster shall have. While it has fewer, an import of definitions leaves out queues and bindings, \
                 and the health check reached-target-cluster-size fails.",
            ),
        no_effect("cluster_formation.node_cleanup.*", "members that discovery does not know stay members"),
    ]
}
