//! Health checks and small questions: each is answered by the node, and a failed check says so by its exit code.
//!
//! A check that would always succeed without looking is not here.

use crate::command::{App, Command, Output, Session, flag, text};
use crate::commands::status::{alarm_lines, at, listeners, of_listeners};
use crate::format;
use crate::problem::{DATA, Problem, UNAVAILABLE};
use crate::run::Tool;
use link::{Listing, Request, Term, Which};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

const CHECKS: &str = "Monitoring, observability and health checks";
const USAGE: &str = "[--timeout <timeout>]";
/// How long a listener may take to accept a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

pub(super) const COMMANDS: &[Command] = &[
    Command::new("alarms", |session| {
        let (status, name) = (session.ask(&Request::Status)?, &session.target.name);
        let lines = alarm_lines(&status);
        let none = format!("Node {name} reported no alarms, local or clusterwide");
        let text = if lines.is_empty() { none } else { lines.join("\n") };
        let alarms = at(&status, &["alarms"]).cloned().unwrap_or(Term::List(Vec::new()));
        Ok(Output::Both(text, result(session, vec![("alarms", alarms)])))
    })
    .help(USAGE, "Lists the alarms of the node")
    .in_diagnostics()
    .banner(|target, _, _| format!("Asking node {} to report any known resource alarms ...", target.name))
    .under(CHECKS),
    Command::new("check_alarms", |session| {
        check_alarms(session, "no alarms, local or clusterwide")
    })
    .help(USAGE, "Fails if there is an alarm")
    .in_diagnostics()
    .banner(|target, _, _| format!("Asking node {} to report any local resource alarms ...", target.name))
    .under(CHECKS),
    Command::new("check_local_alarms", |session| check_alarms(session, "no local alarms"))
        .help(USAGE, "Fails if this node has an alarm")
        .in_diagnostics()
        .banner(|target, _, _| format!("Asking node {} to report any local resource alarms ...", target.name))
        .under(CHECKS),
    Command::new("check_port_connectivity", check_port_connectivity)
        .help(
            "[--address <address>] [--timeout <timeout>]",
            "Connects to every port that the node listens on, at its host or at this address of it",
        )
        .with(&[text("address")])
        .in_diagnostics()
        .banner(|target, _, _| {
            format!(
                "Testing TCP connections to all active listeners on node {} ...",
                target.name
            )
        })
        .under(CHECKS),
    Command::new("check_port_listener", check_port_listener)
        .help(
            "<port> [--timeout <timeout>]",
            "Fails if the node does not listen on the port",
        )
        .takes(1, 1)
        .checked(|_, args| match args[0].parse::<u16>() {
            Ok(1..) => Ok(()),
            _ => Err(Problem::arguments(
                DATA,
                "Bad argument: Argument must be a positive integer",
            )),
        })
        .in_diagnostics()
        .banner(|target, _, args| {
            format!(
                "Asking node {} if there's an active listener on port {} ...",
                target.name, args[0]
            )
        })
        .under(CHECKS),
    Command::new("check_protocol_listener", check_protocol_listener)
        .help(
            "<protocol> [--timeout <timeout>]",
            "Fails if the node does not listen for the protocol",
        )
        .takes(1, 1)
        .in_diagnostics()
        .banner(|target, _, args| {
            format!(
                "Asking node {} if there's an active listener for protocol {} ...",
                target.name, args[0]
            )
        })
        .under(CHECKS),
    Command::new("check_running", |session| match is_running(session)? {
        true => Ok(Output::Text(running(session))),
        false => {
            let text = not_running(session);
            Err(Problem::error(UNAVAILABLE, text))
        }
    })
    .help(USAGE, "Fails if the node does not serve clients")
    .app(App::Either)
    .in_diagnostics()
    .banner(|target, _, _| format!("Checking if RabbitMQ is running on node {} ...", target.name))
    .under(CHECKS),
    Command::new("check_if_node_is_mirror_sync_critical", mirror_sync_critical)
        .help(
            USAGE,
            "Fails if mirrored queues would lose their only synchronised copy with this node",
        )
        .of(&[Tool::Diagnostics, Tool::Queues])
        .banner(|target, _, _| {
            let name = &target.name;
            format!("Checking if node {name} is critical for data safety of any classic mirrored queues ...")
        })
        .under(CHECKS),
    Command::new("check_if_node_is_quorum_critical", quorum_critical)
        .help(USAGE, "Fails if quorum queues would lose their quorum with this node")
        .of(&[Tool::Diagnostics, Tool::Queues])
        .banner(|target, _, _| {
            format!(
                "Checking if node {} is critical for quorum of any quorum queues ...",
                target.name
            )
        })
        .under(CHECKS),
    Command::new("check_for_quorum_queues_without_an_elected_leader", all_are_led)
        .help(
            "[--vhost <vhost>] [--across-all-vhosts] <pattern>",
            "Fails if nobody leads a quorum queue whose name matches",
        )
        .takes(1, 1)
        .with(&[flag("across-all-vhosts")])
        .checked(|_, args| match regex::Regex::new(&args[0]) {
            Ok(_) => Ok(()),
            Err(_) => Err(Problem::arguments(
                DATA,
                "Bad argument: pattern is no regular expression",
            )),
        })
        .of(&[Tool::Diagnostics, Tool::Queues])
        .banner(|_, options, args| {
            let place = match options.flag("across-all-vhosts") {
                true => "all vhosts".to_owned(),
                false => format!("vhost '{}'", options.vhost()),
            };
            format!(
                "Checking leaders of quorum queues that match '{}' in {place} ...",
                args[0]
            )
        })
        .under(CHECKS),
    Command::new("check_if_metadata_store_is_initialized", |session| {
        let is = is_running(session)?;
        definitions_are_there(session, is)
    })
    .help(USAGE, "Fails if the node does not know the definitions yet")
    .app(App::Either)
    .in_diagnostics()
    .banner(|target, _, _| {
        let name = &target.name;
        format!("Checking if metadata store on node {name} has completed its initialization...")
    })
    .under(CHECKS),
    Command::new("check_if_metadata_store_is_initialized_with_data", |session| {
        let is = is_running(session)? && has_vhosts(session)?;
        definitions_are_there(session, is)
    })
    .help(
        USAGE,
        "Fails if the node does not know the definitions yet, or there is no virtual host in them",
    )
    .app(App::Either)
    .in_diagnostics()
    .banner(|target, _, _| {
        let name = &target.name;
        format!("Checking if metadata store on node {name} has completed its initialization with data...")
    })
    .under(CHECKS),
    Command::new("has_reached_target_cluster_size", has_reached_size)
        .help(
            USAGE,
            "Fails if the cluster has fewer members than cluster_formation.target_cluster_size_hint says",
        )
        .of(&[Tool::Ctl, Tool::Diagnostics, Tool::Upgrade])
        .banner(|target, _, _| {
            format!(
                "Checking if target cluster size has been reached on node {} ...",
                target.name
            )
        })
        .under(CHECKS),
    Command::new("check_virtual_hosts", |session| {
        let name = session.target.name.clone();
        match is_running(session)? {
            true => Ok(fine(format!("Node {name} reported all vhosts as running"))),
            false => Err(Problem::plain(
                UNAVAILABLE,
                format!("Node {name} does not serve its vhosts"),
            )),
        }
    })
    .help(USAGE, "Fails if a virtual host is not served")
    .in_diagnostics()
    .banner(|target, _, _| format!("Checking if all vhosts are running on node {} ...", target.name))
    .under(CHECKS),
    Command::new("node_health_check", |session| {
        let lines = alarm_lines(&session.ask(&Request::Status)?);
        let text = format!("resource alarm(s) in effect: {}", lines.join(", "));
        match (is_running(session)?, lines.is_empty()) {
            (true, true) => Ok(Output::Text("Health check passed".into())),
            (true, false) => Err(Problem::error(UNAVAILABLE, text)),
            (false, _) => Err(Problem::error(UNAVAILABLE, "the node is not running")),
        }
    })
    .help(
        USAGE,
        "DEPRECATED. Fails if the node does not serve clients or has an alarm",
    )
    .in_both()
    .banner(|target, options, _| {
        let seconds = options.number("timeout").unwrap_or(70);
        format!(
            "This command is DEPRECATED and will be removed in a future version.\nIt performs intrusive, opinionated \
             health checks and requires a fully booted node.\nUse one of the options covered in \
             https://www.rabbitmq.com/monitoring.html#health-checks instead.\nTimeout: {seconds} seconds ...\nChecking \
             health of node {} ...",
            target.name
        )
    })
    .under("Deprecated"),
    Command::new("erlang_cookie_hash", |session| {
        Ok(alone_as_value(session.cookie_hash.clone()))
    })
    .help(USAGE, "Shows a hash of the shared secret, to compare without telling")
    .app(App::Either)
    .in_diagnostics()
    .banner(|target, _, _| format!("Asking node {} its Erlang cookie hash...", target.name))
    .under(CHECKS),
    Command::new("is_booting", |session| {
        let name = session.target.name.clone();
        let is = session.ask(&Request::IsBooting)? == Term::Bool(true);
        let text = match is {
            true => "is booting",
            false => "is fully booted (check with is_running), stopped or has not started booting yet",
        };
        let text = format!("RabbitMQ on node {name} {text}");
        let pairs = [("message", Term::text(&text)), ("result", Term::Bool(is))];
        let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Ok(Output::Both(text, Term::Map(pairs)))
    })
    .help(USAGE, "Says whether the node is starting")
    .app(App::Either)
    .in_diagnostics()
    .banner(|target, _, _| format!("Asking node {} for its boot status ...", target.name))
    .under(CHECKS),
    Command::new("is_running", |session| {
        let is = is_running(session)?;
        let text = if is { running(session) } else { not_running(session) };
        let pairs = [("message", Term::text(&text)), ("result", Term::Bool(is))];
        let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Ok(Output::Both(text, Term::Map(pairs)))
    })
    .help(USAGE, "Says whether the node serves clients")
    .app(App::Either)
    .in_diagnostics()
    .banner(|target, _, _| format!("Asking node {} for its status ...", target.name))
    .under(CHECKS),
    Command::new("listeners", |session| {
        let status = session.ask(&Request::Status)?;
        let list = at(&status, &["listeners"]).cloned().unwrap_or(Term::List(Vec::new()));
        let name = Term::atom(&session.target.name);
        let erlang = format::erlang(&list);
        let pairs = [("listeners", list), ("node", name), ("result", Term::text("ok"))];
        let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Ok(Output::Formats {
            text: listeners(&status).join("\n"),
            json: Term::Map(pairs),
            erlang,
        })
    })
    .help(USAGE, "Lists the ports that the node listens on")
    .in_diagnostics()
    .banner(|target, _, _| format!("Asking node {} to report its protocol listeners ...", target.name))
    .under(CHECKS),
    Command::new("server_version", |session| {
        let status = session.ask(&Request::Status)?;
        let version = at(&status, &["rabbitmq_version"]).map(format::text).unwrap_or_default();
        Ok(alone_as_value(version))
    })
    .help(USAGE, "Shows the version of RabbitMQ that the node is compatible with")
    .in_diagnostics()
    .banner(|target, _, _| format!("Asking node {} for its RabbitMQ version...", target.name))
    .under(CHECKS),
];

fn is_running(session: &mut Session<'_>) -> Result<bool, Problem> {
    Ok(session.ask(&Request::IsRunning)? == Term::Bool(true))
}

/// What is said of a node that no other could miss.
fn alone(session: &Session<'_>) -> Output {
    let name = &session.target.name;
    let told = |who: &str| format!("{who} seems to be the only one in a single node cluster, the check does not apply");
    let pairs = [("message", told("Target node")), ("result", "ok".to_owned())];
    let pairs = pairs.map(|(key, value)| (key.to_owned(), Term::text(value)));
    Output::Both(told(&format!("Node {name}")), Term::Map(pairs.to_vec()))
}

fn mirror_sync_critical(session: &mut Session<'_>) -> Result<Output, Problem> {
    let none = "no classic mirrored queues without online synchronised mirrors";
    critical(
        session,
        &Request::MirrorSyncCritical,
        none,
        "its only synchronised replica (master)",
    )
}

fn quorum_critical(session: &mut Session<'_>) -> Result<Output, Problem> {
    let none = "no quorum queues with minimum quorum";
    critical(session, &Request::QuorumCritical, none, "quorum")
}

/// Fails if a queue depends on the node; `lost` is what it would lose.
fn critical(session: &mut Session<'_>, request: &Request, none: &str, lost: &str) -> Result<Output, Problem> {
    let Term::List(queues) = session.ask(request)? else {
        return Ok(alone(session));
    };
    let name = &session.target.name;
    if queues.is_empty() {
        return Ok(fine(format!("Node {name} reported {none}")));
    }
    let line = |queue: &Term| {
        let queue = format::text(queue);
        format!("{queue} would lose {lost} if node {name} is stopped")
    };
    let lines: Vec<String> = queues.iter().map(line).collect();
    Err(Problem::error(UNAVAILABLE, lines.join("\n")))
}

/// Whoever serves knows the definitions.
fn definitions_are_there(session: &Session<'_>, are: bool) -> Result<Output, Problem> {
    let name = &session.target.name;
    match are {
        true => Ok(Output::Both(
            format!("Metadata store on node {name} has completed its initialization"),
            Term::Map(vec![("result".to_owned(), Term::text("ok"))]),
        )),
        false => {
            let text = format!("Metadata store on node {name} reports to not yet have finished initialization");
            Err(Problem::error(UNAVAILABLE, text))
        }
    }
}

fn has_vhosts(session: &mut Session<'_>) -> Result<bool, Problem> {
    Ok(!rows(session, Listing::Vhosts, &["name"])?.is_empty())
}

/// The rows of a list, as texts.
fn rows(session: &mut Session<'_>, what: Listing, columns: &[&str]) -> Result<Vec<Vec<String>>, Problem> {
    let columns = columns.iter().map(|&name| name.to_owned()).collect();
    let mut rows = Vec::new();
    session.list(&Request::List { what, columns }, |row| {
        rows.push(row.iter().map(format::text).collect());
        Ok(())
    })??;
    Ok(rows)
}

/// Queues that nobody leads are those that the node lists as offline.
fn all_are_led(session: &mut Session<'_>) -> Result<Output, Problem> {
    let pattern = session.argument(0);
    let wrong = |error| Problem::error(DATA, format!("invalid pattern {pattern}: {error}"));
    let wanted = regex::Regex::new(&pattern).map_err(wrong)?;
    let vhosts = match session.options.flag("across-all-vhosts") {
        true => rows(session, Listing::Vhosts, &["name"])?.concat(),
        false => vec![session.vhost()],
    };
    let mut lost = Vec::new();
    for vhost in vhosts {
        let offline = rows(
            session,
            Listing::QueuesThat(vhost.clone(), Which::Offline),
            &["name", "type"],
        )?;
        let quorum = offline
            .iter()
            .filter(|row| row[1] == "quorum" && wanted.is_match(&row[0]));
        lost.extend(quorum.map(|row| format!("quorum queue '{}' in vhost '{vhost}' has no elected leader", row[0])));
    }
    match lost.is_empty() {
        true => Ok(Output::Both(
            format!(
                "Node {} reported that all of these quorum queues have a leader",
                session.target.name
            ),
            Term::Map(vec![("result".to_owned(), Term::text("ok"))]),
        )),
        false => Err(Problem::error(UNAVAILABLE, sorted(lost).join("\n"))),
    }
}

fn has_reached_size(session: &mut Session<'_>) -> Result<Output, Problem> {
    let size = session.ask(&Request::ClusterSize)?;
    let name = &session.target.name;
    let number = |key: &str| at(&size, &[key]).map(format::text).unwrap_or_default();
    match at(&size, &["reached"]) {
        Some(Term::Bool(true)) => Ok(Output::Both(
            format!("Target cluster size has been reached on node {name}"),
            Term::Map(vec![("result".to_owned(), Term::text("ok"))]),
        )),
        _ => Err(Problem::error(
            UNAVAILABLE,
            format!(
                "Target cluster size on node {name} has not been reached: {} of {} nodes are online",
                number("online"),
                number("target")
            ),
        )),
    }
}

fn not_running(session: &Session<'_>) -> String {
    let why = "is not running or has not fully booted yet (check with is_booting)";
    format!("RabbitMQ on node {} {why}", session.target.name)
}

fn running(session: &Session<'_>) -> String {
    format!("RabbitMQ on node {} is fully booted and running", session.target.name)
}

/// A sentence, and for machines that all is well.
fn fine(text: String) -> Output {
    Output::Both(text, Term::Map(vec![("result".to_owned(), Term::text("ok"))]))
}

/// A text that machines find as a value.
pub(super) fn alone_as_value(text: String) -> Output {
    let pairs = [("result", "ok"), ("value", &text)];
    let pairs = pairs.map(|(key, value)| (key.to_owned(), Term::text(value)));
    let pairs = Term::Map(pairs.to_vec());
    Output::Both(text, pairs)
}

/// A check's answer for machines.
fn result(session: &Session<'_>, more: Vec<(&str, Term)>) -> Term {
    let own = [("node", Term::atom(&session.target.name)), ("result", Term::text("ok"))];
    let pairs = more.into_iter().chain(own);
    Term::Map(pairs.map(|(key, value)| (key.to_owned(), value)).collect())
}

fn check_alarms(session: &mut Session<'_>, none: &str) -> Result<Output, Problem> {
    let status = session.ask(&Request::Status)?;
    let lines = alarm_lines(&status);
    match lines.is_empty() {
        true => {
            let ok = Term::Map(vec![("result".to_owned(), Term::text("ok"))]);
            Ok(Output::Both(
                format!("Node {} reported {none}", session.target.name),
                ok,
            ))
        }
        false => Err(Problem::error(UNAVAILABLE, lines.join("\n"))),
    }
}

fn check_port_listener(session: &mut Session<'_>) -> Result<Output, Problem> {
    let (port, name) = (session.argument(0), session.target.name.clone());
    let ports = of_listeners(&session.ask(&Request::Status)?, "port");
    match ports.contains(&port) {
        true => {
            let answer = result(session, vec![("port", Term::text(&port))]);
            Ok(Output::Both(
                format!("A listener for port {port} is running on node {name}."),
                answer,
            ))
        }
        false => Err(Problem::plain(
            UNAVAILABLE,
            format!(
                "No listener for port {port} is active on node {name}. Found listeners that use the following ports: {}",
                sorted(ports).join(", ")
            ),
        )),
    }
}

fn check_protocol_listener(session: &mut Session<'_>) -> Result<Output, Problem> {
    let (protocol, name) = (protocol_of(&session.argument(0)), session.target.name.clone());
    let protocols = of_listeners(&session.ask(&Request::Status)?, "protocol");
    match protocols.contains(&protocol) {
        true => {
            let answer = result(session, vec![("protocol", Term::text(&protocol))]);
            // The keys in order of name.
            let text = format!("A listener for protocol {protocol} is running on node {name}.");
            Ok(Output::Both(text, by_name(answer)))
        }
        false => Err(Problem::error(
            UNAVAILABLE,
            format!(
                "No listener for protocol {protocol} is active on node {name}. Found listeners for the following \
                 protocols: {}",
                sorted(protocols).join(", ")
            ),
        )),
    }
}

/// The name of a protocol as listeners have it, whatever way it is asked for.
fn protocol_of(asked: &str) -> String {
    let asked = asked.to_lowercase();
    match asked.as_str() {
        "amqp091" | "amqp0.9.1" | "amqp0-9-1" | "amqp0_9_1" => "amqp".to_owned(),
        "amqps" => "amqp/ssl".to_owned(),
        "prometheus" => "http/prometheus".to_owned(),
        _ => asked,
    }
}

fn by_name(answer: Term) -> Term {
    match answer {
        Term::Map(mut pairs) => {
            pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
            Term::Map(pairs)
        }
        other => other,
    }
}

fn check_port_connectivity(session: &mut Session<'_>) -> Result<Output, Problem> {
    let status = session.ask(&Request::Status)?;
    let (given, name) = (session.options.text("address"), &session.target.name);
    let host = given.unwrap_or(&session.target.host);
    let ports = sorted(of_listeners(&status, "port"));
    let closed: Vec<String> = ports.iter().filter(|port| !accepts(host, port)).cloned().collect();
    match closed.is_empty() {
        true => {
            let text = format!("Successfully connected to ports {} on node {name}.", ports.join(", "));
            let all = at(&status, &["listeners"]).cloned().unwrap_or(Term::List(Vec::new()));
            Ok(Output::Both(text, result(session, vec![("listeners", all)])))
        }
        false => Err(Problem::plain(
            UNAVAILABLE,
            format!(
                "Connection to ports of the following listeners on node {name} failed: {}",
                closed.join(", ")
            ),
        )),
    }
}

fn accepts(host: &str, port: &str) -> bool {
    let Ok(port) = port.parse::<u16>() else { return false };
    let addresses = (host, port).to_socket_addrs();
    addresses.is_ok_and(|mut all| all.any(|address| TcpStream::connect_timeout(&address, CONNECT_PATIENCE).is_ok()))
}

/// Numbers by value, words by letter; each once.
fn sorted(mut all: Vec<String>) -> Vec<String> {
    all.sort_by_key(|item| (item.parse::<u32>().ok(), item.clone()));
    all.dedup();
    all
}
