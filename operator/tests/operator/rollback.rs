//! When the first pods of a new template are a reason to go back, and what a spec is carried out as then.

use api::Membership;
use operator::cluster::image::Reference;
use operator::cluster::rollback::{asked, judge, restored};
use operator::cluster::settled::{self, Parts, Settled};
use operator::cluster::situation::{PodSeen, SetSeen, Situation};
use operator::crd::{Canary, RabbitCluster, RabbitClusterStatus, RolledBack, UpdateStrategy};

fn image() -> Reference {
    "localhost/warren:1.4.0".parse().unwrap()
}

fn cluster(spec: &str) -> RabbitCluster {
    let text = format!("{{metadata: {{name: orders, namespace: shop, uid: u, generation: 2}}, spec: {spec}}}");
    serde_yaml::from_str(&text).unwrap()
}

fn settled_with(spec: &str) -> Settled {
    Settled {
        parts: Parts::of(&cluster(spec).spec, &image()),
        revision: "orders-server-1a".into(),
    }
}

/// A pod of the old template for `a`, of the new one for `b`.
fn pod((ordinal, revision): (usize, char)) -> PodSeen {
    PodSeen {
        name: format!("orders-server-{ordinal}"),
        ordinal: ordinal.try_into().unwrap(),
        revision: revision.into(),
        ready: true,
        ready_seconds: 20,
        told: Some(Membership::default()),
        ..PodSeen::default()
    }
}

fn seen(pods: &str) -> Situation {
    Situation {
        set: Some(SetSeen {
            replicas: pods.len().try_into().unwrap(),
            revision: Some("b".into()),
            ..SetSeen::default()
        }),
        pods: pods.chars().enumerate().map(pod).collect(),
        ..Situation::default()
    }
}

const CANARY: Canary = Canary {
    nodes: 1,
    pause_seconds: 90,
    auto_rollback: true,
};

fn reason(seen: &Situation) -> Option<(String, String)> {
    let found = judge(Some(&CANARY), "another", Some(&settled_with("{}")), seen)?;
    Some((found.reason, found.message))
}

#[test]
fn a_first_pod_that_keeps_ending_or_takes_no_clients_or_alone_has_an_alarm_has_failed() {
    assert_eq!(reason(&seen("aab")), None);
    let mut ends = seen("aab");
    ends.pods[2].restarts = 1;
    assert_eq!(reason(&ends), None, "once may be chance");
    ends.pods[2].restarts = 2;
    ends.pods[2].problem = Some("CrashLoopBackOff".into());
    let (word, message) = reason(&ends).unwrap();
    assert_eq!(word, "CanaryKeepsEnding");
    assert!(
        message.starts_with(
            "orders-server-2, the first of a new template, has ended 2 times (CrashLoopBackOff): pods are again"
        ) && message.contains("in revision orders-server-1a"),
        "{message}"
    );
    let mut late = seen("aab");
    (late.pods[2].ready, late.pods[2].waiting_seconds) = (false, 89);
    assert_eq!(reason(&late), None);
    late.pods[2].waiting_seconds = 90;
    assert_eq!(reason(&late).unwrap().0, "CanaryNotReady");
    let mut alarmed = seen("aab");
    alarmed.pods[2].told.as_mut().unwrap().alarms = vec!["memory".into()];
    assert_eq!(reason(&alarmed).unwrap().0, "CanaryHasAlarm");
    alarmed.pods[0].told.as_mut().unwrap().alarms = vec!["memory".into()];
    assert_eq!(reason(&alarmed), None, "the load is to blame, not the template");
}

#[test]
fn there_is_no_way_back_that_nobody_asked_for_nor_from_what_has_proven_itself_nor_to_the_same() {
    let mut ends = seen("aab");
    ends.pods[2].restarts = 5;
    let judged = |canary: Option<&Canary>, refused: &str, settled: Option<&Settled>, seen: &Situation| {
        judge(canary, refused, settled, seen).is_some()
    };
    let settled = settled_with("{}");
    assert!(judged(Some(&CANARY), "another", Some(&settled), &ends));
    let watched = Canary {
        auto_rollback: false,
        ..CANARY
    };
    assert!(!judged(Some(&watched), "another", Some(&settled), &ends));
    assert!(!judged(None, "another", Some(&settled), &ends));
    assert!(!judged(Some(&CANARY), "another", None, &ends), "nobody knows where to");
    assert!(
        !judged(Some(&CANARY), &settled.parts.word(), Some(&settled), &ends),
        "a restart is in no field"
    );
    let mut proven = seen("abb");
    (proven.pods[2].restarts, proven.pods[1].ready_seconds) = (5, 90);
    assert!(!judged(Some(&CANARY), "another", Some(&settled), &proven));
    let mut unknown = ends;
    unknown.set.as_mut().unwrap().revision = None;
    assert!(!judged(Some(&CANARY), "another", Some(&settled), &unknown));
}

/// The spec with a status that says that it has failed.
fn failed(spec: &str) -> RabbitCluster {
    let mut failed = cluster(spec);
    failed.status = Some(RabbitClusterStatus {
        rolled_back: Some(RolledBack {
            refused: asked(&failed, &image()).unwrap(),
            revision: "b".into(),
            reason: "CanaryKeepsEnding".into(),
            message: String::new(),
        }),
        ..RabbitClusterStatus::default()
    });
    failed
}

const UPDATE: &str =
    "update: {strategy: Supervised, maintenanceWindows: [{start: '02:00'}], canary: {autoRollback: true}}";

#[test]
fn what_is_in_pods_goes_back_and_everything_else_stays_the_users() {
    let before =
        settled_with("{config: 'net_ticktime = 7', plugins: [management], terminationGracePeriodSeconds: 100}");
    let failed = failed(&format!(
        "{{replicas: 5, version: 1.5.0, config: 'net_ticktime = 8', service: {{type: NodePort}}, {UPDATE}}}"
    ));
    let back = restored(&failed, Some(&before), &image()).unwrap();
    let mut expected = failed.spec.clone();
    (expected.version, expected.config) = (None, Some("net_ticktime = 7".into()));
    (expected.plugins, expected.termination_grace_period_seconds) = (vec!["management".into()], 100);
    expected.image = back.spec.image.clone();
    expected.update = back.spec.update.clone();
    assert_eq!(back.spec, expected);
    assert_eq!(
        asked(&back, &"localhost/other:9".parse().unwrap()),
        Some(before.parts.word()),
        "the image is that of then"
    );
    let update = &back.spec.update;
    assert_eq!((update.strategy, &update.canary), (UpdateStrategy::Automatic, &None));
    assert!(update.maintenance_windows.is_empty(), "the way back waits for no hour");
}

#[test]
fn a_spec_that_asks_for_something_else_of_pods_is_tried_and_one_that_asks_for_something_else_besides_is_not() {
    let before = settled_with("{}");
    let is_back = |spec: &str, edit: &str| {
        let mut failed = failed(&format!("{{{spec}, {UPDATE}}}"));
        failed.spec = cluster(&format!("{{{edit}, {UPDATE}}}")).spec;
        restored(&failed, Some(&before), &image()).is_some()
    };
    assert!(is_back("config: 'a = 1'", "config: 'a = 1'"));
    assert!(is_back("config: 'a = 1'", "config: 'a = 1', replicas: 4"));
    assert!(!is_back("config: 'a = 1'", "config: 'a = 2'"));
    assert!(!is_back("version: 1.5.0", "version: 1.5.1"));
    let mut unwanted = failed("{config: 'a = 1', update: {canary: {autoRollback: true}}}");
    unwanted.spec.update.canary = Some(Canary {
        auto_rollback: false,
        ..CANARY
    });
    assert_eq!(
        restored(&unwanted, Some(&before), &image()),
        None,
        "the user wants it tried"
    );
    assert_eq!(
        restored(&failed(&format!("{{config: 'a = 1', {UPDATE}}}")), None, &image()),
        None
    );
}

#[test]
fn a_template_has_settled_when_every_pod_runs_it_well_and_those_that_are_watched_for_as_long_as_they_are() {
    let settled = |canary: Option<&Canary>, seen: &Situation| settled::revision(canary, 3, seen).cloned();
    let all = seen("bbb");
    assert_eq!(settled(None, &all).as_deref(), Some("b"));
    assert_eq!(settled(Some(&CANARY), &all), None);
    let mut proven = all.clone();
    proven.pods[1].ready_seconds = 90;
    assert_eq!(settled(Some(&CANARY), &proven).as_deref(), Some("b"));
    assert_eq!(settled(None, &seen("abb")), None);
    let mut down = all.clone();
    down.pods[0].ready = false;
    assert_eq!(settled(None, &down), None);
    let mut fewer = all;
    fewer.pods.pop();
    assert_eq!(settled(None, &fewer), None);
}
