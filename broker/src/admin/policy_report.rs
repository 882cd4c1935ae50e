//! What one policy does to the objects of its virtual host: how many obey it, which policies stand in its way, how many mirrors
//! there should be. A reading of the catalogue, whose size does not grow with the number of queues.

use api::{MirrorCounts, PolicyReport, ShadowingPolicy};
use catalog::{Catalog, NodeName, Policy, QueueRecord, Vhost};
use model::{HaMode, PolicyLevel, QueueKind};
use std::{collections::BTreeMap, sync::Arc};

use crate::management::policy_shape;

/// Names of queues that are told of those whose mirrors are behind.
const BEHIND_MAX: usize = 10;

/// Reports on the user policy of that name.
pub fn report(catalog: &Catalog, vhost: &Vhost, name: &str) -> PolicyReport {
    let Some(policy) = vhost.policy(PolicyLevel::User, name) else {
        return PolicyReport::default();
    };
    let nodes: Vec<NodeName> = catalog.nodes().map(|node| node.name.clone()).collect();
    let mut tally = Tally {
        report: PolicyReport {
            policy: Some(policy_shape(policy)),
            ..PolicyReport::default()
        },
        shadows: BTreeMap::new(),
    };
    for queue in vhost.queues().filter(|queue| fits_queue(policy, queue)) {
        match obeys(policy, queue.policy.as_ref()) {
            true => tally.queue(queue, mirrors(catalog, queue, &nodes)),
            false => tally.shadow(queue.policy.as_ref(), |shadow| shadow.queues += 1),
        }
    }
    let covered = policy.apply_to.covers_exchanges();
    let exchanges = vhost
        .exchanges()
        .filter(|exchange| policy.pattern.matches(exchange.name.as_str()));
    for exchange in exchanges.filter(|_| covered) {
        match obeys(policy, exchange.policy.as_ref()) {
            true => tally.report.exchanges += 1,
            false => tally.shadow(exchange.policy.as_ref(), |shadow| shadow.exchanges += 1),
        }
    }
    tally.report.shadowed_by = tally.shadows.into_values().collect();
    tally.report
}

fn fits_queue(policy: &Policy, queue: &QueueRecord) -> bool {
    let kind = queue.args.kind;
    policy.apply_to.covers_queues(kind)
        && policy.definition.concerns(kind)
        && policy.pattern.matches(queue.name.as_str())
}

fn obeys(policy: &Policy, winner: Option<&Arc<Policy>>) -> bool {
    winner.is_some_and(|winner| winner.name == policy.name)
}

struct Tally {
    report: PolicyReport,
    /// By name: at most one for each policy of the virtual host.
    shadows: BTreeMap<Arc<str>, ShadowingPolicy>,
}

impl Tally {
    fn queue(&mut self, queue: &QueueRecord, found: MirrorCounts) {
        self.report.queues += 1;
        if found.synced < found.desired && self.report.behind.len() < BEHIND_MAX {
            self.report.behind.push(queue.name.to_string());
        }
        let all = &mut self.report.mirrors;
        all.desired += found.desired;
        all.synced += found.synced;
        all.syncing += found.syncing;
        all.unsynced += found.unsynced;
    }

    fn shadow(&mut self, winner: Option<&Arc<Policy>>, count: impl FnOnce(&mut ShadowingPolicy)) {
        let Some(winner) = winner else { return };
        let shadow = self
            .shadows
            .entry(winner.name.clone())
            .or_insert_with(|| ShadowingPolicy {
                name: winner.name.to_string(),
                priority: winner.priority,
                ..ShadowingPolicy::default()
            });
        count(shadow);
    }
}

/// The mirrors that a queue should have, and those that it has. One that is not in sync is being synchronised when its node runs and
/// the policy wants that by itself; otherwise it waits: for its node, or for `sync_queue`.
fn mirrors(catalog: &Catalog, queue: &QueueRecord, nodes: &[NodeName]) -> MirrorCounts {
    let all = queue.replicas.iter().flat_map(|replicas| replicas.mirrors()).count() as u64;
    let synced = catalog.mirror_names(queue).synchronised.len() as u64;
    let automatic = queue.ha().and_then(|ha| ha.sync_automatic) == Some(true);
    let runs = |replicas| catalog.unsynchronised(replicas).count() as u64;
    let syncing = queue.replicas.as_deref().filter(|_| automatic).map_or(0, runs);
    MirrorCounts {
        desired: desired(queue, nodes),
        synced,
        syncing,
        unsynced: all.saturating_sub(synced + syncing),
    }
}

/// As many as the policy asks for and the cluster has nodes for, up or not: a node that is away leaves its mirror missing.
fn desired(queue: &QueueRecord, nodes: &[NodeName]) -> u64 {
    let others = nodes.iter().filter(|node| **node != queue.leader);
    match queue.ha_mode().filter(|_| queue.args.kind == QueueKind::Classic) {
        None => 0,
        Some(HaMode::All) => others.count() as u64,
        Some(HaMode::Exactly(copies)) => copies.saturating_sub(1).min(others.count() as u64),
        Some(HaMode::Nodes(wanted)) => others
            .filter(|node| wanted.iter().any(|name| **name == ***node))
            .count() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::started_blank;
    use catalog::{Command, PolicySpec};
    use model::Table;

    fn policy(name: &str, pattern: &str, priority: i64, definition: Table) -> Command {
        Command::SetPolicy(PolicySpec {
            vhost: "/".parse().unwrap(),
            name: name.into(),
            level: PolicyLevel::User,
            pattern: pattern.into(),
            apply_to: model::ApplyTo::All,
            priority,
            definition,
        })
    }

    fn table(key: &str, value: model::Value) -> Table {
        let mut table = Table::default();
        table.set(key, value);
        table
    }

    #[tokio::test]
    async fn a_report_tells_who_obeys_and_who_stands_in_the_way() {
        let (_folder, node) = started_blank().await;
        node.commit(policy("ha", "^amq", 0, table("ha-mode", "all".into())))
            .await
            .unwrap();
        node.commit(policy("ae", "^amq\\.t", 5, table("alternate-exchange", "x".into())))
            .await
            .unwrap();
        let snapshot = node.snapshot();
        let vhost = snapshot.catalog.vhost("/").unwrap();
        let told = report(&snapshot.catalog, vhost, "ha");
        assert_eq!(told.policy.as_ref().unwrap().pattern, "^amq");
        let total = vhost
            .exchanges()
            .filter(|exchange| exchange.name.as_str().starts_with("amq"))
            .count();
        let [shadow] = told.shadowed_by.as_slice() else {
            panic!("{told:?}")
        };
        assert_eq!((shadow.name.as_str(), shadow.priority, shadow.queues), ("ae", 5, 0));
        assert!(shadow.exchanges > 0 && told.exchanges > 0);
        assert_eq!((told.exchanges + shadow.exchanges) as usize, total);
        assert_eq!(report(&snapshot.catalog, vhost, "other"), PolicyReport::default());
    }
}
