//! One pass over one cluster: observe, validate, plan, build, act, status. Every pass is safe to repeat and starts from nothing but
//! what the API server holds, so it does not matter where the one before it ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::runtime::events::Recorder;
use kube::{Api, Client, Resource, ResourceExt};
use tracing::Instrument;

use super::act::{self, Done, Hand};
use super::between::{self, Between};
use super::build::monitoring;
use super::build::{Shape, build};
use super::counts::{Counted, Written};
use super::definitions;
use super::discovery::Discovery;
use super::heed::{Heed, Key};
use super::image::Reference;
use super::leave::{FORCE_REMOVE, TIMED_OUT};
use super::level::{self, to_hold};
use super::names::{Names, OPERATOR};
use super::observe::{self, Found, Monitoring, Place, Taken, observe};
use super::pace::{self, Pace};
use super::past::Past;
use super::plan::{Overdue, Plan, Step, Wanted, plan};
use super::rollouts::{Rollouts, key_of};
use super::rotation::{self, Asked, Turn, turn};
use super::secrets::{Verdicts, given_problem, judge, tls_problem};
use super::settings;
use super::situation::{PodSeen, Situation, set_seen, situation};
use super::skew::skipped;
use super::status::{Carried, Monitored, Outcome, status};
use super::validate::{ValidCluster, validate};
use super::volumes::{to_replace, unfit};
use crate::api_error::said;
use crate::crd::{
    CreateMonitoring, OperationKind, Phase, RabbitCluster, RabbitClusterStatus, RolledBack, ShrinkPolicy,
};
use crate::events::{self, Note};
use crate::lease::Leadership;
use crate::metrics::Metrics;
use crate::unreadable::{self, Read};

/// A look without a cause, so that what no watch tells (a lost Secret) is noticed.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The next look while something is waited for that should come soon.
const LOOK_SOON: Duration = Duration::from_secs(5);
/// The next look when the status tells more than other counts: a pass decides from it, too, and it wakes nobody by itself.
const GO_ON: Duration = Duration::from_millis(200);

/// Why `spec.tls` may not go yet.
const STILL_SPOKEN: &str = "spec.tls: nodes speak TLS to each other and need the Secrets that it named until they do not: restore it with interNode: None, \
     and remove it when the condition TlsBetweenNodes has the reason NotAsked";

/// What every pass needs.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Writes events.
    pub recorder: Recorder,
    /// Proof that no other operator acts.
    pub leadership: Leadership,
    /// Counts passes.
    pub metrics: Metrics,
    /// When each status was written.
    pub written: Written,
    /// Hears of changes in the brokers.
    pub heed: Heed,
    /// Which kinds of others the API server has.
    pub kinds: Discovery,
    /// Who rolls.
    pub rollouts: Rollouts,
    /// Image of clusters that name none.
    pub default_image: Reference,
}

impl Context {
    /// A cluster is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.metrics.forget(namespace, name);
        self.written.forget(&format!("{namespace}/{name}"));
        let key = (namespace.to_owned(), name.to_owned());
        self.heed.forget(&key);
        self.rollouts.forget(&key);
    }
}

/// A pass that must be repeated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster could not be read.
    #[error("cannot read the RabbitCluster: {}", said(.0))]
    Read(#[source] Box<kube::Error>),
    /// What belongs to it could not be read.
    #[error(transparent)]
    Observe(#[from] observe::Error),
    /// A write failed.
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
            Self::Read(_) => "read",
            Self::Observe(_) => "observe",
            Self::Act(_) => "act",
            Self::Status(_) => "status",
        }
    }
}

/// Runs a pass, counts it and says how it went.
///
/// # Errors
/// When the pass must be repeated soon.
pub async fn reconcile(cluster: Arc<DeserializeGuard<RabbitCluster>>, context: Arc<Context>) -> Result<Action, Error> {
    let (name, namespace) = (cluster.name_any(), cluster.namespace().unwrap_or_default());
    if !context.leadership.holds() {
        return Ok(Action::requeue(LOOK_SOON));
    }
    let began = Instant::now();
    let span = tracing::info_span!("pass", cluster = name, namespace);
    // On the heap: a pass holds many objects, and a few hundred clusters may be waiting for theirs.
    let result = Box::pin(pass(&name, &namespace, &context))
        .instrument(span.clone())
        .await;
    context
        .metrics
        .pass(began.elapsed(), result.as_ref().err().map(Error::step));
    if let Err(error) = &result {
        span.in_scope(|| tracing::warn!(step = error.step(), %error, "the pass failed and will be repeated"));
    }
    result
}

/// When a failed pass is repeated.
pub fn on_error(_: Arc<DeserializeGuard<RabbitCluster>>, _: &Error, _: Arc<Context>) -> Action {
    Action::requeue(LOOK_SOON)
}

async fn pass(name: &str, namespace: &str, context: &Context) -> Result<Action, Error> {
    let clusters: Api<RabbitCluster> = Api::namespaced(context.client.clone(), namespace);
    let read = unreadable::read::<RabbitCluster>(&context.client, namespace, name).await;
    let cluster = match read.map_err(|error| Error::Read(Box::new(error)))? {
        Read::Whole(cluster) if cluster.metadata.deletion_timestamp.is_none() => *cluster,
        Read::Whole(going) => {
            tell_of_deletion(&clusters, &going).await?;
            context.forget(namespace, name);
            return Ok(Action::await_change()); // the garbage collector does the rest
        }
        Read::Gone => {
            context.forget(namespace, name);
            return Ok(Action::await_change());
        }
        Read::Not(strange) => {
            let told = strange.tell::<RabbitCluster>(&context.client, &context.recorder, "ReconcileSuccess");
            let conditions = told.await.map_err(|error| Error::Status(Box::new(error)))?;
            context.metrics.cluster(namespace, name, strange.phase(), &conditions);
            return Ok(Action::requeue(LOOK_AGAIN));
        }
    };
    let past = Past::look(&cluster, context).await?;
    let found = observe(&context.client, &context.kinds, past.carried_out(&cluster)).await?;
    let (addresses, cookies) = found.brokers();
    let key = (namespace.to_owned(), name.to_owned());
    context.heed.follow(key.clone(), addresses, cookies);
    let mut seen = situation(&Names::new(name), &found);
    let (outcome, notes, failure) = match Box::pin(carry_out(&cluster, &past, &found, &seen, context)).await {
        Ok((outcome, None)) => (outcome, Vec::new(), None),
        Ok((outcome, Some(done))) => {
            seen.set = Some(set_seen(&done.server));
            (outcome, done.notes, None)
        }
        Err(error) if error.is_of_an_ending_namespace() => {
            tracing::info!("the namespace is being deleted: nothing is made any more");
            return Ok(Action::await_change());
        }
        Err(error) => (
            Outcome::Failed(write_failed(&error).into(), error.to_string()),
            Vec::new(),
            Some(error),
        ),
    };
    let known = cluster.status.as_ref().and_then(|status| status.rolled_back.clone());
    let_others_in(&key, &outcome, &seen, context);
    let now = status(past.carried_out(&cluster), &seen, &outcome, Timestamp::now());
    tell(&cluster, &now, notes, context).await;
    let moved = write(&clusters, &cluster, &now, &context.written).await?;
    match failure {
        Some(error) => Err(error.into()),
        None if moved => Ok(Action::requeue(GO_ON)),
        None => Ok(Action::requeue(next_look(&outcome, &seen, known.as_ref()))),
    }
}

/// Whether trying again may help.
fn write_failed(error: &act::Error) -> &'static str {
    match error.is_of_the_spec() {
        true => "SpecRefused",
        false => "WriteFailed",
    }
}

/// Those who wait for the cluster to be rolled are looked at when it has been.
fn let_others_in(key: &Key, outcome: &Outcome, seen: &Situation, context: &Context) {
    let plan = match outcome {
        Outcome::Done(carried) => Some(&carried.plan),
        Outcome::Paused | Outcome::Failed(..) => None,
    };
    if let Some(freed) = context.rollouts.settle(key, plan, seen, Instant::now()) {
        context.heed.wake(freed.waiting, freed.after);
    }
}

/// A cluster is there for a while still when whoever deletes it waits for its pods.
async fn tell_of_deletion(clusters: &Api<RabbitCluster>, cluster: &RabbitCluster) -> Result<(), Error> {
    let known = cluster.status.as_ref().and_then(|status| status.phase);
    if known == Some(Phase::Deleting) {
        return Ok(());
    }
    let told = serde_json::json!({"status": {"phase": Phase::Deleting}});
    let (name, parameters) = (cluster.name_any(), PatchParams::default());
    match clusters.patch_status(&name, &parameters, &Patch::Merge(told)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(Error::Status(Box::new(error))),
    }
}

/// From the spec to what was done, or why not. `None` beside an outcome: nothing was written.
async fn carry_out(
    asked_for: &RabbitCluster,
    past: &Past,
    found: &Found,
    seen: &Situation,
    context: &Context,
) -> Result<(Outcome, Option<Done>), act::Error> {
    let cluster = past.carried_out(asked_for);
    if cluster.spec.paused {
        return Ok((Outcome::Paused, None));
    }
    let (valid, between, definitions) = match usable(cluster, found, seen, context) {
        Ok(usable) => usable,
        Err(outcome) => return Ok((outcome, None)),
    };
    let (secrets, plan) = decide(cluster, &valid, found, seen, context);
    if let Some(problem) = given_problem(&valid.spec, &secrets, &found.given) {
        return Ok((Outcome::Failed("SecretMissing".into(), problem), None));
    }
    let shape = Shape {
        between: between.now,
        definitions,
        ..shape(cluster, found, seen, &plan)
    };
    let children = build(&valid, &shape);
    if let Some(problem) = settings::refusal(found, seen, &children).await {
        return Ok((Outcome::Failed("ConfigRefused".into(), problem), None));
    }
    let config = children.config.clone();
    let asked = asked(&valid, found);
    let turn = turn(asked, found.cookie.as_ref(), is_quiet(&plan, seen), seen);
    let level = to_hold(valid.spec.update.finalize, seen);
    let hand = Hand {
        client: &context.client,
        leadership: &context.leadership,
        cluster,
        valid: &valid,
        asked,
    };
    let mut done = Box::pin(hand.act(found, &secrets, &plan, (&turn, level), children)).await?;
    let unchanged = is_unchanged(seen, &done);
    let settings = handed_over(found, seen, &config, (&valid, unchanged && context.leadership.holds())).await;
    done.notes.extend(settings.notes.iter().cloned());
    learn(context, &done, drained_since(cluster, found));
    if unchanged {
        past.settle(&hand, &plan, seen).await?;
    }
    let carried = Carried {
        rolled_back: past.rolled_back(asked_for, seen, unchanged),
        unkept: past.is_behind(&valid, &plan, seen),
        monitored: monitored(&valid, found, done.monitoring_refused.as_ref()),
        plan,
        rotation: turn,
        level,
        between,
        settings,
        at_risk: shape.at_risk,
        volumes_unfit: volumes_unfit(&valid, found),
        image: valid.image,
        volumes_growing: done.volumes_growing.clone(),
        volumes_refused: done.volumes_refused.clone(),
        volumes_replaced: valid.spec.persistence.shrink_policy == ShrinkPolicy::ReplaceNodes,
        restore: secrets.to_restore(),
        secret: found.cookie.as_ref().map(rotation::told),
        previous: past.settled.as_ref().map(|settled| settled.revision.clone()),
    };
    Ok((Outcome::Done(Box::new(carried)), Some(done)))
}

/// When the node of the pod that this pass may delete was ordered out of service: before this pass, or in it.
fn drained_since(cluster: &RabbitCluster, found: &Found) -> Timestamp {
    let operation = cluster.status.as_ref().and_then(|status| status.operation.as_ref());
    let roll = operation.filter(|operation| operation.kind == OperationKind::Roll);
    let begun = roll.and_then(|operation| operation.started_at.as_ref());
    begun.map_or(found.at, |begun| begun.0)
}

/// What later passes have of what was done.
fn learn(context: &Context, done: &Done, drained_since: Timestamp) {
    if done.replaced {
        let took = Timestamp::now().duration_since(drained_since);
        context.metrics.replaced(took.unsigned_abs());
    }
    if done.monitoring_refused.is_some() {
        context.kinds.forget(); // they may be gone
    }
}

/// Settings go to running nodes only where nothing else has changed, and by who leads.
async fn handed_over(
    found: &Found,
    seen: &Situation,
    config: &k8s_openapi::api::core::v1::ConfigMap,
    (valid, now): (&ValidCluster, bool),
) -> settings::HandedOver {
    match now {
        true => settings::hand_over(found, seen, config, &settings::word(valid.spec.config.as_deref())).await,
        false => settings::HandedOver::default(),
    }
}

/// How many volumes are not as they are asked for and cannot become so.
fn volumes_unfit(valid: &ValidCluster, found: &Found) -> usize {
    let asked = unfit(&valid.spec.persistence, &valid.names, &found.claims, None);
    asked.unfit.len()
}

/// Nothing goes on, and all pods serve.
fn is_quiet(plan: &Plan, seen: &Situation) -> bool {
    matches!(plan.step, Step::Rest | Step::Later(..)) && seen.pods.iter().all(PodSeen::serves)
}

/// When another secret of the cluster is asked for.
fn asked<'a>(valid: &'a ValidCluster, found: &Found) -> Asked<'a> {
    let rotation = &valid.spec.cluster_secret.rotation;
    Asked {
        trigger: rotation.trigger.as_deref(),
        period: rotation.period.as_deref(),
        compromised: rotation.compromised.as_deref(),
        at: found.at,
    }
}

/// Whether the StatefulSet is the one that was read.
fn is_unchanged(seen: &Situation, done: &Done) -> bool {
    seen.set.as_ref().map(|set| set.generation) == Some(set_seen(&done.server).generation)
}

fn shape(cluster: &RabbitCluster, found: &Found, seen: &Situation, plan: &Plan) -> Shape {
    Shape {
        replicas: plan.replicas,
        held: seen.held,
        at_risk: !seen.can_spare_one(plan.replicas),
        formed: is_formed(cluster, seen, plan),
        monitoring: found.monitoring.apis,
        claims: found
            .set
            .as_ref()
            .and_then(|set| set.spec.as_ref()?.volume_claim_templates.clone()),
        ..Shape::default()
    }
}

type Usable = (ValidCluster, between::Phase, Option<String>);

/// The spec, if it can be carried out with what was found; with it whether nodes speak TLS to each other, and the fingerprint of its definitions.
fn usable(cluster: &RabbitCluster, found: &Found, seen: &Situation, context: &Context) -> Result<Usable, Outcome> {
    let failed = |reason: &str, problem: String| Outcome::Failed(reason.into(), problem);
    let valid = validate(cluster, &context.default_image);
    let valid = valid.map_err(|invalid| failed("InvalidSpec", invalid.to_string()))?;
    if let Some(taken) = found.taken.first() {
        return Err(in_the_way(taken));
    }
    if let Some(problem) = skipped(&valid.image, seen) {
        return Err(failed("VersionSkipped", problem));
    }
    let between = between::phase(between::asked(valid.spec.tls.as_ref()), seen);
    if valid.spec.tls.is_none() && between.now != Between::None {
        return Err(failed("TlsBetweenNodes", STILL_SPOKEN.into()));
    }
    if let Some(problem) = tls_problem(valid.spec.tls.as_ref(), between.now != Between::None, &found.tls) {
        return Err(failed("SecretMissing", problem));
    }
    let definitions = definitions::fingerprint(valid.spec.definitions.as_ref(), &found.definitions);
    let definitions = definitions.map_err(|problem| failed("DefinitionsUnusable", problem))?;
    Ok((valid, between, definitions))
}

/// A node whose disk is lost, and that does not find the others yet, must not begin a second cluster. A single one has no others.
fn is_formed(cluster: &RabbitCluster, seen: &Situation, plan: &Plan) -> bool {
    let known = cluster
        .status
        .as_ref()
        .is_some_and(|status| status.cluster_id.is_some());
    known && plan.replicas.max(seen.held) > 1
}

fn monitored(valid: &ValidCluster, found: &Found, refused: Option<&String>) -> Monitored {
    let Monitoring {
        apis,
        service_monitor,
        prometheus_rule,
    } = &found.monitoring;
    let is = |place: Place| [service_monitor, prometheus_rule].contains(&&place);
    match refused {
        _ if valid.spec.monitoring.create == CreateMonitoring::Never => Monitored::NotWanted,
        _ if !monitoring::is_wanted(valid) => Monitored::PluginOff,
        _ if !apis.service_monitors || !apis.prometheus_rules => Monitored::NoApi,
        _ if is(Place::Strangers) => {
            Monitored::Refused("an object of somebody else has the name; it is left alone".into())
        }
        _ if is(Place::Forbidden) => Monitored::Refused("the operator has no right to them: upgrade its chart".into()),
        Some(why) => Monitored::Refused(why.clone()),
        None => Monitored::Applied,
    }
}

fn decide(
    cluster: &RabbitCluster,
    valid: &ValidCluster,
    found: &Found,
    seen: &Situation,
    context: &Context,
) -> (Verdicts, Plan) {
    let lived = seen.set.is_some() || seen.held > 0;
    let secrets = judge(&valid.names, found.cookie.as_ref(), found.default_user.as_ref(), lived);
    let wanted = Wanted {
        replicas: valid.replicas,
        secrets: secrets.to_restore().is_none(),
        update: valid.spec.update.clone(),
        closed: pace::closed(&valid.spec.update.maintenance_windows, found.at),
        queued: context.rollouts.ask(&key_of(cluster), seen, Instant::now()),
        non_movable: valid.spec.scale_down.on_non_movable,
        overdue: overdue(cluster, found),
        given_up: cluster.annotations().get(FORCE_REMOVE).cloned(),
        volumes: to_replace(&valid.spec.persistence, &valid.names, &found.claims, found.set.as_ref()),
    };
    let plan = plan(&wanted, seen);
    (secrets, plan)
}

/// Since when a node cannot leave is the date of the condition that says so. What was called off is tried again when the spec is another.
fn overdue(cluster: &RabbitCluster, found: &Found) -> Option<Overdue> {
    let terms = cluster.spec.scale_down;
    let conditions = cluster.status.as_ref()?.conditions.iter();
    let blocked = conditions
        .rev()
        .find(|condition| condition.type_ == "ScaleDownBlocked" && condition.status == "True")?;
    let since = found
        .at
        .as_second()
        .saturating_sub(blocked.last_transition_time.0.as_second());
    let is_other = blocked.reason == TIMED_OUT && blocked.observed_generation != cluster.metadata.generation;
    (since >= terms.timeout_seconds && !is_other).then_some(Overdue {
        seconds: terms.timeout_seconds,
        on_timeout: terms.on_timeout,
    })
}

fn in_the_way(taken: &Taken) -> Outcome {
    let Taken { kind, name, leaving } = taken;
    if *leaving {
        let message = format!("{kind} {name} of a deleted cluster of this name is still being removed");
        return Outcome::Failed("WaitingForPredecessor".into(), message);
    }
    let message = format!(
        "{kind} {name} exists and does not belong to this RabbitCluster; it is left alone. Give the RabbitCluster another name, or delete {kind} {name}"
    );
    Outcome::Failed("NameTaken".into(), message)
}

fn next_look(outcome: &Outcome, seen: &Situation, rolled_back: Option<&RolledBack>) -> Duration {
    let soon = match outcome {
        Outcome::Failed(reason, _) => reason != "InvalidSpec",
        Outcome::Paused => false,
        Outcome::Done(carried) => {
            !matches!(
                carried.plan.step,
                Step::Rest | Step::Later(Pace::OnDelete | Pace::Supervised | Pace::Window | Pace::Queued, _)
            ) || carried.plan.fewer.is_some()
                || carried.rotation != Turn::Rest
                || carried.between.waits.is_some()
                || carried.at_risk
                || !carried.settings.behind.is_empty()
                || carried.level.is_some()
                || carried.rolled_back.as_ref() != rolled_back
                || carried.unkept
                || level::is_about_to_rise(seen)
                || seen.lacks_pods()
                || seen.set.as_ref().is_none_or(|set| set.revision.is_none())
        }
    };
    if soon { LOOK_SOON } else { LOOK_AGAIN }
}

async fn tell(cluster: &RabbitCluster, now: &RabbitClusterStatus, mut notes: Vec<Note>, context: &Context) {
    let none = RabbitClusterStatus::default();
    let before = cluster.status.as_ref().unwrap_or(&none);
    notes.extend(events::of_changes(&before.conditions, &now.conditions));
    let asked = before.operation.as_ref().map(|operation| operation.node.as_str());
    notes.extend(events::of_disks(&before.members, &now.members, asked));
    notes.iter().for_each(|note| context.metrics.decided(&note.reason));
    let namespace = cluster.namespace().unwrap_or_default();
    let phase = now.phase.map(|phase| format!("{phase:?}")).unwrap_or_default();
    context
        .metrics
        .cluster(&namespace, &cluster.name_any(), &phase, &now.conditions);
    events::publish(&context.recorder, &cluster.object_ref(&()), &notes).await;
}

/// Writes the status if it says anything new; true if it says more than other counts.
async fn write(
    clusters: &Api<RabbitCluster>,
    cluster: &RabbitCluster,
    now: &RabbitClusterStatus,
    written: &Written,
) -> Result<bool, Error> {
    let key = format!("{}/{}", cluster.namespace().unwrap_or_default(), cluster.name_any());
    if !written.is_due(&key, cluster.status.as_ref(), now, Instant::now()) {
        return Ok(false);
    }
    written.note(&key, Instant::now());
    let applied = serde_json::json!({
        "apiVersion": RabbitCluster::api_version(&()),
        "kind": RabbitCluster::kind(&()),
        "status": now,
    });
    let parameters = PatchParams::apply(OPERATOR).force();
    let patched = clusters
        .patch_status(&cluster.name_any(), &parameters, &Patch::Apply(applied))
        .await;
    match patched {
        Ok(_) => Ok(cluster
            .status
            .as_ref()
            .is_none_or(|old| old.uncounted() != now.uncounted())),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false), // deleted meanwhile
        Err(error) => Err(Error::Status(Box::new(error))),
    }
}
