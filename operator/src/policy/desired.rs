//! What the brokers should hold for a Policy, or which field cannot be right. Repeats what the schema's rules say, since an older
//! schema may be installed, and adds what they cannot: names of pods become names of nodes. Pure.

use api::ApplyTo;
use kube::ResourceExt;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::cluster::names::Names;
use crate::cluster::validate::Invalid;
use crate::crd;
use crate::crd::{MirrorMode, Mirroring, Policy, Promote, SyncMode};

/// The cluster that a Policy is for: namespace and name.
pub fn cluster_of(policy: &Policy) -> (String, String) {
    let asked = &policy.spec.cluster_ref;
    let namespace = asked.namespace.clone().filter(|namespace| !namespace.is_empty());
    let own = || policy.namespace().unwrap_or_default();
    (namespace.unwrap_or_else(own), asked.name.clone())
}

/// Its name in the brokers.
pub fn name_of(policy: &Policy) -> String {
    policy.spec.name.clone().unwrap_or_else(|| policy.name_any())
}

/// What the brokers should hold.
///
/// # Errors
/// The first field that cannot be honoured.
pub fn desired(policy: &Policy) -> Result<api::Policy, Invalid> {
    let spec = &policy.spec;
    let mut definition: Map<String, Value> = spec.definition.clone().unwrap_or_default().into_iter().collect();
    if let Some(mirroring) = &spec.mirroring {
        if let Some(key) = definition.keys().find(|key| key.starts_with("ha-")) {
            let wrong = format!("'{key}' cannot stand beside spec.mirroring: say it in one of them");
            return Err(invalid("spec.definition", wrong));
        }
        if spec.apply_to == crd::ApplyTo::Exchanges {
            let wrong = "mirroring is for queues: it must be queues, classic_queues or all";
            return Err(invalid("spec.applyTo", wrong.into()));
        }
        let (namespace, cluster) = cluster_of(policy);
        definition.extend(mirroring_keys(mirroring, &Names::new(&cluster), &namespace)?);
    }
    if definition.is_empty() {
        let wrong = "give mirroring, or a definition such as {message-ttl: 60000}: a policy must say something";
        return Err(invalid("spec", wrong.into()));
    }
    Ok(api::Policy {
        vhost: spec.vhost.clone(),
        name: name_of(policy),
        pattern: spec.pattern.clone(),
        apply_to: apply_to(spec.apply_to),
        definition,
        priority: spec.priority,
    })
}

/// Changes when, and only when, what the brokers should hold does. Sixteen hexadecimal digits.
pub fn fingerprint(policy: &api::Policy) -> String {
    // The keys of a definition are sorted, so equal policies print equal texts.
    let text = json!([
        policy.vhost,
        policy.name,
        policy.pattern,
        policy.apply_to,
        policy.priority,
        policy.definition
    ]);
    let hash = Sha256::digest(text.to_string());
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn invalid(field: &str, wrong: String) -> Invalid {
    Invalid {
        field: field.into(),
        wrong,
    }
}

fn apply_to(to: crd::ApplyTo) -> ApplyTo {
    match to {
        crd::ApplyTo::All => ApplyTo::All,
        crd::ApplyTo::Queues => ApplyTo::Queues,
        crd::ApplyTo::Exchanges => ApplyTo::Exchanges,
        crd::ApplyTo::ClassicQueues => ApplyTo::ClassicQueues,
        crd::ApplyTo::QuorumQueues => ApplyTo::QuorumQueues,
        crd::ApplyTo::Streams => ApplyTo::Streams,
    }
}

fn mirroring_keys(asked: &Mirroring, names: &Names, namespace: &str) -> Result<Vec<(String, Value)>, Invalid> {
    let (mode, params) = mode(asked, names, namespace)?;
    let sync = match asked.sync_mode {
        SyncMode::Automatic => "automatic",
        SyncMode::Manual => "manual",
    };
    let promote = |when: Promote| match when {
        Promote::WhenSynced => json!("when-synced"),
        Promote::Always => json!("always"),
    };
    if asked.sync_batch_size.is_some_and(|size| size < 1) {
        return Err(invalid(
            "spec.mirroring.syncBatchSize",
            "must be at least 1 message".into(),
        ));
    }
    let keys = [
        ("ha-mode", Some(json!(mode))),
        ("ha-params", params),
        ("ha-sync-mode", Some(json!(sync))),
        ("ha-sync-batch-size", asked.sync_batch_size.map(|size| json!(size))),
        ("ha-promote-on-shutdown", asked.promote_on_shutdown.map(promote)),
        ("ha-promote-on-failure", asked.promote_on_failure.map(promote)),
    ];
    let given = keys
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Ok(given.collect())
}

fn mode(asked: &Mirroring, names: &Names, namespace: &str) -> Result<(&'static str, Option<Value>), Invalid> {
    match (asked.mode, asked.count, &asked.nodes) {
        (MirrorMode::All, None, None) => Ok(("all", None)),
        (MirrorMode::Exactly, Some(count), None) if count >= 1 => Ok(("exactly", Some(json!(count)))),
        (MirrorMode::Nodes, None, Some(nodes)) if !nodes.is_empty() => {
            let nodes: Result<Vec<_>, _> = nodes.iter().map(|node| node_name(node, names, namespace)).collect();
            Ok(("nodes", Some(json!(nodes?))))
        }
        _ => {
            let wrong = "count belongs to mode Exactly and is at least 1, nodes belong to mode Nodes and are not empty, \
                         and mode All takes neither";
            Err(invalid("spec.mirroring", wrong.into()))
        }
    }
}

/// A pod's name becomes that of its node; a node's name stays.
fn node_name(given: &str, names: &Names, namespace: &str) -> Result<String, Invalid> {
    if given.contains('@') {
        return Ok(given.to_owned());
    }
    match names.ordinal_of_pod(given) {
        Some(ordinal) => Ok(names.node(ordinal, namespace)),
        None => {
            let (pod, node) = (names.pod(0), names.node(0, namespace));
            let wrong = format!("'{given}' must be a pod of the cluster such as {pod}, or a node such as {node}");
            Err(invalid("spec.mirroring.nodes", wrong))
        }
    }
}
