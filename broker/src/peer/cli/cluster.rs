//! The cluster as the command line sees and changes it.
//!
//! What cannot be is told in RabbitMQ's words. A node that stands alone has no cluster to leave or to decide with.

use link::{Failure, Request, Term};

use super::Outcome;
use crate::{host::Node, management::FEATURE_FLAGS, process::Process};

/// None is a request of another kind.
pub(super) fn execute(process: &Process, request: &Request) -> Option<Outcome> {
    let stopped = process.running().is_none();
    let outcome = match request {
        Request::Join { .. } | Request::ChangeNodeType { .. } | Request::ForceBoot if !stopped => {
            Err(Failure::AppRunning)
        }
        Request::Join { seed, .. } => Err(Failure::Refused(format!(
            "this version runs single nodes: it cannot join the cluster of {seed}"
        ))),
        Request::ChangeNodeType { .. } => Err(worded("not_clustered", "Non-clustered nodes can only be disc nodes.")),
        Request::Forget { offline: true, .. } => Err(Failure::ProcessRunning),
        Request::Forget { node, .. } if node == process.name() => Err(Failure::Refused(format!(
            "{{:failed_to_remove_node, :{node}, {{:combine_error, :schema, 'Last replica'}}}}"
        ))),
        Request::Forget { .. } => Err(worded("not_a_cluster_node", "The node selected is not in the cluster.")),
        // Who stands alone waits for nobody at its next start, and decides alone anyway.
        Request::ForceBoot | Request::ForceMajority => Ok(Term::none()),
        _ => return None,
    };
    Some(outcome)
}

fn worded(word: &str, text: &str) -> Failure {
    Failure::Cluster {
        word: word.to_owned(),
        text: text.to_owned(),
    }
}

fn map(pairs: Vec<(&str, Term)>) -> Term {
    let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value));
    Term::Map(pairs.collect())
}

/// What `cluster_status` begins with: the members, and what all have.
pub(super) fn status(node: &Node) -> Term {
    let snapshot = node.snapshot();
    let member = |member: &std::sync::Arc<catalog::NodeRecord>| {
        map(vec![
            ("name", Term::atom(&*member.name)),
            ("kind", Term::atom("disc")),
            ("running", Term::Bool(member.up)),
        ])
    };
    let mut members: Vec<_> = snapshot.catalog.nodes().collect();
    members.sort_by(|one, other| one.name.cmp(&other.name));
    map(vec![
        ("cluster_name", Term::text(node.cluster_name())),
        ("nodes", Term::List(members.into_iter().map(member).collect())),
        ("feature_flags", Term::List(FEATURE_FLAGS.map(flag).into())),
    ])
}

fn flag((name, desc): (&str, &str)) -> Term {
    map(vec![
        ("desc", Term::text(desc)),
        ("doc_url", Term::text("")),
        ("name", Term::atom(name)),
        ("provided_by", Term::atom("rabbit")),
        ("stability", Term::atom("stable")),
        ("state", Term::atom("enabled")),
    ])
}
