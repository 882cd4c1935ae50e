//! A definitions file from a web server: one GET, with bounds on time and octets, over TLS if the address says so.
//!
//! No redirection is followed: whoever is trusted to say what users there are is named in the configuration.

use anyhow::{Context, bail, ensure};
use axum::{
    body::{Body, to_bytes},
    http::{Request, header},
};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::{
    config::{TlsOptions, Url},
    host::tls,
};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most octets of the document.
const BYTES_MAX: usize = 256 << 20;

/// The document at this address.
///
/// # Errors
/// The server cannot be reached or believed, takes too long, or answers anything but a document.
pub async fn fetch(url: &Url, options: &TlsOptions) -> anyhow::Result<Vec<u8>> {
    let fetched = tokio::time::timeout(PATIENCE, connect(url, options)).await;
    fetched.with_context(|| format!("no answer within {PATIENCE:?}"))?
}

async fn connect(url: &Url, options: &TlsOptions) -> anyhow::Result<Vec<u8>> {
    let tcp = TcpStream::connect((url.host(), url.port())).await;
    let tcp = tcp.with_context(|| format!("cannot connect to {}, port {}", url.host(), url.port()))?;
    if !url.is_tls() {
        return get(url, tcp).await;
    }
    let config = tls::outward_config(options, "definitions.tls")?;
    let host = ServerName::try_from(url.host().to_owned()).context("no host name that a certificate could have")?;
    let shaken = TlsConnector::from(config).connect(host, tcp).await;
    get(url, shaken.context("TLS handshake")?).await
}

async fn get(url: &Url, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> anyhow::Result<Vec<u8>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let question = Request::get(url.target())
        .header(header::HOST, url.authority())
        .header(header::ACCEPT, "application/json")
        .body(Body::empty())?;
    let carried = tokio::spawn(connection);
    let octets = answer(&mut sender, question).await;
    carried.abort();
    let octets = octets?;
    ensure!(!octets.is_empty(), "the document is empty");
    Ok(octets)
}

async fn answer(sender: &mut http1::SendRequest<Body>, question: Request<Body>) -> anyhow::Result<Vec<u8>> {
    let answer = sender.send_request(question).await?;
    if !answer.status().is_success() {
        bail!("the server answers {}", answer.status());
    }
    let octets = to_bytes(Body::new(answer.into_body()), BYTES_MAX).await;
    let octets = octets.with_context(|| format!("the document breaks off, or has more than {BYTES_MAX} octets"))?;
    Ok(octets.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Value as _, Verify};
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::{
        ServerConfig,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    };
    use std::{path::Path, sync::Arc};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };
    use tokio_rustls::TlsAcceptor;

    async fn reply(mut stream: impl AsyncRead + AsyncWrite + Unpin, text: &str) {
        let (mut head, mut octets) = (Vec::new(), [0; 1024]);
        while !head.ends_with(b"\r\n\r\n") {
            let count = stream.read(&mut octets).await.unwrap();
            head.extend_from_slice(&octets[..count]);
        }
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    }

    /// A server that answers so, once for each connection; over TLS with a certificate that is written down, if asked for.
    async fn serve(text: &'static str, certificate: Option<&Path>) -> Url {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let tls = certificate.map(|file| {
            let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            std::fs::write(file, cert.pem()).unwrap();
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
            let config = builder.unwrap().with_no_client_auth();
            TlsAcceptor::from(Arc::new(
                config.with_single_cert(vec![cert.der().clone()], key).unwrap(),
            ))
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                match &tls {
                    None => reply(tcp, text).await,
                    // A client that does not believe goes away.
                    Some(tls) => match tls.accept(tcp).await {
                        Ok(stream) => reply(stream, text).await,
                        Err(_) => continue,
                    },
                }
            }
        });
        Url::read(&format!("{scheme}://localhost:{port}/d.json?a=b")).unwrap()
    }

    const DOCUMENT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

    #[tokio::test]
    async fn a_document_is_fetched_and_anything_else_is_refused() {
        let options = TlsOptions::default();
        let url = serve(DOCUMENT, None).await;
        assert_eq!(fetch(&url, &options).await.unwrap(), b"{}");
        for (text, why) in [
            ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "404 Not Found"),
            (
                "HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n",
                "302 Found",
            ),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "empty"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", ""),
        ] {
            let said = fetch(&serve(text, None).await, &options).await.unwrap_err();
            assert!(format!("{said:#}").contains(why), "{said:#}");
        }
    }

    #[tokio::test]
    async fn a_server_is_believed_by_its_authority_or_by_order_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let url = serve(DOCUMENT, Some(&file)).await;
        let named = TlsOptions {
            ca_file: Some(file),
            verify: Verify::Peer,
            ..TlsOptions::default()
        };
        assert_eq!(fetch(&url, &named).await.unwrap(), b"{}");
        let by_order = TlsOptions {
            verify: Verify::None,
            ..TlsOptions::default()
        };
        assert_eq!(fetch(&url, &by_order).await.unwrap(), b"{}");
        let other = folder.path().join("other.pem");
        serve(DOCUMENT, Some(&other)).await;
        let stranger = TlsOptions {
            ca_file: Some(other),
            ..named
        };
        assert!(fetch(&url, &stranger).await.is_err());
    }
}
