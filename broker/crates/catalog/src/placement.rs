//! Which node leads a new queue: by argument, else by policy, else by configuration.
//!
//! Pure: chance comes in as a number. Exclusive queues are always led where their connection is. Where a policy names
//! the nodes that mirror a queue, one of these leads it.

use crate::command::QueueSpec;
use crate::policies;
use crate::record::{NodeName, Policy};
use crate::state::Catalog;
use model::{Ha, HaMode, PolicyLevel, QueueArgs, Value};
use std::{collections::BTreeMap, sync::Arc};

/// How a leader is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Locator {
    /// The node that the client is connected to.
    #[default]
    ClientLocal,
    /// The node that leads the fewest queues; of equals the client's own, else the first by name.
    MinMasters,
    /// Any.
    Random,
}

impl Locator {
    fn of(value: &Value) -> Option<Self> {
        match value.as_text()? {
            "client-local" => Some(Locator::ClientLocal),
            "min-masters" | "balanced" | "least-leaders" => Some(Locator::MinMasters),
            "random" => Some(Locator::Random),
            _ => None,
        }
    }

    /// What the queue itself says, or the policies that will hold for it.
    fn told(spec: &QueueSpec, policies: &[Arc<Policy>]) -> Option<Self> {
        let keys = ["x-queue-master-locator", "x-queue-leader-locator"];
        let by_argument = keys
            .iter()
            .find_map(|key| spec.arguments.get(key))
            .and_then(Locator::of);
        let by_policy = || {
            let mut told = policies.iter().filter_map(|policy| {
                let value = policy.definition.table.get("queue-master-locator")?;
                Locator::of(value)
            });
            told.next()
        };
        by_argument.or_else(by_policy)
    }
}

/// The policies that will hold for the queue, the user's before the operator's.
fn policies_for(catalog: &Catalog, spec: &QueueSpec) -> Vec<Arc<Policy>> {
    let found = catalog
        .vhost(spec.vhost.as_str())
        .zip(QueueArgs::parse(spec.arguments.clone()).ok());
    let pair = found.map(|(vhost, args)| policies::for_queue(vhost, spec.name.as_str(), args.kind));
    let (user, operator) = pair.unwrap_or_default();
    user.into_iter().chain(operator).collect()
}

/// Leaves of `up` the nodes that an `ha-mode` of `nodes` names, if one of them runs; false if none was asked for.
fn keep_named(up: &mut BTreeMap<&NodeName, u64>, policies: &[Arc<Policy>]) -> bool {
    let ha = |level| {
        let mut of_level = policies.iter().filter(move |policy| policy.level == level);
        of_level.find_map(|policy| policy.definition.ha.as_ref())
    };
    let mode = Ha::effective_mode(ha(PolicyLevel::User), ha(PolicyLevel::Operator));
    let Some(HaMode::Nodes(names)) = mode else { return false };
    let is_named = |name: &NodeName| names.iter().any(|named| **named == **name);
    let some_run = up.keys().any(|name| is_named(name));
    if some_run {
        up.retain(|name, _| is_named(name));
    }
    some_run
}

/// The node that is to lead a queue; `draw` is chance.
pub fn leader(catalog: &Catalog, spec: &QueueSpec, default: Locator, draw: u64) -> NodeName {
    let own = &spec.leader;
    if spec.owner.is_some() {
        return own.clone();
    }
    let is_left_alone = catalog.node_by_name(own).is_some_and(|node| !node.may_lead());
    let up = catalog.nodes().filter(|node| node.up && node.may_lead());
    let mut up: BTreeMap<&NodeName, u64> = up.map(|node| (&node.name, 0)).collect();
    let policies = policies_for(catalog, spec);
    let are_named = keep_named(&mut up, &policies);
    if up.len() < 2 && !are_named && !is_left_alone {
        return own.clone();
    }
    let chosen = match Locator::told(spec, &policies).unwrap_or(default) {
        Locator::ClientLocal if up.contains_key(own) || !(are_named || is_left_alone) => return own.clone(),
        Locator::Random => {
            let place = draw % up.len() as u64;
            up.into_keys().nth(place as usize)
        }
        Locator::MinMasters | Locator::ClientLocal => {
            for queue in catalog.queues() {
                if let Some(led) = up.get_mut(&queue.leader) {
                    *led += 1;
                }
            }
            let fewest = up.into_iter().min_by_key(|(name, led)| (*led, *name != own));
            fewest.map(|(name, _)| name)
        }
    };
    chosen.unwrap_or(own).clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, NodeRecord, PolicySpec, fixture::Fixture};
    use model::{ApplyTo, NodeUuid, Table};

    /// The first of them has started; the others are like it.
    fn cluster(names: &[&str]) -> Fixture {
        let mut fixture = Fixture::new();
        fixture.apply(Command::NodeUp {
            node: NodeUuid(1),
            name: names[0].into(),
            incarnation: 1,
            boot_id: 1,
            mirrors: false,
        });
        let first = fixture.catalog.nodes().next().unwrap().clone();
        for (number, name) in (1..).zip(names) {
            let like_first = NodeRecord {
                uuid: NodeUuid(number),
                name: (*name).into(),
                ..first.as_ref().clone()
            };
            fixture.catalog.nodes.insert(like_first.uuid, Arc::new(like_first));
        }
        fixture
    }

    fn spec(name: &str, locator: Option<&str>) -> QueueSpec {
        QueueSpec {
            vhost: "/".parse().unwrap(),
            name: name.parse().unwrap(),
            durable: true,
            auto_delete: false,
            owner: None,
            arguments: locator.map_or_else(Table::default, |word| {
                Table::from([("x-queue-master-locator", word.into())])
            }),
            leader: "b@h".into(),
            user: "ann".parse().unwrap(),
        }
    }

    #[test]
    fn the_node_with_the_fewest_queues_is_chosen_and_the_own_one_of_equals() {
        let mut fixture = cluster(&["a@h", "b@h", "c@h"]);
        let mut leaders = Vec::new();
        for number in 0..6 {
            let mut spec = spec(&format!("q{number}"), Some("min-masters"));
            spec.leader = leader(&fixture.catalog, &spec, Locator::ClientLocal, 0);
            leaders.push(spec.leader.to_string());
            fixture.apply(Command::DeclareQueue(spec));
        }
        assert_eq!(leaders, ["b@h", "a@h", "c@h", "b@h", "a@h", "c@h"]);
    }

    #[test]
    fn an_argument_wins_over_the_configuration_and_an_exclusive_queue_stays() {
        let fixture = cluster(&["a@h", "b@h", "c@h"]);
        let chosen = |spec: &QueueSpec, default, draw| leader(&fixture.catalog, spec, default, draw).to_string();
        assert_eq!(chosen(&spec("q", None), Locator::Random, 0), "a@h");
        assert_eq!(chosen(&spec("q", None), Locator::Random, 5), "c@h");
        assert_eq!(chosen(&spec("q", Some("client-local")), Locator::Random, 0), "b@h");
        let mut exclusive = spec("q", Some("random"));
        exclusive.owner = Some(fixture.client.owner());
        assert_eq!(chosen(&exclusive, Locator::Random, 0), "b@h");
    }

    #[test]
    fn one_of_the_nodes_that_a_policy_names_leads() {
        let mut fixture = cluster(&["a@h", "b@h", "c@h"]);
        let mut policy = |names: &[&str]| {
            let nodes = Value::Array(names.iter().map(|name| (*name).into()).collect());
            fixture.apply(Command::SetPolicy(PolicySpec {
                vhost: "/".parse().unwrap(),
                name: "ha".into(),
                level: PolicyLevel::User,
                pattern: ".*".into(),
                apply_to: ApplyTo::Queues,
                priority: 0,
                definition: Table::from([("ha-mode", "nodes".into()), ("ha-params", nodes)]),
            }));
            let chosen =
                |spec: &QueueSpec, draw| leader(&fixture.catalog, spec, Locator::ClientLocal, draw).to_string();
            [None, Some("min-masters"), Some("random")].map(|locator| chosen(&spec("q", locator), 1))
        };
        assert_eq!(policy(&["c@h", "b@h"]), ["b@h", "b@h", "c@h"]);
        assert_eq!(policy(&["c@h", "gone@h"]), ["c@h", "c@h", "c@h"]);
        assert_eq!(policy(&["gone@h"]), ["b@h", "b@h", "b@h"], "none of them runs");
    }

    #[test]
    fn alone_a_node_leads_everything() {
        let fixture = cluster(&["b@h"]);
        let alone = leader(&fixture.catalog, &spec("q", Some("random")), Locator::MinMasters, 7);
        assert_eq!(&*alone, "b@h");
    }
}
