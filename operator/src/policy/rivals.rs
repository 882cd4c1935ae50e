//! Policies that want the same place in the brokers: cluster, virtual host and name. The oldest holds it, by date of creation and
//! then by namespace and name, so that every pass over any of them comes to the same result. Pure.

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::desired::{cluster_of, name_of};
use crate::crd::Policy;

/// The others that want the place of this one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rivals {
    /// The oldest, if it is older than this one.
    pub older: Option<String>,
    /// The one that has the place next.
    pub heir: Option<String>,
}

/// Finds them among all Policies. `allowed` says from which namespaces the cluster takes Policies: others want in vain.
pub fn rivals<'a>(
    policy: &Policy,
    all: impl IntoIterator<Item = &'a Policy>,
    allowed: impl Fn(&str) -> bool,
) -> Rivals {
    let others = all
        .into_iter()
        .filter(|other| other.metadata.uid != policy.metadata.uid);
    let wants = |other: &&Policy| place(other) == place(policy) && allowed(&other.namespace().unwrap_or_default());
    let mut others: Vec<_> = others.filter(wants).collect();
    others.sort_by_key(|other| age(other));
    let older = others.iter().find(|other| age(other) < age(policy));
    let heir = others
        .iter()
        .find(|other| age(other) > age(policy) && other.metadata.deletion_timestamp.is_none());
    let title = |other: &&Policy| format!("{}/{}", other.namespace().unwrap_or_default(), other.name_any());
    Rivals {
        older: older.map(title),
        heir: heir.map(title),
    }
}

fn place(policy: &Policy) -> ((String, String), &str, String) {
    (cluster_of(policy), &policy.spec.vhost, name_of(policy))
}

fn age(policy: &Policy) -> (Option<Timestamp>, Option<String>, String) {
    let created = policy.creation_timestamp().map(|created| created.0);
    (created, policy.namespace(), policy.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(namespace: &str, name: &str, created: u32, spec: &str) -> Policy {
        let text = format!(
            "{{metadata: {{name: {name}, namespace: {namespace}, uid: {namespace}-{name}, creationTimestamp: '2026-01-01T00:00:0{created}Z'}}, \
             spec: {{clusterRef: {{name: orders, namespace: shop}}, pattern: x, {spec}}}}}"
        );
        serde_yaml::from_str(&text).unwrap()
    }

    #[test]
    fn the_oldest_holds_the_place_and_the_next_one_inherits_it() {
        let all = [
            policy("shop", "b", 2, "name: ha"),
            policy("shop", "a", 2, "name: ha"),
            policy("shop", "ha", 1, ""),
            policy("shop", "other", 0, ""),
            policy("shop", "c", 0, "name: ha, vhost: v"),
        ];
        let of = |at: usize| rivals(&all[at], &all, |_| true);
        assert_eq!((of(2).older, of(2).heir.as_deref()), (None, Some("shop/a")));
        assert_eq!(
            of(1),
            Rivals {
                older: Some("shop/ha".into()),
                heir: Some("shop/b".into())
            }
        );
        assert_eq!(of(0).older.as_deref(), Some("shop/ha"));
        assert_eq!(of(3), Rivals::default());
        assert_eq!(of(4), Rivals::default());
    }

    #[test]
    fn one_that_the_cluster_does_not_take_is_no_rival() {
        let all = [policy("blue", "ha", 1, ""), policy("shop", "ha", 2, "")];
        assert_eq!(
            rivals(&all[1], &all, |namespace| namespace == "shop"),
            Rivals::default()
        );
        assert!(rivals(&all[1], &all, |_| true).older.is_some());
    }
}
