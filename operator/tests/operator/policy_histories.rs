//! The plan against random histories: users make, change and delete Policies that want the same places, somebody changes the brokers'
//! policies by hand, clusters are made, stopped, silenced and deleted, the operator is killed between any two writes. In every history
//! nothing is written for a Policy without the place, nothing is removed that no Policy of ours put there, no handed-over place is
//! ever empty, and once the world keeps still everything is as the oldest Policies ask, and nothing more is written.

use std::collections::BTreeMap;

use operator::policy::desired::fingerprint;
use operator::policy::plan::{ClusterSeen, Finalizer, Seen, Step, plan};
use proptest::prelude::*;

use crate::policies::{policy, tells};

#[derive(Clone, Debug)]
enum Event {
    /// The user makes a Policy for this place with this priority.
    Make { place: u8, priority: u8, retain: bool },
    /// The user changes one.
    Edit { which: usize, priority: u8 },
    /// The user deletes one.
    Delete { which: usize },
    /// Somebody sets or clears a policy in the brokers by hand.
    Hand { place: u8, priority: Option<u8> },
    /// The cluster becomes what it is seen as.
    Cluster(Weather),
    /// The operator runs a pass over one Policy, and is killed after so many writes.
    Pass { which: usize, writes: u8 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    Fine,
    Missing,
    Stopped,
    Silent,
    NotAllowed,
}

fn event() -> impl Strategy<Value = Event> {
    let weather = prop_oneof![
        4 => Just(Weather::Fine),
        1 => Just(Weather::Missing),
        1 => Just(Weather::Stopped),
        1 => Just(Weather::Silent),
        1 => Just(Weather::NotAllowed),
    ];
    prop_oneof![
        2 => (0_u8..2, 0_u8..3, any::<bool>()).prop_map(|(place, priority, retain)| Event::Make { place, priority, retain }),
        1 => (0_usize..6, 0_u8..3).prop_map(|(which, priority)| Event::Edit { which, priority }),
        1 => (0_usize..6).prop_map(|which| Event::Delete { which }),
        1 => (0_u8..2, proptest::option::of(0_u8..3)).prop_map(|(place, priority)| Event::Hand { place, priority }),
        1 => weather.prop_map(Event::Cluster),
        8 => (0_usize..6, 0_u8..4).prop_map(|(which, writes)| Event::Pass { which, writes }),
    ]
}

#[derive(Clone, Debug)]
struct Object {
    place: u8,
    priority: u8,
    retain: bool,
    deleting: bool,
    held: bool,
    applied: Option<String>,
}

impl Object {
    fn desired(&self) -> api::Policy {
        wanted(self.place, self.priority)
    }
}

fn wanted(place: u8, priority: u8) -> api::Policy {
    let spec = format!("name: p{place}, priority: {priority}, definition: {{max-length: 1}}");
    operator::policy::desired::desired(&policy(&spec)).unwrap()
}

/// Kubernetes and the brokers, as far as the plan can see them.
#[derive(Debug)]
struct World {
    weather: Weather,
    /// By age.
    objects: BTreeMap<usize, Object>,
    made: usize,
    brokers: BTreeMap<u8, api::Policy>,
    /// Places whose policy an object of ours put there, or took over.
    ours: BTreeMap<u8, bool>,
    writes: usize,
}

impl World {
    fn new() -> Self {
        Self {
            weather: Weather::Fine,
            objects: BTreeMap::new(),
            made: 0,
            brokers: BTreeMap::new(),
            ours: BTreeMap::new(),
            writes: 0,
        }
    }

    fn key(&self, which: usize) -> Option<usize> {
        self.objects.keys().nth(which).copied()
    }

    fn seen(&self, key: usize) -> Seen {
        let object = &self.objects[&key];
        let rival = |(other, found): &(&usize, &Object)| **other != key && found.place == object.place;
        let older = self.objects.iter().filter(rival).find(|(other, _)| **other < key);
        let heir = self
            .objects
            .iter()
            .filter(rival)
            .find(|(other, found)| **other > key && !found.deleting);
        let allowed = !matches!(self.weather, Weather::Missing | Weather::NotAllowed);
        Seen {
            deleting: object.deleting,
            held: object.held,
            retain: object.retain,
            forced: false,
            desired: Ok(object.desired()),
            applied: object.applied.clone(),
            older: older.filter(|_| allowed).map(|(other, _)| other.to_string()),
            heir: heir.filter(|_| allowed).map(|(other, _)| other.to_string()),
            cluster: match self.weather {
                Weather::Fine => tells(self.brokers.get(&object.place).cloned()),
                Weather::Missing => ClusterSeen::Missing,
                Weather::Stopped => ClusterSeen::Stopped,
                Weather::Silent => ClusterSeen::Silent("no answer".into()),
                Weather::NotAllowed => ClusterSeen::NotAllowed,
            },
        }
    }

    /// A pass in the order of `act`, which ends after so many writes.
    fn pass(&mut self, key: usize, mut writes: u8) {
        let seen = self.seen(key);
        let decided = plan(&seen);
        let place = self.objects[&key].place;
        let mut may = || {
            let left = writes > 0;
            writes = writes.saturating_sub(1);
            left
        };
        if decided.finalizer == Finalizer::Add {
            if !may() {
                return;
            }
            self.objects.get_mut(&key).unwrap().held = true;
        }
        match &decided.step {
            Step::Put(_) => {
                if !may() {
                    return;
                }
                assert!(seen.older.is_none(), "written without the place");
                assert_eq!(self.weather, Weather::Fine);
                assert!(self.objects[&key].held || seen.retain, "written before the finalizer");
                self.writes += 1;
                self.brokers.insert(place, self.objects[&key].desired());
                self.ours.insert(place, true);
            }
            Step::Clear => {
                if !may() {
                    return;
                }
                assert!(seen.heir.is_none() && seen.older.is_none(), "the place is somebody's");
                let same = self.brokers.get(&place) == Some(&self.objects[&key].desired());
                assert!(
                    self.ours.get(&place) == Some(&true) || same,
                    "removed what nobody of ours put there"
                );
                self.writes += 1;
                self.brokers.remove(&place);
            }
            Step::Rest | Step::Wait(_) | Step::Leave(_) => {}
        }
        if decided.finalizer == Finalizer::Remove {
            if !may() {
                return;
            }
            self.objects.get_mut(&key).unwrap().held = false;
        }
        if self.objects[&key].deleting && !self.objects[&key].held {
            self.objects.remove(&key);
            return;
        }
        if matches!(decided.step, Step::Rest | Step::Put(_)) && may() {
            let object = self.objects.get_mut(&key).unwrap();
            object.applied = Some(fingerprint(&object.desired()));
            self.ours.insert(place, true);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Make {
                place,
                priority,
                retain,
            } => {
                let object = Object {
                    place,
                    priority,
                    retain,
                    deleting: false,
                    held: false,
                    applied: None,
                };
                self.objects.insert(self.made, object);
                self.made += 1;
            }
            Event::Edit { which, priority } => {
                if let Some(key) = self.key(which) {
                    self.objects.get_mut(&key).unwrap().priority = priority;
                }
            }
            Event::Delete { which } => {
                let Some(key) = self.key(which) else { return };
                let object = self.objects.get_mut(&key).unwrap();
                object.deleting = true;
                if !object.held {
                    self.objects.remove(&key);
                }
            }
            Event::Hand { place, priority } => {
                match priority {
                    Some(priority) => self.brokers.insert(place, wanted(place, priority)),
                    None => self.brokers.remove(&place),
                };
            }
            Event::Cluster(weather) => {
                self.weather = weather;
                if weather == Weather::Missing {
                    // Another cluster of that name has other brokers, and was given nothing yet.
                    self.brokers.clear();
                    self.ours.clear();
                    self.objects.values_mut().for_each(|object| object.applied = None);
                }
            }
            Event::Pass { which, writes } => {
                if let Some(key) = self.key(which) {
                    self.pass(key, writes);
                }
            }
        }
    }

    fn round(&mut self) {
        for key in self.objects.keys().copied().collect::<Vec<_>>() {
            if self.objects.contains_key(&key) {
                self.pass(key, u8::MAX);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_history_ends_with_what_the_oldest_policies_ask(events in prop::collection::vec(event(), 0..60)) {
        let mut world = World::new();
        for event in events {
            world.happen(event);
        }
        world.weather = Weather::Fine;
        for _ in 0..4 {
            world.round();
        }
        prop_assert!(world.objects.values().all(|object| !object.deleting), "a deleted one hangs: {:?}", world.objects);
        for place in 0..2 {
            let holder = world.objects.values().find(|object| object.place == place);
            if let Some(holder) = holder {
                prop_assert_eq!(world.brokers.get(&place), Some(&holder.desired()));
            }
        }
        let writes = world.writes;
        world.round();
        prop_assert_eq!(world.writes, writes, "nothing changed, and still something was written");
    }

    #[test]
    fn nobody_waits_for_a_cluster_that_is_gone(events in prop::collection::vec(event(), 0..60)) {
        let mut world = World::new();
        for event in events {
            world.happen(event);
        }
        world.happen(Event::Cluster(Weather::Missing));
        for which in (0..world.objects.len()).rev() {
            world.happen(Event::Delete { which });
        }
        world.round();
        prop_assert!(world.objects.is_empty(), "{:?}", world.objects);
    }
}
