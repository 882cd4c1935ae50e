//! The shared secret and the file that holds it, `.erlang.cookie`, by the rules that RabbitMQ's users know.
//!
//! A file that others may read is refused, never repaired. The secret is shown nowhere; its MD5 hash is, so that two
//! people can compare without telling.

use base64::{Engine, engine::general_purpose::STANDARD};
use md5::Digest;
use rand::RngExt;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Longest secret in octets.
const COOKIE_BYTES_MAX: usize = 255;
/// Letters of a generated secret.
const GENERATED_LETTERS: usize = 20;

/// Why there is no usable secret. Texts are those of Erlang's runtime where it has one.
#[derive(Debug, thiserror::Error)]
pub enum CookieError {
    /// Others may read or write the file.
    #[error("Cookie file {} must be accessible by owner only", .0.display())]
    Mode(PathBuf),
    /// Not a plain file.
    #[error("Cookie file {} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// Nothing in it.
    #[error("Too short cookie string in {0}")]
    TooShort(String),
    /// More than 255 octets.
    #[error("Too long cookie string in {0}: at most 255 characters are allowed")]
    TooLong(String),
    /// Something that is no printable ASCII.
    #[error("Bad characters in cookie in {0}")]
    BadCharacters(String),
    /// The file cannot be read or written.
    #[error("Cookie file {}: {error}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// A shared secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Cookie(String);

impl Cookie {
    /// Takes a text as secret; line ends and spaces after it do not count. `origin` names it in errors.
    ///
    /// # Errors
    /// When it is empty, too long, or not printable ASCII.
    pub fn new(text: &str, origin: &str) -> Result<Self, CookieError> {
        let text = text.trim_end_matches(['\n', '\r', ' ']);
        match text.len() {
            0 => Err(CookieError::TooShort(origin.to_owned())),
            1..=COOKIE_BYTES_MAX if text.bytes().all(|octet| (b' '..=b'~').contains(&octet)) => {
                Ok(Cookie(text.to_owned()))
            }
            1..=COOKIE_BYTES_MAX => Err(CookieError::BadCharacters(origin.to_owned())),
            _ => Err(CookieError::TooLong(origin.to_owned())),
        }
    }

    /// Reads a cookie file that only its owner may touch.
    ///
    /// # Errors
    /// When others may, or when there is no secret in it.
    pub fn read(path: &Path) -> Result<Self, CookieError> {
        let file = File::open(path).map_err(|error| io_error(path, error))?;
        let about = file.metadata().map_err(|error| io_error(path, error))?;
        if !about.is_file() {
            return Err(CookieError::NotAFile(path.to_owned()));
        }
        if about.mode() & 0o077 != 0 {
            return Err(CookieError::Mode(path.to_owned()));
        }
        Cookie::from_file(file, path)
    }

    /// Reads a secret from a mounted directory, whose mode its mount decides.
    ///
    /// # Errors
    /// When it cannot be read or holds no secret.
    pub fn read_mounted(path: &Path) -> Result<Self, CookieError> {
        let file = File::open(path).map_err(|error| io_error(path, error))?;
        Cookie::from_file(file, path)
    }

    fn from_file(file: File, path: &Path) -> Result<Self, CookieError> {
        let mut octets = Vec::new();
        let most = 2 * COOKIE_BYTES_MAX as u64;
        file.take(most)
            .read_to_end(&mut octets)
            .map_err(|error| io_error(path, error))?;
        let origin = path.display().to_string();
        match std::str::from_utf8(&octets) {
            Ok(text) => Cookie::new(text, &origin),
            Err(_) => Err(CookieError::BadCharacters(origin)),
        }
    }

    /// Reads the file, or creates it with a fresh secret when there is none.
    ///
    /// # Errors
    /// As [`Cookie::read`], or when it cannot be created.
    pub fn read_or_create(path: &Path) -> Result<Self, CookieError> {
        match Cookie::read(path) {
            Err(CookieError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                match Cookie::generated().create(path) {
                    // Somebody else was faster: theirs counts.
                    Err(CookieError::Io { error, .. }) if error.kind() == io::ErrorKind::AlreadyExists => {
                        Cookie::read(path)
                    }
                    created => created,
                }
            }
            found => found,
        }
    }

    /// Twenty random upper-case letters.
    fn generated() -> Self {
        let mut rng = rand::rng();
        let letter = |_| char::from(rng.random_range(b'A'..=b'Z'));
        Cookie((0..GENERATED_LETTERS).map(letter).collect())
    }

    fn create(self, path: &Path) -> Result<Self, CookieError> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o400);
        let mut file = options.open(path).map_err(|error| io_error(path, error))?;
        let written = file.write_all(self.0.as_bytes()).and_then(|()| file.sync_all());
        written.map(|()| self).map_err(|error| io_error(path, error))
    }

    /// Puts this secret into the file in one step, mode 0400.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn replace(&self, path: &Path) -> Result<(), CookieError> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", std::process::id()));
        let beside = PathBuf::from(name);
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(&beside, error)),
            // Left by a process of this id that was killed half way.
            _ => {}
        }
        self.clone().create(&beside)?;
        std::fs::rename(&beside, path).map_err(|error| io_error(path, error))
    }

    /// What RabbitMQ calls the cookie hash: base64 of the MD5 digest.
    pub fn hash(&self) -> String {
        STANDARD.encode(md5::Md5::digest(self.0.as_bytes()))
    }

    pub(crate) fn octets(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Cookie {
    /// Secrets do not belong into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(…)")
    }
}

fn io_error(path: &Path, error: io::Error) -> CookieError {
    CookieError::Io {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file_of(mode: u32, text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".erlang.cookie");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_in_erlangs_words() {
        for mode in [0o440, 0o404, 0o644, 0o620] {
            let (_dir, path) = file_of(mode, "SECRET");
            let refused = Cookie::read(&path).unwrap_err().to_string();
            assert_eq!(
                refused,
                format!("Cookie file {} must be accessible by owner only", path.display())
            );
        }
        for mode in [0o400, 0o600] {
            let (_dir, path) = file_of(mode, "SECRET\n");
            assert_eq!(Cookie::read(&path).unwrap(), Cookie::new("SECRET", "").unwrap());
        }
    }

    #[test]
    fn a_secret_is_printable_ascii_of_1_to_255_characters() {
        let refused = |text: &str| Cookie::new(text, "here").unwrap_err().to_string();
        assert_eq!(refused("\n"), "Too short cookie string in here");
        assert_eq!(refused("a\nb"), "Bad characters in cookie in here");
        assert_eq!(refused("schlüssel"), "Bad characters in cookie in here");
        assert!(refused(&"x".repeat(256)).starts_with("Too long"));
        assert!(Cookie::new(&"x".repeat(255), "here").is_ok());
    }

    #[test]
    fn a_missing_file_is_created_with_twenty_letters_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".erlang.cookie");
        let created = Cookie::read_or_create(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.len() == 20 && text.bytes().all(|octet| octet.is_ascii_uppercase()),
            "{text}"
        );
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o400);
        assert_eq!(Cookie::read_or_create(&path).unwrap(), created);
    }

    #[test]
    fn replacing_a_secret_leaves_a_file_for_its_owner_alone() {
        let (_dir, path) = file_of(0o644, "OLD");
        let new = Cookie::new("NEW", "").unwrap();
        new.replace(&path).unwrap();
        assert_eq!(Cookie::read(&path).unwrap(), new);
    }

    #[test]
    fn the_hash_is_the_one_that_rabbitmq_shows() {
        let cookie = Cookie::new("secret", "").unwrap();
        assert_eq!(cookie.hash(), "Xr4ilOzQ4PCOq3aQ0qbuaQ==");
        assert_eq!(format!("{cookie:?}"), "Cookie(…)");
    }
}
