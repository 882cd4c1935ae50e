//! Whether an installed operator is at work: the API server serves RabbitClusters, and somebody renews the lease. What `helm test` runs;
//! it only reads.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::{Api, Client};

use crate::api_error::said;
use crate::crd::RabbitCluster;
use crate::lease::record;

/// Longer than two renewals.
const WATCH_FOR: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is wrong with the installation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No API server is configured, or it does not answer.
    #[error("no Kubernetes API server: {}", said(.0))]
    Client(#[source] Box<kube::Error>),
    /// The resource is not served, or may not be read.
    #[error("RabbitClusters cannot be read (is the CRD installed?): {}", said(.0))]
    Resource(#[source] Box<kube::Error>),
    /// The lease cannot be read.
    #[error("the lease cannot be read: {}", said(.0))]
    Lease(#[source] Box<kube::Error>),
    /// No operator renews the lease.
    #[error("no operator renewed the lease {0} within 20 seconds: is it running?")]
    Idle(String),
}

/// Watches the lease until it is renewed; who renewed it.
///
/// # Errors
/// What is wrong.
pub async fn check(namespace: Option<&str>, lease_namespace: &str, lease_name: &str) -> Result<String, Error> {
    let client = Client::try_default()
        .await
        .map_err(|error| Error::Client(Box::new(error)))?;
    let clusters: Api<RabbitCluster> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let read = clusters.list(&ListParams::default().limit(1)).await;
    read.map_err(|error| Error::Resource(Box::new(error)))?;
    let leases: Api<Lease> = Api::namespaced(client, lease_namespace);
    let began = Instant::now();
    let mut first = None;
    while began.elapsed() < WATCH_FOR {
        let lease = leases
            .get_opt(lease_name)
            .await
            .map_err(|error| Error::Lease(Box::new(error)))?;
        let seen = lease.as_ref().map(record).filter(|record| !record.holder.is_empty());
        match (&first, seen) {
            (Some(before), Some(now)) if *before != now => return Ok(now.holder),
            (None, Some(now)) => first = Some(now),
            (Some(_) | None, _) => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(Error::Idle(format!("{lease_namespace}/{lease_name}")))
}
