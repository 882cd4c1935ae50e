//! What goes over the peer port: frames, the proof of the shared secret, and what the command line asks a node; and the
//! words of the name service, by which the port is found; and the proof that the operator gives on the admin port.
//!
//! Octets in, octets out; sockets and patience belong to those who use it. The secret itself never crosses the wire.
//! Nothing here acts on a node, and nothing prints.

mod cookie;
mod errand;
mod frame;
mod handshake;
mod leg;
mod message;
mod mirror;
mod names;
mod release;
mod term;

pub use cookie::{Cookie, CookieError};
pub use errand::{
    ERRAND_BYTES_MAX, ERRAND_PROOF_HEADER, ERRAND_SCHEME, Errand, Nonces, Unproven, answer_proof, errand_challenge,
    errand_nonce, errand_proof, is_answer_proven,
};
pub use frame::{FRAME_HEADER_BYTES, FrameError, FrameHeader, frame};
pub use handshake::{
    Challenge, Channel, HANDSHAKE_BYTES_MAX, HandshakeError, Hello, Proof, Proven, Verdict, accept, challenge, prove,
    verify,
};
pub use leg::{LEG_OPENING_BYTES_MAX, LegEnd, LegOpening, LegVerdict};
pub use message::{
    EventPlace, Failure, Level, Listing, LogPlace, Page, PolicyLevel, QueueKind, REPLY_BYTES_MAX, REQUEST_BYTES_MAX,
    Reply, Request, Scope, Which, decode, encode,
};
pub use mirror::{MIRROR_OPENING_BYTES_MAX, MIRROR_VERSION, MirrorOpening, MirrorVerdict};
pub use names::{
    NAME_HEADER_BYTES, NAME_REQUEST_BYTES_MAX, NAME_SERVICE_PORT, NAMES_BYTES_MAX, NameRequest, is_registered,
    names_answer, names_in, port_answer, port_in, registered, registered_bytes,
};
pub use release::{feature_level, feature_level_min, is_spoken, protocol_version};
pub use term::{Term, atom_text};
