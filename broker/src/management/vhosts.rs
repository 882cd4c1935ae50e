//! `/vhosts`: virtual hosts with what is in them, and their creation and end.

use api::{Rates, Vhost};
use axum::{
    Router,
    extract::{Path, State},
    routing::{get, post},
};
use catalog::{Command, VhostMetadata};
use model::{Refusal, ReplyCode};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

use super::{
    Api,
    answer::{self, Outcome},
    bare,
    body::{Body, tags},
    caller::{Administrator, Caller},
    client_stats::{ByVhost, of_own_clients},
    elsewhere::Elsewhere,
    failure::{self, Failure},
    list::Parameters,
    permissions,
    stats::{self, Asked, Sum},
    topic_permissions,
};
use crate::host::type_of_new_vhosts;

/// The field that says that a virtual host cannot be deleted.
pub const PROTECTED: &str = "protected_from_deletion";

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/vhosts", get(list))
        .route("/vhosts/{vhost}", get(one).put(put).delete(delete))
        .route("/vhosts/{vhost}/start/{node}", post(start))
        .route("/vhosts/{vhost}/deletion/protection", post(protect).delete(unprotect))
        .route("/vhosts/{vhost}/permissions", get(permissions::of_vhost))
        .route("/vhosts/{vhost}/topic-permissions", get(topic_permissions::of_vhost))
}

/// A virtual host runs while its node does, so there is nothing to start: only to say what cannot be.
async fn start(State(api): State<Arc<Api>>, _: Administrator, Path((vhost, node)): Path<(String, String)>) -> Outcome {
    let snapshot = api.node.snapshot();
    let failed = |why: &str| {
        Err(Failure::bad_request(format!(
            "Request to node {node} failed with {why}"
        )))
    };
    if !snapshot.catalog.nodes().any(|known| *known.name == *node && known.up) {
        return failed("nodedown");
    }
    match snapshot.catalog.vhost(&vhost) {
        Some(_) => answer::done(),
        None => failed(&format!("{{no_such_vhost,<<\"{vhost}\">>}}")),
    }
}

async fn protect(State(api): State<Arc<Api>>, _: Administrator, Path(vhost): Path<String>) -> Outcome {
    set_protection(&api, &vhost, true).await
}

async fn unprotect(State(api): State<Arc<Api>>, _: Administrator, Path(vhost): Path<String>) -> Outcome {
    set_protection(&api, &vhost, false).await
}

async fn set_protection(api: &Api, vhost: &str, protected: bool) -> Outcome {
    let found = api.node.snapshot().catalog.vhost(vhost).cloned();
    let found = found.ok_or_else(Failure::not_found)?;
    let metadata = VhostMetadata {
        protected,
        ..found.metadata().clone()
    };
    let name = found.name().clone();
    api.node.commit(Command::PutVhost { name, metadata }).await?;
    answer::done()
}

/// Without `asked` there are no statistics: they cost a look at every queue.
fn shape(api: &Api, vhost: &catalog::Vhost, asked: Option<Asked>, traffic: &ByVhost) -> Vhost {
    let metadata = vhost.metadata();
    let mut more = BTreeMap::from([
        ("description".to_owned(), Value::from(metadata.description.as_str())),
        ("tags".to_owned(), Value::from(metadata.tags.clone())),
    ]);
    if metadata.protected {
        more.insert(PROTECTED.to_owned(), Value::from(true));
    }
    let mut totals = asked.map_or_else(Sum::default, |asked| stats::of_vhost(api, vhost, asked));
    if let Some(asked) = asked {
        let stats = totals.message_stats.get_or_insert_default();
        traffic.set(api, vhost.name(), asked, (stats, &mut totals.queue_totals));
    }
    Vhost {
        name: vhost.name().to_string(),
        description: metadata.description.clone(),
        tags: metadata.tags.clone(),
        default_queue_type: metadata
            .default_queue_type
            .map_or_else(|| "undefined".to_owned(), |kind| kind.to_string()),
        metadata: more,
        tracing: metadata.tracing,
        protected_from_deletion: metadata.protected,
        cluster_state: BTreeMap::from([(api.node.name().to_string(), "running".to_owned())]),
        message_stats: totals.message_stats,
        totals: totals.queue_totals,
    }
}

/// Adds what another node shows of the same: how fast its queues change, and what its clients do.
fn add(own: &mut Vhost, theirs: &Vhost) {
    let nothing = Rates::default();
    let stats = theirs.message_stats.as_ref().unwrap_or(&nothing);
    let own_stats = own.message_stats.get_or_insert_default();
    stats::add_changes(own_stats, &mut own.totals, (stats, &theirs.totals));
    own_stats.add(stats, of_own_clients());
    own.totals.add(&theirs.totals, of_own_clients());
    own.cluster_state.extend(theirs.cluster_state.clone());
}

async fn list(State(api): State<Arc<Api>>, caller: Caller, others: Elsewhere, query: Parameters) -> Outcome {
    let asked = match bare::is_asked_for(&api, &query) {
        true => None,
        false => Some(Asked::of_list(&query, api.node.snapshot().catalog.vhosts().count())?),
    };
    let there = match asked {
        Some(_) => others.rows(&api, &caller).await,
        None => Vec::new(),
    };
    let there: Vec<Vhost> = there
        .into_iter()
        .filter_map(|row| serde_json::from_value(row).ok())
        .collect();
    if asked.is_some() && !others.is_asked_by_node() {
        api.node.look_around().await;
    }
    let snapshot = api.node.snapshot();
    let rows: Vec<_> = snapshot
        .catalog
        .vhosts()
        .filter(|vhost| caller.sees(&api, vhost.name()))
        .collect();
    let traffic = ByVhost::of(&api);
    query.pages(
        rows,
        |vhost| vhost.name().as_str(),
        |vhost| {
            let mut own = shape(&api, vhost, asked, &traffic);
            let is_same = |theirs: &&Vhost| theirs.name == vhost.name().as_str();
            for theirs in there.iter().filter(is_same) {
                add(&mut own, theirs);
            }
            own
        },
    )
}

async fn one(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(vhost): Path<String>,
    others: Elsewhere,
    query: Parameters,
) -> Outcome {
    let name = caller.look_into(&api, &vhost)?;
    let is_bare = bare::is_asked_for(&api, &query);
    let there: Vec<Vhost> = match is_bare {
        true => Vec::new(),
        false => others.shown(&api, &caller).await,
    };
    if !is_bare && !others.is_asked_by_node() {
        api.node.look_around().await;
    }
    let snapshot = api.node.snapshot();
    let found = snapshot.catalog.vhost(name.as_str()).ok_or_else(Failure::not_found)?;
    let asked = (!is_bare).then(|| Asked::of(&query)).transpose()?;
    let mut own = shape(&api, found, asked, &ByVhost::of(&api));
    for theirs in &there {
        add(&mut own, theirs);
    }
    query.one(own)
}

/// What the body says. Description and tags that are missing become empty, as in RabbitMQ; the others stay.
fn metadata(body: &Body, before: VhostMetadata) -> Result<VhostMetadata, Failure> {
    let kind = match body.text("default_queue_type")? {
        None => before.default_queue_type,
        Some("undefined" | "") => None,
        Some(word) => {
            let bad = || {
                Failure::bad_request(format!(
                    "unknown default_queue_type '{word}', use 'classic' or 'quorum'"
                ))
            };
            Some(word.parse().map_err(|_| bad())?)
        }
    };
    Ok(VhostMetadata {
        description: body.text("description")?.map_or_else(String::new, str::to_owned),
        tags: body.get("tags").map_or(Ok(Vec::new()), tags)?,
        default_queue_type: kind,
        tracing: body.boolean("tracing", before.tracing)?,
        protected: body.boolean(PROTECTED, before.protected)?,
    })
}

/// Whoever creates a virtual host may do everything in it.
async fn put(
    State(api): State<Arc<Api>>,
    Administrator(caller): Administrator,
    Path(vhost): Path<String>,
    body: Body,
) -> Outcome {
    let name: model::VhostName = vhost.parse().map_err(permissions::bad_name)?;
    let before = api
        .node
        .snapshot()
        .catalog
        .vhost(&vhost)
        .map(|found| found.metadata().clone());
    let new = || VhostMetadata {
        default_queue_type: type_of_new_vhosts(&api.node.config()),
        ..VhostMetadata::default()
    };
    let metadata = metadata(&body, before.unwrap_or_else(new))?;
    let own = Command::SetPermissions {
        vhost: name.clone(),
        user: caller.user.name.clone(),
        permissions: permissions::everything(),
    };
    answer::put(api.node.put_vhost(name, metadata, vec![own]).await?)
}

async fn delete(State(api): State<Arc<Api>>, _: Administrator, Path(vhost): Path<String>) -> Outcome {
    let name = vhost.parse().map_err(permissions::bad_name)?;
    let answer = api.node.commit(Command::DeleteVhost(name)).await;
    let refused = |refusal: Refusal| match refusal.code {
        ReplyCode::PreconditionFailed => Failure::precondition(refusal.text),
        _ => failure::absent(refusal),
    };
    answer::deleted(answer.map_err(refused)?)
}
