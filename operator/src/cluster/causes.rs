//! What Kubernetes says in events and nowhere else: why it does not make a pod that it is asked for (a quota, a class that does not exist, a standard that
//! the pod does not meet), for which a StatefulSet has no condition, and why a volume does not come about, for which a pod that waits for it has no
//! words. They are read while a pod is missing, or waits for its volume, and at no other time; nothing is decided by them.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::names::Names;
use crate::api_error::said;

/// More than one object has: equal ones are counted.
const EVENTS_MAX: u32 = 500;
/// What the controller says of a pod, or of its volume claim, that it could not make.
const FAILED: &str = "FailedCreate";

/// Causes by the names of pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Causes {
    /// Why they are not made.
    pub missing: BTreeMap<String, String>,
    /// Why they have no volume.
    pub unbound: BTreeMap<String, String>,
}

/// Reads events, if there is a question. Who may not read them, or cannot, knows no cause.
pub(super) async fn look(
    client: &Client,
    names: &Names,
    set: Option<&StatefulSet>,
    pods: &[Pod],
    claims: &[PersistentVolumeClaim],
) -> Causes {
    let mut causes = Causes::default();
    if let Some(set) = set {
        let missing = missing(names, set, pods);
        let events = match missing.is_empty() {
            true => Vec::new(),
            false => events(client, set).await,
        };
        let why = |pod: String| Some((pod.clone(), why_missing(&events, &pod)?));
        causes.missing = missing.into_iter().filter_map(why).collect();
    }
    for (pod, claim) in unbound(names, pods, claims) {
        let why = why_unbound(&events(client, claim).await);
        causes.unbound.extend(why.map(|why| (pod, why)));
    }
    causes
}

async fn events<K: ResourceExt>(client: &Client, about: &K) -> Vec<Event> {
    let api: Api<Event> = Api::namespaced(client.clone(), &about.namespace().unwrap_or_default());
    let its = format!("involvedObject.uid={}", about.uid().unwrap_or_default());
    match api.list(&ListParams::default().fields(&its).limit(EVENTS_MAX)).await {
        Ok(events) => events.items,
        Err(error) => {
            tracing::debug!("events cannot be read: {}", said(&error));
            Vec::new()
        }
    }
}

fn missing(names: &Names, set: &StatefulSet, pods: &[Pod]) -> Vec<String> {
    let asked = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
    let asked = (0..u32::try_from(asked).unwrap_or(0)).map(|ordinal| names.pod(ordinal));
    asked
        .filter(|name| pods.iter().all(|pod| pod.name_any() != *name))
        .collect()
}

/// Pods that no machine has taken on and whose claims are not bound.
fn unbound<'a>(
    names: &Names,
    pods: &[Pod],
    claims: &'a [PersistentVolumeClaim],
) -> Vec<(String, &'a PersistentVolumeClaim)> {
    let is_pending = |claim: &&PersistentVolumeClaim| {
        claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Pending")
    };
    let waits = |name: &String| {
        let pod = pods.iter().find(|pod| pod.name_any() == *name);
        pod.is_some_and(|pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_none()))
    };
    let of = |claim: &PersistentVolumeClaim| Some(names.pod(names.ordinal_of_claim(&claim.name_any())?));
    let pending = claims.iter().filter(is_pending);
    pending
        .filter_map(|claim| Some((of(claim).filter(waits)?, claim)))
        .collect()
}

/// The words of the newest warning about a volume claim.
fn why_unbound(events: &[Event]) -> Option<String> {
    let warnings = events.iter().filter(|event| event.type_.as_deref() == Some("Warning"));
    warnings.max_by_key(|event| date(event))?.message.clone()
}

/// The words of the newest event about that pod, if it is one of a failure.
fn why_missing(events: &[Event], pod: &str) -> Option<String> {
    let about = format!("Pod {pod} in StatefulSet");
    let told = |event: &&Event| event.message.as_ref().is_some_and(|message| message.contains(&about));
    let newest = events.iter().filter(told).max_by_key(|event| date(event))?;
    let message = newest.message.as_ref()?;
    let error = message
        .split_once("failed error: ")
        .map_or(message.as_str(), |(_, error)| error);
    (newest.reason.as_deref() == Some(FAILED)).then(|| format!("{FAILED}: {error}"))
}

fn date(event: &Event) -> Option<Timestamp> {
    let series = event
        .series
        .as_ref()
        .and_then(|series| series.last_observed_time.as_ref());
    let counted = event.last_timestamp.as_ref().map(|time| time.0);
    let of_series = series.or(event.event_time.as_ref()).map(|time| time.0);
    counted.max(of_series)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(reason: &str, message: &str, second: u32) -> Event {
        let text = format!(
            "{{metadata: {{}}, involvedObject: {{}}, reason: {reason}, message: '{message}', lastTimestamp: '2026-01-01T00:00:{second:02}Z'}}"
        );
        serde_yaml::from_str(&text).unwrap()
    }

    #[test]
    fn a_pod_that_is_not_made_is_explained_by_the_newest_event_about_it() {
        let refused = |pod: &str, second| {
            let message = format!("create Pod {pod} in StatefulSet orders-server failed error: exceeded quota: small");
            event("FailedCreate", &message, second)
        };
        let made = event(
            "SuccessfulCreate",
            "create Pod orders-server-1 in StatefulSet orders-server successful",
            7,
        );
        let of = |events: &[Event]| why_missing(events, "orders-server-1");
        let quota = Some("FailedCreate: exceeded quota: small".to_owned());
        assert_eq!(of(&[refused("orders-server-1", 8), made.clone()]), quota);
        assert_eq!(of(&[refused("orders-server-1", 6), made]), None, "it was made since");
        assert_eq!(of(&[refused("orders-server-10", 8)]), None, "another one");
        let claim =
            "create Claim data-orders-server-1 Pod orders-server-1 in StatefulSet orders-server failed error: no room";
        assert_eq!(
            of(&[event("FailedCreate", claim, 1)]),
            Some("FailedCreate: no room".into())
        );
    }

    #[test]
    fn pods_are_missing_that_are_asked_for_and_not_there() {
        let set: StatefulSet =
            serde_yaml::from_str("{metadata: {}, spec: {replicas: 3, selector: {}, template: {}}}").unwrap();
        let pod: Pod = serde_yaml::from_str("{metadata: {name: orders-server-1}}").unwrap();
        assert_eq!(
            missing(&Names::new("orders"), &set, &[pod]),
            ["orders-server-0", "orders-server-2"]
        );
    }

    #[test]
    fn a_pod_without_a_machine_is_explained_by_the_newest_warning_about_its_volume() {
        let claim: PersistentVolumeClaim =
            serde_yaml::from_str("{metadata: {name: data-orders-server-1}, status: {phase: Pending}}").unwrap();
        let bound: PersistentVolumeClaim =
            serde_yaml::from_str("{metadata: {name: data-orders-server-0}, status: {phase: Bound}}").unwrap();
        let pod = |ordinal: u32, place: &str| -> Pod {
            let text = format!("{{metadata: {{name: orders-server-{ordinal}}}, spec: {{containers: []{place}}}}}");
            serde_yaml::from_str(&text).unwrap()
        };
        let of = |pods: &[Pod]| {
            let claims = [bound.clone(), claim.clone()];
            let found = unbound(&Names::new("orders"), pods, &claims);
            found.into_iter().map(|(pod, _)| pod).collect::<Vec<_>>()
        };
        assert_eq!(of(&[pod(0, ""), pod(1, "")]), ["orders-server-1"]);
        assert!(of(&[pod(1, ", nodeName: a")]).is_empty(), "it is being made there");
        let warning = |message: &str, second| Event {
            type_: Some("Warning".into()),
            ..event("ProvisioningFailed", message, second)
        };
        let waits = event("WaitForFirstConsumer", "waiting for first consumer", 9);
        let events = [warning("no class", 2), warning("older", 1), waits];
        assert_eq!(why_unbound(&events).as_deref(), Some("no class"));
    }
}
