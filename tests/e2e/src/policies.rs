//! The checks of Policies, on the cluster `orders` that `nodes` has made: what a Policy asks for is in the brokers, stays there whoever
//! changes it, and goes with the Policy; and what stands in the way is said where a person would look.

use std::time::Duration;

use serde_json::{Value, json};

use crate::check::{Checks, Outcome, equal, says, within};
use crate::kubectl::{NAMESPACE, apply, apply_refused, condition, field, get, kubectl};
use crate::run::{run, run_with};

const CLUSTER: &str = "orders";
/// A namespace whose Policies the cluster does not take by itself.
const OTHER: &str = "warren-e2e-other";
/// How soon a change must be carried out.
const LIMIT: Duration = Duration::from_secs(60);

/// Makes, changes, hides and deletes Policies.
pub(crate) fn checks(checks: &mut Checks) {
    checks.check(
        "a Policy that cannot be right is refused with a sentence that helps",
        refusals,
    );
    checks.check(
        "a Policy waits for a cluster that does not exist, says so, and can be deleted",
        no_cluster,
    );
    checks.check(
        "the Policy of examples/mirrored.yaml is in force in the brokers",
        example,
    );
    checks.check("kubectl get rmqpolicy shows it, and whom it is for", || {
        let line = kubectl(&["get", "rmqpolicy", "ha-all"])?;
        [CLUSTER, "/", "^", "queues", "True"]
            .iter()
            .try_for_each(|words| says(&line, words))
    });
    checks.check(
        "the status counts the queues that obey it and the mirrors that they should have",
        counted,
    );
    checks.check(
        "changed or removed in the brokers by hand, it is as it was within a minute",
        drift,
    );
    checks.check("a changed spec is carried out", changed);
    checks.check("what the brokers refuse is told in their words", refused_by_broker);
    checks.check("more copies than nodes is told as not feasible", not_feasible);
    checks.check(
        "of two with one name the older one holds it, and the other has it next",
        two_of_one_name,
    );
    checks.check(
        "a Policy of another namespace needs the cluster's consent, and gets it without a restart",
        consent,
    );
    checks.check("the operator counts what it tells the brokers", metrics);
    checks.check(
        "deleted, a Policy is gone from the brokers; with deletionPolicy Retain it stays",
        deleted,
    );
}

/// After the cluster was deleted: no Policy waits for it.
pub(crate) fn end(checks: &mut Checks) {
    checks.check("a Policy whose cluster is gone can be deleted", || {
        within(LIMIT, || {
            equal(reason("left-over", "Applied")?.as_str(), "ClusterMissing")
        })?;
        kubectl(&["delete", "rmqpolicy", "--all", "--timeout=30s"]).map(drop)
    });
}

fn policy(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "warren.dev/v1alpha1", "kind": "Policy", "metadata": {"name": name}, "spec": spec})
}

fn put(name: &str, more: Value) -> Outcome {
    let mut spec = json!({"clusterRef": {"name": CLUSTER}, "pattern": "^never$"});
    if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
        spec.extend(more);
    }
    apply(&policy(name, &spec).to_string()).map(drop)
}

fn in_force(name: &str) -> Outcome {
    within(LIMIT, || {
        let found = get("rmqpolicy", name)?;
        equal(
            found["status"]["observedGeneration"].as_i64(),
            found["metadata"]["generation"].as_i64(),
        )?;
        equal(condition("rmqpolicy", name, "Applied")?.as_str(), "True")
    })
    .map_err(|reason| {
        format!(
            "{reason}\n{}",
            kubectl(&["describe", "rmqpolicy", name]).unwrap_or_default()
        )
    })
}

fn about(name: &str, kind: &str, what: &str) -> Outcome<String> {
    field(
        "rmqpolicy",
        name,
        &format!("{{.status.conditions[?(@.type==\"{kind}\")].{what}}}"),
    )
}

fn reason(name: &str, kind: &str) -> Outcome<String> {
    about(name, kind, "reason")
}

fn ctl(arguments: &[&str]) -> Outcome<String> {
    kubectl(&[&["exec", "orders-server-1", "--", "rabbitmqctl", "-q"], arguments].concat())
}

/// The policies that a broker lists, by name.
fn listed(name: &str) -> Outcome<Option<Value>> {
    let told = ctl(&["list_policies", "--formatter", "json"])?;
    let told: Value = serde_json::from_str(&told).map_err(|error| format!("{error}: {told}"))?;
    let mut all = told.as_array().into_iter().flatten();
    Ok(all.find(|policy| policy["name"] == name).cloned())
}

/// What a broker lists in one field of a policy; nothing if it has none.
fn held(name: &str, field: &str) -> Outcome<String> {
    let found = listed(name)?.unwrap_or_default();
    Ok(match &found[field] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    })
}

/// Each line: a wrong spec, and words that must be in the answer.
const WRONG: [(&str, &str); 9] = [
    ("clusterRef: {name: orders}, pattern: x", "a policy must say something"),
    ("clusterRef: {name: orders}, mirroring: {mode: All}", "pattern"),
    (
        "clusterRef: {name: orders}, pattern: x, mirroring: {mode: Exactly}",
        "count says how many nodes hold each queue",
    ),
    (
        "clusterRef: {name: orders}, pattern: x, mirroring: {mode: All, count: 2}",
        "mode Exactly go together",
    ),
    (
        "clusterRef: {name: orders}, pattern: x, mirroring: {mode: Nodes}",
        "nodes are pods such as",
    ),
    (
        "clusterRef: {name: orders}, pattern: x, mirroring: {mode: Exactly, count: 0}",
        "between 1",
    ),
    (
        "clusterRef: {name: orders}, pattern: x, mirroring: {mode: Some}",
        "supported values: \"All\"",
    ),
    (
        "clusterRef: {name: orders}, pattern: x, mirroring: {mode: All}, definition: {ha-mode: all}",
        "say it in one of them",
    ),
    (
        "clusterRef: {name: orders}, pattern: x, applyTo: exchanges, mirroring: {mode: All}",
        "mirroring is for queues",
    ),
];

fn refusals() -> Outcome {
    for (spec, words) in WRONG {
        let manifest =
            format!("apiVersion: warren.dev/v1alpha1\nkind: Policy\nmetadata: {{name: wrong}}\nspec: {{{spec}}}\n");
        says(&apply_refused(&manifest)?.to_lowercase(), &words.to_lowercase())?;
    }
    put(
        "fixed",
        json!({"definition": {"max-length": 1, "anything-new": [1, "two"]}}),
    )?;
    let other = |spec: Value| apply_refused(&policy("fixed", &spec).to_string());
    let reference = json!({"name": CLUSTER});
    let moved = json!({"clusterRef": reference, "vhost": "v", "pattern": "x", "definition": {"max-length": 1}});
    says(&other(moved)?, "vhost cannot change")?;
    let renamed = json!({"clusterRef": reference, "name": "n", "pattern": "x", "definition": {"max-length": 1}});
    says(&other(renamed)?, "name cannot change")?;
    let elsewhere = json!({"clusterRef": {"name": "b"}, "pattern": "x", "definition": {"max-length": 1}});
    says(&other(elsewhere)?, "clusterRef cannot change")?;
    kubectl(&["delete", "rmqpolicy", "fixed", "--timeout=30s"]).map(drop)
}

fn no_cluster() -> Outcome {
    put(
        "early",
        json!({"clusterRef": {"name": "nowhere"}, "mirroring": {"mode": "All"}}),
    )?;
    within(LIMIT, || equal(reason("early", "Applied")?.as_str(), "ClusterMissing"))?;
    says(
        &field("rmqpolicy", "early", "{.status.summary.reason}")?,
        "this waits for it",
    )?;
    kubectl(&["delete", "rmqpolicy", "early", "--timeout=30s"]).map(drop)
}

/// The second document of the example; the cluster is there already.
fn example() -> Outcome {
    let text = std::fs::read_to_string("examples/mirrored.yaml").map_err(|error| error.to_string())?;
    let manifest = text
        .split("---\n")
        .nth(1)
        .ok_or("examples/mirrored.yaml has no second document")?;
    apply(manifest)?;
    in_force("ha-all")?;
    equal(held("ha-all", "pattern")?.as_str(), "^")?;
    equal(held("ha-all", "apply-to")?.as_str(), "queues")?;
    says(&held("ha-all", "definition")?, "\"ha-mode\":\"all\"")?;
    says(&kubectl(&["events", "--for", "policy.warren.dev/ha-all"])?, "PolicySet")
}

fn counted() -> Outcome {
    let told = ctl(&["list_queues", "name", "--formatter", "json"])?;
    let told: Value = serde_json::from_str(&told).map_err(|error| format!("{error}: {told}"))?;
    let queues = told.as_array().map_or(0, Vec::len).to_string();
    within(LIMIT, || {
        equal(
            field("rmqpolicy", "ha-all", "{.status.matched.queues}")?,
            queues.clone(),
        )
    })?;
    let synced = field("rmqpolicy", "ha-all", "{.status.summary.synced}")?;
    let (_, wanted) = synced
        .split_once('/')
        .ok_or_else(|| format!("Synced shows '{synced}'"))?;
    equal(
        field("rmqpolicy", "ha-all", "{.status.mirrors.desired}")?.as_str(),
        wanted,
    )
}

fn drift() -> Outcome {
    ctl(&[
        "set_policy",
        "ha-all",
        "^x",
        r#"{"ha-mode":"exactly","ha-params":2}"#,
        "--priority",
        "7",
    ])?;
    within(LIMIT, || equal(held("ha-all", "pattern")?.as_str(), "^"))?;
    equal(held("ha-all", "priority")?.as_str(), "0")?;
    within(LIMIT, || {
        equal(condition("rmqpolicy", "ha-all", "DriftRepaired")?.as_str(), "True")
    })?;
    let told = about("ha-all", "DriftRepaired", "message")?;
    ["pattern", "priority", "ha-params"]
        .iter()
        .try_for_each(|words| says(&told, words))?;
    ctl(&["clear_policy", "ha-all"])?;
    within(LIMIT, || equal(held("ha-all", "pattern")?.as_str(), "^"))?;
    says(
        &kubectl(&["events", "--for", "policy.warren.dev/ha-all"])?,
        "DriftRepaired",
    )
}

fn changed() -> Outcome {
    kubectl(&[
        "patch",
        "rmqpolicy",
        "ha-all",
        "--type=merge",
        "-p",
        r#"{"spec": {"priority": 4, "definition": {"max-length": 1000}}}"#,
    ])?;
    in_force("ha-all")?;
    equal(held("ha-all", "priority")?.as_str(), "4")?;
    says(&held("ha-all", "definition")?, "\"max-length\":1000")
}

fn refused_by_broker() -> Outcome {
    put("bad-pattern", json!({"pattern": "[", "mirroring": {"mode": "All"}}))?;
    within(LIMIT, || {
        equal(reason("bad-pattern", "Applied")?.as_str(), "RefusedByBroker")
    })?;
    says(
        &about("bad-pattern", "Applied", "message")?,
        "pattern should be regular expression",
    )?;
    put("bad-pattern", json!({"pattern": "^ok$", "mirroring": {"mode": "All"}}))?;
    in_force("bad-pattern")?;
    kubectl(&["delete", "rmqpolicy", "bad-pattern", "--timeout=60s"]).map(drop)
}

fn not_feasible() -> Outcome {
    put("many", json!({"mirroring": {"mode": "Exactly", "count": 9}}))?;
    in_force("many")?;
    within(LIMIT, || equal(reason("many", "Feasible")?.as_str(), "TooFewNodes"))?;
    says(
        &field("rmqpolicy", "many", "{.status.summary.reason}")?,
        "to 9 replicas",
    )?;
    put(
        "many",
        json!({"mirroring": {"mode": "Nodes", "nodes": ["orders-server-1", "orders-server-77"]}}),
    )?;
    within(LIMIT, || equal(reason("many", "Feasible")?.as_str(), "NodesMissing"))?;
    kubectl(&["delete", "rmqpolicy", "many", "--timeout=60s"]).map(drop)
}

fn two_of_one_name() -> Outcome {
    put("older", json!({"name": "shared", "definition": {"max-length": 1}}))?;
    in_force("older")?;
    put("younger", json!({"name": "shared", "definition": {"max-length": 2}}))?;
    within(LIMIT, || equal(reason("younger", "Applied")?.as_str(), "NameTaken"))?;
    says(
        &about("younger", "Applied", "message")?,
        &format!("Policy {NAMESPACE}/older is older"),
    )?;
    says(&held("shared", "definition")?, "\"max-length\":1")?;
    kubectl(&["delete", "rmqpolicy", "older", "--timeout=60s"])?;
    in_force("younger")?;
    says(&held("shared", "definition")?, "\"max-length\":2")?;
    kubectl(&["delete", "rmqpolicy", "younger", "--timeout=60s"])?;
    equal(listed("shared")?, None)
}

fn consent() -> Outcome {
    run("kubectl", &["create", "namespace", OTHER])?;
    let spec = json!({"clusterRef": {"name": CLUSTER, "namespace": NAMESPACE}, "pattern": "^never$", "definition": {"max-length": 3}});
    run_with(
        "kubectl",
        &["-n", OTHER, "apply", "-f", "-"],
        &policy("far", &spec).to_string(),
    )?;
    let why = |wanted: &str| {
        let path = "jsonpath={.status.conditions[?(@.type==\"Applied\")].reason}";
        within(LIMIT, || {
            equal(
                run("kubectl", &["-n", OTHER, "get", "rmqpolicy", "far", "-o", path])?.as_str(),
                wanted,
            )
        })
    };
    why("NotAllowed")?;
    let pods = || {
        field(
            "pods",
            "-l=app.kubernetes.io/instance=orders",
            "{.items[*].metadata.uid}",
        )
    };
    let before = pods()?;
    let allow = format!(r#"{{"spec": {{"policyNamespaces": ["{OTHER}"]}}}}"#);
    kubectl(&["patch", "rmq", CLUSTER, "--type=merge", "-p", &allow])?;
    why("InForce")?;
    says(&held("far", "definition")?, "\"max-length\":3")?;
    equal(pods()?, before)?;
    run("kubectl", &["delete", "namespace", OTHER, "--timeout=120s"])?;
    equal(listed("far")?, None)
}

fn metrics() -> Outcome {
    let path = "/api/v1/namespaces/warren-system/services/warren-operator-metrics:metrics/proxy/metrics";
    let page = run("kubectl", &["get", "--raw", path])?;
    ["set", "changed", "drift_repaired", "cleared"]
        .iter()
        .try_for_each(|kind| {
            says(
                &page,
                &format!("warren_operator_policy_writes_total{{kind=\"{kind}\"}}"),
            )
        })
}

fn deleted() -> Outcome {
    kubectl(&["delete", "rmqpolicy", "ha-all", "--timeout=60s"])?;
    equal(listed("ha-all")?, None)?;
    put(
        "kept",
        json!({"definition": {"max-length": 4}, "deletionPolicy": "Retain"}),
    )?;
    in_force("kept")?;
    kubectl(&["delete", "rmqpolicy", "kept", "--timeout=60s"])?;
    says(&held("kept", "definition")?, "\"max-length\":4")?;
    ctl(&["clear_policy", "kept"])?;
    put("left-over", json!({"definition": {"max-length": 5}}))?;
    in_force("left-over")
}
