//! Names of virtual hosts, exchanges, queues and users: checked once at the edge, cheap to clone inside.
//!
//! A name never changes and is compared octet by octet, as AMQP does. The AMQP limit is 255 octets.

use serde::{Deserialize, Serialize};
use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

/// Longest name in octets: AMQP's short string.
pub(crate) const NAME_BYTES_MAX: usize = 255;

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// More than 255 octets.
    #[error("a name has at most 255 octets, this one has {bytes}")]
    TooLong {
        /// Its length in octets.
        bytes: usize,
    },
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// True for the empty name.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                match text.len() {
                    0..=NAME_BYTES_MAX => Ok(Self(text.into())),
                    bytes => Err(NameError::TooLong { bytes }),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name!(
    /// A virtual host's name.
    VhostName
);
name!(
    /// An exchange's name; the empty one is the default exchange.
    ExchangeName
);
name!(
    /// A queue's name; never empty once declared.
    QueueName
);
name!(
    /// A user's name.
    UserName
);

impl ExchangeName {
    /// True for the nameless exchange that routes by queue name.
    pub fn is_default(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_at_most_255_octets() {
        assert!(QueueName::from_str(&"q".repeat(255)).is_ok());
        assert_eq!(
            QueueName::from_str(&"é".repeat(128)),
            Err(NameError::TooLong { bytes: 256 })
        );
    }
}
