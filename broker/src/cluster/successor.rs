//! Who may lead the definitions next when the one who leads wants to lead no more. Pure.
//!
//! A voter that runs, stays in service, and lacks little of the log: whether it lacks nothing is looked at when nothing more is proposed. Who is elected
//! when a leader is gone is not decided here.

use super::{log::Membership, voters};
use catalog::{Catalog, NodeName, NodeRecord};
use model::NodeUuid;
use std::{collections::BTreeMap, sync::Arc};

/// Entries on their way to a node that is up to date otherwise.
const BEHIND_MAX: u64 = 64;

/// How far the log goes, and how far each other node is known to be with it.
pub type Progress = (u64, BTreeMap<NodeUuid, u64>);

/// Why nobody leads next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// There is no such node.
    #[error("the cluster has no node {0}")]
    Unknown(String),
    /// The node that is wanted cannot.
    #[error(transparent)]
    Not(Reason),
    /// No node can, each for a reason of its own.
    #[error("no other node can lead the definitions{}", .0.iter().map(|why| format!(", {why}")).collect::<String>())]
    Nobody(Vec<Reason>),
}

impl Unfit {
    /// True if it may be otherwise in a moment, when the one who leads has heard from all.
    pub fn may_pass(&self) -> bool {
        let is_behind = |why: &Reason| matches!(why, Reason::Behind(_));
        match self {
            Unfit::Unknown(_) => false,
            Unfit::Not(why) => is_behind(why),
            Unfit::Nobody(reasons) => reasons.iter().any(is_behind),
        }
    }
}

/// Why a node cannot lead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It is down.
    #[error("{0} does not run")]
    Down(NodeName),
    /// It only listens.
    #[error("{0} has no vote")]
    Listens(NodeName),
    /// It would have to hand over again.
    #[error("{0} is to leave the cluster")]
    Leaves(NodeName),
    /// It is out of service.
    #[error("{0} is under maintenance")]
    Maintained(NodeName),
    /// It lacks a part of the log, or nothing was heard of it.
    #[error("{0} is not up to date")]
    Behind(NodeName),
}

/// What is known of the cluster.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The node that leads.
    pub own: NodeUuid,
    /// The definitions.
    pub catalog: &'a Catalog,
    /// Who votes.
    pub members: &'a Membership,
    /// How far each is.
    pub progress: &'a Progress,
}

impl Known<'_> {
    /// How many entries a node lacks, or why it cannot lead.
    fn judge(&self, node: &NodeRecord) -> Result<u64, Reason> {
        let name = node.name.clone();
        let (last, known) = self.progress;
        let lacks = known.get(&node.uuid).map(|at| last.saturating_sub(*at));
        match lacks {
            _ if !node.up => Err(Reason::Down(name)),
            _ if !voters::voters(self.members).contains(&node.uuid) => Err(Reason::Listens(name)),
            _ if node.leaving => Err(Reason::Leaves(name)),
            _ if node.maintenance => Err(Reason::Maintained(name)),
            Some(lacks) if lacks <= BEHIND_MAX => Ok(lacks),
            _ => Err(Reason::Behind(name)),
        }
    }

    /// The node that leads next: this one if one is wanted, else one that lacks least.
    ///
    /// # Errors
    /// Why there is none.
    pub fn successor(&self, wanted: Option<&str>) -> Result<Arc<NodeRecord>, Unfit> {
        if let Some(name) = wanted {
            let found = self.catalog.node_by_name(name);
            let node = found.ok_or_else(|| Unfit::Unknown(name.to_owned()))?;
            return self.judge(node).map(|_| node.clone()).map_err(Unfit::Not);
        }
        let (mut fit, mut reasons) = (Vec::new(), Vec::new());
        for node in self.catalog.nodes().filter(|node| node.uuid != self.own) {
            match self.judge(node) {
                Ok(lacks) => fit.push((lacks, node)),
                Err(why) => reasons.push(why),
            }
        }
        let least = fit
            .into_iter()
            .min_by(|(one, first), (other, second)| (one, &first.name).cmp(&(other, &second.name)));
        least.map(|(_, node)| node.clone()).ok_or(Unfit::Nobody(reasons))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::{Command, NodeKind};
    use std::collections::BTreeSet;

    /// Nodes 1 to 5, of which 1 leads and 5 has no vote, with all entries up to 100.
    fn five() -> (Catalog, Membership, Progress) {
        let catalog = voters::tests::catalog(&[1, 2, 3, 4, 5].map(|node| (node, true, NodeKind::Disc)));
        let members = Membership {
            voters: vec![(1..=4).map(NodeUuid).collect::<BTreeSet<_>>()],
            members: BTreeMap::new(),
        };
        (
            catalog,
            members,
            (100, (2..=5).map(|node| (NodeUuid(node), 100)).collect()),
        )
    }

    fn next(
        (catalog, members, progress): &(Catalog, Membership, Progress),
        wanted: Option<&str>,
    ) -> Result<u128, String> {
        let known = Known {
            own: NodeUuid(1),
            catalog,
            members,
            progress,
        };
        let found = known.successor(wanted).map(|node| node.uuid.0);
        found.map_err(|why| why.to_string())
    }

    #[test]
    fn whoever_lacks_least_leads_next_and_the_first_by_name_of_those() {
        let mut cluster = five();
        assert_eq!(next(&cluster, None), Ok(2));
        cluster.2.1.insert(NodeUuid(2), 99);
        assert_eq!(next(&cluster, None), Ok(3));
        assert_eq!(next(&cluster, Some("rabbit@2")), Ok(2), "it is on its way there");
    }

    #[test]
    fn a_node_that_cannot_lead_is_refused_with_the_reason() {
        let mut cluster = five();
        let change = |catalog: &mut Catalog, command| catalog.apply(command, &mut Vec::new()).map(drop).unwrap();
        let node = NodeUuid(2);
        change(&mut cluster.0, Command::SetLeaving { node, on: true });
        let node = NodeUuid(3);
        change(&mut cluster.0, Command::SetMaintenance { node, on: true });
        cluster.2.1.insert(NodeUuid(4), 100 - BEHIND_MAX - 1);
        let not = [
            ("rabbit@2", "rabbit@2 is to leave the cluster"),
            ("rabbit@3", "rabbit@3 is under maintenance"),
            ("rabbit@4", "rabbit@4 is not up to date"),
            ("rabbit@5", "rabbit@5 has no vote"),
            ("rabbit@6", "the cluster has no node rabbit@6"),
        ];
        for (name, why) in not {
            assert_eq!(next(&cluster, Some(name)), Err(why.to_owned()));
        }
        let nobody = next(&cluster, None).unwrap_err();
        assert!(
            nobody.starts_with("no other node can lead the definitions, rabbit@2 is to leave"),
            "{nobody}"
        );
        let passes = |cluster: &(Catalog, Membership, Progress), wanted| {
            let known = Known {
                own: NodeUuid(1),
                catalog: &cluster.0,
                members: &cluster.1,
                progress: &cluster.2,
            };
            known.successor(wanted).is_err_and(|why| why.may_pass())
        };
        assert!(passes(&cluster, None) && passes(&cluster, Some("rabbit@4")) && !passes(&cluster, Some("rabbit@5")));
        cluster.2.1.remove(&NodeUuid(4));
        assert_eq!(
            next(&cluster, Some("rabbit@4")),
            Err("rabbit@4 is not up to date".to_owned())
        );
        let dead = catalog::NodeDeath {
            node: NodeUuid(4),
            incarnation: 1,
        };
        change(&mut cluster.0, Command::NodeDown(vec![dead]));
        assert_eq!(
            next(&cluster, Some("rabbit@4")),
            Err("rabbit@4 does not run".to_owned())
        );
    }
}
