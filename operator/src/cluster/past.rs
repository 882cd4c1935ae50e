//! What a pass is made from besides the spec and what there is: what all pods last ran well with, and whether the spec is carried out as that. Read
//! before everything else, and kept after everything else.

use super::act::{self, Hand};
use super::observe;
use super::plan::Plan;
use super::reconcile::Context;
use super::rollback;
use super::settled::{self, Parts, Settled};
use super::situation::Situation;
use super::validate::ValidCluster;
use crate::crd::{RabbitCluster, RolledBack};

/// What became of the pods before this pass.
pub(super) struct Past {
    /// What all of them last ran well with.
    pub(super) settled: Option<Settled>,
    /// What the spec asks of them, if it can be carried out.
    asked: Option<String>,
    /// The cluster as it is carried out instead, if that has failed.
    restored: Option<RabbitCluster>,
}

impl Past {
    pub(super) async fn look(cluster: &RabbitCluster, context: &Context) -> Result<Self, observe::Error> {
        let settled = settled::look(&context.client, cluster).await?;
        Ok(Self {
            restored: rollback::restored(cluster, settled.as_ref(), &context.default_image),
            asked: rollback::asked(cluster, &context.default_image),
            settled,
        })
    }

    pub(super) fn carried_out<'a>(&'a self, cluster: &'a RabbitCluster) -> &'a RabbitCluster {
        self.restored.as_ref().unwrap_or(cluster)
    }

    /// From what nodes went back, or are to in the next pass.
    pub(super) fn rolled_back(&self, cluster: &RabbitCluster, seen: &Situation, unchanged: bool) -> Option<RolledBack> {
        match &self.restored {
            Some(restored) => restored.status.as_ref()?.rolled_back.clone(),
            None if !unchanged => None,
            None => rollback::judge(
                cluster.spec.update.canary.as_ref(),
                self.asked.as_ref()?,
                self.settled.as_ref(),
                seen,
            ),
        }
    }

    /// What all pods run well with now, if that is news.
    fn news(&self, valid: &ValidCluster, plan: &Plan, seen: &Situation) -> Option<Settled> {
        let revision = settled::revision(valid.spec.update.canary.as_ref(), plan.replicas, seen)?;
        let now = Settled {
            parts: Parts::of(&valid.spec, &valid.image),
            revision: revision.clone(),
        };
        (self.settled.as_ref() != Some(&now)).then_some(now)
    }
    /// Whether all pods run well with something that is not kept yet, be it that those of a canary have yet to prove it: an edit in between would
    /// find the way back to what was before it.
    pub(super) fn is_behind(&self, valid: &ValidCluster, plan: &Plan, seen: &Situation) -> bool {
        settled::revision(None, plan.replicas, seen).is_some_and(|revision| {
            let kept = self.settled.as_ref();
            kept.is_none_or(|kept| kept.revision != *revision || kept.parts != Parts::of(&valid.spec, &valid.image))
        })
    }

    /// Keeps it, if it is news.
    pub(super) async fn settle(&self, hand: &Hand<'_>, plan: &Plan, seen: &Situation) -> Result<(), act::Error> {
        match self.news(hand.valid, plan, seen) {
            Some(settled) if hand.leadership.holds() => hand.settle(&settled).await,
            _ => Ok(()),
        }
    }
}
