//! What users are told: never ready while not ready, the cause named, and nothing new said when nothing changed.

use api::{ClusterMember, Copies, Leaving, Membership};
use k8s_openapi::jiff::Timestamp;
use operator::cluster::between::{self, Between};
use operator::cluster::holdings::{Holdings, Placing};
use operator::cluster::plan::{Wanted, plan};
use operator::cluster::rotation::Turn;
use operator::cluster::settings::{HandedOver, Late};
use operator::cluster::situation::{PodSeen, SetSeen, Situation};
use operator::cluster::status::{Carried, Monitored, Outcome, status};
use operator::crd::{
    ClusterSecretStatus, OperationKind, OperationStep, Phase, RabbitCluster, RabbitClusterStatus, Role, RolledBack,
    SecretStage,
};
use operator::policy::feasible::Asked;

const FIRST: &str = "2026-01-01T00:00:00Z";
const LATER: &str = "2026-01-01T00:01:00Z";

fn cluster(replicas: i32, old: Option<RabbitClusterStatus>) -> RabbitCluster {
    let text = format!(
        "{{metadata: {{name: orders, namespace: shop, uid: u1, generation: 7}}, spec: {{replicas: {replicas}}}}}"
    );
    let mut cluster: RabbitCluster = serde_yaml::from_str(&text).unwrap();
    cluster.status = old;
    cluster
}

fn pod(ordinal: u32, ready: bool) -> PodSeen {
    PodSeen {
        name: format!("orders-server-{ordinal}"),
        ordinal,
        revision: "a".into(),
        image: "localhost/warren:1.4.0".into(),
        running: true,
        ready,
        ever_ready: ready,
        ..PodSeen::default()
    }
}

fn seen(pods: Vec<PodSeen>) -> Situation {
    let replicas = u32::try_from(pods.len()).unwrap();
    Situation {
        set: Some(SetSeen {
            replicas,
            revision: Some("a".into()),
            generation: 1,
            ..SetSeen::default()
        }),
        pods,
        held: replicas,
        ..Situation::default()
    }
}

fn carried(wanted: i32, seen: &Situation) -> Outcome {
    Outcome::Done(Box::new(Carried {
        plan: plan(
            &Wanted {
                replicas: wanted.try_into().unwrap(),
                secrets: true,
                ..Wanted::default()
            },
            seen,
        ),
        rotation: Turn::Rest,
        level: None,
        between: between::phase(Between::None, seen),
        settings: HandedOver::default(),
        at_risk: false,
        image: "localhost/warren:1.4.0".parse().unwrap(),
        volumes_growing: Vec::new(),
        volumes_refused: None,
        monitored: Monitored::NoApi,
        restore: None,
        volumes_unfit: 0,
        volumes_replaced: false,
        secret: None,
        previous: None,
        rolled_back: None,
        unkept: false,
    }))
}

fn after(wanted: i32, old: Option<RabbitClusterStatus>, seen: &Situation, now: &str) -> RabbitClusterStatus {
    let now: Timestamp = now.parse().unwrap();
    status(&cluster(wanted, old), seen, &carried(wanted, seen), now)
}

/// Status, reason and message of a condition.
fn condition<'a>(status: &'a RabbitClusterStatus, kind: &str) -> (&'a str, &'a str, &'a str) {
    let found = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind)
        .unwrap();
    (&found.status, &found.reason, &found.message)
}

#[test]
fn a_cluster_is_ready_when_every_node_is_and_not_before() {
    let starting = after(2, None, &seen(vec![pod(0, true), pod(1, false)]), FIRST);
    assert_eq!(
        condition(&starting, "Ready"),
        ("False", "NodesNotReady", "1 of 2 nodes take clients")
    );
    assert_eq!(
        (starting.phase, starting.summary.nodes.as_str()),
        (Some(Phase::Forming), "1/2")
    );
    assert_eq!(condition(&starting, "Progressing").1, "StartingNodes");
    assert_eq!(condition(&starting, "Reconciling").1, "StartingNodes");
    let running = after(2, Some(starting), &seen(vec![pod(0, true), pod(1, true)]), LATER);
    assert_eq!(condition(&running, "Ready").0, "True");
    assert_eq!(condition(&running, "Reconciling").0, "False");
    assert_eq!(condition(&running, "Stalled").0, "False");
    assert_eq!((running.phase, running.ready_replicas), (Some(Phase::Running), 2));
    assert_eq!(running.observed_generation, Some(7));
    assert_eq!(running.version.current, "1.4.0");
}

#[test]
fn who_a_node_was_is_remembered_while_its_pod_is_away() {
    let two = || {
        let mut two = seen(vec![pod(0, true), pod(1, true)]);
        let members: Vec<_> = (0..2)
            .map(
                |ordinal| serde_json::json!({"name": format!("n{ordinal}"), "uuid": format!("u{ordinal}"), "up": true}),
            )
            .collect();
        for (ordinal, pod) in two.pods.iter_mut().enumerate() {
            let told = serde_json::json!({"cluster_id": "c", "node": format!("n{ordinal}"), "serving": true, "members": members});
            pod.told = Some(serde_json::from_value(told).unwrap());
        }
        two
    };
    let ids = |status: &RabbitClusterStatus| -> Vec<_> {
        let id = |member: &operator::crd::Member| (member.name.clone(), member.node_id.clone(), member.ready);
        status.members.iter().map(id).collect()
    };
    let all = after(2, None, &two(), FIRST);
    let known = |ordinal: u32, ready| (format!("orders-server-{ordinal}"), format!("u{ordinal}"), ready);
    assert_eq!(ids(&all), [known(0, true), known(1, true)]);
    let mut gone = two();
    gone.pods.remove(0);
    gone.pods[0].told = None;
    let gone = after(2, Some(all), &gone, LATER);
    assert_eq!(ids(&gone), [known(0, false), known(1, true)]);
    assert_eq!(gone.members[0].problem, "it has no pod");
}

#[test]
fn a_node_that_is_being_deleted_is_not_ready_whatever_its_probe_says() {
    let mut leaving = pod(0, true);
    leaving.terminating = true;
    let status = after(1, None, &seen(vec![leaving]), FIRST);
    assert_eq!(condition(&status, "Ready").0, "False");
    assert_eq!(condition(&status, "Available").0, "False");
    assert!(!status.members[0].ready);
}

#[test]
fn a_second_look_at_the_same_thing_says_nothing_new() {
    let same = seen(vec![pod(0, true)]);
    let first = after(1, None, &same, FIRST);
    let second = after(1, Some(first.clone()), &same, LATER);
    assert_eq!(
        first, second,
        "a status that differs would be written, and would cause another look"
    );
}

#[test]
fn a_condition_keeps_the_date_of_its_last_change() {
    let date = |status: &RabbitClusterStatus, kind: &str| {
        let found = status
            .conditions
            .iter()
            .find(|condition| condition.type_ == kind)
            .unwrap();
        found.last_transition_time.0.to_string()
    };
    let down = after(1, None, &seen(vec![pod(0, false)]), FIRST);
    let up = after(1, Some(down), &seen(vec![pod(0, true)]), LATER);
    assert_eq!(date(&up, "Ready"), LATER);
    assert_eq!(date(&up, "Degraded"), FIRST);
}

#[test]
fn the_cause_of_a_broken_node_is_named() {
    let mut broken = pod(1, false);
    broken.problem = Some("ErrImagePull: no such image".into());
    let status = after(2, None, &seen(vec![pod(0, true), broken]), FIRST);
    let message = "orders-server-1: ErrImagePull: no such image";
    assert_eq!(condition(&status, "Degraded"), ("True", "ImageNotPulled", message));
    assert_eq!(status.summary.reason, message);
    let mut three = seen(vec![pod(0, false), pod(1, true), pod(2, false)]);
    for ordinal in [0, 2] {
        three.pods[ordinal].problem = Some("Unschedulable: no room".into());
    }
    three
        .missing
        .insert("orders-server-3".into(), "FailedCreate: exceeded quota".into());
    assert_eq!(
        condition(&after(4, None, &three, FIRST), "Degraded"),
        (
            "True",
            "NodeUnschedulable",
            "orders-server-0, orders-server-2: Unschedulable: no room; orders-server-3: FailedCreate: exceeded quota"
        )
    );
    let reason = |problem: &str| {
        let mut broken = pod(0, false);
        broken.problem = Some(problem.into());
        let status = after(1, None, &seen(vec![broken]), FIRST);
        condition(&status, "Degraded").1.to_owned()
    };
    assert_eq!(
        reason("ImagePullBackOff: again"),
        "ImageNotPulled",
        "one cause, one event"
    );
    assert_eq!(reason("Unschedulable: 0/3 nodes"), "NodeUnschedulable");
    assert_eq!(reason("FailedCreate: exceeded quota"), "NodeNotCreated");
    assert_eq!(reason("CrashLoopBackOff"), "NodeEnds");
    assert_eq!(reason("Evicted: disk"), "NodeProblem");
}

#[test]
fn a_node_that_was_ready_and_is_not_degrades_the_cluster() {
    let mut lost = pod(0, false);
    lost.ever_ready = true;
    let old = after(1, None, &seen(vec![pod(0, true)]), FIRST);
    let status = after(1, Some(old), &seen(vec![lost]), LATER);
    assert_eq!(condition(&status, "Degraded").1, "NodeLost");
    assert_eq!(status.phase, Some(Phase::Degraded));
}

#[test]
fn an_alarm_is_told_since_publishers_wait_for_its_end() {
    let mut two = seen(vec![told(0, "c", &[0, 1]), told(1, "c", &[0, 1])]);
    let running = after(2, None, &two, FIRST);
    two.pods[1].told.as_mut().unwrap().alarms = vec!["memory".into(), "disk".into()];
    let blocked = after(2, Some(running.clone()), &two, LATER);
    let message = "orders-server-1 has an alarm (memory, disk): publishers wait until it is over";
    assert_eq!(condition(&blocked, "Degraded"), ("True", "NodeHasAlarm", message));
    assert_eq!(
        (blocked.phase, blocked.summary.reason.as_str()),
        (Some(Phase::Degraded), message)
    );
    assert_eq!(condition(&blocked, "Ready").0, "True", "clients are served");
    two.pods[1].revision = "old".into();
    let rolled = after(2, Some(blocked), &two, LATER);
    assert_eq!(rolled.phase, Some(Phase::Updating), "what is under way is told before");
    assert_eq!(condition(&rolled, "Degraded").1, "NodeHasAlarm");
}

#[test]
fn a_node_that_cannot_leave_is_named_with_the_reason() {
    let pods = (0..3).map(|ordinal| told(ordinal, "c", &[0, 1, 2])).collect();
    let mut three = seen(pods);
    let (blocked, reason, _) = owned(condition(&after(1, None, &three, FIRST), "ScaleDownBlocked"));
    assert_eq!((blocked.as_str(), reason.as_str()), ("True", "NodesSilent"));
    let mut holdings = Holdings::default();
    holdings.alone.add("'q' in vhost '/'".into());
    three.holdings = (0..3)
        .map(|ordinal| (format!("orders-server-{ordinal}"), holdings.clone()))
        .collect();
    let status = after(1, None, &three, FIRST);
    let (blocked, reason, message) = owned(condition(&status, "ScaleDownBlocked"));
    assert_eq!((blocked.as_str(), reason.as_str()), ("True", "QueuesOnlyThere"));
    assert!(message.ends_with("by name: 'q' in vhost '/'"), "{message}");
    assert_eq!(status.summary.reason, message);
    assert_eq!((status.replicas, status.operation.is_none()), (3, true));
    assert_eq!(condition(&status, "Ready").0, "True", "the nodes that run are well");
}

/// Three nodes that are well, have nothing, and know of marks.
fn three_that_may_leave() -> Situation {
    let pods = (0..3).map(|ordinal| told(ordinal, "c", &[0, 1, 2])).collect();
    let mut three = seen(pods);
    let fine = |ordinal| (format!("orders-server-{ordinal}"), Holdings::default());
    three.holdings = (0..3).map(fine).collect();
    three
}

#[test]
fn while_copies_move_off_a_node_that_is_to_leave_nothing_is_called_settled() {
    let mut three = three_that_may_leave();
    let leaving = Leaving {
        is_marked: true,
        left: 7,
    };
    three.pods[2].told.as_mut().unwrap().leaving = Some(leaving);
    let old = after(3, None, &three, FIRST);
    assert_eq!(condition(&old, "Progressing").1, "Settled");
    let status = after(2, Some(old), &three, LATER);
    assert_eq!(condition(&status, "ScaleDownBlocked").1, "CopiesMove");
    let (progresses, reason, message) = condition(&status, "Progressing");
    assert_eq!((progresses, reason), ("True", "NodeLeaves"));
    assert!(message.contains("copies of 7 queues"), "{message}");
    assert_eq!(condition(&status, "Reconciling").0, "True");
    assert_eq!(condition(&status, "Stalled").0, "False");
    assert_eq!(status.phase, Some(Phase::ScalingDown));
}

#[test]
fn nodes_that_a_policy_needs_are_untouched_and_somebody_has_to_change_a_spec() {
    let mut three = three_that_may_leave();
    three
        .holdings
        .get_mut("orders-server-2")
        .unwrap()
        .policies
        .push(Placing {
            name: "'two' in vhost '/'".into(),
            asked: Asked::Exactly(2),
        });
    let old = after(3, None, &three, FIRST);
    let status = after(1, Some(old.clone()), &three, LATER);
    let (progresses, reason, message) = condition(&status, "Progressing");
    assert_eq!((progresses, reason), ("False", "Blocked"));
    assert_eq!(condition(&status, "Stalled"), ("True", "PoliciesNeedNode", message));
    assert_eq!(condition(&status, "Reconciling").0, "False");
    assert_eq!(condition(&status, "Ready").0, "True");
    assert_eq!((status.phase, status.replicas), (Some(Phase::Running), 3));
    let again = after(3, Some(status), &three, LATER);
    assert_eq!(condition(&again, "Stalled").0, "False");
    assert_eq!(condition(&again, "Progressing").1, "Settled");
}

#[test]
fn a_node_that_leaves_is_written_down_and_does_not_count_as_lost() {
    let pods = (0..3).map(|ordinal| told(ordinal, "c", &[0, 1, 2])).collect();
    let mut three = seen(pods);
    let fine = |ordinal| (format!("orders-server-{ordinal}"), Holdings::default());
    three.holdings = (0..3).map(fine).collect();
    let status = after(2, None, &three, FIRST);
    assert_eq!(status.phase, Some(Phase::ScalingDown));
    assert_eq!(status.operation.unwrap().node, "orders-server-2");
    three.leaving = Some("orders-server-2".into());
    three.app_runs = Some(false);
    three.pods[2].ready = false;
    for pod in &mut three.pods {
        pod.told.as_mut().unwrap().members[2].up = false;
    }
    let status = after(2, None, &three, FIRST);
    assert_eq!(condition(&status, "Degraded").0, "False");
    assert_eq!(condition(&status, "ScaleDownBlocked").1, "NodesLeave");
}

fn owned((a, b, c): (&str, &str, &str)) -> (String, String, String) {
    (a.into(), b.into(), c.into())
}

/// What the node of that ordinal tells: its cluster, and the nodes that it knows.
fn told(ordinal: u32, cluster: &str, knows: &[u32]) -> PodSeen {
    let name = |ordinal: &u32| format!("rabbit@orders-server-{ordinal}");
    let member = |ordinal: &u32| ClusterMember {
        name: name(ordinal),
        up: true,
        voter: Some(true),
        ..ClusterMember::default()
    };
    let membership = Membership {
        cluster_id: cluster.into(),
        node: name(&ordinal),
        serving: true,
        members: knows.iter().map(member).collect(),
        ..Membership::default()
    };
    PodSeen {
        told: Some(membership),
        ..pod(ordinal, true)
    }
}

#[test]
fn nodes_are_called_a_cluster_when_each_knows_all_the_others() {
    let clustered = |pods: Vec<PodSeen>| {
        let status = after(2, None, &seen(pods), FIRST);
        let (holds, reason, message) = condition(&status, "Clustered");
        (
            holds.to_owned(),
            reason.to_owned(),
            message.to_owned(),
            status.cluster_id,
        )
    };
    let (holds, reason, message, _) = clustered(vec![pod(0, true), pod(1, true)]);
    assert_eq!((holds.as_str(), reason.as_str()), ("False", "NodesJoining"));
    assert_eq!(message, "0 of 2 nodes have joined one cluster");
    let (_, reason, ..) = clustered(vec![told(0, "c", &[0]), told(1, "c", &[0, 1])]);
    assert_eq!(reason, "NodesJoining", "one does not know of the other yet");
    let (holds, reason, _, id) = clustered(vec![told(0, "c", &[0, 1]), told(1, "c", &[0, 1])]);
    assert_eq!((holds.as_str(), reason.as_str()), ("True", "NodesJoined"));
    assert_eq!(id.as_deref(), Some("c"));
    let (holds, reason, message, id) = clustered(vec![told(0, "c", &[0]), told(1, "d", &[1])]);
    assert_eq!((holds.as_str(), reason.as_str()), ("False", "NodesAreSeparate"));
    assert!(message.ends_with("c, d"), "{message}");
    assert_eq!(id, None);
    let one = after(1, None, &seen(vec![pod(0, true)]), FIRST);
    assert_eq!(condition(&one, "Clustered").0, "True");
}

#[test]
fn the_cluster_is_not_forgotten_while_no_node_answers() {
    let first = after(1, None, &seen(vec![told(0, "c", &[0])]), FIRST);
    let later = after(1, Some(first), &seen(vec![pod(0, false)]), LATER);
    assert_eq!(later.cluster_id.as_deref(), Some("c"));
}

#[test]
fn stopping_and_stopped_are_told_apart() {
    let mut stopping = seen(vec![pod(0, true)]);
    stopping.set.as_mut().unwrap().replicas = 0;
    assert_eq!(after(0, None, &stopping, FIRST).phase, Some(Phase::Stopping));
    let stopped = after(
        0,
        None,
        &Situation {
            pods: Vec::new(),
            ..stopping
        },
        FIRST,
    );
    assert_eq!(stopped.phase, Some(Phase::Stopped));
    assert_eq!(condition(&stopped, "Ready"), ("False", "Stopped", "no node is wanted"));
}

#[test]
fn a_failed_pass_says_why_and_still_counts_the_nodes() {
    let outcome = Outcome::Failed("NameTaken".into(), "Service orders exists".into());
    let now: Timestamp = FIRST.parse().unwrap();
    let told = status(&cluster(1, None), &seen(vec![pod(0, true)]), &outcome, now);
    assert_eq!(told.phase, Some(Phase::Failed));
    assert_eq!(
        condition(&told, "ReconcileSuccess"),
        ("False", "NameTaken", "Service orders exists")
    );
    assert_eq!(
        (told.summary.nodes.as_str(), told.summary.reason.as_str()),
        ("1/1", "Service orders exists")
    );
}

#[test]
fn a_pause_is_shown_and_changes_nothing_else() {
    let now: Timestamp = FIRST.parse().unwrap();
    let told = status(&cluster(1, None), &seen(vec![pod(0, true)]), &Outcome::Paused, now);
    assert_eq!(told.phase, Some(Phase::Paused));
    assert_eq!(condition(&told, "Paused").0, "True");
    assert_eq!(condition(&told, "Ready").0, "True");
}

#[test]
fn settings_are_in_force_when_every_node_has_taken_them_and_a_refusal_is_told_first() {
    let seen = seen(vec![pod(0, true), pod(1, true)]);
    let told = |behind: &[(&str, Late)]| {
        let Outcome::Done(mut carried) = carried(2, &seen) else {
            unreachable!("it is done");
        };
        let behind = behind.iter().cloned();
        carried.settings.behind = behind.map(|(pod, late)| (pod.to_owned(), late)).collect();
        let now = status(
            &cluster(2, None),
            &seen,
            &Outcome::Done(carried),
            FIRST.parse().unwrap(),
        );
        let (status, reason, message) = condition(&now, "SettingsInForce");
        format!("{status} {reason}: {message}")
    };
    assert!(told(&[]).starts_with("True InForce"));
    let silent = ("orders-server-0", Late::Silent("no answer".into()));
    assert_eq!(
        told(std::slice::from_ref(&silent)),
        "False Behind: orders-server-0 has yet to be told of its settings: no answer"
    );
    let refusing = ("orders-server-1", Late::Refuses("heartbeat = often".into()));
    assert_eq!(
        told(&[silent, refusing]),
        "False Refused: orders-server-1 refuses spec.config: heartbeat = often"
    );
}

#[test]
fn data_is_safe_when_every_node_tells_that_no_mirrored_queue_is_without_a_mirror_in_sync() {
    let mut seen = seen(vec![pod(0, true), pod(1, true)]);
    let tell = |seen: &mut Situation, ordinal: u32, at_risk| {
        let copies = Copies {
            masters: 7,
            mirrors: 3,
            unsynced: 1,
            at_risk,
        };
        seen.copies.insert(format!("orders-server-{ordinal}"), copies);
    };
    tell(&mut seen, 0, 0);
    let silent = after(2, None, &seen, FIRST);
    assert_eq!(
        condition(&silent, "DataSafe"),
        (
            "False",
            "NodesSilent",
            "orders-server-1 does not tell which queues it has"
        )
    );
    assert_eq!((silent.members[0].masters, silent.members[1].masters), (Some(7), None));
    tell(&mut seen, 1, 2);
    let risky = after(2, None, &seen, FIRST);
    assert_eq!(
        condition(&risky, "DataSafe"),
        (
            "False",
            "MirrorsNotSynchronised",
            "queues that policies mirror have no mirror in sync, led by orders-server-1"
        )
    );
    assert_eq!((risky.summary.at_risk, risky.members[1].unsynced), (2, Some(1)));
    tell(&mut seen, 1, 0);
    assert_eq!(condition(&after(2, None, &seen, FIRST), "DataSafe").1, "MirrorsInSync");
    assert_eq!(condition(&after(1, None, &seen, FIRST), "DataSafe").0, "True");
}

#[test]
fn one_node_can_be_spared_only_while_all_are_heard_and_none_alone_has_what_policies_mirror() {
    let mut seen = seen(vec![pod(0, true), pod(1, true)]);
    let serving = Membership {
        serving: true,
        ..Membership::default()
    };
    for pod in &mut seen.pods {
        pod.told = Some(serving.clone());
        seen.copies.insert(pod.name.clone(), Copies::default());
    }
    assert!(seen.can_spare_one(2));
    assert!(!seen.can_spare_one(3), "one is missing");
    let spoilt = |spoil: fn(&mut Situation)| {
        let mut seen = seen.clone();
        spoil(&mut seen);
        !seen.can_spare_one(2)
    };
    assert!(spoilt(|seen| seen
        .copies
        .values_mut()
        .for_each(|copies| copies.at_risk = 1)));
    assert!(spoilt(|seen| seen.copies.clear()));
    assert!(spoilt(|seen| seen.pods[1].terminating = true));
    assert!(spoilt(|seen| seen.pods[0].told = None));
    seen.copies.clear();
    assert!(seen.can_spare_one(1), "nobody would take over from one");
}

/// The status of a pass in which this was so, too.
fn with(seen: &Situation, old: Option<RabbitClusterStatus>, change: impl FnOnce(&mut Carried)) -> RabbitClusterStatus {
    let nodes = i32::try_from(seen.pods.len()).unwrap();
    let Outcome::Done(mut done) = carried(nodes, seen) else {
        unreachable!("it is done");
    };
    change(&mut done);
    status(&cluster(nodes, old), seen, &Outcome::Done(done), LATER.parse().unwrap())
}

#[test]
fn nodes_that_went_back_are_told_of_until_the_spec_is_another() {
    let two = seen(vec![pod(0, true), pod(1, true)]);
    let rolled_back = RolledBack {
        refused: "w".into(),
        revision: "b".into(),
        reason: "CanaryKeepsEnding".into(),
        message: "orders-server-1 has ended 2 times".into(),
    };
    let back = with(&two, None, |carried| {
        carried.rolled_back = Some(rolled_back.clone());
        carried.previous = Some("older".into());
    });
    assert_eq!(back.phase, Some(Phase::Failed));
    assert_eq!(
        condition(&back, "RolledBack"),
        ("True", "CanaryKeepsEnding", "orders-server-1 has ended 2 times")
    );
    assert_eq!(condition(&back, "ReconcileSuccess").1, "RolledBack");
    assert_eq!(back.summary.reason, "orders-server-1 has ended 2 times");
    assert_eq!(condition(&back, "Ready").0, "True", "the nodes are well");
    assert_eq!(
        (back.rolled_back.as_ref(), back.version.previous_revision.as_deref()),
        (Some(&rolled_back), Some("older"))
    );
    let paused = status(
        &cluster(2, Some(back.clone())),
        &two,
        &Outcome::Paused,
        LATER.parse().unwrap(),
    );
    assert_eq!(paused.rolled_back, Some(rolled_back), "a pause forgets nothing");
    let after = with(&two, Some(back), |carried| carried.previous = Some("a".into()));
    assert_eq!(
        (after.phase, condition(&after, "RolledBack").0),
        (Some(Phase::Running), "False")
    );
    assert_eq!(
        (after.rolled_back, after.version.previous_revision),
        (None, None),
        "it is the one that runs"
    );
}

#[test]
fn what_is_being_done_with_a_node_is_told_with_its_step_and_since_when() {
    let mut three = seen((0..3).map(|ordinal| told(ordinal, "c", &[0, 1, 2])).collect());
    three.set.as_mut().unwrap().revision = Some("b".into());
    let of = |leads| Holdings {
        leads,
        ..Holdings::default()
    };
    three.holdings = (0..3)
        .map(|ordinal| (format!("orders-server-{ordinal}"), of(7)))
        .collect();
    let first = after(3, None, &three, FIRST);
    let operation = first.operation.clone().unwrap();
    assert_eq!(
        (operation.kind, operation.node.as_str()),
        (OperationKind::Roll, "orders-server-2")
    );
    assert_eq!(
        (operation.step, operation.remaining_queues),
        (OperationStep::TransferMasters, Some(7))
    );
    assert_eq!(operation.started_at.as_ref().unwrap().0.to_string(), FIRST);
    let later = after(3, Some(first), &three, LATER).operation.unwrap();
    assert_eq!(later, operation, "it keeps the date of its beginning");
    three.set.as_mut().unwrap().revision = Some("a".into());
    three.holdings.get_mut("orders-server-2").unwrap().alone.add("q".into());
    three.leaving = Some("orders-server-2".into());
    let blocked = after(2, None, &three, FIRST).operation.unwrap();
    assert_eq!(
        (blocked.kind, blocked.step),
        (OperationKind::ScaleDown, OperationStep::Waiting)
    );
    assert!(
        blocked.blocked_by.contains("holds the only copy of queues"),
        "{}",
        blocked.blocked_by
    );
    assert_eq!(blocked.remaining_queues, Some(6), "one cannot move");
}

#[test]
fn a_member_is_told_of_with_its_identity_its_vote_its_certificate_and_the_secret_that_it_accepts() {
    let mut two = seen((0..2).map(|ordinal| told(ordinal, "c", &[0, 1])).collect());
    let membership = two.pods[0].told.as_mut().unwrap();
    membership.members[0].uuid = "a-uuid".into();
    membership.certificate = Some("ab12".into());
    two.copies = (0..2)
        .map(|ordinal| (format!("orders-server-{ordinal}"), Copies::default()))
        .collect();
    two.accepting.insert("orders-server-0".into());
    let generations = |two: &Situation, stage| {
        let secret = ClusterSecretStatus { generation: 3, stage };
        let status = with(two, None, |carried| carried.secret = Some(secret));
        assert_eq!(status.cluster_secret, Some(secret));
        let of = |member: &operator::crd::Member| member.cookie_generation;
        (of(&status.members[0]), of(&status.members[1]))
    };
    let first = &with(&two, None, |_| {}).members[0];
    assert_eq!((first.node_id.as_str(), first.role), ("a-uuid", Some(Role::Voter)));
    assert_eq!(first.cert_fingerprint.as_deref(), Some("ab12"));
    assert_eq!(generations(&two, SecretStage::Staged), (Some(3), Some(2)));
    assert_eq!(generations(&two, SecretStage::Activated), (Some(3), Some(3)));
    two.copies.remove("orders-server-1");
    assert_eq!(
        generations(&two, SecretStage::Idle),
        (Some(3), None),
        "who has not answered may have missed it"
    );
}

#[test]
fn volumes_that_cannot_become_what_is_asked_for_are_told_of_whether_they_may_be_replaced_or_not() {
    let two = seen((0..2).map(|ordinal| told(ordinal, "c", &[0, 1])).collect());
    let told = |replaced: bool| {
        with(&two, None, |carried| {
            carried.volumes_unfit = 2;
            carried.volumes_replaced = replaced;
        })
    };
    let refused = told(false);
    assert_eq!(condition(&refused, "VolumesSized").1, "ShrinkRefused");
    assert_eq!(refused.phase, Some(Phase::Running));
    let replaced = told(true);
    assert_eq!(condition(&replaced, "VolumesSized").1, "Replacing");
    assert_eq!(replaced.phase, Some(Phase::ResizingVolumes));
}

#[test]
fn a_cluster_that_waits_for_its_secret_before_it_begins_is_pending() {
    let outcome = Outcome::Failed("SecretMissing".into(), "Secret pair is missing".into());
    let of = |seen: &Situation| status(&cluster(1, None), seen, &outcome, FIRST.parse().unwrap()).phase;
    assert_eq!(of(&Situation::default()), Some(Phase::Pending));
    assert_eq!(of(&seen(vec![pod(0, true)])), Some(Phase::Failed));
}

#[test]
fn a_scale_down_that_was_given_up_for_one_spec_has_its_time_again_for_the_next() {
    let mut three = seen((0..3).map(|ordinal| told(ordinal, "c", &[0, 1, 2])).collect());
    let mut holdings = Holdings::default();
    holdings.alone.add("q".into());
    three.holdings = (0..3)
        .map(|ordinal| (format!("orders-server-{ordinal}"), holdings.clone()))
        .collect();
    let mut old = after(1, None, &three, FIRST);
    let since = |status: &RabbitClusterStatus| {
        let mut all = status.conditions.iter();
        all.find(|condition| condition.type_ == "ScaleDownBlocked")
            .unwrap()
            .last_transition_time
            .0
            .to_string()
    };
    assert_eq!(since(&after(1, Some(old.clone()), &three, LATER)), FIRST);
    for condition in &mut old.conditions {
        condition.observed_generation = Some(6);
        if condition.type_ == "ScaleDownBlocked" {
            condition.reason = "TimedOut".into();
        }
    }
    assert_eq!(since(&after(1, Some(old), &three, LATER)), LATER);
}
