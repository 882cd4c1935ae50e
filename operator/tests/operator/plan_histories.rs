//! The plan against random histories: users edit number and template, revisions turn out broken, pods fail, are deleted by others,
//! volumes stay, the StatefulSet's controller lags behind. In every history the operator takes no node down while another is
//! down, and once the user settles on a revision that works, everything comes to rest on it.

use std::collections::BTreeMap;

use operator::cluster::plan::{Plan, Step, Wanted, plan};
use operator::cluster::situation::{PodSeen, SetSeen, Situation};
use operator::crd::UpdateStrategy;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Event {
    /// The user asks for this many nodes.
    Scale(u32),
    /// The user changes the template; the new revision works or does not.
    Edit { works: bool },
    /// A node fails and stays down until it is replaced.
    Fail(u32),
    /// Somebody else deletes a pod.
    Delete(u32),
    /// The kubelet of this ordinal gets something done.
    Kubelet(u32),
    /// The StatefulSet's controller gets something done.
    Controller,
    /// The operator runs a pass.
    Pass,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => (0_u32..6).prop_map(Event::Scale),
        1 => any::<bool>().prop_map(|works| Event::Edit { works }),
        1 => (0_u32..6).prop_map(Event::Fail),
        1 => (0_u32..6).prop_map(Event::Delete),
        6 => (0_u32..6).prop_map(Event::Kubelet),
        4 => Just(Event::Controller),
        6 => Just(Event::Pass),
    ]
}

#[derive(Clone, Debug)]
struct Pod {
    revision: usize,
    uid: u32,
    ready: bool,
    ever_ready: bool,
    failed: bool,
    terminating: bool,
}

/// Kubernetes, as far as the plan can see it.
#[derive(Debug)]
struct World {
    wanted: u32,
    /// Whether each revision works; the last is the template.
    works: Vec<bool>,
    replicas: u32,
    held: u32,
    /// The revision that the StatefulSet's controller knows of.
    known: Option<usize>,
    pods: BTreeMap<u32, Pod>,
    uids: u32,
}

impl World {
    fn new() -> Self {
        Self {
            wanted: 1,
            works: vec![true],
            replicas: 0,
            held: 0,
            known: None,
            pods: BTreeMap::new(),
            uids: 0,
        }
    }

    fn newest(&self) -> usize {
        self.works.len() - 1
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Scale(wanted) => self.wanted = *wanted,
            Event::Edit { works } => self.works.push(*works),
            Event::Fail(ordinal) => self.fail(*ordinal),
            Event::Delete(ordinal) => self.delete(*ordinal),
            Event::Kubelet(ordinal) => self.kubelet(*ordinal),
            Event::Controller => self.controller(),
            Event::Pass => self.pass(),
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

    fn kubelet(&mut self, ordinal: u32) {
        let Some(pod) = self.pods.get_mut(&ordinal) else { return };
        if pod.terminating {
            self.pods.remove(&ordinal);
        } else if self.works[pod.revision] && !pod.failed {
            pod.ready = true;
            pod.ever_ready = true;
        }
    }

    /// Takes note of the template, makes missing pods and deletes superfluous ones.
    fn controller(&mut self) {
        let newest = self.newest();
        self.known = Some(newest);
        for ordinal in 0..self.replicas {
            let uid = self.uids;
            self.pods.entry(ordinal).or_insert(Pod {
                revision: newest,
                uid,
                ready: false,
                ever_ready: false,
                failed: false,
                terminating: false,
            });
            self.uids += 1;
        }
        self.held = self.held.max(self.replicas);
        for (_, pod) in self.pods.range_mut(self.replicas..) {
            pod.terminating = true;
        }
    }

    fn seen(&self) -> Situation {
        let pods = self.pods.iter().map(|(ordinal, pod)| PodSeen {
            name: format!("pod-{ordinal}"),
            ordinal: *ordinal,
            uid: pod.uid.to_string(),
            revision: pod.revision.to_string(),
            ready: pod.ready,
            ever_ready: pod.ever_ready,
            terminating: pod.terminating,
            ..PodSeen::default()
        });
        Situation {
            set: Some(SetSeen {
                replicas: self.replicas,
                revision: self
                    .known
                    .filter(|known| *known == self.newest())
                    .map(|known| known.to_string()),
                generation: 0,
            }),
            pods: pods.collect(),
            held: self.held,
        }
    }

    fn decide(&self) -> Plan {
        plan(&wanted(self.wanted), &self.seen())
    }

    fn pass(&mut self) {
        let plan = self.decide();
        assert!(
            plan.replicas >= self.replicas || plan.replicas == 0,
            "{} nodes became {}",
            self.replicas,
            plan.replicas
        );
        assert!(
            plan.replicas == 0 || plan.replicas >= self.held,
            "a node that holds messages is left out"
        );
        self.replicas = plan.replicas;
        if let Step::Replace(pod, _) = plan.step {
            self.replace(pod.ordinal);
        }
    }

    /// The promise: a node that serves is taken down only while every other one serves.
    fn replace(&mut self, ordinal: u32) {
        let serves = |pod: &Pod| pod.ready && !pod.terminating;
        if serves(&self.pods[&ordinal]) {
            let others = (0..self.replicas).filter(|other| *other != ordinal);
            for other in others {
                assert!(
                    self.pods.get(&other).is_some_and(serves),
                    "{ordinal} goes while {other} is down: {self:?}"
                );
            }
        }
        assert_ne!(
            self.pods[&ordinal].revision,
            self.newest(),
            "a pod of the newest revision is replaced"
        );
        self.delete(ordinal);
    }

    /// The user settles; whatever can recover by itself does.
    fn settle(&mut self) {
        self.works.push(true);
        self.wanted = self.wanted.max(self.replicas).max(self.held).max(1);
        for _ in 0..100 {
            self.pass();
            self.controller();
            let newest = self.newest();
            for pod in self.pods.values_mut().filter(|pod| pod.revision == newest) {
                pod.failed = false; // on the newest revision a restart heals; an older one is for us to replace
            }
            (0..10).for_each(|ordinal| self.kubelet(ordinal));
        }
    }
}

fn wanted(replicas: u32) -> Wanted {
    Wanted {
        replicas,
        secrets: true,
        update: UpdateStrategy::Automatic,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_history_makes_us_take_a_second_node_down_and_every_history_can_come_to_rest(
        history in prop::collection::vec(event(), 0..120)
    ) {
        let mut world = World::new();
        history.iter().for_each(|event| world.happen(event));
        world.settle();
        prop_assert_eq!(world.pods.len(), world.wanted as usize);
        for pod in world.pods.values() {
            prop_assert!(pod.ready && !pod.terminating && pod.revision == world.newest());
        }
        prop_assert_eq!(world.decide().step, Step::Rest);
    }
}
