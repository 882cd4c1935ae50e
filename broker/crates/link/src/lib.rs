//! What goes over the peer port: frames, the proof of the shared secret, and what the command line asks a node.
//!
//! Octets in, octets out; sockets and patience belong to those who use it. The secret itself never crosses the wire.
//! Nothing here acts on a node, and nothing prints.

mod cookie;
mod frame;
mod handshake;
mod leg;
mod message;
mod term;

pub use cookie::{Cookie, CookieError};
pub use frame::{FRAME_HEADER_BYTES, FrameError, FrameHeader, frame};
pub use handshake::{
    Challenge, Channel, HANDSHAKE_BYTES_MAX, HandshakeError, Hello, PROTOCOL_VERSION, Proof, Proven, Verdict, accept,
    challenge, prove, verify,
};
pub use leg::{LEG_OPENING_BYTES_MAX, LegOpening, LegVerdict};
pub use message::{
    Failure, Level, Listing, PolicyLevel, REPLY_BYTES_MAX, REQUEST_BYTES_MAX, Reply, Request, Scope, decode, encode,
};
pub use term::Term;
