//! Who may do what: users, password hashes, tags, permissions, topic permissions, limits.
//!
//! [`Access`] is one persistent value: cloning is cheap, a clone never changes. Nothing here draws a salt, reads a
//! clock or knows which objects exist; a question answered here is a pure function of what was set before.

mod access_map;
mod password;
mod pattern;
mod permission;
mod user;

pub use access_map::{Access, LoginError};
pub use password::{HashAlgorithm, PasswordError, PasswordHash};
pub use pattern::{PATTERN_BYTES_MAX, Pattern, PatternError};
pub use permission::{Permission, PermissionTexts, Permissions, TopicPermissions};
pub use user::{User, UserLimits};
