//! What connections are offered and allowed: frames, channels, heartbeats, mechanisms, and how the server presents itself.
//!
//! Follows from the configuration, from what the cluster is called, and from what an administrator changes while the node runs.

use arc_swap::ArcSwap;
use model::{Table, Value};
use std::sync::Arc;

use super::node::{Node, RABBITMQ_VERSION};
use crate::config::{Config, Mechanism};

/// Under which the server tells what its cluster is called.
const CLUSTER_NAME: &str = "cluster_name";

/// Limits of a client's connection.
pub(super) fn limits(config: &Config, has_certificate: bool) -> session::Limits {
    let all = config.access.mechanisms.values();
    let mechanisms: Vec<&str> = all
        .filter(|mechanism| has_certificate || **mechanism != Mechanism::External)
        .map(|mechanism| mechanism.word())
        .collect();
    session::Limits {
        server_properties: server_properties(config),
        mechanisms: mechanisms.join(" "),
        frame_max: config.amqp.frame_bytes_max,
        initial_frame_max: config.amqp.initial_frame_bytes_max,
        channel_max: config.amqp.channels_max,
        heartbeat: config.amqp.heartbeat_s,
        message_bytes_max: config.amqp.message_bytes_max.0,
        consumers_per_channel: config
            .amqp
            .channel_consumers_max
            .max()
            .map(|max| max.min(u32::MAX.into()) as u32),
    }
}

/// Largest body on a leg: what its client may send has been judged where it is.
const LEG_BODY_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Limits of a leg.
pub(super) fn limits_of_legs(config: &Config) -> session::Limits {
    session::Limits {
        server_properties: Table::default(),
        frame_max: 0,
        channel_max: 0,
        heartbeat: 0,
        message_bytes_max: LEG_BODY_BYTES_MAX,
        consumers_per_channel: None,
        ..limits(config, false)
    }
}

/// The same under the name that the cluster has now.
pub(super) fn named(limits: &ArcSwap<session::Limits>, name: &str) -> Arc<session::Limits> {
    let present = limits.load_full();
    let properties = &present.server_properties;
    if properties.get(CLUSTER_NAME).and_then(Value::as_text) == Some(name) {
        return present;
    }
    let mut renewed = session::Limits::clone(&present);
    let pairs = renewed.server_properties.0.iter_mut();
    for (_, value) in pairs.filter(|(key, _)| key == CLUSTER_NAME) {
        *value = name.into();
    }
    let renewed = Arc::new(renewed);
    limits.store(renewed.clone());
    renewed
}

impl Node {
    /// Connections that come are offered so many channels, until the node stops.
    pub fn set_channel_max(&self, channels: u16) {
        for limits in [&self.limits, &self.limits_with_certificate] {
            let mut changed = session::Limits::clone(&limits.load());
            changed.channel_max = channels;
            limits.store(Arc::new(changed));
        }
    }
}

fn server_properties(config: &Config) -> Table {
    let cluster = config.node.cluster_name.as_deref().unwrap_or(config.node.name.as_str());
    Table::from([
        ("capabilities", Value::Table(session::server_capabilities())),
        (CLUSTER_NAME, cluster.into()),
        ("copyright", "Copyright (c) the Warren maintainers".into()),
        ("information", "Licensed under the Apache License 2.0".into()),
        ("platform", Value::from(concat!("Warren ", env!("CARGO_PKG_VERSION")))),
        ("product", "RabbitMQ".into()),
        ("version", RABBITMQ_VERSION.into()),
    ])
}
