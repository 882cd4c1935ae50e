//! The operator's process: waits for the lease, then watches RabbitClusters with everything that belongs to them, and Policies, and
//! runs a pass for each change. It ends on SIGTERM, after handing the lease back, or when the lease is lost: whoever acts next must find us
//! silent, so no pass outlives the lease.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use futures::{Stream, StreamExt};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::runtime::controller::{self, Config, Controller};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use tokio_util::sync::CancellationToken;

use crate::api_error::said;
use crate::cluster::counts::Written;
use crate::cluster::discovery::Discovery;
use crate::cluster::heed::{Heed, Key};
use crate::cluster::image::Reference;
use crate::cluster::names::{LABEL_INSTANCE, LABEL_MANAGED_BY, OPERATOR};
use crate::cluster::reconcile::{Context, on_error, reconcile};
use crate::cluster::rollouts::{Rollouts, Terms};
use crate::crd::{Policy, RabbitCluster};
use crate::lease::{Election, Leadership};
use crate::metrics::Metrics;
use crate::policy;
use crate::policy::desired::cluster_of as cluster_of_policy;
use crate::policy::reconcile::{Policies, PolicyContext};
use crate::wake;

/// Passes at the same time, over different clusters.
const PASSES_MAX: u16 = 8;
/// Changes within this time become one pass.
const GATHER: Duration = Duration::from_millis(100);
/// How long passes may go on after SIGTERM.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// How the operator runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Namespaces to look after; none means all.
    pub namespaces: Vec<String>,
    /// Image of clusters that name none.
    pub default_image: Reference,
    /// How many clusters are rolled at once.
    pub rollouts: Terms,
    /// Where the Lease is.
    pub lease_namespace: String,
    /// Name of the Lease.
    pub lease_name: String,
    /// Name of this operator, which no other may have.
    pub identity: String,
    /// Where `/metrics`, `/healthz` and `/readyz` are served.
    pub listen: SocketAddr,
}

/// Why the operator ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No API server is configured, or it does not answer.
    #[error("no Kubernetes API server: {}", said(.0))]
    Client(#[source] Box<kube::Error>),
    /// The page cannot be served.
    #[error("cannot listen on {at}: {source}")]
    Listen {
        /// The address.
        at: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Signals cannot be received.
    #[error("cannot wait for signals: {0}")]
    Signals(#[source] std::io::Error),
    /// Another operator may act now.
    #[error("the lease was lost; ending so that two operators never act at once")]
    LeaseLost,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start, and when the lease is lost.
pub async fn run(options: Options) -> Result<(), Error> {
    let client = Client::try_default()
        .await
        .map_err(|error| Error::Client(Box::new(error)))?;
    let leadership = Leadership::default();
    let context = Arc::new(context(&client, &options, leadership.clone()));
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    serve(&options, Arc::clone(&context)).await?;
    let Options {
        lease_namespace,
        lease_name,
        identity,
        ..
    } = &options;
    let mut election = Election::new(client.clone(), lease_namespace, lease_name, identity, leadership);
    election.win(&stop).await;
    if stop.is_cancelled() {
        election.release().await;
        return Ok(());
    }
    suppose(&client, &options.namespaces, &context).await;
    let finish = CancellationToken::new();
    let work = controllers(&client, &options.namespaces, &context, &finish);
    tokio::pin!(work);
    let ours = tokio::select! {
        () = election.keep(&stop) => stop.is_cancelled(),
        () = &mut work => true,
    };
    if !ours {
        return Err(Error::LeaseLost); // dropping `work` ends every pass where it stands
    }
    finish.cancel();
    // A pass that takes longer is dropped; the next operator resumes it.
    let drained = tokio::time::timeout(DRAIN_WITHIN / 2, work).await;
    tracing::info!(drained = drained.is_ok(), "stopped");
    election.release().await;
    Ok(())
}

/// Who was being rolled when the last operator ended. Who cannot be read is found out about by the first pass.
async fn suppose(client: &Client, namespaces: &[String], context: &Context) {
    for scope in scopes(namespaces) {
        let clusters = api::<DeserializeGuard<RabbitCluster>>(client, scope);
        match clusters.list(&ListParams::default()).await {
            Ok(list) => context
                .rollouts
                .suppose(list.iter().filter_map(|cluster| cluster.0.as_ref().ok())),
            Err(error) => tracing::warn!("who is being rolled is not known yet: {}", said(&error)),
        }
    }
}

fn scopes(namespaces: &[String]) -> Vec<Option<&str>> {
    match namespaces {
        [] => vec![None],
        named => named.iter().map(|namespace| Some(namespace.as_str())).collect(),
    }
}

fn context(client: &Client, options: &Options, leadership: Leadership) -> Context {
    let reporter = Reporter {
        controller: OPERATOR.into(),
        instance: Some(options.identity.clone()),
    };
    Context {
        written: Written::default(),
        heed: Heed::default(),
        kinds: Discovery::default(),
        rollouts: Rollouts::new(options.rollouts),
        client: client.clone(),
        recorder: Recorder::new(client.clone(), reporter),
        leadership,
        metrics: Metrics::default(),
        default_image: options.default_image.clone(),
    }
}

fn stop_on_signal(stop: CancellationToken) -> Result<(), Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop");
        stop.cancel();
    });
    Ok(())
}

async fn serve(options: &Options, context: Arc<Context>) -> Result<(), Error> {
    let failed = |source| Error::Listen {
        at: options.listen,
        source,
    };
    let listener = tokio::net::TcpListener::bind(options.listen).await.map_err(failed)?;
    let page = Arc::clone(&context);
    let metrics = move || {
        let text = page.metrics.page(page.leadership.holds(), page.rollouts.counts());
        std::future::ready(text)
    };
    // An operator that waits for the lease is well, and ready to take over.
    let pages = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| std::future::ready((StatusCode::OK, "ok\n"))));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, pages).await {
            tracing::error!(%error, "the metrics page ended");
        }
    });
    Ok(())
}

async fn controllers(client: &Client, namespaces: &[String], context: &Arc<Context>, finish: &CancellationToken) {
    let scopes = scopes(namespaces);
    tracing::info!(?namespaces, "looking after these namespaces; none means all");
    let clusters = scopes.iter().map(|scope| run_clusters(client, *scope, context, finish));
    let policies: Vec<_> = scopes.iter().map(|scope| policy_controller(client, *scope)).collect();
    let context = Arc::new(PolicyContext {
        base: Arc::clone(context),
        stores: policies.iter().map(Controller::store).collect(),
        written: Written::default(),
    });
    let policies = policies.into_iter().zip(&scopes);
    let policies = policies.map(|(watched, scope)| run_policies(client, *scope, watched, &context, finish));
    tokio::join!(futures::future::join_all(clusters), futures::future::join_all(policies));
}

fn policy_controller(client: &Client, namespace: Option<&str>) -> Controller<DeserializeGuard<Policy>> {
    let changes = watcher(
        api::<DeserializeGuard<Policy>>(client, namespace),
        watcher::Config::default(),
    );
    wake::controller(changes).with_config(Config::default().concurrency(PASSES_MAX).debounce(GATHER))
}

/// A cluster that changes, itself or in its brokers, is a cause to look at its Policies, wherever they are.
async fn run_policies(
    client: &Client,
    scope: Option<&str>,
    watched: Controller<DeserializeGuard<Policy>>,
    context: &Arc<PolicyContext>,
    finish: &CancellationToken,
) {
    let (stores, own) = (context.stores.clone(), [watched.store()]);
    let changed = context.base.heed.wakes();
    let passes = watched
        .reconcile_on(changed.flat_map(move |cluster| futures::stream::iter(policies_of(&own, &cluster))))
        .watches(
            api::<DeserializeGuard<RabbitCluster>>(client, scope),
            watcher::Config::default(),
            move |cluster| policies_of(&stores, &key_of(&cluster)),
        )
        .graceful_shutdown_on(finish.clone().cancelled_owned())
        .run(
            policy::reconcile::reconcile,
            policy::reconcile::on_error,
            Arc::clone(context),
        );
    tell_failures(passes).await;
}

/// Lets passes go on until there are no more. Each tells its own failure; what is left is for who looks closely.
async fn tell_failures<T, E: std::fmt::Display>(passes: impl Stream<Item = Result<T, E>>) {
    passes
        .for_each(|passed| {
            if let Err(error) = passed {
                tracing::debug!(%error, "a pass or a watch failed");
            }
            std::future::ready(())
        })
        .await;
}

fn key_of(cluster: &DeserializeGuard<RabbitCluster>) -> Key {
    (cluster.namespace().unwrap_or_default(), cluster.name_any())
}

fn policies_of(stores: &[Policies], cluster: &Key) -> Vec<ObjectRef<DeserializeGuard<Policy>>> {
    let all: Vec<_> = stores.iter().flat_map(Policies::state).collect();
    let its = all
        .iter()
        .filter_map(|policy| policy.0.as_ref().ok())
        .filter(|policy| cluster_of_policy(policy) == *cluster);
    let reference =
        |policy: &Policy| ObjectRef::new(&policy.name_any()).within(&policy.namespace().unwrap_or_default());
    its.map(reference).collect()
}

async fn run_clusters(client: &Client, namespace: Option<&str>, context: &Arc<Context>, finish: &CancellationToken) {
    let ours = watcher::Config::default().labels(&format!("{LABEL_MANAGED_BY}={OPERATOR}"));
    let changes = watcher(
        api::<DeserializeGuard<RabbitCluster>>(client, namespace),
        watcher::Config::default(),
    );
    let passes = wake::controller(changes)
        .with_config(Config::default().concurrency(PASSES_MAX).debounce(GATHER))
        .owns(api::<StatefulSet>(client, namespace), ours.clone())
        .owns(api::<Service>(client, namespace), ours.clone())
        .owns(api::<ConfigMap>(client, namespace), ours.clone())
        .owns(api::<ServiceAccount>(client, namespace), ours.clone())
        .owns(api::<PodDisruptionBudget>(client, namespace), ours.clone())
        .owns(api::<NetworkPolicy>(client, namespace), ours.clone())
        .watches(api::<Pod>(client, namespace), ours, |pod| cluster_of(&pod))
        .reconcile_on(clusters_in(namespace, context.heed.wakes()))
        .graceful_shutdown_on(finish.clone().cancelled_owned())
        .run(reconcile, on_error, Arc::clone(context));
    tell_failures(passes.inspect(|passed| forget_gone(passed, context))).await;
}

fn clusters_in<S: Stream<Item = Key>>(
    namespace: Option<&str>,
    changed: S,
) -> impl Stream<Item = ObjectRef<DeserializeGuard<RabbitCluster>>> + use<S> {
    let namespace = namespace.map(str::to_owned);
    changed.filter_map(move |(within, name)| {
        let is_there = namespace.as_ref().is_none_or(|namespace| *namespace == within);
        std::future::ready(is_there.then(|| ObjectRef::new(&name).within(&within)))
    })
}

/// No pass comes over a cluster that went at once; what belonged to it wakes us still as it goes.
fn forget_gone<T, E: std::error::Error, W: std::error::Error>(
    passed: &Result<T, controller::Error<E, W>>,
    context: &Context,
) {
    if let Err(controller::Error::ObjectNotFound(gone)) = passed {
        context.forget(gone.namespace.as_deref().unwrap_or_default(), &gone.name);
    }
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// Pods belong to the StatefulSet; their label says which cluster that is.
fn cluster_of(pod: &Pod) -> Option<ObjectRef<DeserializeGuard<RabbitCluster>>> {
    let cluster = pod.labels().get(LABEL_INSTANCE)?;
    Some(ObjectRef::new(cluster).within(&pod.namespace()?))
}
