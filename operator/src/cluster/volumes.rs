//! Volumes against what is asked for: which can grow and are asked to, and which can never become it, being larger or of another class. Those are for
//! `renew`, if the spec lets nodes be replaced. Pure but for the writes, each of which names the very claim that was judged.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions, PropagationPolicy};

use super::act::{Error, Hand, code, failed};
use super::names::Names;
use super::renew::{Asked, Renewing};
use super::situation::{PodSeen, has_left, is_unbound};
use super::status::{Carried, Outcome};
use crate::api_error::said;
use crate::conditions::{Claim, claim};
use crate::crd::{Persistence, ShrinkPolicy};
use crate::events::Note;
use crate::quantity;

/// Which volumes, and whether new ones, cannot become what is asked for.
pub fn unfit(
    persistence: &Persistence,
    names: &Names,
    claims: &[PersistentVolumeClaim],
    set: Option<&StatefulSet>,
) -> Asked {
    let living = claims
        .iter()
        .filter(|claim| !has_left(claim) && !fits(persistence, claim));
    let templates = set.and_then(|set| set.spec.as_ref()?.volume_claim_templates.as_deref());
    Asked {
        unfit: living
            .filter_map(|claim| names.ordinal_of_claim(&claim.name_any()))
            .collect(),
        template: templates
            .unwrap_or_default()
            .iter()
            .any(|claim| !fits(persistence, claim)),
    }
}

/// The same, as far as nodes may be replaced for it.
pub fn to_replace(
    persistence: &Persistence,
    names: &Names,
    claims: &[PersistentVolumeClaim],
    set: Option<&StatefulSet>,
) -> Asked {
    match persistence.shrink_policy {
        ShrinkPolicy::ReplaceNodes => unfit(persistence, names, claims, set),
        ShrinkPolicy::Refuse => Asked::default(),
    }
}

/// A class that is not named is whichever it is.
fn fits(persistence: &Persistence, claim: &PersistentVolumeClaim) -> bool {
    let Some(spec) = &claim.spec else { return true };
    let requests = spec
        .resources
        .as_ref()
        .and_then(|resources| resources.requests.as_ref()?.get("storage"));
    let class = persistence.storage_class_name.as_ref();
    let is_larger = requests.and_then(quantity::value) > quantity::value(&persistence.storage);
    !is_larger && class.is_none_or(|class| spec.storage_class_name.as_ref() == Some(class))
}

/// Whether volumes are what is asked for.
pub(super) fn are_sized(outcome: &Outcome) -> Claim {
    let kind = "VolumesSized";
    let Outcome::Done(carried) = outcome else {
        return claim(
            kind,
            true,
            "NotLookedAt",
            "volumes are looked at when the spec is carried out",
        );
    };
    if let Some(claim) = are_replaced(carried) {
        return claim;
    }
    match (&carried.volumes_refused, carried.volumes_growing.as_slice()) {
        (Some(why), _) => claim(kind, false, "GrowthRefused", format!("volumes keep their size: {why}")),
        (None, []) => claim(kind, true, "AsAsked", "every volume has the size that was asked for"),
        (None, growing) => claim(
            kind,
            false,
            "Growing",
            format!("{} have yet to grow", growing.join(", ")),
        ),
    }
}

/// What is told of volumes that can never become what is asked for.
fn are_replaced(carried: &Carried) -> Option<Claim> {
    let (kind, count) = ("VolumesSized", carried.volumes_unfit);
    let told = format!("{count} volumes are larger than asked for, or of another class");
    match (&carried.plan.renewing, &carried.plan.kept) {
        (None, None) if count == 0 => None,
        (_, Some(held)) => Some(claim(kind, false, held.reason, format!("{told}: {}", held.message))),
        (Some(renewing), None) => Some(claim(
            kind,
            false,
            "Replacing",
            format!("{told}: {} gets another", renewing.pod),
        )),
        (None, None) if carried.volumes_replaced => Some(claim(
            kind,
            false,
            "Replacing",
            format!("{told}: they are replaced one at a time, when all nodes are well"),
        )),
        (None, None) => Some(claim(
            kind,
            false,
            "ShrinkRefused",
            format!("{told}: they stay so while persistence.shrinkPolicy is Refuse"),
        )),
    }
}

impl Hand<'_> {
    /// Asks claims that are smaller than wanted to grow. That a storage class cannot is no failure of the pass.
    pub(super) async fn volumes(&self, claims: &[PersistentVolumeClaim]) -> (Vec<String>, Option<String>) {
        let wanted = &self.valid.spec.persistence.storage;
        let ours = |claim: &&PersistentVolumeClaim| self.valid.names.ordinal_of_claim(&claim.name_any()).is_some();
        let (mut growing, mut refused) = (Vec::new(), None);
        for claim in claims
            .iter()
            .filter(ours)
            .filter(|claim| claim.metadata.deletion_timestamp.is_none())
        {
            let requests = claim
                .spec
                .as_ref()
                .and_then(|spec| spec.resources.as_ref()?.requests.as_ref()?.get("storage"));
            let capacity = claim
                .status
                .as_ref()
                .and_then(|status| status.capacity.as_ref()?.get("storage"));
            let bound = claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound");
            let wanted_bytes = quantity::value(wanted);
            if bound && requests.and_then(quantity::value) < wanted_bytes {
                let grown = serde_json::json!({"spec": {"resources": {"requests": {"storage": wanted}}}});
                let patched = self.api::<PersistentVolumeClaim>();
                let patched = patched
                    .patch(&claim.name_any(), &PatchParams::default(), &Patch::Merge(&grown))
                    .await;
                refused = refused.or(patched.err().map(|error| said(&error)));
            }
            if bound && capacity.and_then(quantity::value) < wanted_bytes {
                growing.push(claim.name_any());
            }
        }
        (growing, refused)
    }

    /// Deletes the StatefulSet alone, so that the next pass makes it anew with other claim templates: the pods stay, and become its own again.
    pub(super) async fn recreate(&self, set: Option<&StatefulSet>) -> Result<Option<Note>, Error> {
        let Some(set) = set else { return Ok(None) };
        if !self.is_still_wanted().await? {
            return Ok(None);
        }
        let alone = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Orphan),
            ..DeleteParams::default()
        };
        let this = alone.preconditions(Preconditions {
            uid: set.uid(),
            resource_version: None,
        });
        let name = set.name_any();
        match self.api::<StatefulSet>().delete(&name, &this).await {
            Ok(_) => Ok(Some(Note::normal(
                "StatefulSetRecreated",
                format!("{name} is made anew for other volumes: its pods stay"),
            ))),
            Err(error) if matches!(code(&error), Some(404 | 409)) => Ok(None), // gone, or another by now
            Err(source) => Err(failed(format!("delete StatefulSet {name}"), source)),
        }
    }

    /// Deletes the emptied volume of a node that has left, and its pod, which comes back with another. Whether the pod was deleted.
    pub(super) async fn discard(
        &self,
        claims: &[PersistentVolumeClaim],
        renewing: &Renewing,
        pod: Option<&PodSeen>,
    ) -> Result<(Option<Note>, bool), Error> {
        if !self.is_still_wanted().await? {
            return Ok((None, false));
        }
        let claim = claims
            .iter()
            .find(|claim| claim.uid().as_ref() == Some(&renewing.volume));
        let mut note = None;
        if let Some(claim) = claim.filter(|claim| claim.metadata.deletion_timestamp.is_none()) {
            let because = match is_unbound(claim) {
                true => "there never was a volume, and another one is asked for",
                false => "its node has left the cluster and gets another one",
            };
            note = self.discard_claim(claim, because).await?;
        }
        let Some(pod) = pod.filter(|pod| !pod.terminating) else {
            return Ok((note, false));
        };
        let this = DeleteParams::default().preconditions(Preconditions {
            uid: Some(pod.uid.clone()),
            resource_version: Some(pod.resource_version.clone()),
        });
        match self.api::<Pod>().delete(&pod.name, &this).await {
            Ok(_) => Ok((note, true)),
            Err(error) if matches!(code(&error), Some(404 | 409)) => Ok((note, false)), // it moved on; look again
            Err(source) => Err(failed(format!("delete pod {}", pod.name), source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(ordinal: u32, storage: &str, class: &str) -> PersistentVolumeClaim {
        let text = format!(
            "{{metadata: {{name: data-orders-server-{ordinal}}}, spec: {{storageClassName: {class}, resources: {{requests: {{storage: {storage}}}}}}}}}"
        );
        serde_yaml::from_str(&text).unwrap()
    }

    fn asked(persistence: &str, claims: &[PersistentVolumeClaim]) -> Vec<u32> {
        let persistence: Persistence = serde_yaml::from_str(persistence).unwrap();
        to_replace(&persistence, &Names::new("orders"), claims, None)
            .unfit
            .into_iter()
            .collect()
    }

    #[test]
    fn a_volume_that_is_larger_or_of_another_class_is_replaced_and_a_smaller_one_is_not() {
        let claims = [
            claim(0, "10Gi", "slow"),
            claim(1, "5Gi", "fast"),
            claim(2, "4Gi", "fast"),
        ];
        assert_eq!(
            asked(
                "{storage: 5Gi, storageClassName: fast, shrinkPolicy: ReplaceNodes}",
                &claims
            ),
            [0]
        );
        assert_eq!(
            asked(
                "{storage: 20Gi, storageClassName: fast, shrinkPolicy: ReplaceNodes}",
                &claims
            ),
            [0]
        );
        assert_eq!(
            asked("{storage: 4Gi, shrinkPolicy: ReplaceNodes}", &claims),
            [0, 1],
            "any class will do"
        );
        assert_eq!(asked("{storage: 1Gi}", &claims), [0_u32; 0], "nobody has allowed it");
    }

    #[test]
    fn a_stateful_set_whose_new_volumes_would_not_fit_is_made_anew() {
        let persistence: Persistence = serde_yaml::from_str("{storage: 5Gi, shrinkPolicy: ReplaceNodes}").unwrap();
        let mut set = StatefulSet::default();
        let spec = set.spec.get_or_insert_default();
        spec.volume_claim_templates = Some(vec![claim(0, "10Gi", "slow")]);
        assert!(to_replace(&persistence, &Names::new("orders"), &[], Some(&set)).template);
        let grown: Persistence = serde_yaml::from_str("{storage: 20Gi, shrinkPolicy: ReplaceNodes}").unwrap();
        assert!(
            !to_replace(&grown, &Names::new("orders"), &[], Some(&set)).template,
            "claims that are too small grow"
        );
    }
}
