//! Content headers, checked whole and read for what the broker acts on, without allocating.
//!
//! The property list itself travels on as raw octets from publish to deliver: decoding and encoding it again would not
//! be faithful.

use crate::cursor::Cursor;
use crate::frame::{Kind, unknown_frame};
use crate::property_list as list;
use crate::table::{TableError, check_table};
use model::{Refusal, ReplyCode};

/// A content header, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentHeader<'a> {
    /// Must be that of the method before it: 60.
    pub class_id: u16,
    /// Must be 0.
    pub weight: u16,
    /// Octets of body that follow.
    pub body_size: u64,
    /// Flag word and property list, checked.
    pub properties: &'a [u8],
    /// What the broker itself looks at.
    pub seen: Seen<'a>,
}

/// Properties that the broker acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen<'a> {
    /// 2 is persistent.
    pub delivery_mode: Option<u8>,
    /// Message priority.
    pub priority: Option<u8>,
    /// Time to live as its sender wrote it.
    pub expiration: Option<&'a [u8]>,
    /// Where answers go.
    pub reply_to: Option<&'a [u8]>,
    /// The user that the sender claims to be.
    pub user_id: Option<&'a [u8]>,
    /// The headers table without its length field, checked.
    pub headers: Option<&'a [u8]>,
}

/// Why a header frame holds no content header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// No room for class, weight and size.
    #[error("{0}")]
    TooShort(Refusal),
    /// The list is shorter or longer than its flags say.
    #[error("property list of the content header is cut off or too long")]
    List,
    /// The headers table is none.
    #[error("headers table of the content header: {0}")]
    Headers(TableError),
}

impl HeaderError {
    /// The refusal that closes the connection.
    pub fn refusal(&self) -> Refusal {
        match self {
            HeaderError::TooShort(refusal) => refusal.clone(),
            HeaderError::List | HeaderError::Headers(_) => {
                Refusal::connection(ReplyCode::SyntaxError, self.to_string())
            }
        }
    }
}

/// The content header in the payload of a header frame.
///
/// # Errors
/// Too short (501), broken property list or headers table (502).
#[inline]
pub fn decode_header(payload: &[u8]) -> Result<ContentHeader<'_>, HeaderError> {
    let Some((&[c0, c1, w0, w1, size @ ..], properties)) = payload.split_first_chunk::<12>() else {
        return Err(HeaderError::TooShort(unknown_frame(Kind::Header, payload)));
    };
    let seen = decode_properties(properties)?;
    Ok(ContentHeader {
        class_id: u16::from_be_bytes([c0, c1]),
        weight: u16::from_be_bytes([w0, w1]),
        body_size: u64::from_be_bytes(size),
        properties,
        seen,
    })
}

/// What the broker itself looks at in a flag word and property list.
///
/// # Errors
/// Broken property list or headers table (502).
#[inline]
pub fn decode_properties(properties: &[u8]) -> Result<Seen<'_>, HeaderError> {
    let seen = see(properties).ok_or(HeaderError::List)?;
    if let Some(headers) = seen.headers {
        check_table(headers, 1).map_err(HeaderError::Headers)?;
    }
    Ok(seen)
}

/// Walks the property list; `None` unless it is exactly as long as its flags say.
#[inline]
fn see(properties: &[u8]) -> Option<Seen<'_>> {
    let mut rest = Cursor(properties);
    let flags = rest.u16()?;
    let mut seen = Seen::default();
    if flags == list::DELIVERY_MODE {
        seen.delivery_mode = Some(rest.u8()?);
    } else if flags != 0 {
        seen = see_all(flags, &mut rest)?;
    }
    rest.is_empty().then_some(seen)
}

fn see_all<'a>(flags: u16, rest: &mut Cursor<'a>) -> Option<Seen<'a>> {
    let mut seen = Seen::default();
    skip_short(flags & list::CONTENT_TYPE, rest)?;
    skip_short(flags & list::CONTENT_ENCODING, rest)?;
    if flags & list::HEADERS != 0 {
        seen.headers = Some(rest.long()?);
    }
    if flags & list::DELIVERY_MODE != 0 {
        seen.delivery_mode = Some(rest.u8()?);
    }
    if flags & list::PRIORITY != 0 {
        seen.priority = Some(rest.u8()?);
    }
    skip_short(flags & list::CORRELATION_ID, rest)?;
    if flags & list::REPLY_TO != 0 {
        seen.reply_to = Some(rest.short()?);
    }
    if flags & list::EXPIRATION != 0 {
        seen.expiration = Some(rest.short()?);
    }
    skip_short(flags & list::MESSAGE_ID, rest)?;
    if flags & list::TIMESTAMP != 0 {
        rest.u64()?;
    }
    skip_short(flags & list::TYPE, rest)?;
    if flags & list::USER_ID != 0 {
        seen.user_id = Some(rest.short()?);
    }
    skip_short(flags & list::APP_ID, rest)?;
    skip_short(flags & list::CLUSTER_ID, rest)?;
    Some(seen)
}

#[inline]
fn skip_short(present: u16, rest: &mut Cursor<'_>) -> Option<()> {
    if present != 0 {
        rest.short()?;
    }
    Some(())
}
