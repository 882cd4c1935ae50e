//! Settings that are encrypted with a passphrase: they are opened once, when the configuration is read.
//!
//! What was encrypted is never shown, neither sealed nor open.

use erlang::{Erlang, Sealing};
use std::path::PathBuf;

use super::environment::Environment;
use super::value::{Secret, Value};

/// How a setting begins that is encrypted.
pub(super) const SEALED: &str = "encrypted:";

/// What opens them.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    /// The passphrase itself.
    pub passphrase: Option<Secret>,
    /// A file that holds it, and nothing else.
    pub file: Option<PathBuf>,
    /// The cipher.
    pub cipher: Cipher,
    /// The hash.
    pub hash: Hash,
    /// How often it is applied.
    pub iterations: Iterations,
}

impl Decoder {
    /// The setting that was encrypted.
    ///
    /// # Errors
    /// What would be right.
    pub(super) fn open(&self, sealed: &str, environment: &dyn Environment) -> Result<String, String> {
        let passphrase = self.passphrase(environment)?;
        let mut sealing = Sealing::default().iterated(self.iterations.0)?;
        (sealing.cipher, sealing.hash) = (self.cipher.0, self.hash.0);
        let opened = sealing
            .open(sealed, &passphrase)
            .or_else(|why| match sealing == Sealing::default() {
                true => Sealing::of_newer().open(sealed, &passphrase),
                false => Err(why),
            });
        match opened.map_err(|why| why.to_string())? {
            Erlang::Text(text) | Erlang::Binary(text) | Erlang::Atom(text) => Ok(text),
            number @ (Erlang::Integer(_) | Erlang::Float(_)) => Ok(number.to_string()),
            Erlang::List(_) | Erlang::Tuple(_) | Erlang::Map(_) => {
                Err("must be a text, a word or a number once it is opened".to_owned())
            }
        }
    }

    fn passphrase(&self, environment: &dyn Environment) -> Result<String, String> {
        if let Some(given) = &self.passphrase {
            return Ok(given.reveal().to_owned());
        }
        let missing = "is encrypted: set config_entry_decoder.passphrase.file to a file with the passphrase";
        let file = self.file.as_ref().ok_or(missing)?;
        let text = environment.read(file);
        let text = text.map_err(|why| format!("cannot be opened: cannot read {}: {why}", file.display()))?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// A cipher by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cipher(erlang::Cipher);

impl Value for Cipher {
    const KIND: &'static str = "one of aes_256_cbc aes_192_cbc aes_128_cbc";
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map(Cipher)
    }
}

/// A hash by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hash(erlang::Hash);

impl Value for Hash {
    const KIND: &'static str = "one of sha512 sha384 sha256 sha224";
    fn read(text: &str) -> Result<Self, String> {
        text.parse().map(Hash)
    }
}

/// How often a hash is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Iterations(u64);

impl Value for Iterations {
    const KIND: &'static str = "whole number from 1";
    fn read(text: &str) -> Result<Self, String> {
        let iterations = u64::read(text)?;
        Sealing::default().iterated(iterations)?;
        Ok(Iterations(iterations))
    }
}
