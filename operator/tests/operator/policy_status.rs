//! What users are told of a Policy: whether it is in force, what stands in its way, how many mirrors are in sync, and nothing new when
//! nothing has changed.

use api::{MirrorCounts, PolicyReport, ShadowingPolicy};
use k8s_openapi::jiff::Timestamp;
use operator::crd::{Policy, PolicyStatus, Shadow};
use operator::policy::broker;
use operator::policy::desired::desired;
use operator::policy::feasible::Nodes;
use operator::policy::plan::{ClusterSeen, Seen, plan};
use operator::policy::status::{Pass, status};

use crate::policies::{policy, seen};

const FIRST: &str = "2026-01-01T00:00:00Z";
const LATER: &str = "2026-01-01T00:01:00Z";
const ALL: &str = "mirroring: {mode: All}";

fn told(spec: &str, wanted: u32, mirrors: MirrorCounts) -> ClusterSeen {
    let report = PolicyReport {
        policy: Some(desired(&policy(spec)).unwrap()),
        queues: 14,
        exchanges: 0,
        mirrors,
        behind: vec!["orders.eu".into()],
        shadowed_by: vec![ShadowingPolicy {
            name: "ha-two".into(),
            priority: 20,
            queues: 3,
            exchanges: 0,
        }],
    };
    let nodes = Nodes {
        cluster: "orders".into(),
        wanted,
        names: (0..wanted)
            .map(|ordinal| format!("rabbit@orders-server-{ordinal}.orders-nodes.shop"))
            .collect(),
    };
    ClusterSeen::Tells(Box::new(report), nodes)
}

fn after(policy: &Policy, seen: &Seen, outcome: Result<(), broker::Error>, now: &str) -> PolicyStatus {
    let decided = plan(seen);
    let pass = Pass {
        seen,
        plan: &decided,
        outcome: &outcome,
        after: &seen.cluster,
        cluster_uid: Some("c1".into()),
    };
    status(policy, &pass, now.parse::<Timestamp>().unwrap())
}

fn condition(status: &PolicyStatus, kind: &str) -> (String, String, String) {
    let found = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind)
        .unwrap();
    (found.status.clone(), found.reason.clone(), found.message.clone())
}

fn is(status: &PolicyStatus, kind: &str, value: &str, reason: &str) {
    let (found, why, message) = condition(status, kind);
    assert_eq!((found.as_str(), why.as_str()), (value, reason), "{kind}: {message}");
}

fn mirrors(desired: u64, synced: u64, syncing: u64, unsynced: u64) -> MirrorCounts {
    MirrorCounts {
        desired,
        synced,
        syncing,
        unsynced,
    }
}

#[test]
fn a_policy_in_force_tells_who_obeys_it_and_what_stands_in_its_way() {
    let now = after(
        &policy(ALL),
        &seen(ALL, told(ALL, 3, mirrors(28, 28, 0, 0))),
        Ok(()),
        FIRST,
    );
    is(&now, "Ready", "True", "InForce");
    is(&now, "Applied", "True", "InForce");
    is(&now, "Feasible", "True", "EnoughNodes");
    is(&now, "MirrorsSynced", "True", "AllSynced");
    is(&now, "DriftRepaired", "False", "NoDrift");
    assert_eq!(
        (now.summary.synced.as_str(), now.summary.reason.as_str()),
        ("28/28", "")
    );
    assert_eq!((now.matched.queues, now.observed_generation), (14, Some(1)));
    assert_eq!(
        now.shadowed_by,
        [Shadow {
            name: "ha-two".into(),
            priority: 20,
            queues: 3,
            exchanges: 0
        }]
    );
    assert_eq!(now.applied_to.as_deref(), Some("c1"));
}

#[test]
fn mirrors_that_are_behind_are_counted_and_named() {
    let now = after(
        &policy(ALL),
        &seen(ALL, told(ALL, 3, mirrors(28, 25, 1, 1))),
        Ok(()),
        FIRST,
    );
    is(&now, "Ready", "True", "InForce");
    is(&now, "MirrorsSynced", "False", "Syncing");
    let (_, _, message) = condition(&now, "MirrorsSynced");
    assert!(
        message.ends_with("1 wait for it, 1 do not exist; behind: orders.eu"),
        "{message}"
    );
    assert_eq!(now.summary.synced, "25/28");
    assert_eq!(now.summary.reason, message);
}

#[test]
fn a_policy_without_mirrors_says_so() {
    let spec = "definition: {message-ttl: 1}";
    let now = after(
        &policy(spec),
        &seen(spec, told(spec, 3, MirrorCounts::default())),
        Ok(()),
        FIRST,
    );
    is(&now, "MirrorsSynced", "True", "NothingMirrored");
    assert_eq!(now.summary.synced, "-");
}

#[test]
fn three_copies_on_one_node_are_in_force_and_not_feasible() {
    let spec = "mirroring: {mode: Exactly, count: 3}";
    let now = after(
        &policy(spec),
        &seen(spec, told(spec, 1, MirrorCounts::default())),
        Ok(()),
        FIRST,
    );
    is(&now, "Applied", "True", "InForce");
    is(&now, "Feasible", "False", "TooFewNodes");
    is(&now, "Ready", "False", "TooFewNodes");
    assert!(
        now.summary.reason.contains("scale orders to 3 replicas"),
        "{}",
        now.summary.reason
    );
}

#[test]
fn what_is_waited_for_has_a_reason_of_its_own() {
    let cases = [
        (ClusterSeen::Missing, "ClusterMissing"),
        (ClusterSeen::NotAllowed, "NotAllowed"),
        (ClusterSeen::Deleting, "ClusterDeleting"),
        (ClusterSeen::Paused, "ClusterPaused"),
        (ClusterSeen::Stopped, "ClusterStopped"),
        (ClusterSeen::NoVhost, "VhostMissing"),
        (ClusterSeen::Unreadable("x".into()), "ClusterUnreadable"),
        (ClusterSeen::Silent("x".into()), "BrokersSilent"),
    ];
    for (cluster, reason) in cases {
        let now = after(&policy(ALL), &seen(ALL, cluster), Ok(()), FIRST);
        is(&now, "Applied", "False", reason);
        is(&now, "Ready", "False", reason);
        assert!(!now.summary.reason.is_empty());
    }
    let younger = Seen {
        older: Some("shop/first".into()),
        ..seen(ALL, told(ALL, 3, MirrorCounts::default()))
    };
    let now = after(&policy(ALL), &younger, Ok(()), FIRST);
    is(&now, "Applied", "False", "NameTaken");
    is(&now, "Stalled", "True", "NameTaken");
    is(&now, "Reconciling", "False", "Settled");
    assert!(
        now.summary.reason.contains("Policy shop/first is older"),
        "{}",
        now.summary.reason
    );
}

#[test]
fn a_refusal_carries_the_brokers_words() {
    let fresh = seen(
        ALL,
        told("priority: 5, mirroring: {mode: All}", 3, MirrorCounts::default()),
    );
    let refused = broker::Error::Refused("pattern should be regular expression but is invalid".into());
    let now = after(&policy(ALL), &fresh, Err(refused), FIRST);
    is(&now, "Applied", "False", "RefusedByBroker");
    assert!(
        now.summary.reason.contains("pattern should be regular expression"),
        "{}",
        now.summary.reason
    );
    assert_eq!(now.applied_hash, None);
}

#[test]
fn brokers_that_are_silent_have_not_forgotten_what_they_were_given() {
    let mut policy = policy(ALL);
    let before = after(&policy, &seen(ALL, told(ALL, 3, mirrors(2, 2, 0, 0))), Ok(()), FIRST);
    policy.status = Some(before.clone());
    let now = after(
        &policy,
        &seen(ALL, ClusterSeen::Silent("no answer".into())),
        Ok(()),
        LATER,
    );
    is(&now, "Applied", "True", "LastSeenInForce");
    is(&now, "MirrorsSynced", "True", "AllSynced");
    assert_eq!(
        (now.matched, now.mirrors, &now.applied_hash),
        (before.matched, before.mirrors, &before.applied_hash)
    );
}

#[test]
fn repaired_drift_is_told_until_the_spec_changes_and_nothing_new_is_told_of_nothing() {
    let mut policy = policy(ALL);
    let calm = seen(ALL, told(ALL, 3, mirrors(2, 2, 0, 0)));
    let before = after(&policy, &calm, Ok(()), FIRST);
    policy.status = Some(before.clone());
    assert_eq!(after(&policy, &calm, Ok(()), LATER), before);
    let changed = told("priority: 5, mirroring: {mode: All}", 3, mirrors(2, 2, 0, 0));
    let drifted = Seen {
        applied: before.applied_hash.clone(),
        ..seen(ALL, changed)
    };
    let repaired = after(&policy, &drifted, Ok(()), LATER);
    is(&repaired, "DriftRepaired", "True", "Repaired");
    assert!(condition(&repaired, "DriftRepaired").2.contains("(priority)"));
    policy.status = Some(repaired);
    is(
        &after(&policy, &calm, Ok(()), LATER),
        "DriftRepaired",
        "True",
        "Repaired",
    );
    policy.metadata.generation = Some(2);
    is(
        &after(&policy, &calm, Ok(()), LATER),
        "DriftRepaired",
        "False",
        "NoDrift",
    );
}
