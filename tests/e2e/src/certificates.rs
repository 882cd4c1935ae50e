//! The checks of TLS in a cluster of several nodes while programs work with it: nodes come to speak it to each other, and a renewed
//! certificate is served by every port without a restart. What a port serves is looked at by a client that shakes hands with it.

use std::net::TcpStream;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use serde_json::json;

use crate::authority::Authority;
use crate::check::{Outcome, equal, within};
use crate::kubectl::{Forward, NAMESPACE, apply, condition, kubectl};
use crate::operations::SHIPS;
use crate::run::refused;
use crate::several::LIMIT;

const NAME: &str = SHIPS.0;
const SECRET: &str = "ships-tls";
/// AMQP, management, and nodes.
const PORTS: [u16; 3] = [5671, 15671, 25672];
const PATIENCE: Duration = Duration::from_secs(10);

fn authority() -> Outcome<&'static Authority> {
    // One, so that an old certificate and a new one are taken by all.
    static AUTHORITY: OnceLock<Result<Authority, String>> = OnceLock::new();
    AUTHORITY.get_or_init(Authority::draw).as_ref().map_err(Clone::clone)
}

/// Draws a pair and puts it into the Secret; the certificate as it is sent.
fn renew() -> Outcome<Vec<u8>> {
    let authority = authority()?;
    let names = vec![format!("{NAME}.{NAMESPACE}.svc"), format!("*.{NAME}-nodes.{NAMESPACE}")];
    let pair = authority.pair("ships", names)?;
    let data = json!({"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority.pem});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "stringData": data});
    apply(&secret.to_string())?;
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes());
    certificate.map(|der| der.to_vec()).map_err(|error| error.to_string())
}

/// Has nodes speak TLS to each other, which takes two rounds of replaced pods.
pub(crate) fn secure() -> Outcome {
    renew()?;
    let asked = json!({"spec": {"tls": {"secretName": SECRET, "interNode": "Required"}}}).to_string();
    kubectl(&["patch", "rmq", NAME, "--type=merge", "-p", &asked])?;
    within(4 * LIMIT, || {
        equal(condition("rmq", NAME, "TlsBetweenNodes")?.as_str(), "True")
    })?;
    SHIPS.joined(3)?;
    (0..3).try_for_each(|ordinal| equal(SHIPS.running_nodes(ordinal)?, 3))?;
    // The command line of another pod comes without TLS.
    let (from, node) = (
        SHIPS.pod(0),
        format!("rabbit@{}.{NAME}-nodes.{NAMESPACE}", SHIPS.pod(1)),
    );
    let command = [
        "-n",
        NAMESPACE,
        "exec",
        &from,
        "--",
        "rabbitmqctl",
        "-n",
        &node,
        "status",
    ];
    refused("kubectl", &command, "").map(drop)
}

/// Renews the certificate: every port of every node serves the new one, and no pod is another.
pub(crate) fn rotate() -> Outcome {
    let old = SHIPS.uids(0..3)?;
    let certificate = renew()?;
    within(LIMIT, || {
        (0..3).try_for_each(|ordinal| {
            PORTS
                .iter()
                .try_for_each(|port| match served(ordinal, *port)? == certificate {
                    true => Ok(()),
                    false => Err(format!(
                        "port {port} of {} serves the old certificate",
                        SHIPS.pod(ordinal)
                    )),
                })
        })
    })?;
    equal(SHIPS.uids(0..3)?, old)?;
    let restarts = "{.items[*].status.containerStatuses[*].restartCount}";
    let label = format!("app.kubernetes.io/instance={NAME}");
    let restarts = kubectl(&["get", "pods", "-l", &label, "-o", &format!("jsonpath={restarts}")])?;
    equal(restarts.as_str(), "0 0 0")
}

/// The certificate that this port of this pod serves.
fn served(ordinal: u32, port: u16) -> Outcome<Vec<u8>> {
    let forward = Forward::to_pod(&SHIPS.pod(ordinal), port)?;
    let name = format!("{}.{NAME}-nodes.{NAMESPACE}", SHIPS.pod(ordinal));
    let host = ServerName::try_from(name).map_err(|error| error.to_string())?;
    let mut tls = ClientConnection::new(client()?, host).map_err(|error| error.to_string())?;
    let mut tcp = TcpStream::connect(("127.0.0.1", forward.port)).map_err(|error| error.to_string())?;
    let shaken = shake(&mut tls, &mut tcp);
    let shown = tls.peer_certificates().and_then(<[_]>::first);
    match shown {
        Some(certificate) => Ok(certificate.to_vec()),
        None => Err(format!(
            "port {port} of {} shows no certificate: {shaken:?}",
            SHIPS.pod(ordinal)
        )),
    }
}

fn shake(tls: &mut ClientConnection, tcp: &mut TcpStream) -> std::io::Result<()> {
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.set_write_timeout(Some(PATIENCE))?;
    while tls.is_handshaking() {
        tls.complete_io(tcp)?;
    }
    Ok(())
}

/// Takes what the authority has signed, and shows nothing.
fn client() -> Outcome<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(authority()?.pem.as_bytes()).map_err(|error| error.to_string())?;
    roots.add(authority).map_err(|error| error.to_string())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
