//! The name service's octets: which node of a host listens on which port, in the words of Erlang's epmd.
//!
//! Requests are a length and a tag; nothing here is longer than a kilobyte, and what is not understood is refused. Who
//! asks is not known, so an answer is a hint where to knock, never a reason to trust who opens.

/// Where RabbitMQ's nodes look for it.
pub const NAME_SERVICE_PORT: u16 = 4369;
/// Most octets of a request after its length.
pub const NAME_REQUEST_BYTES_MAX: usize = 1024;
/// Octets before each request.
pub const NAME_HEADER_BYTES: usize = 2;
/// Longest name.
const NAME_BYTES_MAX: usize = 255;
/// Most octets of an answer to `Names` that are read.
pub const NAMES_BYTES_MAX: usize = 64 * 1024;
/// Versions of Erlang's distribution that a registration speaks of: the highest and the lowest.
const VERSIONS: (u16, u16) = (6, 5);
const NORMAL_NODE: u8 = 77;

const REGISTER: u8 = b'x';
const REGISTERED: u8 = b'y';
const REGISTERED_LONG: u8 = b'v';
const PORT: u8 = b'z';
const PORT_ANSWER: u8 = b'w';
const NAMES: u8 = b'n';

/// What is asked of the name service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameRequest {
    /// A node is there as long as this connection is.
    Register {
        /// Its name, without the host.
        name: String,
        /// Where it listens.
        port: u16,
        /// Whether the answer may be of the longer kind.
        is_long: bool,
    },
    /// Where a node listens.
    Port(String),
    /// All nodes.
    Names,
}

impl NameRequest {
    /// Reads a request, its length left out; none is nothing that is known here.
    pub fn read(content: &[u8]) -> Option<Self> {
        let (tag, rest) = content.split_first()?;
        match *tag {
            REGISTER => register(rest),
            PORT => Some(NameRequest::Port(name(rest)?)),
            NAMES if rest.is_empty() => Some(NameRequest::Names),
            _ => None,
        }
    }

    /// The request with its length.
    pub fn octets(&self) -> Vec<u8> {
        let content = match self {
            NameRequest::Register { name, port, .. } => {
                let mut content = vec![REGISTER];
                content.extend(port.to_be_bytes());
                content.extend(about(name));
                content
            }
            NameRequest::Port(name) => [&[PORT], name.as_bytes()].concat(),
            NameRequest::Names => vec![NAMES],
        };
        [&length(&content), &content[..]].concat()
    }
}

/// A length in two octets; names are checked before, so nothing is longer.
fn length(content: &[u8]) -> [u8; 2] {
    u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes()
}

/// Type, protocol, versions, name and no more, as both a registration and an answer have them.
fn about(name: &str) -> Vec<u8> {
    let mut octets = vec![NORMAL_NODE, 0];
    octets.extend(VERSIONS.0.to_be_bytes());
    octets.extend(VERSIONS.1.to_be_bytes());
    octets.extend(length(name.as_bytes()));
    octets.extend(name.as_bytes());
    octets.extend([0, 0]);
    octets
}

fn number(octets: &[u8], at: usize) -> Option<u16> {
    let pair = octets.get(at..at + 2)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

fn name(octets: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(octets).ok()?;
    let sound = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let fits = !text.is_empty() && text.len() <= NAME_BYTES_MAX;
    (fits && text.chars().all(sound)).then(|| text.to_owned())
}

fn register(octets: &[u8]) -> Option<NameRequest> {
    let (port, highest) = (number(octets, 0)?, number(octets, 4)?);
    let end = 10 + usize::from(number(octets, 8)?);
    let name = name(octets.get(10..end)?)?;
    // What follows is for the nodes among themselves; it must only be there in the length that it says.
    let more = usize::from(number(octets, end)?);
    (port > 0 && octets.len() == end + 2 + more).then_some(NameRequest::Register {
        name,
        port,
        is_long: highest >= VERSIONS.0,
    })
}

/// The answer to a registration; `creation` tells a node's lives apart.
pub fn registered(is_accepted: bool, is_long: bool, creation: u16) -> Vec<u8> {
    let result = u8::from(!is_accepted);
    match is_long {
        true => [&[REGISTERED_LONG, result], &u32::from(creation).to_be_bytes()[..]].concat(),
        false => [&[REGISTERED, result], &creation.to_be_bytes()[..]].concat(),
    }
}

/// How many octets an answer to a registration has, by its first; none is no such answer.
pub fn registered_bytes(tag: u8) -> Option<usize> {
    match tag {
        REGISTERED_LONG => Some(6),
        REGISTERED => Some(4),
        _ => None,
    }
}

/// Whether a registration was accepted.
pub fn is_registered(answer: &[u8]) -> bool {
    answer.get(1) == Some(&0)
}

/// The answer to a question for a port.
pub fn port_answer(name: &str, port: Option<u16>) -> Vec<u8> {
    match port {
        Some(port) => [&[PORT_ANSWER, 0], &port.to_be_bytes()[..], &about(name)].concat(),
        None => vec![PORT_ANSWER, 1],
    }
}

/// The port in such an answer.
pub fn port_in(answer: &[u8]) -> Option<u16> {
    let is_answer = answer.starts_with(&[PORT_ANSWER, 0]);
    number(answer, 2).filter(|_| is_answer)
}

/// The answer to `Names` of the service on `port`.
pub fn names_answer<'a>(port: u16, nodes: impl Iterator<Item = (&'a str, u16)>) -> Vec<u8> {
    let mut octets = u32::from(port).to_be_bytes().to_vec();
    for (name, port) in nodes {
        octets.extend(format!("name {name} at port {port}\n").as_bytes());
    }
    octets
}

/// The nodes in such an answer; lines that are none are left out.
pub fn names_in(answer: &[u8]) -> Vec<(String, u16)> {
    let text = String::from_utf8_lossy(answer.get(4..).unwrap_or_default()).into_owned();
    let node = |line: &str| {
        let (name, port) = line.strip_prefix("name ")?.split_once(" at port ")?;
        Some((name.to_owned(), port.parse().ok()?))
    };
    text.lines().filter_map(node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As `erl -sname a` and `epmd -names` were recorded.
    #[test]
    fn requests_and_answers_are_epmds_octets() {
        let request = NameRequest::Register {
            name: "a".into(),
            port: 25672,
            is_long: true,
        };
        assert_eq!(
            request.octets(),
            b"\x00\x0ex\x64\x48\x4d\x00\x00\x06\x00\x05\x00\x01a\x00\x00"
        );
        assert_eq!(NameRequest::Port("rabbit".into()).octets(), b"\x00\x07zrabbit");
        assert_eq!(NameRequest::Names.octets(), b"\x00\x01n");
        assert_eq!(
            port_in(b"w\x00\x64\x48\x4d\x00\x00\x06\x00\x05\x00\x01a\x00\x00"),
            Some(25672)
        );
        assert_eq!(port_in(b"w\x01"), None);
        let names = b"\x00\x00\x11\x11name r1 at port 37671\nname r2 at port 37672\n";
        assert_eq!(names_in(names), [("r1".into(), 37671), ("r2".into(), 37672)]);
        assert_eq!(names_answer(4369, [("r1", 37671), ("r2", 37672)].into_iter()), names);
        assert!(is_registered(b"v\x00\x00\x00\x00\x01") && !is_registered(b"y\x01\x00\x00"));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for octets in [
            &b""[..],
            b"k",
            b"d",
            b"nx",
            b"z",
            b"za b",
            b"x",
            b"x\x64\x48\x4d\x00\x00\x06\x00\x05\x00\xffa\x00\x00",
            b"x\x00\x00\x4d\x00\x00\x06\x00\x05\x00\x01a\x00\x00",
            b"x\x64\x48\x4d\x00\x00\x06\x00\x05\x00\x01a\x00\x09",
        ] {
            assert_eq!(NameRequest::read(octets), None, "{octets:?}");
        }
    }

    proptest! {
        #[test]
        fn requests_come_back_as_they_went(name in "[a-z0-9_.-]{1,255}", port in 1u16..) {
            for request in [NameRequest::Register { name: name.clone(), port, is_long: true }, NameRequest::Port(name)] {
                let octets = request.octets();
                prop_assert_eq!(NameRequest::read(&octets[NAME_HEADER_BYTES..]), Some(request));
            }
        }

        #[test]
        fn no_octets_are_too_strange(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = (NameRequest::read(&octets), port_in(&octets), names_in(&octets));
        }
    }
}
