//! Text that can hold any octets: what AMQP calls a string is bytes, what a behaviour file holds is text.
//! An octet that is not part of valid UTF-8 becomes one private-use character and comes back as the same octet.
//! Nothing is ever lost or replaced, so a name of broken UTF-8 can be sent, printed and compared.

/// First of the 256 private-use characters that stand for a raw octet.
const RAW: u32 = 0xF700;

/// Text for `bytes`.
#[must_use]
pub fn to_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|&octet| raw(octet)));
    }
    text
}

/// The octets of `text`, the inverse of [`to_text`].
#[must_use]
pub fn to_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u32::from(c).checked_sub(RAW) {
            Some(octet @ 0..=255) => bytes.extend(u8::try_from(octet)),
            _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// The character that stands for one raw octet.
#[must_use]
pub fn raw(octet: u8) -> char {
    char::from_u32(RAW + u32::from(octet)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_string_survives_the_way_through_text() {
        for bytes in [
            &b"plain"[..],
            b"\xff\xfe",
            "gr\u{fc}n".as_bytes(),
            b"a\xc3",
            &[0, 13, 10],
        ] {
            assert_eq!(to_bytes(&to_text(bytes)), bytes);
        }
    }
}
