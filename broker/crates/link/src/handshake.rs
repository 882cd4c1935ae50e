//! The proof of the shared secret, both ways: HMAC-SHA256 over role, channel, both names and both nonces.
//!
//! The one that connects proves first, so a stranger learns nothing from a node, not even a proof to guess against.
//! Different roles sign different texts, so no proof can be sent back to its maker. What a peer may do afterwards is
//! the channel's matter.

use crate::cookie::Cookie;
use crate::release::{is_spoken, protocol_version};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Most octets of a frame before the secret is proven.
pub const HANDSHAKE_BYTES_MAX: usize = 2048;
/// Longest name of an end.
const NAME_BYTES_MAX: usize = 512;
/// What a stranger on the port is told apart by.
const MAGIC: &str = "warren-peer";

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Requests of the command line tools.
    Cli,
    /// Nodes of a cluster among themselves.
    Node,
    /// A leg: the work of one client of another node on the queues that this node leads.
    Client,
    /// The operations of the queues that a node leads, for the mirrors at this one.
    Mirror,
}

impl Channel {
    fn name(self) -> &'static str {
        match self {
            Channel::Cli => "cli",
            Channel::Node => "node",
            Channel::Client => "client",
            Channel::Mirror => "mirror",
        }
    }
}

/// First words of the one that connects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    magic: String,
    /// Version of the protocol.
    pub version: u16,
    /// What for.
    pub channel: Channel,
    /// Who it is.
    pub from: String,
    /// The node it looks for.
    pub to: String,
    nonce: [u8; 32],
}

/// The node's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    nonce: [u8; 32],
}

/// Proof of the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof([u8; 32]);

/// What the node says to a hello and to a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Prove that you know the secret.
    Prove(Challenge),
    /// Accepted; here is the node's own proof.
    Welcome(Proof),
    /// Not the secret.
    WrongSecret,
    /// Another version of the protocol.
    WrongVersion(u16),
    /// Another node than the one looked for; this is its name.
    OtherNode(String),
}

/// Why a handshake fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// Octets that are no handshake.
    #[error("it does not speak the peer protocol")]
    Foreign,
    /// Another version.
    #[error("it speaks version {0} of the peer protocol, not {own}", own = protocol_version())]
    Version(u16),
}

/// The accepted end of a handshake: who has proven itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Who it says it is; all who know the secret are equal.
    pub from: String,
    /// What for.
    pub channel: Channel,
}

impl Hello {
    /// First words to the node `to`.
    pub fn new(channel: Channel, from: &str, to: &str) -> Self {
        Hello {
            magic: MAGIC.to_owned(),
            version: protocol_version(),
            channel,
            from: from.to_owned(),
            to: to.to_owned(),
            nonce: rand::random(),
        }
    }

    /// The same words to a node that speaks an older version.
    #[must_use]
    pub fn in_version(self, version: u16) -> Self {
        Hello { version, ..self }
    }

    /// Reads first words.
    ///
    /// # Errors
    /// When they are none, or of another version.
    pub fn read(octets: &[u8]) -> Result<Self, HandshakeError> {
        #[derive(Deserialize)]
        struct Opening {
            magic: String,
            version: u16,
        }
        let opening: Opening = serde_json::from_slice(octets).map_err(|_| HandshakeError::Foreign)?;
        match (opening.magic.as_str(), opening.version) {
            (MAGIC, version) if is_spoken(version) => {}
            (MAGIC, other) => return Err(HandshakeError::Version(other)),
            _ => return Err(HandshakeError::Foreign),
        }
        let hello: Hello = serde_json::from_slice(octets).map_err(|_| HandshakeError::Foreign)?;
        match hello.from.len().max(hello.to.len()) <= NAME_BYTES_MAX {
            true => Ok(hello),
            false => Err(HandshakeError::Foreign),
        }
    }
}

/// The node's challenge.
pub fn challenge() -> Challenge {
    Challenge { nonce: rand::random() }
}

/// The proof of the one that connects.
pub fn prove(cookie: &Cookie, hello: &Hello, challenge: &Challenge) -> Proof {
    Proof(mac(cookie, "connects", hello, challenge).finalize().into_bytes().into())
}

/// Judges a proof against every secret that is accepted now: the one that fits, and the answer with its proof.
pub fn accept<'a>(
    accepted: &'a [Cookie],
    hello: &Hello,
    challenge: &Challenge,
    proof: Proof,
) -> Option<(&'a Cookie, Proof)> {
    let fitting = accepted.iter().find(|cookie| {
        let expected = mac(cookie, "connects", hello, challenge);
        // Takes the same time wherever the first difference is.
        expected.verify_slice(&proof.0).is_ok()
    })?;
    let own = Proof(mac(fitting, "accepts", hello, challenge).finalize().into_bytes().into());
    Some((fitting, own))
}

/// Whether the node's own proof is right.
pub fn verify(cookie: &Cookie, hello: &Hello, challenge: &Challenge, proof: Proof) -> bool {
    mac(cookie, "accepts", hello, challenge).verify_slice(&proof.0).is_ok()
}

fn mac(cookie: &Cookie, role: &str, hello: &Hello, challenge: &Challenge) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(cookie.octets()).expect("HMAC takes keys of every length");
    let parts = [MAGIC, role, hello.channel.name(), &hello.from, &hello.to];
    mac.update(&hello.version.to_be_bytes());
    for part in parts {
        // With lengths, so that no two lists of parts read the same.
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac.update(&hello.nonce);
    mac.update(&challenge.nonce);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(text: &str) -> Cookie {
        Cookie::new(text, "test").unwrap()
    }

    #[test]
    fn both_ends_prove_the_secret_and_a_wrong_one_is_refused() {
        let (hello, challenge) = (Hello::new(Channel::Cli, "cli@a", "rabbit@a"), challenge());
        let accepted = [cookie("CURRENT"), cookie("PREVIOUS")];
        for own in &accepted {
            let (fitting, answer) = accept(&accepted, &hello, &challenge, prove(own, &hello, &challenge)).unwrap();
            assert_eq!(fitting, own);
            assert!(verify(own, &hello, &challenge, answer));
            assert!(!verify(&cookie("OTHER"), &hello, &challenge, answer));
        }
        let wrong = prove(&cookie("OTHER"), &hello, &challenge);
        assert_eq!(accept(&accepted, &hello, &challenge, wrong), None);
        assert_eq!(accept(&[], &hello, &challenge, wrong), None);
    }

    #[test]
    fn a_proof_fits_one_handshake_and_one_direction() {
        let own = [cookie("SECRET")];
        let (hello, first) = (Hello::new(Channel::Cli, "cli@a", "rabbit@a"), challenge());
        let proof = prove(&own[0], &hello, &first);
        assert_eq!(accept(&own, &hello, &challenge(), proof), None, "replayed");
        let other = Hello {
            from: "cli@".into(),
            to: "arabbit@a".into(),
            ..hello.clone()
        };
        assert_eq!(accept(&own, &other, &first, proof), None, "names shifted");
        assert!(!verify(&own[0], &hello, &first, proof), "reflected");
    }

    #[test]
    fn octets_that_are_no_hello_are_foreign_and_other_versions_are_named() {
        let read = |text: &str| Hello::read(text.as_bytes()).unwrap_err();
        assert_eq!(read("GET / HTTP/1.1"), HandshakeError::Foreign);
        assert_eq!(read(r#"{"magic":"other","version":1}"#), HandshakeError::Foreign);
        assert_eq!(read(r#"{"magic":"warren-peer","version":1}"#), HandshakeError::Foreign);
        assert_eq!(
            read(r#"{"magic":"warren-peer","version":9,"more":1}"#),
            HandshakeError::Version(9)
        );
        assert_eq!(read(&"[".repeat(2048)), HandshakeError::Foreign);
        let next = Hello::new(Channel::Node, "rabbit@b", "rabbit@a").in_version(protocol_version() + 1);
        let octets = serde_json::to_vec(&next).unwrap();
        assert_eq!(
            Hello::read(&octets),
            Err(HandshakeError::Version(protocol_version() + 1)),
            "so the next release hears that this one is older"
        );
        let older = next.in_version(protocol_version());
        let octets = serde_json::to_vec(&older).unwrap();
        assert_eq!(Hello::read(&octets), Ok(older));
        let hello = Hello::new(Channel::Cli, &"n".repeat(600), "rabbit@a");
        let octets = serde_json::to_vec(&hello).unwrap();
        assert_eq!(Hello::read(&octets), Err(HandshakeError::Foreign));
    }
}
