//! Certificates of the TLS listeners, read again when their files change, so that rotation needs no restart.
//!
//! A broken new pair is logged and the old one keeps serving.

use anyhow::Context;
use api::Reading;
use parking_lot::Mutex;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, ServerConnection,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use sha2::{Digest, Sha256};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::node::Node;
use crate::config::{TlsOptions, TlsVersion, Verify};

mod client;
pub use client::outward_config;

/// The certificates of one set of TLS options.
#[derive(Debug)]
pub struct Certificates {
    options: TlsOptions,
    keys: String,
    loaded: Mutex<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    fingerprint: String,
    stamps: Stamps,
    reading: Reading,
}

/// What became of files that are read now.
pub fn reading(error: Option<&anyhow::Error>) -> Reading {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Reading {
        at: since.map_or(0, |since| since.as_secs()),
        error: error.map(|error| format!("{error:#}")),
    }
}

/// When the files were changed.
pub type Stamps = Vec<Option<SystemTime>>;

impl Certificates {
    /// Reads certificate, key and authorities. `keys` is how the settings begin, such as `ssl_options`.
    pub fn load(options: &TlsOptions, keys: &str) -> anyhow::Result<Self> {
        let loaded = Loaded {
            config: server_config(options, keys)?,
            fingerprint: fingerprint(options, keys)?,
            stamps: stamps(options),
            reading: reading(None),
        };
        Ok(Certificates {
            options: options.clone(),
            keys: keys.to_owned(),
            loaded: Mutex::new(loaded),
        })
    }

    /// A TLS machine for a new connection, with the files as they are now.
    pub fn accept(&self) -> Result<ServerConnection, rustls::Error> {
        ServerConnection::new(self.current())
    }

    /// The configuration, read again if a file has changed.
    pub fn current(&self) -> Arc<ServerConfig> {
        let mut loaded = self.loaded.lock();
        let stamps = stamps(&self.options);
        if stamps != loaded.stamps {
            let read = || {
                anyhow::Ok((
                    server_config(&self.options, &self.keys)?,
                    fingerprint(&self.options, &self.keys)?,
                ))
            };
            match read() {
                Ok(read) => {
                    tracing::info!("TLS certificates were read again");
                    (loaded.config, loaded.fingerprint) = read;
                    loaded.reading = reading(None);
                }
                Err(error) => {
                    tracing::error!("TLS certificates changed but cannot be used, keeping the old: {error:#}");
                    loaded.reading = reading(Some(&error));
                }
            }
            loaded.stamps = stamps;
        }
        loaded.config.clone()
    }

    /// SHA-256 of the certificate that is shown, in lower-case hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        self.current();
        self.loaded.lock().fingerprint.clone()
    }

    /// How the files were read last.
    pub fn reading(&self) -> Reading {
        self.current();
        self.loaded.lock().reading.clone()
    }
}

impl Node {
    /// AMQP clients are shown these.
    pub fn shows(&self, certificates: Arc<Certificates>) {
        self.shown.get_or_init(|| certificates);
    }

    /// How the certificates for AMQP clients were read last; nothing without TLS.
    pub fn certificates_read(&self) -> Option<Reading> {
        self.shown.get().map(|certificates| certificates.reading())
    }

    /// The certificate that AMQP clients are shown, by its fingerprint; none without TLS.
    pub fn certificate(&self) -> Option<String> {
        self.shown.get().map(|certificates| certificates.fingerprint())
    }
}

/// Of the first certificate in the file, which is the node's own.
fn fingerprint(options: &TlsOptions, keys: &str) -> anyhow::Result<String> {
    let chain = certificates(required(&options.cert_file, keys, "certfile")?)?;
    let own = chain
        .first()
        .map(|own| Sha256::digest(own.as_ref()))
        .unwrap_or_default();
    Ok(own.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn files(options: &TlsOptions) -> [Option<&PathBuf>; 3] {
    [
        options.cert_file.as_ref(),
        options.key_file.as_ref(),
        options.ca_file.as_ref(),
    ]
}

/// When the files of these options were changed.
pub fn stamps(options: &TlsOptions) -> Stamps {
    let modified = |path: &PathBuf| std::fs::metadata(path).and_then(|facts| facts.modified()).ok();
    files(options).into_iter().map(|path| path.and_then(modified)).collect()
}

/// The accepting end of connections.
///
/// # Errors
/// A file is not named, or cannot be used.
pub fn server_config(options: &TlsOptions, keys: &str) -> anyhow::Result<Arc<ServerConfig>> {
    let chain = certificates(required(&options.cert_file, keys, "certfile")?)?;
    let key = private_key(required(&options.key_file, keys, "keyfile")?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions(options))?;
    let builder = match options.verify {
        Verify::None => builder.with_no_client_auth(),
        Verify::Peer => builder.with_client_cert_verifier(verifier(options, keys)?),
    };
    let config = builder
        .with_single_cert(chain, key)
        .context("certificate and key do not fit together")?;
    Ok(Arc::new(config))
}

/// The connecting end of connections on which both show a certificate of the same authority.
///
/// # Errors
/// A file is not named, or cannot be used.
pub fn client_config(options: &TlsOptions, keys: &str) -> anyhow::Result<Arc<ClientConfig>> {
    let chain = certificates(required(&options.cert_file, keys, "certfile")?)?;
    let key = private_key(required(&options.key_file, keys, "keyfile")?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&versions(options))?;
    let config = builder
        .with_root_certificates(authorities(options, keys)?)
        .with_client_auth_cert(chain, key)
        .context("certificate and key do not fit together")?;
    Ok(Arc::new(config))
}

fn required<'a>(path: &'a Option<PathBuf>, keys: &str, last: &str) -> anyhow::Result<&'a Path> {
    path.as_deref().with_context(|| {
        format!("{keys}.{last} is not set: TLS needs certfile and keyfile, and cacertfile to check peers against")
    })
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    let found = read().with_context(|| format!("cannot read certificates from {}", path.display()))?;
    anyhow::ensure!(!found.is_empty(), "{} holds no PEM certificate", path.display());
    Ok(found)
}

fn private_key(path: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).with_context(|| format!("cannot read a private key from {}", path.display()))
}

fn authorities(options: &TlsOptions, keys: &str) -> anyhow::Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(required(&options.ca_file, keys, "cacertfile")?)? {
        roots.add(authority)?;
    }
    Ok(Arc::new(roots))
}

fn verifier(options: &TlsOptions, keys: &str) -> anyhow::Result<Arc<dyn ClientCertVerifier>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(authorities(options, keys)?, provider);
    let builder = if options.peer_cert_required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    Ok(builder.build()?)
}

fn versions(options: &TlsOptions) -> Vec<&'static rustls::SupportedProtocolVersion> {
    let wanted: Vec<_> = options.versions.values().collect();
    let has = |version| wanted.is_empty() || wanted.contains(&&version);
    let mut versions = Vec::new();
    if has(TlsVersion::V13) {
        versions.push(&rustls::version::TLS13);
    }
    if has(TlsVersion::V12) {
        versions.push(&rustls::version::TLS12);
    }
    versions
}
