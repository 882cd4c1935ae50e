//! What every new virtual host gets whose name matches: users, operator policies, limits.
//!
//! Only what was asked for stands here; `host` makes it.

use super::value::{Pattern, Secret};
use std::collections::BTreeMap;

/// All of it, each by the name in its key.
#[derive(Clone, Debug, Default)]
pub struct NewVhosts {
    /// Users who are made if they are not there, and may enter.
    pub users: BTreeMap<String, DefaultUser>,
    /// Operator policies.
    pub policies: BTreeMap<String, DefaultPolicy>,
    /// Limits, of which the first that matches counts.
    pub limits: BTreeMap<String, DefaultLimits>,
}

/// A user of new virtual hosts.
#[derive(Clone, Debug, Default)]
pub struct DefaultUser {
    /// Which virtual hosts; none is all.
    pub vhosts: Option<Pattern>,
    /// The password, if there is to be one.
    pub password: Option<Secret>,
    /// Tags.
    pub tags: Vec<String>,
    /// What the user may configure; none is everything.
    pub configure: Option<Pattern>,
    /// What it may write to.
    pub write: Option<Pattern>,
    /// What it may read from.
    pub read: Option<Pattern>,
}

/// An operator policy of new virtual hosts.
#[derive(Clone, Debug, Default)]
pub struct DefaultPolicy {
    /// Which virtual hosts; none is all.
    pub vhosts: Option<Pattern>,
    /// Which queues; none is all.
    pub queues: Option<Pattern>,
    /// What objects; none is all.
    pub apply_to: Option<model::ApplyTo>,
    /// Keys and values, as policies have them.
    pub definition: BTreeMap<&'static str, model::Value>,
}

impl DefaultPolicy {
    /// Keys and values as a policy has them.
    pub fn table(&self) -> model::Table {
        let pairs = self.definition.iter();
        model::Table(pairs.map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
    }

    /// What it comes to.
    ///
    /// # Errors
    /// It can be no operator policy.
    pub fn parsed(&self) -> Result<model::PolicyDefinition, model::PolicyError> {
        model::PolicyDefinition::parse(model::PolicyLevel::Operator, self.table())
    }
}

/// Whether a virtual host is meant; all are where nothing is said.
pub fn is_meant(pattern: Option<&Pattern>, vhost: &str) -> bool {
    // The pattern was checked when it was read.
    pattern.is_none_or(|pattern| regex::Regex::new(&pattern.0).is_ok_and(|pattern| pattern.is_match(vhost)))
}

/// Limits of new virtual hosts.
#[derive(Clone, Debug, Default)]
pub struct DefaultLimits {
    /// Which virtual hosts; none is all.
    pub vhosts: Option<Pattern>,
    /// Most connections.
    pub connections_max: Option<u32>,
    /// Most queues.
    pub queues_max: Option<u32>,
}
