//! What a node has that the cluster would miss without it: queues of which it holds the only copy that counts, and policies that ask for more
//! nodes than there would be. Asked of the nodes themselves, and only while a node is to be stopped for good or for a moment.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use link::{Listing, PolicyLevel, Request, Term, Which};
use serde_json::Value;

use super::keys::Keys;
use super::nodes;
use super::talk::{Door, Error, Talk};
use crate::policy::feasible::{Asked, asked};

/// Names that are kept of each kind; the rest is only counted.
pub const NAMES_MAX: usize = 100;

/// What one node has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Queues that it leads.
    pub leads: u64,
    /// Queues that are gone with it.
    pub alone: Queues,
    /// Queues that have mirrors, none of which is in sync.
    pub unsynchronised: Queues,
    /// The first of these, by virtual host and name.
    pub lagging: Vec<(String, String)>,
    /// Exclusive and transient queues, which end with the node at every restart, too.
    pub passing: Queues,
    /// Queues that no running node leads.
    pub down: Queues,
    /// Policies that say where copies are.
    pub policies: Vec<Placing>,
}

/// So many queues, and the names of the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// All of them.
    pub count: u64,
    /// The first, with their virtual hosts.
    pub names: Vec<String>,
}

impl Queues {
    /// One more.
    pub fn add(&mut self, name: String) {
        self.count += 1;
        if self.names.len() < NAMES_MAX {
            self.names.push(name);
        }
    }

    /// A few names, and how many more there are; nothing for none.
    pub fn told(&self) -> Option<String> {
        let shown: Vec<_> = self.names.iter().take(5).cloned().collect();
        let more = self.count.saturating_sub(shown.len() as u64);
        match (shown.is_empty(), more) {
            (true, _) => None,
            (false, 0) => Some(shown.join(", ")),
            (false, more) => Some(format!("{} and {more} more", shown.join(", "))),
        }
    }
}

/// A policy that says where copies are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placing {
    /// Its name and virtual host.
    pub name: String,
    /// What it asks for.
    pub asked: Asked,
}

/// Whether the app of that pod's node runs, as the node itself says.
pub async fn app_runs(pod: &Pod, node: &str, keys: &Keys) -> Option<bool> {
    let door = Door {
        address: nodes::peer_address(pod)?,
        node: node.to_owned(),
        keys,
    };
    let told = async { door.enter().await?.tell(&Request::IsRunning).await };
    match told.await {
        Ok(Term::Bool(runs)) => Some(runs),
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(
                pod = pod.name_any(),
                "its node does not tell whether its app runs: {error}"
            );
            None
        }
    }
}

/// What each of these pods' nodes has, by the pod's name; who does not answer is missing.
pub async fn ask(pods: &[Pod], names: &BTreeMap<String, String>, keys: &Keys) -> BTreeMap<String, Holdings> {
    let doors = pods.iter().filter_map(|pod| {
        let door = Door {
            address: nodes::peer_address(pod)?,
            node: names.get(&pod.name_any())?.clone(),
            keys,
        };
        Some((pod.name_any(), door))
    });
    let told = doors.map(|(pod, door)| async move {
        match of(&door).await {
            Ok(holdings) => Some((pod, holdings)),
            Err(error) => {
                tracing::debug!(pod, "its node does not tell what it has: {error}");
                None
            }
        }
    });
    join_all(told).await.into_iter().flatten().collect()
}

async fn of(door: &Door<'_>) -> Result<Holdings, Error> {
    let mut talk = door.enter().await?;
    let mut holdings = Holdings::default();
    for vhost in vhosts(&mut talk).await? {
        queues(&mut talk, &door.node, &vhost, &mut holdings).await?;
        for level in [PolicyLevel::User, PolicyLevel::Operator] {
            policies(&mut talk, &vhost, level, &mut holdings.policies).await?;
        }
    }
    Ok(holdings)
}

async fn vhosts(talk: &mut Talk) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    let request = list(Listing::Vhosts, &["name"]);
    talk.list(&request, |row| found.extend(row.first().map(text))).await?;
    Ok(found)
}

fn list(what: Listing, columns: &[&str]) -> Request {
    Request::List {
        what,
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
    }
}

const COLUMNS: [&str; 6] = [
    "name",
    "leader",
    "durable",
    "exclusive",
    "slave_pids",
    "synchronised_slave_pids",
];

async fn queues(talk: &mut Talk, node: &str, vhost: &str, holdings: &mut Holdings) -> Result<(), Error> {
    for which in [Which::Local, Which::Offline] {
        let some = Listing::QueuesThat(vhost.to_owned(), which);
        talk.list(&list(some, &COLUMNS), |row| sort(&row, node, vhost, holdings))
            .await?;
    }
    Ok(())
}

/// A node is asked for the queues that it leads, and for those that nobody does.
fn sort(row: &[Term], node: &str, vhost: &str, holdings: &mut Holdings) {
    let [name, leader, durable, exclusive, mirrors, synchronised] = row else {
        return;
    };
    let plain = text(name);
    let name = format!("'{plain}' in vhost '{vhost}'");
    if text(leader) != node {
        return holdings.down.add(name);
    }
    holdings.leads += 1;
    let passing = *exclusive == Term::Bool(true) || *durable == Term::Bool(false);
    match (elsewhere(synchronised, node), elsewhere(mirrors, node)) {
        (true, _) => {}
        (false, true) => {
            holdings.unsynchronised.add(name);
            if holdings.lagging.len() < NAMES_MAX {
                holdings.lagging.push((vhost.to_owned(), plain));
            }
        }
        (false, false) if passing => holdings.passing.add(name),
        (false, false) => holdings.alone.add(name),
    }
}

/// Whether one of these processes is on another node.
fn elsewhere(pids: &Term, node: &str) -> bool {
    let Term::List(pids) = pids else { return false };
    pids.iter()
        .any(|pid| place(&text(pid)).is_some_and(|place| place != node))
}

/// The node of a process `<rabbit@host.with.dots.1.2.3>`.
fn place(pid: &str) -> Option<&str> {
    let inner = pid.strip_prefix('<')?.strip_suffix('>')?;
    inner.rsplitn(4, '.').nth(3)
}

async fn policies(talk: &mut Talk, vhost: &str, level: PolicyLevel, found: &mut Vec<Placing>) -> Result<(), Error> {
    let request = list(Listing::Policies(vhost.to_owned(), level), &["name", "definition"]);
    let keep = |row: Vec<Term>| {
        let [name, definition] = row.as_slice() else { return };
        let Ok(Value::Object(definition)) = serde_json::from_str(&text(definition)) else {
            return;
        };
        let asked = asked(&definition);
        let places = matches!(asked, Asked::Exactly(_) | Asked::Nodes(_));
        if places && found.len() < NAMES_MAX {
            let name = format!("'{}' in vhost '{vhost}'", text(name));
            found.push(Placing { name, asked });
        }
    };
    talk.list(&request, keep).await
}

fn text(term: &Term) -> String {
    match term {
        Term::Atom(text) | Term::Binary(text) | Term::Pid(text) => text.clone(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "rabbit@a.nodes.shop";

    fn row(leader: &str, durable: bool, mirrors: &[&str], synchronised: &[&str]) -> Vec<Term> {
        let pids = |nodes: &[&str]| match nodes {
            [] => Term::none(),
            nodes => Term::List(
                nodes
                    .iter()
                    .map(|node| Term::Pid(format!("<{node}.12.7.99>")))
                    .collect(),
            ),
        };
        vec![
            Term::text("q"),
            Term::atom(leader),
            Term::Bool(durable),
            Term::Bool(false),
            pids(mirrors),
            pids(synchronised),
        ]
    }

    #[test]
    fn queues_are_sorted_by_what_would_become_of_them_without_the_node() {
        let other = "rabbit@b.nodes.shop";
        let of = |row: Vec<Term>| {
            let mut holdings = Holdings::default();
            sort(&row, NODE, "/", &mut holdings);
            let counts = |queues: &Queues| queues.count;
            [
                holdings.leads,
                counts(&holdings.alone),
                counts(&holdings.unsynchronised),
                counts(&holdings.passing),
                counts(&holdings.down),
            ]
        };
        assert_eq!(of(row(NODE, true, &[other], &[other])), [1, 0, 0, 0, 0]);
        assert_eq!(of(row(NODE, true, &[other], &[])), [1, 0, 1, 0, 0]);
        assert_eq!(of(row(NODE, true, &[], &[])), [1, 1, 0, 0, 0]);
        assert_eq!(of(row(NODE, false, &[], &[])), [1, 0, 0, 1, 0]);
        assert_eq!(of(row(other, true, &[], &[])), [0, 0, 0, 0, 1]);
    }

    #[test]
    fn the_node_of_a_process_is_read_out_of_its_name() {
        assert_eq!(place("<rabbit@a.nodes.shop.12.7.4294967296>"), Some(NODE));
        assert_eq!(place("nonsense"), None);
        assert_eq!(place("<a.b>"), None);
    }

    #[test]
    fn a_few_names_stand_for_many() {
        let mut queues = Queues::default();
        assert_eq!(queues.told(), None);
        (0..300).for_each(|number| queues.add(format!("q{number}")));
        assert_eq!(queues.told().unwrap(), "q0, q1, q2, q3, q4 and 295 more");
        assert_eq!(queues.names.len(), NAMES_MAX);
    }
}
