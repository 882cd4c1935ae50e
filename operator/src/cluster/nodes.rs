//! Asks every running node, on its admin port, what cluster it belongs to. A node that does not answer soon is simply not heard: a
//! pass must not hang on a broken one, and no decision that could harm rests on what was not said.

use std::collections::BTreeMap;
use std::time::Duration;

use api::{Copies, Membership};
use futures::future::join_all;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use link::Cookie;

use super::names::{PORT_ADMIN, PORT_PEERS};
use crate::policy::broker::Brokers;

/// How long a node may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest answer that is read; a cluster of 99 nodes tells about 20 KiB.
const ANSWER_BYTES_MAX: usize = 1 << 20;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What each pod's node tells, by the pod's name. All are asked at once.
pub async fn ask(pods: &[Pod]) -> BTreeMap<String, Membership> {
    let addresses = pods.iter().filter_map(|pod| Some((pod.name_any(), address(pod)?)));
    let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let told = addresses.map(|(name, address)| {
        let client = client.clone();
        async move {
            match tokio::time::timeout(PATIENCE, ask_one(&client, &address)).await {
                Ok(Ok(membership)) => Some((name, membership)),
                Ok(Err(error)) => {
                    tracing::debug!(pod = name, "its node does not tell of its cluster: {error}");
                    None
                }
                Err(_) => {
                    tracing::debug!(pod = name, "its node does not tell of its cluster in time");
                    None
                }
            }
        }
    });
    join_all(told).await.into_iter().flatten().collect()
}

/// How many queues each node that tells of itself has copies of, by the pod's name. All are asked at once.
pub async fn copies(pods: &[Pod], told: &BTreeMap<String, Membership>, cookies: &[Cookie]) -> BTreeMap<String, Copies> {
    let heard = pods.iter().filter(|pod| told.contains_key(&pod.name_any()));
    let asked = heard.filter_map(|pod| Some((pod.name_any(), address(pod)?)));
    let answers = asked.map(|(name, address)| async move {
        let brokers = Brokers::new(vec![address], cookies.to_vec()).with_patience(PATIENCE);
        match brokers.copies().await {
            Ok(copies) => Some((name, copies)),
            Err(error) => {
                tracing::debug!(pod = name, "its node does not tell what it has copies of: {error}");
                None
            }
        }
    });
    join_all(answers).await.into_iter().flatten().collect()
}

/// Where the node's admin port is; `None` before the pod has an address.
pub(crate) fn address(pod: &Pod) -> Option<String> {
    at(pod, PORT_ADMIN)
}

/// Where its peer port is.
pub(crate) fn peer_address(pod: &Pod) -> Option<String> {
    at(pod, PORT_PEERS)
}

/// Whether it takes clients and is not about to go.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready =
        |condition: &k8s_openapi::api::core::v1::PodCondition| condition.type_ == "Ready" && condition.status == "True";
    pod.metadata.deletion_timestamp.is_none() && conditions.into_iter().flatten().any(ready)
}

fn at(pod: &Pod, port: i32) -> Option<String> {
    let ip = pod.status.as_ref()?.pod_ip.as_deref().filter(|ip| !ip.is_empty())?;
    let host = if ip.contains(':') {
        format!("[{ip}]")
    } else {
        ip.to_owned()
    };
    Some(format!("{host}:{port}"))
}

async fn ask_one(client: &Client<HttpConnector, Empty<Bytes>>, address: &str) -> Result<Membership, Failure> {
    let answer = client.get(format!("http://{address}/cluster").parse()?).await?;
    if !answer.status().is_success() {
        return Err(format!("HTTP status {}", answer.status()).into());
    }
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await?;
    Ok(serde_json::from_slice(&body.to_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(ip: &str) -> Pod {
        serde_yaml::from_str(&format!("{{metadata: {{name: p}}, status: {{podIP: '{ip}'}}}}")).unwrap()
    }

    #[test]
    fn a_node_is_asked_where_its_pod_is() {
        assert_eq!(address(&pod("10.0.0.1")).as_deref(), Some("10.0.0.1:15680"));
        assert_eq!(address(&pod("fd00::1")).as_deref(), Some("[fd00::1]:15680"));
        assert_eq!(address(&pod("")), None);
    }

    #[tokio::test]
    async fn an_answer_is_read_and_nonsense_is_not_believed() {
        let membership = Membership {
            cluster_id: "c".into(),
            node: "rabbit@a".into(),
            serving: true,
            ..Membership::default()
        };
        let told = membership.clone();
        let routes = axum::Router::new()
            .route("/good/cluster", axum::routing::get(|| async { axum::Json(told) }))
            .route("/bad/cluster", axum::routing::get(|| async { "nonsense" }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let client = Client::builder(TokioExecutor::new()).build_http();
        let good = ask_one(&client, &format!("{address}/good")).await.unwrap();
        assert_eq!(good, membership);
        for other in ["bad", "none"] {
            assert!(
                ask_one(&client, &format!("{address}/{other}")).await.is_err(),
                "{other}"
            );
        }
    }
}
