//! The checks of what an operator does to a cluster while programs work with it: fewer nodes and more again, a rolling restart, TLS between
//! nodes, new certificates, a new secret, a template that does not work, other volumes. A program publishes all the while through the Service,
//! connects again whenever it must, and in the end every message is there that was confirmed to it. Two clusters share them, side by side:
//! the most of each is waiting for pods.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::amqp::Login;
use crate::certificates;
use crate::check::{Checks, Outcome, equal, says, within};
use crate::kubectl::{Forward, apply, condition, field, get, kubectl};
use crate::several::{Cluster, LIMIT};

/// Variable with the name of an image of the release after the one under test.
const NEXT_IMAGE: &str = "WARREN_NEXT_IMAGE";
/// What nodes say to each other and whom they believe is changed here.
pub(crate) const SHIPS: Cluster = Cluster("ships");
/// How many nodes there are and what they stand on is changed here.
const BOATS: Cluster = Cluster("boats");
/// Messages that go to one queue.
const MESSAGES: usize = 10;
/// From one queue to the next: a load that is there at every moment, and leaves the machine to who is watched.
const PACE: Duration = Duration::from_millis(50);
/// Queues so far: what was left of one that was given up is in no other's way.
static QUEUES: AtomicUsize = AtomicUsize::new(0);

/// What changes between nodes: their release, TLS, certificates, secret.
pub(crate) fn of_ships(checks: &mut Checks) {
    checks.needed("three more nodes become a cluster of their own", || begin(SHIPS));
    match std::env::var_os(NEXT_IMAGE) {
        Some(_) => checks.check(
            "the next release comes one pod at a time, drained before it goes, and is held back until it is to be final: every confirmed message is there",
            || under_load(SHIPS, upgrade),
        ),
        None => checks.check(
            "a rolling restart replaces one pod at a time, drained before it goes: every confirmed message is there",
            || under_load(SHIPS, restart),
        ),
    }
    checks.check(
        "nodes come to speak TLS to each other, in two rounds of one pod at a time: every confirmed message is there",
        || under_load(SHIPS, certificates::secure),
    );
    checks.check(
        "a renewed certificate is served by every port of every node without a restart",
        || under_load(SHIPS, certificates::rotate),
    );
    checks.check(
        "the cluster's secret is replaced without a restart, and nodes, command line and operator know the new one",
        || under_load(SHIPS, rotate),
    );
    checks.check("they go with their volumes", || SHIPS.delete());
}

/// What changes of the nodes themselves: their number, a template that does not work, their volumes.
pub(crate) fn of_boats(checks: &mut Checks) {
    checks.needed("yet three more nodes become a cluster of their own", || begin(BOATS));
    checks.check(
        "fewer nodes than a policy wants copies: condition and event name the policy, no node is touched, and the old number heals",
        || under_load(BOATS, too_few_for_a_policy),
    );
    checks.check(
        "all nodes but one leave and two come back while messages are published: every confirmed one is there",
        || under_load(BOATS, one_and_three_again),
    );
    checks.check(
        "a template whose first pod keeps ending is taken back by itself, and the other pods are not touched: every confirmed message is there",
        || under_load(BOATS, way_back),
    );
    checks.check(
        "each node gets a smaller volume, one at a time: every confirmed message is there",
        || under_load(BOATS, other_volumes),
    );
    checks.check("those go with their volumes, too", || BOATS.delete());
}

fn begin(cluster: Cluster) -> Outcome {
    let manifest = std::fs::read_to_string("examples/three-nodes.yaml").map_err(|error| error.to_string())?;
    apply(&manifest.replace("name: orders", &format!("name: {}", cluster.0)))?;
    cluster.joined(3)?;
    cluster.mirror_everything()
}

/// Has something done while a program publishes, and counts what was confirmed to it.
fn under_load(cluster: Cluster, operation: fn() -> Outcome) -> Outcome {
    let done = AtomicBool::new(false);
    let (operated, load) = thread::scope(|scope| {
        let load = scope.spawn(|| publish_until(cluster, &done));
        let operated = operation();
        done.store(true, Ordering::Relaxed);
        (operated, load.join())
    });
    operated?;
    let Load { queues, longest } = load.map_err(|_| "the publisher panicked")?;
    println!(
        "      {} queues were confirmed, {longest:.1?} the longest between two",
        queues.len()
    );
    if queues.is_empty() {
        return Err("nothing was published meanwhile".into());
    }
    let forward = Forward::to(cluster.0, 5672)?;
    cluster.login(forward.port, |ann| {
        queues.iter().try_for_each(|queue| ann.take(queue, MESSAGES))
    })
}

struct Load {
    queues: Vec<String>,
    longest: Duration,
}

/// Publishes to queue after queue until it is told to stop.
fn publish_until(cluster: Cluster, done: &AtomicBool) -> Load {
    let mut load = Load {
        queues: Vec::new(),
        longest: Duration::ZERO,
    };
    let mut last = Instant::now();
    while !done.load(Ordering::Relaxed) {
        // Whatever ended it: a program that goes on connects again, and what was not confirmed is not owed.
        let _ = Forward::to(cluster.0, 5672).and_then(|forward| {
            cluster.login(forward.port, |ann| {
                while !done.load(Ordering::Relaxed) {
                    put(ann, &mut load)?;
                    load.longest = load.longest.max(last.elapsed());
                    last = Instant::now();
                    thread::sleep(PACE);
                }
                Ok(())
            })
        });
    }
    load
}

fn put(ann: &Login, load: &mut Load) -> Outcome {
    let queue = format!("under-load-{}", QUEUES.fetch_add(1, Ordering::Relaxed));
    ann.put(&queue, MESSAGES)?;
    load.queues.push(queue);
    Ok(())
}

const TWO_COPIES: &str = "
apiVersion: warren.dev/v1alpha1
kind: Policy
metadata: {name: boats-twice}
spec:
  clusterRef: {name: boats}
  pattern: ^
  applyTo: queues
  priority: 10
  mirroring: {mode: Exactly, count: 2}
";

/// No node is stopped, marked or asked for less, and whoever waits for the cluster learns that it waits for somebody.
fn too_few_for_a_policy() -> Outcome {
    let told = |kind: &str| -> Outcome<String> {
        let path = format!("{{.status.conditions[?(@.type==\"{kind}\")]['status', 'reason']}}");
        field("rmq", BOATS.0, &path)
    };
    apply(TWO_COPIES)?;
    kubectl(&[
        "wait",
        "--for=condition=Ready",
        "rmqpolicy/boats-twice",
        "--timeout=60s",
    ])?;
    let pods = BOATS.uids(0..3)?;
    BOATS.scale("1")?;
    within(LIMIT, || {
        equal(told("ScaleDownBlocked")?.as_str(), "True PoliciesNeedNode")?;
        equal(told("Stalled")?.as_str(), "True PoliciesNeedNode")?;
        says(&field("rmq", BOATS.0, "{.status.summary.reason}")?, "wants 2 copies")?;
        says(
            &kubectl(&["events", &format!("--for=rabbitcluster/{}", BOATS.0)])?,
            "PoliciesNeedNode",
        )?;
        equal(told("Ready")?.as_str(), "True AllNodesReady")?;
        equal(
            field("rmqpolicy", "boats-twice", "{.status.summary.reason}")?.is_empty(),
            false,
        )
    })?;
    equal(
        field("rmq", BOATS.0, "{.status.members[*].maintenance}")?.as_str(),
        "false false false",
    )?;
    BOATS.scale("3")?;
    BOATS.joined(3)?;
    equal(told("ScaleDownBlocked")?.as_str(), "False NotWanted")?;
    equal(BOATS.uids(0..3)?, pods)?;
    kubectl(&["delete", "rmqpolicy", "boats-twice", "--timeout=60s"]).map(drop)
}

fn one_and_three_again() -> Outcome {
    let founded = BOATS.cluster_id()?;
    BOATS.scale("1")?;
    BOATS.joined(1)?;
    within(LIMIT, || {
        equal(field("pod", &BOATS.pod(1), "{.metadata.name}")?.as_str(), "")
    })?;
    equal(BOATS.running_nodes(0)?, 1)?;
    BOATS.scale("3")?;
    BOATS.joined(3)?;
    within(LIMIT, || equal(BOATS.running_nodes(2)?, 3))?;
    equal(BOATS.cluster_id()?, founded)
}

fn restart() -> Outcome {
    replaced(|| kubectl(&["rollout", "restart", &format!("statefulset/{}-server", SHIPS.0)]).map(drop))
}

/// Does what has every pod replaced, and waits until they are; two take clients at every moment.
fn replaced(ask: impl FnOnce() -> Outcome) -> Outcome {
    let old = SHIPS.uids(0..3)?;
    ask()?;
    let mut fewest = 3;
    within(2 * LIMIT, || {
        fewest = fewest.min(taking_clients(SHIPS)?);
        let new = SHIPS.uids(0..3)?;
        match new.iter().any(|uid| uid.is_empty() || old.contains(uid)) {
            true => Err(format!("not all pods are new: {old:?} {new:?}")),
            false => equal(field("rmq", SHIPS.0, "{.status.phase}")?.as_str(), "Running"),
        }
    })?;
    SHIPS.joined(3)?;
    if fewest < 2 {
        return Err(format!("only {fewest} pods took clients at some moment"));
    }
    let ours = format!("involvedObject.name={}", SHIPS.0);
    let told = kubectl(&[
        "get",
        "events",
        "--field-selector",
        &ours,
        "-o",
        "jsonpath={.items[*].reason}",
    ])?;
    says(&told, "NodeDrained")
}

/// Both releases work beside each other while pods are replaced.
fn upgrade() -> Outcome {
    let image = std::env::var(NEXT_IMAGE).map_err(|error| error.to_string())?;
    let (repository, tag) = image
        .rsplit_once(':')
        .ok_or_else(|| format!("the image {image} has no tag"))?;
    let patch = |spec: Value| {
        let patch = json!({"spec": spec}).to_string();
        kubectl(&["patch", "rmq", SHIPS.0, "--type=merge", "-p", &patch])
    };
    let reason = || {
        let path = "{.status.conditions[?(@.type==\"UpgradeFinalized\")].reason}";
        field("rmq", SHIPS.0, path)
    };
    let version = |key: &str| field("rmq", SHIPS.0, &format!("{{.status.version.{key}}}"));
    let spec = json!({"image": {"repository": repository, "tag": tag}, "update": {"finalize": "Manual"}});
    replaced(|| patch(spec).map(drop))?;
    within(LIMIT, || {
        equal(version("current")?.as_str(), tag)?;
        equal(reason()?.as_str(), "HeldBack")
    })?;
    let pods = SHIPS.uids(0..3)?;
    equal(version("featureLevel")?.as_str(), "1")?;
    patch(json!({"update": {"finalize": "Automatic"}}))?;
    within(LIMIT, || {
        equal(version("featureLevel")?.as_str(), "2")?;
        equal(reason()?.as_str(), "Finalized")
    })?;
    equal(SHIPS.uids(0..3)?, pods)
}

fn patch(cluster: Cluster, spec: &Value) -> Outcome {
    let patch = json!({"spec": spec}).to_string();
    kubectl(&["patch", "rmq", cluster.0, "--type=merge", "-p", &patch]).map(drop)
}

fn way_back() -> Outcome {
    let revision = |ordinal| {
        field(
            "pod",
            &BOATS.pod(ordinal),
            "{.metadata.labels.controller-revision-hash}",
        )
    };
    let revisions = || (0..3).map(revision).collect::<Outcome<Vec<_>>>();
    let (pods, before) = (BOATS.uids(0..3)?, revisions()?);
    within(LIMIT, || {
        equal(
            field("configmap", &format!("{}-settled", BOATS.0), "{.data.revision}")?,
            before[0].clone(),
        )
    })?;
    let canary = json!({"nodes": 1, "pauseSeconds": 5, "autoRollback": true});
    patch(
        BOATS,
        &json!({"config": "no_such_setting = 1", "update": {"canary": canary}}),
    )?;
    within(LIMIT, || {
        equal(condition("rmq", BOATS.0, "RolledBack")?.as_str(), "True")?;
        equal(revisions()?, before.clone())?;
        equal(taking_clients(BOATS)?, 3)
    })?;
    let path = "{.status.phase} {.status.conditions[?(@.type==\"RolledBack\")].reason}";
    equal(field("rmq", BOATS.0, path)?.as_str(), "Failed CanaryKeepsEnding")?;
    let untouched = BOATS.uids(0..3)?.iter().filter(|uid| pods.contains(uid)).count();
    equal(untouched, 2)?;
    let pods = BOATS.uids(0..3)?;
    patch(BOATS, &json!({"config": null, "update": {"canary": null}}))?;
    BOATS.joined(3)?;
    equal(condition("rmq", BOATS.0, "RolledBack")?.as_str(), "False")?;
    equal(BOATS.uids(0..3)?, pods)
}

fn other_volumes() -> Outcome {
    let of = |ordinal: u32, path: &str| field("pvc", &format!("data-{}", BOATS.pod(ordinal)), path);
    let all = |path: &str| (0..3).map(|ordinal| of(ordinal, path)).collect::<Outcome<Vec<_>>>();
    let (founded, old) = (BOATS.cluster_id()?, all("{.metadata.uid}")?);
    let mut fewest = 3;
    patch(
        BOATS,
        &json!({"persistence": {"storage": "512Mi", "shrinkPolicy": "ReplaceNodes"}}),
    )?;
    within(2 * LIMIT, || {
        fewest = fewest.min(taking_clients(BOATS)?);
        equal(all("{.spec.resources.requests.storage}")?, vec!["512Mi".to_owned(); 3])?;
        equal(field("rmq", BOATS.0, "{.status.phase}")?.as_str(), "Running")
    })?;
    BOATS.joined(3)?;
    if let Some(kept) = all("{.metadata.uid}")?.iter().find(|uid| old.contains(uid)) {
        return Err(format!("{kept} is the volume of before"));
    }
    if fewest < 2 {
        return Err(format!("only {fewest} pods took clients at some moment"));
    }
    equal(BOATS.cluster_id()?, founded)?;
    equal(BOATS.running_nodes(0)?, 3)
}

fn taking_clients(cluster: Cluster) -> Outcome<usize> {
    let path = "{.subsets[*].addresses[*].targetRef.name}";
    Ok(field("endpoints", cluster.0, path)?.split_whitespace().count())
}

fn rotate() -> Outcome {
    let secret = format!("{}-cookie", SHIPS.0);
    let current = || field("secret", &secret, "{.data.current}");
    let (old, pods) = (current()?, SHIPS.uids(0..3)?);
    let asked = r#"{"spec": {"clusterSecret": {"rotation": {"trigger": "today"}}}}"#;
    kubectl(&["patch", "rmq", SHIPS.0, "--type=merge", "-p", asked])?;
    within(2 * LIMIT, || {
        let cluster = get("rmq", SHIPS.0)?;
        equal(
            cluster["status"]["observedGeneration"].as_i64(),
            cluster["metadata"]["generation"].as_i64(),
        )?;
        equal(condition("rmq", SHIPS.0, "SecretRotated")?.as_str(), "True")
    })?;
    if current()? == old {
        return Err("it is the old one".into());
    }
    equal(field("secret", &secret, "{.data.previous}{.data.next}")?.as_str(), "")?;
    equal(SHIPS.uids(0..3)?, pods)?;
    (0..3).try_for_each(|ordinal| equal(SHIPS.running_nodes(ordinal)?, 3))?;
    // Who has no connection that was made with the old one.
    kubectl(&["delete", "pod", &SHIPS.pod(2), "--timeout=90s"])?;
    within(LIMIT, || equal(SHIPS.running_nodes(2)?, 3))?;
    SHIPS.joined(3)
}
