//! Users and what they may do. Password hashes are part of the API; passwords are never answered.
//! Hashes are opaque here; who checks them lives elsewhere.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Limits by name, such as `max-queues`.
pub type Limits = BTreeMap<String, i64>;

/// `GET /users/{user}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    /// Name.
    pub name: String,
    /// Base64 of salt and hash; empty when the user has no password.
    pub password_hash: String,
    /// Such as `rabbit_password_hashing_sha256`.
    pub hashing_algorithm: String,
    /// Such as `administrator`.
    pub tags: Vec<String>,
    /// The user's limits.
    pub limits: Limits,
}

/// `GET /whoami`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhoAmI {
    /// Name.
    pub name: String,
    /// Tags.
    pub tags: Vec<String>,
}

/// `GET /permissions/{vhost}/{user}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Permission {
    /// Who.
    pub user: String,
    /// Where.
    pub vhost: String,
    /// Pattern of what may be configured.
    pub configure: String,
    /// Pattern of what may be written to.
    pub write: String,
    /// Pattern of what may be read from.
    pub read: String,
}

/// `GET /topic-permissions/{vhost}/{user}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TopicPermission {
    /// Who.
    pub user: String,
    /// Where.
    pub vhost: String,
    /// On which exchange.
    pub exchange: String,
    /// Pattern of routing keys to publish with.
    pub write: String,
    /// Pattern of routing keys to bind with.
    pub read: String,
}

/// `GET /user-limits`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserLimits {
    /// Who.
    pub user: String,
    /// Their limits.
    pub value: Limits,
}
