//! The secrets that this node accepts and the one it shows, read anew for every handshake: a changed file counts at
//! once, without a restart.
//!
//! Three places, in this order: a mounted directory (`current`, `next`, `previous`), a variable, `.erlang.cookie` in HOME.
//! In the directory another word in `revoked` ends what earlier secrets have opened; a rotation without it ends nothing.

use anyhow::Context;
use link::{Cookie, CookieError};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};

use crate::config;

/// Files of a mounted directory; only the first must be there.
const MOUNTED: [&str; 3] = ["current", "next", "previous"];

/// File of a mounted directory with a word: another than before says that strangers know what was accepted before.
const REVOKED: &str = "revoked";

/// Where the secrets come from.
#[derive(Debug)]
pub enum Secrets {
    /// A directory mounted from the cluster's Secret.
    Mounted {
        /// The directory.
        directory: PathBuf,
        /// The cookie file that follows it.
        file: Option<PathBuf>,
        /// One at a time writes that file.
        following: Mutex<()>,
    },
    /// A variable; it cannot change.
    Given(Cookie),
    /// The cookie file.
    File(PathBuf),
}

impl Secrets {
    /// Finds the secrets, and creates or copies the cookie file that the command line reads on this machine.
    ///
    /// # Errors
    /// When there is no usable secret; the node must not start then.
    pub fn prepare(node: &config::Node) -> anyhow::Result<Self> {
        let file = node.home.as_ref().map(|home| home.join(".erlang.cookie"));
        let secrets = match (&node.secret_directory, &node.cookie, file) {
            (Some(directory), _, file) => Secrets::mounted(directory, file)?,
            (None, Some(given), _) => Secrets::Given(Cookie::new(given.reveal(), "RABBITMQ_ERLANG_COOKIE")?),
            (None, None, Some(file)) => {
                Cookie::read_or_create(&file)?;
                Secrets::File(file)
            }
            (None, None, None) => anyhow::bail!("HOME is not set, so there is no place for .erlang.cookie"),
        };
        Ok(secrets)
    }

    fn mounted(directory: &Path, file: Option<PathBuf>) -> anyhow::Result<Self> {
        let directory = directory.to_owned();
        let secrets = Secrets::Mounted {
            directory,
            file,
            following: Mutex::default(),
        };
        secrets.refresh().context("--secret-dir needs a file named current")?;
        Ok(secrets)
    }

    /// All secrets that are accepted now, the current one first.
    ///
    /// # Errors
    /// When the current one cannot be read; nobody is let in then.
    pub fn accepted(&self) -> Result<Vec<Cookie>, CookieError> {
        match self {
            Secrets::Given(cookie) => Ok(vec![cookie.clone()]),
            Secrets::File(path) => Ok(vec![Cookie::read(path)?]),
            Secrets::Mounted { directory, .. } => {
                let mut accepted = vec![Cookie::read_mounted(&directory.join(MOUNTED[0]))?];
                // Whoever is shown that this node has read a secret may take the one before away: the command line goes by the file.
                if let Err(error) = self.follow(&accepted[0]) {
                    tracing::debug!("the cookie file does not follow the mounted secret: {error:#}");
                }
                // Before and after a rotation the others are absent or empty.
                accepted.extend(
                    MOUNTED[1..]
                        .iter()
                        .filter_map(|name| Cookie::read_mounted(&directory.join(name)).ok()),
                );
                Ok(accepted)
            }
        }
    }

    /// Those that are accepted, by what each is: `current`, `next` or `previous`.
    pub fn named(&self) -> Vec<(&'static str, Cookie)> {
        match self {
            Secrets::Given(_) | Secrets::File(_) => {
                let current = self.accepted().unwrap_or_default().into_iter();
                current.map(|cookie| (MOUNTED[0], cookie)).collect()
            }
            Secrets::Mounted { directory, .. } => {
                let read = |name: &'static str| Some((name, Cookie::read_mounted(&directory.join(name)).ok()?));
                MOUNTED.into_iter().filter_map(read).collect()
            }
        }
    }

    /// The word for which earlier secrets were taken back, if they were.
    pub fn revoked(&self) -> Option<String> {
        match self {
            Secrets::Mounted { directory, .. } => std::fs::read_to_string(directory.join(REVOKED)).ok(),
            Secrets::Given(_) | Secrets::File(_) => None,
        }
    }

    /// Brings the cookie file up to date with a mounted directory that may have changed.
    ///
    /// # Errors
    /// When either cannot be read or written.
    pub fn refresh(&self) -> anyhow::Result<()> {
        let Secrets::Mounted { directory, .. } = self else {
            return Ok(());
        };
        self.follow(&Cookie::read_mounted(&directory.join(MOUNTED[0]))?)
    }

    fn follow(&self, current: &Cookie) -> anyhow::Result<()> {
        match self {
            Secrets::Mounted {
                file: Some(file),
                following,
                ..
            } => {
                let _turn = following.lock();
                copy(current, file)
            }
            Secrets::Mounted { file: None, .. } | Secrets::Given(_) | Secrets::File(_) => Ok(()),
        }
    }
}

/// Writes the cookie file only where it says something else.
fn copy(cookie: &Cookie, file: &Path) -> anyhow::Result<()> {
    match Cookie::read(file) {
        Ok(found) if found == *cookie => Ok(()),
        _ => Ok(cookie.replace(file)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn node(directory: Option<&Path>, home: Option<&Path>) -> config::Node {
        config::Node {
            secret_directory: directory.map(Path::to_owned),
            home: home.map(Path::to_owned),
            ..config::Node::default()
        }
    }

    #[test]
    fn a_mounted_secret_is_copied_to_home_and_its_rotation_is_seen() {
        let (mount, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let put = |name: &str, text: &str| fs::write(mount.path().join(name), text).unwrap();
        put("current", "FIRST\n");
        put("next", "");
        let secrets = Secrets::prepare(&node(Some(mount.path()), Some(home.path()))).unwrap();
        let file = home.path().join(".erlang.cookie");
        let cookie = |text: &str| Cookie::new(text, "").unwrap();
        assert_eq!(Cookie::read(&file).unwrap(), cookie("FIRST"));
        assert_eq!(secrets.accepted().unwrap(), [cookie("FIRST")]);
        put("current", "SECOND");
        put("previous", "FIRST");
        assert_eq!(secrets.accepted().unwrap(), [cookie("SECOND"), cookie("FIRST")]);
        assert_eq!(
            secrets.named(),
            [("current", cookie("SECOND")), ("previous", cookie("FIRST"))]
        );
        secrets.refresh().unwrap();
        assert_eq!(Cookie::read(&file).unwrap(), cookie("SECOND"));
    }

    #[test]
    fn whoever_is_shown_that_another_secret_counts_finds_the_cookie_file_with_it() {
        let (mount, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(mount.path().join("current"), "FIRST").unwrap();
        let secrets = Secrets::prepare(&node(Some(mount.path()), Some(home.path()))).unwrap();
        let file = home.path().join(".erlang.cookie");
        for text in ["SECOND", "THIRD"] {
            fs::write(mount.path().join("current"), text).unwrap();
            let expected = Cookie::new(text, "").unwrap();
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        assert_eq!(secrets.accepted().unwrap(), std::slice::from_ref(&expected));
                        assert_eq!(Cookie::read(&file).unwrap(), expected);
                    });
                }
            });
        }
    }

    #[test]
    fn a_node_without_a_usable_secret_does_not_start() {
        let (mount, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let missing = Secrets::prepare(&node(Some(mount.path()), None)).unwrap_err();
        assert!(format!("{missing:#}").contains("current"), "{missing:#}");
        let file = home.path().join(".erlang.cookie");
        fs::write(&file, "OPEN").unwrap();
        let open = Secrets::prepare(&node(None, Some(home.path()))).unwrap_err();
        assert!(open.to_string().ends_with("must be accessible by owner only"), "{open}");
        assert!(Secrets::prepare(&node(None, None)).is_err());
    }
}
