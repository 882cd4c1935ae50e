//! Who the node is and where it lives: node name and data directory from the command line and the environment.
//!
//! Creates nothing: whoever opens the directory does.

use super::variables::Variables;
use std::fmt;
use std::path::{Path, PathBuf};

/// A node's name, `rabbit@host`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeName(String);

impl NodeName {
    /// The name that was asked for; without `@` it gets the host's name, short unless `long`.
    ///
    /// # Errors
    /// Says what would be right.
    pub fn of(wanted: &str, host: &str, long: bool) -> Result<Self, String> {
        let host = match long {
            true => host,
            false => host.split('.').next().unwrap_or(host),
        };
        let full = match wanted.contains('@') {
            true => wanted.to_owned(),
            false => format!("{wanted}@{host}"),
        };
        let (name, host) = full.split_once('@').unwrap_or_default();
        let sound =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
        if !sound(name) || !sound(host) || full.len() > 255 {
            return Err("must be a name such as rabbit or rabbit@host, of letters, digits, '_', '-' and '.'".into());
        }
        if !long && host.contains('.') {
            return Err("has a host name with dots, which needs RABBITMQ_USE_LONGNAME=true".into());
        }
        Ok(NodeName(full))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The node's own directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataDirectory(PathBuf);

impl DataDirectory {
    /// `given` by the command line, else `RABBITMQ_MNESIA_DIR`, else a folder named like the node in the base.
    pub fn of(given: Option<&Path>, variables: &Variables, node: &NodeName) -> Self {
        let set = |name| variables.value(name).map(PathBuf::from);
        let base = || set("RABBITMQ_MNESIA_BASE").unwrap_or_else(|| "/var/lib/rabbitmq/mnesia".into());
        let own = given.map(Path::to_owned).or_else(|| set("RABBITMQ_MNESIA_DIR"));
        DataDirectory(own.unwrap_or_else(|| base().join(node.as_str())))
    }

    /// The directory as a path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_host_gets_the_short_host_name() {
        let name = |wanted, long| NodeName::of(wanted, "h1.example.com", long).map(|name| name.to_string());
        assert_eq!(name("rabbit", false), Ok("rabbit@h1".into()));
        assert_eq!(name("rabbit", true), Ok("rabbit@h1.example.com".into()));
        assert_eq!(name("a@b", false), Ok("a@b".into()));
        assert_eq!(name("a@b.c", true), Ok("a@b.c".into()));
        for bad in ["a@b.c", "@b", "a@", "a b", "a@b@c", ""] {
            assert!(name(bad, false).is_err(), "{bad}");
        }
    }
}
