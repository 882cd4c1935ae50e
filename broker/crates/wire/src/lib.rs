//! AMQP 0-9-1 bytes to frames and back; the only room that knows octets (I8).
//!
//! `next_frame` cuts frames out of a read buffer, `decode_method` and `decode_header` read them without copying what is
//! hot, the encoders append to an out-buffer. Nothing here does I/O, panics, recurses deeper than [`TABLE_DEPTH_MAX`]
//! or allocates by a length it has not seen the octets of (I14).

mod cursor;
mod delivery;
mod encode;
mod field_table;
mod forward;
mod frame;
mod header;
#[cfg(test)]
mod hostile;
mod layout;
mod method;
mod names;
mod opening;
#[cfg(test)]
mod oracle;
mod properties;
mod property_list;
mod run;
mod table;
mod term;

pub use delivery::{Delivery, Fetched, Whole, decode_delivery, decode_fetched, whole_content};
pub use encode::{
    Deliver, GetOk, Publishing, Return, ack, basic_return, cancel, content, deliver, deliver_all, get_ok, heartbeat,
    method, nack, publish, reject, reply_text,
};
pub use field_table::{from_field_table, to_field_table};
pub use forward::{
    Forward, Forwarding, HandedOn, LegMethod, Settled, SettledTail, Settling, Targets, as_of, decode_leg_method,
    forward, hand_on, settle,
};
pub use frame::{Frame, FrameError, Kind, next_frame, unexpected_frame};
pub use header::{ContentHeader, HeaderError, Seen, decode_header, decode_properties};
pub use method::{Method, MethodError, Publish, class_method_ids, decode_method};
pub use names::method_name;
pub use opening::{ANSWER, Opening, Version, protocol_header};
pub use properties::{Properties, PropertiesError};
pub use property_list::{with_expiration_replaced, with_header_number, with_headers_replaced, with_reply_to_replaced};
pub use run::{Bodies, Tail};
pub use table::{TABLE_DEPTH_MAX, TableError, decode_table, encode_entry, encode_raw_entry, encode_table, raw_entries};

/// Method structs, rare methods and constants, as `amq-protocol` names them.
pub use amq_protocol::protocol::AMQPClass;
/// The method structs of each class (`basic`, `channel`, `connection`, …).
pub use amq_protocol::protocol::{access, basic, channel, confirm, connection, exchange, queue, tx};
/// Strings and tables inside those structs.
pub use amq_protocol::types::{FieldTable, LongString, ShortString};
