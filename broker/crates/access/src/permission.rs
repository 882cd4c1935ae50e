//! What a user may do in a virtual host: three patterns on resource names, and patterns on routing keys of topic
//! exchanges.
//!
//! Compiled when set; a check is a search and never compiles.

use crate::pattern::{Pattern, PatternError};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A kind of access to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Permission {
    /// Declare and delete.
    Configure,
    /// Publish to, bind to.
    Write,
    /// Consume from, bind from.
    Read,
}

impl Permission {
    /// The word in texts, such as `configure`.
    pub fn as_str(self) -> &'static str {
        match self {
            Permission::Configure => "configure",
            Permission::Write => "write",
            Permission::Read => "read",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Patterns of one user in one virtual host, as texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionTexts {
    /// Names that may be declared and deleted.
    pub configure: String,
    /// Names that may be written to.
    pub write: String,
    /// Names that may be read from.
    pub read: String,
}

/// Patterns of one user in one virtual host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// Names that may be declared and deleted.
    pub configure: Pattern,
    /// Names that may be written to.
    pub write: Pattern,
    /// Names that may be read from.
    pub read: Pattern,
}

impl Permissions {
    /// Compiles all three.
    ///
    /// # Errors
    /// The first that does not compile.
    pub fn compile(texts: &PermissionTexts) -> Result<Self, PatternError> {
        Ok(Permissions {
            configure: Pattern::permission(&texts.configure)?,
            write: Pattern::permission(&texts.write)?,
            read: Pattern::permission(&texts.read)?,
        })
    }

    /// The texts as they were set.
    pub fn texts(&self) -> PermissionTexts {
        PermissionTexts {
            configure: self.configure.as_str().to_owned(),
            write: self.write.as_str().to_owned(),
            read: self.read.as_str().to_owned(),
        }
    }

    /// True if the pattern for this kind of access finds itself in the name.
    pub fn allows(&self, permission: Permission, resource: &str) -> bool {
        let pattern = match permission {
            Permission::Configure => &self.configure,
            Permission::Write => &self.write,
            Permission::Read => &self.read,
        };
        pattern.matches(resource)
    }
}

/// Patterns on routing keys for one user, virtual host and topic exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPermissions {
    /// Keys that may be published.
    pub write: Pattern,
    /// Keys that may be bound.
    pub read: Pattern,
}

impl TopicPermissions {
    /// Compiles both with `{username}` and `{vhost}` put in, octet for octet. AMQP clients have no client id, so
    /// `{client_id}` stands for itself.
    ///
    /// # Errors
    /// The first that does not compile.
    pub fn compile(write: &str, read: &str, user: &str, vhost: &str) -> Result<Self, PatternError> {
        let pattern = |text: &str| {
            let meaning = if text.is_empty() {
                "^$".to_owned()
            } else {
                expand(text, user, vhost)
            };
            Pattern::with_meaning(text, &meaning)
        };
        Ok(TopicPermissions {
            write: pattern(write)?,
            read: pattern(read)?,
        })
    }

    /// True if this key may be published (`Write`) or bound (`Read`).
    pub fn allows(&self, permission: Permission, key: &str) -> bool {
        match permission {
            Permission::Write => self.write.matches(key),
            Permission::Read => self.read.matches(key),
            Permission::Configure => true,
        }
    }
}

/// Names are put in escaped: a user called `.*` must not gain everything by it.
fn expand(text: &str, user: &str, vhost: &str) -> String {
    let text = text.replace("{client_id}", "\\{client_id\\}");
    text.replace("{username}", &regex::escape(user))
        .replace("{vhost}", &regex::escape(vhost))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_access_has_its_own_pattern() {
        let texts = PermissionTexts {
            configure: String::new(),
            write: "^out".into(),
            read: ".*".into(),
        };
        let permissions = Permissions::compile(&texts).unwrap();
        assert!(!permissions.allows(Permission::Configure, "q"));
        assert!(permissions.allows(Permission::Write, "out.q"));
        assert!(!permissions.allows(Permission::Write, "in.q"));
        assert!(permissions.allows(Permission::Read, "anything"));
        assert_eq!(permissions.texts(), texts);
    }

    #[test]
    fn topic_patterns_know_the_user_and_the_virtual_host() {
        let topic = TopicPermissions::compile("^{vhost}-{username}\\.", "^{client_id}$", "a.b", "v").unwrap();
        assert!(topic.allows(Permission::Write, "v-a.b.c"));
        assert!(!topic.allows(Permission::Write, "v-axb.c"));
        assert!(topic.allows(Permission::Read, "{client_id}"));
        assert_eq!(topic.write.as_str(), "^{vhost}-{username}\\.");
    }
}
