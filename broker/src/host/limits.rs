//! Limits that the configuration sets and the definitions do not know: how many virtual hosts, queues, exchanges and parameters there may be,
//! and what a new password must be.
//!
//! Pure: state and configuration in, a refusal out. Limits of one virtual host or user are part of the definitions.

use access::Pattern;
use catalog::{Catalog, Command, VhostLimits};
use model::{PolicyLevel, Refusal, ReplyCode, UserName};

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
        Command::DeclareExchange(spec) => {
            let max = config.queues.exchanges_max.max()?;
            let is_new = |vhost: &catalog::Vhost| vhost.exchange(spec.name.as_str()).is_none();
            let full = || {
                catalog
                    .vhosts()
                    .map(|vhost| vhost.exchanges().count() as u64)
                    .sum::<u64>()
                    >= max
            };
            let (name, vhost) = (&spec.name, &spec.vhost);
            (catalog.vhost(vhost.as_str()).is_some_and(|vhost| is_new(vhost)) && full()).then(|| {
                format!("cannot declare exchange '{name}' in vhost '{vhost}': exchange limit of {max} is reached")
            })
        }
        Command::SetPolicy(spec) => {
            let level = spec.level;
            let component = if level == PolicyLevel::User {
                "policy"
            } else {
                "operator_policy"
            };
            too_many(config, component, || {
                catalog.vhosts().map(|vhost| vhost.policies(level).count()).sum()
            })
        }
        Command::SetVhostLimits { limits, .. } if *limits != VhostLimits::default() => limited(config, catalog),
        Command::SetParameter { component, .. } if component == LIMITS => limited(config, catalog),
        _ => None,
    };
    text.map(|text| Refusal::channel(ReplyCode::PreconditionFailed, text))
}

/// The component that keeps the limits of virtual hosts.
const LIMITS: &str = "vhost-limits";

fn limited(config: &Config, catalog: &Catalog) -> Option<String> {
    let has_some = |vhost: &&std::sync::Arc<catalog::Vhost>| vhost.limits() != VhostLimits::default();
    too_many(config, LIMITS, || catalog.vhosts().filter(has_some).count())
}

/// Whether one more parameter of this component would be too many; one that is replaced counts as well, in RabbitMQ as here.
fn too_many(config: &Config, component: &str, count: impl FnOnce() -> usize) -> Option<String> {
    let max = *config.access.parameters_max.get(component)?;
    (count() as u64 >= max).then(|| format!("component {component} is limited to {max}"))
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
