//! Certificates made for one test: authorities, and what they sign.

use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::{fs, path::Path};

pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, both PEM.
pub(crate) struct Pair {
    certificate: String,
    key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    /// What a client of rustls trusts this authority with.
    pub(crate) fn client(&self) -> std::sync::Arc<rustls::ClientConfig> {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap())
            .unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider);
        let config = builder.with_safe_default_protocol_versions().unwrap();
        config.with_root_certificates(roots).with_no_client_auth().into()
    }

    /// A certificate for `CN=name,O=Corp`, good for servers on this host and for clients.
    pub(crate) fn sign(&self, name: &str) -> Pair {
        self.sign_for(name, &format!("{name}.example"))
    }

    fn sign_for(&self, name: &str, host: &str) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned(), host.to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Corp");
        params.distinguished_name.push(DnType::CommonName, name);
        Pair {
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// Writes the files of a server whose clients are signed by this authority as well.
    pub(crate) fn equip(&self, directory: &Path) {
        self.write(directory, self.sign("server"));
    }

    /// Writes the files of a node on this host.
    pub(crate) fn equip_host(&self, directory: &Path, host: &str) {
        self.write(directory, self.sign_for("node", host));
    }

    fn write(&self, directory: &Path, server: Pair) {
        fs::write(directory.join("ca.pem"), &self.pem).unwrap();
        fs::write(directory.join("server.pem"), server.certificate).unwrap();
        fs::write(directory.join("server.key"), server.key).unwrap();
    }

    /// A client that trusts this authority and shows no certificate.
    pub(crate) fn trusted(&self) -> OwnedTLSConfig {
        OwnedTLSConfig {
            identity: None,
            cert_chain: Some(self.pem.clone()),
        }
    }

    /// A client that trusts this authority and shows a certificate.
    pub(crate) fn trusted_by(&self, client: Pair) -> OwnedTLSConfig {
        let identity = OwnedIdentity::PKCS8 {
            pem: client.certificate.into_bytes(),
            key: client.key.into_bytes(),
        };
        OwnedTLSConfig {
            identity: Some(identity),
            ..self.trusted()
        }
    }
}

/// A directory with a server's files.
pub(crate) fn directory(authority: &Authority) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    authority.equip(directory.path());
    directory
}
