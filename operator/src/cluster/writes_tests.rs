//! What takes something away, as the API server sees it: each such write names the very object that was judged, and none is made for a spec that is
//! no longer the newest, or without the lease. The API server is one that notes what it is asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use http_body_util::BodyExt;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::Client;
use serde_json::{Value, json};

use super::act::Hand;
use super::observe::Found;
use super::plan::Why;
use super::renew::Renewing;
use super::rotation::{Asked, Turn};
use super::secrets::draw_cookie;
use super::situation::PodSeen;
use super::validate::{ValidCluster, validate};
use crate::crd::RabbitCluster;
use crate::lease::Leadership;

/// Version of whatever was patched.
const PATCHED: &str = "12";

type Asks = Arc<Mutex<Vec<(String, Value)>>>;

fn cluster(generation: i64) -> RabbitCluster {
    let text = format!("{{metadata: {{name: orders, namespace: shop, uid: u, generation: {generation}}}, spec: {{}}}}");
    serde_yaml::from_str(&text).unwrap()
}

/// An API server that has this RabbitCluster, agrees to everything and notes what is deleted.
async fn server(live: RabbitCluster) -> (Client, Asks) {
    // As the operator does; another test may have.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asks = Asks::default();
    let noted = asks.clone();
    let answer = move |request: Request| {
        let (noted, live) = (noted.clone(), live.clone());
        async move {
            let asked = format!("{} {}", request.method(), request.uri().path());
            let body = request.into_body().collect().await.unwrap().to_bytes();
            if asked.starts_with("GET ") {
                return (StatusCode::OK, serde_json::to_string(&live).unwrap());
            }
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let is_patch = asked.starts_with("PATCH ");
            noted.lock().unwrap().push((asked, body));
            if is_patch {
                let patched = json!({"metadata": {"resourceVersion": PATCHED}});
                return (StatusCode::OK, patched.to_string());
            }
            let done = json!({"kind": "Status", "apiVersion": "v1", "status": "Success", "code": 200});
            (StatusCode::OK, done.to_string())
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    let config = kube::Config::new(format!("http://{address}").parse().unwrap());
    (Client::try_from(config).unwrap(), asks)
}

struct Stand {
    client: Client,
    asks: Asks,
    leadership: Leadership,
    cluster: RabbitCluster,
    valid: ValidCluster,
}

impl Stand {
    /// A pass about the first generation of a cluster that is of this generation by now.
    async fn new(live: i64, leads: bool) -> Self {
        let (client, asks) = server(cluster(live)).await;
        let cluster = cluster(1);
        let leadership = Leadership::default();
        if leads {
            leadership.confirm(0);
        }
        Self {
            client,
            asks,
            leadership,
            valid: validate(&cluster, &"localhost/warren:dev".parse().unwrap()).unwrap(),
            cluster,
        }
    }

    fn hand(&self) -> Hand<'_> {
        Hand {
            client: &self.client,
            leadership: &self.leadership,
            cluster: &self.cluster,
            valid: &self.valid,
            asked: Asked::default(),
        }
    }

    fn asked(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.asks.lock().unwrap())
    }

    /// Which pods were patched with which version of the secret, in order of their names.
    fn touched(&self) -> Vec<(String, Value)> {
        let patched = |(asked, body): (String, Value)| {
            let pod = asked.strip_prefix("PATCH /api/v1/namespaces/shop/pods/")?.to_owned();
            Some((
                pod,
                body["metadata"]["annotations"]["warren.dev/secret-version"].clone(),
            ))
        };
        let mut touched: Vec<_> = self.asked().into_iter().filter_map(patched).collect();
        touched.sort_by(|one, other| one.0.cmp(&other.0));
        touched
    }
}

fn pod() -> PodSeen {
    PodSeen {
        name: "orders-server-2".into(),
        uid: "pod-uid".into(),
        resource_version: "7".into(),
        ..PodSeen::default()
    }
}

fn set() -> StatefulSet {
    serde_yaml::from_str("{metadata: {name: orders-server, uid: set-uid}}").unwrap()
}

const POD: &str = "DELETE /api/v1/namespaces/shop/pods/orders-server-2";

#[tokio::test]
async fn a_pod_is_deleted_only_as_the_very_one_that_was_judged() {
    let stand = Stand::new(1, true).await;
    assert!(stand.hand().replace(&pod(), Why::Turn).await.unwrap().is_some());
    let asked = stand.asked();
    assert_eq!((asked.len(), asked[0].0.as_str()), (1, POD));
    assert_eq!(
        asked[0].1["preconditions"],
        json!({"uid": "pod-uid", "resourceVersion": "7"})
    );
}

#[tokio::test]
async fn a_stateful_set_is_deleted_as_the_very_one_and_its_pods_are_left() {
    let stand = Stand::new(1, true).await;
    assert!(stand.hand().recreate(Some(&set())).await.unwrap().is_some());
    let asked = stand.asked();
    assert_eq!(
        (asked.len(), asked[0].0.as_str()),
        (1, "DELETE /apis/apps/v1/namespaces/shop/statefulsets/orders-server")
    );
    assert_eq!(asked[0].1["propagationPolicy"], "Orphan");
    assert_eq!(asked[0].1["preconditions"]["uid"], "set-uid");
}

#[tokio::test]
async fn a_volume_goes_before_its_pod_and_each_as_the_very_one() {
    let claim = |extra: &str| -> PersistentVolumeClaim {
        let text = format!("{{metadata: {{name: data-orders-server-2, uid: claim-uid, resourceVersion: '3'{extra}}}}}");
        serde_yaml::from_str(&text).unwrap()
    };
    let renewing = Renewing {
        pod: "orders-server-2".into(),
        volume: "claim-uid".into(),
    };
    let stand = Stand::new(1, true).await;
    let (_, deleted) = stand
        .hand()
        .discard(&[claim("")], &renewing, Some(&pod()))
        .await
        .unwrap();
    assert!(deleted);
    let asked = stand.asked();
    assert_eq!(
        asked[0].0,
        "DELETE /api/v1/namespaces/shop/persistentvolumeclaims/data-orders-server-2"
    );
    assert_eq!(
        asked[0].1["preconditions"],
        json!({"uid": "claim-uid", "resourceVersion": "3"})
    );
    assert_eq!((asked.len(), asked[1].0.as_str()), (2, POD));
    // Taken up again after a crash between the two.
    let going = claim(", deletionTimestamp: '2026-01-01T00:00:00Z'");
    stand.hand().discard(&[going], &renewing, Some(&pod())).await.unwrap();
    assert_eq!(
        stand.asked().into_iter().map(|(asked, _)| asked).collect::<Vec<_>>(),
        [POD]
    );
    let mut other = claim("");
    other.metadata.uid = Some("another".into());
    let gone = PodSeen {
        terminating: true,
        ..pod()
    };
    stand.hand().discard(&[other], &renewing, Some(&gone)).await.unwrap();
    assert_eq!(stand.asked(), [], "the new volume is not the one that was given up");
}

#[tokio::test]
async fn nothing_is_taken_away_for_an_older_spec_or_without_the_lease() {
    for (live, leads) in [(2, true), (1, false)] {
        let stand = Stand::new(live, leads).await;
        let renewing = Renewing {
            pod: "orders-server-2".into(),
            volume: "claim-uid".into(),
        };
        let hand = stand.hand();
        assert_eq!(hand.replace(&pod(), Why::Turn).await.unwrap(), None);
        assert_eq!(hand.recreate(Some(&set())).await.unwrap(), None);
        hand.discard(&[], &renewing, Some(&pod())).await.unwrap();
        assert_eq!(stand.asked(), [], "generation {live}, lease {leads}");
    }
}

/// Two pods, of which the second was told to read this version of the secret.
fn pods_of(told: &str) -> Found {
    let pods = format!(
        "[{{metadata: {{name: orders-server-0}}}}, {{metadata: {{name: orders-server-1, annotations: {{warren.dev/secret-version: '{told}'}}}}}}]"
    );
    Found {
        pods: serde_yaml::from_str(&pods).unwrap(),
        ..Found::default()
    }
}

/// The cluster's secret in this stage of a rotation, if in any.
fn cookie(stage: Option<&str>) -> Secret {
    let stage = stage
        .map(|stage| format!("warren.dev/rotation: {stage}"))
        .unwrap_or_default();
    let text = format!("{{metadata: {{name: orders-cookie, resourceVersion: '11', annotations: {{{stage}}}}}}}");
    Secret {
        data: Some(draw_cookie()),
        ..serde_yaml::from_str(&text).unwrap()
    }
}

#[tokio::test]
async fn kubelets_are_made_to_look_at_once_at_pods_that_are_to_read_another_secret_and_at_no_others() {
    let stand = Stand::new(1, true).await;
    let hand = stand.hand();
    let wait = Turn::Wait("pods have yet to read it".into());
    let pod = |name: &str, version: &str| (name.to_owned(), json!(version));
    hand.rotate(&pods_of("11"), &cookie(None), &Turn::Replace)
        .await
        .unwrap();
    let both = [pod("orders-server-0", PATCHED), pod("orders-server-1", PATCHED)];
    assert_eq!(stand.touched(), both, "all are to read what has been written");
    // A pass later, or the next operator after a crash between the two writes.
    hand.rotate(&pods_of("11"), &cookie(Some("replaced")), &wait)
        .await
        .unwrap();
    assert_eq!(stand.touched(), [pod("orders-server-0", "11")], "none is told twice");
    let mut read = pods_of("10");
    read.accepting = ["orders-server-0".to_owned()].into();
    hand.rotate(&read, &cookie(Some("staged")), &wait).await.unwrap();
    assert_eq!(stand.touched(), [pod("orders-server-1", "11")], "the other has read it");
    for turn in [Turn::Rest, wait] {
        hand.rotate(&pods_of("10"), &cookie(None), &turn).await.unwrap();
        assert_eq!(stand.asked(), [], "nothing is under way");
    }
}
