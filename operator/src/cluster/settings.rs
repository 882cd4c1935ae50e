//! Lines of `spec.config` that restart nobody, since a running node takes them over: which they are, and handing them to the nodes.
//!
//! The ConfigMap has them for pods that start later. Those that run are told on their admin port, which does not wait for the kubelet to bring
//! the file. Each node tells by which word it knows what it was told last, so that whoever takes over from an operator that died knows whom to
//! tell. A file that a node refuses is not written at all, as long as it restarts nobody and so concerns the version that runs.

use std::collections::BTreeSet;

use api::Settings;
use futures::future::join_all;
use hyper::Method;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use sha2::{Digest, Sha256};

use super::build::{Children, config_text, template_config};
use super::nodes;
use super::observe::Found;
use super::secrets::cookies;
use super::situation::{PodSeen, Situation};
use crate::events::Note;
use crate::policy::broker::{self, Brokers};

/// The lines for which pods restart, without comments; what is no setting at all is among them.
pub fn cold(config: &str) -> String {
    let lines = lines(config).filter(|line| !is_hot(line));
    lines.map(|line| format!("{line}\n")).collect()
}

/// What the settings that restart nobody are called: another word when one of them is another.
pub fn word(config: Option<&str>) -> String {
    let mut hash = Sha256::new();
    for line in lines(config.unwrap_or_default()).filter(|line| is_hot(line)) {
        hash.update(line);
        hash.update("\n");
    }
    let digits = hash.finalize();
    digits.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn lines(config: &str) -> impl Iterator<Item = &str> {
    let lines = config.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn is_hot(line: &str) -> bool {
    let key = line.split_once('=').map(|(key, _)| key.trim());
    key.is_some_and(api::is_taken_over_at_once)
}

/// Why a node has not taken them over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Late {
    /// It says what is wrong with them.
    Refuses(String),
    /// It does not answer.
    Silent(String),
}

/// What came of handing them over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandedOver {
    /// Pods whose nodes have yet to take them over, and why; those on an old template are replaced and need not.
    pub behind: Vec<(String, Late)>,
    /// What the user should be told.
    pub notes: Vec<Note>,
}

/// Why nodes that run would not take the new file, if no pod restarts for it and one of them says so.
pub async fn refusal(found: &Found, seen: &Situation, children: &Children) -> Option<String> {
    let set = found.set.as_ref()?;
    let (before, after) = (config_text(found.config.as_ref()?)?, config_text(&children.config)?);
    if before == after || template_config(set) != template_config(&children.server) {
        return None;
    }
    let pods = seen.pods.iter().filter(|pod| pod.serves() && is_current(pod, seen));
    let addresses = pods.filter_map(|pod| nodes::address(live(found, pod)?)).collect();
    match brokers(found, addresses)
        .settings(Method::POST, &asked(after, ""))
        .await
    {
        Err(broker::Error::Refused(why)) => Some(format!("spec.config: {why}")),
        Ok(_) | Err(_) => None, // who does not answer now is told later, and then may refuse it
    }
}

/// Has every node that does not know this word take over what the ConfigMap says.
pub async fn hand_over(found: &Found, seen: &Situation, config: &ConfigMap, word: &str) -> HandedOver {
    let text = config_text(config).unwrap_or_default();
    let lacks = |pod: &&PodSeen| {
        let told = pod.told.as_ref();
        told.is_some_and(|told| told.settings.as_deref() != Some(word))
    };
    let pods = || seen.pods.iter().filter(|pod| !pod.terminating && is_current(pod, seen));
    let told = pods()
        .filter(lacks)
        .filter_map(|pod| Some((pod, nodes::address(live(found, pod)?)?)));
    let told = told.map(|(pod, address)| async move {
        let brokers = brokers(found, vec![address]);
        (pod, brokers.settings(Method::PUT, &asked(text, word)).await)
    });
    let (mut done, mut taken_over) = (HandedOver::default(), Vec::new());
    for (pod, answer) in join_all(told).await {
        match answer {
            Ok(taken) => taken_over.push((pod.name.as_str(), taken)),
            Err(broker::Error::Refused(why)) => done.behind.push((pod.name.clone(), Late::Refuses(why))),
            Err(error) => done.behind.push((pod.name.clone(), Late::Silent(error.to_string()))),
        }
    }
    let in_force = taken_over.iter().map(|(pod, taken)| (*pod, taken.in_force.as_slice()));
    done.notes
        .extend(of_keys("SettingsInForce", "in force without a restart", in_force));
    let waiting = taken_over.iter().map(|(pod, taken)| (*pod, taken.waiting.as_slice()));
    done.notes
        .extend(of_keys("SettingsWait", "waiting for the next start", waiting));
    let unheard = pods().filter(|pod| pod.told.is_none());
    let unheard = unheard.map(|pod| (pod.name.clone(), Late::Silent("it does not tell of itself".into())));
    done.behind.extend(unheard);
    done
}

fn is_current(pod: &PodSeen, seen: &Situation) -> bool {
    let revision = seen.set.as_ref().and_then(|set| set.revision.as_ref());
    revision == Some(&pod.revision)
}

fn live<'a>(found: &'a Found, pod: &PodSeen) -> Option<&'a Pod> {
    found.pods.iter().find(|live| live.uid().as_ref() == Some(&pod.uid))
}

fn brokers(found: &Found, addresses: Vec<String>) -> Brokers {
    Brokers::new(addresses, found.cookie.as_ref().map(cookies).unwrap_or_default())
}

fn asked(text: &str, word: &str) -> Settings {
    Settings {
        text: text.to_owned(),
        word: word.to_owned(),
    }
}

/// One event for all nodes, since those of one reason are folded. Keys that a node reads when it forms a cluster change with that, and tell nobody
/// anything.
fn of_keys<'a>(reason: &str, what: &str, nodes: impl Iterator<Item = (&'a str, &'a [String])>) -> Option<Note> {
    let (mut keys, mut pods) = (BTreeSet::new(), Vec::new());
    for (pod, changed) in nodes {
        let told: Vec<_> = changed
            .iter()
            .filter(|key| !key.starts_with("cluster_formation."))
            .collect();
        if !told.is_empty() {
            pods.push(pod);
        }
        keys.extend(told);
    }
    let keys: Vec<_> = keys.into_iter().map(String::as_str).collect();
    let told = format!("{what}: {} ({})", keys.join(", "), pods.join(", "));
    (!keys.is_empty()).then(|| Note::normal(reason, told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_settings_that_count_at_once_restart_nobody() {
        let before = "# patience\nheartbeat = 30\nnet_ticktime = 7\n";
        let after = "net_ticktime = 7\n\n log.connection.level=debug\nloopback_users.guest = false\n# more";
        assert_eq!(
            (cold(before), cold(after)),
            ("net_ticktime = 7\n".into(), "net_ticktime = 7\n".into())
        );
        assert_ne!(cold(before), cold("net_ticktime = 8"));
        assert_eq!(cold("nonsense"), "nonsense\n", "it is the brokers' to refuse");
    }

    #[test]
    fn settings_that_count_at_once_have_another_word_when_one_is_another() {
        let word = |config: &str| word(Some(config));
        assert_eq!(
            word("heartbeat = 30\nnet_ticktime = 7"),
            word("# x\n heartbeat = 30 \nnet_ticktime = 8")
        );
        assert_ne!(word("heartbeat = 30"), word("heartbeat = 31"));
        assert_eq!(word(""), super::word(None));
        assert_ne!(
            word(""),
            word("heartbeat = 30"),
            "one that was taken away again counts, too"
        );
    }

    #[test]
    fn keys_are_told_once_for_all_nodes_and_what_changes_when_a_cluster_has_formed_to_nobody() {
        let note = |nodes: &[(&str, &[&str])]| {
            let owned: Vec<(&str, Vec<String>)> = nodes
                .iter()
                .map(|(pod, keys)| (*pod, keys.iter().map(|key| (*key).to_owned()).collect()))
                .collect();
            let nodes = owned.iter().map(|(pod, keys)| (*pod, keys.as_slice()));
            of_keys("SettingsInForce", "in force without a restart", nodes).map(|note| note.message)
        };
        assert_eq!(note(&[("pod-0", &["cluster_formation.k8s.ordinal_start"])]), None);
        assert_eq!(
            note(&[
                ("pod-0", &["heartbeat"]),
                ("pod-1", &["frame_max", "heartbeat"]),
                ("pod-2", &[])
            ])
            .unwrap(),
            "in force without a restart: frame_max, heartbeat (pod-0, pod-1)"
        );
    }
}
