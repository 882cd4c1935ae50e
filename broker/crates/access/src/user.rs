//! A user: name, password hash, tags and limits.
//!
//! What tags mean for the management API is decided there; AMQP knows only `impersonator`.

use crate::password::PasswordHash;
use model::UserName;
use serde::{Deserialize, Serialize};

/// Limits of a user; `None` and -1 mean no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserLimits {
    /// Connections at once.
    #[serde(rename = "max-connections", skip_serializing_if = "Option::is_none", default)]
    pub connections_max: Option<i64>,
    /// Channels at once.
    #[serde(rename = "max-channels", skip_serializing_if = "Option::is_none", default)]
    pub channels_max: Option<i64>,
}

impl UserLimits {
    /// Most connections, if limited.
    pub fn connections(&self) -> Option<u64> {
        self.connections_max.and_then(|n| u64::try_from(n).ok())
    }

    /// Most channels, if limited.
    pub fn channels(&self) -> Option<u64> {
        self.channels_max.and_then(|n| u64::try_from(n).ok())
    }
}

/// A user of the broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Name.
    pub name: UserName,
    /// Password, hashed.
    pub password: PasswordHash,
    /// Tags such as `administrator`, in the order given.
    pub tags: Vec<String>,
    /// Limits.
    pub limits: UserLimits,
}

impl User {
    /// True if the user has this tag.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }
}
