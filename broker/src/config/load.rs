//! Command line, environment and files to one [`Config`]: find the files, read the settings, obey the table of keys.
//! Later settings win. Everything that is wrong is reported together, so that one start shows it all.

use super::classic;
use super::command_line::ServerArgs;
use super::decoder::SEALED;
use super::environment::Environment;
use super::error::{Origin, Problem, Problems};
use super::keys::{Effect, Key, keys};
use super::node::{DataDirectory, NodeName};
use super::plugins::Plugins;
use super::renew::Settings;
use super::settings::Config;
use super::syntax::{self, Written, segments};
use super::value::{Milliseconds, NoneWord, Secret, Value};
use super::variables::Variables;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cluster::{lease::Patience, raft::Timing};

/// How far a node's admin port is above its AMQP port: 15680 is above 5672.
const ADMIN_ABOVE_AMQP: u16 = 10_008;

/// A configuration, and what its reader should know about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Settings that were accepted and do nothing here: one sentence each, to be logged once the log is up.
    pub warnings: Vec<String>,
    /// What was written.
    pub(super) written: Settings,
}

/// Reads the configuration of a server.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(args: &ServerArgs, environment: &dyn Environment) -> Result<Loaded, Problems> {
    let mut loader = Loader::default();
    let variables = Variables::of(environment, &mut loader.problems);
    loader.warnings = variables.without_effect();
    let mut settings = loader.settings(args, environment, &variables);
    loader.open(&mut settings, environment);
    loader.apply(&settings);
    loader.node(args, environment, &variables);
    if !settings.iter().any(|written| written.key == "admin.tcp.port") {
        loader.admin(&variables);
    }
    loader.plugins(environment, &variables);
    loader.patience(&settings);
    loader.definitions(&settings);
    loader.new_vhosts(&settings);
    match loader.problems.is_empty() {
        true => Ok(Loaded {
            config: loader.config,
            warnings: loader.warnings,
            written: Settings(
                settings
                    .into_iter()
                    .map(|written| (written.key, written.value))
                    .collect(),
            ),
        }),
        false => Err(Problems(loader.problems)),
    }
}

/// The file of enabled plugins, for whoever needs no more than that.
pub fn enabled_plugins_file(environment: &dyn Environment) -> PathBuf {
    // What is wrong with the file of variables is told by a start.
    plugins_file(&Variables::of(environment, &mut Vec::new()))
}

/// What `rabbitmq-env.conf` says, for the command line.
pub fn variables_of_file(environment: &dyn Environment) -> BTreeMap<String, String> {
    // What is wrong with it is told by a start.
    Variables::of(environment, &mut Vec::new()).of_file()
}

fn plugins_file(variables: &Variables<'_>) -> PathBuf {
    let named = variables.value("RABBITMQ_ENABLED_PLUGINS_FILE");
    PathBuf::from(named.unwrap_or_else(|| "/etc/rabbitmq/enabled_plugins".into()))
}

#[derive(Default)]
struct Loader {
    config: Config,
    warnings: Vec<String>,
    problems: Vec<Problem>,
}

impl Loader {
    /// All settings in the order in which they win: files, then variables.
    fn settings(
        &mut self,
        args: &ServerArgs,
        environment: &dyn Environment,
        variables: &Variables<'_>,
    ) -> Vec<Written> {
        let mut all = Vec::new();
        for path in self.files(args, environment, variables) {
            match environment.read(&path) {
                Ok(text) if is_classic(&path) => {
                    self.classic(&path, &text, &mut all);
                    self.config.node.config_files.push(path);
                }
                Ok(text) => {
                    let (mut found, mut wrong) = syntax::conf(&path, &text);
                    all.append(&mut found);
                    self.problems.append(&mut wrong);
                    self.config.node.config_files.push(path);
                }
                Err(why) => self.problems.push(Problem::Unreadable {
                    path,
                    why: why.to_string(),
                }),
            }
        }
        self.advanced(environment, variables, &mut all);
        let listeners_set = all.iter().any(|written| written.key.starts_with("listeners.tcp"));
        all.extend(variables.settings(listeners_set));
        all
    }

    /// The files to read: one that was asked for on the command line must exist, the others may be missing.
    fn files(&mut self, args: &ServerArgs, environment: &dyn Environment, variables: &Variables<'_>) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let named = variables.value("RABBITMQ_CONFIG_FILE");
        match (&args.config, named) {
            (Some(path), _) => files.push(path.clone()),
            (None, named) => {
                let asked = PathBuf::from(named.clone().unwrap_or_else(|| "/etc/rabbitmq/rabbitmq".into()));
                let found = candidates(&asked)
                    .into_iter()
                    .find(|path| environment.read(path).is_ok());
                match (found, named) {
                    (Some(path), _) => files.push(path),
                    (None, Some(named)) => self
                        .warnings
                        .push(format!("RABBITMQ_CONFIG_FILE = {named}: no such file")),
                    (None, None) => {}
                }
            }
        }
        let folder = variables
            .value("RABBITMQ_CONFIG_FILES")
            .unwrap_or_else(|| "/etc/rabbitmq/conf.d".into());
        let folder = PathBuf::from(folder.strip_suffix("/*.conf").unwrap_or(&folder));
        match environment.files(&folder) {
            Ok(more) => files.extend(
                more.into_iter()
                    .filter(|path| path.extension().is_some_and(|e| e == "conf")),
            ),
            Err(why) => self.problems.push(Problem::Unreadable {
                path: folder,
                why: why.to_string(),
            }),
        }
        files
    }

    /// The file of Erlang terms that RabbitMQ reads after all others.
    fn advanced(&mut self, environment: &dyn Environment, variables: &Variables<'_>, all: &mut Vec<Written>) {
        let named = variables.value("RABBITMQ_ADVANCED_CONFIG_FILE");
        let asked = PathBuf::from(named.unwrap_or_else(|| "/etc/rabbitmq/advanced.config".into()));
        let with = PathBuf::from(format!("{}.config", asked.display()));
        for path in [asked, with] {
            let Ok(text) = environment.read(&path) else { continue };
            self.classic(&path, &text, all);
            self.config.node.config_files.push(path);
            return;
        }
    }

    /// Settings written as Erlang terms replace what they name, as a whole.
    fn classic(&mut self, path: &Path, text: &str, all: &mut Vec<Written>) {
        match classic::read(path, text) {
            Ok(read) => {
                let is_replaced =
                    |written: &Written| read.replaced.iter().any(|prefix| written.key.starts_with(prefix));
                all.retain(|written| !is_replaced(written));
                all.extend(read.settings);
                self.warnings.extend(read.warnings);
            }
            Err(problem) => self.problems.push(problem),
        }
    }

    /// Opens the settings that are encrypted, by those that say how.
    fn open(&mut self, written: &mut Vec<Written>, environment: &dyn Environment) {
        if !written.iter().any(|written| written.value.starts_with(SEALED)) {
            return;
        }
        let says_how = |written: &&Written| written.key.starts_with("config_entry_decoder.");
        let mut decoding = Loader::default();
        decoding.apply(&written.iter().filter(says_how).cloned().collect::<Vec<_>>());
        written.retain_mut(|written| {
            let Some(sealed) = written.value.strip_prefix(SEALED) else {
                return true;
            };
            match decoding.config.decoder.open(sealed, environment) {
                Ok(value) => written.value = value,
                Err(right) => {
                    let (at, key, value) = (written.at.clone(), written.key.clone(), "[hidden]".to_owned());
                    self.problems.push(Problem::BadValue { at, key, value, right });
                    return false;
                }
            }
            true
        });
    }

    /// Defaults of rows that nothing matches first, then what was written; `none` last, since it empties what others fill.
    fn apply(&mut self, written: &[Written]) {
        let keys = keys();
        let rows: Vec<_> = written.iter().map(|written| row(&keys, &written.key)).collect();
        for (index, key) in keys.iter().enumerate() {
            let replaced = key
                .unless
                .as_ref()
                .is_some_and(|other| written.iter().any(|set| set.key == *other));
            if !rows.contains(&Some(index)) && !replaced {
                self.apply_defaults(key);
            }
        }
        let is_none = |row: &Option<usize>| row.is_some_and(|index| keys[index].kind == NoneWord::KIND);
        for last in [false, true] {
            for (written, row) in written.iter().zip(&rows).filter(|(_, row)| is_none(row) == last) {
                match row {
                    Some(index) => self.set(&keys[*index], written),
                    None => self.unknown(&keys, written),
                }
            }
        }
    }

    /// Times that depend on each other.
    fn patience(&mut self, written: &[Written]) {
        let node = &self.config.node;
        let (down_after, lease) = (
            Duration::from_secs(node.down_after.into()),
            node.lease.map(Milliseconds::duration),
        );
        match Patience::checked(down_after, lease, Timing::default().candidacy_max()) {
            Ok(patience) => self.config.node.patience = patience,
            Err(why) => {
                let (key, value) = match node.lease {
                    Some(lease) => ("cluster_lease", lease.0),
                    None => ("net_ticktime", node.down_after.into()),
                };
                let set = written.iter().rfind(|set| set.key == key);
                self.problems.push(Problem::BadValue {
                    at: set.map_or(Origin::BuiltIn, |set| set.at.clone()),
                    key: key.into(),
                    value: value.to_string(),
                    right: why.to_string(),
                });
            }
        }
    }

    /// Definitions that are to be fetched need an address.
    fn definitions(&mut self, written: &[Written]) {
        let wanted = &self.config.definitions;
        if wanted.backend.is_remote() && wanted.url.is_none() {
            let key = "definitions.import_backend";
            let set = written.iter().rfind(|set| set.key == key);
            self.problems.push(Problem::BadValue {
                at: set.map_or(Origin::BuiltIn, |set| set.at.clone()),
                key: key.into(),
                value: wanted.backend.word().into(),
                right: "needs definitions.https.url, the address that they are fetched from".into(),
            });
        }
    }

    fn apply_defaults(&mut self, key: &Key) {
        for (name, value) in &key.defaults {
            let at = Origin::BuiltIn;
            self.set(
                key,
                &Written {
                    key: name.clone(),
                    value: value.clone(),
                    at,
                },
            );
        }
    }

    fn set(&mut self, key: &Key, written: &Written) {
        let Written { key: name, value, at } = written;
        let names = key.matches(&segments(name)).unwrap_or_default();
        let bad = |right| {
            let value = if key.secret { "[hidden]".into() } else { value.clone() };
            Problem::BadValue {
                at: at.clone(),
                key: name.clone(),
                value,
                right,
            }
        };
        match &key.effect {
            Effect::Honoured(set) => {
                if let Err(right) = set(&mut self.config, &names, value) {
                    self.problems.push(bad(right));
                }
            }
            Effect::Ignored(why) => self.warnings.push(format!("{at}: {name} has no effect: {why}")),
            Effect::Only(values, _) if values.contains(&value.as_str()) => {}
            Effect::Only(values, why) => {
                self.problems
                    .push(bad(format!("must be {}, because {why}", values.join(" or "))));
            }
            Effect::Refused(why) => {
                let (at, key, why) = (at.clone(), name.clone(), (*why).to_owned());
                self.problems.push(Problem::Refused { at, key, why });
            }
        }
    }

    fn unknown(&mut self, keys: &[Key], written: &Written) {
        let nearest = nearest(keys, &written.key);
        self.problems.push(Problem::Unknown {
            at: written.at.clone(),
            key: written.key.clone(),
            nearest,
        });
    }

    fn node(&mut self, args: &ServerArgs, environment: &dyn Environment, variables: &Variables<'_>) {
        let long = self
            .variable::<bool>(variables, "RABBITMQ_USE_LONGNAME")
            .unwrap_or(false);
        let wanted = variables.value("RABBITMQ_NODENAME").unwrap_or_else(|| "rabbit".into());
        match NodeName::of(&wanted, &environment.host_name(), long) {
            Ok(name) => self.config.node.name = name,
            Err(right) => self.bad_variable("RABBITMQ_NODENAME", wanted, right),
        }
        self.config.node.data = DataDirectory::of(args.data.as_deref(), variables, &self.config.node.name);
        self.config.node.home = environment.variable("HOME").map(PathBuf::from);
        self.config.node.secret_directory.clone_from(&args.secret_dir);
        self.config.node.cookie = variables.value("RABBITMQ_ERLANG_COOKIE").map(Secret::new);
        self.config.node.variables = variables.set();
        self.config.node.notify_socket = environment.variable("NOTIFY_SOCKET");
        self.config.node.pid_file = variables.value("RABBITMQ_PID_FILE").map(PathBuf::from);
        self.names(variables);
        self.peer_ports(variables);
    }

    /// The variable wins, then the range of the file; else it is so far above the AMQP port.
    fn peer_ports(&mut self, variables: &Variables<'_>) {
        let amqp = self.variable::<u16>(variables, "RABBITMQ_NODE_PORT").unwrap_or(5672);
        let given = self.variable(variables, "RABBITMQ_DIST_PORT");
        let range = match (self.config.node.peer_port, self.config.node.peer_port_last) {
            (0, 0) => None,
            (0, last) => Some((last, last)),
            (first, 0) => Some((first, first)),
            range => Some(range),
        };
        let above = || amqp.checked_add(20000).map(|port| (port, port));
        match given.map(|port| (port, port)).or(range).or_else(above) {
            Some((first, last)) if first <= last => {
                (self.config.node.peer_port, self.config.node.peer_port_last) = (first, last);
            }
            Some((first, last)) => self.problems.push(Problem::BadValue {
                at: Origin::BuiltIn,
                key: "distribution.listener.port_range.max".into(),
                value: last.to_string(),
                right: format!("must be at least distribution.listener.port_range.min, {first}"),
            }),
            None => {
                let right = "leaves no port 20000 above it for peers; set RABBITMQ_DIST_PORT";
                self.bad_variable("RABBITMQ_NODE_PORT", amqp.to_string(), right.into());
            }
        }
    }

    /// Policies of new virtual hosts must be such that they can be made.
    fn new_vhosts(&mut self, written: &[Written]) {
        let problems = self.config.new_vhosts.policies.iter().filter_map(|(id, policy)| {
            let why = policy.parsed().err()?;
            let prefix = format!("default_policies.operator.{id}");
            let set = written.iter().rfind(|set| set.key.starts_with(&prefix));
            Some(Problem::BadValue {
                at: set.map_or(Origin::BuiltIn, |set| set.at.clone()),
                key: prefix,
                value: set.map(|set| set.value.clone()).unwrap_or_default(),
                right: format!("is no operator policy: {why}"),
            })
        });
        let problems: Vec<Problem> = problems.collect();
        self.problems.extend(problems);
        let bad = |name: &&String| name.parse::<model::UserName>().is_err();
        let names: Vec<String> = self.config.new_vhosts.users.keys().filter(bad).cloned().collect();
        self.problems.extend(names.into_iter().map(|name| Problem::BadValue {
            at: Origin::BuiltIn,
            key: format!("default_users.{name}"),
            value: String::new(),
            right: "the name is none of a user".into(),
        }));
    }

    /// Nodes of one host that differ in their AMQP ports differ in their admin ports, unless said otherwise.
    fn admin(&mut self, variables: &Variables<'_>) {
        let amqp = variables
            .value("RABBITMQ_NODE_PORT")
            .and_then(|text| text.parse::<u16>().ok());
        if let Some(port) = amqp.and_then(|amqp| amqp.checked_add(ADMIN_ABOVE_AMQP)) {
            self.config.admin.port = port;
        }
    }

    /// The name service by the variables of Erlang's.
    fn names(&mut self, variables: &Variables<'_>) {
        let port = self.variable::<u16>(variables, "ERL_EPMD_PORT");
        self.config.node.names.port = port.unwrap_or(link::NAME_SERVICE_PORT);
        let text = variables.value("ERL_EPMD_ADDRESS").unwrap_or_default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word.parse() {
                Ok(address) => self.config.node.names.addresses.push(address),
                Err(_) => {
                    let right = "must be addresses such as 127.0.0.1, with commas between them";
                    return self.bad_variable("ERL_EPMD_ADDRESS", text, right.into());
                }
            }
        }
    }

    fn plugins(&mut self, environment: &dyn Environment, variables: &Variables<'_>) {
        let path = plugins_file(variables);
        // A missing file is an empty list, in RabbitMQ as here.
        if let Ok(text) = environment.read(&path) {
            match Plugins::read(&path, &text) {
                Ok(plugins) => self.config.plugins = plugins,
                Err(mut wrong) => self.problems.append(&mut wrong),
            }
        }
        self.config.node.enabled_plugins_file = path;
    }

    fn variable<T: Value>(&mut self, variables: &Variables<'_>, name: &str) -> Option<T> {
        let text = variables.value(name)?;
        match T::read(&text) {
            Ok(value) => Some(value),
            Err(right) => {
                self.bad_variable(name, text, right);
                None
            }
        }
    }

    fn bad_variable(&mut self, name: &str, value: String, right: String) {
        let at = Origin::Variable(name.to_owned());
        let problem = Problem::BadValue {
            at,
            key: name.to_owned(),
            value,
            right,
        };
        self.problems.push(problem);
    }
}

/// `asked` itself when it has an extension of its kind, else with `.conf`, or with `.config` where there is no such file.
fn candidates(asked: &Path) -> Vec<PathBuf> {
    let with = |extension: &str| PathBuf::from(format!("{}.{extension}", asked.display()));
    match asked.extension().is_some_and(|extension| extension == "conf") || is_classic(asked) {
        true => vec![asked.to_owned()],
        false => vec![with("conf"), with("config"), asked.to_owned()],
    }
}

/// Whether a file holds Erlang terms.
fn is_classic(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "config")
}

/// The row for this key: the one that matches with the fewest `$` and without a last `*`, if there is one.
pub(super) fn row(keys: &[Key], key: &str) -> Option<usize> {
    let key = segments(key);
    let open = |index: usize| keys[index].name.ends_with('*');
    let matching = keys
        .iter()
        .enumerate()
        .filter_map(|(index, row)| Some((row.matches(&key)?.len(), index)));
    matching
        .min_by_key(|(names, index)| (open(*index), *names))
        .map(|(_, index)| index)
}

/// The known key that is spelt most like this one, if any is close.
fn nearest(keys: &[Key], key: &str) -> Option<String> {
    let scored = keys.iter().map(|row| (strsim::jaro_winkler(&row.name, key), &row.name));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(score, _)| *score > 0.85).map(|(_, name)| name.clone())
}
