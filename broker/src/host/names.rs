//! Names by chance: server-named queues, consumer tags, reply addresses, in RabbitMQ's form.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// `prefix` and 22 characters of base64url: 16 octets of chance.
pub fn drawn(prefix: &str) -> String {
    let octets: [u8; 16] = rand::random();
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawn_name_has_22_characters_after_its_prefix() {
        let name = drawn("amq.gen-");
        assert_eq!(name.len(), "amq.gen-".len() + 22);
        assert_ne!(name, drawn("amq.gen-"));
    }
}
