//! The ConfigMap that the broker pods read: rabbitmq.conf, the operator's lines first so that the user's win, and enabled_plugins.
//! The broker reads both at its start, so a change must restart the pods: `fingerprint` goes into the pod template. Settings that a running
//! node takes over are left out of it: `settings` hands them over.

use k8s_openapi::api::core::v1::ConfigMap;
use sha2::{Digest, Sha256};

use super::{Shape, definitions, tls};
use crate::cluster::names::{Map, map};
use crate::cluster::settings::cold;
use crate::cluster::validate::ValidCluster;

/// Key, and file name, of the settings.
pub(super) const CONF: &str = "rabbitmq.conf";
/// Key, and file name, of the list of plugins.
pub(super) const PLUGINS: &str = "enabled_plugins";

/// Ordinal that no pod has: a pod of it would be the one that may begin a cluster.
const NOBODY: &str = "cluster_formation.k8s.ordinal_start = 1000000\n";

/// Of a cluster that has formed none of the nodes may begin another, whatever became of its disk.
pub(super) fn build(cluster: &ValidCluster, shape: &Shape) -> ConfigMap {
    let config = cluster.spec.config.as_deref().unwrap_or_default();
    ConfigMap {
        metadata: super::meta(cluster, cluster.names.config()),
        data: Some(files(cluster, shape, config)),
        ..ConfigMap::default()
    }
}

/// The settings in a ConfigMap of ours.
pub fn text(config: &ConfigMap) -> Option<&str> {
    config.data.as_ref()?.get(CONF).map(String::as_str)
}

fn files(cluster: &ValidCluster, shape: &Shape, config: &str) -> Map {
    map([
        (CONF, conf(cluster, shape, config).as_str()),
        (PLUGINS, plugins(cluster).as_str()),
    ])
}

/// Logs go to standard output: the root of the file system is read-only.
fn conf(cluster: &ValidCluster, shape: &Shape, config: &str) -> String {
    let mut text = format!(
        "# by the operator\ncluster_name = {}\ncluster_formation.peer_discovery_backend = k8s\nlog.console = true\nlog.file = false\n",
        cluster.names.cluster
    );
    if shape.formed {
        text += NOBODY;
    }
    if let Some(seconds) = cluster.spec.update.drain_timeout_seconds {
        text += &format!("drain_timeout = {}\n", seconds * 1000);
    }
    text += &tls::conf(cluster, shape.between);
    text += definitions::conf(cluster);
    if !config.trim().is_empty() {
        text += "# by the user\n";
        text += config.trim_end();
        text += "\n";
    }
    text
}

/// An Erlang term, as `rabbitmq-plugins` writes it.
fn plugins(cluster: &ValidCluster) -> String {
    format!("[{}].\n", cluster.plugins.join(","))
}

/// Changes when, and only when, something does for which pods must restart: not with what a node reads before its first start alone, nor with what
/// a running one takes over. Sixteen hexadecimal digits.
pub(super) fn fingerprint(cluster: &ValidCluster, shape: &Shape) -> String {
    let unformed = Shape {
        formed: false,
        ..shape.clone()
    };
    let config = cold(cluster.spec.config.as_deref().unwrap_or_default());
    let mut hash = Sha256::new();
    for (key, value) in &files(cluster, &unformed, &config) {
        for part in [key, value] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hash.finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
