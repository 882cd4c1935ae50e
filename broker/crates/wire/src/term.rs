//! Octets written the way RabbitMQ's error texts write them, since clients and their tests match on those texts.
//!
//! Output is bounded: a reply text holds 255 octets, so no more input than could ever show is looked at.

use std::fmt::Write;

/// More octets than this never fit a reply text.
const SHOWN_OCTETS_MAX: usize = 128;

/// `<<1,2,3>>`: always as numbers.
pub(crate) fn numbers(octets: &[u8]) -> String {
    let mut text = String::from("<<");
    for (at, octet) in octets.iter().take(SHOWN_OCTETS_MAX).enumerate() {
        let comma = if at == 0 { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}{octet}");
    }
    text + ">>"
}

/// `<<"text">>` when every octet is printable, else as numbers.
pub(crate) fn pretty(octets: &[u8]) -> String {
    let printable = |octet: &u8| (b' '..=b'~').contains(octet);
    match std::str::from_utf8(octets) {
        Ok(text) if !text.is_empty() && octets.iter().all(printable) => {
            format!("<<\"{}\">>", text.replace('\\', "\\\\").replace('"', "\\\""))
        }
        _ => numbers(octets),
    }
}

/// The first 16 octets of a payload, as frame errors show them: `all octets = …` or `first 16 octets = …`.
pub(crate) fn snippet(payload: &[u8]) -> String {
    match payload.get(..16) {
        Some(first) if payload.len() > 16 => format!("first 16 octets = {}", pretty(first)),
        _ => format!("all octets = {}", pretty(payload)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_read_as_rabbitmq_prints_them() {
        assert_eq!(snippet(&[0, 20]), "all octets = <<0,20>>");
        assert_eq!(snippet(b""), "all octets = <<>>");
        assert_eq!(snippet(b"a\"b"), "all octets = <<\"a\\\"b\">>");
        assert_eq!(
            snippet(&[7; 17]),
            "first 16 octets = <<7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7>>"
        );
    }

    #[test]
    fn a_long_payload_makes_a_short_text() {
        assert!(numbers(&[255; 100_000]).len() < 1000);
    }
}
