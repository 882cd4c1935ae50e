//! `/health/checks` of RabbitMQ 4: whether the node serves clients, has room for more, knows its definitions, and whether its cluster
//! has the size that it shall have.
//!
//! Each looks at the node as it is now; `ready-to-serve-clients` combines three of them.

use api::Health;
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use catalog::QueueRecord;
use std::sync::Arc;

use super::{
    Api,
    answer::Outcome,
    caller::Caller,
    failure::Failure,
    health::{named, verdict},
};
use crate::host::Node;

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/health/checks/is-in-service", get(in_service))
        .route("/health/checks/below-node-connection-limit", get(below_limit))
        .route("/health/checks/ready-to-serve-clients", get(ready))
        .route("/health/checks/reached-target-cluster-size", get(reached_target_size))
        .route("/health/checks/metadata-store/initialized", get(initialised))
        .route(
            "/health/checks/metadata-store/initialized/with-data",
            get(initialised_with_data),
        )
        .route(
            "/health/checks/quorum-queues-without-elected-leaders/all-vhosts",
            get(all_leaders),
        )
        .route(
            "/health/checks/quorum-queues-without-elected-leaders/all-vhosts/pattern/{pattern}",
            get(all_leaders_like),
        )
        .route(
            "/health/checks/quorum-queues-without-elected-leaders/vhost/{vhost}",
            get(leaders_of),
        )
        .route(
            "/health/checks/quorum-queues-without-elected-leaders/vhost/{vhost}/pattern/{pattern}",
            get(leaders_of_like),
        )
}

fn judged(problem: Option<String>) -> Outcome {
    verdict(problem.map_or_else(Health::ok, |reason| Health::failed(&reason)))
}

fn not_in_service(node: &Node) -> Option<String> {
    match (node.is_under_maintenance(), node.serves()) {
        (true, _) => Some("the node is under maintenance".to_owned()),
        (false, false) => {
            Some("the node does not serve clients: it stops, or no majority of its cluster answers".to_owned())
        }
        (false, true) => None,
    }
}

fn over_limit(node: &Node) -> Option<String> {
    let max = node.config().amqp.connections_max.max()?;
    let open = node.open_clients().len() as u64;
    (open >= max).then(|| format!("{open} client connections are open, connection_max is {max}"))
}

fn no_listener(node: &Node) -> Option<String> {
    let has = |wanted: &str| node.ports().iter().any(|port| port.protocol == wanted);
    (!has("amqp") && !has("amqp/ssl")).then(|| "No active listener of amqp".to_owned())
}

async fn in_service(State(api): State<Arc<Api>>, _: Caller) -> Outcome {
    judged(not_in_service(&api.node))
}

async fn below_limit(State(api): State<Arc<Api>>, _: Caller) -> Outcome {
    judged(over_limit(&api.node))
}

async fn ready(State(api): State<Arc<Api>>, _: Caller) -> Outcome {
    let node = &api.node;
    judged(
        not_in_service(node)
            .or_else(|| no_listener(node))
            .or_else(|| over_limit(node)),
    )
}

async fn reached_target_size(State(api): State<Arc<Api>>, _: Caller) -> Outcome {
    verdict(target_size(&api.node))
}

pub(super) fn target_size(node: &Node) -> Health {
    let size = node.cluster_size();
    let (online, target) = (size.online, size.target);
    match size.is_reached() {
        true => Health::ok(),
        false => Health {
            online: Some(online),
            target: Some(target),
            ..Health::failed(&format!(
                "target cluster size not reached: {online} of {target} nodes are online"
            ))
        },
    }
}

/// Whoever gets here has been let in by the definitions: they are there.
async fn initialised(_: Caller) -> Outcome {
    verdict(Health::ok())
}

async fn initialised_with_data(State(api): State<Arc<Api>>, _: Caller) -> Outcome {
    let snapshot = api.node.snapshot();
    let is_blank = snapshot.catalog.vhosts().next().is_none();
    judged(is_blank.then(|| "there is no virtual host".to_owned()))
}

/// Quorum queues of these virtual hosts that nobody leads, of names that match.
fn leaderless(api: &Api, caller: &Caller, vhost: Option<&str>, pattern: &str) -> Outcome {
    let wrong = |why: access::PatternError| Failure::bad_request(format!("pattern {pattern}: {why}"));
    let pattern = access::Pattern::new(pattern).map_err(wrong)?;
    let snapshot = api.node.snapshot();
    if let Some(vhost) = vhost {
        caller.look_into(api, vhost)?;
    }
    let vhosts = snapshot.catalog.vhosts();
    let seen =
        vhosts.filter(|own| vhost.map_or_else(|| caller.sees(api, own.name()), |one| own.name().as_str() == one));
    let wanted = |record: &&Arc<QueueRecord>| {
        record.is_quorum() && !snapshot.is_led(record) && pattern.matches(record.name.as_str())
    };
    let found = seen.flat_map(|vhost| vhost.queues().filter(wanted).map(|record| named(record)));
    let queues: Vec<_> = found.collect();
    verdict(match queues.is_empty() {
        true => Health::ok(),
        false => Health {
            queues: Some(queues),
            ..Health::failed("There are quorum queues without an elected leader")
        },
    })
}

async fn all_leaders(State(api): State<Arc<Api>>, caller: Caller) -> Outcome {
    leaderless(&api, &caller, None, ".*")
}

async fn all_leaders_like(State(api): State<Arc<Api>>, caller: Caller, Path(pattern): Path<String>) -> Outcome {
    leaderless(&api, &caller, None, &pattern)
}

async fn leaders_of(State(api): State<Arc<Api>>, caller: Caller, Path(vhost): Path<String>) -> Outcome {
    leaderless(&api, &caller, Some(&vhost), ".*")
}

async fn leaders_of_like(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((vhost, pattern)): Path<(String, String)>,
) -> Outcome {
    leaderless(&api, &caller, Some(&vhost), &pattern)
}
