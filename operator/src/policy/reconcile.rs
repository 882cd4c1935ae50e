//! One pass over one Policy: observe, plan, act, status. Every pass is safe to repeat and starts from nothing but what the API
//! server and the brokers hold. Without a cause it comes again within a minute, which is how drift is found.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::runtime::reflector::Store;
use kube::{Api, Resource, ResourceExt};
use tracing::Instrument;

use super::act::{self, Done, FINALIZER, Hand};
use super::broker;
use super::desired::desired;
use super::observe::{self, Found, observe, takes};
use super::plan::{ClusterSeen, Obstacle, Plan, Seen, Step, plan};
use super::rivals::{Rivals, rivals};
use super::status::{Pass, status};
use crate::api_error::said;
use crate::cluster::counts::Written;
use crate::cluster::names::OPERATOR;
use crate::cluster::reconcile::Context;
use crate::crd::{Policy, PolicyStatus};
use crate::events::{self, Note};
use crate::unreadable::{self, Read};

/// Annotation by which a user insists on what is held back.
pub const FORCE: &str = "warren.dev/force";
/// A look without a cause. Half a minute, so that drift is repaired within one.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// The next look while something is waited for that should come soon.
const LOOK_SOON: Duration = Duration::from_secs(5);

/// The Policies that a controller watches.
pub type Policies = Store<DeserializeGuard<Policy>>;

/// What every pass needs.
pub struct PolicyContext {
    /// What passes over clusters need too.
    pub base: Arc<Context>,
    /// Every Policy that the operator watches.
    pub stores: Vec<Policies>,
    /// When each status was written.
    pub written: Written,
}

/// A pass that must be repeated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Policy could not be read.
    #[error("cannot read the Policy: {}", said(.0))]
    Read(#[source] Box<kube::Error>),
    /// Its cluster could not be read.
    #[error(transparent)]
    Observe(#[from] observe::Error),
    /// The finalizer could not be written.
    #[error(transparent)]
    Act(#[from] act::Error),
    /// The status could not be written.
    #[error("cannot write the status: {}", said(.0))]
    Status(#[source] Box<kube::Error>),
}

impl Error {
    /// The step that failed, for metrics.
    pub fn step(&self) -> &'static str {
        match self {
            Self::Read(_) => "policy_read",
            Self::Observe(_) => "policy_observe",
            Self::Act(_) => "policy_act",
            Self::Status(_) => "policy_status",
        }
    }
}

/// Runs a pass, counts it and says how it went.
///
/// # Errors
/// When the pass must be repeated soon.
pub async fn reconcile(policy: Arc<DeserializeGuard<Policy>>, context: Arc<PolicyContext>) -> Result<Action, Error> {
    let (name, namespace) = (policy.name_any(), policy.namespace().unwrap_or_default());
    if !context.base.leadership.holds() {
        return Ok(Action::requeue(LOOK_SOON));
    }
    let began = Instant::now();
    let span = tracing::info_span!("pass", policy = name, namespace);
    let result = Box::pin(pass(&name, &namespace, &context))
        .instrument(span.clone())
        .await;
    let failed = result.as_ref().err().map(Error::step);
    context.base.metrics.policy_pass(began.elapsed(), failed);
    if let Err(error) = &result {
        span.in_scope(|| tracing::warn!(step = error.step(), %error, "the pass failed and will be repeated"));
    }
    result
}

/// When a failed pass is repeated.
pub fn on_error(_: Arc<DeserializeGuard<Policy>>, _: &Error, _: Arc<PolicyContext>) -> Action {
    Action::requeue(LOOK_SOON)
}

async fn pass(name: &str, namespace: &str, context: &PolicyContext) -> Result<Action, Error> {
    let policies: Api<Policy> = Api::namespaced(context.base.client.clone(), namespace);
    let key = format!("{namespace}/{name}");
    let read = unreadable::read::<Policy>(&context.base.client, namespace, name).await;
    let policy = match read.map_err(|error| Error::Read(Box::new(error)))? {
        Read::Whole(policy) => *policy,
        Read::Gone => {
            context.written.forget(&key);
            return Ok(Action::await_change());
        }
        Read::Not(strange) => {
            let told = strange.tell::<Policy>(&context.base.client, &context.base.recorder, "Ready");
            told.await.map_err(|error| Error::Status(Box::new(error)))?;
            return Ok(Action::requeue(LOOK_AGAIN));
        }
    };
    let found = observe(&context.base.client, &policy).await?;
    let seen = seen(&policy, &found, &context.rivals(&policy, &found).await);
    let plan = plan(&seen);
    let hand = Hand {
        client: &context.base.client,
        leadership: &context.base.leadership,
        metrics: &context.base.metrics,
        policy: &policy,
    };
    let done = hand.act(&found, &seen, &plan).await?;
    if policy.metadata.deletion_timestamp.is_some() && !matches!(plan.step, Step::Wait(_)) && done.outcome.is_ok() {
        events::publish(&context.base.recorder, &policy.object_ref(&()), &done.notes).await;
        context.written.forget(&key);
        return Ok(Action::await_change());
    }
    let now = status(&policy, &judged(&found, &seen, &plan, &done), Timestamp::now());
    let wait = next_look(&plan, &done, &now);
    tell(&policy, &now, done.notes, context).await;
    let unwritten = write(&policies, &policy, &now, (&key, &context.written)).await?;
    Ok(Action::requeue(unwritten.map_or(wait, |unwritten| unwritten.min(wait))))
}

fn judged<'a>(found: &Found, seen: &'a Seen, plan: &'a Plan, done: &'a Done) -> Pass<'a> {
    Pass {
        seen,
        plan,
        outcome: &done.outcome,
        after: &done.after,
        cluster_uid: found.cluster.as_ref().and_then(ResourceExt::uid),
    }
}

fn seen(policy: &Policy, found: &Found, rivals: &Rivals) -> Seen {
    let status = policy.status.as_ref();
    let uid = found.cluster.as_ref().and_then(ResourceExt::uid);
    // What a predecessor of the cluster was given says nothing of this one.
    let same = status.filter(|status| uid.is_none() || status.applied_to == uid);
    Seen {
        deleting: policy.metadata.deletion_timestamp.is_some(),
        held: policy.finalizers().iter().any(|finalizer| finalizer == FINALIZER),
        retain: policy.spec.deletion_policy == crate::crd::DeletionPolicy::Retain,
        forced: policy.annotations().get(FORCE).is_some_and(|value| value == "true"),
        desired: desired(policy),
        applied: same.and_then(|status| status.applied_hash.clone()),
        older: rivals.older.clone(),
        heir: rivals.heir.clone(),
        cluster: found.seen.clone(),
    }
}

impl PolicyContext {
    /// Rivals come from the watches: one that shows this Policy has shown every older one before.
    async fn rivals(&self, policy: &Policy, found: &Found) -> Rivals {
        for store in &self.stores {
            // An error means that the watch has ended, and the process with it.
            if store.wait_until_ready().await.is_err() {
                tracing::debug!("a watch has ended");
            }
        }
        let all: Vec<_> = self.stores.iter().flat_map(Store::state).collect();
        let all = all.iter().filter_map(|guarded| guarded.0.as_ref().ok());
        let cluster = found.cluster.as_ref();
        rivals(policy, all, |namespace| {
            cluster.is_some_and(|cluster| takes(cluster, namespace))
        })
    }
}

fn next_look(plan: &Plan, done: &Done, now: &PolicyStatus) -> Duration {
    let waits = |kind: &str| {
        now.conditions
            .iter()
            .any(|condition| condition.type_ == kind && condition.status == "False")
    };
    match (&plan.step, &done.outcome) {
        (_, Err(broker::Error::Silent(_))) => LOOK_SOON,
        (_, Err(broker::Error::Refused(_) | broker::Error::NotFound(_))) => LOOK_AGAIN,
        (Step::Wait(Obstacle::Silent(_) | Obstacle::ClusterDeleting | Obstacle::Taken(_)), Ok(())) => LOOK_SOON,
        (Step::Rest | Step::Put(_), Ok(()))
            if waits("MirrorsSynced") && matches!(done.after, ClusterSeen::Tells(..)) =>
        {
            LOOK_SOON * 2
        }
        _ => LOOK_AGAIN,
    }
}

async fn tell(policy: &Policy, now: &PolicyStatus, mut notes: Vec<Note>, context: &PolicyContext) {
    let before = policy.status.as_ref();
    let conditions = before.map(|status| status.conditions.as_slice()).unwrap_or_default();
    notes.extend(events::of_changes(conditions, &now.conditions));
    let known =
        |name: &String| before.is_some_and(|status| status.shadowed_by.iter().any(|shadow| shadow.name == *name));
    for shadow in now.shadowed_by.iter().filter(|shadow| !known(&shadow.name)) {
        let message = format!(
            "{} queues and {} exchanges that it fits obey policy '{}' instead (priority {}, this one has {})",
            shadow.queues, shadow.exchanges, shadow.name, shadow.priority, policy.spec.priority
        );
        notes.push(Note::normal("Shadowed", message));
    }
    events::publish(&context.base.recorder, &policy.object_ref(&()), &notes).await;
}

/// Writes the status if it says anything new; how long to wait if counts alone were written a moment ago.
async fn write(
    policies: &Api<Policy>,
    policy: &Policy,
    now: &PolicyStatus,
    (key, written): (&str, &Written),
) -> Result<Option<Duration>, Error> {
    match written.due_in(key, policy.status.as_ref(), now, Instant::now()) {
        None => return Ok(None),
        Some(Duration::ZERO) => written.note(key, Instant::now()),
        waits => return Ok(waits),
    }
    let applied = serde_json::json!({
        "apiVersion": Policy::api_version(&()),
        "kind": Policy::kind(&()),
        "status": now,
    });
    let parameters = PatchParams::apply(OPERATOR).force();
    let patched = policies
        .patch_status(&policy.name_any(), &parameters, &Patch::Apply(applied))
        .await;
    match patched {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None), // deleted meanwhile
        Err(error) => Err(Error::Status(Box::new(error))),
    }
}
