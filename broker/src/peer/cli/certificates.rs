//! The certificates of the TLS listeners as they are on the disk now, and what TLS can do here.

use link::{Failure, Term};

use super::{Outcome, map};
use crate::host::{Node, certificates};

/// Each listener's certificate with the time until which it is valid, in seconds since 1970.
pub(super) fn certificates(node: &Node) -> Outcome {
    let one = |found: certificates::Found| {
        map([
            ("key", Term::text(found.key)),
            ("file", Term::text(found.file.display().to_string())),
            ("subject", Term::text(found.subject)),
            ("issuer", Term::text(found.issuer)),
            ("not_after", Term::Integer(found.not_after)),
        ])
    };
    let found = certificates::of_listeners(&node.config(), &node.plugins());
    let found = found.map_err(|why| Failure::Refused(format!("{why:#}")))?;
    Ok(Term::List(found.into_iter().map(one).collect()))
}

/// Versions and cipher suites, the better ones first.
pub(super) fn features() -> Term {
    let suites = rustls::crypto::ring::default_provider().cipher_suites;
    // The library calls those of version 1.3 by a name of its own.
    let name = |suite: &rustls::SupportedCipherSuite| suite.suite().as_str().map(|name| name.replace("TLS13_", "TLS_"));
    let names = suites.iter().filter_map(name);
    map([
        ("versions", Term::List(["tlsv1.3", "tlsv1.2"].map(Term::atom).to_vec())),
        ("suites", Term::List(names.map(Term::text).collect())),
    ])
}
