//! The connecting end of connections to servers that are none of ours, such as one that definitions are fetched from.
//!
//! A server is believed by an authority that is named, or by those of the system; never by itself, unless a setting says so.

use anyhow::Context;
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{authorities, certificates, private_key, versions};
use crate::config::{TlsOptions, Verify};

/// Where systems keep the authorities that they trust.
const OF_THE_SYSTEM: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// The connecting end. `keys` is how the settings begin.
///
/// # Errors
/// A file cannot be used, or there is no authority to believe.
pub fn outward_config(options: &TlsOptions, keys: &str) -> anyhow::Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(&versions(options))?;
    let builder = match options.verify {
        Verify::Peer => builder.with_root_certificates(authorities(&with_authorities(options, keys)?, keys)?),
        Verify::None => {
            tracing::warn!("{keys}.verify = verify_none: whoever answers is believed");
            let anybody = Arc::new(Anybody(provider));
            builder.dangerous().with_custom_certificate_verifier(anybody)
        }
    };
    let config = match (&options.cert_file, &options.key_file) {
        (Some(chain), Some(key)) => builder
            .with_client_auth_cert(certificates(chain)?, private_key(key)?)
            .context("certificate and key do not fit together")?,
        (None, None) => builder.with_no_client_auth(),
        _ => anyhow::bail!("{keys}.certfile and {keys}.keyfile belong together: only one of them is set"),
    };
    Ok(Arc::new(config))
}

/// The options with the system's authorities, if none are named.
fn with_authorities(options: &TlsOptions, keys: &str) -> anyhow::Result<TlsOptions> {
    let of_the_system = || {
        OF_THE_SYSTEM
            .into_iter()
            .map(PathBuf::from)
            .find(|path| Path::exists(path))
    };
    let ca_file = options.ca_file.clone().or_else(of_the_system);
    anyhow::ensure!(
        ca_file.is_some(),
        "{keys}.cacertfile is not set, and the system has no authorities at {}",
        OF_THE_SYSTEM.join(" or ")
    );
    Ok(TlsOptions {
        ca_file,
        ..options.clone()
    })
}

/// Believes every certificate; whoever shows it must have its key all the same.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
