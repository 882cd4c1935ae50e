//! What it takes to be let in by the nodes of a cluster: its secret, and TLS where they speak it to each other. Who comes with a certificate
//! of their Secret is taken for one of them.

use std::io;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use link::Cookie;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::between::Between;
use super::secrets::text;

/// A connection, with TLS or without.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// What it takes.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// The secrets that nodes may know, the current one first.
    pub cookies: Vec<Cookie>,
    /// TLS, where nodes take it.
    pub tls: Option<Arc<ClientConfig>>,
    /// Nodes may take none: they are changed one after the other.
    pub plain: bool,
}

impl Keys {
    /// Those for nodes that do `between`, with the Secret of their certificates.
    pub fn new(cookies: Vec<Cookie>, between: Between, certificates: Option<&Secret>) -> Self {
        let secret = certificates.filter(|_| between != Between::None);
        let tls = secret.and_then(|secret| match config(secret) {
            Ok(config) => Some(config),
            Err(why) => {
                tracing::debug!("the certificates of TLS between nodes cannot be used: {why}");
                None
            }
        });
        Self {
            cookies,
            tls,
            plain: between != Between::Required,
        }
    }

    /// Connects to the node of this name at its address.
    pub(super) async fn connect(&self, address: &str, node: &str) -> io::Result<Box<dyn Wire>> {
        let tcp = TcpStream::connect(address).await?;
        let Some(tls) = &self.tls else { return Ok(Box::new(tcp)) };
        let host = node.rsplit('@').next().unwrap_or(node).to_owned();
        let host = ServerName::try_from(host).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        match TlsConnector::from(tls.clone()).connect(host, tcp).await {
            Ok(secured) => Ok(Box::new(secured)),
            Err(_) if self.plain => Ok(Box::new(TcpStream::connect(address).await?)),
            Err(why) => Err(io::Error::new(why.kind(), format!("TLS between nodes: {why}"))),
        }
    }
}

/// Why the Secret's files are none for TLS.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("the Secret has no {0}")]
    Missing(&'static str),
    #[error("no PEM: {0}")]
    Pem(#[from] pem::Error),
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

fn config(secret: &Secret) -> Result<Arc<ClientConfig>, Unusable> {
    let file = |key: &'static str| text(secret, key).map(str::as_bytes).ok_or(Unusable::Missing(key));
    let certificates = |key| {
        CertificateDer::pem_slice_iter(file(key)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(Unusable::from)
    };
    let mut authorities = RootCertStore::empty();
    for authority in certificates("ca.crt")? {
        authorities.add(authority)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let key = PrivateKeyDer::from_pem_slice(file("tls.key")?)?;
    let config = builder
        .with_root_certificates(authorities)
        .with_client_auth_cert(certificates("tls.crt")?, key)?;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use rustls::ServerConfig;
    use rustls::server::WebPkiClientVerifier;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    const NODE: &str = "rabbit@orders-server-0.orders-nodes.shop";

    /// A Secret with a certificate of an authority of its own.
    fn secret() -> Secret {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let names = CertificateParams::new(["*.orders-nodes.shop".to_owned()]).unwrap();
        let certificate = names.signed_by(&key, &issuer).unwrap().pem();
        let files = [
            ("ca.crt", authority),
            ("tls.crt", certificate),
            ("tls.key", key.serialize_pem()),
        ];
        let data = files.map(|(name, pem)| (name.to_owned(), ByteString(pem.into_bytes())));
        Secret {
            data: Some(data.into()),
            ..Secret::default()
        }
    }

    /// What nodes with this Secret demand of whoever connects.
    fn demanding(secret: &Secret) -> TlsAcceptor {
        let pem = |key| text(secret, key).unwrap().as_bytes();
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(pem("ca.crt")).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = builder.unwrap().with_client_cert_verifier(clients.build().unwrap());
        let chain = vec![CertificateDer::from_pem_slice(pem("tls.crt")).unwrap()];
        let config = config.with_single_cert(chain, PrivateKeyDer::from_pem_slice(pem("tls.key")).unwrap());
        TlsAcceptor::from(Arc::new(config.unwrap()))
    }

    /// Whether a word comes back from a node that speaks TLS, or none.
    async fn echo(keys: &Keys, node: Option<TlsAcceptor>) -> io::Result<[u8; 1]> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        tokio::spawn(async move {
            while let Ok((mut tcp, _)) = listener.accept().await {
                let mut word = [0];
                match &node {
                    Some(acceptor) => {
                        let Ok(mut secured) = acceptor.accept(tcp).await else {
                            continue;
                        };
                        if secured.read_exact(&mut word).await.is_ok() {
                            secured.write_all(&word).await.unwrap();
                            secured.flush().await.unwrap();
                        }
                    }
                    // As the peer port does with what cannot be a frame.
                    None if tcp.read_exact(&mut word).await.is_ok() && word != [0x16] => {
                        tcp.write_all(&word).await.unwrap();
                    }
                    None => {}
                }
            }
        });
        let mut wire = keys.connect(&address, NODE).await?;
        wire.write_all(b"w").await?;
        wire.flush().await?;
        let mut word = [0];
        wire.read_exact(&mut word).await?;
        Ok(word)
    }

    #[tokio::test]
    async fn nodes_that_demand_tls_are_met_with_the_clusters_certificate_and_no_other() {
        let (own, other) = (secret(), secret());
        let keys = |between, secret| Keys::new(Vec::new(), between, Some(secret));
        let required = keys(Between::Required, &own);
        assert_eq!(&echo(&required, Some(demanding(&own))).await.unwrap(), b"w");
        assert!(echo(&required, Some(demanding(&other))).await.is_err());
        assert!(echo(&required, None).await.is_err(), "never without");
        let plain = echo(&keys(Between::None, &own), Some(demanding(&own))).await;
        assert_ne!(plain.ok().as_ref(), Some(b"w"));
    }

    #[tokio::test]
    async fn while_nodes_are_changed_those_with_tls_and_those_without_are_met() {
        let own = secret();
        let offered = Keys::new(Vec::new(), Between::Offered, Some(&own));
        assert_eq!(&echo(&offered, Some(demanding(&own))).await.unwrap(), b"w");
        assert_eq!(&echo(&offered, None).await.unwrap(), b"w");
        let none = Keys::new(Vec::new(), Between::Offered, None);
        assert_eq!(&echo(&none, None).await.unwrap(), b"w", "a Secret that cannot be used");
    }
}
