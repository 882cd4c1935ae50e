//! `/nodes`: this node and its machine. Numbers that only an Erlang runtime has are left out.

use api::{Application, Context, Described, MeanTime, Node, NodeIo, Rate, Rates, TimeSample};
use axum::{
    Router,
    extract::{Path, State},
    routing::get,
};
use catalog::{NodeKind, NodeRecord};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

use super::{
    Api,
    answer::Outcome,
    bare,
    caller::{Caller, Monitor},
    elsewhere::Elsewhere,
    failure::Failure,
    list::Parameters,
    overview::{CHURN, contexts, exchange_types},
    stats::{self, Asked},
};
use crate::{
    host::{FileCounts, alarms},
    observe::{self, Change, Machine, Past, Span, WholeReading},
};

/// The routes of this resource.
pub fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/nodes", get(list))
        .route("/nodes/{node}", get(one))
        .route("/nodes/{node}/memory", get(memory))
        .route("/nodes/{node}/memory/relative", get(memory_relative))
        .route("/nodes/{node}/memory/ets", get(tables))
        .route("/nodes/{node}/memory/ets/relative", get(tables))
        .route("/nodes/{node}/memory/ets/{filter}", get(tables_of))
        .route("/nodes/{node}/memory/ets/{filter}/relative", get(tables_of))
}

fn mechanisms(api: &Api) -> Vec<Described> {
    let described = |mechanism: &crate::config::Mechanism| Described {
        name: mechanism.word().to_owned(),
        description: format!("SASL {} authentication mechanism", mechanism.word()),
        enabled: true,
    };
    api.node.config().access.mechanisms.values().map(described).collect()
}

fn applications(api: &Api) -> Vec<Application> {
    let application = |(name, description): (&str, &str)| Application {
        name: name.to_owned(),
        description: description.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    api.node.plugins().applications().map(application).collect()
}

fn log_files(api: &Api) -> Vec<String> {
    let config = api.node.config();
    let file = config
        .log
        .file_path(&config.node.name)
        .map(|path| path.display().to_string());
    let console = config
        .log
        .console
        .enabled
        .then(|| format!("<{}>", config.log.console.stream.word()));
    let own = config
        .log
        .category_files()
        .map(|(_, path, _)| path.display().to_string());
    file.into_iter().chain(own).chain(console).collect()
}

/// How the numbers of the machine change, and what they were, if that was asked for.
struct Course {
    change: Option<Change<WholeReading>>,
    past: Option<Past<WholeReading>>,
}

impl Course {
    fn of(api: &Api, span: Option<Span>) -> Self {
        Course {
            change: stats::keeps_rates(api).then(|| api.samples.of_node()),
            past: span.map(|span| api.samples.past_of_node(span)),
        }
    }

    fn details(&self, number: impl Fn(&WholeReading) -> u64) -> Option<Rate> {
        let change = self.change.as_ref()?;
        Some(stats::details(change.rate(&number), self.past.as_ref(), number))
    }

    fn set(&self, to: &mut Rates, name: &str, now: u64, number: impl Fn(&WholeReading) -> u64) {
        match self.details(number) {
            Some(details) => to.set_with_rate(name, now, details),
            None => to.set(name, now),
        }
    }

    /// How long something takes: in the last seconds, or over the past that was asked for.
    fn time(&self, how_often: FileNumber, ns: FileNumber) -> Option<MeanTime> {
        let change = self.change.as_ref()?;
        let Some(past) = &self.past else {
            let grown = |number: FileNumber| number(&change.after.files).saturating_sub(number(&change.before.files));
            let rate = mean_ms(grown(ns), grown(how_often));
            return Some(MeanTime { rate, series: None });
        };
        let sample = |(at, reading): &(model::Millis, WholeReading)| TimeSample {
            sample: mean_ms(ns(&reading.files), how_often(&reading.files)),
            timestamp: at.0,
        };
        Some(MeanTime::of(past.iter().map(sample).collect()))
    }
}

type FileNumber = fn(&FileCounts) -> u64;

/// What happened to files and definitions, by its name.
const FILES: [(&str, FileNumber); 7] = [
    ("io_read_count", |c| c.reads),
    ("io_read_bytes", |c| c.read_octets),
    ("io_write_count", |c| c.writes),
    ("io_write_bytes", |c| c.written_octets),
    ("io_sync_count", |c| c.syncs),
    ("msg_store_read_count", |c| c.pages_loaded),
    ("msg_store_write_count", |c| c.pages_out),
];

fn mean_ms(ns: u64, count: u64) -> f64 {
    match count {
        0 => 0.0,
        count => ns as f64 / 1_000_000.0 / count as f64,
    }
}

fn io(files: &FileCounts, course: &Course) -> NodeIo {
    NodeIo {
        io_read_avg_time: mean_ms(files.read_ns, files.reads),
        io_read_avg_time_details: course.time(|c| c.reads, |c| c.read_ns),
        io_write_avg_time: mean_ms(files.write_ns, files.writes),
        io_write_avg_time_details: course.time(|c| c.writes, |c| c.write_ns),
        io_sync_avg_time: mean_ms(files.sync_ns, files.syncs),
        io_sync_avg_time_details: course.time(|c| c.syncs, |c| c.sync_ns),
    }
}

/// What came and went, and what happened to files and definitions.
fn counts(api: &Api, (files, machine): (&FileCounts, &Machine), course: &Course) -> Rates {
    let mut rates = Rates::default();
    let now = api.node.counters().read();
    for (name, number) in CHURN {
        course.set(&mut rates, name, number(&now), |whole| number(&whole.node));
    }
    for (name, number) in FILES {
        course.set(&mut rates, name, number(files), |whole| number(&whole.files));
    }
    course.set(&mut rates, "context_switches", machine.context_switches, |whole| {
        whole.machine.context_switches
    });
    let definitions = api.node.snapshot().generation().0;
    course.set(&mut rates, "mnesia_disk_tx_count", definitions, |whole| {
        whole.definitions
    });
    rates
}

fn own_kind(api: &Api) -> &'static str {
    let snapshot = api.node.snapshot();
    let record = snapshot.catalog.node(api.node.identity().node);
    kind(record.map_or(NodeKind::Disc, |record| record.kind))
}

fn shape(api: &Api, span: Option<Span>) -> Node {
    let course = Course::of(api, span);
    let files = api.node.keeping().file_counts();
    let config = api.node.config();
    let machine = observe::look();
    let alarms = api.node.alarms();
    let memory = alarms::memory_used().unwrap_or_default();
    let clients = api.node.clients().count() as u64;
    Node {
        name: api.node.name().to_string(),
        kind: own_kind(api).to_owned(),
        running: true,
        being_drained: Some(api.node.is_under_maintenance()),
        uptime: api.node.now().0.saturating_sub(api.node.started_at().0),
        run_queue: observe::run_queue(),
        processors: machine.processors,
        os_pid: std::process::id().to_string(),
        fd_used: machine.descriptors_used,
        fd_used_details: course.details(|whole| whole.machine.descriptors_used),
        fd_total: machine.descriptors_max,
        sockets_used: clients,
        sockets_used_details: course.details(|whole| whole.connections),
        sockets_total: machine.descriptors_max,
        mem_used: memory,
        mem_used_details: course.details(|whole| whole.memory_used),
        mem_limit: alarms.memory_level().bytes,
        mem_alarm: alarms.memory(),
        mem_calculation_strategy: observe::MEMORY_STRATEGY.to_owned(),
        disk_free: alarms::disk_free(config.node.data.as_path()).unwrap_or_default(),
        disk_free_details: course.details(|whole| whole.disk_free),
        disk_free_limit: alarms.disk_level().bytes,
        disk_free_alarm: alarms.disk(),
        proc_used: machine.threads,
        proc_used_details: course.details(|whole| whole.machine.threads),
        proc_total: machine.threads_max,
        partitions: Vec::new(),
        rates_mode: config.management.rates_mode.word().to_owned(),
        net_ticktime: config.node.down_after.into(),
        db_dir: config.node.data.as_path().display().to_string(),
        log_files: log_files(api),
        config_files: config
            .node
            .config_files
            .iter()
            .map(|path| path.display().to_string())
            .collect(),
        enabled_plugins: api.node.plugins().explicit.iter().cloned().collect(),
        applications: applications(api),
        auth_mechanisms: mechanisms(api),
        exchange_types: exchange_types(),
        contexts: contexts(api).into_iter().map(own_context).collect(),
        cluster_links: Vec::new(),
        memory: None,
        binary: None,
        io: io(&files, &course),
        counts: counts(api, (&files, &machine), &course),
    }
}

/// In a node's own list the node goes without saying.
fn own_context(context: Context) -> Context {
    Context {
        node: None,
        ssl_opts: None,
        ..context
    }
}

/// A member that does not answer: what the others know of it.
fn absent(record: &NodeRecord) -> serde_json::Value {
    json!({"name": &*record.name, "type": kind(record.kind), "running": false, "partitions": [], "cluster_links": []})
}

fn kind(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Disc => "disc",
        NodeKind::Ram => "ram",
    }
}

/// All members by name, each as it shows itself.
async fn list(State(api): State<Arc<Api>>, Monitor(caller): Monitor, others: Elsewhere, query: Parameters) -> Outcome {
    let query = bare::limited(&api, query, bare::NODE);
    let own = shape(&api, Asked::of(&query)?.node);
    if others.is_asked_by_node() {
        return query.all([own]);
    }
    let mut shown: BTreeMap<String, serde_json::Value> = others.by_name(&api, &caller).await;
    for record in api.node.snapshot().catalog.nodes() {
        shown.entry(record.name.to_string()).or_insert_with(|| absent(record));
    }
    shown.insert(own.name.clone(), serde_json::to_value(own).unwrap_or_default());
    query.all(shown.into_values())
}

/// Whether a path means this node.
///
/// # Errors
/// 404 for any other.
pub fn is_this(api: &Api, node: &str) -> Result<(), Failure> {
    match node == api.node.name().as_ref() {
        true => Ok(()),
        false => Err(Failure::not_found()),
    }
}

async fn one(
    State(api): State<Arc<Api>>,
    Monitor(caller): Monitor,
    Path(node): Path<String>,
    others: Elsewhere,
    query: Parameters,
) -> Outcome {
    let query = bare::limited(&api, query, bare::NODE);
    if is_this(&api, &node).is_ok() {
        let memory = query.is_true("memory").then(|| in_octets(&observe::memory(&api.node)));
        let binary = query.is_true("binary").then(|| named(observe::bodies(&api.node)));
        return query.one(Node {
            memory,
            binary: binary.map(Value::Object),
            ..shape(&api, Asked::of(&query)?.node)
        });
    }
    let record = member(&api, &node)?;
    let shown = others.of_node(&api, &caller, &node).await;
    query.one(shown.unwrap_or_else(|| absent(&record)))
}

fn member(api: &Api, node: &str) -> Result<Arc<NodeRecord>, Failure> {
    let snapshot = api.node.snapshot();
    snapshot
        .catalog
        .node_by_name(node)
        .cloned()
        .ok_or_else(Failure::not_found)
}

/// What is known of the memory, under the names that tools add up.
async fn memory(
    State(api): State<Arc<Api>>,
    Monitor(caller): Monitor,
    Path(node): Path<String>,
    others: Elsewhere,
    query: Parameters,
) -> Outcome {
    memory_of((&api, &caller, &node), &others, &query, in_octets).await
}

fn in_octets(memory: &observe::Memory) -> Value {
    let mut shown = named(memory.parts.clone());
    shown.insert("strategy".to_owned(), observe::MEMORY_STRATEGY.into());
    shown.insert("total".to_owned(), Value::Object(named(memory.totals())));
    Value::Object(shown)
}

/// The same in parts of a hundred.
async fn memory_relative(
    State(api): State<Arc<Api>>,
    Monitor(caller): Monitor,
    Path(node): Path<String>,
    others: Elsewhere,
    query: Parameters,
) -> Outcome {
    let shares = |memory: &observe::Memory| {
        let mut shown = named(memory.shares());
        shown.insert("total".to_owned(), 100.into());
        Value::Object(shown)
    };
    memory_of((&api, &caller, &node), &others, &query, shares).await
}

/// The tables of an Erlang machine, of which there are none: what RabbitMQ answers to a filter that none fits.
fn no_tables(api: &Api, node: &str, query: &Parameters) -> Outcome {
    member(api, node)?;
    query.one(json!({"ets_tables_memory": "no_tables"}))
}

async fn tables(State(api): State<Arc<Api>>, _: Monitor, Path(node): Path<String>, query: Parameters) -> Outcome {
    no_tables(&api, &node, &query)
}

async fn tables_of(
    State(api): State<Arc<Api>>,
    _: Monitor,
    Path((node, _)): Path<(String, String)>,
    query: Parameters,
) -> Outcome {
    no_tables(&api, &node, &query)
}

fn named(parts: impl IntoIterator<Item = (&'static str, u64)>) -> serde_json::Map<String, Value> {
    parts
        .into_iter()
        .map(|(name, octets)| (name.to_owned(), octets.into()))
        .collect()
}

/// The memory of this node, or of another that is asked.
async fn memory_of(
    (api, caller, node): (&Api, &Caller, &str),
    others: &Elsewhere,
    query: &Parameters,
    show: impl Fn(&observe::Memory) -> Value,
) -> Outcome {
    if let Err(missing) = is_this(api, node) {
        let shown = others.of_node(api, caller, node).await;
        return query.one(shown.ok_or(missing)?);
    }
    query.one(json!({"memory": show(&observe::memory(&api.node))}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        host::started_blank,
        management::{answer_node, pages},
    };

    #[tokio::test]
    async fn a_node_has_no_tables_of_an_erlang_machine_and_says_so_as_rabbitmq_does() {
        let (_folder, node) = started_blank().await;
        for (path, expected) in [
            ("/memory/ets", Some("no_tables")),
            ("/memory/ets/relative", Some("no_tables")),
            ("/memory/ets/management", Some("no_tables")),
            ("/memory/ets/management/relative", Some("no_tables")),
            ("/memory/ets/relative/management", None),
        ] {
            let page = link::Page {
                method: "GET".to_owned(),
                path: format!("/nodes/{}{path}", node.name()),
                user: "guest".to_owned(),
                reason: None,
            };
            let (status, body) = answer_node(pages(node.clone(), Arc::default()), page).await.unwrap();
            let answer: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(
                (status == 200, answer["ets_tables_memory"].as_str()),
                (expected.is_some(), expected),
                "{path}"
            );
        }
    }

    #[tokio::test]
    async fn a_node_tells_what_its_memory_is_used_for_when_it_is_asked() {
        let (_folder, node) = started_blank().await;
        let path = format!("/nodes/{}", node.name());
        let shown = async |query: &str| {
            let page = link::Page {
                method: "GET".to_owned(),
                path: format!("{path}{query}"),
                user: "guest".to_owned(),
                reason: None,
            };
            let (status, body) = answer_node(pages(node.clone(), Arc::default()), page).await.unwrap();
            assert_eq!(status, 200, "{body}");
            serde_json::from_str::<Value>(&body).unwrap()
        };
        assert!(shown("").await.get("memory").is_none());
        let memory = &shown("?memory=true").await["memory"];
        let total = memory["total"]["rss"].as_u64().unwrap();
        let parts: u64 = memory.as_object().unwrap().values().filter_map(Value::as_u64).sum();
        assert!(total > 0);
        assert_eq!(parts, total);
    }
}
