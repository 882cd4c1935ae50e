//! The settings that are in force, under the names that they have in RabbitMQ's application environment.
//!
//! Only what this broker honours is told; a password never.

use link::Term;

use crate::{
    config::{Config, ListenAddress, Watermark},
    host::Node,
};

fn map<const N: usize>(pairs: [(&str, Term); N]) -> Term {
    Term::Map(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// All applications with their settings.
pub fn environment(node: &Node) -> Term {
    let config = node.config();
    map([
        ("rabbit", rabbit(node, &config)),
        ("rabbitmq_management", management(&config)),
        (
            "rabbitmq_prometheus",
            map([
                ("path", Term::text(&config.prometheus.path)),
                ("return_per_object_metrics", Term::Bool(config.prometheus.per_object)),
                ("tcp_config", ports(config.prometheus.listener.plain())),
                ("ssl_config", ports(config.prometheus.listener.tls())),
            ]),
        ),
    ])
}

/// The variables that the node was started with.
pub fn variables(node: &Node) -> Term {
    let config = node.config();
    let variables = config.node.variables.iter();
    Term::Map(
        variables
            .map(|(name, value)| (name.clone(), Term::text(value)))
            .collect(),
    )
}

fn rabbit(node: &Node, config: &Config) -> Term {
    let (amqp, access) = (&config.amqp, &config.access);
    let listeners = |all: &std::collections::BTreeMap<String, ListenAddress>| {
        Term::List(all.values().map(|address| Term::text(address.to_string())).collect())
    };
    let texts = |all: &mut dyn Iterator<Item = String>| Term::List(all.map(Term::text).collect());
    map([
        (
            "auth_mechanisms",
            texts(&mut access.mechanisms.values().map(|one| one.word().to_owned())),
        ),
        ("channel_max", Term::count(node.limits().channel_max)),
        (
            "cluster_formation",
            map([("target_cluster_size_hint", Term::count(config.formation.members_wanted))]),
        ),
        ("consumer_timeout", Term::count(config.queues.ack_timeout.0)),
        ("data_dir", Term::text(config.node.data.as_path().display().to_string())),
        ("default_user", Term::text(access.default_user.to_string())),
        ("default_vhost", Term::text(access.default_vhost.to_string())),
        ("disk_free_limit", mark(node.alarms().disk_level().mark)),
        (
            "enabled_plugins_file",
            Term::text(config.node.enabled_plugins_file.display().to_string()),
        ),
        ("frame_max", Term::count(amqp.frame_bytes_max)),
        ("heartbeat", Term::count(amqp.heartbeat_s)),
        ("max_message_size", Term::count(amqp.message_bytes_max.0)),
        ("ssl_listeners", listeners(&config.listeners.tls)),
        ("tcp_listeners", listeners(&config.listeners.tcp)),
        ("vm_memory_high_watermark", mark(node.alarms().memory_level().mark)),
    ])
}

fn management(config: &Config) -> Term {
    let management = &config.management;
    map([
        ("path_prefix", Term::text(&management.path_prefix)),
        ("rates_mode", Term::atom(management.rates_mode.word())),
        ("tcp_config", ports(management.listener.plain())),
        ("ssl_config", ports(management.listener.tls())),
    ])
}

fn ports(address: Option<ListenAddress>) -> Term {
    match address {
        Some(address) => map([("port", Term::count(address.port))]),
        None => Term::List(Vec::new()),
    }
}

fn mark(mark: Watermark) -> Term {
    match mark {
        Watermark::Absolute(bytes) => Term::count(bytes.0),
        Watermark::Relative(share) => Term::Float(share),
    }
}
