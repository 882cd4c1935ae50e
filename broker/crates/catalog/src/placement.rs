//! Which node leads a new queue: by argument, else by policy, else by configuration.
//!
//! Pure: chance comes in as a number. Exclusive queues are always led where their connection is.

use crate::command::QueueSpec;
use crate::policies;
use crate::record::NodeName;
use crate::state::Catalog;
use model::{QueueArgs, Value};
use std::collections::BTreeMap;

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
    fn told(catalog: &Catalog, spec: &QueueSpec) -> Option<Self> {
        let keys = ["x-queue-master-locator", "x-queue-leader-locator"];
        let by_argument = keys
            .iter()
            .find_map(|key| spec.arguments.get(key))
            .and_then(Locator::of);
        let by_policy = || {
            let vhost = catalog.vhost(spec.vhost.as_str())?;
            let kind = QueueArgs::parse(spec.arguments.clone()).ok()?.kind;
            let (user, operator) = policies::for_queue(vhost, spec.name.as_str(), kind);
            let policies = user.into_iter().chain(operator);
            let mut told = policies.filter_map(|policy| {
                let value = policy.definition.table.get("queue-master-locator")?;
                Locator::of(value)
            });
            told.next()
        };
        by_argument.or_else(by_policy)
    }
}

/// The node that is to lead a queue; `draw` is chance.
pub fn leader(catalog: &Catalog, spec: &QueueSpec, default: Locator, draw: u64) -> NodeName {
    let own = &spec.leader;
    if spec.owner.is_some() {
        return own.clone();
    }
    let up = catalog.nodes().filter(|node| node.up);
    let mut up: BTreeMap<&NodeName, u64> = up.map(|node| (&node.name, 0)).collect();
    if up.len() < 2 {
        return own.clone();
    }
    let chosen = match Locator::told(catalog, spec).unwrap_or(default) {
        Locator::ClientLocal => return own.clone(),
        Locator::Random => {
            let place = draw % up.len() as u64;
            up.into_keys().nth(place as usize)
        }
        Locator::MinMasters => {
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
    use crate::{Command, NodeRecord, fixture::Fixture};
    use model::{NodeUuid, Table};
    use std::sync::Arc;

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
    fn alone_a_node_leads_everything() {
        let fixture = cluster(&["b@h"]);
        let alone = leader(&fixture.catalog, &spec("q", Some("random")), Locator::MinMasters, 7);
        assert_eq!(&*alone, "b@h");
    }
}
