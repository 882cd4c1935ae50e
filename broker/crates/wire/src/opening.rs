//! The eight octets that open a connection: which versions are spoken, and what everybody else is told.
//!
//! Octets that open no version of AMQP that we speak (HTTP, TLS, AMQP 1.0) are answered with [`ANSWER`] and the
//! socket is closed.

/// What a client that asks for another protocol is told before the socket closes.
pub const ANSWER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";

/// The version a client asked for. All three are served as 0-9-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 0-9-1
    V091,
    /// 0-9
    V09,
    /// 0-8
    V08,
}

impl Version {
    /// Major and minor number that `connection.start` announces to such a client.
    pub fn announced(self) -> (u8, u8) {
        match self {
            Version::V091 | Version::V09 => (0, 9),
            Version::V08 => (8, 0),
        }
    }
}

/// What the first octets of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Fewer than eight octets so far.
    NeedMore,
    /// AMQP; the eight octets are used up.
    Accepted(Version),
    /// Anything else: write [`ANSWER`] and close.
    Refused,
}

/// Judges the first octets of a connection.
pub fn protocol_header(buf: &[u8]) -> Opening {
    let Some(header) = buf.first_chunk::<8>() else {
        return Opening::NeedMore;
    };
    match header {
        b"AMQP\x00\x00\x09\x01" => Opening::Accepted(Version::V091),
        b"AMQP\x01\x01\x00\x09" => Opening::Accepted(Version::V09),
        b"AMQP\x01\x01\x08\x00" | b"AMQP\x01\x01\x09\x01" => Opening::Accepted(Version::V08),
        _ => Opening::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_four_known_headers_are_accepted() {
        let cases: [(&[u8], Opening); 8] = [
            (b"AMQP\x00\x00\x09\x01", Opening::Accepted(Version::V091)),
            (b"AMQP\x01\x01\x00\x09", Opening::Accepted(Version::V09)),
            (b"AMQP\x01\x01\x08\x00", Opening::Accepted(Version::V08)),
            (b"AMQP\x01\x01\x09\x01", Opening::Accepted(Version::V08)),
            (b"AMQP\x00\x01\x00\x00", Opening::Refused),
            (b"AMQP\x03\x01\x00\x00", Opening::Refused),
            (b"GET / HTTP/1.1\r\n", Opening::Refused),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01", Opening::Refused),
        ];
        for (octets, expected) in cases {
            assert_eq!(protocol_header(octets), expected, "{octets:?}");
            assert_eq!(protocol_header(&octets[..7]), Opening::NeedMore);
        }
    }
}
