//! Method frames to methods: publish, ack, nack, reject and qos by hand and borrowed, the rest in `amq-protocol`'s structs.
//!
//! Octets reach `amq-protocol` only after their whole shape was walked here, and never with a table in them: its table
//! parser recurses without bound. Tables are decoded by our own and put in afterwards.

use crate::cursor::Cursor;
use crate::field_table::to_field_table;
use crate::frame::{Kind, unknown_frame};
use crate::layout::{Field, Layout, layout_of};
use crate::table::{TableError, check_table, decode_table};
use crate::term::numbers;
use amq_protocol::protocol::{AMQPClass, basic, connection, exchange, parse_class, queue};
use amq_protocol::types::FieldTable;
use model::{Refusal, ReplyCode};

/// `basic.publish`, borrowed. Names are any octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Exchange name, at most 255 octets.
    pub exchange: &'a [u8],
    /// Routing key, at most 255 octets.
    pub routing_key: &'a [u8],
    /// Return the message if no queue takes it.
    pub mandatory: bool,
    /// Not supported by any RabbitMQ since 3.0.
    pub immediate: bool,
}

/// A method as the session sees it.
#[derive(Clone, Debug, PartialEq)]
pub enum Method<'a> {
    /// `basic.publish`; a content header follows.
    Publish(Publish<'a>),
    /// `basic.ack`
    Ack {
        /// Delivery tag; 0 with `multiple` means all.
        tag: u64,
        /// This and all before it.
        multiple: bool,
    },
    /// `basic.nack`
    Nack {
        /// Delivery tag; 0 with `multiple` means all.
        tag: u64,
        /// This and all before it.
        multiple: bool,
        /// Back to the queue rather than dead-lettered.
        requeue: bool,
    },
    /// `basic.reject`
    Reject {
        /// Delivery tag.
        tag: u64,
        /// Back to the queue rather than dead-lettered.
        requeue: bool,
    },
    /// `basic.qos`; here because `amq-protocol`'s struct drops the size, which must be refused unless 0.
    Qos {
        /// Prefetch window in octets.
        prefetch_size: u32,
        /// Prefetch window in messages.
        prefetch_count: u16,
        /// For the whole channel.
        global: bool,
    },
    /// All other methods, also those that only a server sends.
    Other(AMQPClass),
}

/// Why a method frame holds no method.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MethodError {
    /// No room for class and method id.
    #[error("{0}")]
    NoIds(Refusal),
    /// No such method.
    #[error("unknown method {class_id}.{method_id}")]
    Unknown {
        /// Class id.
        class_id: u16,
        /// Method id.
        method_id: u16,
    },
    /// Arguments too short or too long.
    #[error("cannot decode {shown}")]
    Arguments {
        /// The arguments as RabbitMQ prints them, cut to what a reply text can hold.
        shown: String,
    },
    /// A short string that is not UTF-8.
    #[error("Malformed UTF-8 in shortstr")]
    NotText,
    /// A table that is none.
    #[error("field table of {method}: {error}")]
    Table {
        /// Method name.
        method: &'static str,
        /// What is wrong with it.
        error: TableError,
    },
}

impl MethodError {
    /// The refusal that closes the connection.
    pub fn refusal(&self) -> Refusal {
        let code = match self {
            MethodError::NoIds(refusal) => return refusal.clone(),
            MethodError::Unknown { .. } => ReplyCode::CommandInvalid,
            MethodError::Arguments { .. } | MethodError::NotText => ReplyCode::FrameError,
            MethodError::Table { .. } => ReplyCode::SyntaxError,
        };
        Refusal::connection(code, self.to_string())
    }
}

/// Class and method id of a method frame's payload; 0 where octets are missing.
pub fn class_method_ids(payload: &[u8]) -> (u16, u16) {
    let mut rest = Cursor(payload);
    (rest.u16().unwrap_or(0), rest.u16().unwrap_or(0))
}

/// The method in the payload of a method frame.
///
/// # Errors
/// Unknown ids (503), arguments that do not fit the method or text that is none (501), tables that are none (502).
#[inline]
pub fn decode_method(payload: &[u8]) -> Result<Method<'_>, MethodError> {
    let Some((&ids, arguments)) = payload.split_first_chunk::<4>() else {
        return Err(MethodError::NoIds(unknown_frame(Kind::Method, payload)));
    };
    let hot = match u32::from_be_bytes(ids) {
        0x003C_0028 => publish(arguments),
        0x003C_0050 => ack(arguments),
        0x003C_0078 => nack(arguments),
        0x003C_005A => reject(arguments),
        0x003C_000A => qos(arguments),
        _ => return other(payload).map(Method::Other),
    };
    hot.ok_or_else(|| undecodable(arguments))
}

#[cold]
fn undecodable(arguments: &[u8]) -> MethodError {
    MethodError::Arguments {
        shown: numbers(arguments),
    }
}

#[inline]
fn publish(arguments: &[u8]) -> Option<Method<'_>> {
    let mut rest = Cursor(arguments);
    let _ticket = rest.u16()?;
    let (exchange, routing_key) = (rest.short()?, rest.short()?);
    let &[bits] = rest.0 else { return None };
    Some(Method::Publish(Publish {
        exchange,
        routing_key,
        mandatory: bits & 1 != 0,
        immediate: bits & 2 != 0,
    }))
}

/// A delivery tag and the bits after it, and nothing more.
#[inline]
fn tag_and_bits(arguments: &[u8]) -> Option<(u64, u8)> {
    let &[t0, t1, t2, t3, t4, t5, t6, t7, bits] = arguments else {
        return None;
    };
    Some((u64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]), bits))
}

#[inline]
fn ack(arguments: &[u8]) -> Option<Method<'_>> {
    let (tag, bits) = tag_and_bits(arguments)?;
    let multiple = bits & 1 != 0;
    Some(Method::Ack { tag, multiple })
}

#[inline]
fn nack(arguments: &[u8]) -> Option<Method<'_>> {
    let (tag, bits) = tag_and_bits(arguments)?;
    let (multiple, requeue) = (bits & 1 != 0, bits & 2 != 0);
    Some(Method::Nack { tag, multiple, requeue })
}

#[inline]
fn reject(arguments: &[u8]) -> Option<Method<'_>> {
    let (tag, bits) = tag_and_bits(arguments)?;
    let requeue = bits & 1 != 0;
    Some(Method::Reject { tag, requeue })
}

fn qos(arguments: &[u8]) -> Option<Method<'_>> {
    let &[s0, s1, s2, s3, c0, c1, bits] = arguments else {
        return None;
    };
    Some(Method::Qos {
        prefetch_size: u32::from_be_bytes([s0, s1, s2, s3]),
        prefetch_count: u16::from_be_bytes([c0, c1]),
        global: bits & 1 != 0,
    })
}

/// A method of `amq-protocol`'s, made from octets whose shape is checked and whose table is ours.
fn other(payload: &[u8]) -> Result<AMQPClass, MethodError> {
    let ids = class_method_ids(payload);
    let (class_id, method_id) = ids;
    let layout = layout_of(ids).ok_or(MethodError::Unknown { class_id, method_id })?;
    let walked = walk(layout, payload)?;
    let undecodable = || undecodable(&payload[4..]);
    let mut class = match parse_class(walked.without_table.as_slice()) {
        Ok(([], class)) => class,
        _ => return Err(undecodable()),
    };
    if let (Some(slot), Some(table)) = (table_of(&mut class), walked.table) {
        *slot = arguments_table(layout.name, table)?;
    }
    Ok(class)
}

/// A method's octets, sound in every field, with an empty table in the place of its own.
struct Walked<'a> {
    without_table: Vec<u8>,
    table: Option<&'a [u8]>,
}

/// Checks lengths first, then text, as RabbitMQ does.
fn walk<'a>(layout: &Layout, payload: &'a [u8]) -> Result<Walked<'a>, MethodError> {
    let mut rest = Cursor(&payload[4..]);
    let mut walked = Walked {
        without_table: payload[..4].to_vec(),
        table: None,
    };
    let mut is_text = true;
    for field in layout.fields {
        let before = rest.0;
        let content = field.take(&mut rest).ok_or_else(|| undecodable(&payload[4..]))?;
        let octets = &before[..before.len() - rest.0.len()];
        match field {
            Field::Table => {
                walked.table = Some(content);
                walked.without_table.extend_from_slice(&[0; 4]);
            }
            Field::Text => {
                is_text &= std::str::from_utf8(content).is_ok();
                walked.without_table.extend_from_slice(octets);
            }
            Field::Fixed(_) | Field::Octets => walked.without_table.extend_from_slice(octets),
        }
    }
    match (rest.is_empty(), is_text) {
        (true, true) => Ok(walked),
        (true, false) => Err(MethodError::NotText),
        (false, _) => Err(undecodable(&payload[4..])),
    }
}

fn arguments_table(method: &'static str, octets: &[u8]) -> Result<FieldTable, MethodError> {
    let decoded = check_table(octets, 1).and_then(|()| to_field_table(&decode_table(octets)?));
    decoded.map_err(|error| MethodError::Table { method, error })
}

/// Where a method struct keeps its table.
fn table_of(class: &mut AMQPClass) -> Option<&mut FieldTable> {
    use connection::AMQPMethod as Connection;
    use exchange::AMQPMethod as Exchange;
    use queue::AMQPMethod as Queue;
    Some(match class {
        AMQPClass::Connection(Connection::Start(start)) => &mut start.server_properties,
        AMQPClass::Connection(Connection::StartOk(start_ok)) => &mut start_ok.client_properties,
        AMQPClass::Exchange(Exchange::Declare(declare)) => &mut declare.arguments,
        AMQPClass::Exchange(Exchange::Bind(bind)) => &mut bind.arguments,
        AMQPClass::Exchange(Exchange::Unbind(unbind)) => &mut unbind.arguments,
        AMQPClass::Queue(Queue::Declare(declare)) => &mut declare.arguments,
        AMQPClass::Queue(Queue::Bind(bind)) => &mut bind.arguments,
        AMQPClass::Queue(Queue::Unbind(unbind)) => &mut unbind.arguments,
        AMQPClass::Basic(basic::AMQPMethod::Consume(consume)) => &mut consume.arguments,
        _ => return None,
    })
}
