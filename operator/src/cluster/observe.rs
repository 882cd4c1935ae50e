//! Reads everything that a pass decides from, live from the API server and never from a cache: all of it, or an error. A cache that
//! lags behind is how operators delete pods of a cluster that has just been scaled, or draw a second cookie.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Instant;

use api::{Copies, Membership};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client, Resource, ResourceExt};
use link::Cookie;
use serde::de::DeserializeOwned;

use super::between::Between;
use super::build::monitoring::{self, Apis};
use super::causes::{self, Causes};
use super::definitions::Sources;
use super::discovery::Discovery;
use super::holdings::{self, Holdings};
use super::keys::Keys;
use super::names::{LABEL_POD, Names, selector_text};
use super::nodes;
use super::renew::Renewing;
use super::rotation::newest;
use super::secrets::{Given, cookies};
use super::situation::{LABEL_REVISION, set_seen};
use super::talk::Door;
use super::volumes::to_replace;
use crate::api_error::said;
use crate::crd::{OperationKind, Phase, RabbitCluster, Tls};

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// When it was read.
    pub at: Timestamp,
    /// The StatefulSet, if it is ours.
    pub set: Option<StatefulSet>,
    /// Pods of this very cluster.
    pub pods: Vec<Pod>,
    /// Why pods are missing, or have no volume, as far as Kubernetes says so.
    pub causes: Causes,
    /// Volume claims of this cluster and of its predecessors of the same name.
    pub claims: Vec<PersistentVolumeClaim>,
    /// Secret that nodes prove to each other.
    pub cookie: Option<Secret>,
    /// Secret with the first user.
    pub default_user: Option<Secret>,
    /// Secrets that the spec names for these two to be made of, as far as they exist.
    pub given: Given,
    /// Secrets that the spec names for TLS, as far as they exist.
    pub tls: Vec<Secret>,
    /// What it takes to be let in by the nodes.
    pub keys: Keys,
    /// What the spec names for definitions, as far as it exists.
    pub definitions: Sources,
    /// The ConfigMap with rabbitmq.conf, if it is ours.
    pub config: Option<ConfigMap>,
    /// Children of ours that not every spec has.
    pub optional: Optional,
    /// What the API server has of the Prometheus Operator.
    pub monitoring: Monitoring,
    /// Objects that bear names of ours and belong to somebody else.
    pub taken: Vec<Taken>,
    /// The pod whose node the status says is leaving.
    pub leaving: Option<String>,
    /// The pod whose node the status says was taken out of service, to be replaced.
    pub draining: Option<String>,
    /// The node that the status says gives its volume up.
    pub renewing: Option<Renewing>,
    /// Whether the status says that pods were being replaced.
    pub rolled: bool,
    /// Whether the status says that nodes were joining.
    pub grown: bool,
    /// Whether the app of the node that leaves, or gives its volume up, runs, if it says so.
    pub app_runs: Option<bool>,
    /// Pods whose nodes accept the newest of the cluster's Secret, while it is rotated.
    pub accepting: BTreeSet<String>,
    /// What nodes have, by the names of their pods; asked only when one may have to stop.
    pub holdings: BTreeMap<String, Holdings>,
    /// How many queues nodes have copies of, by the names of their pods; those that did not answer are missing.
    pub copies: BTreeMap<String, Copies>,
    /// What the nodes tell of their cluster, by the names of their pods; those that did not answer are missing.
    pub told: BTreeMap<String, Membership>,
}

impl Found {
    /// Where its brokers are asked, those that take clients first, and the secrets that prove that we may.
    pub fn brokers(&self) -> (Vec<String>, Vec<Cookie>) {
        let mut pods: Vec<&Pod> = self.pods.iter().collect();
        pods.sort_by_key(|pod| (!nodes::is_ready(pod), pod.name_any()));
        let cookies = self.cookie.as_ref().map(cookies).unwrap_or_default();
        (pods.into_iter().filter_map(nodes::address).collect(), cookies)
    }
}

/// Children that not every spec has, by their uids while they exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Optional {
    /// The PodDisruptionBudget.
    pub disruption_budget: Option<String>,
    /// The NetworkPolicy.
    pub network_policy: Option<String>,
    /// Services of single pods, by name and uid.
    pub pod_services: Vec<(String, String)>,
}

/// What the API server has of the Prometheus Operator: which kinds, and of each what bears our name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Monitoring {
    /// The kinds.
    pub apis: Apis,
    /// The ServiceMonitor.
    pub service_monitor: Place,
    /// The PrometheusRule.
    pub prometheus_rule: Place,
}

/// Who has the place of an object that a cluster can do without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Nobody.
    #[default]
    Free,
    /// An object of ours with this uid.
    Ours(String),
    /// An object of somebody else.
    Strangers,
    /// We may not look.
    Forbidden,
}

/// An object in the place of one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// It belongs to a deleted cluster of the same name and is about to go.
    pub leaving: bool,
}

/// A read that failed, and so the whole observation.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {what}: {}", said(source))]
pub struct Error {
    what: String,
    source: kube::Error,
}

/// Reads the cluster's objects.
///
/// # Errors
/// The first read that failed.
pub async fn observe(client: &Client, kinds: &Discovery, cluster: &RabbitCluster) -> Result<Found, Error> {
    let names = Names::new(&cluster.name_any());
    let namespace = cluster.namespace().unwrap_or_default();
    let uid = cluster.uid().unwrap_or_default();
    let reader = Reader {
        client,
        namespace: &namespace,
    };
    let set: Option<StatefulSet> = reader.get(&names.server()).await?;
    let mut taken = Vec::new();
    taken.extend(
        set.as_ref()
            .and_then(|set| stranger::<StatefulSet>(cluster, &set.metadata)),
    );
    taken.extend(reader.stranger::<ServiceAccount>(cluster, &names.server()).await?);
    let optional = reader.optional_children(cluster, &names, &mut taken).await?;
    let config: Option<ConfigMap> = reader.get(&names.config()).await?;
    taken.extend(
        config
            .as_ref()
            .and_then(|config| stranger::<ConfigMap>(cluster, &config.metadata)),
    );
    taken.extend(reader.stranger::<ConfigMap>(cluster, &names.settled()).await?);
    taken.extend(reader.stranger::<Service>(cluster, &names.nodes()).await?);
    taken.extend(reader.stranger::<Service>(cluster, &names.cluster).await?);
    let pods: Vec<Pod> = reader.list(&selector_text(&names.selector(&uid))).await?;
    let cookie = reader.get(&names.cookie()).await?;
    let told = nodes::ask(&pods).await;
    let tls = reader.tls(cluster).await?;
    let keys = keys(cluster, set.as_ref(), cookie.as_ref(), &tls);
    let claims: Vec<PersistentVolumeClaim> = reader.list(&names.claims_selector()).await?;
    let renewing = renewing(cluster);
    let unfit = to_replace(&cluster.spec.persistence, &names, &claims, None).unfit;
    let replaces = renewing.is_some() || !unfit.is_empty();
    let holdings = match is_shrinking(cluster, set.as_ref()) || is_rolling(set.as_ref(), &pods) || replaces {
        true => holdings(&pods, &told, &keys).await,
        false => BTreeMap::new(),
    };
    let leaving = operated_on(cluster, OperationKind::ScaleDown);
    let going = leaving.as_ref().or(renewing.as_ref().map(|renewing| &renewing.pod));
    let cookies = cookie.as_ref().map(cookies).unwrap_or_default();
    Ok(Found {
        causes: causes::look(client, &names, set.as_ref(), &pods, &claims).await,
        copies: nodes::copies(&pods, &told, &cookies).await,
        at: Timestamp::now(),
        accepting: accepting(&pods, &told, cookie.as_ref(), &keys).await,
        app_runs: app_runs(going, &pods, &told, &keys).await,
        set: set.filter(|set| is_ours(cluster, &set.metadata)),
        config: config.filter(|config| is_ours(cluster, &config.metadata)),
        leaving,
        draining: operated_on(cluster, OperationKind::Roll),
        rolled: is_rolled(cluster),
        grown: phase(cluster) == Some(Phase::ScalingUp),
        holdings,
        told,
        pods,
        claims,
        renewing,
        cookie,
        default_user: reader.get(&names.default_user()).await?,
        given: reader.given(cluster).await?,
        tls,
        keys,
        definitions: reader.definitions(cluster).await?,
        monitoring: reader.monitoring(kinds, cluster, &names.server()).await?,
        optional,
        taken,
    })
}

/// Whether the app of the node that leaves runs.
async fn app_runs(
    leaving: Option<&String>,
    pods: &[Pod],
    told: &BTreeMap<String, Membership>,
    keys: &Keys,
) -> Option<bool> {
    let leaver = pods.iter().find(|pod| Some(&pod.name_any()) == leaving)?;
    let node = &told.get(leaving?)?.node;
    holdings::app_runs(leaver, node, keys).await
}

/// Whether fewer nodes are wanted than pods are asked for.
fn is_shrinking(cluster: &RabbitCluster, set: Option<&StatefulSet>) -> bool {
    let asked = set.and_then(|set| set.spec.as_ref()?.replicas).unwrap_or(0);
    (1..asked).contains(&cluster.spec.replicas)
}

/// Whether a pod may have to be replaced.
fn is_rolling(set: Option<&StatefulSet>, pods: &[Pod]) -> bool {
    let newest = set.and_then(|set| set.status.as_ref()?.update_revision.as_ref());
    newest.is_some_and(|newest| pods.iter().any(|pod| pod.labels().get(LABEL_REVISION) != Some(newest)))
}

async fn holdings(pods: &[Pod], told: &BTreeMap<String, Membership>, keys: &Keys) -> BTreeMap<String, Holdings> {
    let names = told
        .iter()
        .map(|(pod, told)| (pod.clone(), told.node.clone()))
        .collect();
    holdings::ask(pods, &names, keys).await
}

/// While the secret is rotated: who has read the newest stage of it.
async fn accepting(
    pods: &[Pod],
    told: &BTreeMap<String, Membership>,
    cookie: Option<&Secret>,
    keys: &Keys,
) -> BTreeSet<String> {
    let newest = cookie.and_then(|cookie| Cookie::new(newest(cookie)?, "the newest secret").ok());
    let Some(newest) = newest else { return BTreeSet::new() };
    let keys = Keys {
        cookies: vec![newest],
        ..keys.clone()
    };
    let mut found = BTreeSet::new();
    for pod in pods {
        let name = pod.name_any();
        let Some(door) = told.get(&name).and_then(|told| {
            Some(Door {
                address: nodes::peer_address(pod)?,
                node: told.node.clone(),
                keys: &keys,
            })
        }) else {
            continue;
        };
        if door.enter().await.is_ok() {
            found.insert(name);
        }
    }
    found
}

/// For nodes as the template of their pods says; while they are changed it says that they take both.
fn keys(cluster: &RabbitCluster, set: Option<&StatefulSet>, cookie: Option<&Secret>, tls: &[Secret]) -> Keys {
    let between = set.map_or(Between::None, |set| set_seen(set).between);
    let name = cluster.spec.tls.as_ref().map(Tls::secret_between_nodes);
    let certificates = tls.iter().find(|secret| secret.metadata.name.as_ref() == name);
    Keys::new(cookie.map(cookies).unwrap_or_default(), between, certificates)
}

/// The pod that the status names for an operation of this kind.
fn operated_on(cluster: &RabbitCluster, kind: OperationKind) -> Option<String> {
    let operation = cluster.status.as_ref()?.operation.as_ref()?;
    (operation.kind == kind).then(|| operation.node.clone())
}

fn renewing(cluster: &RabbitCluster) -> Option<Renewing> {
    let operation = cluster.status.as_ref()?.operation.as_ref()?;
    let pod = operated_on(cluster, OperationKind::ReplaceVolume)?;
    let volume = operation.volume.clone()?;
    Some(Renewing { pod, volume })
}

fn phase(cluster: &RabbitCluster) -> Option<Phase> {
    cluster.status.as_ref()?.phase
}

fn is_rolled(cluster: &RabbitCluster) -> bool {
    matches!(phase(cluster), Some(Phase::Updating | Phase::Canary))
}

fn is_ours(cluster: &RabbitCluster, child: &ObjectMeta) -> bool {
    owner(child).is_some_and(|owner| Some(&owner.uid) == cluster.metadata.uid.as_ref())
}

fn owner(child: &ObjectMeta) -> Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference> {
    child
        .owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true))
}

/// The object as a stranger, unless it is ours.
fn stranger<K: Resource<DynamicType = ()>>(cluster: &RabbitCluster, child: &ObjectMeta) -> Option<Taken> {
    if is_ours(cluster, child) {
        return None;
    }
    let predecessor = owner(child).is_some_and(|owner| {
        owner.kind == RabbitCluster::kind(&()) && Some(&owner.name) == cluster.metadata.name.as_ref()
    });
    Some(Taken {
        kind: K::kind(&()).into_owned(),
        name: child.name.clone().unwrap_or_default(),
        leaving: predecessor || child.deletion_timestamp.is_some(),
    })
}

struct Reader<'a> {
    client: &'a Client,
    namespace: &'a str,
}

impl Reader<'_> {
    fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), self.namespace)
    }

    async fn get<K>(&self, name: &str) -> Result<Option<K>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        self.api()
            .get_opt(name)
            .await
            .map_err(|source| failed::<K>(name, source))
    }

    async fn list<K>(&self, selector: &str) -> Result<Vec<K>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        let all = self.api().list(&ListParams::default().labels(selector)).await;
        all.map(|list| list.items)
            .map_err(|source| failed::<K>(selector, source))
    }

    async fn given(&self, cluster: &RabbitCluster) -> Result<Given, Error> {
        let mut found = Given::default();
        if let Some(name) = &cluster.spec.admin_user.secret_name {
            found.user = self.get(name).await?;
        }
        if let Some(name) = &cluster.spec.cluster_secret.secret_name {
            found.cookie = self.get(name).await?;
        }
        Ok(found)
    }

    async fn tls(&self, cluster: &RabbitCluster) -> Result<Vec<Secret>, Error> {
        let Some(tls) = &cluster.spec.tls else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        found.extend(self.get(&tls.secret_name).await?);
        for other in [&tls.ca_secret_name, &tls.inter_node_secret_name].into_iter().flatten() {
            found.extend(self.get(other).await?);
        }
        Ok(found)
    }

    async fn definitions(&self, cluster: &RabbitCluster) -> Result<Sources, Error> {
        let mut found = Sources::default();
        let Some(wanted) = &cluster.spec.definitions else {
            return Ok(found);
        };
        if let Some(file) = &wanted.config_map_ref {
            found.config_map = self.get(&file.name).await?;
        }
        if let Some(file) = &wanted.secret_ref {
            found.secret = self.get(&file.name).await?;
        }
        Ok(found)
    }

    async fn monitoring(&self, kinds: &Discovery, cluster: &RabbitCluster, name: &str) -> Result<Monitoring, Error> {
        let apis = kinds.kinds(Instant::now(), self.prometheus_apis()).await?;
        let mut found = Monitoring {
            apis,
            ..Monitoring::default()
        };
        if apis.service_monitors {
            found.service_monitor = self.place(cluster, &monitoring::service_monitors(), name).await?;
        }
        if apis.prometheus_rules {
            found.prometheus_rule = self.place(cluster, &monitoring::prometheus_rules(), name).await?;
        }
        Ok(found)
    }

    /// The Prometheus Operator may come and go.
    async fn prometheus_apis(&self) -> Result<Apis, Error> {
        let kinds = match self.client.list_api_group_resources(monitoring::API).await {
            Ok(list) => list.resources.into_iter().map(|resource| resource.kind).collect(),
            Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
            Err(source) => {
                let what = format!("the kinds of {}", monitoring::API);
                return Err(Error { what, source });
            }
        };
        let has = |kind: &ApiResource| kinds.contains(&kind.kind);
        Ok(Apis {
            service_monitors: has(&monitoring::service_monitors()),
            prometheus_rules: has(&monitoring::prometheus_rules()),
        })
    }

    async fn place(&self, cluster: &RabbitCluster, kind: &ApiResource, name: &str) -> Result<Place, Error> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), self.namespace, kind);
        Ok(match api.get_opt(name).await {
            Ok(None) => Place::Free,
            Ok(Some(object)) if is_ours(cluster, &object.metadata) => {
                Place::Ours(object.metadata.uid.unwrap_or_default())
            }
            Ok(Some(_)) => Place::Strangers,
            Err(kube::Error::Api(status)) if status.code == 403 => Place::Forbidden,
            Err(source) => {
                let what = format!("{} {name}", kind.kind);
                return Err(Error { what, source });
            }
        })
    }

    /// Those that there are; strangers in the place of one that is wanted are added to `taken`.
    async fn pod_services(
        &self,
        cluster: &RabbitCluster,
        names: &Names,
        taken: &mut Vec<Taken>,
    ) -> Result<Vec<(String, String)>, Error> {
        let ours = selector_text(&names.selector(&cluster.uid().unwrap_or_default()));
        let found: Vec<Service> = self.list(&format!("{ours},{LABEL_POD}")).await?;
        let found = found.iter().filter(|service| is_ours(cluster, &service.metadata));
        let found: Vec<_> = found
            .map(|service| (service.name_any(), service.uid().unwrap_or_default()))
            .collect();
        let wanted = match cluster.spec.service.per_pod {
            true => u32::try_from(cluster.spec.replicas).unwrap_or(0),
            false => 0,
        };
        let missing = (0..wanted).map(|ordinal| names.pod(ordinal));
        for name in missing.filter(|name| found.iter().all(|(found, _)| found != name)) {
            taken.extend(self.stranger::<Service>(cluster, &name).await?);
        }
        Ok(found)
    }

    async fn optional_children(
        &self,
        cluster: &RabbitCluster,
        names: &Names,
        taken: &mut Vec<Taken>,
    ) -> Result<Optional, Error> {
        let name = names.server();
        Ok(Optional {
            disruption_budget: self.optional::<PodDisruptionBudget>(cluster, &name, taken).await?,
            network_policy: self.optional::<NetworkPolicy>(cluster, &name, taken).await?,
            pod_services: self.pod_services(cluster, names, taken).await?,
        })
    }

    /// The uid of a child of ours; a stranger in its place is added to `taken`.
    async fn optional<K>(
        &self,
        cluster: &RabbitCluster,
        name: &str,
        taken: &mut Vec<Taken>,
    ) -> Result<Option<String>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        let found = self.api::<K>().get_metadata_opt(name).await;
        let Some(found) = found.map_err(|source| failed::<K>(name, source))? else {
            return Ok(None);
        };
        let stranger = stranger::<K>(cluster, &found.metadata);
        let ours = found.metadata.uid.filter(|_| stranger.is_none());
        taken.extend(stranger);
        Ok(ours)
    }

    async fn stranger<K>(&self, cluster: &RabbitCluster, name: &str) -> Result<Option<Taken>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        let found = self.api::<K>().get_metadata_opt(name).await;
        let found = found.map_err(|source| failed::<K>(name, source))?;
        Ok(found.and_then(|child| stranger::<K>(cluster, &child.metadata)))
    }
}

pub(super) fn failed<K: Resource<DynamicType = ()>>(name: &str, source: kube::Error) -> Error {
    Error {
        what: format!("{} {name}", K::kind(&())),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(uid: &str) -> RabbitCluster {
        let text = format!("{{metadata: {{name: orders, namespace: shop, uid: {uid}}}, spec: {{}}}}");
        serde_yaml::from_str(&text).unwrap()
    }

    fn owned_by(kind: &str, uid: &str) -> ObjectMeta {
        let text = format!(
            "{{name: orders, ownerReferences: [{{apiVersion: warren.dev/v1alpha1, kind: {kind}, name: orders, uid: {uid}, controller: true}}]}}"
        );
        serde_yaml::from_str(&text).unwrap()
    }

    #[test]
    fn an_object_of_another_owner_is_never_taken_over() {
        let cluster = cluster("new");
        assert_eq!(stranger::<Service>(&cluster, &owned_by("RabbitCluster", "new")), None);
        let predecessor = stranger::<Service>(&cluster, &owned_by("RabbitCluster", "old")).unwrap();
        assert!(predecessor.leaving, "the garbage collector is about to remove it");
        let other = stranger::<Service>(&cluster, &owned_by("Deployment", "new-2")).unwrap();
        assert_eq!((other.kind.as_str(), other.leaving), ("Service", false));
        let nobody = ObjectMeta {
            name: Some("orders".into()),
            ..ObjectMeta::default()
        };
        assert!(!stranger::<Service>(&cluster, &nobody).unwrap().leaving);
    }
}
