//! Property lists as octets: where each property lies, and lists with one property changed and all else untouched.
//!
//! A list is the flag word and the properties it announces, as `decode_header` hands it out. Octets that are no list
//! come back unchanged: whoever passes a checked list never meets that case.

use crate::cursor::Cursor;
use crate::layout::Field;
use crate::table::raw_entries;
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

/// The list with this whole number in its headers, instead of any other value of that name (of which at most 255 octets are
/// kept).
pub fn with_header_number(properties: &[u8], name: &str, number: i64) -> Vec<u8> {
    let Some((flags, place)) = place_of(properties, HEADERS) else {
        return properties.to_vec();
    };
    let table = match flags & HEADERS {
        0 => &[],
        _ => &properties[place.start + 4..place.end],
    };
    let is_named = |window: &[u8]| window == name.as_bytes();
    let mut table = match table.windows(name.len().max(1)).any(is_named) {
        true => without_entry(table, name.as_bytes()),
        false => table.to_vec(),
    };
    table.extend_from_slice(&short(name.as_bytes()));
    table.push(b'l');
    table.extend_from_slice(&number.to_be_bytes());
    with_headers_replaced(properties, Some(&table))
}

/// A table without the entries of this name.
fn without_entry(table: &[u8], name: &[u8]) -> Vec<u8> {
    let mut rest = Vec::with_capacity(table.len());
    for (key, value) in raw_entries(table).filter(|(key, _)| *key != name) {
        rest.extend_from_slice(&short(key));
        rest.extend_from_slice(value);
    }
    rest
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Properties;
    use model::{Table, Value};

    fn numbered(headers: Option<Table>) -> Properties {
        let properties = Properties {
            content_type: Some("a/b".into()),
            headers,
            delivery_mode: Some(2),
            ..Properties::default()
        };
        let octets = with_header_number(&properties.encode().unwrap(), "n", 7);
        Properties::decode(&octets).unwrap()
    }

    #[test]
    fn a_number_is_put_into_the_headers_once_and_all_else_is_untouched() {
        let number = ("n", Value::I64(7));
        assert_eq!(numbered(None).headers, Some(Table::from([number.clone()])));
        let own = Table::from([("n", "old".into()), ("own", Value::Bool(true))]);
        let all = numbered(Some(own));
        assert_eq!(all.headers, Some(Table::from([("own", Value::Bool(true)), number])));
        assert_eq!((all.content_type.as_deref(), all.delivery_mode), (Some("a/b"), Some(2)));
    }
}
