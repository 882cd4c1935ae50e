//! First words on a mirror link, once both ends have proven the secret: who leads and who mirrors. What follows is not
//! known here.

use serde::{Deserialize, Serialize};

/// Most octets of the first words and of their answer.
pub const MIRROR_OPENING_BYTES_MAX: usize = 2048;
/// The version of all that follows on a mirror link.
pub const MIRROR_VERSION: u16 = 1;

/// Who wants its queues mirrored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorOpening {
    /// What it speaks.
    pub version: u16,
    /// The node's name.
    pub node: String,
    /// Its identity.
    pub uuid: String,
    /// How often it has been started.
    pub incarnation: u64,
}

/// What the node says to it that is to mirror.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MirrorVerdict {
    /// Go on.
    Welcome {
        /// Its identity.
        uuid: String,
        /// How often it has been started.
        incarnation: u64,
    },
    /// It cannot be; why.
    Refused(String),
}
