//! Single stories in the world of the plan's histories, each with its end.

use super::*;

/// Three nodes that run well, and are watched when they change.
fn three() -> World {
    let mut world = World::new();
    world.wanted = 3;
    world.update.canary = Some(Canary {
        nodes: 1,
        pause_seconds: 2,
        auto_rollback: true,
    });
    world.live(40);
    assert_eq!(world.settled, Some(0));
    world
}

impl World {
    /// Nothing unforeseen happens for a while.
    fn live(&mut self, passes: u32) {
        for _ in 0..passes {
            self.pass(0, WRITES);
            self.controller();
            (0..6).for_each(|ordinal| self.kubelet(ordinal));
        }
    }

    fn revisions(&self) -> Vec<usize> {
        self.pods.values().map(|pod| pod.revision).collect()
    }
}

#[test]
fn a_template_that_does_not_work_costs_one_node_and_is_taken_back_until_the_user_asks_for_another() {
    let mut world = three();
    let before: Vec<_> = world.pods.values().map(|pod| pod.uid).collect();
    world.works.push(false);
    world.live(60);
    assert_eq!((world.revisions(), world.rolled_back), (vec![0, 0, 0], Some(1)));
    assert!(world.pods.values().all(serves));
    let uids = |world: &World| world.pods.values().map(|pod| pod.uid).collect::<Vec<_>>();
    let after = uids(&world);
    let touched = after.iter().zip(&before).filter(|(after, before)| after != before);
    assert_eq!(touched.count(), 1, "the others were never touched");
    world.live(60);
    assert_eq!(uids(&world), after, "no pod goes for it again");
    world.works.push(true);
    world.live(60);
    assert_eq!(
        (world.revisions(), world.rolled_back, world.settled),
        (vec![2, 2, 2], None, Some(2))
    );
}

#[test]
fn a_template_that_does_not_work_stays_where_nobody_has_asked_for_a_way_back() {
    let mut world = three();
    world.update.canary.as_mut().unwrap().auto_rollback = false;
    world.works.push(false);
    world.live(60);
    assert_eq!((world.revisions(), world.rolled_back), (vec![0, 0, 1], None));
}

#[test]
fn volumes_are_replaced_one_by_one_and_a_queue_that_a_policy_ties_to_its_node_keeps_its_own() {
    let mut world = three();
    world.kind = 1;
    world.alone.insert(1);
    world.tied.insert(1);
    world.live(60);
    let kinds = |world: &World| world.volumes.values().map(|volume| volume.kind).collect::<Vec<_>>();
    assert_eq!(kinds(&world), [1, 0, 1], "who cannot leave holds up no other");
    let plan = world.decide(0);
    assert_eq!(plan.kept.map(|held| held.reason), Some("QueuesOnlyThere"));
    world.tied.clear();
    world.live(80);
    assert_eq!(kinds(&world), [1, 1, 1]);
    assert_eq!((world.members.len(), world.decide(0).step), (3, Step::Rest));
    assert!(
        !world.alone.contains(&1) && world.alone.len() == 1,
        "its queue has moved"
    );
}

#[test]
fn queues_with_one_copy_move_to_the_nodes_that_stay_before_theirs_leave() {
    let mut world = three();
    world.alone.extend([0, 1, 2]);
    world.wanted = 1;
    world.live(80);
    assert_eq!((world.members.len(), world.pods.len()), (1, 1));
    assert_eq!(world.alone, BTreeSet::from([0]));
}

#[test]
fn a_node_that_never_comes_back_leaves_by_the_users_word_alone() {
    let mut world = three();
    world.wanted = 2;
    world.alone.insert(2);
    world.pods.remove(&2);
    let passes = |world: &mut World| (0..5).for_each(|_| world.pass(0, WRITES));
    passes(&mut world);
    assert_eq!((world.members.len(), world.replicas), (3, 3));
    world.given_up = Some(2);
    passes(&mut world);
    assert_eq!((world.members.len(), world.replicas), (2, 2));
    assert!(world.alone.is_empty(), "its queue is gone with it");
}
