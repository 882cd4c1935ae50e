//! What hits the Kubernetes under the cluster, or the operator: a node off the network, no API server, one operator too many. All is mended
//! before it is back, whatever comes in between.

use super::cluster::pod;
use super::kube::{SYSTEM, get, in_system, kubectl};
use super::plan::{NODES, Operation};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

/// A node that is off for so long is given up by the others; Kubernetes has not yet.
const OFF: Duration = Duration::from_secs(15);
/// A node that was drained stays empty for so long.
const EMPTY: Duration = Duration::from_secs(5);
/// The API server is away for longer than an operator may go on without it.
const AWAY_SECONDS: &str = "15";
/// The second operator, and where it lives.
const SECOND: &str = "warren-operator-two";
const SECOND_SYSTEM: &str = "warren-system-two";

fn run(program: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| program.display().to_string())?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let text = format!("{} {}: {}", program.display(), arguments.join(" "), errors.trim());
    ensure!(output.status.success(), text);
    Ok(())
}

/// The Kubernetes node that is taken off the network: the one on which that pod runs; the next pod's if that one shares the network with this
/// machine.
fn node_to_cut(ordinal: u32) -> Result<u32> {
    let node_of = |ordinal: u32| -> Result<u32> {
        let found = get("pod", &pod(ordinal % NODES))?;
        let node = found["spec"]["nodeName"].as_str().unwrap_or_default();
        let number = node.strip_prefix("node-").and_then(|number| number.parse().ok());
        number.with_context(|| format!("{} runs on '{node}'", pod(ordinal)))
    };
    let nodes = [ordinal, ordinal + 1].map(node_of);
    let node = nodes.into_iter().filter_map(Result::ok).find(|node| *node > 1);
    node.context("no pod runs on a node that can be cut off")
}

/// Pods with which nobody can speak for as long as this lasts, and whose clients do not learn of it.
pub(super) fn cut_off(operation: Operation) -> Result<Vec<String>> {
    let Operation::CutNode(ordinal) = operation else {
        return Ok(Vec::new());
    };
    let node = format!("spec.nodeName=node-{}", node_to_cut(ordinal)?);
    let pods = kubectl(&["get", "pods", "--field-selector", &node, "-o", "name"])?;
    Ok(pods
        .lines()
        .map(|name| name.trim_start_matches("pod/").to_owned())
        .collect())
}

/// Takes a node off the network and puts it back.
pub(super) fn cut_node(local: Option<&Path>, ordinal: u32) -> Result<()> {
    let local = local.context("the Kubernetes is not ours to break")?;
    let node = node_to_cut(ordinal)?.to_string();
    run(local, &["cut", &node])?;
    sleep(OFF);
    run(local, &["mend", &node])
}

/// Has the Kubernetes node under a pod drained of all that runs on it, operator and all, as before it is upgraded; then it takes pods again. A
/// volume keeps its node, so that the pod waits for it.
pub(super) fn drain_node(ordinal: u32) -> Result<()> {
    let node = format!("node-{}", node_to_cut(ordinal)?);
    let drained = kubectl(&[
        "drain",
        &node,
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        "--force",
        "--timeout=180s",
    ]);
    sleep(EMPTY);
    let back = kubectl(&["uncordon", &node]);
    drained.and(back).map(drop)
}

/// Stops the API server and starts it again.
pub(super) fn restart_api(local: Option<&Path>) -> Result<()> {
    let local = local.context("the Kubernetes is not ours to break")?;
    run(local, &["restart-api", AWAY_SECONDS])
}

/// Has something done while a second operator, with a lease of its own, looks after the same clusters.
pub(super) fn beside_another_operator(work: fn() -> Result<()>) -> Result<()> {
    let helm = Path::new("helm");
    let image = operator_image()?;
    let (repository, tag) = image
        .rsplit_once(':')
        .with_context(|| format!("the image {image} has no tag"))?;
    let (repository, tag) = (format!("image.repository={repository}"), format!("image.tag={tag}"));
    let place = [
        SECOND,
        "charts/warren-operator",
        "-n",
        SECOND_SYSTEM,
        "--create-namespace",
    ];
    let settings = [
        "--set",
        "crds.install=false",
        "--set",
        &repository,
        "--set",
        &tag,
        "--wait",
        "--timeout",
        "3m",
    ];
    let done = run(helm, &[&["upgrade", "--install"], &place[..], &settings[..]].concat()).and_then(|()| work());
    let gone = run(helm, &["uninstall", SECOND, "-n", SECOND_SYSTEM, "--wait"]);
    let namespace = kubectl(&["delete", "namespace", SECOND_SYSTEM, "--wait=false"]);
    done.and(gone).and(namespace.map(drop))
}

fn operator_image() -> Result<String> {
    let label = "app.kubernetes.io/name=warren-operator";
    let found = in_system(&["get", "deployments", "-l", label, "-o", "json"])?;
    let found: Value = serde_json::from_str(&found)?;
    let image = &found["items"][0]["spec"]["template"]["spec"]["containers"][0]["image"];
    let image = image.as_str().with_context(|| format!("no operator in {SYSTEM}"))?;
    Ok(image.to_owned())
}
