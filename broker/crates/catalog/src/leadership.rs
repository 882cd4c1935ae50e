//! Who should lead mirrored queues when leaders are moved on purpose: before a node goes, and so that all lead about as many.
//!
//! Plans only. A queue goes to a copy that is in sync and to no other, so nothing is lost by it; what is done of a plan is
//! proposed by each queue's leader and judged again.

use crate::record::QueueRecord;
use crate::state::Catalog;
use model::{NodeUuid, QueueId};
use std::{collections::BTreeMap, sync::Arc};

/// A queue's way from one leader to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Which queue.
    pub queue: QueueId,
    /// The node that leads it.
    pub from: NodeUuid,
    /// The node that is to lead it.
    pub to: NodeUuid,
}

/// How many queues each node leads, in a plan.
struct Loads(BTreeMap<NodeUuid, usize>);

impl Loads {
    fn of(&self, node: NodeUuid) -> usize {
        self.0.get(&node).copied().unwrap_or(0)
    }

    fn shift(&mut self, transfer: Transfer) {
        *self.0.entry(transfer.to).or_default() += 1;
        if let Some(left) = self.0.get_mut(&transfer.from) {
            *left -= 1;
        }
    }
}

impl Catalog {
    /// Who could lead the mirrored queues that the node leads: of those in sync the one that would lead the fewest then.
    pub fn successors(&self, node: NodeUuid) -> Vec<Transfer> {
        self.successors_among(node, |_| true, |_| true)
    }

    /// The same for some of the queues, and some of the nodes that could lead them.
    pub fn successors_among(
        &self,
        node: NodeUuid,
        is_meant: impl Fn(&QueueRecord) -> bool,
        may_have: impl Fn(NodeUuid) -> bool,
    ) -> Vec<Transfer> {
        let led = self.nodes.keys().map(|node| (*node, self.leads(*node).count()));
        let mut loads = Loads(led.collect());
        let mut transfers = Vec::new();
        for queue in self.leads(node).filter(|queue| is_meant(queue)) {
            if let Some(to) = self.idlest_in_sync(queue, &loads, &may_have) {
                let (queue, from) = (queue.id, node);
                loads.shift(Transfer { queue, from, to });
                transfers.push(Transfer { queue, from, to });
            }
        }
        transfers
    }

    /// Of the mirrors in sync the one that leads the fewest; of equals the oldest.
    fn idlest_in_sync(
        &self,
        queue: &QueueRecord,
        loads: &Loads,
        may_have: impl Fn(NodeUuid) -> bool,
    ) -> Option<NodeUuid> {
        let heirs = queue.replicas.iter().flat_map(|replicas| replicas.heirs(&self.nodes));
        let able = heirs.map(|copy| copy.node).filter(|node| may_have(*node));
        able.min_by_key(|node| loads.of(*node))
    }

    /// What would make every node lead about as many of these mirrored queues. A queue moves once at most.
    pub fn rebalancing(&self, is_meant: impl Fn(&QueueRecord) -> bool) -> Vec<Transfer> {
        let meant = |node: NodeUuid| -> Vec<Arc<QueueRecord>> {
            let led = self.leads(node).filter(|queue| is_meant(queue));
            led.cloned().collect()
        };
        let mut led: Vec<(NodeUuid, Vec<Arc<QueueRecord>>)> =
            self.nodes.keys().map(|node| (*node, meant(*node))).collect();
        let mut loads = Loads(led.iter().map(|(node, queues)| (*node, queues.len())).collect());
        led.sort_by_key(|(_, queues)| std::cmp::Reverse(queues.len()));
        let mut transfers = Vec::new();
        for (from, queues) in led {
            for queue in queues {
                let to = self.idlest_in_sync(&queue, &loads, |_| true);
                if let Some(to) = to.filter(|to| loads.of(*to) + 1 < loads.of(from)) {
                    let transfer = Transfer {
                        queue: queue.id,
                        from,
                        to,
                    };
                    loads.shift(transfer);
                    transfers.push(transfer);
                }
            }
        }
        transfers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirrors_fixture::{Cluster, all, letter, policy, queue, uuid};
    use crate::{Command, MirrorAct};

    fn cluster(leaders: &str) -> Cluster {
        let mut cluster = Cluster::with_queue("abc", all());
        cluster.apply(policy(all()));
        for (number, leader) in leaders.chars().enumerate() {
            cluster.apply(Command::DeclareQueue(queue(&format!("q{number}"), leader)));
        }
        cluster
    }

    fn targets(transfers: &[Transfer]) -> String {
        let mut letters: Vec<char> = transfers.iter().map(|transfer| letter(transfer.to)).collect();
        letters.sort_unstable();
        letters.into_iter().collect()
    }

    #[test]
    fn who_goes_leaves_its_queues_to_those_that_lead_the_fewest() {
        let cluster = cluster("aaab");
        let successors = cluster.fixture.catalog.successors(uuid('a'));
        assert_eq!(targets(&successors), "bbcc", "the fixture's own queue is one more");
    }

    #[test]
    fn some_queues_go_to_some_nodes_and_what_none_of_these_has_in_sync_stays() {
        let mut cluster = cluster("aaa");
        cluster.propose(MirrorAct::Evict(uuid('c'))).unwrap();
        let to_c = |is_meant: fn(&QueueRecord) -> bool| {
            let successors = cluster
                .fixture
                .catalog
                .successors_among(uuid('a'), is_meant, |node| node == uuid('c'));
            targets(&successors)
        };
        assert_eq!(
            to_c(|_| true),
            "ccc",
            "the fixture's own queue has no mirror in sync there"
        );
        assert_eq!(to_c(|queue| queue.name.as_str() == "q1"), "c");
    }

    #[test]
    fn what_is_not_in_sync_elsewhere_stays() {
        let mut cluster = Cluster::with_queue("abc", all());
        for node in ['b', 'c'] {
            cluster.propose(MirrorAct::Evict(uuid(node))).unwrap();
        }
        assert_eq!(cluster.fixture.catalog.successors(uuid('a')), []);
        assert_eq!(cluster.fixture.catalog.rebalancing(|_| true), []);
    }

    #[test]
    fn rebalancing_moves_leaders_from_the_busiest_to_the_idlest_until_all_lead_about_as_many() {
        let cluster = cluster("aaaaa");
        let catalog = &cluster.fixture.catalog;
        assert_eq!(targets(&catalog.rebalancing(|_| true)), "bbcc");
        assert_eq!(targets(&catalog.rebalancing(|queue| queue.name.as_str() < "q2")), "bc");
        assert_eq!(catalog.rebalancing(|_| false), []);
    }

    #[test]
    fn a_node_under_maintenance_leads_nothing_new_until_it_is_back_or_has_started_anew() {
        let mut cluster = cluster("aaab");
        cluster.apply(Command::SetMaintenance {
            node: uuid('b'),
            on: true,
        });
        let catalog = &cluster.fixture.catalog;
        assert_eq!(targets(&catalog.successors(uuid('a'))), "cccc");
        assert_eq!(targets(&catalog.rebalancing(|_| true)), "cc");
        let chosen = crate::leader(catalog, &queue("new", 'b'), crate::Locator::ClientLocal, 0);
        assert_ne!(&*chosen, "b@h");
        cluster.down("a");
        assert_eq!(letter(cluster.replicas().leader), 'c', "although b's copy is older");
        cluster.restart("b");
        assert!(!cluster.fixture.catalog.node(uuid('b')).unwrap().maintenance);
    }
}
