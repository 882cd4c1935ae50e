//! The content header: what is accepted decodes, encodes, and survives the change of one property.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{Properties, decode_header, raw_entries};

fuzz_target!(|payload: &[u8]| {
    let header = match decode_header(payload) {
        Err(error) => return assert!(wire::reply_text(&error.refusal()).as_str().len() <= 255),
        Ok(header) => header,
    };
    let properties = Properties::decode(header.properties).expect("checked by decode_header");
    let expired = wire::with_expiration_replaced(header.properties, Some(b"60000"));
    let bare = wire::with_expiration_replaced(&expired, None);
    let expected = Properties {
        expiration: None,
        ..properties
    };
    let decoded = Properties::decode(&bare).expect("as sound as before");
    // Numbers that are no numbers are not equal to themselves: compare what is shown.
    assert_eq!(format!("{decoded:?}"), format!("{expected:?}"));
    let Some(headers) = header.seen.headers else { return };
    let mut again = Vec::new();
    for (key, value) in raw_entries(headers) {
        wire::encode_raw_entry(key, value, &mut again).expect("a key from the wire");
    }
    assert_eq!(again, headers);
    let replaced = wire::with_headers_replaced(header.properties, Some(&again));
    assert_eq!(replaced, header.properties);
});
