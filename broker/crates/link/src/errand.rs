//! The proof on the admin port, where a request is one HTTP exchange: HMAC-SHA256 with the cluster's secret over a nonce
//! that the node drew, and over all that is asked for; and the node's own proof over what it answers.
//!
//! A nonce carries its own authenticity, so a node keeps nothing for strangers; that it counts once is its issuer's to see
//! to. Texts are base64. The secret never crosses the wire.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;

use crate::cookie::Cookie;

/// The scheme in `Authorization` and `WWW-Authenticate`.
pub const ERRAND_SCHEME: &str = "Warren";
/// The header with the node's own proof.
pub const ERRAND_PROOF_HEADER: &str = "warren-proof";
/// Longest body of a request that is proven.
pub const ERRAND_BYTES_MAX: usize = 1 << 20;
/// How long a nonce counts after it was drawn.
const NONCE_MS_MAX: u64 = 10_000;
/// Nonces that have counted and are remembered until they are too old.
const USED_MAX: usize = 16_384;
/// Octets of a nonce: when, what, and the seal over both.
const NONCE_BYTES: usize = 8 + 16 + 32;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Errand<'a> {
    /// Such as `PUT`.
    pub method: &'a str,
    /// Path and query as they are on the wire.
    pub target: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// Why a proof does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// There is none, or its nonce is not ours, too old, or has counted already: ask with a new one.
    #[error("prove the cluster's secret over the nonce of this answer")]
    Again,
    /// Made with another secret, or for another request.
    #[error("wrong secret")]
    WrongSecret,
    /// More requests than can be remembered came within ten seconds.
    #[error("too many requests within ten seconds")]
    Busy,
}

/// The node's nonces: drawn for anyone, counted once.
pub struct Nonces {
    key: [u8; 32],
    used: VecDeque<(u64, [u8; NONCE_BYTES])>,
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nonces")
            .field("used", &self.used.len())
            .finish_non_exhaustive()
    }
}

impl Default for Nonces {
    fn default() -> Self {
        Nonces {
            key: rand::random(),
            used: VecDeque::new(),
        }
    }
}

impl Nonces {
    /// Draws one. `now_ms` counts from any moment, always the same.
    pub fn draw(&self, now_ms: u64) -> String {
        let mut nonce = [0; NONCE_BYTES];
        nonce[..8].copy_from_slice(&now_ms.to_be_bytes());
        nonce[8..24].copy_from_slice(&rand::random::<[u8; 16]>());
        let seal: [u8; 32] = keyed(&self.key, &[&nonce[..24]]).finalize().into_bytes().into();
        nonce[24..].copy_from_slice(&seal);
        STANDARD.encode(nonce)
    }

    /// Judges the value of `Authorization` against every secret that is accepted now. The secret that fits, and the nonce, for the
    /// answer's proof.
    ///
    /// # Errors
    /// When nothing is proven.
    pub fn judge<'a>(
        &mut self,
        now_ms: u64,
        accepted: &'a [Cookie],
        errand: Errand<'_>,
        authorization: Option<&str>,
    ) -> Result<(&'a Cookie, String), Unproven> {
        let (text, proof) = authorization.and_then(parts).ok_or(Unproven::Again)?;
        let nonce = self.own(now_ms, &text).ok_or(Unproven::Again)?;
        let fits = |cookie: &&Cookie| request_mac(cookie, &text, errand).verify_slice(&proof).is_ok();
        let fitting = accepted.iter().find(fits).ok_or(Unproven::WrongSecret)?;
        self.used
            .retain(|(drawn, _)| now_ms.saturating_sub(*drawn) <= NONCE_MS_MAX);
        if self.used.iter().any(|(_, used)| *used == nonce.1) {
            return Err(Unproven::Again);
        }
        if self.used.len() >= USED_MAX {
            return Err(Unproven::Busy);
        }
        self.used.push_back(nonce);
        Ok((fitting, text))
    }

    /// A nonce that this node drew and that is not too old.
    fn own(&self, now_ms: u64, text: &str) -> Option<(u64, [u8; NONCE_BYTES])> {
        let nonce: [u8; NONCE_BYTES] = STANDARD.decode(text).ok()?.try_into().ok()?;
        keyed(&self.key, &[&nonce[..24]]).verify_slice(&nonce[24..]).ok()?;
        let drawn = u64::from_be_bytes(nonce[..8].try_into().ok()?);
        (now_ms.saturating_sub(drawn) <= NONCE_MS_MAX).then_some((drawn, nonce))
    }
}

/// The value of `WWW-Authenticate` that hands a nonce out.
pub fn errand_challenge(nonce: &str) -> String {
    format!("{ERRAND_SCHEME} nonce=\"{nonce}\"")
}

/// The nonce in `WWW-Authenticate`.
pub fn errand_nonce(challenge: &str) -> Option<String> {
    quoted(challenge.strip_prefix(ERRAND_SCHEME)?, "nonce").map(str::to_owned)
}

/// The value of `Authorization` for a request.
pub fn errand_proof(cookie: &Cookie, nonce: &str, errand: Errand<'_>) -> String {
    let proof = STANDARD.encode(request_mac(cookie, nonce, errand).finalize().into_bytes());
    format!("{ERRAND_SCHEME} nonce=\"{nonce}\", proof=\"{proof}\"")
}

/// The node's own proof over its answer to the request that this nonce was used for.
pub fn answer_proof(cookie: &Cookie, nonce: &str, status: u16, body: &[u8]) -> String {
    STANDARD.encode(answer_mac(cookie, nonce, status, body).finalize().into_bytes())
}

/// Whether an answer comes from a node that knows the secret.
pub fn is_answer_proven(cookie: &Cookie, nonce: &str, status: u16, body: &[u8], proof: &str) -> bool {
    let proof = STANDARD.decode(proof).unwrap_or_default();
    answer_mac(cookie, nonce, status, body).verify_slice(&proof).is_ok()
}

fn parts(authorization: &str) -> Option<(String, Vec<u8>)> {
    let rest = authorization.strip_prefix(ERRAND_SCHEME)?;
    let proof = STANDARD.decode(quoted(rest, "proof")?).ok()?;
    Some((quoted(rest, "nonce")?.to_owned(), proof))
}

fn quoted<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = text.split(',').filter_map(|field| field.trim().split_once('='));
    let (_, value) = fields.find(|(found, _)| *found == name)?;
    value.strip_prefix('"')?.strip_suffix('"')
}

fn request_mac(cookie: &Cookie, nonce: &str, errand: Errand<'_>) -> Hmac<Sha256> {
    let body = Sha256::digest(errand.body);
    let parts: [&[u8]; 5] = [
        b"warren-errand asks 1",
        nonce.as_bytes(),
        errand.method.as_bytes(),
        errand.target.as_bytes(),
        &body,
    ];
    keyed(cookie.octets(), &parts)
}

fn answer_mac(cookie: &Cookie, nonce: &str, status: u16, body: &[u8]) -> Hmac<Sha256> {
    let body = Sha256::digest(body);
    let parts: [&[u8]; 4] = [
        b"warren-errand answers 1",
        nonce.as_bytes(),
        &status.to_be_bytes(),
        &body,
    ];
    keyed(cookie.octets(), &parts)
}

/// With lengths, so that no two lists of parts read the same.
fn keyed(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(text: &str) -> Cookie {
        Cookie::new(text, "test").unwrap()
    }

    const PUT: Errand<'static> = Errand {
        method: "PUT",
        target: "/policies/%2F/ha",
        body: b"{}",
    };

    #[test]
    fn a_proof_with_an_accepted_secret_counts_once() {
        let (mut nonces, accepted) = (Nonces::default(), [cookie("CURRENT"), cookie("PREVIOUS")]);
        for own in &accepted {
            let nonce = errand_nonce(&errand_challenge(&nonces.draw(5))).unwrap();
            let said = errand_proof(own, &nonce, PUT);
            let (fitting, used) = nonces.judge(6, &accepted, PUT, Some(&said)).unwrap();
            assert_eq!((fitting, &used), (own, &nonce));
            assert_eq!(
                nonces.judge(7, &accepted, PUT, Some(&said)),
                Err(Unproven::Again),
                "replayed"
            );
        }
    }

    #[test]
    fn a_proof_fits_one_request_one_secret_one_node_and_ten_seconds() {
        let (mut nonces, own) = (Nonces::default(), [cookie("SECRET")]);
        let nonce = nonces.draw(0);
        let said = errand_proof(&own[0], &nonce, PUT);
        let others = [
            Errand {
                method: "DELETE",
                ..PUT
            },
            Errand {
                target: "/policies/%2F/hb",
                ..PUT
            },
            Errand { body: b"{ }", ..PUT },
        ];
        for other in others {
            assert_eq!(
                nonces.judge(1, &own, other, Some(&said)),
                Err(Unproven::WrongSecret),
                "{other:?}"
            );
        }
        let stranger = errand_proof(&cookie("OTHER"), &nonce, PUT);
        assert_eq!(nonces.judge(1, &own, PUT, Some(&stranger)), Err(Unproven::WrongSecret));
        assert_eq!(
            Nonces::default().judge(1, &own, PUT, Some(&said)),
            Err(Unproven::Again),
            "of another node"
        );
        assert_eq!(
            nonces.judge(NONCE_MS_MAX + 1, &own, PUT, Some(&said)),
            Err(Unproven::Again),
            "too old"
        );
        assert!(nonces.judge(NONCE_MS_MAX, &own, PUT, Some(&said)).is_ok());
    }

    #[test]
    fn words_that_are_no_proof_ask_for_one() {
        let (mut nonces, own) = (Nonces::default(), [cookie("SECRET")]);
        let hostile = [
            "",
            "Basic eDp5",
            "Warren",
            "Warren nonce=\"",
            "Warren nonce=\"AAAA\", proof=\"AAAA\"",
        ];
        for words in hostile.map(Some).into_iter().chain([None]) {
            assert_eq!(nonces.judge(0, &own, PUT, words), Err(Unproven::Again), "{words:?}");
        }
        assert_eq!(errand_nonce("Basic realm=\"x\""), None);
    }

    #[test]
    fn an_answer_is_proven_for_its_nonce_status_and_body() {
        let own = cookie("SECRET");
        let proof = answer_proof(&own, "n", 200, b"{}");
        assert!(is_answer_proven(&own, "n", 200, b"{}", &proof));
        assert!(!is_answer_proven(&own, "m", 200, b"{}", &proof));
        assert!(!is_answer_proven(&own, "n", 204, b"{}", &proof));
        assert!(!is_answer_proven(&own, "n", 200, b"", &proof));
        assert!(!is_answer_proven(&cookie("OTHER"), "n", 200, b"{}", &proof));
        assert!(!is_answer_proven(&own, "n", 200, b"{}", "?"));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten_when_too_old() {
        let (mut nonces, own) = (Nonces::default(), [cookie("SECRET")]);
        nonces.used = (0..USED_MAX).map(|_| (0, [0; NONCE_BYTES])).collect();
        let nonce = nonces.draw(1);
        let said = errand_proof(&own[0], &nonce, PUT);
        assert_eq!(nonces.judge(1, &own, PUT, Some(&said)), Err(Unproven::Busy));
        assert!(nonces.judge(NONCE_MS_MAX + 1, &own, PUT, Some(&said)).is_ok());
        assert_eq!(nonces.used.len(), 1);
    }
}
