//! Asks and tells Kubernetes by kubectl, as a person would. It judges nothing.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Where the cluster of the campaign lives.
pub(super) const NAMESPACE: &str = "warren-soak";
/// Where the operator lives, the same place as in `make demo`.
pub(super) const SYSTEM: &str = "warren-system";
/// How soon it is looked again.
const LOOK: Duration = Duration::from_millis(500);

/// Runs kubectl in the namespace; what it printed.
pub(super) fn kubectl(arguments: &[&str]) -> Result<String> {
    run(&[&["-n", NAMESPACE], arguments].concat(), "")
}

/// The same in the operator's namespace.
pub(super) fn in_system(arguments: &[&str]) -> Result<String> {
    run(&[&["-n", SYSTEM], arguments].concat(), "")
}

/// Applies a manifest.
pub(super) fn apply(manifest: &str) -> Result<()> {
    run(&["-n", NAMESPACE, "apply", "-f", "-"], manifest).map(drop)
}

/// Runs a command of the broker in a pod.
pub(super) fn ctl(pod: &str, arguments: &[&str]) -> Result<String> {
    kubectl(&[&["exec", pod, "--", "rabbitmqctl", "-q"], arguments].concat())
}

fn run(arguments: &[&str], input: &str) -> Result<String> {
    let mut child = Command::new("kubectl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run kubectl")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("kubectl {}: {}", arguments.join(" "), errors.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The object; null if there is none.
pub(super) fn get(kind: &str, name: &str) -> Result<Value> {
    let text = kubectl(&["get", kind, name, "--ignore-not-found", "-o", "json"])?;
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).with_context(|| format!("{kind} {name}"))
}

/// Asks again and again until there is no objection; whoever cannot be asked objects as well.
pub(super) fn within(limit: Duration, mut objection: impl FnMut() -> Result<Option<String>>) -> Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        let why = match objection() {
            Ok(None) => return Ok(()),
            Ok(Some(why)) => why,
            Err(error) => format!("{error:#}"),
        };
        if Instant::now() > deadline {
            bail!("not within {} s: {why}", limit.as_secs());
        }
        sleep(LOOK);
    }
}
