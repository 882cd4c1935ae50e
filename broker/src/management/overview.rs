//! `/overview`: what this broker is and how much goes through it, as far as the caller may see. Its version and its settings beside that.

mod effective;

use api::{Context, Described, Listener, ObjectTotals, Overview, Rates, SampleRetention};
use axum::{Router, extract::State, routing::get};
use model::ExchangeKind;
use serde_json::Value;
use std::sync::Arc;

use super::{
    Api,
    answer::Outcome,
    bare,
    caller::Caller,
    client_stats::ByVhost,
    cluster_name, connections,
    elsewhere::Elsewhere,
    failure::Failure,
    list::Parameters,
    stats::{self, Asked, Sum},
};
use crate::{
    config::RatesMode,
    host::{NodeCounts, RABBITMQ_VERSION},
    observe::{Change, Past, QueueReading, WholeReading},
};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/overview", get(read))
        .route("/version", get(effective::version))
        .route("/config/effective", get(effective::settings))
}

/// The exchange types that can be declared.
pub fn exchange_types() -> Vec<Described> {
    let kinds = [
        (
            ExchangeKind::Direct,
            "AMQP direct exchange, as per the AMQP specification",
        ),
        (
            ExchangeKind::Fanout,
            "AMQP fanout exchange, as per the AMQP specification",
        ),
        (
            ExchangeKind::Headers,
            "AMQP headers exchange, as per the AMQP specification",
        ),
        (
            ExchangeKind::Topic,
            "AMQP topic exchange, as per the AMQP specification",
        ),
        (ExchangeKind::ConsistentHash, "Consistent hashing exchange"),
        (ExchangeKind::ModulusHash, "Modulus hashing exchange"),
        (ExchangeKind::Random, "Random exchange"),
    ];
    let described = |(kind, description): (ExchangeKind, &str)| Described {
        name: kind.as_str().to_owned(),
        description: description.to_owned(),
        enabled: true,
    };
    kinds.into_iter().map(described).collect()
}

/// The ports that are served.
pub fn listeners(api: &Api) -> Vec<Listener> {
    let listener = |port: crate::host::listener::Port| Listener {
        node: api.node.name().to_string(),
        protocol: port.protocol.to_owned(),
        ip_address: port.address.ip().to_string(),
        port: port.address.port(),
        socket_opts: Value::Array(Vec::new()),
    };
    api.node.ports().into_iter().map(listener).collect()
}

/// The HTTP applications among the ports.
pub fn contexts(api: &Api) -> Vec<Context> {
    let context = |port: crate::host::listener::Port| {
        let description = match port.protocol {
            "http" => "Warren Management",
            "http/prometheus" => "Warren Prometheus",
            _ => return None,
        };
        Some(Context {
            node: Some(api.node.name().to_string()),
            description: description.to_owned(),
            path: "/".to_owned(),
            port: port.address.port().to_string(),
            ssl_opts: Some(Value::Array(Vec::new())),
        })
    };
    api.node.ports().into_iter().filter_map(context).collect()
}

type NodeNumber = fn(&NodeCounts) -> u64;

/// Names and numbers of what came and went.
pub const CHURN: [(&str, NodeNumber); 7] = [
    ("channel_closed", |c| c.channels_closed),
    ("channel_created", |c| c.channels_opened),
    ("connection_closed", |c| c.connections_closed),
    ("connection_created", |c| c.connections_opened),
    ("queue_created", |c| c.queues_created),
    ("queue_declared", |c| c.queues_declared),
    ("queue_deleted", |c| c.queues_deleted),
];

/// What happens to messages before a queue sees them.
const ROUTING: [(&str, NodeNumber); 4] = [
    ("publish", |c| c.published),
    ("confirm", |c| c.confirmed),
    ("return_unroutable", |c| c.returned),
    ("drop_unroutable", |c| c.dropped),
];

/// How the node changed, and what it was.
struct Course {
    change: Option<Change<WholeReading>>,
    past: Option<Past<WholeReading>>,
}

fn add(rates: &mut Rates, now: &NodeCounts, course: &Course, numbers: &[(&str, NodeNumber)]) {
    for (name, number) in numbers {
        let number_of = |whole: &WholeReading| number(&whole.node);
        match &course.change {
            Some(change) => {
                let details = stats::details(change.rate(number_of), course.past.as_ref(), number_of);
                rates.set_with_rate(name, number(now), details);
            }
            None => rates.set(name, number(now)),
        }
    }
}

fn sums(api: &Api, caller: &Caller, asked: Asked) -> (Sum, QueueReading) {
    if caller.is_monitor() {
        return stats::of_all(api, asked);
    }
    let snapshot = api.node.snapshot();
    let seen = snapshot.catalog.vhosts().filter(|vhost| caller.sees(api, vhost.name()));
    stats::of_queues(api, seen.flat_map(|vhost| vhost.queues()), asked)
}

/// What is published in the virtual hosts that the caller sees.
fn published_where_seen(api: &Api, caller: &Caller, asked: Asked) -> Rates {
    let (mut sum, clients) = (Rates::default(), ByVhost::of(api));
    let snapshot = api.node.snapshot();
    for vhost in snapshot.catalog.vhosts().filter(|vhost| caller.sees(api, vhost.name())) {
        let (mut own, mut octets) = (Rates::default(), Rates::default());
        clients.set(api, vhost.name(), asked, (&mut own, &mut octets));
        sum.add(&own, ROUTING.iter().map(|(name, _)| *name));
    }
    sum
}

fn object_totals(api: &Api, caller: &Caller, queues: &QueueReading) -> ObjectTotals {
    let snapshot = api.node.snapshot();
    let seen = || snapshot.catalog.vhosts().filter(|vhost| caller.sees(api, vhost.name()));
    let open = connections::seen(api, caller);
    ObjectTotals {
        channels: open.iter().map(|open| open.client.channel_count() as u64).sum(),
        connections: open.len() as u64,
        consumers: queues.counts.consumers as u64,
        exchanges: seen().map(|vhost| vhost.exchanges().count() as u64).sum(),
        queues: seen().map(|vhost| vhost.queue_count() as u64).sum(),
    }
}

/// Adds what other nodes show of themselves. What queues hold and did is counted already; how fast that changes each node
/// knows of its own.
fn add_others(own: &mut Overview, others: Vec<Overview>) {
    fn names(numbers: &'static [(&'static str, NodeNumber)]) -> impl Iterator<Item = &'static str> {
        numbers.iter().map(|(name, _)| *name)
    }
    for other in others {
        own.object_totals.channels += other.object_totals.channels;
        own.object_totals.connections += other.object_totals.connections;
        own.message_stats.add(&other.message_stats, names(&ROUTING));
        let theirs = (&other.message_stats, &other.queue_totals);
        stats::add_changes(&mut own.message_stats, &mut own.queue_totals, theirs);
        if let (Some(churn), Some(theirs)) = (&mut own.churn_rates, &other.churn_rates) {
            churn.add(theirs, names(&CHURN));
        }
        if let (Some(listeners), Some(theirs)) = (&mut own.listeners, other.listeners) {
            listeners.extend(theirs);
        }
        if let (Some(contexts), Some(theirs)) = (&mut own.contexts, other.contexts) {
            contexts.extend(theirs);
        }
    }
}

async fn read(State(api): State<Arc<Api>>, caller: Caller, others: Elsewhere, query: Parameters) -> Outcome {
    let query = bare::limited(&api, query, bare::OVERVIEW);
    let there = others.shown(&api, &caller).await;
    if !others.is_asked_by_node() {
        api.node.look_around().await;
    }
    let mut own = of_this_node(&api, &caller, &query)?;
    add_others(&mut own, there);
    query.one(own)
}

/// For how many seconds `observe::history` keeps what.
fn retention() -> SampleRetention {
    SampleRetention {
        global: vec![600, 3600, 28_800, 86_400],
        basic: vec![600],
        detailed: Vec::new(),
    }
}

fn of_this_node(api: &Api, caller: &Caller, query: &Parameters) -> Result<Overview, Failure> {
    let config = api.node.config();
    let config = &config.management;
    let asked = Asked::of(query)?;
    let is_bare = bare::is_asked_for(api, query);
    let (sum, reading) = match is_bare {
        true => Default::default(),
        false => sums(api, caller, asked),
    };
    let course = Course {
        change: (config.rates_mode != RatesMode::None).then(|| api.samples.of_node()),
        past: asked.rates.map(|span| api.samples.past_of_node(span)),
    };
    let now = api.node.counters().read();
    let whole = api.node.config();
    let product = whole.shown.product();
    let mut churn = Rates::default();
    add(&mut churn, &now, &course, &CHURN);
    let mut message_stats = sum.message_stats.unwrap_or_default();
    if caller.is_monitor() {
        // What was published is counted once, not once for each queue.
        add(&mut message_stats, &now, &course, &ROUTING);
    } else {
        let published = published_where_seen(api, caller, asked);
        published
            .0
            .into_iter()
            .for_each(|(name, counted)| drop(message_stats.0.insert(name, counted)));
    }
    Ok(Overview {
        management_version: RABBITMQ_VERSION.to_owned(),
        rates_mode: config.rates_mode.word().to_owned(),
        sample_retention_policies: retention(),
        exchange_types: exchange_types(),
        product_version: product.1.to_owned(),
        product_name: product.0.to_owned(),
        cluster_tags: whole.shown.cluster_tags.clone(),
        node_tags: whole.shown.node_tags.clone(),
        rabbitmq_version: RABBITMQ_VERSION.to_owned(),
        cluster_name: cluster_name::of(api),
        erlang_version: String::new(),
        erlang_full_version: String::new(),
        release_series_support_status: "supported".to_owned(),
        disable_stats: is_bare,
        enable_queue_totals: bare::wants_totals(api, query),
        message_stats,
        churn_rates: Some(churn),
        queue_totals: sum.queue_totals,
        object_totals: object_totals(api, caller, &reading),
        statistics_db_event_queue: 0,
        node: caller.is_monitor().then(|| api.node.name().to_string()),
        listeners: caller.is_monitor().then(|| listeners(api)),
        contexts: caller.is_monitor().then(|| contexts(api)),
    })
}
