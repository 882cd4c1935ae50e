//! What an example needs before it is applied, as its head says: classes, certificates, a server. Where an example asks for more than a machine for
//! tests has (processors, cert-manager, a server of a company) it is changed in that place alone.

use serde_json::{Value, json};

use super::place::Place;
use super::tls;
use crate::check::Outcome;
use crate::run::{run, run_with};
use crate::spec;

/// Fast volumes.
const CLASS: &str = "fast";
/// Made beforehand: one example shows it and another uses it.
const PRIORITY: &str = "brokers";
/// What machines that are kept for brokers are called by.
const TAINT: &str = "dedicated=brokers:NoSchedule";
const LABEL: &str = "disk=ssd";

/// What several examples need, and was not there.
#[derive(Default)]
pub(super) struct Shared {
    made: Vec<String>,
}

impl Shared {
    /// Makes what is missing.
    pub(super) fn make() -> Outcome<Self> {
        let mut shared = Self::default();
        for (name, object) in [
            (format!("storageclass/{CLASS}"), fast_class()?),
            (format!("priorityclass/{PRIORITY}"), priority_class()?),
            (
                "crd/servicemonitors.monitoring.coreos.com".into(),
                spec::kind("ServiceMonitor", "servicemonitors").to_string(),
            ),
            (
                "crd/prometheusrules.monitoring.coreos.com".into(),
                spec::kind("PrometheusRule", "prometheusrules").to_string(),
            ),
        ] {
            if run("kubectl", &["get", &name]).is_err() {
                run_with("kubectl", &["apply", "-f", "-"], &object)?;
                shared.made.push(name);
            }
        }
        Ok(shared)
    }

    /// Takes away what it has made.
    pub(super) fn remove(&self) {
        for name in &self.made {
            if let Err(reason) = run("kubectl", &["delete", name, "--ignore-not-found", "--timeout=60s"]) {
                eprintln!("not all was taken away: {reason}");
            }
        }
    }
}

/// The default class by another name.
fn fast_class() -> Outcome<String> {
    let classes = run("kubectl", &["get", "storageclass", "-o", "json"])?;
    let classes: Value = serde_json::from_str(&classes).map_err(|error| error.to_string())?;
    let classes = classes["items"].as_array().into_iter().flatten();
    let mut class = classes
        .filter(|class| class["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true")
        .cloned();
    let mut class = class.next().ok_or("there is no default StorageClass")?;
    class["metadata"] = json!({"name": CLASS});
    Ok(class.to_string())
}

fn priority_class() -> Outcome<String> {
    let file = "examples/priority-class.yaml";
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let class = text.split("---\n").next().unwrap_or_default();
    Ok(class.to_owned())
}

/// Makes what this file needs; the file as it can be applied there.
pub(super) fn meet(place: &Place, file: &str, text: String) -> Outcome<String> {
    match file {
        "production" => {
            tls::serve(
                place,
                "business-tls",
                &["business".into(), format!("business.{}.svc", place.namespace)],
            )?;
            // Six processors that nobody else uses.
            Ok(changed(&text, "cpu: \"2\"", "cpu: 50m")?)
        }
        "tls" => {
            tls::serve(place, "orders-tls", &[format!("orders.{}.svc", place.namespace)])?;
            Ok(text)
        }
        "mutual-tls" => {
            let (certificate, rest) = text.split_once("---\n").ok_or("it has no second document")?;
            let certificate = changed(certificate, ".default.", &format!(".{}.", place.namespace))?;
            tls::serve(place, "orders-tls", &listed(&certificate, "dnsNames: [")?)?;
            tls::clients(place, "clients-ca", "shop")?;
            Ok(rest.to_owned())
        }
        "import-https" => {
            let host = format!("config.{}.svc", place.namespace);
            let authority = tls::config_server(place, &host)?;
            let text = changed(&text, "config.example.com", &host)?;
            with_authority(&text, &authority)
        }
        "tolerations" => {
            let machine = run(
                "kubectl",
                &["get", "nodes", "-o", "jsonpath={.items[-1:].metadata.name}"],
            )?;
            run("kubectl", &["label", "node", &machine, LABEL, "--overwrite"])?;
            run("kubectl", &["taint", "node", &machine, TAINT, "--overwrite"])?;
            Ok(text)
        }
        _ => Ok(text),
    }
}

/// Every machine is for everybody again.
pub(super) fn share_machines() -> Outcome {
    let (label, taint) = (LABEL.split('=').next().unwrap_or_default(), format!("{TAINT}-"));
    run("kubectl", &["label", "nodes", "--all", &format!("{label}-")])?;
    // It is an error where no machine has it.
    drop(run("kubectl", &["taint", "nodes", "--all", &taint]));
    Ok(())
}

fn changed(text: &str, old: &str, new: &str) -> Outcome<String> {
    if text.contains(old) {
        Ok(text.replace(old, new))
    } else {
        Err(format!(
            "the example has no '{old}' any more, which had to become '{new}'"
        ))
    }
}

/// The words of a list that stands in one line.
fn listed(text: &str, begin: &str) -> Outcome<Vec<String>> {
    let list = text.split(begin).nth(1).and_then(|rest| rest.split(']').next());
    let list = list.ok_or_else(|| format!("the example has no '{begin}'"))?;
    Ok(list
        .split(',')
        .map(|name| name.trim().trim_matches('"').to_owned())
        .collect())
}

fn with_authority(text: &str, authority: &str) -> Outcome<String> {
    let begin = "    -----BEGIN CERTIFICATE-----\n";
    let (before, rest) = text
        .split_once(begin)
        .ok_or("the example holds no place for a certificate")?;
    let (_, after) = rest
        .split_once("-----END CERTIFICATE-----\n")
        .ok_or("the example's certificate has no end")?;
    let lines: String = authority.lines().map(|line| format!("    {line}\n")).collect();
    Ok(format!("{before}{lines}{after}"))
}
