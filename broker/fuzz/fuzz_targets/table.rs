//! Field tables: what decodes and can be encoded must decode to the same again, and walking a table's raw entries never leaves it.
//! Not every table that decodes can be encoded: a key that is no UTF-8 grows when it is made so.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let walked: usize = wire::raw_entries(octets)
        .map(|(key, value)| 1 + key.len() + value.len())
        .sum();
    assert!(walked <= octets.len());
    let Ok(table) = wire::decode_table(octets) else { return };
    assert_eq!(walked, octets.len(), "what decodes is walked whole");
    let mut encoded = Vec::new();
    if wire::encode_table(&table, &mut encoded).is_err() {
        return;
    }
    // Compared as octets, since a number that is none is not equal to itself.
    let again = wire::decode_table(&encoded).expect("our own table");
    let mut encoded_again = Vec::new();
    wire::encode_table(&again, &mut encoded_again).expect("encoded before");
    assert_eq!(encoded, encoded_again);
});
