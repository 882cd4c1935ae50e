//! Policies as a user would write them: what the brokers are asked to hold, what is refused with which words, and what a pass
//! decides in each situation that has a name.

use api::{ApplyTo, PolicyReport};
use operator::crd::Policy;
use operator::policy::desired::{cluster_of, desired, fingerprint};
use operator::policy::feasible::Nodes;
use operator::policy::plan::{ClusterSeen, Finalizer, Left, Obstacle, Plan, Seen, Step, Why, plan};
use serde_json::json;

/// A Policy `ha` in the namespace `shop` with this spec beside clusterRef and pattern.
pub(crate) fn policy(spec: &str) -> Policy {
    let text = format!(
        "{{metadata: {{name: ha, namespace: shop, uid: p1, generation: 1}}, spec: {{clusterRef: {{name: orders}}, pattern: '^o', {spec}}}}}"
    );
    serde_yaml::from_str(&text).unwrap()
}

fn definition(spec: &str) -> serde_json::Value {
    json!(desired(&policy(spec)).unwrap().definition)
}

fn refused(spec: &str) -> String {
    desired(&policy(spec)).unwrap_err().to_string()
}

#[test]
fn the_typed_block_becomes_the_keys_that_rabbitmq_knows() {
    assert_eq!(
        definition("mirroring: {mode: All}"),
        json!({"ha-mode": "all", "ha-sync-mode": "automatic"})
    );
    let exactly = "mirroring: {mode: Exactly, count: 2, syncMode: Manual, syncBatchSize: 50, promoteOnShutdown: Always, promoteOnFailure: WhenSynced}";
    assert_eq!(
        definition(exactly),
        json!({
            "ha-mode": "exactly", "ha-params": 2, "ha-sync-mode": "manual", "ha-sync-batch-size": 50,
            "ha-promote-on-shutdown": "always", "ha-promote-on-failure": "when-synced",
        })
    );
    let both = "mirroring: {mode: All}, definition: {message-ttl: 60000}";
    assert_eq!(definition(both)["message-ttl"], 60000);
}

#[test]
fn a_raw_definition_stays_as_it_is() {
    let raw = "definition: {ha-mode: nodes, ha-params: [a, b], dead-letter-exchange: dlx, max-length: 10}";
    assert_eq!(
        definition(raw),
        json!({"ha-mode": "nodes", "ha-params": ["a", "b"], "dead-letter-exchange": "dlx", "max-length": 10})
    );
}

#[test]
fn pods_become_nodes_and_other_words_are_refused() {
    let nodes = definition("mirroring: {mode: Nodes, nodes: [orders-server-1, rabbit@elsewhere]}");
    assert_eq!(
        nodes["ha-params"],
        json!(["rabbit@orders-server-1.orders-nodes.shop", "rabbit@elsewhere"])
    );
    let mut far = policy("mirroring: {mode: Nodes, nodes: [orders-server-0]}");
    far.spec.cluster_ref.namespace = Some("far".into());
    assert_eq!(cluster_of(&far), ("far".into(), "orders".into()));
    let nodes = json!(desired(&far).unwrap().definition["ha-params"]);
    assert_eq!(nodes, json!(["rabbit@orders-server-0.orders-nodes.far"]));
    let wrong = refused("mirroring: {mode: Nodes, nodes: [node1]}");
    assert!(
        wrong.contains("'node1' must be a pod of the cluster such as orders-server-0"),
        "{wrong}"
    );
}

#[test]
fn name_vhost_and_reach_have_rabbitmqs_defaults() {
    let plain = desired(&policy("mirroring: {mode: All}")).unwrap();
    assert_eq!(
        (plain.name.as_str(), plain.vhost.as_str(), plain.priority),
        ("ha", "/", 0)
    );
    assert_eq!(plain.apply_to, ApplyTo::All);
    let named = desired(&policy(
        "name: Other Name, vhost: v, priority: -3, applyTo: classic_queues, definition: {expires: 1}",
    ))
    .unwrap();
    assert_eq!(
        (named.name.as_str(), named.vhost.as_str(), named.priority),
        ("Other Name", "v", -3)
    );
    assert_eq!(named.apply_to, ApplyTo::ClassicQueues);
    assert_ne!(fingerprint(&plain), fingerprint(&named));
}

#[test]
fn what_cannot_be_right_is_told_with_what_would_be() {
    let cases = [
        ("priority: 1", "a policy must say something"),
        ("definition: {}", "a policy must say something"),
        (
            "mirroring: {mode: All}, definition: {ha-params: 2}",
            "'ha-params' cannot stand beside spec.mirroring",
        ),
        ("mirroring: {mode: All}, applyTo: exchanges", "mirroring is for queues"),
        ("mirroring: {mode: All, count: 2}", "count belongs to mode Exactly"),
        ("mirroring: {mode: Exactly}", "count belongs to mode Exactly"),
        ("mirroring: {mode: Exactly, count: 0}", "is at least 1"),
        ("mirroring: {mode: Nodes, nodes: []}", "are not empty"),
        ("mirroring: {mode: All, syncBatchSize: 0}", "at least 1 message"),
    ];
    for (spec, words) in cases {
        assert!(refused(spec).contains(words), "{spec}: {}", refused(spec));
    }
}

fn nodes() -> Nodes {
    Nodes {
        cluster: "orders".into(),
        wanted: 3,
        names: (0..3)
            .map(|ordinal| format!("rabbit@orders-server-{ordinal}.orders-nodes.shop"))
            .collect(),
    }
}

pub(crate) fn tells(held: Option<api::Policy>) -> ClusterSeen {
    let report = PolicyReport {
        policy: held,
        ..PolicyReport::default()
    };
    ClusterSeen::Tells(Box::new(report), nodes())
}

pub(crate) fn seen(spec: &str, cluster: ClusterSeen) -> Seen {
    Seen {
        deleting: false,
        held: true,
        retain: false,
        forced: false,
        desired: desired(&policy(spec)),
        applied: None,
        older: None,
        heir: None,
        cluster,
    }
}

const ALL: &str = "mirroring: {mode: All}";

fn wanted() -> api::Policy {
    desired(&policy(ALL)).unwrap()
}

fn changed() -> api::Policy {
    api::Policy {
        priority: 9,
        ..wanted()
    }
}

#[test]
fn the_brokers_are_told_only_what_they_do_not_hold_already() {
    let rest = plan(&seen(ALL, tells(Some(wanted()))));
    assert_eq!(
        rest,
        Plan {
            finalizer: Finalizer::Keep,
            step: Step::Rest
        }
    );
    assert_eq!(plan(&seen(ALL, tells(None))).step, Step::Put(Why::New));
}

#[test]
fn another_content_is_adopted_changed_or_drifted_by_what_was_given_last() {
    let of = |applied: Option<String>| {
        plan(&Seen {
            applied,
            ..seen(ALL, tells(Some(changed())))
        })
        .step
    };
    assert_eq!(of(None), Step::Put(Why::Adopted("priority".into())));
    assert_eq!(of(Some("another".into())), Step::Put(Why::Changed("priority".into())));
    assert_eq!(
        of(Some(fingerprint(&wanted()))),
        Step::Put(Why::Drifted("priority".into()))
    );
    let gone = Seen {
        applied: Some("x".into()),
        ..seen(ALL, tells(None))
    };
    assert_eq!(plan(&gone).step, Step::Put(Why::Drifted("it was gone".into())));
}

#[test]
fn the_finalizer_comes_before_the_first_write_and_only_where_it_is_needed() {
    let fresh = Seen {
        held: false,
        ..seen(ALL, tells(None))
    };
    assert_eq!(plan(&fresh).finalizer, Finalizer::Add);
    assert_eq!(plan(&Seen { retain: true, ..fresh }).finalizer, Finalizer::Keep);
    let retained = Seen {
        retain: true,
        ..seen(ALL, tells(Some(wanted())))
    };
    assert_eq!(plan(&retained).finalizer, Finalizer::Remove);
    let waiting = Seen {
        held: false,
        ..seen(ALL, ClusterSeen::Missing)
    };
    assert_eq!(
        plan(&waiting),
        Plan {
            finalizer: Finalizer::Keep,
            step: Step::Wait(Obstacle::ClusterMissing)
        }
    );
}

#[test]
fn the_younger_of_two_waits_and_says_for_whom() {
    let younger = Seen {
        older: Some("shop/first".into()),
        ..seen(ALL, tells(Some(changed())))
    };
    assert_eq!(plan(&younger).step, Step::Wait(Obstacle::Taken("shop/first".into())));
}

#[test]
fn a_deleted_policy_removes_what_it_put_and_nothing_else() {
    let gone = |seen: Seen| plan(&Seen { deleting: true, ..seen });
    let given = Some(fingerprint(&wanted()));
    let ours = Seen {
        applied: given.clone(),
        ..seen(ALL, tells(Some(changed())))
    };
    assert_eq!(
        gone(ours.clone()),
        Plan {
            finalizer: Finalizer::Remove,
            step: Step::Clear
        }
    );
    assert_eq!(
        gone(seen(ALL, tells(Some(wanted())))).step,
        Step::Clear,
        "killed between the write and the status"
    );
    assert_eq!(
        gone(seen(ALL, tells(Some(changed())))).step,
        Step::Leave(Left::Nothing),
        "made by somebody else"
    );
    assert_eq!(
        gone(Seen {
            retain: true,
            ..ours.clone()
        })
        .step,
        Step::Leave(Left::Retained)
    );
    assert_eq!(
        gone(Seen {
            heir: Some("shop/next".into()),
            ..ours.clone()
        })
        .step,
        Step::Leave(Left::HandedOver)
    );
    assert_eq!(gone(Seen { held: false, ..ours }).finalizer, Finalizer::Keep);
}

#[test]
fn a_deleted_policy_never_waits_for_a_cluster_that_is_gone() {
    let of = |cluster: ClusterSeen| {
        let seen = Seen {
            deleting: true,
            applied: Some("x".into()),
            ..seen(ALL, cluster)
        };
        plan(&seen)
    };
    let left = |left| Plan {
        finalizer: Finalizer::Remove,
        step: Step::Leave(left),
    };
    assert_eq!(of(ClusterSeen::Missing), left(Left::ClusterGone));
    assert_eq!(of(ClusterSeen::Deleting), left(Left::ClusterGone));
    assert_eq!(of(ClusterSeen::NotAllowed), left(Left::NotAllowed));
    assert_eq!(of(ClusterSeen::NoVhost), left(Left::Nothing));
    let silent = of(ClusterSeen::Silent("x".into()));
    assert_eq!(
        silent,
        Plan {
            finalizer: Finalizer::Keep,
            step: Step::Wait(Obstacle::Silent("x".into()))
        }
    );
    assert_eq!(of(ClusterSeen::Stopped).step, Step::Wait(Obstacle::Stopped));
}

#[test]
fn what_would_take_every_mirror_away_is_held_back_until_the_user_insists() {
    let nowhere = "mirroring: {mode: Nodes, nodes: [rabbit@nowhere]}";
    let held = seen(nowhere, tells(Some(wanted())));
    assert!(matches!(plan(&held).step, Step::Wait(Obstacle::HeldBack(_))));
    assert!(matches!(plan(&Seen { forced: true, ..held }).step, Step::Put(_)));
    assert_eq!(
        plan(&seen(nowhere, tells(None))).step,
        Step::Put(Why::New),
        "nothing is lost by it"
    );
}
