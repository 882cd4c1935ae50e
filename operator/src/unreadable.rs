//! Objects that this operator does not understand: they were written for definitions of another release (an operator that was taken back, definitions
//! that came before it), and were taken by the API server then. Nothing is done about what they ask for, and their status says so, since whoever
//! waits for them would wait for ever. What else the status holds stays as it is: it is another operator's.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::runtime::events::Recorder;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::conditions::{Claim, claim, stamped};
use crate::events::{self, Note};

/// The reason of conditions and event.
const REASON: &str = "SpecUnreadable";

/// An object as it was found.
pub(crate) enum Read<K> {
    /// It is not there.
    Gone,
    /// It is understood.
    Whole(Box<K>),
    /// It is not.
    Not(Box<Unreadable>),
}

/// One that is not understood.
pub(crate) struct Unreadable {
    object: DynamicObject,
    why: String,
}

/// Reads an object, whatever is in it.
pub(crate) async fn read<K>(client: &Client, namespace: &str, name: &str) -> Result<Read<K>, kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned,
{
    let found = api::<K>(client, namespace).get_opt(name).await?;
    Ok(found.map_or(Read::Gone, understood))
}

fn understood<K: Resource + DeserializeOwned>(object: DynamicObject) -> Read<K> {
    match serde_json::to_value(&object).and_then(serde_json::from_value::<K>) {
        Ok(whole) => Read::Whole(Box::new(whole)),
        Err(error) => Read::Not(Box::new(Unreadable {
            object,
            why: format!("this operator does not understand it, another release may: {error}"),
        })),
    }
}

fn api<K: Resource<DynamicType = ()>>(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<K>(&()))
}

impl Unreadable {
    /// Writes that into its status, with an event, if it is not there already. `wrong` is the condition that is false for it. The conditions as they
    /// are then.
    pub(crate) async fn tell<K: Resource<DynamicType = ()>>(
        &self,
        client: &Client,
        recorder: &Recorder,
        wrong: &'static str,
    ) -> Result<Vec<Condition>, kube::Error> {
        tracing::warn!("{}", self.why);
        let old = self.conditions();
        let new = self.conditions_now(&old, wrong, Timestamp::now());
        if new == old {
            return Ok(new);
        }
        let told = json!({"status": {
            "observedGeneration": self.object.metadata.generation,
            "summary": {"reason": self.why},
            "conditions": new,
        }});
        let namespace = self.object.namespace().unwrap_or_default();
        let (name, parameters) = (self.object.name_any(), PatchParams::default());
        let written = api::<K>(client, &namespace);
        match written.patch_status(&name, &parameters, &Patch::Merge(told)).await {
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(new), // deleted meanwhile
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        let about = self.object.object_ref(&ApiResource::erase::<K>(&()));
        events::publish(recorder, &about, &[Note::warning(REASON, self.why.clone())]).await;
        Ok(new)
    }

    /// The word for where it is in its life, as it was told last.
    pub(crate) fn phase(&self) -> &str {
        self.object.data["status"]["phase"].as_str().unwrap_or_default()
    }

    fn conditions(&self) -> Vec<Condition> {
        let conditions = self.object.data["status"]["conditions"].as_array();
        let read = |condition: &Value| serde_json::from_value(condition.clone()).ok();
        conditions.into_iter().flatten().filter_map(read).collect()
    }

    /// The old ones, but for those that say whether it is carried out.
    fn conditions_now(&self, old: &[Condition], wrong: &'static str, at: Timestamp) -> Vec<Condition> {
        let claims: Vec<Claim> = vec![
            claim(wrong, false, REASON, self.why.clone()),
            claim("Reconciling", false, REASON, self.why.clone()),
            claim("Stalled", true, REASON, self.why.clone()),
        ];
        let is_said = |kind: &String| [wrong, "Reconciling", "Stalled"].contains(&kind.as_str());
        let mut all: Vec<_> = old.iter().filter(|old| !is_said(&old.type_)).cloned().collect();
        all.extend(stamped(old, claims, self.object.metadata.generation, at));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::RabbitCluster;

    fn object(spec: Value, conditions: &Value) -> DynamicObject {
        let object = json!({
            "apiVersion": "warren.dev/v1alpha1", "kind": "RabbitCluster",
            "metadata": {"name": "orders", "namespace": "shop", "generation": 4},
            "spec": spec, "status": {"conditions": conditions},
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn what_is_not_understood_is_stalled_with_the_words_that_are_not_and_nothing_else_is_said() {
        let ready = json!([{"type": "Ready", "status": "True", "reason": "AllNodesReady", "message": "3 of 3", "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
        let strange = object(json!({"update": {"strategy": "Tomorrow"}}), &ready);
        let Read::Not(unreadable) = understood::<RabbitCluster>(strange) else {
            panic!("nobody knows that strategy")
        };
        assert!(
            unreadable
                .why
                .contains("unknown variant `Tomorrow`, expected one of `Automatic`")
        );
        let old = unreadable.conditions();
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let new = unreadable.conditions_now(&old, "ReconcileSuccess", at(1));
        let told: Vec<_> = new
            .iter()
            .map(|told| format!("{} {} {}", told.type_, told.status, told.reason))
            .collect();
        assert_eq!(
            told,
            [
                "Ready True AllNodesReady",
                "ReconcileSuccess False SpecUnreadable",
                "Reconciling False SpecUnreadable",
                "Stalled True SpecUnreadable"
            ]
        );
        assert_eq!(new[1].observed_generation, Some(4));
        assert_eq!(
            unreadable.conditions_now(&new, "ReconcileSuccess", at(9)),
            new,
            "said once"
        );
        assert!(matches!(
            understood::<RabbitCluster>(object(json!({}), &ready)),
            Read::Whole(_)
        ));
    }
}
