//! The writes of a pass over a Policy: our finalizer before anything that it guards, then what the brokers are told, then the
//! finalizer off when the object may go. Each is safe to repeat, so an operator that is killed between any two goes on where it stopped.

use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::broker::{self, Brokers};
use super::desired::name_of;
use super::observe::{Found, ask};
use super::plan::{ClusterSeen, Finalizer, Plan, Seen, Step, Why};
use crate::api_error::said;
use crate::crd::Policy;
use crate::events::Note;
use crate::lease::Leadership;
use crate::metrics::Metrics;

/// What keeps an object until its policy is out of the brokers.
pub const FINALIZER: &str = "warren.dev/policy";

/// A write to the API server that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot change the finalizers: {}", said(.0))]
pub struct Error(#[source] Box<kube::Error>);

/// What came of a plan.
#[derive(Debug)]
pub struct Done {
    /// What the brokers said to it.
    pub outcome: Result<(), broker::Error>,
    /// What they told afterwards.
    pub after: ClusterSeen,
    /// What the user should be told.
    pub notes: Vec<Note>,
}

/// Whom the writes are made for.
pub struct Hand<'a> {
    /// The API server.
    pub client: &'a Client,
    /// Proof that no other operator acts.
    pub leadership: &'a Leadership,
    /// Counts writes.
    pub metrics: &'a Metrics,
    /// The Policy as it was read at the start of the pass.
    pub policy: &'a Policy,
}

impl Hand<'_> {
    /// Carries the plan out.
    ///
    /// # Errors
    /// The finalizer could not be changed; the pass must be repeated.
    pub async fn act(&self, found: &Found, seen: &Seen, plan: &Plan) -> Result<Done, Error> {
        if plan.finalizer == Finalizer::Add {
            self.finalizer(true).await?;
        }
        let outcome = match &found.brokers {
            Some(brokers) if self.leadership.holds() => self.tell(brokers, seen, plan).await,
            Some(_) | None => Ok(()),
        };
        let wrote = matches!(plan.step, Step::Put(_) | Step::Clear);
        let after = match (wrote, &found.brokers, &found.cluster) {
            (true, Some(brokers), Some(cluster)) if outcome.is_ok() => ask(brokers, cluster, self.policy).await,
            _ => seen.cluster.clone(),
        };
        let notes = if outcome.is_ok() { self.notes(plan) } else { Vec::new() };
        if plan.finalizer == Finalizer::Remove && outcome.is_ok() {
            self.finalizer(false).await?;
        }
        Ok(Done { outcome, after, notes })
    }

    async fn tell(&self, brokers: &Brokers, seen: &Seen, plan: &Plan) -> Result<(), broker::Error> {
        let told = match (&plan.step, &seen.desired) {
            (Step::Put(_), Ok(desired)) => brokers.put(desired).await,
            (Step::Clear, _) => brokers.clear(&self.policy.spec.vhost, &name_of(self.policy)).await,
            (Step::Put(_) | Step::Rest | Step::Wait(_) | Step::Leave(_), _) => return Ok(()),
        };
        self.metrics
            .policy_written(if told.is_ok() { kind(&plan.step) } else { "failed" });
        told
    }

    /// Puts our finalizer on or takes it off, on the very version that was read: nobody else's is lost. One that is gone meanwhile, or
    /// has changed, is looked at again.
    async fn finalizer(&self, on: bool) -> Result<(), Error> {
        let mut finalizers = self.policy.finalizers().to_vec();
        finalizers.retain(|finalizer| finalizer != FINALIZER);
        if on {
            finalizers.push(FINALIZER.into());
        }
        let patch = json!({"metadata": {"finalizers": finalizers, "uid": self.policy.uid(), "resourceVersion": self.policy.resource_version()}});
        let policies: Api<Policy> = Api::namespaced(self.client.clone(), &self.policy.namespace().unwrap_or_default());
        let patched = policies
            .patch(&self.policy.name_any(), &PatchParams::default(), &Patch::Merge(&patch))
            .await;
        match patched {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(Error(Box::new(error))),
        }
    }

    fn notes(&self, plan: &Plan) -> Vec<Note> {
        let title = format!(
            "policy '{}' of vhost '{}'",
            name_of(self.policy),
            self.policy.spec.vhost
        );
        let note = match &plan.step {
            Step::Put(Why::New) => Note::normal("PolicySet", format!("set {title}")),
            Step::Put(Why::Changed(what)) => Note::normal("PolicyChanged", format!("changed {title}: {what}")),
            Step::Put(Why::Drifted(what)) => Note::warning(
                "DriftRepaired",
                format!("{title} was changed in the brokers by somebody else ({what}) and is as it should be again"),
            ),
            Step::Put(Why::Adopted(what)) => Note::warning(
                "PolicyAdopted",
                format!(
                    "{title} was in the brokers already, made by somebody else, and was changed to what is asked for here: {what}"
                ),
            ),
            Step::Clear => Note::normal("PolicyCleared", format!("removed {title}")),
            Step::Rest | Step::Wait(_) | Step::Leave(_) => return Vec::new(),
        };
        vec![note]
    }
}

/// For the metrics.
fn kind(step: &Step) -> &'static str {
    match step {
        Step::Put(Why::New) => "set",
        Step::Put(Why::Adopted(_)) => "adopted",
        Step::Put(Why::Changed(_)) => "changed",
        Step::Put(Why::Drifted(_)) => "drift_repaired",
        Step::Clear => "cleared",
        Step::Rest | Step::Wait(_) | Step::Leave(_) => "none",
    }
}
