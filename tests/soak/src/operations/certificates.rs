//! The certificates of a cluster whose nodes speak TLS to each other: drawn at first, and renewed while all goes on. Every port has to serve the new
//! one without a restart, and nodes that come and go take each other by it.
//!
//! The authority lies in a Secret of its own, so that a campaign that goes on signs by the same.

use super::cluster::{CHANGED, NAME, another, pod, uid};
use super::kube::{NAMESPACE, apply, get, kubectl, within};
use super::plan::NODES;
use anyhow::{Context, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// What the cluster serves.
const SERVED: &str = "soak-tls";
/// Who signs it.
const AUTHORITY: &str = "soak-authority";
/// AMQP, management, and nodes.
const PORTS: [u16; 3] = [5671, 15671, 25672];
const PATIENCE: Duration = Duration::from_secs(5);

/// What the RabbitCluster says of it.
pub(super) fn spec() -> Value {
    json!({"secretName": SERVED, "interNode": "Required"})
}

/// An authority and a first certificate, if they are not there.
pub(super) fn draw() -> Result<()> {
    if !texts(AUTHORITY)?.is_empty() {
        return Ok(());
    }
    let key = KeyPair::generate()?;
    let own = authority().self_signed(&key)?;
    put(
        AUTHORITY,
        &json!({"tls.crt": own.pem(), "tls.key": key.serialize_pem()}),
    )?;
    renew().map(drop)
}

/// Another certificate, which every port serves soon. Then a pod goes, and its node is let in again by the new one.
pub(super) fn rotate() -> Result<()> {
    let pods = (0..NODES).map(uid).collect::<Result<Vec<_>>>()?;
    let certificate = renew()?;
    let client = client()?;
    within(CHANGED, || {
        for (ordinal, port) in (0..NODES).flat_map(|ordinal| PORTS.map(|port| (ordinal, port))) {
            if shown(ordinal, port, &client)? != certificate {
                return Ok(Some(format!(
                    "port {port} of {} serves the old certificate",
                    pod(ordinal)
                )));
            }
        }
        Ok(None)
    })?;
    let now = (0..NODES).map(uid).collect::<Result<Vec<_>>>()?;
    ensure!(now == pods, "pods were replaced for a certificate that is read again");
    kubectl(&["delete", "pod", &pod(1), "--wait=false"])?;
    another(1, &pods[1])
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// Signs a certificate and puts it where the cluster reads it; as it is sent.
fn renew() -> Result<Vec<u8>> {
    let authority_pems = texts(AUTHORITY)?;
    let text = |key: &str| {
        authority_pems
            .get(key)
            .with_context(|| format!("{AUTHORITY} has no {key}"))
    };
    let issuer = Issuer::new(authority(), KeyPair::from_pem(text("tls.key")?)?);
    let names = [format!("{NAME}.{NAMESPACE}.svc"), format!("*.{NAME}-nodes.{NAMESPACE}")];
    let key = KeyPair::generate()?;
    let signed = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
    put(
        SERVED,
        &json!({"tls.crt": signed.pem(), "tls.key": key.serialize_pem(), "ca.crt": text("tls.crt")?}),
    )?;
    Ok(signed.der().to_vec())
}

fn put(name: &str, data: &Value) -> Result<()> {
    apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}).to_string())
}

/// What a Secret holds; nothing if there is none.
fn texts(name: &str) -> Result<BTreeMap<String, String>> {
    let template = "go-template={{range $key, $value := .data}}{{$key}}\u{1}{{$value | base64decode}}\u{2}{{end}}";
    let text = kubectl(&["get", "secret", name, "--ignore-not-found", "-o", template])?;
    let pairs = text.split('\u{2}').filter_map(|pair| pair.split_once('\u{1}'));
    Ok(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

/// Takes what the authority has signed, and shows nothing itself.
fn client() -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let pems = texts(AUTHORITY)?;
    let pem = pems.get("tls.crt").context("there is no authority")?;
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// The certificate that this port of a pod shows to who comes.
fn shown(ordinal: u32, port: u16, client: &Arc<ClientConfig>) -> Result<Vec<u8>> {
    let found = get("pod", &pod(ordinal))?;
    let ip: IpAddr = found["status"]["podIP"]
        .as_str()
        .context("the pod has no address")?
        .parse()?;
    let host = ServerName::try_from(format!("{}.{NAME}-nodes.{NAMESPACE}", pod(ordinal)))?;
    let mut tls = ClientConnection::new(client.clone(), host)?;
    let mut tcp = TcpStream::connect_timeout(&(ip, port).into(), PATIENCE)?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.set_write_timeout(Some(PATIENCE))?;
    let mut shaken = Ok(());
    // Nodes want a certificate of whoever comes, and hang up on one without it: after they have shown theirs.
    while tls.is_handshaking() && shaken.is_ok() {
        shaken = tls.complete_io(&mut tcp).map(drop);
    }
    let first = tls.peer_certificates().and_then(<[_]>::first);
    let first = first.with_context(|| format!("port {port} of {} shows no certificate: {shaken:?}", pod(ordinal)))?;
    Ok(first.to_vec())
}
