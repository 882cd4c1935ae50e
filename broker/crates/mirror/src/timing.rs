//! How patient a leader is with its mirrors. The relations between these numbers and those of the node's lease are in
//! docs/mirroring-protocol.md, section 11.

use model::Millis;

/// A leader's patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A mirror whose link is down for longer is given up if an answer waits for it.
    pub link_grace: Millis,
    /// The same for one that leaves an operation unacknowledged for longer.
    pub ack_timeout: Millis,
    /// A proposal that was refused is made again after this.
    pub propose_again_after: Millis,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            link_grace: Millis(500),
            ack_timeout: Millis(2000),
            propose_again_after: Millis(500),
        }
    }
}
