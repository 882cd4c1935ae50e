//! Who should vote. Pure.
//!
//! Whoever may decide and is up, a few at most; who is silent keeps its vote unless its place is wanted, since taking
//! votes from the dead would make the living need each other more. A clean stop hands the votes over first.

use super::log::{Member, Membership};
use super::raft::Change;
use catalog::{Catalog, NodeKind, NodeRecord};
use model::NodeUuid;
use std::{collections::BTreeSet, sync::Arc};

/// More would make every change slower and no safer.
pub const VOTERS_MAX: usize = 7;

/// All who vote, in one set or two.
pub fn voters(members: &Membership) -> BTreeSet<NodeUuid> {
    members.voters.iter().flatten().copied().collect()
}

fn is_disc(node: &Arc<NodeRecord>) -> bool {
    node.kind == NodeKind::Disc
}

/// Those who should vote when `own` leads.
fn wanted(own: NodeUuid, catalog: &Catalog, present: &BTreeSet<NodeUuid>) -> BTreeSet<NodeUuid> {
    let disc = || catalog.nodes().filter(|node| is_disc(node));
    let alive = |node: &&Arc<NodeRecord>| node.up || node.uuid == own;
    // In this order: who votes and is there, who is there, who votes.
    let ranks = [
        disc()
            .filter(alive)
            .filter(|node| present.contains(&node.uuid))
            .map(|node| node.uuid)
            .collect::<Vec<_>>(),
        disc().filter(alive).map(|node| node.uuid).collect(),
        disc()
            .filter(|node| present.contains(&node.uuid))
            .map(|node| node.uuid)
            .collect(),
    ];
    let mut wanted = BTreeSet::new();
    for node in ranks.into_iter().flatten() {
        if wanted.len() < VOTERS_MAX {
            wanted.insert(node);
        }
    }
    wanted
}

/// The next change that brings the members closer to what the definitions say. One at a time.
pub fn next_change(own: NodeUuid, catalog: &Catalog, members: &Membership) -> Option<Change> {
    let present = voters(members);
    let member = |node: &Arc<NodeRecord>| Member {
        name: node.name.to_string(),
    };
    let new = catalog.nodes().find(|node| !members.members.contains_key(&node.uuid));
    if let Some(new) = new {
        return Some(Change::Add(new.uuid, member(new)));
    }
    let renamed = |node: &&Arc<NodeRecord>| members.members.get(&node.uuid) != Some(&member(node));
    if let Some(node) = catalog.nodes().find(renamed) {
        return Some(Change::Rename(node.uuid, member(node)));
    }
    let wanted = wanted(own, catalog, &present);
    if !wanted.is_empty() && (members.voters.len() > 1 || wanted != present) {
        return Some(Change::Voters(wanted));
    }
    let gone = members
        .members
        .keys()
        .find(|uuid| catalog.is_removed(**uuid) && !present.contains(uuid));
    gone.map(|uuid| Change::Remove(*uuid))
}

/// Who should vote when a node stops, if those who stay could not decide otherwise. Who is up and has no vote yet gets
/// one then.
pub fn without(leaving: NodeUuid, catalog: &Catalog, members: &Membership) -> Option<BTreeSet<NodeUuid>> {
    let is_there = |node: &NodeUuid| *node != leaving && catalog.node(*node).is_some_and(|node| node.up);
    let decides = |voters: &BTreeSet<NodeUuid>| voters.iter().filter(|node| is_there(node)).count() > voters.len() / 2;
    let able = catalog.nodes().filter(|node| is_disc(node) && is_there(&node.uuid));
    let staying: BTreeSet<NodeUuid> = able.map(|node| node.uuid).take(VOTERS_MAX).collect();
    (!members.voters.iter().all(decides) && !staying.is_empty()).then_some(staying)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use catalog::Command;

    /// Nodes by their numbers, up or not.
    pub(in crate::cluster) fn catalog(nodes: &[(u128, bool, NodeKind)]) -> Catalog {
        let mut catalog = Catalog::default();
        for (node, up, kind) in nodes {
            let (node, name) = (NodeUuid(*node), catalog::NodeName::from(format!("rabbit@{node}")));
            let kind = *kind;
            let add = Command::AddNode {
                node,
                name: name.clone(),
                kind,
            };
            catalog.apply(add, &mut Vec::new()).unwrap();
            if *up {
                let up = Command::NodeUp {
                    node,
                    name,
                    incarnation: 1,
                    boot_id: 1,
                    mirrors: false,
                };
                catalog.apply(up, &mut Vec::new()).unwrap();
            }
        }
        catalog
    }

    fn members(voters: &[u128], all: &[u128]) -> Membership {
        let member = |node: &u128| {
            (
                NodeUuid(*node),
                Member {
                    name: format!("rabbit@{node}"),
                },
            )
        };
        Membership {
            voters: vec![voters.iter().copied().map(NodeUuid).collect()],
            members: all.iter().map(member).collect(),
        }
    }

    const DISC: NodeKind = NodeKind::Disc;

    fn set(nodes: &[u128]) -> BTreeSet<NodeUuid> {
        nodes.iter().copied().map(NodeUuid).collect()
    }

    #[test]
    fn a_node_listens_first_and_votes_once_it_is_up() {
        let coming = catalog(&[(1, true, DISC), (2, false, DISC)]);
        let change = next_change(NodeUuid(1), &coming, &members(&[1], &[1]));
        assert!(
            matches!(change, Some(Change::Add(node, _)) if node == NodeUuid(2)),
            "{change:?}"
        );
        assert_eq!(next_change(NodeUuid(1), &coming, &members(&[1], &[1, 2])), None);
        let there = catalog(&[(1, true, DISC), (2, true, DISC), (3, true, NodeKind::Ram)]);
        let change = next_change(NodeUuid(1), &there, &members(&[1], &[1, 2, 3]));
        assert_eq!(change, Some(Change::Voters(set(&[1, 2]))), "a ram node only listens");
        assert_eq!(next_change(NodeUuid(1), &there, &members(&[1, 2], &[1, 2, 3])), None);
    }

    #[test]
    fn a_silent_voter_stays_one_until_its_place_is_wanted() {
        let crashed = catalog(&[(1, true, DISC), (2, false, DISC), (3, true, DISC)]);
        assert_eq!(
            next_change(NodeUuid(1), &crashed, &members(&[1, 2, 3], &[1, 2, 3])),
            None
        );
        let all: Vec<u128> = (1..=8).collect();
        let many: Vec<_> = all.iter().map(|node| (*node, *node != 2, DISC)).collect();
        let change = next_change(NodeUuid(1), &catalog(&many), &members(&all[..7], &all));
        assert_eq!(change, Some(Change::Voters(set(&[1, 3, 4, 5, 6, 7, 8]))));
    }

    #[test]
    fn a_removed_node_loses_its_vote_and_then_its_place() {
        let mut catalog = catalog(&[(1, true, DISC), (2, false, DISC)]);
        catalog
            .apply(Command::RemoveNode(NodeUuid(2)), &mut Vec::new())
            .unwrap();
        let change = next_change(NodeUuid(1), &catalog, &members(&[1, 2], &[1, 2]));
        assert_eq!(change, Some(Change::Voters(set(&[1]))));
        let change = next_change(NodeUuid(1), &catalog, &members(&[1], &[1, 2]));
        assert_eq!(change, Some(Change::Remove(NodeUuid(2))));
    }

    #[test]
    fn who_stops_in_order_hands_its_vote_over_only_when_the_rest_could_not_decide() {
        let three = catalog(&[(1, true, DISC), (2, true, DISC), (3, true, DISC)]);
        let members = members(&[1, 2, 3], &[1, 2, 3]);
        assert_eq!(without(NodeUuid(3), &three, &members), None);
        let two = catalog(&[(1, true, DISC), (2, true, DISC), (3, false, DISC)]);
        assert_eq!(without(NodeUuid(2), &two, &members), Some(set(&[1])));
        let one = catalog(&[(1, true, DISC), (2, false, DISC), (3, false, DISC)]);
        assert_eq!(without(NodeUuid(1), &one, &members), None, "the last one keeps it");
        let early = super::tests::members(&[1], &[1, 2, 3]);
        assert_eq!(
            without(NodeUuid(1), &three, &early),
            Some(set(&[2, 3])),
            "they were about to get one"
        );
    }
}
