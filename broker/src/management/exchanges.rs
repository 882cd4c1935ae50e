//! `/exchanges`: where messages are published. The default exchange is called `amq.default` in paths.

use api::{Exchange, Rates};
use axum::{
    Router,
    extract::{Path, State},
    routing::{get, post},
};
use catalog::{DeclareExchange, ExchangeRecord, Request};
use model::{ExchangeName, ReplyCode};
use std::{collections::BTreeMap, sync::Arc};

use super::{
    Api,
    answer::{self, Outcome},
    bare, bindings,
    body::Body,
    caller::Caller,
    client_stats,
    elsewhere::Elsewhere,
    failure::Failure,
    flows,
    list::Parameters,
    messages,
    permissions::bad_name,
    stats::Asked,
};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/exchanges", get(list))
        .route("/exchanges/{vhost}", get(of_vhost))
        .route("/exchanges/{vhost}/{exchange}", get(one).put(put).delete(delete))
        .route(
            "/exchanges/{vhost}/{exchange}/bindings/source",
            get(bindings::from_exchange),
        )
        .route(
            "/exchanges/{vhost}/{exchange}/bindings/destination",
            get(bindings::to_exchange),
        )
        .route("/exchanges/{vhost}/{exchange}/publish", post(messages::publish))
}

/// The exchange that a path means.
///
/// # Errors
/// 400 when it can be no name.
pub fn name(in_path: &str) -> Result<ExchangeName, Failure> {
    match in_path {
        "amq.default" => Ok(ExchangeName::default()),
        other => other.parse().map_err(bad_name),
    }
}

fn shape(api: &Api, record: &ExchangeRecord, asked: Asked) -> Exchange {
    Exchange {
        name: record.name.to_string(),
        vhost: record.vhost.to_string(),
        kind: record.kind.as_str().to_owned(),
        durable: record.durable,
        auto_delete: record.auto_delete,
        internal: record.internal,
        arguments: api::to_json(&record.args.table),
        policy: record.policy.as_ref().map(|policy| policy.name.to_string()),
        user_who_performed_action: record.user.to_string(),
        message_stats: client_stats::of_exchange(api, record, asked.rates),
        incoming: None,
        outgoing: None,
    }
}

/// What other nodes know of exchanges, each by its place and name.
struct There(BTreeMap<(String, String), Vec<Rates>>);

impl There {
    /// Each node knows what was published there.
    async fn of(api: &Api, caller: &Caller, others: &Elsewhere) -> Self {
        let mut all: BTreeMap<_, Vec<Rates>> = BTreeMap::new();
        let shown = others.rows(api, caller).await.into_iter();
        for exchange in shown.filter_map(|row| serde_json::from_value::<Exchange>(row).ok()) {
            let key = (exchange.vhost, exchange.name);
            all.entry(key).or_default().extend(exchange.message_stats);
        }
        There(all)
    }

    fn add_to(&self, own: &mut Exchange) {
        // The map is empty where there are no other nodes.
        let theirs = match self.0.is_empty() {
            true => None,
            false => self.0.get(&(own.vhost.clone(), own.name.clone())),
        };
        theirs.into_iter().flatten().for_each(|theirs| add(own, theirs));
    }
}

fn add(own: &mut Exchange, theirs: &Rates) {
    let names = theirs.0.keys().map(String::as_str);
    own.message_stats.get_or_insert_default().add(theirs, names);
}

async fn pages(
    (api, caller, others): (&Api, &Caller, &Elsewhere),
    query: &Parameters,
    rows: Vec<&Arc<ExchangeRecord>>,
) -> Outcome {
    let is_bare = bare::is_asked_for(api, query);
    let there = match is_bare {
        true => There(BTreeMap::new()),
        false => There::of(api, caller, others).await,
    };
    let asked = Asked::of_list(query, rows.len())?;
    let build = |record: &&Arc<ExchangeRecord>| {
        let mut own = shape(api, record, asked);
        there.add_to(&mut own);
        Exchange {
            message_stats: own.message_stats.filter(|_| !is_bare),
            ..own
        }
    };
    query.pages(rows, |record| record.name.as_str(), build)
}

async fn list(State(api): State<Arc<Api>>, caller: Caller, others: Elsewhere, query: Parameters) -> Outcome {
    let snapshot = api.node.snapshot();
    let seen = snapshot
        .catalog
        .vhosts()
        .filter(|vhost| caller.sees(&api, vhost.name()));
    let rows = seen.flat_map(|vhost| vhost.exchanges()).collect();
    pages((&api, &caller, &others), &query, rows).await
}

async fn of_vhost(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path(vhost): Path<String>,
    others: Elsewhere,
    query: Parameters,
) -> Outcome {
    let vhost = caller.look_into(&api, &vhost)?;
    let snapshot = api.node.snapshot();
    let found = snapshot.catalog.vhost(vhost.as_str()).ok_or_else(Failure::not_found)?;
    pages((&api, &caller, &others), &query, found.exchanges().collect()).await
}

/// An exchange that the caller may see.
///
/// # Errors
/// 404, or 401 for its virtual host.
pub fn find(api: &Api, caller: &Caller, vhost: &str, exchange: &str) -> Result<Arc<ExchangeRecord>, Failure> {
    let vhost = caller.look_into(api, vhost)?;
    let name = name(exchange)?;
    let snapshot = api.node.snapshot();
    let found = snapshot
        .catalog
        .vhost(vhost.as_str())
        .and_then(|vhost| vhost.exchange(name.as_str()).cloned());
    found.ok_or_else(Failure::not_found)
}

async fn one(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((vhost, exchange)): Path<(String, String)>,
    others: Elsewhere,
    query: Parameters,
) -> Outcome {
    let record = find(&api, &caller, &vhost, &exchange)?;
    let asked = Asked::of(&query)?;
    // Each node knows what was published there.
    let there: Vec<Exchange> = others.shown(&api, &caller).await;
    let mut own = shape(&api, &record, asked);
    let theirs = there.into_iter().filter_map(|exchange| exchange.message_stats);
    theirs.for_each(|theirs| add(&mut own, &theirs));
    let (incoming, outgoing) = flows::of_exchange(&api, &record);
    query.one(Exchange {
        incoming: Some(incoming),
        outgoing: Some(outgoing),
        ..own
    })
}

async fn put(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((vhost, exchange)): Path<(String, String)>,
    body: Body,
) -> Outcome {
    let client = caller
        .enter(&api, &vhost)
        .map_err(|failure| match failure == Failure::not_found() {
            true => Failure::missing("vhost_not_found"),
            false => failure,
        })?;
    let declare = DeclareExchange {
        name: name(&exchange)?,
        kind: body.text("type")?.unwrap_or("direct").to_owned(),
        passive: false,
        durable: body.boolean("durable", false)?,
        auto_delete: body.boolean("auto_delete", false)?,
        internal: body.boolean("internal", false)?,
        arguments: body.arguments("arguments")?,
    };
    let existed = find(&api, &caller, &vhost, &exchange).is_ok();
    api.node.request(&client, Request::DeclareExchange(declare)).await?;
    answer::put(match existed {
        true => catalog::Answer::Done,
        false => catalog::Answer::Created,
    })
}

async fn delete(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Path((vhost, exchange)): Path<(String, String)>,
    query: Parameters,
) -> Outcome {
    let client = caller.enter(&api, &vhost)?;
    let request = Request::DeleteExchange {
        name: find(&api, &caller, &vhost, &exchange)?.name.clone(),
        if_unused: query.is_true("if-unused"),
    };
    let refused = |refusal: model::Refusal| match refusal.code {
        ReplyCode::NotFound => Failure::not_found(),
        _ => Failure::from(refusal),
    };
    answer::deleted(api.node.request(&client, request).await.map_err(refused)?)
}
