//! The cluster of the campaign: made, looked at and changed as its owner would. What it looks like when it is well is said here; what it may
//! never look like is judged by the round.

use super::kube::{apply, ctl, get, in_system, kubectl, within};
use super::plan::{NODES, Operation};
use super::{Options, certificates, renew, trouble, upgrade};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// Its name.
pub(super) const NAME: &str = "soak";
/// A change is carried out within this; a new pod and its mirrors on a busy machine.
pub(super) const CHANGED: Duration = Duration::from_secs(420);
/// Pods that have to stop have stopped within this.
const STOPPED: Duration = Duration::from_secs(240);
/// Every queue has a copy on every node.
pub(super) const MIRRORED: &str = "ops.all.";
/// Every queue has two copies.
pub(super) const TWICE: &str = "ops.two.";

const EVERYWHERE: &str = r#"{"ha-mode":"all","ha-sync-mode":"automatic"}"#;
const TWO_COPIES: &str = r#"{"ha-mode":"exactly","ha-params":2,"ha-sync-mode":"automatic"}"#;

/// The first user is `guest`, as everywhere in these campaigns; here from another host.
const MANIFEST: &str = "
apiVersion: v1
kind: Secret
metadata: {name: soak-default-user}
stringData: {username: guest, password: guest}
---
apiVersion: warren.dev/v1alpha1
kind: RabbitCluster
metadata: {name: soak}
spec:
  replicas: 3
  config: |
    loopback_users = none
  resources:
    requests: {cpu: 50m, memory: 64Mi}
    limits: {memory: 512Mi}
";
/// What it keeps messages on, at first.
const PERSISTENCE: &str = "  persistence: {storage: 1Gi}\n";

pub(super) fn pod(ordinal: u32) -> String {
    format!("{NAME}-server-{ordinal}")
}

/// Makes it, if it is not there, and waits until it is well.
pub(super) fn make(tls: bool) -> Result<()> {
    // It may be there already.
    let _ = kubectl(&["create", "namespace", super::kube::NAMESPACE]);
    if get("rmq", NAME)?.is_null() {
        let secured = match tls {
            true => {
                certificates::draw()?;
                format!("  tls: {}\n", certificates::spec())
            }
            false => String::new(),
        };
        apply(&format!("{MANIFEST}{PERSISTENCE}{secured}"))?;
    }
    let has_tls = !get("rmq", NAME)?["spec"]["tls"]["secretName"].is_null();
    ensure!(
        has_tls == tls,
        "the cluster that is there was made {} --tls",
        if has_tls { "with" } else { "without" }
    );
    well(NODES)?;
    ctl(&pod(0), &["set_policy", "all", "^ops\\.all\\.", EVERYWHERE])?;
    ctl(&pod(0), &["set_policy", "two", "^ops\\.two\\.", TWO_COPIES])?;
    Ok(())
}

/// Where clients connect.
pub(super) fn address() -> Result<SocketAddr> {
    let service = get("service", NAME)?;
    let ip = service["spec"]["clusterIP"]
        .as_str()
        .context("the client Service has no address")?;
    Ok(SocketAddr::new(ip.parse()?, 5672))
}

/// Waits until so many nodes are one cluster in which nothing is being changed.
pub(super) fn well(nodes: u32) -> Result<()> {
    within(CHANGED, || {
        let cluster = get("rmq", NAME)?;
        let status = &cluster["status"];
        let told = |what: &str| condition(&cluster, what)["status"].clone();
        let facts = json!({
            "current": status["observedGeneration"] == cluster["metadata"]["generation"],
            "phase": status["phase"],
            "ready": status["readyReplicas"],
            "Clustered": told("Clustered"),
            "Progressing": told("Progressing"),
        });
        let wanted = json!({
            "current": true,
            "phase": "Running",
            "ready": nodes,
            "Clustered": "True",
            "Progressing": "False",
        });
        let reason = &status["summary"]["reason"];
        Ok((facts != wanted).then(|| format!("{facts}, {reason}")))
    })
}

/// A condition of the cluster; null if there is none.
pub(super) fn condition(cluster: &Value, name: &str) -> Value {
    let conditions = cluster["status"]["conditions"].as_array().into_iter().flatten();
    let mut named = conditions.filter(|condition| condition["type"] == name);
    named.next().cloned().unwrap_or_default()
}

/// Rows of the queues of the load, with these columns.
fn queues(columns: &[&str]) -> Result<Vec<Value>> {
    let list = [&["list_queues", "--formatter", "json"], columns].concat();
    let rows: Vec<Value> = serde_json::from_str(&ctl(&pod(0), &list)?)?;
    let ours = |row: &Value| row["name"].as_str().is_some_and(|name| name.starts_with("ops."));
    Ok(rows.into_iter().filter(ours).collect())
}

/// Waits until every queue has the mirrors in sync that its policy asks for, of so many nodes.
pub(super) fn in_sync(nodes: u32) -> Result<()> {
    within(CHANGED, || {
        let rows = queues(&["name", "synchronised_slave_pids"])?;
        let lacking = rows.iter().find(|row| {
            let mirrors = row["synchronised_slave_pids"].as_array().map_or(0, Vec::len);
            let is_twice = row["name"].as_str().is_some_and(|name| name.starts_with(TWICE));
            mirrors + 1
                < if is_twice {
                    2.min(nodes as usize)
                } else {
                    nodes as usize
                }
        });
        Ok(lacking.map(|row| format!("mirrors in sync: {row}")))
    })
}

/// Which publishers of these queues are connected to one of these pods: each connection bears its queue's name.
pub(super) fn connected_to(pods: &[String], queues: &[&str]) -> Result<BTreeSet<String>> {
    if pods.is_empty() {
        return Ok(BTreeSet::new());
    }
    let list = ["list_connections", "--formatter", "json", "pid", "client_properties"];
    let rows: Vec<Value> = serde_json::from_str(&ctl(&pod(0), &list)?)?;
    let is_there = |row: &&Value| {
        let pid = row["pid"].as_str().unwrap_or_default();
        pods.iter().any(|pod| pid.contains(&format!("@{pod}.")))
    };
    let texts: Vec<String> = rows
        .iter()
        .filter(is_there)
        .map(|row| row["client_properties"].to_string())
        .collect();
    let is_named = |queue: &&&str| texts.iter().any(|text| text.contains(&format!("\"{queue}\"")));
    Ok(queues
        .iter()
        .filter(is_named)
        .map(|queue| (*queue).to_owned())
        .collect())
}

/// Messages that are left in the queues of the load.
pub(super) fn messages() -> Result<u64> {
    let rows = queues(&["name", "messages"])?;
    Ok(rows.iter().filter_map(|row| row["messages"].as_u64()).sum())
}

/// Deletes the queues of earlier launches.
pub(super) fn clear(ours: &str) -> Result<()> {
    let rows = queues(&["name"])?;
    let names = rows.iter().filter_map(|row| row["name"].as_str());
    for name in names.filter(|name| !name.ends_with(ours)) {
        ctl(&pod(0), &["delete_queue", name])?;
    }
    Ok(())
}

/// Pods of brokers that take clients.
pub(super) fn ready_pods() -> Result<usize> {
    let label = format!("app.kubernetes.io/instance={NAME},app.kubernetes.io/component=broker");
    let pods: Value = serde_json::from_str(&kubectl(&["get", "pods", "-l", &label, "-o", "json"])?)?;
    let is_ready = |pod: &&Value| {
        let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        let mut ready = conditions.filter(|condition| condition["type"] == "Ready");
        ready.any(|condition| condition["status"] == "True") && pod["metadata"]["deletionTimestamp"].is_null()
    };
    Ok(pods["items"].as_array().into_iter().flatten().filter(is_ready).count())
}

/// Kills the operator; another pod of it comes.
pub(super) fn kill_operator() -> Result<()> {
    let label = "app.kubernetes.io/name=warren-operator";
    in_system(&[
        "delete",
        "pods",
        "-l",
        label,
        "--grace-period=0",
        "--force",
        "--wait=false",
    ])
    .map(drop)
}

pub(super) fn patch(spec: &Value) -> Result<()> {
    let patch = json!({"spec": spec}).to_string();
    kubectl(&["patch", "rmq", NAME, "--type=merge", "-p", &patch]).map(drop)
}

fn scale(nodes: u32) -> Result<()> {
    kubectl(&["scale", "rmq", NAME, &format!("--replicas={nodes}")]).map(drop)
}

fn stopped() -> Result<()> {
    let label = format!("app.kubernetes.io/instance={NAME},app.kubernetes.io/component=broker");
    within(STOPPED, || {
        let left = kubectl(&["get", "pods", "-l", &label, "-o", "name"])?;
        Ok((!left.trim().is_empty()).then_some(left))
    })
}

/// Carries an operation out, and is back when all is as it was before. `word` is one that no operation has had yet.
pub(super) fn carry_out(operation: Operation, word: &str, options: &Options) -> Result<()> {
    match operation {
        Operation::DeletePod(ordinal) => lose(ordinal, &[])?,
        Operation::DeleteLeader => lose(leader()?, &[])?,
        Operation::KillPod(ordinal) => lose(ordinal, &["--grace-period=0", "--force"])?,
        Operation::Evict(ordinal) => evict(ordinal)?,
        Operation::DrainNode(ordinal) => trouble::drain_node(ordinal)?,
        Operation::Restart => restart()?,
        Operation::Configure => configure()?,
        Operation::ScaleUp => {
            scale(5)?;
            well(5)?;
            in_sync(5)?;
            scale(NODES)?;
        }
        Operation::ScaleToOne => to_one()?,
        Operation::StopAndStart => {
            scale(0)?;
            stopped()?;
            scale(NODES)?;
        }
        Operation::RotateSecret => rotate("trigger", word)?,
        Operation::CompromisedSecret => rotate("compromised", word)?,
        Operation::RenewCertificates => certificates::rotate()?,
        Operation::LoseVolume(ordinal) => lose_volume(ordinal)?,
        Operation::LoseSecret => lose_secret()?,
        Operation::BadImage => bad_image()?,
        Operation::Rollback => renew::roll_back()?,
        Operation::ReplaceVolumes => renew::replace_volumes()?,
        Operation::GrowVolumes => renew::grow_volumes()?,
        Operation::Recreate => recreate()?,
        Operation::Upgrade => upgrade::to_the_next(&options.releases)?,
        Operation::CutNode(ordinal) => trouble::cut_node(options.local.as_deref(), ordinal)?,
        Operation::RestartApi => trouble::restart_api(options.local.as_deref())?,
        Operation::TwoOperators => trouble::beside_another_operator(restart)?,
    }
    well(NODES)?;
    in_sync(NODES)
}

/// Every pod is replaced, for nothing.
pub(super) fn restart() -> Result<()> {
    kubectl(&["rollout", "restart", &format!("statefulset/{NAME}-server")])?;
    replaced()
}

/// Another value of a setting for which nodes must restart.
fn configure() -> Result<()> {
    let old: Vec<Value> = (0..NODES).map(uid).collect::<Result<_>>()?;
    let config = get("rmq", NAME)?["spec"]["config"].clone();
    let is_longer = config.as_str().is_some_and(|config| config.contains("backlog = 256"));
    let backlog = if is_longer { 512 } else { 256 };
    let config = format!("loopback_users = none\ntcp_listen_options.backlog = {backlog}\n");
    patch(&json!({"config": config}))?;
    (0..NODES)
        .zip(&old)
        .try_for_each(|(ordinal, old)| another(ordinal, old))?;
    replaced()
}

/// With the image that it had, since data of a later release is of no use to the one before, and for volumes as large as they are.
fn recreate() -> Result<()> {
    let spec = &get("rmq", NAME)?["spec"];
    let kept = ["persistence", "image", "tls"].map(|key| (key, spec[key].clone()));
    kubectl(&["delete", "rmq", NAME, "--timeout=240s"])?;
    stopped()?;
    let kept = kept.iter().filter(|(_, value)| !value.is_null());
    let kept: String = kept.map(|(key, value)| format!("  {key}: {value}\n")).collect();
    apply(&format!("{MANIFEST}{kept}"))
}

pub(super) fn uid(ordinal: u32) -> Result<Value> {
    Ok(get("pod", &pod(ordinal))?["metadata"]["uid"].clone())
}

/// A pod goes, and another one of its name comes.
fn lose(ordinal: u32, how: &[&str]) -> Result<()> {
    let old = uid(ordinal)?;
    kubectl(&[&["delete", "pod", &pod(ordinal), "--wait=false"], how].concat())?;
    another(ordinal, &old)
}

pub(super) fn another(ordinal: u32, old: &Value) -> Result<()> {
    within(CHANGED, || {
        let new = uid(ordinal)?;
        Ok((new.is_null() || new == *old).then(|| format!("{} is still the old one", pod(ordinal))))
    })
}

/// The ordinal of the node that leads the first queue.
fn leader() -> Result<u32> {
    let rows = queues(&["name", "leader"])?;
    let node = rows.first().and_then(|row| row["leader"].as_str()).unwrap_or_default();
    let host = node.split(['@', '.']).nth(1).unwrap_or_default();
    let ordinal = host.rsplit('-').next().unwrap_or_default();
    ordinal.parse().with_context(|| format!("{node} leads the first queue"))
}

fn evict(ordinal: u32) -> Result<()> {
    let (name, old) = (pod(ordinal), uid(ordinal)?);
    let body = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}).to_string();
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), body)?;
    let path = format!("/api/v1/namespaces/{}/pods/{name}/eviction", super::kube::NAMESPACE);
    let file = file.path().display().to_string();
    // Refused while another is down.
    within(CHANGED, || {
        Ok(kubectl(&["create", "--raw", &path, "-f", &file])
            .err()
            .map(|error| error.to_string()))
    })?;
    another(ordinal, &old)
}

/// Waits until every pod runs the newest template.
pub(super) fn replaced() -> Result<()> {
    within(2 * CHANGED, || {
        let set = get("statefulset", &format!("{NAME}-server"))?;
        let newest = &set["status"]["updateRevision"];
        let seen = set["status"]["observedGeneration"] == set["metadata"]["generation"];
        for ordinal in 0..NODES {
            let revision = &get("pod", &pod(ordinal))?["metadata"]["labels"]["controller-revision-hash"];
            if !seen || revision != newest {
                let reason = &get("rmq", NAME)?["status"]["summary"]["reason"];
                return Ok(Some(format!(
                    "{} runs {revision} and not {newest}: {reason}",
                    pod(ordinal)
                )));
            }
        }
        Ok(None)
    })
}

fn to_one() -> Result<()> {
    ctl(&pod(0), &["set_policy", "two", "^ops\\.two\\.", EVERYWHERE])?;
    scale(1)?;
    well(1)?;
    scale(NODES)?;
    well(NODES)?;
    ctl(&pod(0), &["set_policy", "two", "^ops\\.two\\.", TWO_COPIES]).map(drop)
}

fn rotate(why: &str, word: &str) -> Result<()> {
    let old = secret()?;
    patch(&json!({"clusterSecret": {"rotation": {why: word}}}))?;
    within(CHANGED, || {
        let cluster = get("rmq", NAME)?;
        let current = cluster["status"]["observedGeneration"] == cluster["metadata"]["generation"];
        let told = condition(&cluster, "SecretRotated");
        let is_done = current && told["status"] == "True" && secret()? != old;
        Ok((!is_done).then(|| format!("not rotated: {told}")))
    })
}

/// The one that nodes prove to each other now.
fn secret() -> Result<Value> {
    Ok(get("secret", &format!("{NAME}-cookie"))?["data"]["current"].clone())
}

fn lose_volume(ordinal: u32) -> Result<()> {
    let claim = format!("data-{}", pod(ordinal));
    let old = get("pvc", &claim)?["metadata"]["uid"].clone();
    kubectl(&["delete", "pvc", &claim, "--wait=false"])?;
    lose(ordinal, &[])?;
    within(CHANGED, || {
        let new = &get("pvc", &claim)?["metadata"]["uid"];
        Ok((new.is_null() || *new == old).then(|| format!("{claim} is still the old one")))
    })
}

/// Nobody draws another: a condition says how to restore it.
fn lose_secret() -> Result<()> {
    let name = format!("{NAME}-cookie");
    let data = get("secret", &name)?["data"].clone();
    kubectl(&["delete", "secret", &name])?;
    within(CHANGED, || {
        let told = condition(&get("rmq", NAME)?, "ReconcileSuccess");
        Ok((told["reason"] != "SecretMissing").then(|| format!("no condition says that {name} is gone: {told}")))
    })?;
    ensure!(
        get("secret", &name)?.is_null(),
        "another {name} was drawn, which locks the nodes out of each other"
    );
    apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}).to_string())?;
    within(CHANGED, || {
        let told = condition(&get("rmq", NAME)?, "ReconcileSuccess");
        Ok((told["status"] != "True").then(|| told.to_string()))
    })
}

/// It holds the roll at one pod; the old image again heals it.
fn bad_image() -> Result<()> {
    let before = get("rmq", NAME)?["spec"]["image"].clone();
    patch(&json!({"image": {"repository": "localhost/warren", "tag": "nosuch", "pullPolicy": "Never"}}))?;
    within(CHANGED, || {
        let told = condition(&get("rmq", NAME)?, "Degraded");
        Ok((told["status"] != "True").then(|| format!("no condition says that the image is not there: {told}")))
    })?;
    let of = |key: &str| before.get(key).cloned().unwrap_or_default();
    let again = json!({"repository": of("repository"), "tag": of("tag"), "pullPolicy": of("pullPolicy")});
    patch(&json!({"image": again}))
}
