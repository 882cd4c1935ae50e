//! Password hashes in RabbitMQ's format: base64 of a 4-octet salt followed by HASH(salt, password).
//!
//! The salt comes in as data. Comparison takes the same time wherever the first difference is.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use sha2::Digest;
use std::{fmt, str::FromStr};

/// Octets of salt before the digest.
const SALT_BYTES: usize = 4;

/// How passwords are hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HashAlgorithm {
    /// SHA-256, the default.
    #[default]
    #[serde(rename = "rabbit_password_hashing_sha256")]
    Sha256,
    /// SHA-512.
    #[serde(rename = "rabbit_password_hashing_sha512")]
    Sha512,
    /// MD5, for hashes of very old brokers only.
    #[serde(rename = "rabbit_password_hashing_md5")]
    Md5,
}

const ALGORITHMS: [(HashAlgorithm, &str); 3] = [
    (HashAlgorithm::Sha256, "rabbit_password_hashing_sha256"),
    (HashAlgorithm::Sha512, "rabbit_password_hashing_sha512"),
    (HashAlgorithm::Md5, "rabbit_password_hashing_md5"),
];

impl HashAlgorithm {
    /// The name in definitions.
    pub fn as_str(self) -> &'static str {
        ALGORITHMS
            .iter()
            .find(|(this, _)| *this == self)
            .map_or("", |(_, name)| name)
    }

    fn digest(self, salt: &[u8], password: &[u8]) -> Vec<u8> {
        match self {
            HashAlgorithm::Sha256 => digest::<sha2::Sha256>(salt, password),
            HashAlgorithm::Sha512 => digest::<sha2::Sha512>(salt, password),
            HashAlgorithm::Md5 => digest::<md5::Md5>(salt, password),
        }
    }
}

fn digest<D: Digest>(salt: &[u8], password: &[u8]) -> Vec<u8> {
    D::new().chain_update(salt).chain_update(password).finalize().to_vec()
}

/// The text names no hashing algorithm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// No such algorithm.
    #[error("unknown hashing algorithm '{0}', known are rabbit_password_hashing_sha256, _sha512 and _md5")]
    Algorithm(String),
    /// Not base64.
    #[error("password_hash is not valid base64")]
    Encoding,
    /// Neither empty nor a salt and a digest.
    #[error("password_hash has {bytes} octets, too few for a salt and a digest")]
    TooShort {
        /// Decoded octets.
        bytes: usize,
    },
}

impl FromStr for HashAlgorithm {
    type Err = PasswordError;
    fn from_str(text: &str) -> Result<Self, PasswordError> {
        let found = ALGORITHMS.iter().find(|(_, name)| *name == text);
        found
            .map(|(this, _)| *this)
            .ok_or_else(|| PasswordError::Algorithm(text.to_owned()))
    }
}

/// A salted hash; an empty one lets no password in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash {
    algorithm: HashAlgorithm,
    /// Salt and digest; empty without a password.
    octets: Vec<u8>,
}

impl PasswordHash {
    /// Hashes a password with a fresh salt.
    pub fn new(algorithm: HashAlgorithm, salt: [u8; SALT_BYTES], password: &[u8]) -> Self {
        let octets = [salt.as_slice(), &algorithm.digest(&salt, password)].concat();
        PasswordHash { algorithm, octets }
    }

    /// The user has no password.
    pub fn none(algorithm: HashAlgorithm) -> Self {
        PasswordHash {
            algorithm,
            octets: Vec::new(),
        }
    }

    /// Reads a hash out of definitions.
    ///
    /// # Errors
    /// When the text is not base64 or too short to hold a salt and a digest.
    pub fn from_base64(algorithm: HashAlgorithm, text: &str) -> Result<Self, PasswordError> {
        let octets = STANDARD.decode(text).map_err(|_| PasswordError::Encoding)?;
        match octets.len() {
            bytes @ 1..=SALT_BYTES => Err(PasswordError::TooShort { bytes }),
            _ => Ok(PasswordHash { algorithm, octets }),
        }
    }

    /// The hash as definitions hold it.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.octets)
    }

    /// How it was made.
    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// True unless the user has no password.
    pub fn is_set(&self) -> bool {
        !self.octets.is_empty()
    }

    /// True if this is the password.
    pub fn verifies(&self, password: &[u8]) -> bool {
        let Some((salt, stored)) = self.octets.split_at_checked(SALT_BYTES) else {
            return false;
        };
        let offered = self.algorithm.digest(salt, password);
        let difference = stored.iter().zip(&offered).fold(0, |seen, (a, b)| seen | (a ^ b));
        stored.len() == offered.len() && difference == 0
    }
}

impl fmt::Debug for PasswordHash {
    /// Hashes do not belong into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({}, …)", self.algorithm.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_lets_its_own_password_in_and_no_other() {
        for (algorithm, name) in ALGORITHMS {
            let hash = PasswordHash::new(algorithm, [1, 2, 3, 4], b"secret");
            assert!(hash.verifies(b"secret"), "{name}");
            assert!(!hash.verifies(b"Secret"), "{name}");
            assert_eq!(
                PasswordHash::from_base64(name.parse().unwrap(), &hash.to_base64()),
                Ok(hash)
            );
        }
    }

    #[test]
    fn a_hash_exported_by_rabbitmq_lets_its_password_in() {
        // The worked example of RabbitMQ's documentation: salt 908DC60A, password test12.
        let hash = PasswordHash::from_base64(
            HashAlgorithm::Sha256,
            "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
        );
        assert!(hash.unwrap().verifies(b"test12"));
    }

    #[test]
    fn an_empty_hash_lets_nobody_in() {
        let none = PasswordHash::from_base64(HashAlgorithm::Sha256, "").unwrap();
        assert!(!none.verifies(b""));
        assert_eq!(
            PasswordHash::from_base64(HashAlgorithm::Md5, "AQI="),
            Err(PasswordError::TooShort { bytes: 2 })
        );
    }
}
