//! Feeds hostile octets to everything in `wire` that reads a socket (I14): the protocol header, the frame reader, and each decoder of a
//! frame's payload. Any panic, hang or huge allocation ends the run with the input that caused it. What is encoded
//! must decode to the same again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{Frame, Kind};

/// What a broker allows by default.
const FRAME_MAX: u32 = 131_072;

fuzz_target!(|octets: &[u8]| {
    let _opening = wire::protocol_header(octets);
    for limit in [FRAME_MAX, 0] {
        read_frames(octets, limit);
    }
    read_payload(octets);
});

/// Reads as a connection does: frame after frame, until octets are missing or wrong.
fn read_frames(mut octets: &[u8], limit: u32) {
    while let Ok(Some((frame, length))) = wire::next_frame(octets, limit) {
        assert!(
            length >= 8 && length <= octets.len(),
            "a frame of {length} octets out of {}",
            octets.len()
        );
        assert!(frame.payload.len() + 8 == length);
        read(&frame);
        octets = &octets[length..];
    }
}

fn read(frame: &Frame<'_>) {
    match frame.kind {
        Kind::Method => drop(wire::decode_method(frame.payload)),
        Kind::Header => drop(wire::decode_header(frame.payload)),
        Kind::Body | Kind::Heartbeat => {}
    }
}

/// The whole input as each kind of payload, so that no mutation is lost on a frame's head.
fn read_payload(octets: &[u8]) {
    drop(wire::decode_method(octets));
    drop(wire::decode_header(octets));
    let _delivery = wire::decode_delivery(octets);
    for (key, value) in wire::raw_entries(octets) {
        assert!(key.len() + value.len() <= octets.len());
    }
    let Ok(table) = wire::decode_table(octets) else { return };
    // Compared as octets, since a NaN in a table is not equal to itself. A key that is no UTF-8 may have grown too long.
    let mut encoded = Vec::new();
    let Ok(()) = wire::encode_table(&table, &mut encoded) else {
        return;
    };
    let again = wire::decode_table(&encoded).expect("what was encoded can be decoded");
    let mut encoded_again = Vec::new();
    wire::encode_table(&again, &mut encoded_again).expect("what was encoded before can be encoded");
    assert_eq!(encoded, encoded_again);
}
