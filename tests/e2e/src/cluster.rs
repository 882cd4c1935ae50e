//! The checks of one RabbitCluster, from the manifest of the README to its deletion. They build on each other in this order: a broker
//! is made, used, lost, changed, deleted and made again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::amqp::Login;
use crate::check::{Checks, Outcome, equal, says, within};
use crate::kubectl::{Forward, apply, condition, field, get, kubectl};
use crate::several::Cluster;

const NAME: &str = "hello";
const POD: &str = "hello-server-0";
/// Another one.
const BOOKS: Cluster = Cluster("books");
const READY_LIMIT: Duration = Duration::from_secs(120);
/// How long a program in a pod may take; the handbooks' take half a minute on an idle machine, and others work beside them.
const PROGRAM_LIMIT: Duration = Duration::from_secs(480);
/// How late `kubectl get rmq` may be: the operator hears of a change, and writes it down.
const LATE_LIMIT: Duration = Duration::from_secs(5);

/// Makes the broker.
pub(crate) fn begin(checks: &mut Checks) {
    checks.needed(
        "examples/hello.yaml becomes a broker, called ready when its pod is and not before",
        || {
            truthful(|| {
                apply_hello()?;
                unready()?;
                settled()
            })
        },
    );
}

/// Uses, loses and changes the broker.
pub(crate) fn checks(image: &str, checks: &mut Checks) {
    checks.check("its children have their fixed names", children);
    checks.check("kubectl get rmq shows it", || {
        let line = kubectl(&["get", "rmq", NAME])?;
        ["True", "Running", "1/1"]
            .iter()
            .try_for_each(|words| says(&line, words))
    });
    checks.check("a program outside publishes and takes messages", || {
        with_login(|ann| {
            ann.put("outside", 100)?;
            ann.take("outside", 100)
        })
    });
    checks.check("a program in a pod of its own reaches it by the Service's name", || {
        perf_in_a_pod(image)
    });
    checks.check(
        "its pod, deleted, comes back with every confirmed message, and kubectl get rmq says so meanwhile",
        || {
            with_login(|ann| ann.put("kept", 100))?;
            truthful(lose_the_pod)?;
            with_login(|ann| ann.take("kept", 100))
        },
    );
    checks.check(
        "a changed setting that needs no restart is in force within seconds, in the same pod; a wrong one is refused and changes nothing",
        change_what_needs_no_restart,
    );
    checks.check(
        "a changed setting that needs a restart replaces the pod and is in force",
        change_what_needs_a_restart,
    );
    checks.check("a node has a Service of its own as long as that is asked for", || {
        let per_pod = |wanted: bool| {
            let patch = serde_json::json!({"spec": {"service": {"perPod": wanted}}}).to_string();
            kubectl(&["patch", "rmq", NAME, "--type=merge", "-p", &patch])
        };
        let port = "{.spec.ports[?(@.name==\"amqp\")].port}";
        per_pod(true)?;
        within(READY_LIMIT, || equal(field("service", POD, port)?.as_str(), "5672"))?;
        per_pod(false)?;
        within(READY_LIMIT, || {
            equal(
                kubectl(&["get", "service", POD, "--ignore-not-found", "-o", "name"])?.trim(),
                "",
            )
        })
    });
    checks.check("a deleted child is made again", || {
        kubectl(&["delete", "service", NAME])?;
        within(READY_LIMIT, || {
            field("service", NAME, "{.spec.ports[?(@.name==\"amqp\")].port}").and_then(|port| says(&port, "5672"))
        })
    });
}

/// What foreign programs say of the broker; they take their time, and leave the others theirs.
pub(crate) fn programs(checks: &mut Checks) {
    checks.check("the handbooks' Python programs run in a pod, with pika 1.x", || {
        handbook_in_a_pod("pika-1", NAME)
    });
}

/// The same programs of an older client, which use the same names, at a broker of their own.
pub(crate) fn older_programs(checks: &mut Checks) {
    checks.needed("one more broker is made beside the others", || {
        let manifest = hello()?.replace("name: hello", &format!("name: {}", BOOKS.0));
        apply(&manifest)?;
        let limit = format!("--timeout={}s", READY_LIMIT.as_secs());
        kubectl(&["wait", "--for=condition=Ready", &format!("rmq/{}", BOOKS.0), &limit]).map(drop)
    });
    checks.check("the handbooks' Python programs run in a pod, with pika 0.10", || {
        handbook_in_a_pod("pika-0.10", BOOKS.0)
    });
    checks.check("it goes with its volume", || BOOKS.delete());
}

/// Deletes the broker and makes it again.
pub(crate) fn end(checks: &mut Checks) {
    checks.check(
        "deleted, it leaves its volumes and secrets; applied again, it has the old password and the old messages",
        || {
            let old = password()?;
            with_login(|ann| ann.put("retained", 10))?;
            kubectl(&["delete", "rmq", NAME, "--timeout=90s"])?;
            within(READY_LIMIT, || {
                equal(
                    kubectl(&["get", "pods", "-o", "name", "-l", "app.kubernetes.io/component=broker"])?.trim(),
                    "",
                )
            })?;
            apply_hello()?;
            settled()?;
            equal(password()?, old)?;
            with_login(|ann| ann.take("retained", 10))
        },
    );
}

fn hello() -> Outcome<String> {
    std::fs::read_to_string("examples/hello.yaml").map_err(|error| format!("examples/hello.yaml: {error}"))
}

fn apply_hello() -> Outcome {
    apply(&hello()?).map(drop)
}

/// Waits until the operator has carried out the newest spec.
pub(crate) fn settled() -> Outcome {
    within(READY_LIMIT, || {
        let cluster = get("rmq", NAME)?;
        equal(
            cluster["status"]["observedGeneration"].as_i64(),
            cluster["metadata"]["generation"].as_i64(),
        )?;
        equal(cluster["status"]["phase"].as_str(), Some("Running"))?;
        equal(condition("rmq", NAME, "Ready")?.as_str(), "True")
    })
    .map_err(|reason| format!("{reason}\n{}", story()))
}

/// What a person would look at next.
fn story() -> String {
    let parts: [&[&str]; 3] = [
        &["get", "rmq,pods", "-o", "wide"],
        &["events", "--types=Warning"],
        &["logs", POD, "--tail=20"],
    ];
    parts
        .iter()
        .map(|part| kubectl(part).unwrap_or_else(|error| error))
        .collect()
}

/// Does something while watching that the cluster is never called ready when its pod is not.
fn truthful(deed: impl FnOnce() -> Outcome) -> Outcome {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&done));
        let outcome = deed();
        done.store(true, Ordering::Relaxed);
        let watched = watcher.join().unwrap_or_else(|_| Err("the watcher panicked".into()));
        outcome.and(watched)
    })
}

/// The pod is looked at before and after the cluster: a lie is what neither moment can explain.
fn watch(done: &AtomicBool) -> Outcome {
    let mut lying_since = None;
    let mut looks = 0;
    while !done.load(Ordering::Relaxed) {
        let before = pod_is_ready()?;
        let said = condition("rmq", NAME, "Ready")? == "True";
        let after = pod_is_ready()?;
        looks += 1;
        if !said || before || after {
            lying_since = None;
        } else if lying_since.get_or_insert_with(Instant::now).elapsed() > LATE_LIMIT {
            return Err(format!(
                "called ready for {} s while its pod was not",
                LATE_LIMIT.as_secs()
            ));
        }
    }
    if looks > 0 {
        Ok(())
    } else {
        Err("never looked at".into())
    }
}

/// In one question, since on a busy machine each takes its time.
fn pod_is_ready() -> Outcome<bool> {
    let path = "{.status.conditions[?(@.type==\"Ready\")].status}{.metadata.deletionTimestamp}";
    Ok(field("pod", POD, path)? == "True")
}

/// Waits until the cluster is called not ready.
fn unready() -> Outcome {
    within(READY_LIMIT, || match condition("rmq", NAME, "Ready")?.as_str() {
        "True" => Err("still called ready".into()),
        _ => Ok(()),
    })
}

fn lose_the_pod() -> Outcome {
    let old = field("pod", POD, "{.metadata.uid}")?;
    kubectl(&["delete", "pod", POD, "--wait=false"])?;
    unready()?;
    settled()?;
    if field("pod", POD, "{.metadata.uid}")? == old {
        Err("it is the old pod".into())
    } else {
        Ok(())
    }
}

fn children() -> Outcome {
    let children = [
        "statefulset/hello-server",
        "service/hello",
        "service/hello-nodes",
        "secret/hello-cookie",
        "secret/hello-default-user",
        "configmap/hello-config",
        "serviceaccount/hello-server",
        "poddisruptionbudget/hello-server",
    ];
    children.iter().try_for_each(|child| kubectl(&["get", child]).map(drop))
}

fn secret(key: &str) -> Outcome<String> {
    let template = format!("go-template={{{{index .data \"{key}\" | base64decode}}}}");
    kubectl(&["get", "secret", "hello-default-user", "-o", &template])
}

fn password() -> Outcome<String> {
    secret("password")
}

/// Gives a login through the Service with what the secret says.
fn with_login<T>(talk: impl FnOnce(&Login) -> Outcome<T>) -> Outcome<T> {
    let forward = Forward::to(NAME, 5672)?;
    let (user, password) = (secret("username")?, password()?);
    talk(&Login {
        host: "127.0.0.1",
        port: forward.port,
        user: &user,
        password: &password,
    })
}

/// As an application would: the address comes from the secret.
fn perf_in_a_pod(image: &str) -> Outcome {
    let load = [
        "perf",
        "--uri",
        "$(AMQP_URL)",
        "--duration",
        "3",
        "--in-flight",
        "1000",
        "--prefetch",
        "500",
    ];
    in_a_pod(("perf", NAME), image, &load, &[])
}

/// The programs bring their own judge; they run under the pika of today and under that of 2015.
fn handbook_in_a_pod(pika: &str, cluster: &str) -> Outcome {
    let image = std::env::var("WARREN_PYTHON_IMAGE").unwrap_or_else(|_| "localhost/warren-python:dev".into());
    let path = format!("/{pika}");
    let name = pika.replace('.', "-");
    in_a_pod(
        (&name, cluster),
        &image,
        &["/programs/handbook_suite.py"],
        &[("PYTHONPATH", &path), ("PROGRAM_PATH", &path)],
    )
}

/// Runs a program in a pod of its own, with the broker's address in `AMQP_URL`, and waits for it to succeed.
fn in_a_pod((name, cluster): (&str, &str), image: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
    let address = json!({"name": "AMQP_URL", "valueFrom": {"secretKeyRef": {"name": format!("{cluster}-default-user"), "key": "connection_string"}}});
    let given = environment
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}));
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": true, "runAsUser": 999, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "program", "image": image, "imagePullPolicy": "IfNotPresent", "args": arguments,
                "env": std::iter::once(address).chain(given).collect::<Vec<_>>(),
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    });
    kubectl(&["delete", "pod", name, "--ignore-not-found"])?;
    apply(&pod.to_string())?;
    let ended = within(PROGRAM_LIMIT, || {
        match field("pod", name, "{.status.phase}")?.as_str() {
            phase @ ("Succeeded" | "Failed") => Ok(phase.to_owned()),
            phase => Err(phase.to_owned()),
        }
    });
    equal(ended?.as_str(), "Succeeded")
        .map_err(|reason| format!("{reason}\n{}", kubectl(&["logs", name]).unwrap_or_default()))
}

fn configure(lines: &str) -> Outcome {
    let patch = serde_json::json!({"spec": {"config": lines}}).to_string();
    kubectl(&["patch", "rmq", NAME, "--type=merge", "-p", &patch]).map(drop)
}

/// The broker offers what the new lines say, and is the same process.
fn change_what_needs_no_restart() -> Outcome {
    let process = || -> Outcome<String> {
        let (pod, restarts) = ("{.metadata.uid}", "{.status.containerStatuses[0].restartCount}");
        Ok(field("pod", POD, pod)? + &field("pod", POD, restarts)?)
    };
    let before = process()?;
    configure("# fewer\nchannel_max = 77\n")?;
    within(READY_LIMIT, || with_login(|ann| equal(ann.channel_max()?, 77)))?;
    settled()?;
    says(
        &kubectl(&["events", "--for=rmq/hello"])?,
        "in force without a restart: channel_max",
    )?;
    configure("channel_max = many\n")?;
    within(READY_LIMIT, || {
        let told = "{.status.conditions[?(@.type==\"ReconcileSuccess\")]['reason', 'message']}";
        let told = field("rmq", NAME, told)?;
        says(&told, "ConfigRefused").and_then(|()| says(&told, "channel_max = many"))
    })?;
    configure("channel_max = 78\n")?;
    within(READY_LIMIT, || with_login(|ann| equal(ann.channel_max()?, 78)))?;
    settled()?;
    equal(process()?, before)
}

fn change_what_needs_a_restart() -> Outcome {
    let old = field("pod", POD, "{.metadata.uid}")?;
    configure("channel_max = 79\ntcp_listen_options.backlog = 64\n")?;
    settled()?;
    if field("pod", POD, "{.metadata.uid}")? == old {
        return Err("the pod was not replaced".into());
    }
    with_login(|ann| equal(ann.channel_max()?, 79))
}
