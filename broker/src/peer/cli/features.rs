//! Feature flags, log-ins that were tried, names that are looked up, passwords as they are kept: small questions.

use link::{Failure, Term};
use std::net::ToSocketAddrs;

use super::{Outcome, map};
use crate::{
    host::{self, Attempts, Node, Source, Way},
    management::{self, Deprecated},
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

/// Log-ins since the node started, or since they were counted anew: by protocol, or by who tried.
pub(super) fn auth_attempts(node: &Node, by_source: bool) -> Term {
    let counted = |way: Way, counts: Attempts| {
        [
            ("protocol", Term::text(way.protocol())),
            ("auth_attempts", Term::count(counts.tried)),
            ("auth_attempts_failed", Term::count(counts.failed)),
            ("auth_attempts_succeeded", Term::count(counts.succeeded())),
        ]
    };
    let of_source = |(source, counts): (Source, Attempts)| {
        let who = [
            ("remote_address", Term::text(source.address.to_string())),
            ("username", Term::text(source.user)),
        ];
        let pairs = who.into_iter().chain(counted(source.way, counts));
        Term::Map(pairs.map(|(key, value)| (key.to_owned(), value)).collect())
    };
    Term::List(match by_source {
        true => node.auth_attempts_by_source().into_iter().map(of_source).collect(),
        false => {
            let all = node.auth_attempts().into_iter();
            all.map(|(way, counts)| map(counted(way, counts))).collect()
        }
    })
}

/// What is deprecated, or what of it is in use.
pub(super) fn deprecated(node: &Node, used: bool) -> impl Iterator<Item = &'static Deprecated> {
    management::deprecated(node, used)
}

/// The column of something deprecated.
pub(super) fn deprecated_column(feature: &Deprecated, column: &str) -> Option<Term> {
    match column {
        "name" => Some(Term::text(feature.name)),
        "deprecation_phase" => Some(Term::text("permitted_by_default")),
        "provided_by" => Some(Term::text("rabbit")),
        "desc" => Some(Term::text(feature.desc)),
        "doc_url" => Some(Term::text("")),
        _ => None,
    }
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
