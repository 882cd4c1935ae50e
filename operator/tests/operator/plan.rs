//! The plan, by tables. A node is written as ordinal, revision and state: `2b!` is ordinal 2, revision b, never ready. States: `+` ready,
//! `-` was ready and is not, `!` never became ready, `x` terminating.

use std::collections::BTreeSet;

use api::{ClusterMember, Copies, Membership};
use operator::cluster::holdings::Holdings;
use operator::cluster::plan::{Overdue, Plan, Step, Wanted, plan};
use operator::cluster::renew::Renewing;
use operator::cluster::situation::{ClaimSeen, PodSeen, SetSeen, Situation};
use operator::crd::{Canary, OnTimeout, Rebalance, UnsyncedMirrors, Update, UpdateStrategy};

fn pod(text: &str) -> PodSeen {
    let mut letters = text.chars();
    let ordinal = letters.next().and_then(|digit| digit.to_digit(10)).unwrap();
    let revision = letters.next().unwrap().to_string();
    let state = letters.next().unwrap();
    PodSeen {
        name: format!("pod-{ordinal}"),
        ordinal,
        uid: format!("uid-{text}"),
        revision,
        running: true,
        ready: state == '+',
        ever_ready: state != '!',
        terminating: state == 'x',
        told: (state == '+').then(|| Membership {
            serving: true,
            ..Membership::default()
        }),
        ..PodSeen::default()
    }
}

fn situation(replicas: u32, revision: Option<&str>, pods: &str) -> Situation {
    Situation {
        set: Some(SetSeen {
            replicas,
            revision: revision.map(str::to_owned),
            generation: 1,
            ..SetSeen::default()
        }),
        holdings: (0..replicas)
            .map(|ordinal| (format!("pod-{ordinal}"), Holdings::default()))
            .collect(),
        pods: pods.split_whitespace().map(pod).collect(),
        held: replicas,
        ..Situation::default()
    }
}

fn decide(replicas: u32, secrets: bool, seen: &Situation) -> Plan {
    let wanted = Wanted {
        replicas,
        secrets,
        ..Wanted::default()
    };
    plan(&wanted, seen)
}

fn updating(update: Update) -> Wanted {
    Wanted {
        replicas: 3,
        secrets: true,
        update,
        ..Wanted::default()
    }
}

/// `rest`, `wait`, or the pod to replace and why.
fn told(step: &Step) -> String {
    match step {
        Step::Rest => "rest".into(),
        Step::Wait(_) => "wait".into(),
        Step::Later(pace, _) => format!("later {pace:?}"),
        Step::Synchronise(pod) => format!("{} Synchronise", pod.ordinal),
        Step::Rebalance(pod) => format!("{} Rebalance", pod.ordinal),
        Step::Replace(pod, why) => format!("{} {why:?}", pod.ordinal),
        Step::Stop(pod) => format!("{} Stop", pod.ordinal),
        Step::Reset(pod) => format!("{} Reset", pod.ordinal),
        Step::Revive(pod) => format!("{} Revive", pod.ordinal),
        Step::Discard(renewing, _) => format!("{} Discard", renewing.pod),
        Step::Recreate => "recreate".into(),
        Step::Forget(_, lost) => format!("forget {}", lost.pod),
        Step::Mark(pod, on) => format!("mark {} {on}", pod.name),
        Step::Evacuate(pod, _) => format!("evacuate {}", pod.name),
    }
}

#[test]
fn one_pod_at_a_time_the_highest_ordinal_first_and_only_while_the_others_are_ready() {
    let cases = [
        ("0b+ 1b+ 2b+", "rest"),
        ("0a+ 1a+ 2a+", "2 Turn"),
        ("0a+ 1a+ 2bx", "wait"),
        ("0a+ 1a+", "wait"),
        ("0a+ 1a+ 2b!", "wait"),
        ("0a+ 1a+ 2b-", "wait"),
        ("0a+ 1a+ 2b+", "1 Turn"),
        ("0a+ 1b+ 2b+", "0 Turn"),
        ("0b+ 1a+ 2b+", "1 Turn"),
    ];
    for (pods, expected) in cases {
        assert_eq!(
            told(&decide(3, true, &situation(3, Some("b"), pods)).step),
            expected,
            "{pods}"
        );
    }
}

#[test]
fn a_broken_revision_does_not_lock_itself_in() {
    let cases = [
        ("0a+ 1a+ 2a!", "2 NeverReady"),
        ("0a! 1a! 2a!", "2 NeverReady"),
        ("0a- 1a! 2b!", "1 NeverReady"),
        ("0a+ 1a- 2a+", "1 Down"),
        ("0a- 1a- 2a+", "1 Down"),
        ("0a- 1a- 2b!", "wait"),
        ("0a- 1a- 2b+", "1 Down"),
        ("0a+ 1a- 2bx", "wait"),
    ];
    for (pods, expected) in cases {
        assert_eq!(
            told(&decide(3, true, &situation(3, Some("b"), pods)).step),
            expected,
            "{pods}"
        );
    }
}

#[test]
fn nothing_is_replaced_while_the_newest_template_is_unknown_or_a_new_pod_could_not_start() {
    assert_eq!(told(&decide(1, true, &situation(1, None, "0a+")).step), "wait");
    assert_eq!(told(&decide(1, false, &situation(1, Some("b"), "0a!")).step), "wait");
    assert_eq!(told(&decide(1, true, &Situation::default()).step), "rest");
}

#[test]
fn the_node_that_leads_the_fewest_queues_goes_first() {
    let mut seen = situation(3, Some("b"), "0a+ 1a+ 2a+");
    for (ordinal, leads) in [(0, 5), (1, 1), (2, 9)] {
        seen.holdings.get_mut(&format!("pod-{ordinal}")).unwrap().leads = leads;
    }
    assert_eq!(told(&decide(3, true, &seen).step), "1 Turn");
}

#[test]
fn a_node_waits_for_its_mirrors_and_for_all_to_answer() {
    let with = |unsynced_mirrors, seen: &Situation| {
        let update = Update {
            unsynced_mirrors,
            ..Update::default()
        };
        plan(&updating(update), seen).step
    };
    let reason = |seen: &Situation| match with(UnsyncedMirrors::Wait, seen) {
        Step::Wait(why) => why,
        step => told(&step),
    };
    let whole = situation(3, Some("b"), "0a+ 1a+ 2a+");
    let mut seen = whole.clone();
    seen.holdings
        .get_mut("pod-2")
        .unwrap()
        .unsynchronised
        .add("'q' in vhost '/'".into());
    assert_eq!(
        reason(&seen),
        "pod-2 is replaced when a mirror of each queue that it leads is in sync; none is of 'q' in vhost '/'"
    );
    assert_eq!(told(&with(UnsyncedMirrors::Proceed, &seen)), "2 Turn");
    assert_eq!(told(&with(UnsyncedMirrors::Sync, &seen)), "2 Synchronise");
    assert_eq!(told(&with(UnsyncedMirrors::Sync, &whole)), "2 Turn");
    let mut seen = whole.clone();
    seen.holdings.remove("pod-2");
    assert!(reason(&seen).contains("pod-2 must tell which queues it leads"));
    let mut seen = whole;
    seen.pods[0].told = None;
    assert!(reason(&seen).contains("pod-0 must tell that it hears a majority before pod-2"));
}

#[test]
fn a_node_waits_while_another_has_an_alarm_and_the_leader_of_the_definitions_goes_last() {
    let mut seen = situation(3, Some("b"), "0a+ 1a+ 2a+");
    for (ordinal, pod) in seen.pods.iter_mut().enumerate() {
        let told = pod.told.as_mut().unwrap();
        told.node = format!("rabbit@{ordinal}");
        told.leader = Some("rabbit@2".into());
    }
    assert_eq!(told(&decide(3, true, &seen).step), "1 Turn");
    seen.pods[0].told.as_mut().unwrap().alarms = vec!["memory".into()];
    let Step::Wait(why) = decide(3, true, &seen).step else {
        panic!("it goes although another has an alarm")
    };
    assert!(why.starts_with("pod-0 has an alarm (memory)"), "{why}");
    for pod in &mut seen.pods[..2] {
        pod.revision = "b".into();
        pod.told.as_mut().unwrap().alarms.clear();
    }
    assert_eq!(told(&decide(3, true, &seen).step), "2 Turn");
}

/// As the others, but taken out of service by us.
fn out_of_service(pods: &str, which: usize) -> Situation {
    let mut seen = situation(3, Some("b"), pods);
    let pod = &mut seen.pods[which];
    pod.told = Some(Membership {
        serving: true,
        maintenance: true,
        ..Membership::default()
    });
    seen.draining = Some(pod.name.clone());
    seen
}

#[test]
fn a_node_is_taken_out_of_service_before_its_pod_goes_and_put_back_if_it_stays() {
    let draining = |seen: &Situation| {
        let plan = decide(3, true, seen);
        (told(&plan.step), plan.draining)
    };
    let it = |which: u32| Some(format!("pod-{which}"));
    assert_eq!(
        draining(&situation(3, Some("b"), "0a+ 1a+ 2a+")),
        ("2 Turn".into(), it(2))
    );
    // Whatever its probe says by now, and whoever else would be the next one.
    for pods in ["0a+ 1a+ 2a+", "0a+ 1a- 2a+"] {
        assert_eq!(draining(&out_of_service(pods, 1)), ("1 Turn".into(), it(1)), "{pods}");
    }
    assert_eq!(draining(&out_of_service("0b+ 1b- 2b+", 1)), ("1 Revive".into(), it(1)));
    assert_eq!(draining(&out_of_service("0a- 1a- 2b+", 1)), ("1 Revive".into(), it(1)));
    let mut by_another = out_of_service("0b+ 1b- 2b+", 1);
    by_another.draining = None;
    assert_eq!(draining(&by_another), ("rest".into(), None));
    let mut silent = out_of_service("0b+ 1b- 2b+", 1);
    silent.pods[1].told = None;
    assert_eq!(draining(&silent), ("rest".into(), it(1)));
    let one = situation(1, Some("b"), "0a+");
    assert_eq!(decide(1, true, &one).draining, None, "nobody could take over");
}

#[test]
fn one_node_alone_waits_for_nobody() {
    let mut seen = situation(1, Some("b"), "0a+");
    seen.holdings.clear();
    seen.pods[0].told = None;
    assert_eq!(told(&decide(1, true, &seen).step), "0 Turn");
}

#[test]
fn pods_are_left_to_the_user_where_the_user_wants_it_but_for_those_that_never_started() {
    let on_delete = |pods: &str| {
        let update = Update {
            strategy: UpdateStrategy::OnDelete,
            ..Update::default()
        };
        told(&plan(&updating(update), &situation(3, Some("b"), pods)).step)
    };
    assert_eq!(on_delete("0a+ 1a+ 2a+"), "later OnDelete");
    assert_eq!(on_delete("0a+ 1a- 2b+"), "later OnDelete");
    assert_eq!(on_delete("0a+ 1a! 2b+"), "1 NeverReady");
    assert_eq!(on_delete("0b+ 1b+ 2b+"), "rest");
}

#[test]
fn the_last_pod_of_a_supervised_update_is_the_users() {
    let supervised = |replicas, pods: &str| {
        let update = Update {
            strategy: UpdateStrategy::Supervised,
            ..Update::default()
        };
        let wanted = Wanted {
            replicas,
            ..updating(update)
        };
        told(&plan(&wanted, &situation(replicas, Some("b"), pods)).step)
    };
    assert_eq!(supervised(3, "0a+ 1a+ 2a+"), "2 Turn");
    assert_eq!(supervised(3, "0a+ 1a+ 2b+"), "1 Turn");
    assert_eq!(supervised(3, "0a+ 1b+ 2b+"), "later Supervised");
    assert_eq!(
        supervised(3, "0a- 1b+ 2b+"),
        "0 Down",
        "a broken one is no question of trust"
    );
    assert_eq!(supervised(1, "0a+"), "later Supervised");
    assert_eq!(supervised(3, "0b+ 1b+ 2b+"), "rest");
}

#[test]
fn the_first_pods_of_a_canary_are_watched_before_the_others_follow() {
    let canary = |pods: &str, ready_seconds: i64| {
        let update = Update {
            canary: Some(Canary {
                nodes: 1,
                pause_seconds: 300,
                auto_rollback: false,
            }),
            ..Update::default()
        };
        let mut seen = situation(3, Some("b"), pods);
        seen.pods.iter_mut().for_each(|pod| pod.ready_seconds = ready_seconds);
        told(&plan(&updating(update), &seen).step)
    };
    assert_eq!(canary("0a+ 1a+ 2a+", 0), "2 Turn");
    assert_eq!(canary("0a+ 1a+ 2b+", 299), "later Canary");
    assert_eq!(canary("0a+ 1a+ 2b-", 0), "later Canary");
    assert_eq!(canary("0a+ 1a+ 2b+", 300), "1 Turn");
    assert_eq!(canary("0a+ 1b+ 2b+", 0), "0 Turn");
    assert_eq!(canary("0a+ 1a- 2b+", 0), "1 Down");
}

#[test]
fn outside_of_every_window_only_what_is_broken_or_has_begun_is_replaced() {
    let wanted = Wanted {
        closed: Some("none is open".into()),
        ..updating(Update::default())
    };
    let step = |seen: &Situation| told(&plan(&wanted, seen).step);
    assert_eq!(step(&situation(3, Some("b"), "0a+ 1a+ 2a+")), "later Window");
    assert_eq!(step(&situation(3, Some("b"), "0a+ 1a- 2a+")), "1 Down");
    assert_eq!(step(&situation(3, Some("b"), "0a+ 1a! 2a+")), "1 NeverReady");
    assert_eq!(step(&out_of_service("0a+ 1a+ 2a+", 1)), "1 Turn");
    assert_eq!(step(&situation(3, Some("b"), "0b+ 1b+ 2b+")), "rest");
}

#[test]
fn a_cluster_that_waits_for_others_to_be_rolled_replaces_only_what_is_broken_or_has_begun() {
    let wanted = Wanted {
        queued: Some("the operator rolls 1 clusters at once".into()),
        ..updating(Update::default())
    };
    let step = |seen: &Situation| told(&plan(&wanted, seen).step);
    assert_eq!(step(&situation(3, Some("b"), "0a+ 1a+ 2a+")), "later Queued");
    assert_eq!(step(&situation(3, Some("b"), "0a+ 1a- 2a+")), "1 Down");
    assert_eq!(step(&out_of_service("0a+ 1a+ 2a+", 1)), "1 Turn");
    assert_eq!(step(&situation(3, Some("b"), "0b+ 1b+ 2b+")), "rest");
}

/// Three nodes of revision a that know each other, where this one is the newest.
fn three_members(newest: &str) -> Situation {
    let mut seen = situation(3, Some(newest), "0a+ 1a+ 2a+");
    for pod in &mut seen.pods {
        let told = pod.told.as_mut().unwrap();
        told.node = format!("rabbit@{}.nodes", pod.name);
        let member = |ordinal| ClusterMember {
            name: format!("rabbit@pod-{ordinal}.nodes"),
            up: true,
            ..ClusterMember::default()
        };
        told.members = (0..3).map(member).collect();
    }
    seen
}

#[test]
fn a_roll_that_the_user_holds_holds_up_no_scale_down() {
    let seen = three_members("b");
    let wanted = Wanted {
        replicas: 2,
        closed: Some("none is open".into()),
        ..updating(Update::default())
    };
    let plan = plan(&wanted, &seen);
    assert_eq!((told(&plan.step), plan.leaving), ("wait".into(), Some("pod-2".into())));
}

/// Three nodes of which one is to go and holds the only copy of a queue.
fn held() -> (Wanted, Situation) {
    let mut seen = three_members("a");
    seen.holdings
        .get_mut("pod-2")
        .unwrap()
        .alone
        .add("'q' in vhost '/'".into());
    let wanted = Wanted {
        replicas: 2,
        ..updating(Update::default())
    };
    (wanted, seen)
}

#[test]
fn a_node_that_cannot_leave_for_long_is_told_of_and_leaves_when_it_can_or_stays_as_the_user_wants_it() {
    let (mut wanted, mut seen) = held();
    let told = |wanted: &Wanted, seen: &Situation| {
        let plan = plan(wanted, seen);
        let held = plan.held.map(|held| (held.reason, held.message)).unwrap_or_default();
        (held.0, held.1, plan.leaving, told(&plan.step))
    };
    assert_eq!(told(&wanted, &seen).0, "QueuesOnlyThere");
    let overdue = |on_timeout| {
        Some(Overdue {
            seconds: 3600,
            on_timeout,
        })
    };
    wanted.overdue = overdue(OnTimeout::Wait);
    let (reason, message, ..) = told(&wanted, &seen);
    assert_eq!(reason, "TimedOut");
    assert!(
        message.starts_with("for 3600 s: pod-2 holds the only copy") && message.ends_with("'q' in vhost '/'"),
        "{message}"
    );
    wanted.overdue = overdue(OnTimeout::Cancel);
    let (reason, message, leaving, _) = told(&wanted, &seen);
    assert_eq!((reason, leaving), ("TimedOut", None));
    assert!(
        message.starts_with("called off after 3600 s, until the spec changes: pod-2 holds"),
        "{message}"
    );
    // What it was held by is over: it leaves, or stays all the same.
    seen.holdings.insert("pod-2".into(), Holdings::default());
    assert_eq!(told(&wanted, &seen).2, None);
    wanted.overdue = overdue(OnTimeout::Wait);
    assert_eq!(told(&wanted, &seen).2.as_deref(), Some("pod-2"));
}

#[test]
fn one_that_was_stopped_to_leave_starts_again_when_that_is_called_off() {
    let (mut wanted, mut seen) = held();
    (seen.leaving, seen.app_runs) = (Some("pod-2".into()), Some(false));
    seen.pods[2].ready = false;
    wanted.overdue = Some(Overdue {
        seconds: 60,
        on_timeout: OnTimeout::Cancel,
    });
    let plan = plan(&wanted, &seen);
    assert_eq!((told(&plan.step), plan.replicas), ("2 Stays".into(), 3));
}

#[test]
fn one_that_has_left_already_starts_again_when_it_is_wanted_after_all() {
    let (mut wanted, mut seen) = held();
    wanted.replicas = 3;
    (seen.leaving, seen.app_runs) = (Some("pod-2".into()), None);
    seen.pods[2].ready = false;
    let gone = seen.pods[2].told.take().unwrap().node;
    let step = |seen: &Situation| told(&plan(&wanted, seen).step);
    assert_eq!(step(&seen), "wait", "it may not have left yet");
    for pod in &mut seen.pods[..2] {
        pod.told.as_mut().unwrap().members.retain(|member| member.name != gone);
    }
    assert_eq!(step(&seen), "2 Stays");
    seen.pods[1].told = None;
    assert_eq!(step(&seen), "wait", "who is silent may know it");
}

#[test]
fn leaders_are_spread_once_after_a_roll_or_when_nodes_have_joined_when_the_last_node_has_settled() {
    let mut seen = situation(3, Some("b"), "0b+ 1b+ 2b+");
    assert_eq!(told(&decide(3, true, &seen).step), "rest");
    seen.rolled = true;
    assert_eq!(told(&decide(3, true, &seen).step), "0 Rebalance");
    let never = Update {
        rebalance: Rebalance::Never,
        ..Update::default()
    };
    assert_eq!(told(&plan(&updating(never), &seen).step), "rest");
    (seen.rolled, seen.grown) = (false, true);
    assert_eq!(told(&decide(3, true, &seen).step), "0 Rebalance", "nodes have joined");
    seen.pods[1].fresh = true;
    assert_eq!(told(&decide(3, true, &seen).step), "wait");
    seen.pods[1].ready = false;
    assert_eq!(told(&decide(3, true, &seen).step), "rest", "it is for another time");
}

#[test]
fn leaders_are_spread_once_after_the_last_volume_and_when_the_mirrors_there_are_in_sync() {
    let mut seen = situation(3, Some("b"), "0b+ 1b+ 2b+");
    let new = |ordinal| ClaimSeen {
        ordinal,
        uid: "new".into(),
        unbound: false,
    };
    seen.claims = (0..3).map(new).collect();
    seen.renewing = Some(Renewing {
        pod: "pod-0".into(),
        volume: "old".into(),
    });
    assert_eq!(told(&decide(3, true, &seen).step), "0 Rebalance");
    let behind = Copies {
        unsynced: 1,
        ..Copies::default()
    };
    seen.copies.insert("pod-0".into(), behind);
    assert_eq!(told(&decide(3, true, &seen).step), "wait");
    seen.pods[0].ready_seconds = 600;
    assert_eq!(
        told(&decide(3, true, &seen).step),
        "0 Rebalance",
        "mirrors that nobody synchronises are not waited for"
    );
    let mut wanted = updating(Update::default());
    wanted.volumes.unfit = BTreeSet::from([1]);
    assert_ne!(told(&plan(&wanted, &seen).step), "0 Rebalance", "another one is next");
}

#[test]
fn what_never_became_a_volume_is_replaced_at_once_and_what_became_one_is_not() {
    for nodes in ["0a- 1a- 2a-", "0a-"] {
        let mut seen = situation(u32::try_from(nodes.len() / 4 + 1).unwrap(), Some("a"), nodes);
        let claim = |pod: &PodSeen| ClaimSeen {
            ordinal: pod.ordinal,
            uid: pod.name.clone(),
            unbound: true,
        };
        seen.claims = seen.pods.iter().map(claim).collect();
        let mut wanted = Wanted {
            replicas: u32::try_from(seen.pods.len()).unwrap(),
            ..updating(Update::default())
        };
        assert_eq!(
            told(&plan(&wanted, &seen).step),
            "rest",
            "nobody asks for other volumes"
        );
        wanted.volumes.unfit = seen.pods.iter().map(|pod| pod.ordinal).collect();
        wanted.volumes.template = true;
        assert_eq!(told(&plan(&wanted, &seen).step), "recreate");
        wanted.volumes.template = false;
        let last = seen.pods.last().unwrap().name.clone();
        let decided = plan(&wanted, &seen);
        assert_eq!(
            (told(&decided.step), decided.renewing),
            (format!("{last} Discard"), None)
        );
        for claim in &mut seen.claims {
            claim.unbound = false;
        }
        assert_eq!(told(&plan(&wanted, &seen).step), "wait", "what is on it is the node's");
    }
}

#[test]
fn a_stopped_cluster_starts_with_every_node_that_has_a_volume() {
    // wanted, asked of the StatefulSet, ordinals with volumes -> asked now
    let cases = [
        (3, Some(1), 1, 3),
        (3, Some(3), 3, 3),
        (0, Some(3), 3, 0),
        (1, Some(0), 3, 3),
        (3, Some(0), 3, 3),
        (5, Some(0), 3, 5),
        (1, None, 0, 1),
        (0, None, 0, 0),
        (2, None, 3, 3),
    ];
    for (wanted, asked, held, replicas) in cases {
        let mut seen = situation(asked.unwrap_or(0), Some("a"), "");
        seen.held = held;
        if asked.is_none() {
            seen.set = None;
        }
        let plan = decide(wanted, true, &seen);
        assert_eq!(plan.replicas, replicas, "wanted {wanted}, asked {asked:?}, held {held}");
    }
}
