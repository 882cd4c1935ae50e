//! Whether a cluster can do what a policy asks of it: as many nodes as copies, and nodes of these names. Pure. What is not
//! feasible is applied all the same, as the brokers do what they can, with one exception that `plan` knows: a list of nodes of which
//! none exists would take every mirror away.

use serde_json::{Map, Value};

use crate::conditions::counted;

/// What a definition asks of the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// No mirrors.
    Nothing,
    /// A copy on every node.
    All,
    /// This many copies.
    Exactly(u64),
    /// Copies on these nodes.
    Nodes(Vec<String>),
}

/// Reads it out of a definition, whoever wrote that.
pub fn asked(definition: &Map<String, Value>) -> Asked {
    let params = definition.get("ha-params");
    match definition.get("ha-mode").and_then(Value::as_str) {
        Some("all") => Asked::All,
        Some("exactly") => Asked::Exactly(params.and_then(Value::as_u64).unwrap_or(1)),
        Some("nodes") => {
            let nodes = params.and_then(Value::as_array).into_iter().flatten();
            Asked::Nodes(nodes.filter_map(|node| Some(node.as_str()?.to_owned())).collect())
        }
        Some(_) | None => Asked::Nothing, // the brokers refuse what is none of these
    }
}

/// The nodes of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nodes {
    /// How the cluster is called.
    pub cluster: String,
    /// How many nodes its spec wants.
    pub wanted: u32,
    /// Those that it has, or would have, by name.
    pub names: Vec<String>,
}

/// What cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Infeasible {
    /// More copies than nodes.
    TooFewNodes(String),
    /// Some of the nodes do not exist; the others hold copies.
    NodesMissing(String),
    /// None of the nodes exists.
    NoSuchNode(String),
}

impl Infeasible {
    /// In one word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooFewNodes(_) => "TooFewNodes",
            Self::NodesMissing(_) => "NodesMissing",
            Self::NoSuchNode(_) => "NoSuchNode",
        }
    }

    /// In a sentence that says what would be right.
    pub fn message(&self) -> &str {
        match self {
            Self::TooFewNodes(message) | Self::NodesMissing(message) | Self::NoSuchNode(message) => message,
        }
    }
}

/// What of the policy the cluster cannot do, if anything.
pub fn infeasible(asked: &Asked, nodes: &Nodes) -> Option<Infeasible> {
    let Nodes { cluster, wanted, names } = nodes;
    match asked {
        Asked::Nothing | Asked::All => None,
        Asked::Exactly(copies) if *copies <= u64::from(*wanted) => None,
        Asked::Exactly(copies) => Some(Infeasible::TooFewNodes(format!(
            "{copies} copies of each queue are asked for and {cluster} is to have {}: ask for {wanted}, or scale {cluster} to {copies} replicas",
            counted(u64::from(*wanted), "node")
        ))),
        Asked::Nodes(asked) => {
            let missing: Vec<_> = asked
                .iter()
                .filter(|node| !names.contains(node))
                .map(String::as_str)
                .collect();
            let (missing_all, missing) = (missing.len() == asked.len(), missing.join(", "));
            let there = names.join(", ");
            match (missing.is_empty(), missing_all) {
                (true, _) => None,
                (false, true) => Some(Infeasible::NoSuchNode(format!(
                    "none of the nodes asked for is one of {cluster} ({missing}); it has {there}"
                ))),
                (false, false) => Some(Infeasible::NodesMissing(format!(
                    "{cluster} has no node {missing}; it has {there}"
                ))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn definition(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn nodes(wanted: u32) -> Nodes {
        Nodes {
            cluster: "orders".into(),
            wanted,
            names: (0..wanted).map(|ordinal| format!("rabbit@{ordinal}")).collect(),
        }
    }

    #[test]
    fn a_definition_is_read_whoever_wrote_it() {
        assert_eq!(asked(&definition(json!({"message-ttl": 1}))), Asked::Nothing);
        assert_eq!(asked(&definition(json!({"ha-mode": "all"}))), Asked::All);
        let exactly = json!({"ha-mode": "exactly", "ha-params": 2});
        assert_eq!(asked(&definition(exactly)), Asked::Exactly(2));
        let some = json!({"ha-mode": "nodes", "ha-params": ["a", "b"]});
        assert_eq!(asked(&definition(some)), Asked::Nodes(vec!["a".into(), "b".into()]));
    }

    #[test]
    fn more_copies_than_nodes_are_told_with_what_would_be_right() {
        let told = infeasible(&Asked::Exactly(3), &nodes(1)).unwrap();
        assert_eq!(told.reason(), "TooFewNodes");
        assert_eq!(
            told.message(),
            "3 copies of each queue are asked for and orders is to have 1 node: ask for 1, or scale orders to 3 replicas"
        );
        assert_eq!(infeasible(&Asked::Exactly(3), &nodes(3)), None);
        assert_eq!(infeasible(&Asked::All, &nodes(1)), None);
    }

    #[test]
    fn nodes_that_do_not_exist_are_named_with_those_that_do() {
        let some = Asked::Nodes(vec!["rabbit@0".into(), "rabbit@9".into()]);
        let told = infeasible(&some, &nodes(2)).unwrap();
        assert_eq!(
            (told.reason(), told.message()),
            ("NodesMissing", "orders has no node rabbit@9; it has rabbit@0, rabbit@1")
        );
        let none = Asked::Nodes(vec!["rabbit@9".into()]);
        assert_eq!(infeasible(&none, &nodes(2)).unwrap().reason(), "NoSuchNode");
        assert_eq!(infeasible(&Asked::Nodes(vec!["rabbit@1".into()]), &nodes(2)), None);
    }
}
