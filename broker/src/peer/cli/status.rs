//! What `status` and the checks show of the node.
//!
//! Every key of RabbitMQ's is there. Where Erlang's own number is meant, its nearest counterpart stands: threads for processes, what of
//! them could run for the run queue, the TLS library for OpenSSL. Nothing is made up.

use link::Term;
use std::{fs, net::SocketAddr, sync::atomic::Ordering::Relaxed};

use super::map;
use crate::{
    config::Watermark,
    host::{Node, RABBITMQ_VERSION, data_directory::META, listener::Port},
    observe,
};

fn texts(items: impl IntoIterator<Item = impl Into<String>>) -> Term {
    Term::List(items.into_iter().map(Term::text).collect())
}

/// Everything as one map, keys as `status --formatter json` has them, in order of name.
pub(super) fn status(node: &Node) -> Term {
    let parts = [program(node), places(node), levels(node), content(node), tags(node)];
    let mut all: Vec<(String, Term)> = Vec::new();
    for part in parts {
        if let Term::Map(pairs) = part {
            all.extend(pairs);
        }
    }
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    Term::Map(all)
}

/// What runs, and how it goes.
fn program(node: &Node) -> Term {
    let uptime = node.now().0.saturating_sub(node.started_at().0) / 1000;
    let (plugins, config) = (node.plugins(), node.config());
    let product = config.shown.product();
    map([
        (
            "active_plugins",
            Term::List(plugins.enabled().into_iter().map(Term::atom).collect()),
        ),
        ("crypto_lib_version", Term::text(observe::CRYPTO)),
        (
            "erlang_version",
            Term::text(concat!("Warren ", env!("CARGO_PKG_VERSION"))),
        ),
        ("is_under_maintenance", Term::Bool(node.is_under_maintenance())),
        ("node", Term::atom(&**node.name())),
        ("os", Term::text("Linux")),
        ("pid", Term::count(std::process::id())),
        ("processes", threads()),
        ("product_name", Term::text(product.0)),
        ("product_version", Term::text(product.1)),
        ("rabbitmq_version", Term::text(RABBITMQ_VERSION)),
        ("release_series_support_status", Term::text("supported")),
        ("run_queue", Term::count(observe::run_queue())),
        ("running_applications", applications(node)),
        ("uptime", Term::count(uptime)),
    ])
}

/// Where its files are.
fn places(node: &Node) -> Term {
    let config = node.config();
    let shown = |path: &std::path::Path| Term::text(path.display().to_string());
    let data = config.node.data.as_path();
    map([
        (
            "config_files",
            Term::List(config.node.config_files.iter().map(|path| shown(path)).collect()),
        ),
        ("data_directory", shown(data)),
        ("enabled_plugin_file", shown(&config.node.enabled_plugins_file)),
        ("log_files", log_files(node)),
        ("raft_data_directory", shown(&data.join(META))),
    ])
}

/// What it uses of its machine, and from where on that matters.
fn levels(node: &Node) -> Term {
    let alarms_of = node.alarms();
    map([
        ("alarms", alarms(node)),
        ("disk_free", Term::count(alarms_of.disk_free.load(Relaxed))),
        ("disk_free_limit", Term::count(alarms_of.disk_level().bytes)),
        ("file_descriptors", file_descriptors(node)),
        ("memory", memory(node)),
        ("net_ticktime", Term::count(node.config().node.down_after)),
        ("vm_memory_calculation_strategy", Term::atom(observe::MEMORY_STRATEGY)),
        (
            "vm_memory_high_watermark_limit",
            Term::count(alarms_of.memory_level().bytes),
        ),
        (
            "vm_memory_high_watermark_setting",
            watermark(alarms_of.memory_level().mark),
        ),
    ])
}

/// Its tags, if it has any.
fn tags(node: &Node) -> Term {
    let config = node.config();
    let own = &config.shown.node_tags;
    let tags = own
        .iter()
        .map(|(tag, value)| (tag.clone(), Term::text(value)))
        .collect();
    match own.is_empty() {
        true => map([]),
        false => map([("tags", Term::Map(tags))]),
    }
}

/// What clients have of it.
fn content(node: &Node) -> Term {
    let catalog = &node.snapshot().catalog;
    let totals = map([
        ("virtual_host_count", Term::count(catalog.vhosts().count())),
        ("connection_count", Term::count(node.open_clients().len())),
        ("queue_count", Term::count(catalog.queues().count())),
    ]);
    let ports = node.ports();
    let listeners = ports.iter().map(|port| listener(node, port)).collect();
    map([("listeners", Term::List(listeners)), ("totals", totals)])
}

/// What runs in the process: the broker, and its plugins.
fn applications(node: &Node) -> Term {
    let application = |(name, description)| {
        map([
            ("name", Term::atom(name)),
            ("description", Term::text(description)),
            ("version", Term::text(RABBITMQ_VERSION)),
        ])
    };
    Term::List(node.plugins().applications().map(application).collect())
}

fn watermark(mark: Watermark) -> Term {
    match mark {
        Watermark::Absolute(bytes) => map([("absolute", Term::count(bytes.0))]),
        Watermark::Relative(share) => map([("relative", Term::Float(share))]),
    }
}

fn alarms(node: &Node) -> Term {
    let alarm = |node: &str, resource: &str| {
        map([
            ("node", Term::atom(node)),
            ("resource", Term::atom(resource)),
            ("type", Term::atom("resource_limit")),
        ])
    };
    let mut all = Vec::new();
    for (name, on) in node.alarms_of_all() {
        all.extend(on.memory.then(|| alarm(&name, "memory")));
        all.extend(on.disk.then(|| alarm(&name, "disk")));
    }
    Term::List(all)
}

/// What the process holds open, from the system.
fn file_descriptors(node: &Node) -> Term {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let used = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    map([
        ("total_limit", Term::count(limit.unwrap_or(u64::MAX))),
        ("total_used", Term::count(used)),
        ("sockets_limit", Term::count(limit.unwrap_or(u64::MAX))),
        ("sockets_used", Term::count(node.clients().count())),
    ])
}

/// Threads stand for Erlang's processes, as in the management API.
fn threads() -> Term {
    let machine = observe::look();
    map([
        ("limit", Term::count(machine.threads_max)),
        ("used", Term::count(machine.threads)),
    ])
}

fn memory(node: &Node) -> Term {
    let memory = observe::memory(node);
    let counted = |(name, octets): (&str, u64)| (name.to_owned(), Term::count(octets));
    let total = Term::Map(memory.totals().into_iter().map(counted).collect());
    let mut shown: Vec<_> = memory.parts.into_iter().map(counted).collect();
    shown.extend([
        ("strategy".to_owned(), Term::atom(observe::MEMORY_STRATEGY)),
        ("total".to_owned(), total),
    ]);
    Term::Map(shown)
}

fn log_files(node: &Node) -> Term {
    let config = node.config();
    let log = &config.log;
    let file = log
        .file_path(&node.config().node.name)
        .map(|path| path.display().to_string());
    let console = log.console.enabled.then(|| "<stdout>".to_owned());
    let own = log.category_files().map(|(_, path, _)| path.display().to_string());
    texts(file.into_iter().chain(own).chain(console))
}

fn listener(node: &Node, port: &Port) -> Term {
    map([
        ("interface", Term::text(interface(port.address))),
        ("node", Term::atom(&**node.name())),
        ("port", Term::count(port.address.port())),
        ("protocol", Term::atom(port.protocol)),
        ("purpose", Term::text(purpose(port.protocol))),
    ])
}

fn interface(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

fn purpose(protocol: &str) -> &'static str {
    match protocol {
        "amqp" => "AMQP 0-9-1 and AMQP 1.0",
        "amqp/ssl" => "AMQP 0-9-1 and AMQP 1.0 over TLS",
        "clustering" => "inter-node and CLI tool communication",
        "http" => "HTTP API",
        "https" => "HTTP API over TLS (HTTPS)",
        "http/prometheus" => "Prometheus exporter API over HTTP",
        _ => "",
    }
}
