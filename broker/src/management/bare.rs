//! What is shown where statistics are switched off: names and what was declared, and of queues how much they hold if that is asked for.
//!
//! Which fields stay where is RabbitMQ's. What a client may see is not decided here.

use catalog::{NodeName, QueueRecord};
use serde_json::{Map, Value, json};

use super::{Api, failure::Failure, list::Parameters, queues::state};
use crate::host::QueueView;

/// Of a connection in lists.
pub const CONNECTION: &[&str] = &["name", "node", "user", "vhost"];
/// Of a connection by itself.
pub const CONNECTION_ALONE: &[&str] = &["name"];
/// Of a node.
pub const NODE: &[&str] = &["name", "running", "type"];
/// Of the whole.
pub const OVERVIEW: &[&str] = &[
    "cluster_name",
    "disable_stats",
    "enable_queue_totals",
    "erlang_full_version",
    "erlang_version",
    "exchange_types",
    "management_version",
    "node",
    "object_totals.connections",
    "object_totals.exchanges",
    "object_totals.queues",
    "product_name",
    "product_version",
    "rabbitmq_version",
    "rates_mode",
    "release_series_support_status",
    "sample_retention_policies",
];

/// Whether statistics are switched off, for all or for this request.
pub fn is_asked_for(api: &Api, query: &Parameters) -> bool {
    api.node.config().management.disable_stats || query.is_true("disable_stats")
}

/// Whether lists of queues tell how much these hold all the same.
pub fn wants_totals(api: &Api, query: &Parameters) -> bool {
    api.node.config().management.enable_queue_totals || query.is_true("enable_queue_totals")
}

/// The parameters, which show only these fields where statistics are off.
pub fn limited(api: &Api, query: Parameters, fields: &'static [&'static str]) -> Parameters {
    match is_asked_for(api, &query) {
        true => query.limited_to(fields),
        false => query,
    }
}

/// For what is nothing but statistics.
///
/// # Errors
/// 400 while they are off.
pub fn refuse(api: &Api, query: &Parameters) -> Result<(), Failure> {
    match is_asked_for(api, query) {
        true => Err(Failure::bad_request("Stats in management UI are disabled on this node")),
        false => Ok(()),
    }
}

/// A queue by itself.
pub fn queue(api: &Api, record: &QueueRecord) -> Map<String, Value> {
    let mut shown = Map::new();
    let mut set = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
    set("name", record.name.as_str().into());
    set("vhost", record.vhost.as_str().into());
    set("durable", record.durable.into());
    set("auto_delete", record.auto_delete.into());
    set("exclusive", record.owner.is_some().into());
    set("arguments", api::to_json(&record.args.table).into());
    set("type", record.args.kind.to_string().into());
    set("state", if api.node.is_away(record) { "down" } else { "live" }.into());
    for (name, value) in place(api, record) {
        set(name, value);
    }
    shown
}

/// Where a queue is: quorum queues have a leader and members, others a node and perhaps mirrors.
fn place(api: &Api, record: &QueueRecord) -> Vec<(&'static str, Value)> {
    let snapshot = api.node.snapshot();
    let names = |names: &[NodeName]| Value::from(names.iter().map(ToString::to_string).collect::<Vec<_>>());
    if record.is_quorum() {
        let members = snapshot.catalog.member_names(record);
        return vec![
            ("leader", record.leader.to_string().into()),
            ("members", names(&members.all)),
            ("online", names(&members.online)),
        ];
    }
    let mut place = vec![("node", record.leader.to_string().into())];
    if record.replicas.is_some() {
        let mirrors = snapshot.catalog.mirror_names(record);
        place.push(("slave_nodes", names(&mirrors.running)));
        place.push(("synchronised_slave_nodes", names(&mirrors.synchronised)));
    }
    place
}

/// A queue in a list: with its policy, if one applies, and with what it holds, if that is to be told.
pub fn queue_in_list(api: &Api, record: &QueueRecord, totals: Option<&QueueView>) -> Value {
    let mut shown = queue(api, record);
    if let Some(policy) = &record.policy {
        shown.insert("policy".to_owned(), json!(*policy.name));
    }
    if let Some(view) = totals {
        let counts = &view.counts;
        shown.insert("state".to_owned(), state(api, view).into());
        shown.insert("messages".to_owned(), counts.all().messages.into());
        shown.insert("messages_ready".to_owned(), counts.ready.messages.into());
        shown.insert("messages_unacknowledged".to_owned(), counts.unacked.messages.into());
    }
    shown.into()
}
