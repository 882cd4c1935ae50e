//! Keys of what a node calls itself and writes on what passes.
//!
//! Nothing else depends on them.

use super::{Key, key, only};
use crate::config::settings::Config;
use std::path::PathBuf;

pub(super) fn keys() -> Vec<Key> {
    let mut all = vec![
        key("product.name", |c: &mut Config, _, v| c.shown.product_name = Some(v))
            .doc("What the product is called in status, overview, metrics and log; Warren when not set."),
        key("product.version", |c: &mut Config, _, v| {
            c.shown.product_version = Some(v)
        })
        .doc("Its version there."),
        key("motd_file", |c: &mut Config, _, v: PathBuf| c.shown.motd_file = Some(v))
            .default("/etc/rabbitmq/motd")
            .doc("File whose text is logged at every start; one that is not there is no fault, as in RabbitMQ."),
        key("cluster_tags.$tag", |c: &mut Config, n, v| {
            c.shown.cluster_tags.insert(n[0].clone(), v);
        })
        .doc("A tag of the cluster, which the overview of this node shows."),
        key("node_tags.$tag", |c: &mut Config, n, v| {
            c.shown.node_tags.insert(n[0].clone(), v);
        })
        .doc("A tag of this node, which overview and status show."),
    ];
    all.extend(interceptors());
    all
}

fn interceptors() -> Vec<Key> {
    vec![
        key("message_interceptors.incoming.set_header_timestamp.overwrite", |c: &mut Config, _, v| {
            c.interceptors.timestamp = Some(v)
        })
        .doc(
            "Sets the time of arrival in each message that a client publishes, in the property timestamp and in the header timestamp_in_ms; says whether it replaces \
             what the publisher has put there.",
        ),
        key("message_interceptors.incoming.set_header_routing_node.overwrite", |c: &mut Config, _, v| {
            c.interceptors.routing_node = Some(v)
        })
        .doc("Sets the header x-routed-by of each message that a client publishes to the node that routes it; says whether it replaces what the publisher has put there."),
        only(
            "message_interceptors.outgoing.timestamp.enabled",
            &["false"],
            "messages are not changed on their way out",
        ),
    ]
}
