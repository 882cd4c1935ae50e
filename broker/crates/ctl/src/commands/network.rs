//! What the node's machine is to the network: its interfaces, how it looks names up, which nodes discovery names.
//!
//! Texts and order are RabbitMQ's; the values are the node's, save where the tool is asked for its own.

use crate::command::{Command, Output, Scene, Session, flag};
use crate::commands::status::at;
use crate::elixir;
use crate::format;
use crate::problem::Problem;
use link::{Request, Term};

const CONFIGURATION: &str = "Configuration and Environment";
const MONITORING: &str = "Monitoring, observability and health checks";

pub(super) const COMMANDS: &[Command] = &[
    Command::new("list_network_interfaces", |session| {
        let found = session.ask(&Request::NetworkInterfaces)?;
        let text = interfaces(&found);
        let message = format!("Node {} reported network interfaces", session.target.name);
        let json = map([
            ("interfaces", found),
            ("message", Term::text(message)),
            ("result", Term::text("ok")),
        ]);
        Ok(Output::Both(text, json))
    })
    .help(
        "[--timeout <timeout>]",
        "Lists network interfaces (NICs) on the target node",
    )
    .in_diagnostics()
    .banner(|target, _, _| format!("Asking node {} to report its network interfaces ...", target.name))
    .under(MONITORING),
    Command::new("resolver_info", |session| {
        let found = session.ask(&Request::Resolver)?;
        Ok(resolver(&session.target.name, found))
    })
    .help("", "Displays effective hostname resolver configuration on target node")
    .with(&[flag("offline")])
    .in_diagnostics()
    .by_itself_with("offline", own_resolver)
    .banner(|target, _, _| {
        let name = &target.name;
        format!("Asking node {name} for its effective hostname resolver (inetrc) configuration...")
    })
    .under(CONFIGURATION),
    Command::new("discover_peers", discovered)
        .help(
            "[--timeout <timeout>]",
            "Performs peer discovery and lists discovered nodes, if any",
        )
        .in_diagnostics()
        .banner(|_, _, _| "Discovering peers nodes ...".into())
        .under(MONITORING),
];

fn map<const N: usize>(pairs: [(&str, Term); N]) -> Term {
    Term::Map(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// A heading for each, and its properties from the last to the first.
fn interfaces(found: &Term) -> String {
    let Term::Map(all) = found else { return String::new() };
    let one = |(name, properties): &(String, Term)| {
        let lines = match properties {
            Term::Map(pairs) => pairs.iter().rev().map(line).collect(),
            _ => Vec::new(),
        };
        format!("\u{1b}[1mInterface {name}\u{1b}[0m\n\n{}\n\n", lines.join("\n"))
    };
    all.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn line((key, value): &(String, Term)) -> String {
    format!("{key}: {}", format::text(value))
}

/// How names are looked up; there are no host entries beside the system's.
fn resolver(node: &str, found: Term) -> Output {
    let value = |key: &str| at(&found, &[key]).map(format::text).unwrap_or_default();
    let text = format!(
        "\u{1b}[1mRuntime Hostname Resolver (inetrc) Settings\u{1b}[0m\n\nLookup order: {}\nHosts file: {}\nResolver \
         conf file: {}\nCache size: \n\n\u{1b}[1minetrc File Host Entries\u{1b}[0m\n\n(none)",
        value("lookup"),
        value("hosts_file"),
        value("resolv_conf")
    );
    let json = map([
        ("node", Term::text(node)),
        ("resolver", found),
        ("result", Term::text("ok")),
    ]);
    Output::Both(text, json)
}

/// The tool looks names up as everything on its machine does.
fn own_resolver(scene: &Scene<'_>) -> Result<Output, Problem> {
    if !scene.options.quiet() && !scene.format.is_for_machines() {
        tell!("Displaying effective hostname resolver (inetrc) configuration used by CLI tools...");
    }
    let file = |path: &str| match std::path::Path::new(path).exists() {
        true => Term::text(path),
        false => Term::none(),
    };
    let found = map([
        ("hosts_file", file("/etc/hosts")),
        ("lookup", Term::atom("native")),
        ("resolv_conf", file("/etc/resolv.conf")),
    ]);
    Ok(resolver(&scene.target.name, found))
}

fn discovered(session: &mut Session<'_>) -> Result<Output, Problem> {
    let found = session.ask(&Request::DiscoverPeers)?;
    let Term::List(names) = &found else {
        return Ok(Output::Nothing);
    };
    if names.is_empty() {
        return Ok(Output::Text("No peers discovered".into()));
    }
    let words = names.iter().map(|name| Term::atom(format::text(name))).collect();
    Ok(Output::Both(elixir::inspect(&Term::List(words)), found))
}
