//! Values that are encrypted with a passphrase, as `rabbitmqctl encode` writes them: base64 of salt, first block and
//! ciphertext of the term's octets; the key is drawn from the passphrase by PBKDF2.
//!
//! It protects what lies in a file from those who have the file alone. Nothing proves that a value is whole: a wrong
//! passphrase is noticed because what comes out is no term.

use crate::{from_octets, term::Erlang, to_octets};
use aes::cipher::{
    BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _,
    block_padding::{Error as UnpadError, Pkcs7},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::str::FromStr;

/// Octets of a salt.
const SALT_BYTES: usize = 16;
/// Octets of the block that comes before the first.
pub const IV_BYTES: usize = 16;
/// Most octets of a key.
const KEY_BYTES_MAX: usize = 32;
/// More would keep whoever opens it busy for minutes.
const ITERATIONS_MAX: u32 = 10_000_000;

/// What is drawn anew for every value.
#[derive(Clone, Copy, Debug)]
pub struct Salts {
    /// For the key.
    pub salt: [u8; SALT_BYTES],
    /// Before the first block.
    pub iv: [u8; IV_BYTES],
}

/// With what a block is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cipher {
    /// AES with a key of 128 bits.
    #[default]
    Aes128,
    /// Of 192.
    Aes192,
    /// Of 256.
    Aes256,
}

impl Cipher {
    /// All, by their names.
    pub const ALL: [(&'static str, Cipher); 3] = [
        ("aes_256_cbc", Cipher::Aes256),
        ("aes_192_cbc", Cipher::Aes192),
        ("aes_128_cbc", Cipher::Aes128),
    ];

    fn key_bytes(self) -> usize {
        match self {
            Cipher::Aes128 => 16,
            Cipher::Aes192 => 24,
            Cipher::Aes256 => 32,
        }
    }
}

impl FromStr for Cipher {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        // The name in older manuals.
        let name = if name == "aes_cbc256" { "aes_256_cbc" } else { name };
        named(&Self::ALL, name)
    }
}

/// By what the key is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hash {
    /// SHA-224
    Sha224,
    /// SHA-256
    #[default]
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}

impl Hash {
    /// All, by their names.
    pub const ALL: [(&'static str, Hash); 4] = [
        ("sha512", Hash::Sha512),
        ("sha384", Hash::Sha384),
        ("sha256", Hash::Sha256),
        ("sha224", Hash::Sha224),
    ];
}

impl FromStr for Hash {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        named(&Self::ALL, name)
    }
}

fn named<T: Copy>(all: &[(&str, T)], name: &str) -> Result<T, String> {
    let found = all.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
        format!("must be one of {}", names.join(" "))
    })
}

/// How values are sealed and opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealing {
    /// The cipher.
    pub cipher: Cipher,
    /// The hash.
    pub hash: Hash,
    /// How often it is applied.
    iterations: u32,
}

impl Default for Sealing {
    /// As RabbitMQ 3 does it unless it is told otherwise.
    fn default() -> Self {
        Sealing {
            cipher: Cipher::default(),
            hash: Hash::default(),
            iterations: 1,
        }
    }
}

/// A value that is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not opened by this passphrase, cipher, hash and number of iterations")]
pub struct NotOpened;

impl Sealing {
    /// As RabbitMQ 4 does it unless it is told otherwise.
    pub fn of_newer() -> Self {
        Sealing {
            cipher: Cipher::Aes256,
            hash: Hash::Sha512,
            iterations: 1000,
        }
    }

    /// The same with another number of iterations.
    ///
    /// # Errors
    /// None, or too many; says what would be right.
    pub fn iterated(self, iterations: u64) -> Result<Self, String> {
        let iterations = u32::try_from(iterations).ok();
        let sound = iterations.filter(|iterations| (1..=ITERATIONS_MAX).contains(iterations));
        let iterations = sound.ok_or_else(|| format!("must be a whole number from 1 to {ITERATIONS_MAX}"))?;
        Ok(Sealing { iterations, ..self })
    }

    /// A term, encrypted.
    pub fn seal(self, term: &Erlang, passphrase: &str, salts: Salts) -> String {
        let key = self.key(passphrase, &salts.salt);
        let sealed = self.encrypt(&to_octets(term), &key, &salts.iv);
        STANDARD.encode([&salts.salt[..], &salts.iv, &sealed].concat())
    }

    /// The term that was encrypted.
    ///
    /// # Errors
    /// It is no such value, or was made with another passphrase or in another way.
    pub fn open(self, sealed: &str, passphrase: &str) -> Result<Erlang, NotOpened> {
        let octets = STANDARD.decode(sealed.trim()).map_err(|_| NotOpened)?;
        let (salt, rest) = octets.split_at_checked(SALT_BYTES).ok_or(NotOpened)?;
        let (iv, sealed) = rest.split_at_checked(IV_BYTES).ok_or(NotOpened)?;
        let iv = iv.try_into().map_err(|_| NotOpened)?;
        let key = self.key(passphrase, salt);
        let plain = self.decrypt(sealed, &key, &iv).map_err(|_| NotOpened)?;
        from_octets(&plain).map_err(|_| NotOpened)
    }

    fn key(self, passphrase: &str, salt: &[u8]) -> [u8; KEY_BYTES_MAX] {
        let (passphrase, rounds, mut key) = (passphrase.as_bytes(), self.iterations, [0; KEY_BYTES_MAX]);
        let out = &mut key[..self.cipher.key_bytes()];
        match self.hash {
            Hash::Sha224 => pbkdf2::pbkdf2_hmac::<sha2::Sha224>(passphrase, salt, rounds, out),
            Hash::Sha256 => pbkdf2::pbkdf2_hmac::<sha2::Sha256>(passphrase, salt, rounds, out),
            Hash::Sha384 => pbkdf2::pbkdf2_hmac::<sha2::Sha384>(passphrase, salt, rounds, out),
            Hash::Sha512 => pbkdf2::pbkdf2_hmac::<sha2::Sha512>(passphrase, salt, rounds, out),
        }
        key
    }

    fn encrypt(self, plain: &[u8], key: &[u8; KEY_BYTES_MAX], iv: &[u8; IV_BYTES]) -> Vec<u8> {
        match self.cipher {
            Cipher::Aes128 => {
                cbc::Encryptor::<aes::Aes128>::new(part(key).into(), iv.into()).encrypt_padded_vec::<Pkcs7>(plain)
            }
            Cipher::Aes192 => {
                cbc::Encryptor::<aes::Aes192>::new(part(key).into(), iv.into()).encrypt_padded_vec::<Pkcs7>(plain)
            }
            Cipher::Aes256 => {
                cbc::Encryptor::<aes::Aes256>::new(key.into(), iv.into()).encrypt_padded_vec::<Pkcs7>(plain)
            }
        }
    }

    fn decrypt(self, sealed: &[u8], key: &[u8; KEY_BYTES_MAX], iv: &[u8; IV_BYTES]) -> Result<Vec<u8>, UnpadError> {
        match self.cipher {
            Cipher::Aes128 => {
                cbc::Decryptor::<aes::Aes128>::new(part(key).into(), iv.into()).decrypt_padded_vec::<Pkcs7>(sealed)
            }
            Cipher::Aes192 => {
                cbc::Decryptor::<aes::Aes192>::new(part(key).into(), iv.into()).decrypt_padded_vec::<Pkcs7>(sealed)
            }
            Cipher::Aes256 => {
                cbc::Decryptor::<aes::Aes256>::new(key.into(), iv.into()).decrypt_padded_vec::<Pkcs7>(sealed)
            }
        }
    }
}

/// The first octets of a key.
fn part<const N: usize>(key: &[u8; KEY_BYTES_MAX]) -> &[u8; N] {
    const { assert!(N <= KEY_BYTES_MAX) };
    // Checked when it is compiled.
    key.first_chunk().unwrap_or_else(|| unreachable!())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by RabbitMQ 3.10.8: `rabbitmqctl encode VALUE pass`.
    const BY_RABBITMQ: [(&str, &str); 4] = [
        (
            "\"abc\"",
            "IBQpdLpSkRvI3pPf5i8o5cZiFH+cIaGRz4mDSd/iLfi8Wc9eqlzw5IQ+6XN0zjOI",
        ),
        (
            "<<\"abc\">>",
            "Sk4IQHAQTtTs4eNkVaw1NxRrHjqnYqWJSJLJlRtMql48iIi53krIBapH64jnFF+a",
        ),
        (
            "abc",
            "MvhOrNX/c6boqXtQ93FgBO/t9jln8X+s3l24BgSch9SD2Dg2exlyASF3ea6bg02H",
        ),
        (
            "{a,1,[x]}",
            "q4Gl0n8+sWVyouPzZYcMSy9GiOQoGME+utaHHe0gYOyna2edHRwNbX7Ge0xNqbAhg+RzvGqP/mMmATV+Ji8Xsg==",
        ),
    ];

    #[test]
    fn what_rabbitmq_has_encrypted_is_opened_with_its_passphrase_alone() {
        for (text, sealed) in BY_RABBITMQ {
            let term = crate::expression(text).unwrap();
            assert_eq!(Sealing::default().open(sealed, "pass"), Ok(term), "{text}");
            assert_eq!(Sealing::default().open(sealed, "other"), Err(NotOpened), "{text}");
        }
    }

    #[test]
    fn what_rabbitmq_has_encrypted_in_another_way_is_opened_in_that_way() {
        // --cipher aes_256_cbc --hash sha512 --iterations 1000
        let newer = "c/sh+O7GZX0X5aPPWnZIS/xeKFSmt4/5eiQTcyEUghIZ/Zp+7U1Q6p3baI2xCmNv";
        let text = || Erlang::Text("abc".to_owned());
        assert_eq!(Sealing::of_newer().open(newer, "pass"), Ok(text()));
        // --cipher aes_192_cbc --hash sha384 --iterations 7
        let (cipher, hash) = (Cipher::Aes192, Hash::Sha384);
        let sealed = "1/rBBEcoqgHldHTTgv0ZR8vgPvD+y33NApwK6jMowoTKtImMz2V/51b2QAg6Y/Y4";
        let other = Sealing {
            cipher,
            hash,
            iterations: 7,
        };
        assert_eq!(other.open(sealed, "pass"), Ok(Erlang::Binary("abc".to_owned())));
    }

    #[test]
    fn every_cipher_and_hash_opens_what_it_has_sealed() {
        let salts = Salts {
            salt: [1; 16],
            iv: [2; 16],
        };
        let term = Erlang::Text("a secret of some length, which fills several blocks".to_owned());
        for (_, cipher) in Cipher::ALL {
            for (_, hash) in Hash::ALL {
                let sealing = Sealing {
                    cipher,
                    hash,
                    ..Sealing::default()
                }
                .iterated(3)
                .unwrap();
                let sealed = sealing.seal(&term, "p", salts);
                assert_eq!(sealing.open(&sealed, "p"), Ok(term.clone()), "{cipher:?} {hash:?}");
            }
        }
    }

    #[test]
    fn what_is_no_sealed_value_is_refused() {
        for text in ["", "xx", "%%%", "AAAA", "IBQpdLpSkRvI3pPf5i8o5cZiFH+cIaGRz4mDSd/iLfg="] {
            assert_eq!(Sealing::default().open(text, "pass"), Err(NotOpened), "{text}");
        }
        assert!(Sealing::default().iterated(0).is_err());
        assert!("blowfish_cbc".parse::<Cipher>().is_err());
    }
}
