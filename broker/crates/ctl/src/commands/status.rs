//! `status` and `ping`.
//!
//! Sections and lines stand in RabbitMQ's order.

use crate::command::{App, Command, Output, Session, text};
use crate::format;
use crate::options::Options;
use crate::problem::{Problem, USAGE};
use link::{Request, Term};

const MONITORING: &str = "Monitoring, observability and health checks";

pub(super) const COMMANDS: &[Command] = &[
    Command::new("ping", |session| {
        session.ask(&Request::IsRunning)?;
        Ok(Output::Text("Ping succeeded".into()))
    })
    .help(
        "[--timeout <timeout>]",
        "Succeeds if the node's process is up and takes this tool's secret",
    )
    .app(App::Either)
    .in_both()
    .banner(|target, options, _| {
        let ms = options
            .number("timeout")
            .map_or(60_000, |seconds| seconds.saturating_mul(1000));
        format!(
            "Will ping {}. This only checks if the OS process is running and registered with epmd. Timeout: {ms} ms.",
            target.name
        )
    })
    .under(MONITORING),
    Command::new("status", |session| {
        let status = session.ask(&Request::Status)?;
        Ok(Output::Formats {
            text: page(&status, unit(session)),
            erlang: super::erlang_page::status(&status),
            json: without_applications(status),
        })
    })
    .help(
        "[--unit <unit>] [--timeout <timeout>]",
        "Shows what the node is and holds",
    )
    .with(&[text("unit")])
    .checked(|options, _| check_unit(options))
    .in_both()
    .banner(|target, _, _| format!("Status of node {} ...", target.name))
    .under(MONITORING),
];

/// RabbitMQ's JSON has the plugins alone.
fn without_applications(status: Term) -> Term {
    match status {
        Term::Map(mut pairs) => {
            pairs.retain(|(key, _)| key != "running_applications");
            Term::Map(pairs)
        }
        other => other,
    }
}

/// Whether the unit is one.
pub(super) fn check_unit(options: &Options) -> Result<(), Problem> {
    match options.text("unit") {
        None | Some("bytes" | "mb" | "gb") => Ok(()),
        Some(other) => {
            let text = format!("\"unit '{other}' is not supported. Please use one of: bytes, mb, gb\"");
            Err(Problem::arguments(USAGE, text))
        }
    }
}

/// Unit of octets: its name and size.
pub(super) type Unit = (&'static str, f64);

pub(super) fn unit(session: &Session<'_>) -> Unit {
    match session.options.text("unit") {
        Some("bytes") => ("bytes", 1.0),
        Some("mb") => ("mb", 1e6),
        _ => ("gb", 1e9),
    }
}

/// The value at a path of keys.
pub(super) fn at<'a>(term: &'a Term, path: &[&str]) -> Option<&'a Term> {
    path.iter().try_fold(term, |term, key| match term {
        Term::Map(pairs) => pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value),
        _ => None,
    })
}

pub(super) fn shown(term: &Term, path: &[&str]) -> String {
    at(term, path).map(format::text).unwrap_or_default()
}

pub(super) fn items<'a>(term: &'a Term, key: &str) -> &'a [Term] {
    match at(term, &[key]) {
        Some(Term::List(items)) => items,
        _ => &[],
    }
}

fn size(term: &Term, path: &[&str], unit: Unit) -> String {
    match at(term, path) {
        Some(Term::Integer(octets)) => sized(*octets, unit),
        _ => sized(0, unit),
    }
}

/// What the memory is used for: name, octets and share of all in parts of a hundred, the most first.
pub(super) fn memory_parts(status: &Term) -> Vec<(String, i64, f64)> {
    let total = match at(status, &["memory", "total", "rss"]) {
        Some(Term::Integer(octets)) if *octets > 0 => *octets as f64,
        _ => return Vec::new(),
    };
    let Some(Term::Map(pairs)) = at(status, &["memory"]) else {
        return Vec::new();
    };
    let part = |(name, value): &(String, Term)| match value {
        Term::Integer(octets) => {
            let percent = (*octets as f64 / total * 10_000.0).round() / 100.0;
            Some((name.clone(), *octets, percent))
        }
        _ => None,
    };
    let mut parts: Vec<_> = pairs.iter().filter_map(part).collect();
    parts.sort_by_key(|(_, octets, _)| std::cmp::Reverse(*octets));
    parts
}

/// Octets as RabbitMQ rounds them.
pub(super) fn sized(octets: i64, unit: Unit) -> String {
    let octets = octets as f64;
    match unit.0 {
        "bytes" => format!("{octets} bytes"),
        name => {
            let rounded = (octets / unit.1 * 10_000.0).round() / 10_000.0;
            format!("{rounded:?} {name}")
        }
    }
}

fn bullets(items: &[Term]) -> String {
    let lines = items.iter().map(|item| format!(" * {}", format::text(item)));
    lines.collect::<Vec<_>>().join("\n")
}

fn heading(text: &str) -> String {
    format!("\x1b[1m{text}\x1b[0m\n\n")
}

fn page(status: &Term, unit: Unit) -> String {
    [
        runtime(status),
        plugins(status),
        format!(
            "{}Node data directory: {}\nRaft data directory: {}",
            heading("Data directory"),
            shown(status, &["data_directory"]),
            shown(status, &["raft_data_directory"])
        ),
        heading("Config files") + &bullets(items(status, "config_files")),
        heading("Log file(s)") + &bullets(items(status, "log_files")),
        heading("Alarms") + &alarms(status) + &tags(status),
        memory(status, unit),
        descriptors(status),
        free_disk(status, unit),
        totals(status),
        heading("Listeners") + &listeners(status).join("\n"),
    ]
    .join("\n\n")
}

fn runtime(status: &Term) -> String {
    let line = |title: &str, key: &str| format!("{title}: {}", shown(status, &[key]));
    let lines = [
        line("OS PID", "pid"),
        line("OS", "os"),
        line("Uptime (seconds)", "uptime"),
        line("Is under maintenance?", "is_under_maintenance"),
        line("Product name", "product_name"),
        line("Product version", "product_version"),
        line("RabbitMQ version", "rabbitmq_version"),
        line(
            "RabbitMQ release series support status",
            "release_series_support_status",
        ),
        line("Node name", "node"),
        line("Erlang configuration", "erlang_version"),
        line("Crypto library", "crypto_lib_version"),
        format!(
            "Erlang processes: {} used, {} limit",
            shown(status, &["processes", "used"]),
            shown(status, &["processes", "limit"])
        ),
        line("Scheduler run queue", "run_queue"),
        line("Cluster heartbeat timeout (net_ticktime)", "net_ticktime"),
    ];
    heading("Runtime") + &lines.join("\n")
}

fn plugins(status: &Term) -> String {
    let file = shown(status, &["enabled_plugin_file"]);
    let list = bullets(items(status, "active_plugins"));
    format!(
        "{}Enabled plugin file: {file}\nEnabled plugins:\n\n{list}",
        heading("Plugins")
    )
}

/// One line for each alarm that is on.
fn alarms(status: &Term) -> String {
    let lines = alarm_lines(status);
    match lines.is_empty() {
        true => "(none)".to_owned(),
        false => lines.join("\n"),
    }
}

pub(super) fn alarm_lines(status: &Term) -> Vec<String> {
    let line = |alarm: &Term| {
        let what = match shown(alarm, &["resource"]).as_str() {
            "memory" => "Memory",
            _ => "Free disk space",
        };
        format!("{what} alarm on node {}", shown(alarm, &["node"]))
    };
    items(status, "alarms").iter().map(line).collect()
}

/// The node's tags, if it has any.
fn tags(status: &Term) -> String {
    let Some(Term::Map(pairs)) = at(status, &["tags"]) else {
        return String::new();
    };
    let lines: Vec<String> = pairs
        .iter()
        .map(|(tag, value)| format!("{tag}: {}", format::text(value)))
        .collect();
    format!("\n\n{}{}", heading("Tags"), lines.join("\n"))
}

fn memory(status: &Term, unit: Unit) -> String {
    let setting = ["vm_memory_high_watermark_setting", "relative"];
    let setting = match at(status, &setting) {
        Some(share) => format!("{} of available memory, computed to: ", format::text(share)),
        None => String::new(),
    };
    let parts = memory_parts(status).into_iter();
    let parts = parts.map(|(name, octets, percent)| format!("{name}: {} ({percent:?} %)", sized(octets, unit)));
    format!(
        "{}Total memory used: {}\nCalculation strategy: {}\nMemory high watermark setting: {setting}{}\n\n{}",
        heading("Memory"),
        size(status, &["memory", "total", "rss"], unit),
        shown(status, &["vm_memory_calculation_strategy"]),
        size(status, &["vm_memory_high_watermark_limit"], unit),
        parts.collect::<Vec<_>>().join("\n")
    )
}

fn descriptors(status: &Term) -> String {
    let number = |key| shown(status, &["file_descriptors", key]);
    format!(
        "{}Total: {}, limit: {}\nSockets: {}, limit: {}",
        heading("File Descriptors"),
        number("total_used"),
        number("total_limit"),
        number("sockets_used"),
        number("sockets_limit")
    )
}

fn free_disk(status: &Term, unit: Unit) -> String {
    format!(
        "{}Low free disk space watermark: {}\nFree disk space: {}",
        heading("Free Disk Space"),
        size(status, &["disk_free_limit"], unit),
        size(status, &["disk_free"], unit)
    )
}

fn totals(status: &Term) -> String {
    let number = |key| shown(status, &["totals", key]);
    format!(
        "{}Connection count: {}\nQueue count: {}\nVirtual host count: {}",
        heading("Totals"),
        number("connection_count"),
        number("queue_count"),
        number("virtual_host_count")
    )
}

/// One line for each port.
pub(super) fn listeners(status: &Term) -> Vec<String> {
    let line = |listener: &Term| {
        format!(
            "Interface: {}, port: {}, protocol: {}, purpose: {}",
            shown(listener, &["interface"]),
            shown(listener, &["port"]),
            shown(listener, &["protocol"]),
            shown(listener, &["purpose"])
        )
    };
    items(status, "listeners").iter().map(line).collect()
}

/// One value of each listener.
pub(super) fn of_listeners(status: &Term, key: &str) -> Vec<String> {
    items(status, "listeners")
        .iter()
        .map(|listener| shown(listener, &[key]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_shown_as_rabbitmq_rounds_them() {
        let status = |octets| Term::Map(vec![("n".to_owned(), Term::Integer(octets))]);
        for (octets, unit, expected) in [
            (50_000_000, ("gb", 1e9), "0.05 gb"),
            (61_641_752_576, ("gb", 1e9), "61.6418 gb"),
            (50_000_000, ("mb", 1e6), "50.0 mb"),
            (0, ("gb", 1e9), "0.0 gb"),
            (17, ("bytes", 1.0), "17 bytes"),
        ] {
            assert_eq!(size(&status(octets), &["n"], unit), expected);
        }
    }
}
