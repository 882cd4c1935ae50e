//! The plan against random histories: users edit number and template, revisions turn out broken, pods fail, are deleted by others,
//! queues with one copy come and go, volumes are to be replaced, the StatefulSet's controller lags behind, nodes are not heard, and the operator dies after any of its
//! writes. In every history it takes no node down while another is down, no queue's only copy away and no member's pod for good, and
//! once the user settles on what can be, everything comes to rest on it.

use std::collections::{BTreeMap, BTreeSet};

use api::{ClusterMember, Leaving, Membership};
use operator::cluster::holdings::Holdings;
use operator::cluster::image::Reference;
use operator::cluster::leave::Lost;
use operator::cluster::plan::{Plan, Step, Wanted, Why, plan};
use operator::cluster::renew::{self, Renewing};
use operator::cluster::rollback::judge;
use operator::cluster::settled::{self, Parts, Settled};
use operator::cluster::situation::{ClaimSeen, PodSeen, SetSeen, Situation};
use operator::crd::{Canary, RabbitClusterSpec, UnsyncedMirrors, Update, UpdateStrategy};
use proptest::prelude::*;

#[path = "plan_stories.rs"]
mod stories;

#[derive(Clone, Debug)]
enum Event {
    /// The user asks for this many nodes.
    Scale(u32),
    /// The user changes the template; the new revision works or does not.
    Edit { works: bool },
    /// The user says how updates go, and whether this is the time for one.
    Pace(Update, bool),
    /// The user asks for volumes that those there are cannot become.
    Resize,
    /// A node fails and stays down until it is replaced.
    Fail(u32),
    /// The user gives a node up, or none any more.
    GiveUp(Option<u32>),
    /// Somebody else deletes a pod.
    Delete(u32),
    /// A queue without mirrors is declared at this node, and a policy ties it there or not.
    Declare(u32, bool),
    /// A policy mirrors the queues of this node.
    Mirror(u32),
    /// The mirrors of this node's queues fall behind.
    Lag(u32),
    /// They are in sync again.
    Sync(u32),
    /// The kubelet of this ordinal gets something done.
    Kubelet(u32),
    /// The StatefulSet's controller gets something done.
    Controller,
    /// The operator runs a pass, hears not these nodes, and dies after so many writes.
    Pass { deaf: u8, writes: usize },
}

/// All writes of a pass: labels of volumes, the StatefulSet, that a node goes out of service and its doing so, the step, the status.
const WRITES: usize = 6;

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (0_u32..6).prop_map(Event::Scale),
        1 => any::<bool>().prop_map(|works| Event::Edit { works }),
        1 => (update(), any::<bool>()).prop_map(|(update, open)| Event::Pace(update, open)),
        1 => Just(Event::Resize),
        1 => (0_u32..6).prop_map(Event::Fail),
        1 => prop::option::of(0_u32..6).prop_map(Event::GiveUp),
        1 => (0_u32..6).prop_map(Event::Delete),
        1 => (0_u32..6, any::<bool>()).prop_map(|(ordinal, is_tied)| Event::Declare(ordinal, is_tied)),
        1 => (0_u32..6).prop_map(Event::Mirror),
        1 => (0_u32..6).prop_map(Event::Lag),
        1 => (0_u32..6).prop_map(Event::Sync),
        8 => (0_u32..6).prop_map(Event::Kubelet),
        4 => Just(Event::Controller),
        6 => Just(Event::Pass { deaf: 0, writes: WRITES }),
        1 => (any::<u8>(), 0..=WRITES).prop_map(|(deaf, writes)| Event::Pass { deaf, writes }),
    ]
}

/// Never `Proceed`, which breaks a promise by the user's wish.
fn update() -> impl Strategy<Value = Update> {
    let strategy = prop_oneof![
        Just(UpdateStrategy::Automatic),
        Just(UpdateStrategy::Supervised),
        Just(UpdateStrategy::OnDelete)
    ];
    let unsynced = prop_oneof![Just(UnsyncedMirrors::Sync), Just(UnsyncedMirrors::Wait)];
    let canary = prop::option::of((1..3_i32, 0..3_i32, any::<bool>()));
    (strategy, unsynced, canary).prop_map(|(strategy, unsynced_mirrors, canary)| Update {
        strategy,
        unsynced_mirrors,
        canary: canary.map(|(nodes, pause_seconds, auto_rollback)| Canary {
            nodes,
            pause_seconds,
            auto_rollback,
        }),
        ..Update::default()
    })
}

#[derive(Clone, Debug)]
struct Pod {
    revision: usize,
    uid: u32,
    ready: bool,
    ever_ready: bool,
    /// How often its kubelet has found it ready.
    age: i32,
    failed: bool,
    /// How often it has ended.
    restarts: i32,
    /// Its app was stopped by the operator.
    stopped: bool,
    /// It was taken out of service by the operator.
    drained: bool,
    terminating: bool,
}

#[derive(Clone, Debug)]
struct Volume {
    uid: u32,
    /// What was asked for when it was made.
    kind: u32,
    /// It is called that of a node that has left.
    left: bool,
    /// It goes when no pod has it.
    terminating: bool,
}

/// Kubernetes and the brokers, as far as the plan can see them.
#[derive(Debug)]
struct World {
    wanted: u32,
    update: Update,
    /// A window is open.
    open: bool,
    /// The phase in the status says that pods are replaced.
    rolled: bool,
    grown: bool,
    /// Whether each revision works; the last is what the user asks for.
    works: Vec<bool>,
    /// The one that all pods last ran well.
    settled: Option<usize>,
    /// The one in the status from which nodes went back.
    rolled_back: Option<usize>,
    /// Whether the StatefulSet is there.
    made: bool,
    replicas: u32,
    /// What is asked of volumes, and what new ones are.
    kind: u32,
    new_kind: u32,
    volumes: BTreeMap<u32, Volume>,
    /// Members of the cluster.
    members: BTreeSet<u32>,
    /// Nodes that hold the only copy of a queue.
    alone: BTreeSet<u32>,
    /// Members that are marked as ones that are to leave, and whether others have what they get of them.
    marked: BTreeMap<u32, bool>,
    /// Those of them whose queue a policy ties to them.
    tied: BTreeSet<u32>,
    /// The node that the user gives up.
    given_up: Option<u32>,
    /// Nodes whose mirrors are behind.
    behind: BTreeSet<u32>,
    /// The operation in the status.
    leaving: Option<String>,
    draining: Option<String>,
    renewing: Option<Renewing>,
    /// The revision that the StatefulSet's controller knows of.
    known: Option<usize>,
    pods: BTreeMap<u32, Pod>,
    uids: u32,
}

fn name(ordinal: u32) -> String {
    format!("pod-{ordinal}")
}

/// What a spec asks of pods whose revision is this one.
fn parts(revision: usize) -> Parts {
    let spec = format!("{{config: 'revision = {revision}'}}");
    let spec: RabbitClusterSpec = serde_yaml::from_str(&spec).unwrap();
    let image: Reference = "localhost/warren:dev".parse().unwrap();
    Parts::of(&spec, &image)
}

fn node(ordinal: u32) -> String {
    format!("rabbit@pod-{ordinal}.nodes")
}

/// Out of service it is a member as before.
fn runs(pod: &Pod) -> bool {
    (pod.ready || pod.drained) && !pod.failed && !pod.stopped
}

fn serves(pod: &Pod) -> bool {
    pod.ready && !pod.stopped && !pod.drained && !pod.terminating
}

impl World {
    fn new() -> Self {
        Self {
            wanted: 1,
            update: Update::default(),
            open: true,
            rolled: false,
            grown: false,
            works: vec![true],
            settled: None,
            rolled_back: None,
            made: true,
            replicas: 0,
            kind: 0,
            new_kind: 0,
            volumes: BTreeMap::new(),
            members: BTreeSet::new(),
            alone: BTreeSet::new(),
            marked: BTreeMap::new(),
            tied: BTreeSet::new(),
            given_up: None,
            behind: BTreeSet::new(),
            leaving: None,
            draining: None,
            renewing: None,
            known: None,
            pods: BTreeMap::new(),
            uids: 0,
        }
    }

    /// What the user asks for.
    fn asked(&self) -> usize {
        self.works.len() - 1
    }

    fn goes_back(&self) -> bool {
        let wanted = self.update.canary.is_some_and(|canary| canary.auto_rollback);
        wanted && self.settled.is_some() && self.rolled_back == Some(self.asked())
    }

    /// The template.
    fn newest(&self) -> usize {
        self.settled.filter(|_| self.goes_back()).unwrap_or(self.asked())
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Scale(wanted) => self.wanted = *wanted,
            Event::Edit { works } => self.works.push(*works),
            Event::Pace(update, open) => (self.update, self.open) = (update.clone(), *open),
            Event::Resize => self.kind += 1,
            Event::Fail(ordinal) => self.fail(*ordinal),
            Event::GiveUp(ordinal) => self.given_up = *ordinal,
            Event::Delete(ordinal) => self.delete(*ordinal),
            Event::Declare(ordinal, is_tied) if self.pods.get(ordinal).is_some_and(serves) => {
                self.alone.insert(*ordinal);
                if *is_tied {
                    self.tied.insert(*ordinal);
                }
            }
            Event::Mirror(ordinal) if self.pods.values().filter(|pod| serves(pod)).count() > 1 => {
                self.alone.remove(ordinal);
                self.tied.remove(ordinal);
            }
            Event::Lag(ordinal) if self.members.len() > 1 => {
                self.behind.insert(*ordinal);
            }
            Event::Sync(ordinal) => {
                self.behind.remove(ordinal);
            }
            Event::Declare(..) | Event::Mirror(_) | Event::Lag(_) => {}
            Event::Kubelet(ordinal) => self.kubelet(*ordinal),
            Event::Controller => self.controller(),
            Event::Pass { deaf, writes } => self.pass(*deaf, *writes),
        }
    }

    fn fail(&mut self, ordinal: u32) {
        if let Some(pod) = self.pods.get_mut(&ordinal) {
            pod.ready = false;
            pod.failed = true;
        }
    }

    fn delete(&mut self, ordinal: u32) {
        if let Some(pod) = self.pods.get_mut(&ordinal) {
            pod.terminating = true;
        }
    }

    /// Time goes by for a node.
    fn kubelet(&mut self, ordinal: u32) {
        self.marked.entry(ordinal).and_modify(|moved| *moved = true);
        let Some(pod) = self.pods.get_mut(&ordinal) else { return };
        if pod.terminating {
            self.pods.remove(&ordinal);
        } else if pod.stopped || pod.drained {
            pod.ready = false;
        } else if self.works[pod.revision] && !pod.failed {
            let joins = self.members.contains(&ordinal) || !self.members.is_empty() || ordinal == 0;
            if joins {
                pod.age = if pod.ready { pod.age + 1 } else { 0 };
                pod.ready = true;
                pod.ever_ready = true;
                self.members.insert(ordinal);
            }
        } else if !self.works[pod.revision] {
            pod.restarts += 1;
        }
    }

    /// Volumes that terminate go when no pod has them; takes note of the template, makes missing pods and volumes, deletes superfluous pods.
    fn controller(&mut self) {
        let pods = &self.pods;
        self.volumes
            .retain(|ordinal, volume| !volume.terminating || pods.contains_key(ordinal));
        if !self.made {
            return;
        }
        let newest = self.newest();
        self.known = Some(newest);
        for ordinal in 0..self.replicas {
            if self.volumes.get(&ordinal).is_some_and(|volume| volume.terminating) {
                continue;
            }
            let uid = self.uids;
            self.pods.entry(ordinal).or_insert(Pod {
                revision: newest,
                uid,
                ready: false,
                ever_ready: false,
                age: 0,
                failed: false,
                restarts: 0,
                stopped: false,
                drained: false,
                terminating: false,
            });
            self.volumes.entry(ordinal).or_insert(Volume {
                uid,
                kind: self.new_kind,
                left: false,
                terminating: false,
            });
            self.uids += 1;
        }
        for (_, pod) in self.pods.range_mut(self.replicas..) {
            pod.terminating = true;
        }
    }

    /// The cluster as any member sees it.
    fn membership(&self, ordinal: u32, serving: bool) -> Membership {
        let member = |ordinal: &u32| ClusterMember {
            name: node(*ordinal),
            uuid: String::new(),
            up: self.is_up(*ordinal),
            voter: None,
        };
        Membership {
            cluster_id: "c".into(),
            node: node(ordinal),
            serving,
            maintenance: self.pods.get(&ordinal).is_some_and(|pod| pod.drained),
            leaving: Some(self.leaving_of(ordinal)),
            members: self.members.iter().map(member).collect(),
            ..Membership::default()
        }
    }

    fn leaving_of(&self, ordinal: u32) -> Leaving {
        let moved = self.marked.get(&ordinal);
        Leaving {
            is_marked: moved.is_some(),
            left: u64::from(moved == Some(&false)),
        }
    }

    fn is_up(&self, ordinal: u32) -> bool {
        self.pods.get(&ordinal).is_some_and(runs)
    }

    fn holdings(&self, ordinal: u32) -> Holdings {
        let mut holdings = Holdings::default();
        if self.alone.contains(&ordinal) {
            holdings.alone.add(format!("of {ordinal}"));
        }
        if self.behind.contains(&ordinal) {
            holdings.unsynchronised.add(format!("of {ordinal}"));
        }
        let down = self.alone.iter().filter(|ordinal| !self.is_up(**ordinal));
        down.for_each(|ordinal| holdings.down.add(format!("of {ordinal}")));
        holdings
    }

    fn seen(&self, deaf: u8) -> Situation {
        let heard = |ordinal: u32, pod: &Pod| runs(pod) && deaf & (1 << ordinal) == 0;
        let pods = self.pods.iter().map(|(ordinal, pod)| PodSeen {
            name: name(*ordinal),
            ordinal: *ordinal,
            uid: pod.uid.to_string(),
            revision: pod.revision.to_string(),
            running: true,
            ready: pod.ready,
            ready_seconds: if pod.ready { pod.age.into() } else { 0 },
            ever_ready: pod.ever_ready,
            restarts: pod.restarts,
            terminating: pod.terminating,
            told: heard(*ordinal, pod).then(|| self.membership(*ordinal, true)),
            ..PodSeen::default()
        });
        let told = self.pods.iter().filter(|(ordinal, pod)| heard(**ordinal, pod));
        let living = || self.volumes.iter().filter(|(_, volume)| !volume.left);
        let claim = |(ordinal, volume): (&u32, &Volume)| ClaimSeen {
            ordinal: *ordinal,
            uid: volume.uid.to_string(),
            unbound: false,
        };
        Situation {
            set: self.made.then(|| SetSeen {
                replicas: self.replicas,
                revision: self
                    .known
                    .filter(|known| *known == self.newest())
                    .map(|known| known.to_string()),
                generation: 0,
                ..SetSeen::default()
            }),
            pods: pods.collect(),
            missing: BTreeMap::new(),
            held: living().map(|(ordinal, _)| ordinal + 1).max().unwrap_or(0),
            claims: living().map(claim).collect(),
            renewing: self.renewing.clone(),
            leaving: self.leaving.clone(),
            draining: self.draining.clone(),
            rolled: self.rolled,
            grown: self.grown,
            app_runs: self.app_runs(deaf),
            accepting: BTreeSet::new(),
            copies: BTreeMap::new(),
            certificates: Vec::new(),
            holdings: told
                .map(|(ordinal, _)| (name(*ordinal), self.holdings(*ordinal)))
                .collect(),
        }
    }

    /// What the node that leaves says of its app. Its probe may still call it ready.
    fn app_runs(&self, deaf: u8) -> Option<bool> {
        let of = |(ordinal, pod): (&u32, &Pod)| (self.is_named(*ordinal)).then_some((*ordinal, pod.clone()));
        let (ordinal, pod) = self.pods.iter().find_map(of)?;
        let heard = !pod.terminating && !pod.failed && deaf & (1 << ordinal) == 0;
        heard.then_some(runs(&pod))
    }

    /// The status says that its node leaves, or gives its volume up.
    fn is_named(&self, ordinal: u32) -> bool {
        let renewing = self.renewing.as_ref().map(|renewing| &renewing.pod);
        self.leaving.as_ref().or(renewing) == Some(&name(ordinal))
    }

    fn decide(&self, deaf: u8) -> Plan {
        let unfit = self
            .volumes
            .iter()
            .filter(|(_, volume)| !volume.left && volume.kind != self.kind);
        let mut wanted = Wanted {
            replicas: self.wanted,
            secrets: true,
            update: self.update.clone(),
            closed: (!self.open).then(|| "closed".into()),
            given_up: self.given_up.map(name),
            volumes: renew::Asked {
                unfit: unfit.map(|(ordinal, _)| *ordinal).collect(),
                template: self.made && self.new_kind != self.kind,
            },
            ..Wanted::default()
        };
        if self.goes_back() {
            (wanted.closed, wanted.update.canary) = (None, None);
            if wanted.update.strategy == UpdateStrategy::Supervised {
                wanted.update.strategy = UpdateStrategy::Automatic;
            }
        }
        plan(&wanted, &self.seen(deaf))
    }

    /// What the pass has to tell of the newest template.
    fn judged(&self, deaf: u8) -> Option<usize> {
        if self.goes_back() {
            return self.rolled_back;
        }
        let settled = self.settled.map(|revision| Settled {
            parts: parts(revision),
            revision: revision.to_string(),
        });
        let asked = self.asked();
        let refused = judge(
            self.update.canary.as_ref(),
            &parts(asked).word(),
            settled.as_ref(),
            &self.seen(deaf),
        );
        refused.map(|_| asked)
    }

    fn pass(&mut self, deaf: u8, writes: usize) {
        let (plan, made, before) = (self.decide(deaf), self.made, self.replicas);
        let judged = self.judged(deaf).filter(|_| made);
        let well = self.seen(deaf);
        let well = settled::revision(self.update.canary.as_ref(), plan.replicas, &well).is_some();
        if writes >= 1 {
            for (ordinal, volume) in &mut self.volumes {
                let left = volume.left;
                volume.left = plan.left_from.is_some_and(|from| *ordinal >= from) || left && *ordinal >= plan.replicas;
            }
        }
        if writes >= 2 {
            self.shrink(plan.replicas);
            if !self.made {
                (self.made, self.new_kind, self.known) = (true, self.kind, None);
            }
        }
        if !made {
            return; // the step waits until the StatefulSet is the one that was judged
        }
        if let (Step::Replace(pod, Why::Turn), Some(draining)) = (&plan.step, &plan.draining) {
            if writes >= 3 {
                (self.leaving, self.renewing, self.draining) = (None, None, Some(draining.clone()));
            }
            if writes >= 4 {
                self.drain(pod.ordinal);
            }
        }
        if writes >= 5 {
            self.step(&plan.step, writes >= WRITES);
            if well {
                self.settled = Some(self.newest());
            }
        }
        if writes >= WRITES {
            assert!(
                [plan.leaving.is_some(), plan.draining.is_some(), plan.renewing.is_some()]
                    .into_iter()
                    .filter(|is| *is)
                    .count()
                    < 2,
                "only one can be written down"
            );
            let newest = self.newest();
            let old = self.pods.values().any(|pod| pod.revision != newest);
            let is_settling = self.rolled || self.renewing.is_some() && plan.renewing.is_none();
            self.rolled = old || is_settling && matches!(plan.step, Step::Wait(_));
            let all_serve = self.pods.len() == plan.replicas as usize && self.pods.values().all(serves);
            let more = self.grown || before > 0 && plan.replicas > before;
            self.grown = more && (!all_serve || matches!(plan.step, Step::Wait(_)));
            (self.leaving, self.draining, self.renewing) = (plan.leaving, plan.draining, plan.renewing);
            self.rolled_back = judged;
        }
    }

    /// The promise: no member's pod goes for good, unless all are stopped.
    fn shrink(&mut self, replicas: u32) {
        if replicas > 0 && replicas < self.replicas {
            let gone = (replicas..self.replicas).find(|ordinal| self.members.contains(ordinal));
            assert_eq!(gone, None, "a member is left out: {self:?}");
        }
        self.replicas = replicas;
    }

    fn step(&mut self, step: &Step, whole: bool) {
        match step {
            Step::Recreate => self.made = false,
            Step::Discard(renewing, pod) => self.discard(renewing, pod.as_deref().filter(|_| whole)),
            Step::Rest | Step::Wait(_) | Step::Later(..) => {}
            Step::Synchronise(pod) => {
                self.behind.remove(&pod.ordinal);
            }
            Step::Rebalance(_) => {
                let newest = self.newest();
                assert!(
                    self.pods.values().all(|pod| serves(pod) && pod.revision == newest),
                    "leaders are spread before the roll is over: {self:?}"
                );
            }
            Step::Replace(pod, why) => self.replace(pod.ordinal, *why),
            Step::Mark(pod, on) => self.mark(pod.ordinal, *on),
            Step::Evacuate(pod, to) => self.evacuate(pod.ordinal, to),
            Step::Forget(by, lost) => self.forget(by.ordinal, lost),
            Step::Stop(pod) => self.stop(pod.ordinal),
            Step::Reset(pod) => self.reset(pod.ordinal),
            Step::Revive(pod) => {
                if let Some(pod) = self.pods.get_mut(&pod.ordinal) {
                    pod.drained = false;
                }
            }
        }
    }

    /// The promise: only a volume that the node has given up goes, and the node is no member.
    fn discard(&mut self, renewing: &Renewing, pod: Option<&PodSeen>) {
        assert_eq!(
            self.renewing.as_ref(),
            Some(renewing),
            "it is begun before it is written down"
        );
        let found = self
            .volumes
            .iter_mut()
            .find(|(_, volume)| volume.uid.to_string() == renewing.volume);
        let Some((ordinal, volume)) = found else { return };
        assert!(!self.members.contains(ordinal), "a member's volume goes");
        volume.terminating = true;
        if let Some(pod) = pod {
            self.delete(pod.ordinal);
        }
    }

    fn drain(&mut self, ordinal: u32) {
        self.others_serve(ordinal);
        self.in_time(ordinal);
        if let Some(pod) = self.pods.get_mut(&ordinal) {
            pod.drained = true; // its probe says so later
        }
    }

    /// The promise: no node that is well begins to go before the user's time.
    fn in_time(&self, ordinal: u32) {
        if self.pods[&ordinal].drained || self.goes_back() {
            return;
        }
        let newest = self.newest();
        let (new, old): (Vec<_>, Vec<_>) = self
            .pods
            .range(..self.replicas)
            .map(|(_, pod)| pod)
            .partition(|pod| pod.revision == newest);
        assert!(self.open, "no window is open");
        match self.update.strategy {
            UpdateStrategy::Automatic => {}
            UpdateStrategy::Supervised => assert!(old.len() > 1, "the last one is the user's: {self:?}"),
            UpdateStrategy::OnDelete => panic!("pods are the user's: {self:?}"),
        }
        if let Some(canary) = self.update.canary.filter(|canary| canary.nodes as usize == new.len()) {
            let young = new.iter().any(|pod| pod.age < canary.pause_seconds);
            assert!(!young, "the first are still watched: {self:?}");
        }
    }

    /// The promise: a node that serves is taken down only while every other one serves.
    fn others_serve(&self, ordinal: u32) {
        for other in (0..self.replicas).filter(|other| *other != ordinal) {
            assert!(
                self.pods.get(&other).is_some_and(serves),
                "{ordinal} goes while {other} is down: {self:?}"
            );
        }
    }

    /// And a mirrored queue does not lose its leader while no mirror is in sync.
    fn replace(&mut self, ordinal: u32, why: Why) {
        if why == Why::Turn && self.replicas > 1 {
            assert!(
                !self.behind.contains(&ordinal),
                "mirrors of {ordinal} are behind: {self:?}"
            );
        }
        if serves(&self.pods[&ordinal]) {
            self.others_serve(ordinal);
        }
        if why == Why::Turn {
            self.in_time(ordinal);
        }
        assert!(
            self.pods[&ordinal].revision != self.newest() || why == Why::Stays,
            "a pod of the newest revision is replaced"
        );
        self.delete(ordinal);
    }

    /// The promise: nobody is told that a node leaves which is to stay.
    fn mark(&mut self, ordinal: u32, on: bool) {
        if !on {
            self.marked.remove(&ordinal);
            return;
        }
        let gives_up = self
            .volumes
            .get(&ordinal)
            .is_some_and(|volume| volume.kind != self.kind);
        assert!(ordinal >= self.wanted || gives_up, "{ordinal} is to stay: {self:?}");
        self.marked.entry(ordinal).or_insert(false);
    }

    /// A queue with one copy has it elsewhere afterwards. The promise: on a node that serves and stays.
    fn evacuate(&mut self, ordinal: u32, to: &BTreeSet<String>) {
        let stays = |other: &&u32| **other != ordinal && **other < self.wanted.max(1) && to.contains(&node(**other));
        let meant: Vec<u32> = self.pods.keys().filter(stays).copied().collect();
        assert_eq!(meant.len(), to.len(), "queues go to nodes that leave: {to:?} {self:?}");
        let other = meant.into_iter().find(|other| serves(&self.pods[other]));
        if let Some(other) = other.filter(|_| !self.tied.contains(&ordinal) && self.alone.remove(&ordinal)) {
            self.alone.insert(other);
        }
    }

    fn stop(&mut self, ordinal: u32) {
        self.others_serve(ordinal);
        assert!(self.is_named(ordinal), "it is begun before it is written down");
        assert!(!self.alone.contains(&ordinal), "the only copy of a queue is stopped");
        assert!(!self.behind.contains(&ordinal), "the only copy in sync is stopped");
        assert_eq!(
            self.marked.get(&ordinal),
            Some(&true),
            "copies are still to move: {self:?}"
        );
        if let Some(pod) = self.pods.get_mut(&ordinal) {
            pod.stopped = true; // its probe says so later
        }
    }

    /// The promise: only a node that the user gives up, that does not run, and whom it is written down. With it goes what only it has.
    fn forget(&mut self, by: u32, lost: &Lost) {
        let ordinal = self.given_up.filter(|ordinal| name(*ordinal) == lost.pod);
        let Some(ordinal) = ordinal else {
            panic!("nobody gave it up: {lost:?} {self:?}")
        };
        assert!(
            serves(&self.pods[&by]) && !self.is_up(ordinal),
            "it may come back: {self:?}"
        );
        assert_eq!(
            self.leaving,
            Some(name(ordinal)),
            "it is begun before it is written down"
        );
        self.others_serve(ordinal);
        self.members.remove(&ordinal);
        self.marked.remove(&ordinal);
        self.alone.remove(&ordinal);
    }

    /// The promise: with the node no queue goes.
    fn reset(&mut self, ordinal: u32) {
        self.others_serve(ordinal);
        assert!(!self.alone.contains(&ordinal), "the only copy of a queue is gone");
        if self.pods[&ordinal].stopped {
            self.members.remove(&ordinal);
            self.marked.remove(&ordinal);
        } // a node whose app runs refuses
    }

    /// The user settles; whatever can recover by itself does.
    fn settle(&mut self) {
        self.works.push(true);
        (self.update.strategy, self.open) = (UpdateStrategy::Automatic, true);
        self.wanted = self.wanted.max(1);
        let mut still = 0;
        for _ in 0..300 {
            if self.wanted == 1 {
                // The volume of one node alone cannot be replaced.
                self.kind = self.volumes.get(&0).map_or(self.kind, |volume| volume.kind);
            }
            self.pass(0, WRITES);
            self.controller();
            let newest = self.newest();
            for pod in self.pods.values_mut().filter(|pod| pod.revision == newest) {
                pod.failed = false; // on the newest revision a restart heals; an older one is for us to replace
            }
            (0..10).for_each(|ordinal| self.kubelet(ordinal));
            self.tied.clear(); // what is not tied moves
            self.behind.clear();
            let rests = self.decide(0).step == Step::Rest && self.pods.values().all(serves);
            still = if rests { still + 1 } else { 0 };
            if still > 9 {
                break;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_history_makes_us_take_a_second_node_down_or_a_last_copy_away_and_every_history_can_come_to_rest(
        history in prop::collection::vec(event(), 0..150)
    ) {
        let mut world = World::new();
        history.iter().for_each(|event| world.happen(event));
        world.settle();
        prop_assert_eq!(world.pods.len(), world.wanted as usize, "{:?}", &world);
        prop_assert_eq!(&world.members, &(0..world.wanted).collect(), "{:?}", &world);
        for ordinal in 0..world.wanted {
            prop_assert_eq!(world.volumes[&ordinal].kind, world.kind, "{:?}", &world);
        }
        for pod in world.pods.values() {
            prop_assert!(pod.ready && !pod.drained && !pod.terminating && pod.revision == world.newest());
        }
        prop_assert!(world.marked.is_empty(), "{:?}", &world);
        prop_assert_eq!(world.decide(0).step, Step::Rest);
    }
}
