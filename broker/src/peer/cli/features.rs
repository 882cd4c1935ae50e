//! Feature flags, log-ins that were tried, names that are looked up, passwords as they are kept: small questions.

use link::{Failure, Term};
use std::net::ToSocketAddrs;

use super::{Outcome, map};
use crate::{
    host::{self, Node},
    management,
};

/// All flags are always on.
pub(super) fn flags() -> impl Iterator<Item = (&'static str, &'static str)> {
    management::FEATURE_FLAGS.into_iter()
}

/// The column of a flag.
pub(super) fn flag_column((name, description): (&str, &str), column: &str) -> Option<Term> {
    match column {
        "name" => Some(Term::atom(name)),
        "state" => Some(Term::atom("enabled")),
        "stability" => Some(Term::atom("stable")),
        "provided_by" => Some(Term::atom("rabbit")),
        "desc" => Some(Term::text(description)),
        "doc_url" => Some(Term::text("")),
        _ => None,
    }
}

/// A flag that exists is enabled already.
pub(super) fn enable(name: &str) -> Outcome {
    match name == "all" || flags().any(|(flag, _)| flag == name) {
        true => Ok(Term::none()),
        false => Err(Failure::NotFound),
    }
}

/// Log-ins over AMQP since the node started, or since they were counted anew.
pub(super) fn auth_attempts(node: &Node) -> Term {
    let counts = node.auth_attempts();
    map([
        ("protocol", Term::text("amqp091")),
        ("auth_attempts", Term::count(counts.tried)),
        ("auth_attempts_failed", Term::count(counts.failed)),
        (
            "auth_attempts_succeeded",
            Term::count(counts.tried - counts.failed.min(counts.tried)),
        ),
    ])
}

/// A password as it would be kept.
pub(super) fn hash(node: &Node, password: &str) -> Term {
    let algorithm = host::hash_algorithm(node.config().access.password_hashing);
    let hash = access::PasswordHash::new(algorithm, rand::random(), password.as_bytes());
    Term::text(hash.to_base64())
}

/// The addresses of one family that the system knows for a host.
pub(super) fn resolve(host: &str, family: u8) -> Outcome {
    let unknown = || Failure::Refused("Hostname does not resolve (resolution failed with an nxdomain)".to_owned());
    let found = (host, 0).to_socket_addrs().map_err(|_| unknown())?;
    let mut addresses: Vec<String> = found
        .filter(|address| address.is_ipv6() == (family == 6))
        .map(|address| address.ip().to_string())
        .collect();
    addresses.dedup();
    match addresses.is_empty() {
        true => Err(unknown()),
        false => Ok(Term::List(addresses.into_iter().map(Term::text).collect())),
    }
}

/// `eval`'s alarms.
pub(super) fn force_alarm(node: &Node, resource: &str, on: bool) -> Outcome {
    match resource {
        "memory" => node.force_memory_alarm(on),
        "disk" => node.force_disk_alarm(on),
        other => return Err(Failure::Refused(format!("there is no alarm of {other}"))),
    }
    Ok(Term::none())
}
