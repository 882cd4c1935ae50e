//! The checks of a RabbitCluster of several nodes: they form one cluster by themselves, any node serves any client, a lost node comes
//! back as what it was, one more node joins, a lost disk never founds a second cluster, and a node that leaves takes no message along.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::amqp::Login;
use crate::check::{Checks, Outcome, equal, says, within};
use crate::kubectl::{Forward, apply, condition, field, get, kubectl};
use crate::{operations, policies};

/// The cluster.
pub(crate) const NAME: &str = "orders";
/// How long a change of it may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);

/// Makes, uses, hurts and widens a cluster, and takes it away.
pub(crate) fn checks(checks: &mut Checks) {
    checks.needed("examples/three-nodes.yaml becomes one cluster of three nodes", || {
        let manifest = std::fs::read_to_string("examples/three-nodes.yaml").map_err(|error| error.to_string())?;
        apply(&manifest)?;
        joined(3)
    });
    checks.check(
        "kubectl exec POD -- rabbitmqctl cluster_status names all three, from any pod",
        || (0..3).try_for_each(|ordinal| equal(running_nodes(ordinal)?, 3)),
    );
    checks.check("the client Service leads to all nodes that are ready", || {
        let path = "{.subsets[*].addresses[*].targetRef.name}";
        within(LIMIT, || {
            equal(field("endpoints", NAME, path)?.split_whitespace().count(), 3)
        })
    });
    checks.check("what is published at one node is taken from another", || {
        at(0, |ann| ann.put("across", 100))?;
        at(2, |ann| ann.take("across", 100))
    });
    checks.check(
        "a lost node comes back as the member it was, with its messages; the others serve meanwhile",
        lose_a_node,
    );
    checks.check("one more node joins, and the others are not restarted", scale_up);
    checks.check(
        "a node whose disk was lost joins its cluster again and founds no second one",
        lose_a_disk,
    );
    checks.check(
        "a node that holds a queue's only copy does not leave, and a condition names the queue",
        held_by_a_queue,
    );
    checks.check(
        "mirrored, its queues move, and it leaves while messages are published: every confirmed one is there",
        scale_down,
    );
    checks.check("a node that is leaving stays when it is wanted again", called_off);
    operations::checks(checks);
    checks.check("the policy of every queue goes", || {
        kubectl(&["exec", &pod(0), "--", "rabbitmqctl", "clear_policy", "everything"]).map(drop)
    });
    policies::checks(checks);
    checks.check("deleted with its volumes, nothing is left", || {
        kubectl(&["delete", "rmq", NAME, "--timeout=90s"])?;
        let label = format!("app.kubernetes.io/instance={NAME}");
        kubectl(&["delete", "pvc,secret", "-l", &label, "--timeout=60s"]).map(drop)
    });
    policies::end(checks);
}

/// Name of the pod.
pub(crate) fn pod(ordinal: u32) -> String {
    format!("{NAME}-server-{ordinal}")
}

/// Waits until every node takes clients and knows all the others.
pub(crate) fn joined(nodes: usize) -> Outcome {
    within(LIMIT, || {
        let cluster = get("rmq", NAME)?;
        equal(
            cluster["status"]["observedGeneration"].as_i64(),
            cluster["metadata"]["generation"].as_i64(),
        )?;
        equal(cluster["status"]["phase"].as_str(), Some("Running"))?;
        equal(cluster["status"]["readyReplicas"].as_u64(), Some(nodes as u64))?;
        equal(condition("rmq", NAME, "Clustered")?.as_str(), "True")
    })
    .map_err(|reason| format!("{reason}\n{}", story()))
}

/// What a person would look at next.
fn story() -> String {
    let told = kubectl(&["get", "rmq", NAME, "-o", "jsonpath={.status.conditions[*].message}"]);
    let pods = kubectl(&["get", "pods", "-o", "wide"]);
    let logs = (0..3).map(|ordinal| kubectl(&["logs", &pod(ordinal), "--tail=15"]));
    let parts = [told, pods].into_iter().chain(logs);
    parts.map(|part| part.unwrap_or_else(|error| error) + "\n").collect()
}

/// How many nodes the command line in that pod calls running.
pub(crate) fn running_nodes(ordinal: u32) -> Outcome<usize> {
    let command = [
        "exec",
        &pod(ordinal),
        "--",
        "rabbitmqctl",
        "-q",
        "cluster_status",
        "--formatter",
        "json",
    ];
    let told: Value = serde_json::from_str(&kubectl(&command)?).map_err(|error| error.to_string())?;
    let nodes = told["running_nodes"].as_array();
    nodes.map(Vec::len).ok_or_else(|| format!("no running_nodes in {told}"))
}

/// Gives a login at one node.
fn at<T>(ordinal: u32, talk: impl FnOnce(&Login) -> Outcome<T>) -> Outcome<T> {
    let forward = Forward::to_pod(&pod(ordinal), 5672)?;
    login(forward.port, talk)
}

/// Gives a login at this port of this machine.
pub(crate) fn login<T>(port: u16, talk: impl FnOnce(&Login) -> Outcome<T>) -> Outcome<T> {
    let of = |key: &str| {
        let template = format!("go-template={{{{index .data \"{key}\" | base64decode}}}}");
        kubectl(&["get", "secret", &format!("{NAME}-default-user"), "-o", &template])
    };
    let (user, password) = (of("username")?, of("password")?);
    talk(&Login {
        host: "127.0.0.1",
        port,
        user: &user,
        password: &password,
    })
}

/// As the operator tells it.
pub(crate) fn cluster_id() -> Outcome<String> {
    field("rmq", NAME, "{.status.clusterId}")
}

/// Of these pods; nothing for those that do not exist.
pub(crate) fn uids(ordinals: std::ops::Range<u32>) -> Outcome<Vec<String>> {
    ordinals
        .map(|ordinal| field("pod", &pod(ordinal), "{.metadata.uid}"))
        .collect()
}

fn lose_a_node() -> Outcome {
    at(1, |ann| ann.put("kept", 100))?;
    let old = uids(1..2)?;
    kubectl(&["delete", "pod", &pod(1), "--grace-period=0", "--force"])?;
    at(0, |ann| ann.put("meanwhile", 10))?;
    at(2, |ann| ann.take("meanwhile", 10))?;
    within(LIMIT, || match uids(1..2)? {
        new if new == old || new.is_empty() => Err("it is the old pod".into()),
        _ => Ok(()),
    })?;
    joined(3)?;
    equal(running_nodes(0)?, 3)?;
    at(2, |ann| ann.take("kept", 100))
}

fn scale_up() -> Outcome {
    let old = uids(0..3)?;
    kubectl(&["scale", "rmq", NAME, "--replicas=4"])?;
    joined(4)?;
    equal(running_nodes(3)?, 4)?;
    equal(uids(0..3)?, old)?;
    at(3, |ann| ann.put("widened", 10))?;
    at(0, |ann| ann.take("widened", 10))
}

/// The hardest one: ordinal 0, which founds clusters where there is none.
fn lose_a_disk() -> Outcome {
    at(1, |ann| ann.put("survives", 10))?;
    let old = cluster_id()?;
    let claim = format!("data-{}", pod(0));
    kubectl(&["delete", "pvc", &claim, "--wait=false"])?;
    kubectl(&["delete", "pod", &pod(0), "--timeout=90s"])?;
    within(LIMIT, || {
        equal(field("pvc", &claim, "{.metadata.deletionTimestamp}")?.as_str(), "")
    })?;
    // The new pod itself says so: what the operator tells may still be of the old one.
    within(LIMIT, || equal(running_nodes(0)?, 4)).map_err(|reason| format!("{reason}\n{}", story()))?;
    joined(4)?;
    equal(cluster_id()?, old)?;
    at(0, |ann| ann.take("survives", 10))
}

/// Asks for so many nodes.
pub(crate) fn scale(nodes: &str) -> Outcome {
    kubectl(&["scale", "rmq", NAME, "--replicas", nodes]).map(drop)
}

fn pods_asked_for() -> Outcome<String> {
    field("statefulset", &format!("{NAME}-server"), "{.spec.replicas}")
}

fn held_by_a_queue() -> Outcome {
    at(3, |ann| ann.put("only-there", 10))?;
    scale("3")?;
    within(LIMIT, || {
        equal(condition("rmq", NAME, "ScaleDownBlocked")?.as_str(), "True")?;
        says(
            &field("rmq", NAME, "{.status.summary.reason}")?,
            "'only-there' in vhost '/'",
        )
    })?;
    equal(pods_asked_for()?.as_str(), "4")
}

/// Publishes to queue after queue at a node that stays until told to stop; how many queues have ten messages each.
fn publish_until(done: &AtomicBool) -> Outcome<usize> {
    at(0, |ann| {
        let mut queues = 0;
        while !done.load(Ordering::Relaxed) {
            ann.put(&format!("meanwhile-{queues}"), 10)?;
            queues += 1;
        }
        Ok(queues)
    })
}

fn scale_down() -> Outcome {
    let old = uids(0..3)?;
    let mirror = r#"{"ha-mode":"all","ha-sync-mode":"automatic"}"#;
    kubectl(&[
        "exec",
        &pod(0),
        "--",
        "rabbitmqctl",
        "set_policy",
        "everything",
        "^",
        mirror,
    ])?;
    let done = AtomicBool::new(false);
    let queues = thread::scope(|scope| {
        let load = scope.spawn(|| publish_until(&done));
        let left = joined(3).and_then(|()| equal(pods_asked_for()?.as_str(), "3"));
        done.store(true, Ordering::Relaxed);
        let queues = load.join().unwrap_or_else(|_| Err("the publisher panicked".into()));
        left.and(queues)
    })?;
    if queues == 0 {
        return Err("nothing was published meanwhile".into());
    }
    within(LIMIT, || equal(field("pod", &pod(3), "{.metadata.name}")?.as_str(), ""))?;
    equal(uids(0..3)?, old)?;
    equal(running_nodes(0)?, 3)?;
    at(1, |ann| {
        ann.take("only-there", 10)?;
        (0..queues).try_for_each(|queue| ann.take(&format!("meanwhile-{queue}"), 10))
    })
}

/// It joins again on a new volume, begins to leave, and is called back.
fn called_off() -> Outcome {
    scale("4")?;
    joined(4)?;
    scale("3")?;
    within(LIMIT, || equal(field("rmq", NAME, "{.status.operation.node}")?, pod(3)))?;
    scale("4")?;
    joined(4)?;
    // Its app may have been stopped already, and has to start again.
    within(LIMIT, || equal(running_nodes(0)?, 4))
}
