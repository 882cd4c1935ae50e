//! The exchange types that this broker knows, by their AMQP names.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// How an exchange chooses destinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExchangeKind {
    /// Equal routing keys.
    Direct,
    /// Every binding.
    Fanout,
    /// Dotted patterns with `*` and `#`.
    Topic,
    /// Message headers against binding arguments.
    Headers,
    /// Weighted hash ring (`x-consistent-hash`).
    ConsistentHash,
    /// Hash of the key modulo the number of destinations (`x-modulus-hash`).
    ModulusHash,
    /// One binding by chance (`x-random`).
    Random,
    /// Fanout that gives new bindings the last messages (`x-recent-history`).
    RecentHistory,
    /// Routes as another type after a delay (`x-delayed-message`).
    Delayed,
}

/// The text is no exchange type that this broker knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown exchange type '{0}'")]
pub struct UnknownExchangeType(pub String);

const NAMES: [(ExchangeKind, &str); 9] = [
    (ExchangeKind::Direct, "direct"),
    (ExchangeKind::Fanout, "fanout"),
    (ExchangeKind::Topic, "topic"),
    (ExchangeKind::Headers, "headers"),
    (ExchangeKind::ConsistentHash, "x-consistent-hash"),
    (ExchangeKind::ModulusHash, "x-modulus-hash"),
    (ExchangeKind::Random, "x-random"),
    (ExchangeKind::RecentHistory, "x-recent-history"),
    (ExchangeKind::Delayed, "x-delayed-message"),
];

impl ExchangeKind {
    /// The name on the wire, such as `topic`.
    pub fn as_str(self) -> &'static str {
        NAMES
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }
}

impl FromStr for ExchangeKind {
    type Err = UnknownExchangeType;
    fn from_str(text: &str) -> Result<Self, UnknownExchangeType> {
        let found = NAMES.iter().find(|(_, name)| *name == text);
        found
            .map(|(kind, _)| *kind)
            .ok_or_else(|| UnknownExchangeType(text.to_owned()))
    }
}

impl fmt::Display for ExchangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_found_by_its_own_name() {
        for (kind, name) in NAMES {
            assert_eq!(name.parse(), Ok(kind));
            assert_eq!(kind.as_str(), name);
        }
        assert_eq!("zz".parse::<ExchangeKind>(), Err(UnknownExchangeType("zz".into())));
    }
}
