//! The cluster as the command line sees and changes it: by the node's own process while its app is stopped, by the node
//! while it runs.
//!
//! What the cluster refuses is told in RabbitMQ's words where it has some.

use catalog::NodeKind;
use link::{Failure, Request, Term};

use super::Outcome;
use crate::{
    cluster::{
        outside::OutsideError,
        presence::{ClusterError, NodeStatus, Status},
        transport::Turned,
    },
    process::{self, MembershipError, Process},
};

/// None is a request of another kind.
pub(super) async fn execute(process: &Process, request: &Request) -> Option<Outcome> {
    let done = match request {
        Request::Join { seed, ram } => join(process, seed, kind(*ram)).await,
        Request::Forget { node, offline } => forget(process, node, *offline).await,
        Request::UpdateNodes { seed } => process
            .learn_members(seed)
            .await
            .map_err(unlearnt)
            .map(|()| Term::none()),
        Request::ChangeNodeType { ram } => change(process, kind(*ram)).await,
        Request::Reset { force: false } => leave(process).await?,
        Request::ForceBoot => process.force_boot().await.map_err(failure).map(|()| Term::none()),
        Request::ForceMajority => {
            let forced = process.force_majority().await;
            forced
                .map(|()| Term::none())
                .map_err(|why| Failure::Refused(format!("{why:#}")))
        }
        _ => return None,
    };
    Some(done)
}

fn kind(ram: bool) -> NodeKind {
    match ram {
        true => NodeKind::Ram,
        false => NodeKind::Disc,
    }
}

fn worded(word: &str, text: &str) -> Failure {
    Failure::Cluster {
        word: word.to_owned(),
        text: text.to_owned(),
    }
}

fn failure(error: MembershipError) -> Failure {
    match error {
        MembershipError::Running => Failure::AppRunning,
        MembershipError::Alone => worded("not_clustered", "Non-clustered nodes can only be disc nodes."),
        MembershipError::Cluster(OutsideError::Unreachable { source, .. }) => Failure::Unreachable(source.to_string()),
        other => Failure::Refused(other.to_string()),
    }
}

/// Why the members could not be learnt from another node.
fn unlearnt(error: MembershipError) -> Failure {
    let inconsistent = || {
        worded(
            "inconsistent_cluster",
            "The nodes provided do not have this node as part of the cluster.",
        )
    };
    match error {
        MembershipError::Stranger => inconsistent(),
        MembershipError::Cluster(OutsideError::Unreachable { source, .. }) if is_removed(&source) => inconsistent(),
        other => failure(other),
    }
}

fn nobody_online() -> Failure {
    worded(
        "no_running_cluster_nodes",
        "You cannot leave a cluster if no online nodes are present.",
    )
}

/// The members as this node knew them last, and whether it is the only one of them that may decide.
async fn known(process: &Process) -> Result<(Option<Status>, bool), Failure> {
    let status = process
        .status()
        .await
        .map_err(|error| Failure::Refused(error.to_string()))?;
    let is_last = status.as_ref().is_some_and(|status| {
        let deciding = |node: &&NodeStatus| node.kind == NodeKind::Disc;
        let mut disc = status.nodes.iter().filter(deciding);
        status.nodes.len() > 1 && disc.all(|node| node.name == process.name())
    });
    Ok((status, is_last))
}

async fn join(process: &Process, seed: &str, kind: NodeKind) -> Outcome {
    if known(process).await?.1 {
        return Err(worded(
            "clustering_only_disc_node",
            "You cannot cluster a node if it is the only disc node in its existing  cluster. If new nodes joined while \
             this node was offline, use 'update_cluster_nodes' to add them manually.",
        ));
    }
    match process.join(seed, kind).await {
        Ok(()) => Ok(Term::none()),
        Err(MembershipError::Cluster(OutsideError::Already)) => Ok(Term::atom("already_member")),
        Err(error) => Err(failure(error)),
    }
}

/// None: there is nobody to be left, so the node is only reset.
async fn leave(process: &Process) -> Option<Outcome> {
    let is_last = match known(process).await {
        Ok((_, is_last)) => is_last,
        Err(failure) => return Some(Err(failure)),
    };
    if is_last && process.running().is_none() {
        return Some(Err(worded(
            "resetting_only_disc_node",
            "You cannot reset a node when it is the only disc node in a cluster. Please convert another node of the \
             cluster to a disc node first.",
        )));
    }
    match process.leave().await {
        Ok(()) => Some(Ok(Term::none())),
        Err(MembershipError::Alone) => None,
        // Who was removed before has nothing to leave.
        Err(MembershipError::Cluster(OutsideError::Unreachable { source, .. })) if is_removed(&source) => None,
        Err(MembershipError::Cluster(OutsideError::Unreachable { .. } | OutsideError::Nobody)) => {
            Some(Err(nobody_online()))
        }
        Err(error) => Some(Err(failure(error))),
    }
}

fn is_removed(error: &std::io::Error) -> bool {
    let turned = error.get_ref().and_then(|inner| inner.downcast_ref::<Turned>());
    matches!(turned, Some(Turned::Removed { .. } | Turned::Unknown { .. }))
}

async fn change(process: &Process, kind: NodeKind) -> Outcome {
    let is_last = known(process).await?.1;
    if is_last && kind == NodeKind::Ram {
        return Err(worded(
            "resetting_only_disc_node",
            "You cannot reset a node when it is the only disc node in a cluster. Please convert another node of the \
             cluster to a disc node first.",
        ));
    }
    match process.set_kind(kind).await {
        Ok(()) => Ok(Term::none()),
        Err(MembershipError::Cluster(OutsideError::Unreachable { .. } | OutsideError::Nobody)) => Err(worded(
            "no_online_cluster_nodes",
            "Could not find any online cluster nodes. If the cluster has changed, you can use the \
             'update_cluster_nodes' command.",
        )),
        Err(error) => Err(failure(error)),
    }
}

async fn forget(process: &Process, name: &str, offline: bool) -> Outcome {
    let stranger = || worded("not_a_cluster_node", "The node selected is not in the cluster.");
    let status = known(process).await?.0;
    let member = status.and_then(|status| status.nodes.into_iter().find(|node| node.name == name));
    let (app, member) = match (offline, process.running(), member) {
        (true, ..) => return Err(Failure::ProcessRunning),
        (false, Some(app), Some(member)) => (app, member),
        (false, None, Some(_)) => {
            return Err(worded(
                "offline_node_no_offline_flag",
                "You are trying to remove a node from an offline node. That is dangerous, but can be done with the \
                 --offline flag. Please consult the manual for rabbitmqctl for more information.",
            ));
        }
        (false, _, None) => return Err(stranger()),
    };
    if name == process.name() {
        let last = format!("{{:failed_to_remove_node, :{name}, {{:combine_error, :schema, 'Last replica'}}}}");
        return Err(Failure::Refused(last));
    }
    if member.up {
        return Err(Failure::Refused(format!(
            "RabbitMQ on node {name} must be stopped with 'rabbitmqctl -n {name} stop_app' before it can be removed"
        )));
    }
    let (node, name) = (app.node.clone(), name.to_owned());
    let forgotten = app
        .handle
        .spawn(async move {
            match node.presence() {
                Some(presence) => presence.forget(&name).await,
                None => Err(ClusterError::NotAMember),
            }
        })
        .await;
    match forgotten.map_err(|error| Failure::Refused(error.to_string()))? {
        Ok(()) => Ok(Term::none()),
        Err(ClusterError::NotAMember) => Err(stranger()),
        Err(error @ ClusterError::Refused(_)) => Err(Failure::Refused(error.to_string())),
    }
}

/// What `cluster_status` begins with: the members, and what all have.
/// The nodes that discovery names.
pub(super) fn discovered(node: &crate::host::Node) -> Outcome {
    let (own, config) = (node.name().clone(), node.config());
    let found = tokio::runtime::Handle::current().block_on(process::discovered(&own, &config.formation));
    let found = found.map_err(|why| Failure::Refused(format!("{why:#}")))?;
    Ok(Term::List(found.into_iter().map(Term::atom).collect()))
}

pub(super) fn status(node: &crate::host::Node) -> Term {
    let members = node.presence().map(|presence| presence.status().nodes);
    let map = |pairs: Vec<(&str, Term)>| {
        let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value));
        Term::Map(pairs.collect())
    };
    let member = |member: &NodeStatus| {
        let kind = match member.kind {
            NodeKind::Disc => "disc",
            NodeKind::Ram => "ram",
        };
        map(vec![
            ("name", Term::atom(&member.name)),
            ("kind", Term::atom(kind)),
            ("running", Term::Bool(member.up)),
        ])
    };
    let flag = |(name, desc): (&str, &str)| {
        map(vec![
            ("desc", Term::text(desc)),
            ("doc_url", Term::text("")),
            ("name", Term::atom(name)),
            ("provided_by", Term::atom("rabbit")),
            ("stability", Term::atom("stable")),
            ("state", Term::atom("enabled")),
        ])
    };
    let flags = crate::management::FEATURE_FLAGS.into_iter().map(flag).collect();
    map(vec![
        ("cluster_name", Term::text(&*node.cluster_name())),
        (
            "nodes",
            Term::List(members.unwrap_or_default().iter().map(member).collect()),
        ),
        ("feature_flags", Term::List(flags)),
    ])
}
