//! What a spec can ask for besides nodes, and what becomes of a wrong one: definitions, changes of the pods, alerts where the Prometheus Operator is
//! there; an image that does not exist and resources that nobody has, which a reverted spec forgets. And what the operator never does: write
//! when nothing has changed, or use a right that it does not need.

use std::time::Duration;

use serde_json::{Value, json};

use crate::check::{Checks, Outcome, equal, says, within};
use crate::cluster::settled;
use crate::kubectl::{NAMESPACE, apply, condition, field, get, kubectl};
use crate::run::{run, run_with};

const NAME: &str = "hello";
const POD: &str = "hello-server-0";
const SYSTEM: &str = "warren-system";
const LIMIT: Duration = Duration::from_secs(120);
/// The operator looks at what no watch tells of once a minute.
const LOOK_LIMIT: Duration = Duration::from_secs(150);

/// Makes the checks for which nothing else may go on.
pub(crate) fn quiet(checks: &mut Checks) {
    checks.check("the API server takes every example", examples);
    checks.check("the operator may do what it does, and nothing else", rights);
    checks.check(
        "while nothing changes, nothing is written, however often the operator looks",
        silence,
    );
}

/// Makes the others on the running cluster of one node, and leaves it as it was.
pub(crate) fn checks(image: &str, checks: &mut Checks) {
    checks.check(
        "definitions that are missing are named and change nothing; when they are there they are imported",
        definitions,
    );
    checks.check(
        "the first user is there beside imported definitions, and labels of the user are on the pod",
        || {
            says(&ctl(&["list_users"])?, "default_user_")?;
            equal(field("pod", POD, "{.metadata.labels.team}")?.as_str(), "e2e")
        },
    );
    checks.check(
        "where the Prometheus Operator is, nodes are scraped and alerts made",
        monitoring,
    );
    checks.check("a cluster that helm has installed passes its chart's test", || {
        by_helm(image)
    });
    checks.check(
        "an image that does not exist is named, and a reverted spec recovers",
        || {
            let image = r#"{"image": {"tag": "no-such-version", "pullPolicy": "Never"}}"#;
            wrong_spec(image, "ErrImageNeverPull", r#"{"image": null}"#)
        },
    );
    checks.check(
        "what Kubernetes itself refuses is told with its words, waits for another spec, and is forgotten with it",
        refused_by_kubernetes,
    );
    checks.check("an alarm is told while publishers wait for its end", alarm);
    checks.check(
        "a pod that Kubernetes refuses to make is told with the reason, and a reverted spec recovers",
        || {
            let class = r#"{"scheduling": {"priorityClassName": "no-such-class"}}"#;
            wrong_spec(
                class,
                "no PriorityClass with name no-such-class",
                r#"{"scheduling": null}"#,
            )
        },
    );
    checks.check(
        "resources that no machine has are named, and a reverted spec recovers",
        || {
            wrong_spec(
                r#"{"resources": {"requests": {"cpu": "1000"}}}"#,
                "Unschedulable",
                r#"{"resources": {"requests": {"cpu": "50m"}}}"#,
            )
        },
    );
}

/// The chart of a cluster, with its own test.
fn by_helm(image: &str) -> Outcome {
    let image = format!("test.image={image}");
    let values = r#"cluster={"replicas": 1, "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}, "persistence": {"storage": "1Gi", "retention": {"whenDeleted": "Delete"}}}"#;
    let release = [
        "upgrade",
        "--install",
        "released",
        "charts/warren-cluster",
        "-n",
        NAMESPACE,
    ];
    run(
        "helm",
        &[&release[..], &["--set-json", values, "--set", &image]].concat(),
    )?;
    let tested = kubectl(&["wait", "--for=condition=Ready", "rmq/released", "--timeout=120s"])
        .and_then(|_| run("helm", &["test", "released", "-n", NAMESPACE, "--timeout=2m"]));
    run("helm", &["uninstall", "released", "-n", NAMESPACE, "--wait"])?;
    tested.map(drop)
}

fn refused_by_kubernetes() -> Outcome {
    let told = |path: &str| field("rmq", NAME, &format!("{{.status.conditions{path}}}"));
    let old = field("pod", POD, "{.metadata.uid}")?;
    patch(r#"{"service": {"labels": {"a b": "c"}}}"#)?;
    within(LIMIT, || {
        equal(
            told("[?(@.type==\"Stalled\")]['status', 'reason']")?.as_str(),
            "True SpecRefused",
        )?;
        says(
            &told("[?(@.type==\"ReconcileSuccess\")].message")?,
            "cannot apply Service hello",
        )
    })?;
    patch(r#"{"service": {"labels": null}}"#)?;
    settled()?;
    equal(condition("rmq", NAME, "Stalled")?.as_str(), "False")?;
    equal(field("pod", POD, "{.metadata.uid}")?, old)
}

fn alarm() -> Outcome {
    patch(r#"{"config": "vm_memory_high_watermark.absolute = 1MB"}"#)?;
    let told = within(LIMIT, || {
        let path = "{.status.phase} {.status.conditions[?(@.type==\"Degraded\")].reason}";
        equal(field("rmq", NAME, path)?.as_str(), "Degraded NodeHasAlarm")
    });
    patch(r#"{"config": null}"#)?;
    settled()?;
    told
}

fn patch(spec: &str) -> Outcome {
    let patch = format!("{{\"spec\": {spec}}}");
    kubectl(&["patch", "rmq", NAME, "--type=merge", "-p", &patch]).map(drop)
}

fn ctl(arguments: &[&str]) -> Outcome<String> {
    kubectl(&[&["exec", POD, "--", "rabbitmqctl", "-q"], arguments].concat())
}

/// All but what cert-manager would have to take.
fn examples() -> Outcome {
    let files = std::fs::read_dir("examples").map_err(|error| format!("examples: {error}"))?;
    let mut pages = Vec::new();
    for file in files {
        let path = file.map_err(|error| error.to_string())?.path();
        if path.extension().is_some_and(|end| end == "yaml") {
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            pages.extend(text.split("---\n").map(str::to_owned));
        }
    }
    pages.retain(|page| !page.contains("cert-manager.io/v1\n"));
    let taken = run_with(
        "kubectl",
        &["-n", NAMESPACE, "apply", "--dry-run=server", "-o", "name", "-f", "-"],
        &pages.join("---\n"),
    )?;
    let clusters = taken.lines().filter(|line| line.starts_with("rabbitcluster")).count();
    if clusters > 20 {
        Ok(())
    } else {
        Err(format!("only {clusters} clusters were taken:\n{taken}"))
    }
}

/// Verb, group, resource and subresource, and whether the operator may.
const RIGHTS: [(&str, &str, &str, &str, bool); 29] = [
    ("watch", "warren.dev", "rabbitclusters", "", true),
    ("patch", "warren.dev", "rabbitclusters", "status", true),
    ("patch", "warren.dev", "rabbitclusters", "", false),
    ("delete", "warren.dev", "rabbitclusters", "", false),
    ("delete", "warren.dev", "policies", "", false),
    ("get", "", "secrets", "", true),
    ("list", "", "secrets", "", false),
    ("watch", "", "secrets", "", false),
    ("delete", "", "secrets", "", false),
    ("delete", "", "pods", "", true),
    ("patch", "", "pods", "", true),
    ("create", "", "pods", "", false),
    ("list", "", "events", "", true),
    ("watch", "", "events", "", false),
    ("create", "", "pods", "exec", false),
    ("create", "", "pods", "attach", false),
    ("create", "", "pods", "portforward", false),
    ("create", "", "serviceaccounts", "token", false),
    ("patch", "apps", "statefulsets", "", true),
    ("delete", "apps", "statefulsets", "", true),
    ("patch", "apps", "deployments", "", false),
    ("patch", "monitoring.coreos.com", "prometheusrules", "", true),
    ("get", "", "nodes", "", false),
    ("create", "", "namespaces", "", false),
    ("create", "rbac.authorization.k8s.io", "roles", "", false),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings", "", false),
    ("patch", "apiextensions.k8s.io", "customresourcedefinitions", "", false),
    ("impersonate", "", "users", "", false),
    ("*", "*", "*", "", false),
];

/// The API server itself is asked, in one request.
fn rights() -> Outcome {
    let reviews = RIGHTS.map(|(verb, group, resource, subresource, _)| {
        json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": format!("system:serviceaccount:{SYSTEM}:warren-operator"),
                "groups": ["system:serviceaccounts", "system:authenticated"],
                "resourceAttributes": {
                    "namespace": NAMESPACE, "verb": verb, "group": group, "resource": resource, "subresource": subresource,
                },
            },
        })
        .to_string()
    });
    let answers = run_with(
        "kubectl",
        &["create", "-f", "-", "-o", "jsonpath={.status.allowed}{\"\\n\"}"],
        &reviews.join("\n---\n"),
    )?;
    let answers: Vec<_> = answers.lines().map(|line| line == "true").collect();
    equal(answers.len(), RIGHTS.len())?;
    let wrong = RIGHTS.iter().zip(answers).filter(|((.., may), answer)| may != answer);
    let wrong: Vec<_> = wrong
        .map(|((verb, group, resource, sub, _), answer)| format!("{verb} {resource}.{group} {sub}: {answer}"))
        .collect();
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n"))
    }
}

/// Every object of the cluster with the moments of the operator's writes, and the cluster's status. What Kubernetes itself notes beside them (that a pod
/// may be evicted now) is not ours.
fn writes() -> Outcome<String> {
    let times = "{.metadata.managedFields[?(@.manager==\"warren-operator\")].time}";
    let each = format!("{{.kind}} {{.metadata.name}} {{.metadata.uid}} {times}");
    let objects = kubectl(&[
        "get",
        "statefulsets,services,configmaps,serviceaccounts,poddisruptionbudgets,secrets,pods,pvc",
        "-l=app.kubernetes.io/instance=hello",
        "-o",
        &format!("jsonpath={{range .items[*]}}{each}{{\"\\n\"}}{{end}}"),
    ])?;
    says(
        &objects,
        &format!(
            "ConfigMap hello-config {} 2",
            field("configmap", "hello-config", "{.metadata.uid}")?
        ),
    )?;
    Ok(objects + &get("rmq", NAME)?["status"].to_string())
}

/// How many passes there were, as the operator counts them.
fn passes() -> Outcome<u64> {
    let path = format!("/api/v1/namespaces/{SYSTEM}/services/warren-operator-metrics:metrics/proxy/metrics");
    let page = run("kubectl", &["get", "--raw", &path])?;
    let count = page
        .lines()
        .find_map(|line| line.strip_prefix("warren_operator_pass_duration_seconds_count "));
    count
        .and_then(|count| count.parse().ok())
        .ok_or_else(|| format!("no count of passes in\n{page}"))
}

/// An annotation that means nothing is a cause to look.
fn silence() -> Outcome {
    const LOOKS: u64 = 20;
    settled()?;
    let (before, first) = (writes()?, passes()?);
    for look in 0..LOOKS {
        kubectl(&["annotate", "rmq", NAME, "--overwrite", &format!("look={look}")])?;
        within(LIMIT, || {
            let seen = passes()?;
            if seen > first + look {
                Ok(())
            } else {
                Err(format!("{seen} passes, {first} before"))
            }
        })?;
    }
    kubectl(&["annotate", "rmq", NAME, "look-"])?;
    equal(writes()?, before)
}

const DEFINITIONS: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: hello-topology}
data:
  definitions.json: |
    {"vhosts": [{"name": "/"}], "queues": [{"name": "imported", "vhost": "/", "durable": true, "auto_delete": false, "arguments": {}}]}
"#;

fn definitions() -> Outcome {
    let old = field("pod", POD, "{.metadata.uid}")?;
    kubectl(&["delete", "configmap", "hello-topology", "--ignore-not-found"])?;
    patch(
        r#"{"definitions": {"configMapRef": {"name": "hello-topology"}}, "podOverrides": {"metadata": {"labels": {"team": "e2e"}}}}"#,
    )?;
    within(LIMIT, || {
        let path = "{.status.conditions[?(@.type==\"ReconcileSuccess\")].message}";
        says(&field("rmq", NAME, path)?, "there is no ConfigMap hello-topology")
    })?;
    equal(field("pod", POD, "{.metadata.uid}")?, old)?;
    apply(DEFINITIONS)?;
    within(LOOK_LIMIT, || {
        equal(condition("rmq", NAME, "ReconcileSuccess")?.as_str(), "True")?;
        says(&ctl(&["list_queues", "name"])?, "imported")
    })?;
    settled()
}

/// The kinds of the Prometheus Operator as far as it matters who may have them: any content.
pub(crate) fn kind(kind: &str, plural: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.monitoring.coreos.com")},
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": plural.trim_end_matches('s'), "listKind": format!("{kind}List")},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    })
}

fn monitoring() -> Outcome {
    let definitions = [
        "servicemonitors.monitoring.coreos.com",
        "prometheusrules.monitoring.coreos.com",
    ];
    let theirs = run("kubectl", &["get", "crd", definitions[0]]).is_ok();
    if !theirs {
        within(LIMIT, || equal(reason()?.as_str(), "NoApi"))?;
        let kinds = [
            kind("ServiceMonitor", "servicemonitors"),
            kind("PrometheusRule", "prometheusrules"),
        ];
        run_with(
            "kubectl",
            &["apply", "-f", "-"],
            &kinds.map(|kind| kind.to_string()).join("\n---\n"),
        )?;
    }
    let seen = within(LIMIT, || {
        look()?;
        equal(reason()?.as_str(), "Applied")
    });
    let scraped = seen.and_then(|()| {
        let rule = field("prometheusrule", "hello-server", "{.spec.groups[0].rules[*].alert}")?;
        says(&rule, "WarrenNoMajority")?;
        equal(
            field("servicemonitor", "hello-server", "{.spec.endpoints[0].port}")?.as_str(),
            "prometheus",
        )
    });
    if !theirs {
        run("kubectl", &[&["delete", "crd"], &definitions[..]].concat())?;
    }
    scraped
}

fn reason() -> Outcome<String> {
    field("rmq", NAME, "{.status.conditions[?(@.type==\"Monitored\")].reason}")
}

fn look() -> Outcome {
    kubectl(&["annotate", "rmq", NAME, "look=again", "--overwrite"])?;
    kubectl(&["annotate", "rmq", NAME, "look-"]).map(drop)
}

/// A spec that cannot come up is told with the words of Kubernetes, in a condition and an event; the old spec heals.
fn wrong_spec(wrong: &str, words: &str, right: &str) -> Outcome {
    patch(wrong)?;
    let told = within(LIMIT, || {
        equal(condition("rmq", NAME, "Degraded")?.as_str(), "True")?;
        let path = "{.status.conditions[?(@.type==\"Degraded\")].message}";
        says(&field("rmq", NAME, path)?, words)?;
        says(&kubectl(&["events", &format!("--for=rabbitcluster/{NAME}")])?, words)
    });
    patch(right)?;
    settled()?;
    told
}
