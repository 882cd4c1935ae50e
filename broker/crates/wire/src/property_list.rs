//! Property lists as octets: where each property lies, and lists with one property changed and all else untouched.
//!
//! A list is the flag word and the properties it announces, as `decode_header` hands it out. Octets that are no list
//! come back unchanged: whoever passes a checked list never meets that case.

use crate::cursor::Cursor;
use crate::layout::Field;
use std::ops::Range;

pub(crate) const CONTENT_TYPE: u16 = 1 << 15;
pub(crate) const CONTENT_ENCODING: u16 = 1 << 14;
pub(crate) const HEADERS: u16 = 1 << 13;
pub(crate) const DELIVERY_MODE: u16 = 1 << 12;
pub(crate) const PRIORITY: u16 = 1 << 11;
pub(crate) const CORRELATION_ID: u16 = 1 << 10;
pub(crate) const REPLY_TO: u16 = 1 << 9;
pub(crate) const EXPIRATION: u16 = 1 << 8;
pub(crate) const MESSAGE_ID: u16 = 1 << 7;
pub(crate) const TIMESTAMP: u16 = 1 << 6;
pub(crate) const TYPE: u16 = 1 << 5;
pub(crate) const USER_ID: u16 = 1 << 4;
pub(crate) const APP_ID: u16 = 1 << 3;
pub(crate) const CLUSTER_ID: u16 = 1 << 2;

/// All properties in the order of the list.
const ORDER: [(u16, Field); 14] = [
    (CONTENT_TYPE, Field::Text),
    (CONTENT_ENCODING, Field::Text),
    (HEADERS, Field::Table),
    (DELIVERY_MODE, Field::Fixed(1)),
    (PRIORITY, Field::Fixed(1)),
    (CORRELATION_ID, Field::Text),
    (REPLY_TO, Field::Text),
    (EXPIRATION, Field::Text),
    (MESSAGE_ID, Field::Text),
    (TIMESTAMP, Field::Fixed(8)),
    (TYPE, Field::Text),
    (USER_ID, Field::Text),
    (APP_ID, Field::Text),
    (CLUSTER_ID, Field::Text),
];

/// The list with another headers table (its octets without a length field), or with none.
pub fn with_headers_replaced(properties: &[u8], headers: Option<&[u8]>) -> Vec<u8> {
    let octets = headers.and_then(|table| {
        let length = u32::try_from(table.len()).ok()?;
        Some([&length.to_be_bytes(), table].concat())
    });
    replaced(properties, HEADERS, octets)
}

/// The list with another expiration (at most 255 octets are kept), or with none.
pub fn with_expiration_replaced(properties: &[u8], expiration: Option<&[u8]>) -> Vec<u8> {
    replaced(properties, EXPIRATION, expiration.map(short))
}

/// The list with another reply-to (at most 255 octets are kept), or with none.
pub fn with_reply_to_replaced(properties: &[u8], reply_to: Option<&[u8]>) -> Vec<u8> {
    replaced(properties, REPLY_TO, reply_to.map(short))
}

fn short(octets: &[u8]) -> Vec<u8> {
    let kept = &octets[..octets.len().min(255)];
    let mut short = Vec::with_capacity(kept.len() + 1);
    // At most 255, two lines above.
    short.push(kept.len() as u8);
    short.extend_from_slice(kept);
    short
}

fn replaced(properties: &[u8], flag: u16, octets: Option<Vec<u8>>) -> Vec<u8> {
    let Some((flags, place)) = place_of(properties, flag) else {
        return properties.to_vec();
    };
    let flags = match octets {
        Some(_) => flags | flag,
        None => flags & !flag,
    };
    let octets = octets.unwrap_or_default();
    [
        &flags.to_be_bytes(),
        &properties[2..place.start],
        &octets,
        &properties[place.end..],
    ]
    .concat()
}

/// The flag word, and where the property lies with its length field: an empty range where it would be.
fn place_of(properties: &[u8], wanted: u16) -> Option<(u16, Range<usize>)> {
    let mut rest = Cursor(properties);
    let flags = rest.u16()?;
    for (flag, field) in ORDER {
        let start = properties.len() - rest.0.len();
        if flags & flag != 0 {
            field.take(&mut rest)?;
        }
        if flag == wanted {
            return Some((flags, start..properties.len() - rest.0.len()));
        }
    }
    None
}
