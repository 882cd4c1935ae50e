//! What `spec.tls` adds: lines of rabbitmq.conf, and the Secrets mounted as folders. The folders follow the Secrets, and the broker looks at the
//! files before every handshake, so nothing of a certificate is in the pod template.

use k8s_openapi::api::core::v1::{SecretVolumeSource, Volume, VolumeMount};

use super::ports::{self, MANAGEMENT, PROMETHEUS};
use crate::cluster::between::Between;
use crate::cluster::names::{PORT_AMQPS, PORT_MANAGEMENT, PORT_MANAGEMENT_TLS, PORT_PROMETHEUS, PORT_PROMETHEUS_TLS};
use crate::cluster::validate::ValidCluster;
use crate::crd::{ClientAuth, Tls};

const PAIR: &str = "/etc/warren/tls";
const AUTHORITY: &str = "/etc/warren/tls-ca";
const NODES: &str = "/etc/warren/tls-nodes";

/// The lines of rabbitmq.conf; none without TLS.
pub(super) fn conf(cluster: &ValidCluster, between: Between) -> String {
    for_clients(cluster) + &between_nodes(between)
}

fn between_nodes(between: Between) -> String {
    let Some(word) = between.word() else {
        return String::new();
    };
    let files = [
        ("cacertfile", "ca.crt"),
        ("certfile", "tls.crt"),
        ("keyfile", "tls.key"),
    ];
    let files = files.map(|(key, file)| format!("distribution.ssl_options.{key} = {NODES}/{file}\n"));
    format!("distribution.tls = {word}\n{}", files.concat())
}

fn for_clients(cluster: &ValidCluster) -> String {
    let Some(tls) = &cluster.spec.tls else {
        return String::new();
    };
    let mut lines = Vec::new();
    if tls.disable_plain {
        lines.push("listeners.tcp = none".to_owned());
    }
    lines.push(format!("listeners.ssl.default = {PORT_AMQPS}"));
    lines.extend(pair("ssl_options"));
    lines.extend(clients(tls));
    let plugins = [
        (MANAGEMENT, "management", PORT_MANAGEMENT, PORT_MANAGEMENT_TLS),
        (PROMETHEUS, "prometheus", PORT_PROMETHEUS, PORT_PROMETHEUS_TLS),
    ];
    for (plugin, key, plain, port) in plugins {
        if ports::is_on(cluster, plugin) {
            // A TLS port alone closes the other one.
            lines.extend((!tls.disable_plain).then(|| format!("{key}.tcp.port = {plain}")));
            lines.push(format!("{key}.ssl.port = {port}"));
            lines.extend(pair(&format!("{key}.ssl")));
        }
    }
    lines.join("\n") + "\n"
}

fn pair(keys: &str) -> [String; 2] {
    [
        format!("{keys}.certfile = {PAIR}/tls.crt"),
        format!("{keys}.keyfile = {PAIR}/tls.key"),
    ]
}

/// Certificates are asked of AMQP clients alone: browsers and scrapers log in.
fn clients(tls: &Tls) -> Vec<String> {
    let place = if tls.ca_secret_name.is_some() { AUTHORITY } else { PAIR };
    let required = match tls.client_auth {
        ClientAuth::None => return Vec::new(),
        ClientAuth::Optional => false,
        ClientAuth::Required => true,
    };
    vec![
        format!("ssl_options.cacertfile = {place}/ca.crt"),
        "ssl_options.verify = verify_peer".into(),
        format!("ssl_options.fail_if_no_peer_cert = {required}"),
    ]
}

/// The Secrets as volumes, and where they are mounted.
pub(super) fn volumes(cluster: &ValidCluster, between: Between) -> Vec<(Volume, VolumeMount)> {
    let Some(tls) = &cluster.spec.tls else {
        return Vec::new();
    };
    let pair = folder("tls", &tls.secret_name, PAIR);
    let authority = tls
        .ca_secret_name
        .as_ref()
        .map(|name| folder("tls-ca", name, AUTHORITY));
    let nodes = (between != Between::None).then(|| folder("tls-nodes", tls.secret_between_nodes(), NODES));
    [Some(pair), authority, nodes].into_iter().flatten().collect()
}

/// Readable by the pod's group alone.
fn folder(name: &str, secret: &str, path: &str) -> (Volume, VolumeMount) {
    let volume = Volume {
        name: name.into(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.into()),
            default_mode: Some(0o440),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    };
    (volume, super::stateful_set::mount(name, path, true))
}
