//! What a client proves itself with: SASL PLAIN, AMQPLAIN and EXTERNAL responses, parsed.
//!
//! Only the shape is judged here; whether the proof holds is the node's matter.

use model::{Table, Value};
use std::fmt;

/// A parsed SASL response.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// PLAIN and AMQPLAIN.
    Password {
        /// Login name.
        user: String,
        /// Password octets.
        password: Vec<u8>,
    },
    /// EXTERNAL: the transport's certificate names the user.
    External,
}

impl fmt::Debug for Credentials {
    /// Never shows the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credentials::Password { user, .. } => write!(f, "Password({user})"),
            Credentials::External => f.write_str("External"),
        }
    }
}

/// Parses the response to `mechanism`; the error is a sentence for the log.
pub(crate) fn parse(mechanism: &str, response: &[u8]) -> Result<Credentials, String> {
    match mechanism {
        "PLAIN" => plain(response),
        "AMQPLAIN" => amqplain(response),
        "EXTERNAL" => Ok(Credentials::External),
        other => Err(format!("unknown authentication mechanism '{other}'")),
    }
}

fn plain(response: &[u8]) -> Result<Credentials, String> {
    let mut parts = response.splitn(3, |octet| *octet == 0);
    match (parts.next(), parts.next(), parts.next()) {
        (Some([]), Some(user), Some(password)) => password_of(user, password),
        _ => Err("response to PLAIN is not NUL user NUL password".into()),
    }
}

/// AMQPLAIN is a field table without its outer length.
fn amqplain(response: &[u8]) -> Result<Credentials, String> {
    let table: Table = wire::decode_table(response).map_err(|e| format!("response to AMQPLAIN is no table: {e}"))?;
    match (table.get("LOGIN"), table.get("PASSWORD")) {
        (Some(Value::LongStr(user)), Some(Value::LongStr(password))) => password_of(user, password),
        _ => Err("response to AMQPLAIN lacks LOGIN or PASSWORD".into()),
    }
}

fn password_of(user: &[u8], password: &[u8]) -> Result<Credentials, String> {
    let user = std::str::from_utf8(user).map_err(|_| "user name is not UTF-8".to_owned())?;
    Ok(Credentials::Password {
        user: user.to_owned(),
        password: password.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bob() -> Credentials {
        Credentials::Password {
            user: "bob".into(),
            password: b"pw".to_vec(),
        }
    }

    #[test]
    fn plain_has_no_authorisation_identity_as_in_rabbitmq() {
        assert_eq!(parse("PLAIN", b"\0bob\0pw"), Ok(bob()));
        assert!(parse("PLAIN", b"alice\0bob\0pw").is_err());
        assert!(parse("PLAIN", b"bob").is_err());
    }

    #[test]
    fn amqplain_reads_login_and_password() {
        let mut octets = Vec::new();
        wire::encode_table(
            &Table::from([("LOGIN", "bob".into()), ("PASSWORD", "pw".into())]),
            &mut octets,
        )
        .unwrap();
        assert_eq!(parse("AMQPLAIN", &octets), Ok(bob()));
        assert!(parse("AMQPLAIN", &octets[1..]).is_err());
    }

    #[test]
    fn a_password_is_never_printed() {
        assert_eq!(format!("{:?}", bob()), "Password(bob)");
    }
}
