//! The road of a connection's octets: opening, frames, methods and content headers, as a session would read them.
//!
//! The first octet chooses where the stream is cut: whole and in two pieces it must give the same frames.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{Kind, decode_header, decode_method, next_frame, protocol_header};

const FRAME_MAX: u32 = 4096;

fn read(mut stream: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let mut payloads = Vec::new();
    loop {
        match next_frame(stream, FRAME_MAX) {
            Ok(None) => return (payloads, true),
            Err(error) => {
                assert!(wire::reply_text(&error.refusal()).as_str().len() <= 255);
                return (payloads, false);
            }
            Ok(Some((frame, size))) => {
                match frame.kind {
                    Kind::Method => {
                        drop(decode_method(frame.payload).map_err(|error| wire::reply_text(&error.refusal())))
                    }
                    Kind::Header => {
                        drop(decode_header(frame.payload).map_err(|error| wire::reply_text(&error.refusal())))
                    }
                    Kind::Body | Kind::Heartbeat => {}
                }
                payloads.push(frame.payload.to_vec());
                stream = &stream[size..];
            }
        }
    }
}

fuzz_target!(|octets: &[u8]| {
    protocol_header(octets);
    let Some((cut, stream)) = octets.split_first() else {
        return;
    };
    let (whole, sound) = read(stream);
    let (first, first_sound) = read(&stream[..stream.len().min((*cut).into())]);
    assert!(whole.starts_with(&first));
    assert!(first_sound || !sound);
});
