//! The namespace in which one example lives, and what is asked and told there. Its pods are held to the `restricted` standard.

use std::time::Duration;

use serde_json::Value;

use crate::amqp::Login;
use crate::check::{Outcome, equal, within};
use crate::kubectl::Forward;
use crate::run::{refused, run, run_with};

/// Pods of brokers.
const BROKERS: &str = "app.kubernetes.io/component=broker";
/// How long they may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// A namespace of its own.
pub(super) struct Place {
    /// Its name.
    pub(super) namespace: String,
}

impl Place {
    /// That of this file, which may not be there.
    pub(super) fn of(file: &str) -> Self {
        let namespace = format!("example-{file}");
        Self { namespace }
    }

    /// Makes it for this file; what an interrupted run left there goes first.
    pub(super) fn make(file: &str) -> Outcome<Self> {
        let place = Self::of(file);
        place.remove()?;
        place.gone()?;
        run("kubectl", &["create", "namespace", &place.namespace])?;
        let restricted = "pod-security.kubernetes.io/enforce=restricted";
        run("kubectl", &["label", "namespace", &place.namespace, restricted])?;
        Ok(place)
    }

    /// Runs kubectl there.
    pub(super) fn kubectl(&self, arguments: &[&str]) -> Outcome<String> {
        run("kubectl", &self.here(arguments))
    }

    /// Runs kubectl, which must refuse; what it said.
    pub(super) fn kubectl_refused(&self, arguments: &[&str]) -> Outcome<String> {
        refused("kubectl", &self.here(arguments), "")
    }

    /// Applies these objects.
    pub(super) fn apply(&self, objects: &str) -> Outcome {
        run_with("kubectl", &self.here(&["apply", "-f", "-"]), objects).map(drop)
    }

    /// Deletes these objects, all of which must be there.
    pub(super) fn delete(&self, objects: &str) -> Outcome {
        run_with("kubectl", &self.here(&["delete", "--timeout=120s", "-f", "-"]), objects).map(drop)
    }

    fn here<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        ["-n", &self.namespace]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect()
    }

    /// Waits until every cluster is ready as it was asked for, and every policy is in force.
    pub(super) fn ready(&self, limit: Duration) -> Outcome {
        within(limit, || {
            let told = self.kubectl(&["get", "rmq,rmqpolicy", "-o", "json"])?;
            let told: Value = serde_json::from_str(&told).map_err(|error| error.to_string())?;
            let objects = told["items"].as_array().ok_or("no list")?;
            objects.iter().try_for_each(is_ready)
        })
    }

    /// Names of the clusters.
    pub(super) fn clusters(&self) -> Outcome<Vec<String>> {
        let names = self.kubectl(&["get", "rmq", "-o", "jsonpath={.items[*].metadata.name}"])?;
        match names.split_whitespace().map(str::to_owned).collect::<Vec<_>>() {
            names if names.is_empty() => Err("there is no RabbitCluster".into()),
            names => Ok(names),
        }
    }

    /// What the Secret holds under this key.
    pub(super) fn secret(&self, name: &str, key: &str) -> Outcome<String> {
        let template = format!("go-template={{{{index .data \"{key}\" | base64decode}}}}");
        self.kubectl(&["get", "secret", name, "-o", &template])
    }

    /// What the command line in the first pod prints.
    pub(super) fn ctl(&self, cluster: &str, arguments: &[&str]) -> Outcome<String> {
        let pod = format!("{cluster}-server-0");
        self.kubectl(&[&["exec", &pod, "-c", "broker", "--", "rabbitmqctl", "-q"], arguments].concat())
    }

    /// Gives a login through the Service, as the first user.
    pub(super) fn login<T>(&self, cluster: &str, talk: impl FnOnce(&Login) -> Outcome<T>) -> Outcome<T> {
        let forward = self.forward(cluster, 5672)?;
        let secret = format!("{cluster}-default-user");
        let (user, password) = (self.secret(&secret, "username")?, self.secret(&secret, "password")?);
        talk(&Login {
            host: "127.0.0.1",
            port: forward.port,
            user: &user,
            password: &password,
        })
    }

    /// Leads to a port of the Service.
    pub(super) fn forward(&self, service: &str, port: u16) -> Outcome<Forward> {
        Forward::open(&self.namespace, &format!("service/{service}"), port)
    }

    /// What a person would look at next.
    pub(super) fn story(&self) -> String {
        let parts: [&[&str]; 3] = [
            &["get", "rmq,rmqpolicy,pods", "-o", "wide"],
            &["get", "rmq", "-o", "jsonpath={.items[*].status.conditions[*].message}"],
            &["events", "--types=Warning"],
        ];
        parts
            .iter()
            .map(|part| self.kubectl(part).unwrap_or_else(|error| error) + "\n")
            .collect()
    }

    /// Removes what is in it, and has Kubernetes remove the rest; nothing where there is none.
    pub(super) fn remove(&self) -> Outcome {
        if self.kubectl(&["get", "namespace", &self.namespace]).is_err() {
            return Ok(());
        }
        // Where a check has failed they are still there: what protects them from mistakes, and what waits for their brokers, goes first.
        for name in self.kubectl(&["get", "rmq", "-o", "name"])?.lines() {
            let unprotected = r#"{"spec":{"deletionProtection":false}}"#;
            self.kubectl(&["patch", name, "--type=merge", "-p", unprotected])?;
        }
        self.kubectl(&["delete", "rmqpolicy,rmq", "--all", "--timeout=120s"])?;
        // A namespace that has pods is looked at again when half of the time is over that they may take to stop.
        within(STOP_LIMIT, || {
            equal(self.kubectl(&["get", "pods", "-l", BROKERS, "-o", "name"])?.trim(), "")
        })?;
        run("kubectl", &["delete", "namespace", &self.namespace, "--wait=false"]).map(drop)
    }

    /// Waits until nothing of it is left.
    pub(super) fn gone(&self) -> Outcome {
        let namespace = format!("namespace/{}", self.namespace);
        run("kubectl", &["wait", "--for=delete", &namespace, "--timeout=120s"]).map(drop)
    }
}

/// A cluster that is what was asked for and takes clients, or a policy that is in force.
fn is_ready(object: &Value) -> Outcome {
    let (name, status) = (
        object["metadata"]["name"].as_str().unwrap_or_default(),
        &object["status"],
    );
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let told = |wanted: &str| {
        let mut conditions = conditions.clone().filter(|condition| condition["type"] == wanted);
        conditions.next().map(|condition| condition["status"] == "True")
    };
    let wanted: &[&str] = match object["kind"].as_str() {
        Some("Policy") => &["Applied"],
        _ => &["Ready", "Available", "Clustered", "ReconcileSuccess"],
    };
    equal(
        status["observedGeneration"].as_i64(),
        object["metadata"]["generation"].as_i64(),
    )
    .map_err(|reason| format!("{name}: {reason}"))?;
    match wanted.iter().find(|wanted| told(wanted) != Some(true)) {
        None => Ok(()),
        Some(missing) => Err(format!("{name} is not {missing}: {}", status["conditions"])),
    }
}
