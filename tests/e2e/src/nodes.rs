//! The checks of a RabbitCluster of several nodes: they form one cluster by themselves, any node serves any client, a lost node comes
//! back as what it was, one more node joins, a lost disk never founds a second cluster, and a node that leaves takes no message along.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::check::{Checks, Outcome, equal, says, within};
use crate::kubectl::{apply, condition, field, kubectl};
use crate::policies;
use crate::several::{Cluster, LIMIT};

/// The cluster.
const ORDERS: Cluster = Cluster("orders");

/// Makes, uses, hurts and widens a cluster, and takes it away.
pub(crate) fn checks(checks: &mut Checks) {
    checks.needed("examples/three-nodes.yaml becomes one cluster of three nodes", || {
        let manifest = std::fs::read_to_string("examples/three-nodes.yaml").map_err(|error| error.to_string())?;
        apply(&manifest)?;
        ORDERS.joined(3)
    });
    checks.check(
        "kubectl exec POD -- rabbitmqctl cluster_status names all three, from any pod",
        || (0..3).try_for_each(|ordinal| equal(ORDERS.running_nodes(ordinal)?, 3)),
    );
    checks.check("the client Service leads to all nodes that are ready", || {
        let path = "{.subsets[*].addresses[*].targetRef.name}";
        within(LIMIT, || {
            equal(field("endpoints", ORDERS.0, path)?.split_whitespace().count(), 3)
        })
    });
    checks.check("what is published at one node is taken from another", || {
        ORDERS.at(0, |ann| ann.put("across", 100))?;
        ORDERS.at(2, |ann| ann.take("across", 100))
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
        "a node that a policy names does not leave, and a condition names the policy",
        held_by_a_policy,
    );
    checks.check(
        "without that policy a queue with one copy moves to a node that stays, and its node leaves",
        move_a_queue,
    );
    checks.check(
        "mirrored, its queues move, and it leaves while messages are published: every confirmed one is there",
        scale_down,
    );
    checks.check("a node that is leaving stays when it is wanted again", called_off);
    checks.check("the policy of every queue goes", || {
        ORDERS.ctl(0, &["clear_policy", "everything"]).map(drop)
    });
    policies::checks(checks);
    checks.check("deleted with its volumes, nothing is left", || ORDERS.delete());
    policies::end(checks);
}

fn lose_a_node() -> Outcome {
    ORDERS.at(1, |ann| ann.put("kept", 100))?;
    let old = ORDERS.uids(1..2)?;
    kubectl(&["delete", "pod", &ORDERS.pod(1), "--grace-period=0", "--force"])?;
    ORDERS.at(0, |ann| ann.put("meanwhile", 10))?;
    ORDERS.at(2, |ann| ann.take("meanwhile", 10))?;
    within(LIMIT, || match ORDERS.uids(1..2)? {
        new if new == old || new.is_empty() => Err("it is the old pod".into()),
        _ => Ok(()),
    })?;
    ORDERS.joined(3)?;
    equal(ORDERS.running_nodes(0)?, 3)?;
    ORDERS.at(2, |ann| ann.take("kept", 100))
}

fn scale_up() -> Outcome {
    let old = ORDERS.uids(0..3)?;
    kubectl(&["scale", "rmq", ORDERS.0, "--replicas=4"])?;
    ORDERS.joined(4)?;
    equal(ORDERS.running_nodes(3)?, 4)?;
    equal(ORDERS.uids(0..3)?, old)?;
    ORDERS.at(3, |ann| ann.put("widened", 10))?;
    ORDERS.at(0, |ann| ann.take("widened", 10))
}

/// The hardest one: ordinal 0, which founds clusters where there is none.
fn lose_a_disk() -> Outcome {
    ORDERS.at(1, |ann| ann.put("survives", 10))?;
    let old = ORDERS.cluster_id()?;
    let claim = format!("data-{}", ORDERS.pod(0));
    kubectl(&["delete", "pvc", &claim, "--wait=false"])?;
    kubectl(&["delete", "pod", &ORDERS.pod(0), "--timeout=90s"])?;
    within(LIMIT, || {
        equal(field("pvc", &claim, "{.metadata.deletionTimestamp}")?.as_str(), "")
    })?;
    // The new pod itself says so: what the operator tells may still be of the old one.
    within(LIMIT, || equal(ORDERS.running_nodes(0)?, 4)).map_err(|reason| format!("{reason}\n{}", ORDERS.story()))?;
    ORDERS.joined(4)?;
    equal(ORDERS.cluster_id()?, old)?;
    ORDERS.at(0, |ann| ann.take("survives", 10))
}

fn pods_asked_for() -> Outcome<String> {
    field("statefulset", &format!("{}-server", ORDERS.0), "{.spec.replicas}")
}

fn held_by_a_policy() -> Outcome {
    ORDERS.at(3, |ann| ann.put("only-there", 10))?;
    let tied = format!(r#"{{"ha-mode":"nodes","ha-params":["{}"]}}"#, ORDERS.pod(3));
    ORDERS.ctl(0, &["set_policy", "tied", "^tied$", &tied])?;
    ORDERS.scale("3")?;
    within(LIMIT, || {
        equal(condition("rmq", ORDERS.0, "ScaleDownBlocked")?.as_str(), "True")?;
        says(
            &field("rmq", ORDERS.0, "{.status.summary.reason}")?,
            "policy 'tied' in vhost '/'",
        )
    })?;
    equal(pods_asked_for()?.as_str(), "4")
}

/// And one more node joins again.
fn move_a_queue() -> Outcome {
    ORDERS.ctl(0, &["clear_policy", "tied"])?;
    ORDERS.joined(3)?;
    equal(pods_asked_for()?.as_str(), "3")?;
    ORDERS.at(1, |ann| ann.take("only-there", 10))?;
    ORDERS.scale("4")?;
    ORDERS.joined(4)
}

/// Publishes to queue after queue at a node that stays until told to stop; how many queues have ten messages each.
fn publish_until(done: &AtomicBool) -> Outcome<usize> {
    ORDERS.at(0, |ann| {
        let mut queues = 0;
        while !done.load(Ordering::Relaxed) {
            ann.put(&format!("meanwhile-{queues}"), 10)?;
            queues += 1;
        }
        Ok(queues)
    })
}

fn scale_down() -> Outcome {
    let old = ORDERS.uids(0..3)?;
    ORDERS.at(3, |ann| ann.put("there", 10))?;
    ORDERS.mirror_everything()?;
    ORDERS.scale("3")?;
    let done = AtomicBool::new(false);
    let queues = thread::scope(|scope| {
        let load = scope.spawn(|| publish_until(&done));
        let left = ORDERS.joined(3).and_then(|()| equal(pods_asked_for()?.as_str(), "3"));
        done.store(true, Ordering::Relaxed);
        let queues = load.join().unwrap_or_else(|_| Err("the publisher panicked".into()));
        left.and(queues)
    })?;
    if queues == 0 {
        return Err("nothing was published meanwhile".into());
    }
    within(LIMIT, || {
        equal(field("pod", &ORDERS.pod(3), "{.metadata.name}")?.as_str(), "")
    })?;
    equal(ORDERS.uids(0..3)?, old)?;
    equal(ORDERS.running_nodes(0)?, 3)?;
    ORDERS.at(1, |ann| {
        ann.take("there", 10)?;
        (0..queues).try_for_each(|queue| ann.take(&format!("meanwhile-{queue}"), 10))
    })
}

/// It joins again on a new volume, begins to leave, and is called back.
fn called_off() -> Outcome {
    ORDERS.scale("4")?;
    ORDERS.joined(4)?;
    ORDERS.scale("3")?;
    within(LIMIT, || {
        equal(field("rmq", ORDERS.0, "{.status.operation.node}")?, ORDERS.pod(3))
    })?;
    ORDERS.scale("4")?;
    ORDERS.joined(4)?;
    // Its app may have been stopped already, and has to start again.
    within(LIMIT, || equal(ORDERS.running_nodes(0)?, 4))
}
