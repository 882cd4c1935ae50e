//! Asks and tells Kubernetes through kubectl, as a person would. What does not name another namespace goes to one, whose pods Kubernetes itself
//! holds to the `restricted` standard.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::check::Outcome;
use crate::run::{refused, run, run_with};

/// Where the brokers of these checks live.
pub(crate) const NAMESPACE: &str = "warren-e2e";

/// Runs kubectl in the namespace.
pub(crate) fn kubectl(arguments: &[&str]) -> Outcome<String> {
    run("kubectl", &in_namespace(arguments))
}

/// Applies a manifest.
pub(crate) fn apply(manifest: &str) -> Outcome<String> {
    run_with("kubectl", &in_namespace(&["apply", "-f", "-"]), manifest)
}

/// Applies a manifest that must be refused; what was said about it.
pub(crate) fn apply_refused(manifest: &str) -> Outcome<String> {
    refused(
        "kubectl",
        &in_namespace(&["apply", "--dry-run=server", "-f", "-"]),
        manifest,
    )
}

/// The object as JSON.
pub(crate) fn get(kind: &str, name: &str) -> Outcome<Value> {
    serde_json::from_str(&kubectl(&["get", kind, name, "-o", "json"])?).map_err(|error| error.to_string())
}

/// What a JSONPath finds in the object, as text; nothing if there is no such object.
pub(crate) fn field(kind: &str, name: &str, path: &str) -> Outcome<String> {
    kubectl(&[
        "get",
        kind,
        name,
        "--ignore-not-found",
        "-o",
        &format!("jsonpath={path}"),
    ])
}

/// Status of a condition: `True`, `False`, `Unknown`, or nothing.
pub(crate) fn condition(kind: &str, name: &str, condition: &str) -> Outcome<String> {
    field(
        kind,
        name,
        &format!("{{.status.conditions[?(@.type==\"{condition}\")].status}}"),
    )
}

fn in_namespace<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    ["-n", NAMESPACE].into_iter().chain(arguments.iter().copied()).collect()
}

/// A local port that leads to a Service or a pod for as long as this lives.
pub(crate) struct Forward {
    child: Child,
    // kubectl tells of each connection here, and dies if nobody holds the other end.
    _out: BufReader<ChildStdout>,
    /// The local port.
    pub(crate) port: u16,
}

impl Forward {
    /// Leads to the port of the Service.
    pub(crate) fn to(service: &str, port: u16) -> Outcome<Self> {
        Self::open(NAMESPACE, &format!("service/{service}"), port)
    }

    /// Leads to the port of the pod.
    pub(crate) fn to_pod(pod: &str, port: u16) -> Outcome<Self> {
        Self::open(NAMESPACE, &format!("pod/{pod}"), port)
    }

    /// Leads to a port of what is in this namespace, such as `service/orders`.
    pub(crate) fn open(namespace: &str, target: &str, port: u16) -> Outcome<Self> {
        let port = format!(":{port}");
        let child = Command::new("kubectl")
            .args(["-n", namespace, "port-forward", "--address", "127.0.0.1", target, &port])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.map_err(|error| format!("cannot run kubectl: {error}"))?;
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().ok_or("kubectl has no standard output")?);
        out.read_line(&mut line).map_err(|error| error.to_string())?;
        // "Forwarding from 127.0.0.1:40001 -> 5672"
        let local = line
            .split("127.0.0.1:")
            .nth(1)
            .and_then(|rest| rest.split(' ').next()?.parse().ok());
        let forward = Self {
            child,
            _out: out,
            port: local.unwrap_or_default(),
        };
        if forward.port == 0 {
            Err(format!("kubectl port-forward said: {line}"))
        } else {
            Ok(forward)
        }
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        // It may have ended by itself, with the pod it led to.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
