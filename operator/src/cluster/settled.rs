//! What the pods were made of when they last ran well, all of them: the part of the spec that is in their template, with the image. It is kept in a
//! ConfigMap of its own, so that `rollback` can make a pass as if the user had never asked for what came after it.
//!
//! Written when a roll has come to rest, and never while one is under way. What is in it was in the spec and in the pods' ConfigMap before: no Secret
//! ever is.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::act::{Error, Hand, failed};
use super::build::child_meta;
use super::image::Reference;
use super::names::{Names, OPERATOR, map};
use super::observe;
use super::situation::{PodSeen, Situation};
use crate::crd::{
    Canary, Image, LoadDefinitions, PullPolicy, RabbitCluster, RabbitClusterSpec, Resources, Scheduling, SecretName,
    Tls,
};

const KEY_PARTS: &str = "pods.json";
const KEY_REVISION: &str = "revision";

/// Of a spec what is in its pods.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Parts {
    image: String,
    pull_policy: PullPolicy,
    pull_secrets: Vec<SecretName>,
    config: Option<String>,
    plugins: Vec<String>,
    definitions: Option<LoadDefinitions>,
    resources: Resources,
    tls: Option<Tls>,
    scheduling: Scheduling,
    termination_grace_period_seconds: i64,
    drain_timeout_seconds: Option<i64>,
    pod_overrides: Option<BTreeMap<String, Value>>,
}

impl Parts {
    /// Those of this spec, whose pods run that image.
    pub fn of(spec: &RabbitClusterSpec, image: &Reference) -> Self {
        Self {
            image: image.to_string(),
            pull_policy: spec.image.pull_policy,
            pull_secrets: spec.image.pull_secrets.clone(),
            config: spec.config.clone(),
            plugins: spec.plugins.clone(),
            definitions: spec.definitions.clone(),
            resources: spec.resources.clone(),
            tls: spec.tls.clone(),
            scheduling: spec.scheduling.clone(),
            termination_grace_period_seconds: spec.termination_grace_period_seconds,
            drain_timeout_seconds: spec.update.drain_timeout_seconds,
            pod_overrides: spec.pod_overrides.clone(),
        }
    }

    /// The spec with these in place of its own.
    pub fn put_into(&self, spec: &RabbitClusterSpec) -> Option<RabbitClusterSpec> {
        let image: Reference = self.image.parse().ok()?;
        let mut spec = RabbitClusterSpec {
            version: None,
            image: Image {
                repository: Some(image.repository),
                tag: image.tag,
                digest: image.digest,
                pull_policy: self.pull_policy,
                pull_secrets: self.pull_secrets.clone(),
            },
            config: self.config.clone(),
            plugins: self.plugins.clone(),
            definitions: self.definitions.clone(),
            resources: self.resources.clone(),
            tls: self.tls.clone(),
            scheduling: self.scheduling.clone(),
            termination_grace_period_seconds: self.termination_grace_period_seconds,
            pod_overrides: self.pod_overrides.clone(),
            ..spec.clone()
        };
        spec.update.drain_timeout_seconds = self.drain_timeout_seconds;
        Some(spec)
    }

    /// A word for them: another when any of them is another.
    pub fn word(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default(); // of plain data: it cannot fail
        let digits = Sha256::digest(text);
        digits.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What all pods last ran well with.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// What they were made of.
    pub parts: Parts,
    /// How Kubernetes calls the template that came of it.
    pub revision: String,
}

impl Settled {
    fn read(kept: &ConfigMap) -> Option<Self> {
        let data = kept.data.as_ref()?;
        Some(Self {
            parts: serde_json::from_str(data.get(KEY_PARTS)?).ok()?,
            revision: data.get(KEY_REVISION)?.clone(),
        })
    }
}

/// The revision that every pod runs well, those of a canary for as long as it is watched.
pub fn revision<'a>(canary: Option<&Canary>, replicas: u32, seen: &'a Situation) -> Option<&'a String> {
    let set = seen
        .set
        .as_ref()
        .filter(|set| replicas > 0 && set.replicas == replicas)?;
    let revision = set.revision.as_ref()?;
    let runs = |pod: &&PodSeen| pod.serves() && pod.revision == *revision && pod.ordinal < replicas;
    let running = || seen.pods.iter().filter(runs);
    let proven = canary.is_none_or(|canary| {
        let count = running().filter(|pod| pod.ready_seconds >= i64::from(canary.pause_seconds));
        count.count() >= usize::try_from(canary.nodes).unwrap_or(0).min(replicas as usize)
    });
    (running().count() == replicas as usize && seen.pods.len() == replicas as usize && proven).then_some(revision)
}

/// What is kept of that very cluster, if anything is.
pub(super) async fn look(client: &Client, cluster: &RabbitCluster) -> Result<Option<Settled>, observe::Error> {
    let name = Names::new(&cluster.name_any()).settled();
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), &cluster.namespace().unwrap_or_default());
    let found = api.get_opt(&name).await;
    let found = found.map_err(|source| observe::failed::<ConfigMap>(&name, source))?;
    let ours = |kept: &ConfigMap| {
        let owners = kept.metadata.owner_references.iter().flatten();
        owners
            .map(|owner| owner.uid.as_str())
            .any(|owner| Some(owner) == cluster.metadata.uid.as_deref())
    };
    Ok(found.filter(ours).as_ref().and_then(Settled::read))
}

impl Hand<'_> {
    /// Keeps it.
    pub(super) async fn settle(&self, settled: &Settled) -> Result<(), Error> {
        let name = self.valid.names.settled();
        let parts = serde_json::to_string(&settled.parts).unwrap_or_default(); // of plain data: it cannot fail
        let kept = ConfigMap {
            metadata: child_meta(self.valid, name.clone()),
            data: Some(map([
                (KEY_PARTS, parts.as_str()),
                (KEY_REVISION, settled.revision.as_str()),
            ])),
            ..ConfigMap::default()
        };
        let api = self.api::<ConfigMap>();
        let parameters = PatchParams::apply(OPERATOR).force();
        let applied = api.patch(&name, &parameters, &Patch::Apply(&kept)).await;
        applied
            .map(drop)
            .map_err(|source| failed(format!("apply ConfigMap {name}"), source))
    }
}
