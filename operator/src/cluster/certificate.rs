//! The certificates in the Secrets that the spec names for TLS: until when they are valid, and whether their keys fit. Nodes keep what they have
//! when a Secret comes to hold a pair that does not fit, so the user is told here before it matters. Pure; the time comes in.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::secrets::text;
use crate::conditions::{Claim, claim};

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// What is in one Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSeen {
    /// Its name.
    pub secret: String,
    /// When the certificate ends, or what is wrong with it.
    pub ends: Result<Timestamp, String>,
}

/// Reads those that hold a certificate; one that holds an authority alone does not.
pub fn read(secrets: &[Secret]) -> Vec<CertificateSeen> {
    let mut seen: Vec<CertificateSeen> = Vec::new();
    for secret in secrets {
        let name = secret.name_any();
        if text(secret, "tls.crt").is_some() && seen.iter().all(|seen| seen.secret != name) {
            seen.push(CertificateSeen {
                ends: ends(secret),
                secret: name,
            });
        }
    }
    seen
}

fn ends(secret: &Secret) -> Result<Timestamp, String> {
    let pem = |key| {
        text(secret, key)
            .map(str::as_bytes)
            .ok_or(format!("it has no text under {key}"))
    };
    let unusable = |key: &str, why: &dyn std::fmt::Display| format!("{key} cannot be used: {why}");
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem("tls.crt")?).collect();
    let chain = chain.map_err(|why| unusable("tls.crt", &why))?;
    let leaf = chain.first().ok_or("tls.crt holds no certificate")?;
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|why| unusable("tls.crt", &why))?;
    let ends = Timestamp::from_second(parsed.validity().not_after.timestamp());
    let ends = ends.map_err(|why| unusable("tls.crt", &why))?;
    let key = PrivateKeyDer::from_pem_slice(pem("tls.key")?).map_err(|why| unusable("tls.key", &why))?;
    let key = any_supported_type(&key).map_err(|why| unusable("tls.key", &why))?;
    match CertifiedKey::new(chain, key).keys_match() {
        Ok(()) => Ok(ends),
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(ends),
        Err(_) => Err("tls.key is not the key of tls.crt".into()),
    }
}

/// The first end of all of them.
pub fn first_end(seen: &[CertificateSeen]) -> Option<Timestamp> {
    seen.iter().filter_map(|seen| seen.ends.as_ref().ok().copied()).min()
}

/// Whether all are good, and for how long. The reason changes 30, 7 and 1 days before one ends.
pub(crate) fn is_valid(seen: &[CertificateSeen], now: Timestamp) -> Claim {
    let kind = "CertificateValid";
    let wrong = seen
        .iter()
        .find_map(|seen| Some((&seen.secret, seen.ends.as_ref().err()?)));
    if let Some((secret, why)) = wrong {
        return claim(
            kind,
            false,
            "Unusable",
            format!("Secret {secret}: {why}; nodes keep what they had"),
        );
    }
    let next = seen
        .iter()
        .filter_map(|seen| Some((seen.ends.as_ref().ok()?, &seen.secret)))
        .min();
    let Some((ends, secret)) = next else {
        return claim(kind, true, "NotAsked", "spec.tls names no certificate");
    };
    let told = format!("the certificate in Secret {secret} is valid until {ends}");
    let left = ends.as_second() - now.as_second();
    match left {
        ..=0 => claim(
            kind,
            false,
            "Expired",
            format!("the certificate in Secret {secret} was valid until {ends}"),
        ),
        _ if left <= DAY_SECONDS => claim(kind, true, "ExpiresWithinDay", told),
        _ if left <= 7 * DAY_SECONDS => claim(kind, true, "ExpiresWithin7Days", told),
        _ if left <= 30 * DAY_SECONDS => claim(kind, true, "ExpiresWithin30Days", told),
        _ => claim(kind, true, "Valid", told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["orders.shop.svc".to_owned()]).unwrap();
        params.not_after = date_time_ymd(2026, 3, 1);
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn secret(certificate: &str, key: &str) -> Secret {
        let mut secret = Secret::default();
        secret.metadata.name = Some("pair".into());
        let files = [("tls.crt", certificate), ("tls.key", key)];
        let files = files.map(|(name, text)| (name.to_owned(), ByteString(text.as_bytes().to_vec())));
        secret.data = Some(files.into());
        secret
    }

    fn told(secret: &Secret, now: &str) -> String {
        let claim = is_valid(&read(std::slice::from_ref(secret)), now.parse().unwrap());
        format!("{} {}", claim.holds, claim.reason)
    }

    #[test]
    fn that_a_certificate_ends_is_told_a_month_a_week_and_a_day_before() {
        let (certificate, key) = pair();
        let secret = secret(&certificate, &key);
        for (now, expected) in [
            ("2026-01-29T23:00:00Z", "true Valid"),
            ("2026-01-30T00:00:00Z", "true ExpiresWithin30Days"),
            ("2026-02-22T00:00:00Z", "true ExpiresWithin7Days"),
            ("2026-02-28T00:00:00Z", "true ExpiresWithinDay"),
            ("2026-03-01T00:00:00Z", "false Expired"),
        ] {
            assert_eq!(told(&secret, now), expected, "{now}");
        }
        let end = first_end(&read(&[secret])).unwrap();
        assert_eq!(end.to_string(), "2026-03-01T00:00:00Z");
    }

    #[test]
    fn a_key_that_does_not_fit_and_what_is_no_certificate_are_told() {
        let now = "2026-01-01T00:00:00Z";
        let ((certificate, key), (_, other)) = (pair(), pair());
        assert_eq!(told(&secret(&certificate, &key), now), "true Valid");
        for wrong in [
            secret(&certificate, &other),
            secret("nonsense", &key),
            secret(&certificate, "x"),
        ] {
            assert_eq!(told(&wrong, now), "false Unusable");
        }
        let claim = is_valid(&read(&[secret(&certificate, &other)]), now.parse().unwrap());
        assert_eq!(
            claim.message,
            "Secret pair: tls.key is not the key of tls.crt; nodes keep what they had"
        );
        assert_eq!(is_valid(&[], now.parse().unwrap()).reason, "NotAsked");
        assert!(read(&[Secret::default()]).is_empty(), "an authority alone");
    }
}
