//! An authority that signs what a test shows: pairs for servers and clients. It lives in memory alone.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::check::Outcome;

/// One of its own key.
pub(crate) struct Authority {
    /// Its certificate.
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What a Secret of TLS holds.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    /// A new one.
    pub(crate) fn draw() -> Outcome<Self> {
        let key = KeyPair::generate().map_err(|error| error.to_string())?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).map_err(|error| error.to_string())?;
        Ok(Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    /// A pair for this common name and these hosts.
    pub(crate) fn pair(&self, common_name: &str, hosts: Vec<String>) -> Outcome<Pair> {
        let sign = || {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::new(hosts)?;
            params.distinguished_name.remove(DnType::CommonName);
            params.distinguished_name.push(DnType::CommonName, common_name);
            let certificate = params.signed_by(&key, &self.issuer)?;
            Ok(Pair {
                certificate: certificate.pem(),
                key: key.serialize_pem(),
            })
        };
        sign().map_err(|error: rcgen::Error| error.to_string())
    }
}
