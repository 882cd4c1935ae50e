//! What TLS has agreed on with a client, and the certificate that the client has proved, in the words of RabbitMQ's tools.
//!
//! Reads what rustls tells and decides nothing.

use x509_parser::{asn1_rs::FromDer, certificate::X509Certificate, time::ASN1Time};

use super::{certificate_name::distinguished_name, socket::Socket};

/// What is shown of a connection behind TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// Such as `tlsv1.3`.
    pub protocol: Option<&'static str>,
    /// Such as `ecdhe_rsa`; `any` where the protocol leaves no choice.
    pub key_exchange: Option<String>,
    /// Such as `aes_256_gcm`.
    pub cipher: Option<String>,
    /// `aead`: every cipher here proves its octets itself.
    pub hash: Option<&'static str>,
    /// Of the client's certificate: whose it is.
    pub subject: Option<String>,
    /// Who says so.
    pub issuer: Option<String>,
    /// From when until when it counts.
    pub validity: Option<String>,
}

impl Socket {
    /// What TLS has agreed on; nothing without TLS, and before the handshake is over.
    pub fn tls_facts(&self) -> TlsFacts {
        let agreed = self.with_tls(|tls| {
            let version = tls.protocol_version()?;
            Some((version, tls.negotiated_cipher_suite()?.suite()))
        });
        let Some((version, suite)) = agreed else {
            return TlsFacts::default();
        };
        let suite = suite.as_str().unwrap_or_default();
        let (key_exchange, cipher) = parts(suite).unzip();
        TlsFacts {
            protocol: match version {
                rustls::ProtocolVersion::TLSv1_3 => Some("tlsv1.3"),
                rustls::ProtocolVersion::TLSv1_2 => Some("tlsv1.2"),
                _ => None,
            },
            key_exchange,
            cipher,
            hash: Some("aead"),
            ..self
                .peer_certificate()
                .map(|der| of_certificate(&der))
                .unwrap_or_default()
        }
    }
}

/// Key exchange and cipher out of a suite's name, such as `TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384` or `TLS13_AES_256_GCM_SHA384`.
fn parts(suite: &str) -> Option<(String, String)> {
    let (key_exchange, rest) = match suite.strip_prefix("TLS13_") {
        Some(rest) => ("any", rest),
        None => suite.strip_prefix("TLS_")?.split_once("_WITH_")?,
    };
    let (cipher, _hash) = rest.rsplit_once('_')?;
    Some((key_exchange.to_lowercase(), cipher.to_lowercase()))
}

fn of_certificate(der: &[u8]) -> TlsFacts {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return TlsFacts::default();
    };
    let validity = certificate.validity();
    TlsFacts {
        subject: distinguished_name(certificate.subject()),
        issuer: distinguished_name(certificate.issuer()),
        validity: Some(format!(
            "{} - {}",
            moment(validity.not_before),
            moment(validity.not_after)
        )),
        ..TlsFacts::default()
    }
}

fn moment(time: ASN1Time) -> String {
    let at = time.to_datetime();
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};

    #[test]
    fn a_suite_is_told_as_its_parts() {
        let told = |suite| parts(suite).unwrap();
        let own = |key: &str, cipher: &str| (key.to_owned(), cipher.to_owned());
        assert_eq!(told("TLS13_AES_256_GCM_SHA384"), own("any", "aes_256_gcm"));
        assert_eq!(
            told("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
            own("ecdhe_rsa", "chacha20_poly1305")
        );
        assert_eq!(parts("odd"), None);
    }

    #[test]
    fn a_certificate_is_told_by_its_names_and_the_time_it_counts() {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Acme, Inc.");
        params.distinguished_name.push(DnType::CommonName, "client");
        params.not_before = date_time_ymd(2026, 1, 2);
        params.not_after = date_time_ymd(2027, 11, 30);
        let own = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let facts = of_certificate(own.der());
        assert_eq!(facts.subject.as_deref(), Some(r"CN=client,O=Acme\, Inc."));
        assert_eq!(facts.issuer, facts.subject);
        assert_eq!(
            facts.validity.as_deref(),
            Some("2026-01-02T00:00:00Z - 2027-11-30T00:00:00Z")
        );
    }
}
