//! Limits that the configuration sets and the definitions do not know: how many virtual hosts and queues there may be,
//! and what a new password must be.
//!
//! Pure: state and configuration in, a refusal out. Limits of one virtual host or user are part of the definitions.

use access::Pattern;
use catalog::{Catalog, Command};
use model::{Refusal, ReplyCode, UserName};

use crate::config::{Access, Config, CredentialValidator};

/// Why a command that adds something would exceed a limit, if it would.
pub(super) fn exceeded(config: &Config, catalog: &Catalog, command: &Command) -> Option<Refusal> {
    let text = match command {
        Command::PutVhost { name, .. } if catalog.vhost(name.as_str()).is_none() => {
            let max = config.access.vhosts_max.max()?;
            let full = catalog.vhosts().count() as u64 >= max;
            full.then(|| format!("cannot create vhost '{name}': vhost limit of {max} is reached"))
        }
        Command::DeclareQueue(spec) if catalog.queue(spec.vhost.as_str(), spec.name.as_str()).is_none() => {
            let max = config.queues.queues_max.max()?;
            let full = catalog.queues().count() as u64 >= max;
            full.then(|| {
                let name = &spec.name;
                format!("cannot declare queue '{name}': queue limit in cluster ({max}) is reached")
            })
        }
        _ => None,
    };
    text.map(|text| Refusal::channel(ReplyCode::PreconditionFailed, text))
}

/// Holds a new password to what the configuration asks of it.
///
/// # Errors
/// What is asked for.
pub fn check_password(password: &str, user: &UserName, access: &Access) -> Result<(), String> {
    let right = match access.credential_validator {
        CredentialValidator::AcceptEverything => true,
        CredentialValidator::MinLength => password.chars().count() >= access.password_length_min as usize,
        CredentialValidator::Pattern => {
            Pattern::new(&access.password_pattern.0).is_ok_and(|pattern| pattern.matches(password))
        }
    };
    match (right, access.credential_validator) {
        (true, _) => Ok(()),
        (false, CredentialValidator::MinLength) => Err(format!(
            "minimum required password length: {}",
            access.password_length_min
        )),
        (false, _) => Err(format!(
            "provided password for user '{user}' must match the configured pattern"
        )),
    }
}
