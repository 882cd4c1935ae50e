//! A node that shall leave: each reason that holds it, and each step when nothing does.

use api::{ClusterMember, Leaving, Membership};
use operator::cluster::holdings::{Holdings, Placing};
use operator::cluster::leave::{Leave, Terms, leave};
use operator::cluster::situation::{PodSeen, SetSeen, Situation};
use operator::crd::NonMovable;
use operator::policy::feasible::Asked;

fn node(ordinal: u32) -> String {
    format!("rabbit@orders-server-{ordinal}.orders-nodes.shop")
}

fn pod(ordinal: u32) -> PodSeen {
    let member = |ordinal: u32| ClusterMember {
        name: node(ordinal),
        uuid: String::new(),
        up: true,
        voter: None,
    };
    PodSeen {
        name: format!("orders-server-{ordinal}"),
        ordinal,
        running: true,
        ready: true,
        told: Some(Membership {
            cluster_id: "c".into(),
            node: node(ordinal),
            serving: true,
            members: (0..3).map(member).collect(),
            ..Membership::default()
        }),
        ..PodSeen::default()
    }
}

/// Three nodes that are well and have nothing.
fn three() -> Situation {
    Situation {
        set: Some(SetSeen {
            replicas: 3,
            ..SetSeen::default()
        }),
        pods: (0..3).map(pod).collect(),
        held: 3,
        leaving: None,
        app_runs: None,
        holdings: (0..3)
            .map(|ordinal| (format!("orders-server-{ordinal}"), Holdings::default()))
            .collect(),
        ..Situation::default()
    }
}

fn decide(seen: &Situation) -> Leave {
    let terms = Terms {
        replicas: 1,
        non_movable: NonMovable::Wait,
        given_up: None,
    };
    leave(2, &terms, seen)
}

/// The reason and the words by which it is held.
fn held(seen: &Situation) -> (&'static str, String) {
    match decide(seen) {
        Leave::Held(held) | Leave::Return(_, held) | Leave::Evacuate(_, _, held) => (held.reason, held.message),
        other => panic!("{other:?}"),
    }
}

fn its(seen: &mut Situation) -> &mut Holdings {
    seen.holdings.get_mut("orders-server-2").unwrap()
}

/// As the others see it when its app is stopped.
fn stopped(mut seen: Situation) -> Situation {
    seen.leaving = Some("orders-server-2".into());
    seen.app_runs = Some(false);
    seen.holdings.remove("orders-server-2");
    for told in seen.pods.iter_mut().filter_map(|pod| pod.told.as_mut()) {
        told.members[2].up = false;
    }
    seen
}

#[test]
fn it_is_written_down_stopped_removed_and_then_not_missed() {
    let mut seen = three();
    assert_eq!(decide(&seen), Leave::Announce);
    seen.leaving = Some("orders-server-2".into());
    assert!(matches!(decide(&seen), Leave::Stop(pod) if pod.ordinal == 2));
    let mut seen = stopped(seen);
    assert!(matches!(decide(&seen), Leave::Reset(pod) if pod.ordinal == 2));
    for told in seen.pods[..1].iter_mut().filter_map(|pod| pod.told.as_mut()) {
        told.members.pop();
    }
    assert_eq!(held(&seen).0, "NodesDisagree", "one of two has heard it");
    seen.pods[1].told.as_mut().unwrap().members.pop();
    assert_eq!(decide(&seen), Leave::Left);
}

#[test]
fn what_only_it_has_holds_it_by_name() {
    let mut seen = three();
    its(&mut seen).alone.add("'q' in vhost '/'".into());
    let (reason, message) = held(&seen);
    assert_eq!(reason, "QueuesOnlyThere");
    assert!(message.starts_with("orders-server-2 holds the only copy") && message.ends_with(": 'q' in vhost '/'"));
    let Leave::Evacuate(pod, to, _) = decide(&seen) else {
        panic!("its queues do not move")
    };
    assert_eq!(pod.ordinal, 2);
    assert_eq!(Vec::from_iter(to), [node(0)], "node 1 leaves next");
    let mut seen = three();
    its(&mut seen).unsynchronised.add("q".into());
    assert_eq!(held(&seen).0, "MirrorsNotSynchronised");
    let mut seen = three();
    its(&mut seen).passing.add("q".into());
    assert_eq!(held(&seen).0, "QueuesNotMovable");
    let terms = Terms {
        replicas: 1,
        non_movable: NonMovable::Drop,
        given_up: None,
    };
    assert_eq!(leave(2, &terms, &seen), Leave::Announce);
}

#[test]
fn it_is_marked_first_and_goes_when_others_have_its_copies() {
    let mut seen = three();
    let marked = |seen: &mut Situation, leaving| seen.pods[2].told.as_mut().unwrap().leaving = leaving;
    let mark = |is_marked, left| Some(Leaving { is_marked, left });
    marked(&mut seen, mark(false, 0));
    assert!(matches!(decide(&seen), Leave::Mark(pod) if pod.ordinal == 2));
    its(&mut seen).alone.add("q".into());
    assert!(
        matches!(decide(&seen), Leave::Mark(_)),
        "what moves moves off a node that gets nothing new"
    );
    *its(&mut seen) = Holdings::default();
    marked(&mut seen, mark(true, 7));
    let (reason, message) = held(&seen);
    assert_eq!(reason, "CopiesMove");
    assert!(
        message.starts_with("orders-server-2 has copies of 7 queues still"),
        "{message}"
    );
    marked(&mut seen, mark(true, 0));
    assert_eq!(decide(&seen), Leave::Announce);
}

#[test]
fn a_node_whose_policies_need_it_is_not_marked() {
    let mut seen = three();
    seen.pods[2].told.as_mut().unwrap().leaving = Some(Leaving::default());
    its(&mut seen).policies.push(Placing {
        name: "'two' in vhost '/'".into(),
        asked: Asked::Exactly(2),
    });
    assert_eq!(held(&seen).0, "PoliciesNeedNode");
}

#[test]
fn a_policy_that_needs_it_holds_it_by_name() {
    let with = |asked: Asked| {
        let mut seen = three();
        let name = "'ha' in vhost '/'".into();
        its(&mut seen).policies.push(Placing { name, asked });
        seen
    };
    let (reason, message) = held(&with(Asked::Exactly(2)));
    assert_eq!(reason, "PoliciesNeedNode");
    assert!(
        message.contains("policy 'ha' in vhost '/' wants 2 copies, and 1 node would remain"),
        "{message}"
    );
    for list in ["orders-server-2".to_owned(), node(2)] {
        assert!(
            held(&with(Asked::Nodes(vec![list])))
                .1
                .contains("names orders-server-2")
        );
    }
    assert_eq!(decide(&with(Asked::Exactly(1))), Leave::Announce);
    assert_eq!(decide(&with(Asked::Nodes(vec![node(1)]))), Leave::Announce);
}

#[test]
fn a_queue_that_nobody_leads_once_it_is_stopped_calls_it_back() {
    let mut seen = stopped(three());
    seen.holdings
        .get_mut("orders-server-0")
        .unwrap()
        .down
        .add("'late' in vhost '/'".into());
    assert!(matches!(decide(&seen), Leave::Return(..)));
    assert!(held(&seen).1.contains("'late' in vhost '/'"));
    let mut seen = stopped(three());
    seen.holdings.remove("orders-server-1");
    assert_eq!(held(&seen).0, "NodesSilent", "nothing is taken for granted");
}

#[test]
fn those_who_stay_must_all_be_well() {
    let mut seen = three();
    seen.pods[1].ready = false;
    assert_eq!(
        held(&seen).1,
        "orders-server-1 must take clients before another node leaves"
    );
    let mut seen = three();
    seen.pods[0].told = None;
    assert_eq!(held(&seen).0, "NodesNotReady");
    let mut seen = three();
    seen.pods[2].told.as_mut().unwrap().cluster_id = "another".into();
    assert_eq!(held(&seen).0, "NodesAreSeparate");
}

#[test]
fn a_node_that_does_not_run_is_held_with_what_could_be_done_by_hand() {
    let mut seen = three();
    seen.pods.pop();
    let (reason, message) = held(&seen);
    assert_eq!(reason, "NodeNotRunning");
    assert!(
        message.contains("rabbit@orders-server-2.orders-nodes.shop is a member")
            && message.contains("warren.dev/force-remove")
    );
}

#[test]
fn a_node_that_does_not_run_goes_when_the_user_gives_it_up_with_a_report_of_what_only_it_had() {
    let given_up = |seen: &Situation, pod: &str| {
        let terms = Terms {
            replicas: 1,
            non_movable: NonMovable::Wait,
            given_up: Some(pod.into()),
        };
        leave(2, &terms, seen)
    };
    let mut seen = three();
    assert_eq!(
        given_up(&seen, "orders-server-2"),
        Leave::Announce,
        "one that runs leaves in order"
    );
    seen.pods.pop();
    let held = |leave: Leave, what: &str| match leave {
        Leave::Held(held) => assert!(held.message.contains(what), "{}", held.message),
        other => panic!("{other:?}"),
    };
    held(given_up(&seen, "orders-server-2"), "is heard by other nodes");
    for told in seen.pods.iter_mut().filter_map(|pod| pod.told.as_mut()) {
        told.members[2].up = false;
    }
    held(given_up(&seen, "orders-server-1"), "its pod does not run");
    assert_eq!(
        given_up(&seen, "orders-server-2"),
        Leave::Announce,
        "it is written down first"
    );
    seen.leaving = Some("orders-server-2".into());
    let down = &mut seen.holdings.get_mut("orders-server-1").unwrap().down;
    down.add("'q' in vhost '/'".into());
    let Leave::Forget(by, lost) = given_up(&seen, "orders-server-2") else {
        panic!("it stays")
    };
    assert_eq!((by.ordinal, lost.node), (0, node(2)));
    assert_eq!(lost.queues.as_deref(), Some("'q' in vhost '/'"));
    seen.pods[1].told.as_mut().unwrap().serving = false;
    held(given_up(&seen, "orders-server-2"), "must take clients");
}

#[test]
fn a_node_that_has_just_come_is_given_a_moment() {
    for ordinal in [1, 2] {
        let mut seen = three();
        seen.pods[ordinal].fresh = true;
        assert!(held(&seen).1.contains("is given a moment"), "{ordinal}");
    }
}

#[test]
fn one_that_was_stopped_comes_back_when_those_who_stay_cannot_do_without_it() {
    let mut seen = stopped(three());
    seen.pods[0].told.as_mut().unwrap().serving = false;
    assert!(
        matches!(decide(&seen), Leave::Held(_)),
        "they may still agree on a leader"
    );
    seen.pods[2].ready = false;
    seen.pods[2].long_gone = true;
    assert!(matches!(decide(&seen), Leave::Return(..)));
    for told in seen.pods.iter_mut().filter_map(|pod| pod.told.as_mut()) {
        told.members.pop();
    }
    assert!(matches!(decide(&seen), Leave::Held(_)), "it has left already");
}
