//! Which ports the nodes of a cluster serve for clients: 15672 and 15692 come with their plugins, those with TLS with `spec.tls`, and
//! `tls.disablePlain` closes those without. Said once, for configuration, pods, Services and the NetworkPolicy.

use crate::cluster::names::{
    PORT_AMQP, PORT_AMQPS, PORT_MANAGEMENT, PORT_MANAGEMENT_TLS, PORT_PROMETHEUS, PORT_PROMETHEUS_TLS,
};
use crate::cluster::validate::ValidCluster;

/// A port for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientPort {
    /// Its name in pods and Services.
    pub(super) name: &'static str,
    /// Its number.
    pub(super) number: i32,
    /// What is spoken there, as Services say it.
    pub(super) protocol: &'static str,
    /// Whether that is inside TLS.
    pub(super) tls: bool,
    /// The plugin that serves it, if one does.
    plugin: Option<&'static str>,
}

impl ClientPort {
    /// Whether Prometheus comes there.
    pub(super) fn is_scraped(&self) -> bool {
        self.plugin == Some(PROMETHEUS)
    }
}

const fn port(name: &'static str, number: i32, protocol: &'static str, tls: bool) -> ClientPort {
    ClientPort {
        name,
        number,
        protocol,
        tls,
        plugin: None,
    }
}

const fn served_by(plugin: &'static str, port: ClientPort) -> ClientPort {
    ClientPort {
        plugin: Some(plugin),
        ..port
    }
}

pub(super) const MANAGEMENT: &str = "rabbitmq_management";
pub(super) const PROMETHEUS: &str = "rabbitmq_prometheus";

const ALL: [ClientPort; 6] = [
    port("amqp", PORT_AMQP, "amqp", false),
    served_by(MANAGEMENT, port("management", PORT_MANAGEMENT, "http", false)),
    served_by(
        PROMETHEUS,
        port("prometheus", PORT_PROMETHEUS, "prometheus.io/metrics", false),
    ),
    port("amqps", PORT_AMQPS, "amqps", true),
    served_by(MANAGEMENT, port("management-tls", PORT_MANAGEMENT_TLS, "https", true)),
    served_by(
        PROMETHEUS,
        port("prometheus-tls", PORT_PROMETHEUS_TLS, "prometheus.io/metrics", true),
    ),
];

/// The ports that pods name: those of plugins stand there whether these are on or not, so that a plugin is no new pod template by itself.
pub(super) fn of_pods(cluster: &ValidCluster) -> impl Iterator<Item = ClientPort> {
    let tls = cluster.spec.tls.as_ref();
    let (with_tls, plain) = (tls.is_some(), tls.is_none_or(|tls| !tls.disable_plain));
    ALL.into_iter()
        .filter(move |port| if port.tls { with_tls } else { plain })
}

/// The ports on which somebody listens.
pub(super) fn served(cluster: &ValidCluster) -> impl Iterator<Item = ClientPort> {
    let on = |port: &ClientPort| port.plugin.is_none_or(|plugin| is_on(cluster, plugin));
    of_pods(cluster).filter(on)
}

/// Whether the cluster has that plugin.
pub(super) fn is_on(cluster: &ValidCluster, plugin: &str) -> bool {
    cluster.plugins.iter().any(|name| name == plugin)
}
