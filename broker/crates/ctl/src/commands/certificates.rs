//! What a node's TLS shows and can: certificates and until when they are valid, versions, cipher suites.

use crate::command::{Command, Output, Session, flag, number, text};
use crate::commands::status::{at, items, shown};
use crate::commands::suites;
use crate::format;
use crate::problem::{DATA, Problem, UNAVAILABLE, USAGE};
use link::{Request, Term};
use std::time::{SystemTime, UNIX_EPOCH};

const MONITORING: &str = "Monitoring, observability and health checks";
const CONFIGURATION: &str = "Configuration and Environment";

pub(super) const COMMANDS: &[Command] = &[
    Command::new("certificates", |session| {
        let found = session.ask(&Request::Certificates)?;
        let all = list(&found);
        let lines = all.iter().map(|one| {
            let seconds = number_of(one, "not_after");
            let (key, file, subject) = (shown(one, &["key"]), shown(one, &["file"]), shown(one, &["subject"]));
            format!(
                "{key}: {file}: {subject}, valid for {} more days",
                days_from_now(seconds)
            )
        });
        let lines: Vec<String> = lines.collect();
        let text = if lines.is_empty() {
            "(none)".to_owned()
        } else {
            lines.join("\n")
        };
        Ok(Output::Values(text, found.clone()))
    })
    .help(
        "",
        "Displays certificates (public keys) for every listener on target node that is configured to use TLS",
    )
    .in_diagnostics()
    .banner(|target, _, _| format!("Certificates of node {} ...", target.name))
    .under(CONFIGURATION),
    Command::new("check_certificate_expiration", check_expiration)
        .help(
            "[--within <period>] [--unit <unit>]",
            "Checks the expiration date on the certificates for every listener configured to use TLS",
        )
        .with(&[number("within"), text("unit")])
        .checked(|options, _| match seconds_of(unit(options.text("unit"))) {
            Some(_) => Ok(()),
            None => {
                let word = unit(options.text("unit"));
                let text = format!("\"unit '{word}' is not supported. Please use one of: days, weeks, months, years\"");
                Err(Problem::arguments(USAGE, text))
            }
        })
        .in_diagnostics()
        .banner(|target, _, _| format!("Checking certificate expiration on node {} ...", target.name))
        .under(MONITORING),
    Command::new("tls_versions", |session| {
        let features = session.ask(&Request::TlsFeatures)?;
        let versions = items(&features, "versions");
        let lines: Vec<String> = versions.iter().map(format::text).collect();
        let all = Term::List(versions.to_vec());
        Ok(Output::Formats {
            text: lines.join("\n"),
            erlang: format::erlang(&all),
            json: Term::Map(vec![("versions".to_owned(), all)]),
        })
    })
    .help(
        "",
        "Lists TLS versions supported (but not necessarily allowed) on the target node",
    )
    .in_diagnostics()
    .banner(|_, _, _| "Listing all TLS versions supported by the runtime...".to_owned())
    .under(MONITORING),
    Command::new("cipher_suites", |session| {
        let features = session.ask(&Request::TlsFeatures)?;
        let shape = session.options.text("format").unwrap_or(suites::DEFAULT);
        Ok(suites::shown(items(&features, "suites"), shape))
    })
    .help(
        "[--format <openssl | erlang | map>] [--all] [--timeout <timeout>]",
        "Lists cipher suites enabled by default. To list all available cipher suites, add the --all argument.",
    )
    // All that are available are enabled.
    .with(&[text("format"), flag("all")])
    .checked(|options, _| match suites::banner(options) {
        Some(_) => Ok(()),
        None => Err(Problem::arguments(
            DATA,
            "Bad argument: Format should be either openssl, erlang or map",
        )),
    })
    .in_diagnostics()
    .banner(|_, options, _| suites::banner(options).unwrap_or_default().to_owned())
    .under(MONITORING),
];

fn list(term: &Term) -> &[Term] {
    match term {
        Term::List(items) => items,
        _ => &[],
    }
}

fn number_of(term: &Term, key: &str) -> i64 {
    match at(term, &[key]) {
        Some(Term::Integer(number)) => *number,
        _ => 0,
    }
}

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn days_from_now(seconds: i64) -> i64 {
    (seconds - now_s()).div_euclid(86_400)
}

fn unit(given: Option<&str>) -> &str {
    given.unwrap_or("weeks")
}

fn seconds_of(unit: &str) -> Option<i64> {
    let days = match unit {
        "days" => 1,
        "weeks" => 7,
        "months" => 30,
        "years" => 365,
        _ => return None,
    };
    Some(days * 86_400)
}

fn check_expiration(session: &mut Session<'_>) -> Result<Output, Problem> {
    let found = session.ask(&Request::Certificates)?;
    let unit = unit(session.options.text("unit"));
    let within = session.options.number("within").unwrap_or(4);
    let until = now_s().saturating_add(within.saturating_mul(seconds_of(unit).unwrap_or(0)));
    let expiring = list(&found).iter().filter(|one| number_of(one, "not_after") <= until);
    let lines: Vec<String> = expiring
        .map(|one| {
            let days = days_from_now(number_of(one, "not_after"));
            let (file, subject) = (shown(one, &["file"]), shown(one, &["subject"]));
            format!("{subject} ({file}) expires in {days} days")
        })
        .collect();
    match lines.is_empty() {
        true => {
            let ok = Term::Map(vec![("result".to_owned(), Term::text("ok"))]);
            Ok(Output::Both(
                format!("No certificates are expiring within {within} {unit}."),
                ok,
            ))
        }
        false => {
            let node = &session.target.name;
            let text = format!(
                "Certificates expiring within {within} {unit} on node {node}:\n{}",
                lines.join("\n")
            );
            Err(Problem::error(UNAVAILABLE, text))
        }
    }
}
