//! Where log lines go: the console, a file, or both, as lines for people or as JSON, with a level per category.
//!
//! A line names a decision once. A category is the `target` of a tracing event: `connection`, `channel`, `queue` and so on;
//! events of any other target belong to `default`. Nothing here formats a secret: settings hide theirs themselves.

use crate::config::{Console, Log, LogFormat, LogLevel, NodeName, Stream};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;

/// Targets that have a level of their own; all others take the one of `default`.
const DEFAULT: &str = "default";
/// The library by which nodes agree tells its authors much; only what goes wrong is for operators.
const AGREEMENT: &str = "openraft";

/// The log file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the log file {}: {source}; set log.file = false, or RABBITMQ_LOGS = - for standard output", path.display())]
pub struct LogError {
    path: PathBuf,
    source: io::Error,
}

type Output = Box<dyn Layer<Registry> + Send + Sync>;

/// Sends log lines where the configuration says, from now until the process ends. Call it once.
///
/// # Errors
/// When the log file cannot be opened.
pub fn start(log: &Log, node: &NodeName) -> Result<(), LogError> {
    let subscriber = tracing_subscriber::registry().with(outputs(log, node)?);
    // A second call would be a mistake of ours, and the first one's outputs stay.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

fn outputs(log: &Log, node: &NodeName) -> Result<Vec<Output>, LogError> {
    let mut outputs = Vec::new();
    if log.console.enabled {
        outputs.push(console(&log.console, &log.levels));
    }
    if let Some(path) = log.file_path(node) {
        let file = Arc::new(open(&path)?);
        outputs.push(output(file, log.file.format, targets(&log.levels, log.file.level)));
    }
    Ok(outputs)
}

fn console(console: &Console, levels: &BTreeMap<String, LogLevel>) -> Output {
    let targets = targets(levels, console.level);
    match console.stream {
        Stream::Stdout => output(io::stdout, console.format, targets),
        Stream::Stderr => output(io::stderr, console.format, targets),
    }
}

fn output<W>(writer: W, format: LogFormat, targets: Targets) -> Output
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    match format {
        LogFormat::Plaintext => lines.with_filter(targets).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(targets).boxed(),
    }
}

/// The level of each category, never below that of the output.
fn targets(levels: &BTreeMap<String, LogLevel>, output: Option<LogLevel>) -> Targets {
    let floor = output.map_or(LevelFilter::TRACE, filter);
    let of = |level: LogLevel| filter(level).min(floor);
    let default = levels.get(DEFAULT).copied().unwrap_or_default();
    let named = levels.iter().filter(|(category, _)| *category != DEFAULT);
    Targets::new()
        .with_default(of(default))
        .with_target(AGREEMENT, of(default).min(LevelFilter::WARN))
        .with_targets(named.map(|(category, level)| (category.clone(), of(*level))))
}

/// Tracing knows fewer levels: a notice counts as information, and what is worse than an error as an error.
fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info | LogLevel::Notice => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Error | LogLevel::Critical | LogLevel::Alert | LogLevel::Emergency => LevelFilter::ERROR,
        LogLevel::None => LevelFilter::OFF,
    }
}

fn open(path: &Path) -> Result<File, LogError> {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    let opened = made.and_then(|()| OpenOptions::new().create(true).append(true).open(path));
    opened.map_err(|source| LogError {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Fixed, ServerArgs, load};

    /// What the file holds after one line of each kind, with these settings.
    fn written(settings: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let settings = format!("log.dir = {}\nlog.file = a.log\n{settings}", folder.path().display());
        let world = Fixed::new().file("/etc/rabbitmq/rabbitmq.conf", &settings);
        let config = load(&ServerArgs::default(), &world).unwrap().config;
        let subscriber = tracing_subscriber::registry().with(outputs(&config.log, &config.node.name).unwrap());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("started");
            tracing::debug!("looked");
            tracing::info!(target: "connection", peer = "1.2.3.4", "accepted");
        });
        std::fs::read_to_string(folder.path().join("a.log")).unwrap()
    }

    #[test]
    fn a_line_is_written_when_its_category_allows_it() {
        let cases = [
            ("", (true, false, true)),
            ("log.default.level = debug", (true, true, true)),
            ("log.connection.level = error", (true, false, false)),
            (
                "log.default.level = none\nlog.connection.level = info",
                (false, false, true),
            ),
            (
                "log.file.level = error\nlog.default.level = debug",
                (false, false, false),
            ),
        ];
        for (settings, expected) in cases {
            let text = written(settings);
            let seen = ["started", "looked", "accepted"].map(|word| text.contains(word));
            assert_eq!((seen[0], seen[1], seen[2]), expected, "{settings}: {text}");
        }
    }

    #[test]
    fn json_lines_are_objects_with_the_fields_of_the_event() {
        let text = written("log.file.formatter = json");
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            (lines[1]["message"].as_str(), lines[1]["peer"].as_str()),
            (Some("accepted"), Some("1.2.3.4"))
        );
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named_with_the_way_out() {
        let said = open(Path::new("/proc/nothing/a.log")).unwrap_err().to_string();
        assert!(
            said.contains("/proc/nothing/a.log") && said.contains("RABBITMQ_LOGS = -"),
            "{said}"
        );
    }
}
