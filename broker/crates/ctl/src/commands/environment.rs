//! What a node was told and where it is: settings in force, log-ins that were tried, names that are looked up, memory.

use crate::command::{Command, Output, Session, flag, text};
use crate::commands::status::{at, check_unit, memory_parts, shown, sized, unit};
use crate::format;
use crate::problem::{DATA, Problem};
use erlang::Printed;
use link::{Failure, Request, Term};

const CONFIGURATION: &str = "Configuration and Environment";
const MONITORING: &str = "Monitoring, observability and health checks";

pub(super) const COMMANDS: &[Command] = &[
    Command::new("environment", |session| {
        let environment = session.ask(&Request::Environment)?;
        Ok(Output::Values(format::erlang(&environment), environment))
    })
    .help(
        "",
        "Displays the name and value of each setting that the node honours, by application",
    )
    .in_both()
    .banner(|target, _, _| format!("Application environment of node {} ...", target.name))
    .under(CONFIGURATION),
    Command::new("erlang_version", |session| {
        let status = session.ask(&Request::Status)?;
        let version = shown(&status, &["erlang_version"]);
        Ok(super::checks::alone_as_value(version))
    })
    .help("", "Displays what the node runs on in place of Erlang/OTP")
    .with(&[flag("details"), flag("offline")])
    .in_diagnostics()
    .banner(|target, _, _| format!("Asking node {} for its Erlang/OTP version...", target.name))
    .under(MONITORING),
    Command::new("memory_breakdown", |session| {
        let status = session.ask(&Request::Status)?;
        let unit = unit(session);
        let parts = memory_parts(&status);
        let lines = parts
            .iter()
            .map(|(name, octets, percent)| format!("{name}: {} ({percent:?}%)", sized(*octets, unit)));
        let text = lines.collect::<Vec<_>>().join("\n");
        let json = parts.iter().map(|(name, octets, percent)| {
            let pairs = [("bytes", Term::Integer(*octets)), ("percentage", Term::Float(*percent))];
            let pairs = pairs.map(|(key, value)| (key.to_owned(), value));
            (name.clone(), Term::Map(pairs.to_vec()))
        });
        Ok(Output::Formats {
            text,
            json: Term::Map(json.collect()),
            erlang: parts_in_erlang(&parts),
        })
    })
    .help(
        "[--unit <unit>]",
        "Provides a memory usage breakdown on the target node",
    )
    .with(&[text("unit")])
    .checked(|options, _| check_unit(options))
    .in_diagnostics()
    .banner(|target, _, _| format!("Reporting memory breakdown on node {}...", target.name))
    .under(MONITORING),
    Command::new("list_node_auth_attempt_stats", attempts)
        .help("[--by-source]", "Lists authentication attempts on the target node")
        .with(&[flag("by-source")])
        .in_both()
        .banner(|target, _, _| format!("Listing authentication\n attempts for node \"{}\" ...", target.name))
        .under(MONITORING),
    Command::new("reset_node_auth_attempt_metrics", |session| {
        session.ask(&Request::ResetAuthAttempts).map(|_| Output::Nothing)
    })
    .help("", "Resets auth attempt metrics on the target node")
    .in_diagnostics()
    .banner(|target, _, _| format!("Reset auth attempt metrics on node {} ...", target.name))
    .under(CONFIGURATION),
    Command::new("enable_auth_attempt_source_tracking", |session| track(session, true))
        .help(
            "",
            "Enables the tracking of peer IP address and username of authentication attempts",
        )
        .in_diagnostics()
        .banner(|_, _, _| "Enabling authentication attempt source tracking ...".to_owned())
        .under(CONFIGURATION),
    Command::new("disable_auth_attempt_source_tracking", |session| track(session, false))
        .help(
            "",
            "Disables the tracking of peer IP address and username of authentication attempts",
        )
        .in_diagnostics()
        .banner(|_, _, _| "Disabling authentication attempt source tracking ...".to_owned())
        .under(CONFIGURATION),
    Command::new("resolve_hostname", |session| {
        let host = session.argument(0);
        let family = if is_six(session.options.text("address-family")) {
            6
        } else {
            4
        };
        let words = |failure| match failure {
            Failure::Refused(text) => Problem::error(DATA, text),
            other => other.into(),
        };
        let found = session.ask_or(&Request::Resolve { host, family }, words)?;
        let lines: Vec<String> = match &found {
            Term::List(items) => items.iter().map(format::text).collect(),
            _ => Vec::new(),
        };
        let family = if family == 6 { "IPv6" } else { "IPv4" };
        let pairs = [
            ("address_family", Term::text(family)),
            ("addresses", found),
            ("hostname", Term::text(session.argument(0))),
            ("node", Term::atom(&session.target.name)),
            ("result", Term::text("ok")),
        ];
        let pairs = pairs.map(|(key, value)| (key.to_owned(), value));
        Ok(Output::Both(lines.join("\n"), Term::Map(pairs.to_vec())))
    })
    .help(
        "<hostname> [--address-family <ipv4 | ipv6>]",
        "Resolves a hostname to a set of addresses",
    )
    .takes(1, 1)
    .with(&[text("address-family")])
    .in_diagnostics()
    .banner(|target, options, args| {
        let family = if is_six(options.text("address-family")) {
            "IPv6"
        } else {
            "IPv4"
        };
        format!(
            "Asking node {} to resolve hostname {} to {family} addresses...",
            target.name, args[0]
        )
    })
    .under(CONFIGURATION),
];

/// `[{code,#{bytes => …,percentage => …}},…]`
fn parts_in_erlang(parts: &[(String, i64, f64)]) -> String {
    let part = |(name, octets, percent): &(String, i64, f64)| {
        let numbers = [
            ("bytes", Printed::Plain(octets.to_string())),
            ("percentage", Printed::Plain(format!("{percent:?}"))),
        ];
        let numbers = numbers.map(|(key, value)| (Printed::word(key), value));
        Printed::pair(name, Printed::Map(numbers.into()))
    };
    Printed::List(parts.iter().map(part).collect()).pretty()
}

fn is_six(family: Option<&str>) -> bool {
    family.is_some_and(|family| family.eq_ignore_ascii_case("ipv6"))
}

fn track(session: &mut Session<'_>, wanted: bool) -> Result<Output, Problem> {
    let answer = session.ask(&Request::TrackAuthSources { wanted });
    answer.map(|_| Output::Nothing)
}

const BY_PROTOCOL: [&str; 4] = [
    "protocol",
    "auth_attempts",
    "auth_attempts_failed",
    "auth_attempts_succeeded",
];
const BY_SOURCE: [&str; 2] = ["remote_address", "username"];

fn attempts(session: &mut Session<'_>) -> Result<Output, Problem> {
    let by_source = session.options.flag("by-source");
    let counted = session.ask(&Request::AuthAttempts { by_source })?;
    let has_some = |row: &Term| at(row, &["auth_attempts"]) != Some(&Term::Integer(0));
    let rows: Vec<Term> = match counted {
        Term::List(rows) => rows.into_iter().filter(has_some).collect(),
        _ => Vec::new(),
    };
    if rows.is_empty() {
        let none = format!("Node {} reported no authentication attempt stats", session.target.name);
        return Ok(Output::Both(none, Term::List(rows)));
    }
    let sources: &[&str] = if by_source { &BY_SOURCE } else { &[] };
    let columns = [sources, &BY_PROTOCOL].concat();
    let line = |row: &Term| {
        columns
            .iter()
            .map(|column| shown(row, &[column]))
            .collect::<Vec<_>>()
            .join("\t")
    };
    let lines = std::iter::once(columns.join("\t")).chain(rows.iter().map(line));
    let text = lines.collect::<Vec<_>>().join("\n");
    Ok(Output::Values(text, Term::List(rows)))
}
