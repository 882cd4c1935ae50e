//! Until when the certificates of the listeners are valid, as their files say now.
//!
//! Looks at what TLS would show a client; nothing is verified here.

use anyhow::{Context as _, anyhow};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::path::{Path, PathBuf};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use crate::config::{Config, Plugins, TlsOptions};

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// How the settings begin that name it, such as `ssl_options`.
    pub key: &'static str,
    /// Its file.
    pub file: PathBuf,
    /// Whom it names.
    pub subject: String,
    /// Who says so.
    pub issuer: String,
    /// Seconds since 1970.
    pub not_after: i64,
}

/// Those of all TLS listeners: the chain of each that is shown to clients, and the authorities that it trusts.
///
/// # Errors
/// A file that cannot be read; it is named.
pub fn of_listeners(config: &Config, plugins: &Plugins) -> anyhow::Result<Vec<Found>> {
    let management = config.management.listener.tls().filter(|_| plugins.management());
    let prometheus = config.prometheus.listener.tls().filter(|_| plugins.prometheus());
    let all = [
        (
            "ssl_options",
            !config.listeners.tls.is_empty(),
            &config.listeners.tls_options,
        ),
        (
            "management.ssl",
            management.is_some(),
            &config.management.listener.tls_options,
        ),
        (
            "prometheus.ssl",
            prometheus.is_some(),
            &config.prometheus.listener.tls_options,
        ),
    ];
    let mut found = Vec::new();
    for (key, _, options) in all.into_iter().filter(|(_, is_served, _)| *is_served) {
        for file in files(options) {
            found.extend(in_file(key, file).with_context(|| format!("{key}: {}", file.display()))?);
        }
    }
    Ok(found)
}

fn files(options: &TlsOptions) -> impl Iterator<Item = &Path> {
    let files = [&options.cert_file, &options.ca_file];
    files.into_iter().flatten().map(PathBuf::as_path)
}

fn in_file(key: &'static str, file: &Path) -> anyhow::Result<Vec<Found>> {
    let read = CertificateDer::pem_file_iter(file)?.map(|der| {
        let der = der?;
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|why| anyhow!("no certificate: {why}"))?;
        Ok(Found {
            key,
            file: file.to_owned(),
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            not_after: certificate.validity().not_after.timestamp(),
        })
    });
    read.collect()
}
