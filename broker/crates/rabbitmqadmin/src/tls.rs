//! Which broker is believed over TLS: one whose certificate an authority of the system, or the one that is named, has
//! signed for the host that is asked; less only where an option says so.

use crate::problem::Problem;
use crate::settings::Tls;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where systems keep the authorities that they trust.
const OF_THE_SYSTEM: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// The connecting end.
///
/// # Errors
/// A file cannot be used, or there is nobody to believe.
pub(crate) fn config(settings: &Tls) -> Result<Arc<ClientConfig>, Problem> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let believed = match settings.any_certificate {
        true => None,
        false => Some(believed(settings, provider.clone())?),
    };
    let verifier = Arc::new(Believed {
        by_authority: believed,
        any_host: settings.any_host,
        provider: provider.clone(),
    });
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().map_err(refused)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let config = match (&settings.key, &settings.certificate) {
        (None, _) => builder.with_no_client_auth(),
        (Some(_), None) => {
            return Err(Problem::Usage(
                "--ssl-key-file is nothing without --ssl-cert-file".into(),
            ));
        }
        (Some(key), Some(chain)) => {
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error))?;
            builder
                .with_client_auth_cert(certificates(chain)?, key)
                .map_err(refused)?
        }
    };
    Ok(Arc::new(config))
}

fn believed(settings: &Tls, provider: Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, Problem> {
    let mut roots = RootCertStore::empty();
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let system = named.or_else(|| OF_THE_SYSTEM.into_iter().map(PathBuf::from).find(|path| path.is_file()));
    for file in system.iter().chain(&settings.authorities) {
        roots.add_parsable_certificates(certificates(file)?);
    }
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    builder.build().map_err(refused)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    read.map_err(|error| unusable(file, error))
}

fn unusable(file: &Path, error: impl std::fmt::Display) -> Problem {
    Problem::Refused(format!("{}: {error}", file.display()))
}

fn refused(error: impl std::fmt::Display) -> Problem {
    Problem::Refused(format!("TLS: {error}"))
}

/// Whoever shows a certificate must have its key all the same.
#[derive(Debug)]
struct Believed {
    /// None: any certificate will do.
    by_authority: Option<Arc<WebPkiServerVerifier>>,
    any_host: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Believed {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authority) = &self.by_authority else {
            return Ok(ServerCertVerified::assertion());
        };
        match authority.verify_server_cert(own, between, name, stapled, now) {
            // The name is looked at when all else is right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.any_host => Ok(ServerCertVerified::assertion()),
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
