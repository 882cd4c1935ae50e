//! The writes of a pass, in order: Secrets that were never there, then every child by server-side apply, the StatefulSet last, then
//! volumes that should be larger, then at most one pod is deleted. Each write is safe to repeat, so a crash between any two of
//! them resumes at the next pass. Secrets are created, never applied: applying drawn values would change them every time.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use link::{QueueKind, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::build::{Children, monitoring, secret_meta};
use super::drain::{Drained, refuses};
use super::names::{LABEL_LEFT, Map, OPERATOR};
use super::nodes;
use super::observe::{Found, Monitoring, Optional, Place};
use super::plan::{Plan, Step, Why};
use super::rotation::{self, Turn};
use super::secrets::{Credentials, Verdict, Verdicts, draw_cookie, of_cookie};
use super::situation::{PodSeen, has_left, set_seen};
use super::talk::Door;
use super::validate::ValidCluster;
use crate::api_error::{is_of_an_ending_namespace, said};
use crate::crd::{RabbitCluster, RetentionPolicy};
use crate::events::Note;
use crate::lease::Leadership;

/// Queues whose mirrors are told to synchronise in one pass; those that have make room for others.
const SYNCHRONISED_MAX: usize = 20;

/// Why a volume is deleted.
const HAS_LEFT: &str = "its node has left the cluster";

/// A write that failed. What came before it stands.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what}: {}", said(source))]
pub struct Error {
    what: String,
    #[source]
    source: Box<kube::Error>,
}

impl Error {
    /// The API server does not take what was asked of it, now or later: what it was made from has to change.
    pub fn is_of_the_spec(&self) -> bool {
        matches!(code(&self.source), Some(400 | 422))
    }

    /// Nothing can be made any more, and nothing needs to be: the namespace is being deleted.
    pub fn is_of_an_ending_namespace(&self) -> bool {
        is_of_an_ending_namespace(&self.source)
    }
}

/// What was done.
#[derive(Debug)]
pub struct Done {
    /// The StatefulSet as the API server has it now.
    pub server: StatefulSet,
    /// Why volumes could not be made larger, if so.
    pub volumes_refused: Option<String>,
    /// Volumes that were asked to grow and have not yet.
    pub volumes_growing: Vec<String>,
    /// Why what is made for the Prometheus Operator could not be, if so.
    pub monitoring_refused: Option<String>,
    /// Whether a pod was deleted.
    pub replaced: bool,
    /// What the user should be told.
    pub notes: Vec<Note>,
}

/// Whom the writes are made for.
pub struct Hand<'a> {
    /// The API server.
    pub client: &'a Client,
    /// Proof that no other operator acts.
    pub leadership: &'a Leadership,
    /// The cluster as it was read at the start of the pass.
    pub cluster: &'a RabbitCluster,
    /// The same, checked.
    pub valid: &'a ValidCluster,
    /// When another secret is asked for.
    pub asked: rotation::Asked<'a>,
}

impl Hand<'_> {
    /// Carries out the pass.
    ///
    /// # Errors
    /// The first write that failed.
    pub async fn act(
        &self,
        found: &Found,
        secrets: &Verdicts,
        plan: &Plan,
        (turn, level): (&Turn, Option<bool>),
        children: Children,
    ) -> Result<Done, Error> {
        let mut notes = self.secrets(found, secrets).await?;
        if let Some(cookie) = &found.cookie {
            notes.extend(self.rotate(found, cookie, turn).await?);
        }
        if let Some(held) = level {
            notes.extend(super::level::carry_out(held, found).await);
        }
        self.mark_claims(found, plan).await?;
        let (monitor, rule) = (children.service_monitor.clone(), children.prometheus_rule.clone());
        let server = Box::pin(self.children(children, &found.optional)).await?;
        let monitoring_refused = self.monitoring(monitor, rule, &found.monitoring).await;
        let (volumes_growing, volumes_refused) = self.volumes(&found.claims).await;
        notes.extend(self.discard_claims(found, plan).await?);
        let before = found.set.as_ref().map(set_seen);
        let unchanged = before.is_some_and(|before| before.generation == set_seen(&server).generation);
        let (done, replaced) = match (&plan.step, unchanged) {
            (Step::Replace(pod, why), true) => self.replace_in_order(found, plan, pod, *why).await?,
            (Step::Revive(pod), true) => (Vec::from_iter(self.revive(found, pod).await?), false),
            (Step::Synchronise(pod), true) => (self.synchronise(found, pod).await?, false),
            (Step::Rebalance(pod), true) => {
                let told = self.tell_node(found, pod, &rebalance()).await?;
                (Vec::from_iter(told), false)
            }
            (Step::Mark(pod, on), true) => (Vec::from_iter(self.mark_leaving(found, pod, *on).await?), false),
            (Step::Evacuate(pod, to), true) => (Vec::from_iter(self.evacuate(found, pod, to).await?), false),
            (Step::Forget(by, lost), true) => (Vec::from_iter(self.forget(found, by, lost).await?), false),
            (Step::Stop(pod), true) => {
                let told = self.tell_node(found, pod, &Request::StopApp).await?;
                (Vec::from_iter(told), false)
            }
            (Step::Reset(pod), true) => {
                let told = self.tell_node(found, pod, &Request::Reset { force: false }).await?;
                (Vec::from_iter(told), false)
            }
            (Step::Discard(renewing, pod), true) => {
                let (note, deleted) = self.discard(&found.claims, renewing, pod.as_deref()).await?;
                (Vec::from_iter(note), deleted)
            }
            (Step::Recreate, true) => (Vec::from_iter(self.recreate(found.set.as_ref()).await?), false),
            (Step::Rest | Step::Wait(_) | Step::Later(..), true) | (_, false) => (Vec::new(), false),
        };
        notes.extend(done);
        Ok(Done {
            server,
            monitoring_refused,
            volumes_refused,
            volumes_growing,
            replaced,
            notes,
        })
    }

    async fn secrets(&self, found: &Found, secrets: &Verdicts) -> Result<Vec<Note>, Error> {
        let names = &self.valid.names;
        let mut notes = Vec::new();
        if secrets.cookie == Verdict::Draw {
            let drawn = rotation::annotations(self.asked);
            let data = found.given.secret().map_or_else(draw_cookie, of_cookie);
            notes.extend(self.create_secret(names.cookie(), data, drawn).await?);
        } else if let (Verdict::Keep, Some(cookie)) = (&secrets.cookie, &found.cookie) {
            self.adopt_secret(cookie, None).await?;
        }
        if secrets.default_user == Verdict::Draw {
            let user = found.given.credentials().unwrap_or_else(Credentials::draw);
            let data = user.data(names, &self.valid.namespace, self.tls_only());
            notes.extend(self.create_secret(names.default_user(), data, None).await?);
        } else if let (Verdict::Keep, Some(user)) = (&secrets.default_user, &found.default_user) {
            self.adopt_secret(user, Credentials::read(user)).await?;
        }
        Ok(notes)
    }

    /// Whether clients find no port without TLS.
    fn tls_only(&self) -> bool {
        self.valid.spec.tls.as_ref().is_some_and(|tls| tls.disable_plain)
    }

    /// Somebody else may have created it since we looked: theirs stands.
    async fn create_secret(
        &self,
        name: String,
        data: SecretData,
        annotations: Option<Map>,
    ) -> Result<Option<Note>, Error> {
        let secret = Secret {
            metadata: ObjectMeta {
                annotations,
                ..secret_meta(self.valid, name.clone())
            },
            type_: Some("Opaque".into()),
            data: Some(data),
            ..Secret::default()
        };
        let parameters = PostParams {
            field_manager: Some(OPERATOR.into()),
            ..PostParams::default()
        };
        match self.api::<Secret>().create(&parameters, &secret).await {
            Ok(_) => Ok(Some(Note::normal(
                "SecretCreated",
                format!("made Secret {name}; it is never made again"),
            ))),
            Err(error) if code(&error) == Some(409) => Ok(None),
            Err(source) => Err(failed(format!("create Secret {name}"), source)),
        }
    }

    /// One stage of a rotation, on the very version of the Secret that was judged.
    pub(super) async fn rotate(&self, found: &Found, cookie: &Secret, turn: &Turn) -> Result<Option<Note>, Error> {
        let name = cookie.name_any();
        let Some(patch) = rotation::drawn(turn, self.asked, cookie) else {
            self.hurry(found, cookie).await;
            return Ok(None);
        };
        if !self.is_still_wanted().await? {
            return Ok(None);
        }
        let parameters = PatchParams::default();
        let secrets = self.api::<Secret>();
        match secrets.patch(&name, &parameters, &Patch::Merge(&patch)).await {
            Ok(changed) => {
                let version = changed.resource_version().unwrap_or_default();
                self.touch(found.pods.iter(), &version).await;
                Ok(Some(rotated(&name, turn)))
            }
            Err(error) if code(&error) == Some(409) => Ok(None), // edited meanwhile: the next pass sees it
            Err(source) => Err(failed(format!("rotate Secret {name}"), source)),
        }
    }

    /// Labels and owner of a Secret that is kept, and for the first user the keys that follow from name and password. Applied to the
    /// very version that was read, so that it neither revives a deleted Secret nor undoes an edit.
    async fn adopt_secret(&self, secret: &Secret, user: Option<Credentials>) -> Result<(), Error> {
        let name = secret.name_any();
        let derived = user.map(|user| {
            let mut data = user.data(&self.valid.names, &self.valid.namespace, self.tls_only());
            data.retain(|key, _| key != "username" && key != "password");
            data
        });
        let metadata = ObjectMeta {
            uid: secret.uid(),
            resource_version: secret.resource_version(),
            ..secret_meta(self.valid, name.clone())
        };
        let adopted = Secret {
            metadata,
            data: derived,
            ..Secret::default()
        };
        match self
            .api::<Secret>()
            .patch(&name, &parameters(), &Patch::Apply(&adopted))
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if code(&error) == Some(409) => Ok(()), // edited meanwhile: the next pass sees it
            Err(source) => Err(failed(format!("label Secret {name}"), source)),
        }
    }

    async fn children(&self, children: Children, optional: &Optional) -> Result<StatefulSet, Error> {
        let Children {
            service_account,
            config,
            nodes,
            clients,
            pods,
            disruption_budget,
            network_policy,
            server,
            service_monitor: _, // both after the pods, which do without them: see `monitoring`
            prometheus_rule: _,
        } = children; // without `..`: a new kind of child cannot be forgotten
        self.apply(&service_account).await?;
        self.apply(&config).await?;
        self.apply(&nodes).await?;
        self.apply(&clients).await?;
        self.services_of_pods(&pods, &optional.pod_services).await?;
        self.apply_or_delete(disruption_budget.as_ref(), optional.disruption_budget.as_ref())
            .await?;
        self.apply_or_delete(network_policy.as_ref(), optional.network_policy.as_ref())
            .await?;
        self.apply(&server).await
    }

    /// Those that are wanted, and no others.
    async fn services_of_pods(&self, wanted: &[Service], present: &[(String, String)]) -> Result<(), Error> {
        for service in wanted {
            self.apply(service).await?;
        }
        let is_wanted = |name: &String| {
            wanted
                .iter()
                .any(|service| service.metadata.name.as_ref() == Some(name))
        };
        for (name, uid) in present.iter().filter(|(name, _)| !is_wanted(name)) {
            self.delete::<Service>(name, uid).await?;
        }
        Ok(())
    }

    /// What Prometheus needs. That it cannot be had is no failure of the pass.
    async fn monitoring(
        &self,
        monitor: Option<DynamicObject>,
        rule: Option<DynamicObject>,
        found: &Monitoring,
    ) -> Option<String> {
        let both = [
            (monitoring::service_monitors(), monitor, &found.service_monitor),
            (monitoring::prometheus_rules(), rule, &found.prometheus_rule),
        ];
        let mut refused = None;
        for (kind, wanted, place) in both {
            if let Err(error) = self.dynamic(&kind, wanted.as_ref(), place).await {
                refused = refused.or(Some(format!("{}: {}", kind.kind, said(&error))));
            }
        }
        refused
    }

    async fn dynamic(
        &self,
        kind: &ApiResource,
        wanted: Option<&DynamicObject>,
        place: &Place,
    ) -> Result<(), kube::Error> {
        let name = self.valid.names.server();
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.valid.namespace, kind);
        match (wanted, place) {
            (_, Place::Strangers | Place::Forbidden) | (None, Place::Free) => Ok(()),
            (Some(object), _) => api.patch(&name, &parameters(), &Patch::Apply(object)).await.map(drop),
            (None, Place::Ours(uid)) => {
                let this = DeleteParams::default().preconditions(Preconditions {
                    uid: Some(uid.clone()),
                    resource_version: None,
                });
                match api.delete(&name, &this).await {
                    Err(error) if !matches!(code(&error), Some(404 | 409)) => Err(error),
                    _ => Ok(()), // gone, or another by now
                }
            }
        }
    }

    /// A child that the spec no longer has is deleted, if it is the very one that was seen to be ours.
    async fn apply_or_delete<K>(&self, child: Option<&K>, present: Option<&String>) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Serialize + DeserializeOwned + Debug,
    {
        match (child, present) {
            (Some(child), _) => self.apply(child).await.map(drop),
            (None, None) => Ok(()),
            (None, Some(uid)) => self.delete::<K>(&self.valid.names.server(), uid).await,
        }
    }

    /// This very object.
    async fn delete<K>(&self, name: &str, uid: &str) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        let parameters = DeleteParams::default().preconditions(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        });
        match self.api::<K>().delete(name, &parameters).await {
            Ok(_) => Ok(()),
            Err(error) if matches!(code(&error), Some(404 | 409)) => Ok(()), // gone, or another by now
            Err(source) => Err(failed(format!("delete {} {name}", K::kind(&())), source)),
        }
    }

    async fn apply<K>(&self, child: &K) -> Result<K, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Serialize + DeserializeOwned + Debug,
    {
        let name = child.name_any();
        let applied = self.api::<K>().patch(&name, &parameters(), &Patch::Apply(child)).await;
        applied.map_err(|source| failed(format!("apply {} {name}", K::kind(&())), source))
    }

    /// Deletes a pod; one that is well is taken out of service first, if the plan says so. Whether it was deleted.
    async fn replace_in_order(
        &self,
        found: &Found,
        plan: &Plan,
        pod: &PodSeen,
        why: Why,
    ) -> Result<(Vec<Note>, bool), Error> {
        let mut notes = Vec::new();
        if why == Why::Turn && plan.draining.as_ref() == Some(&pod.name) {
            match self.take_out(found, pod).await? {
                Drained::Empty(note) => notes.extend(note),
                Drained::Not(note) => return Ok((Vec::from_iter(note), false)),
            }
        }
        let replaced = self.replace(pod, why).await?;
        let deleted = replaced.is_some();
        notes.extend(replaced);
        Ok((notes, deleted))
    }

    /// Deletes the pod that was judged, and only that: not a successor of its name, not one that has changed since, not for a spec
    /// that is no longer the newest, and not without the lease.
    pub(super) async fn replace(&self, pod: &PodSeen, why: Why) -> Result<Option<Note>, Error> {
        if !self.is_still_wanted().await? {
            return Ok(None);
        }
        let parameters = DeleteParams::default().preconditions(Preconditions {
            uid: Some(pod.uid.clone()),
            resource_version: Some(pod.resource_version.clone()),
        });
        match self.api::<Pod>().delete(&pod.name, &parameters).await {
            Ok(_) => Ok(Some(replaced(pod, why))),
            Err(error) if matches!(code(&error), Some(404 | 409)) => Ok(None), // it moved on; look again
            Err(source) => Err(failed(format!("replace pod {}", pod.name), source)),
        }
    }

    /// Whether the spec is still the newest, and the lease ours.
    pub(super) async fn is_still_wanted(&self) -> Result<bool, Error> {
        let clusters = self.api::<RabbitCluster>();
        let live = clusters.get_opt(&self.cluster.name_any()).await;
        let live = live.map_err(|source| failed("read the RabbitCluster again".into(), source))?;
        let same = live.is_some_and(|live| {
            live.metadata.uid == self.cluster.metadata.uid
                && live.metadata.generation == self.cluster.metadata.generation
                && live.metadata.deletion_timestamp.is_none()
        });
        Ok(same && self.leadership.holds())
    }

    /// Has mirrors of queues that this node leads synchronise, so that it can be replaced. Those that do already go on.
    async fn synchronise(&self, found: &Found, pod: &PodSeen) -> Result<Vec<Note>, Error> {
        let lagging = found
            .holdings
            .get(&pod.name)
            .map(|holdings| holdings.lagging.as_slice());
        let mut notes = Vec::new();
        for (vhost, name) in lagging.unwrap_or_default().iter().take(SYNCHRONISED_MAX) {
            let request = Request::SyncQueue {
                vhost: vhost.clone(),
                name: name.clone(),
                wanted: true,
            };
            notes.extend(self.tell_node(found, pod, &request).await?);
        }
        notes.dedup_by_key(|note| note.reason.clone());
        Ok(notes)
    }

    /// Has the node in that very pod do something. One that refuses, or is not heard, is looked at again in the next pass.
    pub(super) async fn tell_node(
        &self,
        found: &Found,
        pod: &PodSeen,
        request: &Request,
    ) -> Result<Option<Note>, Error> {
        if !self.is_still_wanted().await? {
            return Ok(None);
        }
        let live = found.pods.iter().find(|live| live.uid().as_ref() == Some(&pod.uid));
        let door = live
            .and_then(nodes::peer_address)
            .zip(pod.told.as_ref())
            .map(|(address, told)| Door {
                address,
                node: told.node.clone(),
                keys: &found.keys,
            });
        let Some(door) = door else { return Ok(None) };
        let told = async { door.enter().await?.tell(request).await };
        Ok(Some(match told.await {
            Ok(_) if matches!(request, Request::SyncQueue { .. }) => Note::normal(
                "MirrorsSynchronise",
                format!(
                    "mirrors of queues that {} leads synchronise before it is replaced",
                    pod.name
                ),
            ),
            Ok(_) if matches!(request, Request::Rebalance { .. }) => Note::normal(
                "QueuesRebalanced",
                "nothing is left to change, and nodes lead about as many queues each".into(),
            ),
            Ok(_) if *request == Request::StopApp => Note::normal(
                "NodeStopped",
                format!("stopped {}, which hands its queues over before it leaves", pod.name),
            ),
            Ok(_) => Note::normal(
                "NodeLeft",
                format!("{} has left the cluster and emptied its disk", door.node),
            ),
            Err(error) => refuses(pod, error),
        }))
    }

    /// Says of volumes that their nodes have left, before their pods go; such a volume is never used again, since what it was emptied of may
    /// not be all: a node that joins later gets a new one.
    async fn mark_claims(&self, found: &Found, plan: &Plan) -> Result<(), Error> {
        let of = |claim: &PersistentVolumeClaim| self.valid.names.ordinal_of_claim(&claim.name_any());
        for claim in &found.claims {
            let Some(ordinal) = of(claim) else { continue };
            if has_left(claim) && ordinal < plan.replicas && claim.metadata.deletion_timestamp.is_none() {
                self.discard_claim(claim, HAS_LEFT).await?;
            }
            if has_left(claim) || plan.left_from.is_none_or(|from| ordinal < from) {
                continue;
            }
            let marked = serde_json::json!({"metadata": {"uid": claim.uid(), "labels": {LABEL_LEFT: "true"}}});
            let claims = self.api::<PersistentVolumeClaim>();
            let name = claim.name_any();
            let parameters = PatchParams::default();
            let patched = claims.patch(&name, &parameters, &Patch::Merge(&marked)).await;
            patched.map_err(|source| failed(format!("label PersistentVolumeClaim {name}"), source))?;
        }
        Ok(())
    }

    /// Deletes volumes whose nodes have left and whose pods are gone, where that is the user's wish.
    async fn discard_claims(&self, found: &Found, plan: &Plan) -> Result<Vec<Note>, Error> {
        let names = &self.valid.names;
        let kept = self.valid.spec.persistence.retention.when_scaled == RetentionPolicy::Retain;
        let free = |claim: &&PersistentVolumeClaim| {
            let ordinal = names.ordinal_of_claim(&claim.name_any());
            let pod = ordinal.map(|ordinal| names.pod(ordinal));
            let in_use = found.pods.iter().any(|found| Some(found.name_any()) == pod);
            has_left(claim) && !in_use && ordinal.is_some_and(|ordinal| ordinal >= plan.replicas)
        };
        let mut notes = Vec::new();
        let going = found.claims.iter().filter(free);
        for claim in going.filter(|claim| !kept && claim.metadata.deletion_timestamp.is_none()) {
            notes.extend(self.discard_claim(claim, HAS_LEFT).await?);
        }
        Ok(notes)
    }

    pub(super) async fn discard_claim(
        &self,
        claim: &PersistentVolumeClaim,
        because: &str,
    ) -> Result<Option<Note>, Error> {
        let name = claim.name_any();
        let parameters = DeleteParams::default().preconditions(Preconditions {
            uid: claim.uid(),
            resource_version: claim.resource_version(),
        });
        match self.api::<PersistentVolumeClaim>().delete(&name, &parameters).await {
            Ok(_) => Ok(Some(Note::normal(
                "VolumeDeleted",
                format!("deleted {name}: {because}"),
            ))),
            Err(error) if matches!(code(&error), Some(404 | 409)) => Ok(None), // it moved on; look again
            Err(source) => Err(failed(format!("delete PersistentVolumeClaim {name}"), source)),
        }
    }

    pub(super) fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.valid.namespace)
    }
}

/// Of all queues.
fn rebalance() -> Request {
    Request::Rebalance {
        kind: QueueKind::All,
        vhost_pattern: ".*".into(),
        queue_pattern: ".*".into(),
        here: false,
    }
}

type SecretData = std::collections::BTreeMap<String, k8s_openapi::ByteString>;

fn rotated(name: &str, turn: &Turn) -> Note {
    let (reason, what) = match turn {
        Turn::Stage => ("SecretStaged", "a new secret lies beside the old one"),
        Turn::Activate => (
            "SecretActivated",
            "every node accepts the new secret, which is shown from now on",
        ),
        Turn::Retire => (
            "SecretRetired",
            "every node shows the new secret, and the old one counts no more",
        ),
        Turn::Replace => (
            "SecretReplaced",
            "a new secret is in the place of the old one, which counts no more once a node has read that",
        ),
        Turn::Settle => (
            "SecretSettled",
            "every node has read the new secret, and accepts no other",
        ),
        Turn::Rest | Turn::Wait(_) => ("SecretKept", "nothing was changed"),
    };
    Note::normal(reason, format!("Secret {name}: {what}"))
}

fn replaced(pod: &PodSeen, why: Why) -> Note {
    let because = match why {
        Why::NeverReady => "it never became ready and runs an old revision",
        Why::Down => "it is down and runs an old revision",
        Why::Turn => "it runs an old revision and every other node is ready",
        Why::Stays => "it was stopped so that it could leave, and it stays for now",
    };
    Note::normal("PodReplaced", format!("replacing {}: {because}", pod.name))
}

fn parameters() -> PatchParams {
    PatchParams::apply(OPERATOR).force()
}

pub(super) fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

pub(super) fn failed(what: String, source: kube::Error) -> Error {
    Error {
        what,
        source: Box::new(source),
    }
}
