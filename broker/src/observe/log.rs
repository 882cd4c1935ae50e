//! Where log lines go: the console, a file, an exchange, or several of them, each in its shape, with a level per category.
//!
//! A line names a decision once. A category is the `target` of a tracing event: `connection`, `channel`, `queue` and so on;
//! events of any other target belong to `default`. A field `pid` stands where RabbitMQ shows a process. Nothing here formats
//! a secret: settings hide theirs themselves.

mod clock;
mod feed;
mod file;
mod journal;
mod line;
mod shape;
mod syslog;

use crate::config::{LOG_CATEGORIES, Log, LogLevel, LogShape, NodeName, Rotation, Stream};
use feed::Feed;
use file::LogFile;
use journal::Journal;
use line::Line;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};
use syslog::Syslog;
use tracing::{Event, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    layer::{Context, SubscriberExt},
    registry::Registry,
    reload,
};

pub use clock::timestamp;
pub use feed::publish as publish_log;

/// The category of all lines that have none of their own.
const DEFAULT: &str = "default";
/// The library by which nodes agree tells its authors much, and of each heartbeat that is not answered. What that means for
/// operators is told by who uses it; this is for who looks closely.
const AGREEMENT: &str = "openraft";

/// An output cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file.
    #[error("cannot write the log file {}: {source}; set log.file = false, or RABBITMQ_LOGS = - for standard output", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The syslog server.
    #[error("cannot reach the syslog server {host}: {source}; set log.syslog.host, or log.syslog = false")]
    Syslog {
        /// Its name.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// The journal.
    #[error("cannot reach the journal at {socket}: {0}; set log.journald = false", socket = journal::SOCKET)]
    Journal(#[source] io::Error),
}

/// Which lines an output takes, and how that is changed.
type Filter = reload::Layer<Targets, Registry>;
type Switch = (Share, LevelOf, reload::Handle<Targets, Registry>);
/// The level that an output has for itself.
type LevelOf = fn(&Log) -> Option<LogLevel>;

/// The filters of the process's outputs.
static SWITCHES: OnceLock<Vec<Switch>> = OnceLock::new();

type Output = Box<dyn Layer<Registry> + Send + Sync>;

/// The log files of the process.
#[derive(Clone, Debug, Default)]
pub struct LogFiles(Vec<Arc<Mutex<LogFile>>>);

impl LogFiles {
    /// Goes on in the files that are at their paths now, as after SIGHUP.
    pub fn reopen(&self) {
        self.0.iter().for_each(|file| file.lock().reopen());
    }
}

/// Sends log lines where the configuration says, from now until the process ends. Call it once.
///
/// # Errors
/// When the log file cannot be opened.
pub fn start(log: &Log, node: &NodeName) -> Result<LogFiles, LogError> {
    let (outputs, files, switches) = outputs(log, node)?;
    // A second call would be a mistake of ours, and the first one's outputs stay.
    let _ = SWITCHES.set(switches);
    let subscriber = tracing_subscriber::registry().with(outputs);
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(files)
}

/// Every output takes lines of this level and worse from now on, of whatever category.
pub fn set_log_level(level: LogLevel) {
    let levels = BTreeMap::from([(DEFAULT.to_owned(), level)]);
    for (share, _, switch) in SWITCHES.get().into_iter().flatten() {
        if let Err(why) = switch.reload(targets(&share.levels(&levels), None)) {
            tracing::warn!("an output keeps its log level: {why}");
        }
    }
}

/// Every output takes from now on the lines that the configuration says.
pub fn renew_log_levels(log: &Log) {
    for (share, level, switch) in SWITCHES.get().into_iter().flatten() {
        if let Err(why) = switch.reload(targets(&share.levels(&log.levels), level(log))) {
            tracing::warn!("an output keeps its log level: {why}");
        }
    }
}

type Outputs = (Vec<Output>, LogFiles, Vec<Switch>);

fn outputs(log: &Log, node: &NodeName) -> Result<Outputs, LogError> {
    let (mut outputs, mut files, mut switches) = (Vec::new(), LogFiles::default(), Vec::new());
    let mut filter = |share: Share, level: LevelOf| {
        let (filter, switch) = reload::Layer::new(targets(&share.levels(&log.levels), level(log)));
        switches.push((share, level, switch));
        filter
    };
    if log.console.enabled {
        let console = Sink::Console(log.console.stream);
        outputs.push(output(
            console,
            &log.console.shape,
            filter(Share::All, |log| log.console.level),
        ));
    }
    if let Some(path) = log.file_path(node) {
        let file = Arc::new(Mutex::new(open(&path, log.file.rotation)?));
        files.0.push(file.clone());
        let own = log.category_files().map(|(category, ..)| category.to_owned()).collect();
        outputs.push(output(
            Sink::File(file),
            &log.file.shape,
            filter(Share::Without(own), |log| log.file.level),
        ));
    }
    for (category, path, rotation) in log.category_files() {
        let file = Arc::new(Mutex::new(open(&path, rotation)?));
        files.0.push(file.clone());
        let own = filter(Share::Only(category.to_owned()), |_| None);
        outputs.push(output(Sink::File(file), &log.file.shape, own));
    }
    if log.exchange.is_on {
        let shape = &log.exchange.shape;
        outputs.push(output(
            Sink::Exchange,
            shape,
            filter(Share::All, |log| log.exchange.level),
        ));
    }
    if log.syslog.is_on {
        let settings = &log.syslog;
        let host = node.as_str().rsplit('@').next().unwrap_or_default();
        let server = Syslog::open(settings, host).map_err(|source| LogError::Syslog {
            host: settings.host.clone(),
            source,
        })?;
        let own = filter(Share::All, |log| log.syslog.level);
        outputs.push(output(Sink::Syslog(Box::new(server)), &settings.shape, own));
    }
    if log.journal.is_on {
        let way = Journal::open(&log.journal, Path::new(journal::SOCKET)).map_err(LogError::Journal)?;
        let own = filter(Share::All, |log| log.journal.level);
        outputs.push(output(Sink::Journal(Box::new(way)), &log.journal.shape, own));
    }
    Ok((outputs, files, switches))
}

/// The categories that an output takes.
#[derive(Clone, Debug)]
enum Share {
    All,
    /// Others have files of their own.
    Without(Vec<String>),
    Only(String),
}

impl Share {
    /// What these levels come to for the output.
    fn levels(&self, of: &BTreeMap<String, LogLevel>) -> BTreeMap<String, LogLevel> {
        let none = |category: &str| (category.to_owned(), LogLevel::None);
        match self {
            Share::All => of.clone(),
            Share::Without(others) => {
                let mut levels = of.clone();
                levels.extend(others.iter().map(|category| none(category)));
                levels
            }
            Share::Only(category) => {
                let own = of.get(category).or_else(|| of.get(DEFAULT)).copied();
                BTreeMap::from([none(DEFAULT), (category.clone(), own.unwrap_or_default())])
            }
        }
    }
}

/// Where the lines of one output go.
enum Sink {
    Console(Stream),
    File(Arc<Mutex<LogFile>>),
    Exchange,
    Syslog(Box<Syslog>),
    Journal(Box<Journal>),
}

/// One output with the shape of its lines.
struct Shaped {
    sink: Sink,
    shape: LogShape,
}

impl<S: Subscriber> Layer<S> for Shaped {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = Line::of(event, &LOG_CATEGORIES);
        let text = || shape::render(&line, &self.shape);
        // A console that is gone, or a full disk, loses log lines; neither must stop the node.
        let _ = match &self.sink {
            Sink::Console(Stream::Stdout) => io::stdout().lock().write_all(text().as_bytes()),
            Sink::Console(Stream::Stderr) => io::stderr().lock().write_all(text().as_bytes()),
            Sink::File(file) => {
                file.lock().write(line.at_us, &text());
                Ok(())
            }
            Sink::Exchange => {
                Feed::ours().put(&line, &self.shape);
                Ok(())
            }
            Sink::Syslog(server) => {
                server.send(&line);
                Ok(())
            }
            Sink::Journal(way) => {
                way.send(&line);
                Ok(())
            }
        };
    }
}

fn output(sink: Sink, shape: &LogShape, targets: Filter) -> Output {
    let shape = shape.clone();
    Shaped { sink, shape }.with_filter(targets).boxed()
}

/// The level of each category, never below that of the output.
fn targets(levels: &BTreeMap<String, LogLevel>, output: Option<LogLevel>) -> Targets {
    let floor = output.map_or(LevelFilter::TRACE, filter);
    let of = |level: LogLevel| filter(level).min(floor);
    let default = levels.get(DEFAULT).copied().unwrap_or_default();
    let agreement = match of(default) {
        LevelFilter::DEBUG | LevelFilter::TRACE => LevelFilter::WARN,
        _ => LevelFilter::OFF,
    };
    let named = levels.iter().filter(|(category, _)| *category != DEFAULT);
    Targets::new()
        .with_default(of(default))
        .with_target(AGREEMENT, agreement)
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

fn open(path: &Path, rotation: Rotation) -> Result<LogFile, LogError> {
    LogFile::open(path, rotation).map_err(|source| LogError::File {
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
        written_in(tempfile::tempdir().unwrap().path(), settings)
    }

    fn written_in(folder: &Path, settings: &str) -> String {
        let settings = format!("log.dir = {}\nlog.file = a.log\n{settings}", folder.display());
        let world = Fixed::new().file("/etc/rabbitmq/rabbitmq.conf", &settings);
        let config = load(&ServerArgs::default(), &world).unwrap().config;
        let subscriber = tracing_subscriber::registry().with(outputs(&config.log, &config.node.name).unwrap().0);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("started");
            tracing::debug!("looked");
            tracing::info!(target: "connection", peer = "1.2.3.4", "accepted");
        });
        std::fs::read_to_string(folder.join("a.log")).unwrap()
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
    fn a_category_with_a_file_of_its_own_goes_there_alone() {
        let folder = tempfile::tempdir().unwrap();
        let text = written_in(
            folder.path(),
            "log.connection.file = connections.log\nlog.channel.file = channels.log",
        );
        let connections = std::fs::read_to_string(folder.path().join("connections.log")).unwrap();
        assert!(text.contains("started") && !text.contains("accepted"), "{text}");
        assert!(
            connections.contains("accepted") && !connections.contains("started"),
            "{connections}"
        );
        let channels = std::fs::read_to_string(folder.path().join("channels.log"));
        assert_eq!(channels.unwrap(), "");
    }

    #[test]
    fn json_lines_are_objects_with_the_fields_of_the_event() {
        let text = written("log.file.formatter = json");
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            (
                lines[1]["msg"].as_str(),
                lines[1]["peer"].as_str(),
                lines[1]["domain"].as_str()
            ),
            (Some("accepted"), Some("1.2.3.4"), Some("rabbitmq.connection"))
        );
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named_with_the_way_out() {
        let said = open(Path::new("/proc/nothing/a.log"), Rotation::default())
            .unwrap_err()
            .to_string();
        assert!(
            said.contains("/proc/nothing/a.log") && said.contains("RABBITMQ_LOGS = -"),
            "{said}"
        );
    }
}
