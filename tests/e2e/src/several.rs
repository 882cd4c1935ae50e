//! A RabbitCluster of several nodes as the checks see it: its pods, which nodes its command line calls running, logins at it. It makes no check.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use serde_json::Value;

use crate::amqp::Login;
use crate::check::{Outcome, equal, within};
use crate::kubectl::{Forward, condition, field, get, kubectl};

/// How long a change of one may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);

/// One, by its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cluster(pub(crate) &'static str);

impl Cluster {
    /// Name of the pod.
    pub(crate) fn pod(self, ordinal: u32) -> String {
        format!("{}-server-{ordinal}", self.0)
    }

    /// Waits until every node takes clients and knows all the others.
    pub(crate) fn joined(self, nodes: usize) -> Outcome {
        within(LIMIT, || {
            let cluster = get("rmq", self.0)?;
            equal(
                cluster["status"]["observedGeneration"].as_i64(),
                cluster["metadata"]["generation"].as_i64(),
            )?;
            equal(cluster["status"]["phase"].as_str(), Some("Running"))?;
            equal(cluster["status"]["readyReplicas"].as_u64(), Some(nodes as u64))?;
            equal(condition("rmq", self.0, "Clustered")?.as_str(), "True")
        })
        .map_err(|reason| format!("{reason}\n{}", self.story()))
    }

    /// What a person would look at next.
    pub(crate) fn story(self) -> String {
        let told = kubectl(&["get", "rmq", self.0, "-o", "jsonpath={.status.conditions[*].message}"]);
        let pods = kubectl(&["get", "pods", "-o", "wide"]);
        let logs = (0..3).map(|ordinal| kubectl(&["logs", &self.pod(ordinal), "--tail=15"]));
        let parts = [told, pods].into_iter().chain(logs);
        parts.map(|part| part.unwrap_or_else(|error| error) + "\n").collect()
    }

    /// What the command line in that pod prints.
    pub(crate) fn ctl(self, ordinal: u32, arguments: &[&str]) -> Outcome<String> {
        kubectl(&[&["exec", &self.pod(ordinal), "--", "rabbitmqctl", "-q"], arguments].concat())
    }

    /// How many nodes the command line in that pod calls running.
    pub(crate) fn running_nodes(self, ordinal: u32) -> Outcome<usize> {
        let told = self.ctl(ordinal, &["cluster_status", "--formatter", "json"])?;
        let told: Value = serde_json::from_str(&told).map_err(|error| error.to_string())?;
        let nodes = told["running_nodes"].as_array();
        nodes.map(Vec::len).ok_or_else(|| format!("no running_nodes in {told}"))
    }

    /// Gives a login at one node.
    pub(crate) fn at<T>(self, ordinal: u32, talk: impl FnOnce(&Login) -> Outcome<T>) -> Outcome<T> {
        let forward = Forward::to_pod(&self.pod(ordinal), 5672)?;
        self.login(forward.port, talk)
    }

    /// Gives a login at this port of this machine.
    pub(crate) fn login<T>(self, port: u16, talk: impl FnOnce(&Login) -> Outcome<T>) -> Outcome<T> {
        let of = |key: &str| {
            let template = format!("go-template={{{{index .data \"{key}\" | base64decode}}}}");
            kubectl(&["get", "secret", &format!("{}-default-user", self.0), "-o", &template])
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
    pub(crate) fn cluster_id(self) -> Outcome<String> {
        field("rmq", self.0, "{.status.clusterId}")
    }

    /// Of these pods; nothing for those that do not exist.
    pub(crate) fn uids(self, ordinals: Range<u32>) -> Outcome<Vec<String>> {
        let label = format!("app.kubernetes.io/instance={}", self.0);
        let each = "jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{\"\\n\"}{end}";
        let told = kubectl(&["get", "pods", "-l", &label, "-o", each])?;
        let uids: HashMap<_, _> = told.lines().filter_map(|line| line.split_once(' ')).collect();
        let of = |ordinal| uids.get(self.pod(ordinal).as_str()).copied().unwrap_or_default();
        Ok(ordinals.map(|ordinal| of(ordinal).to_owned()).collect())
    }

    /// Asks for so many nodes.
    pub(crate) fn scale(self, nodes: &str) -> Outcome {
        kubectl(&["scale", "rmq", self.0, "--replicas", nodes]).map(drop)
    }

    /// Has every queue mirrored on every node.
    pub(crate) fn mirror_everything(self) -> Outcome {
        let mirrored = r#"{"ha-mode":"all","ha-sync-mode":"automatic"}"#;
        self.ctl(0, &["set_policy", "everything", "^", mirrored]).map(drop)
    }

    /// Deletes it with all that is its own.
    pub(crate) fn delete(self) -> Outcome {
        kubectl(&["delete", "rmq", self.0, "--timeout=90s"])?;
        let label = format!("app.kubernetes.io/instance={}", self.0);
        kubectl(&["delete", "pvc,secret", "-l", &label, "--timeout=60s"]).map(drop)
    }
}
