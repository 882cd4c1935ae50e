//! The stream between a mirrored queue's leader and its mirrors, as pure machines: who must have what before a publish is
//! confirmed, how a mirror comes to hold what its leader holds, and the octets in which they speak.
//!
//! [`Leader`] never sees a message and [`Follower`] holds none: positions come in, and what is to be said or proposed goes
//! out. What the definitions say of a queue's copies is a [`Record`], given by whoever reads them; only committed entries
//! change it (I12). Time enters as data. Rule numbers (R1 to R22) are those of docs/mirroring-protocol.md.

mod follower;
mod leader;
mod record;
mod timing;
mod words;

pub use follower::{Follower, Gap, Stream, Wish};
pub use leader::{Act, Leader, Progress};
pub use record::{Copy, Record, State};
pub use timing::Timing;
pub use words::{Entry, Heard, Malformed, Origin, RECORD_HEADER_BYTES, Word, enqueue, record_bytes};
