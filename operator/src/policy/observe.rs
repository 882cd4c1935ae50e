//! Reads the cluster of a Policy live from the API server, and asks its brokers. What cannot be read because the operator has no right
//! there is a finding; what cannot be read for another reason fails the pass.

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::broker::{self, Brokers};
use super::desired::{cluster_of, name_of};
use super::feasible::Nodes;
use super::plan::ClusterSeen;
use crate::api_error::said;
use crate::cluster::names::{Names, selector_text};
use crate::cluster::nodes;
use crate::cluster::secrets::cookies;
use crate::crd::{Policy, RabbitCluster};

/// A read that failed, and so the whole observation.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {what}: {}", said(source))]
pub struct Error {
    what: String,
    source: Box<kube::Error>,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The cluster, if it is there and may be read.
    pub cluster: Option<RabbitCluster>,
    /// Its brokers, if they may be asked.
    pub brokers: Option<Brokers>,
    /// What is known of both.
    pub seen: ClusterSeen,
}

/// Reads and asks.
///
/// # Errors
/// The first read that failed.
pub async fn observe(client: &Client, policy: &Policy) -> Result<Found, Error> {
    let (namespace, name) = cluster_of(policy);
    let clusters: Api<RabbitCluster> = Api::namespaced(client.clone(), &namespace);
    let cluster = match clusters.get_opt(&name).await {
        Ok(cluster) => cluster,
        Err(kube::Error::Api(status)) if status.code == 403 => {
            return Ok(unasked(None, ClusterSeen::Unreadable(status.message.clone())));
        }
        Err(source) => return Err(failed(format!("RabbitCluster {namespace}/{name}"), source)),
    };
    let Some(cluster) = cluster else {
        return Ok(unasked(None, ClusterSeen::Missing));
    };
    if let Some(seen) = closed(&cluster, &policy.namespace().unwrap_or_default()) {
        return Ok(unasked(Some(cluster), seen));
    }
    let brokers = brokers(client, &cluster).await?;
    let seen = ask(&brokers, &cluster, policy).await;
    Ok(Found {
        cluster: Some(cluster),
        brokers: Some(brokers),
        seen,
    })
}

fn unasked(cluster: Option<RabbitCluster>, seen: ClusterSeen) -> Found {
    Found {
        cluster,
        brokers: None,
        seen,
    }
}

/// Why the brokers are not even asked.
fn closed(cluster: &RabbitCluster, from: &str) -> Option<ClusterSeen> {
    match () {
        () if cluster.metadata.deletion_timestamp.is_some() => Some(ClusterSeen::Deleting),
        () if !takes(cluster, from) => Some(ClusterSeen::NotAllowed),
        () if cluster.spec.paused => Some(ClusterSeen::Paused),
        () if cluster.spec.replicas == 0 => Some(ClusterSeen::Stopped),
        () => None,
    }
}

/// Whether the cluster takes Policies of that namespace.
pub fn takes(cluster: &RabbitCluster, from: &str) -> bool {
    let named = |name: &String| name == "*" || name == from;
    cluster.namespace().as_deref() == Some(from) || cluster.spec.policy_namespaces.iter().any(named)
}

async fn brokers(client: &Client, cluster: &RabbitCluster) -> Result<Brokers, Error> {
    let names = Names::new(&cluster.name_any());
    let namespace = cluster.namespace().unwrap_or_default();
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let cookie = names.cookie();
    let secret = secrets.get_opt(&cookie).await;
    let secret = secret.map_err(|source| failed(format!("Secret {cookie}"), source))?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let selector = selector_text(&names.selector(&cluster.uid().unwrap_or_default()));
    let pods = pods.list(&ListParams::default().labels(&selector)).await;
    let mut pods = pods.map_err(|source| failed("the pods".into(), source))?.items;
    pods.sort_by_key(|pod| (!nodes::is_ready(pod), pod.name_any()));
    let addresses = pods.iter().filter_map(nodes::address).collect();
    Ok(Brokers::new(
        addresses,
        secret.as_ref().map(cookies).unwrap_or_default(),
    ))
}

/// What a broker tells of the policy, and which nodes there are.
pub async fn ask(brokers: &Brokers, cluster: &RabbitCluster, policy: &Policy) -> ClusterSeen {
    match brokers.report(&policy.spec.vhost, &name_of(policy)).await {
        Ok(report) => ClusterSeen::Tells(Box::new(report), nodes(brokers, cluster).await),
        Err(broker::Error::NotFound(_)) => ClusterSeen::NoVhost,
        Err(error) => ClusterSeen::Silent(error.to_string()),
    }
}

/// The nodes that there are, and those that the spec wants beside them.
async fn nodes(brokers: &Brokers, cluster: &RabbitCluster) -> Nodes {
    let names = Names::new(&cluster.name_any());
    let namespace = cluster.namespace().unwrap_or_default();
    let wanted = u32::try_from(cluster.spec.replicas).unwrap_or(0);
    let members = brokers.membership().await.map(|told| told.members).unwrap_or_default();
    let mut all: Vec<_> = members.into_iter().map(|member| member.name).collect();
    all.extend((0..wanted.min(99)).map(|ordinal| names.node(ordinal, &namespace)));
    all.sort();
    all.dedup();
    Nodes {
        cluster: names.cluster,
        wanted,
        names: all,
    }
}

fn failed(what: String, source: kube::Error) -> Error {
    Error {
        what,
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(spec: &str) -> RabbitCluster {
        let text = format!("{{metadata: {{name: orders, namespace: shop, uid: u}}, spec: {{{spec}}}}}");
        serde_yaml::from_str(&text).unwrap()
    }

    #[test]
    fn policies_of_other_namespaces_are_taken_by_consent_alone() {
        assert!(takes(&cluster(""), "shop"));
        assert!(!takes(&cluster(""), "blue"));
        assert!(takes(&cluster("policyNamespaces: [blue]"), "blue"));
        assert!(!takes(&cluster("policyNamespaces: [blue]"), "green"));
        assert!(takes(&cluster("policyNamespaces: ['*']"), "green"));
    }

    #[test]
    fn brokers_are_not_asked_while_nothing_may_change() {
        assert!(matches!(
            closed(&cluster("paused: true"), "shop"),
            Some(ClusterSeen::Paused)
        ));
        assert!(matches!(
            closed(&cluster("replicas: 0"), "shop"),
            Some(ClusterSeen::Stopped)
        ));
        assert!(matches!(
            closed(&cluster("paused: true"), "blue"),
            Some(ClusterSeen::NotAllowed)
        ));
        assert!(closed(&cluster(""), "shop").is_none());
    }
}
