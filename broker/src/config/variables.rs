//! RabbitMQ's environment variables. `RABBITMQ_X` wins over `X`, which wins over `X` in `rabbitmq-env.conf`.
//!
//! Variables that speak of settings become settings here, with the variable as their origin; so every value goes
//! through the table of keys, whatever it came from.

use super::environment::Environment;
use super::error::{Origin, Problem};
use super::syntax::{self, Written};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A variable that is understood: its name without `RABBITMQ_`, and what it does.
pub const KNOWN: [(&str, &str); 25] = [
    (
        "NODENAME",
        "Node name; without @ it gets the host's short name. Default rabbit.",
    ),
    ("USE_LONGNAME", "Whether the host's full name is used: true or false."),
    (
        "NODE_PORT",
        "AMQP port when the file names no listeners.tcp. Default 5672.",
    ),
    (
        "NODE_IP_ADDRESS",
        "AMQP interface when the file names no listeners.tcp.",
    ),
    (
        "DIST_PORT",
        "Port for peers and the command line. Default: AMQP port + 20000.",
    ),
    ("ERL_EPMD_PORT", "Port of the host's name service. Default 4369."),
    (
        "ERL_EPMD_ADDRESS",
        "Interfaces of the name service beside 127.0.0.1, with commas. Default all.",
    ),
    (
        "CONFIG_FILE",
        "Main file, with or without .conf. Default /etc/rabbitmq/rabbitmq.conf.",
    ),
    (
        "CONFIG_FILES",
        "Folder of further files, read after it in order of name. Default /etc/rabbitmq/conf.d.",
    ),
    (
        "CONF_ENV_FILE",
        "File of variables. Default /etc/rabbitmq/rabbitmq-env.conf.",
    ),
    (
        "ADVANCED_CONFIG_FILE",
        "File of Erlang terms that is read after all others. Default /etc/rabbitmq/advanced.config.",
    ),
    (
        "ENABLED_PLUGINS_FILE",
        "List of plugins. Default /etc/rabbitmq/enabled_plugins.",
    ),
    (
        "MNESIA_BASE",
        "Folder of nodes' directories. Default /var/lib/rabbitmq/mnesia.",
    ),
    (
        "MNESIA_DIR",
        "The node's own directory. Default: a folder in MNESIA_BASE named like the node.",
    ),
    ("PID_FILE", "Where the process id is written. Default nowhere."),
    ("DEFAULT_USER", "As default_user, and wins over it."),
    ("DEFAULT_PASS", "As default_pass, and wins over it."),
    ("DEFAULT_VHOST", "As default_vhost, and wins over it."),
    ("ERLANG_COOKIE", "The cluster's shared secret."),
    ("PRODUCT_NAME", "As product.name, and wins over it."),
    ("PRODUCT_VERSION", "As product.version, and wins over it."),
    (
        "MOTD_FILE",
        "As motd_file, and wins over it. Default /etc/rabbitmq/motd.",
    ),
    ("LOG_BASE", "Folder of log files. Default /var/log/rabbitmq."),
    ("LOGS", "Log file; - is standard output instead of a file."),
    (
        "LOG",
        "Level, or category=level, or several with commas; +color and -color are ignored.",
    ),
];

/// Variables that RabbitMQ or its image knows and that do nothing here, by why.
pub const WITHOUT_EFFECT: [(&[&str], &str); 5] = [
    (
        &[
            "SERVER_ERL_ARGS",
            "SERVER_ADDITIONAL_ERL_ARGS",
            "SERVER_START_ARGS",
            "SERVER_CODE_PATH",
            "CTL_ERL_ARGS",
            "CTL_DIST_PORT_MIN",
            "CTL_DIST_PORT_MAX",
            "DISTRIBUTION_BUFFER_SIZE",
            "MAX_NUMBER_OF_PROCESSES",
            "MAX_NUMBER_OF_ATOMS",
            "SCHEDULER_BIND_TYPE",
            "DEFAULT_ALLOC_ARGS",
        ],
        "there is no Erlang here; settings and the secret have variables of their own",
    ),
    (
        &["PLUGINS_DIR", "PLUGINS_EXPAND_DIR", "ENABLED_PLUGINS"],
        "plugins are part of the broker, and RABBITMQ_ENABLED_PLUGINS_FILE names those that run",
    ),
    (
        &["FEATURE_FLAGS", "FEATURE_FLAGS_FILE"],
        "all feature flags are enabled",
    ),
    (
        &["QUORUM_DIR", "STREAM_DIR"],
        "everything is kept in the node's own directory",
    ),
    (
        &[
            "VM_MEMORY_HIGH_WATERMARK",
            "HIPE_COMPILE",
            "DEFAULT_USER_FILE",
            "DEFAULT_PASS_FILE",
        ],
        "RabbitMQ's image no longer takes it either; settings are written into files",
    ),
];

/// Those that are never shown.
const SECRET: [&str; 2] = ["DEFAULT_PASS", "ERLANG_COOKIE"];

/// Both sources of variables.
pub struct Variables<'a> {
    environment: &'a dyn Environment,
    file: BTreeMap<String, String>,
}

impl<'a> Variables<'a> {
    /// The variables of this environment, with those of its `rabbitmq-env.conf`.
    pub fn of(environment: &'a dyn Environment, problems: &mut Vec<Problem>) -> Self {
        let mut all = Variables {
            environment,
            file: BTreeMap::new(),
        };
        let path = all
            .value("RABBITMQ_CONF_ENV_FILE")
            .unwrap_or_else(|| "/etc/rabbitmq/rabbitmq-env.conf".into());
        let path = PathBuf::from(path);
        if let Ok(text) = environment.read(&path) {
            let (found, mut wrong) = syntax::env_conf(&path, &text);
            problems.append(&mut wrong);
            all.file = found.into_iter().map(|written| (written.key, written.value)).collect();
        }
        all
    }

    /// Those in the environment, by their full names; secrets are left out.
    pub fn set(&self) -> BTreeMap<String, String> {
        let names = KNOWN.iter().map(|(name, _)| *name);
        let shown = names.filter(|name| !SECRET.contains(name) && !name.starts_with("ERL_"));
        let value = |name| self.environment.variable(&format!("RABBITMQ_{name}"));
        shown
            .filter_map(|name| Some((format!("RABBITMQ_{name}"), value(name)?)))
            .collect()
    }

    /// Those that are set and do nothing here: a sentence each, without the value, which may hold a secret.
    pub fn without_effect(&self) -> Vec<String> {
        let all = WITHOUT_EFFECT.iter();
        let all = all.flat_map(|(names, why)| names.iter().map(move |name| (name, format!("RABBITMQ_{name}"), why)));
        // The short names are too common to be meant for a broker, but for those in its own file.
        let is_set = |name: &str, full: &str| {
            self.environment.variable(full).is_some() || self.file.contains_key(name) || self.file.contains_key(full)
        };
        all.filter(|(name, full, _)| is_set(name, full))
            .map(|(_, full, why)| format!("{full} has no effect: {why}"))
            .collect()
    }

    /// What the file of variables says.
    pub fn of_file(self) -> BTreeMap<String, String> {
        self.file
    }

    /// The value of the variable with this full name.
    pub fn value(&self, name: &str) -> Option<String> {
        let short = name.strip_prefix("RABBITMQ_").unwrap_or(name);
        let set = self
            .environment
            .variable(name)
            .or_else(|| self.environment.variable(short));
        set.or_else(|| self.file.get(name).or_else(|| self.file.get(short)).cloned())
    }

    /// Settings that variables make; `listeners_set` says whether the files name AMQP listeners.
    pub fn settings(&self, listeners_set: bool) -> Vec<Written> {
        let mut made = Vec::new();
        if !listeners_set {
            made.extend(self.listener());
        }
        for (name, key) in [
            ("RABBITMQ_DEFAULT_USER", "default_user"),
            ("RABBITMQ_DEFAULT_PASS", "default_pass"),
            ("RABBITMQ_DEFAULT_VHOST", "default_vhost"),
            ("RABBITMQ_LOG_BASE", "log.dir"),
            ("RABBITMQ_PRODUCT_NAME", "product.name"),
            ("RABBITMQ_PRODUCT_VERSION", "product.version"),
            ("RABBITMQ_MOTD_FILE", "motd_file"),
        ] {
            made.extend(self.value(name).map(|value| written(name, key, &value)));
        }
        made.extend(self.logs());
        made.extend(self.levels());
        made
    }

    fn listener(&self) -> Option<Written> {
        let ip = self.value("RABBITMQ_NODE_IP_ADDRESS").filter(|ip| ip != "auto");
        let port = self.value("RABBITMQ_NODE_PORT");
        let name = match port {
            Some(_) => "RABBITMQ_NODE_PORT",
            None => "RABBITMQ_NODE_IP_ADDRESS",
        };
        if ip.is_none() && port.is_none() {
            return None;
        }
        let port = port.unwrap_or_else(|| "5672".into());
        let value = ip.map_or_else(|| port.clone(), |ip| format!("{ip}:{port}"));
        Some(written(name, "listeners.tcp.default", &value))
    }

    fn logs(&self) -> Vec<Written> {
        let name = "RABBITMQ_LOGS";
        match self.value(name).as_deref() {
            None => Vec::new(),
            Some("-") => vec![written(name, "log.console", "true"), written(name, "log.file", "false")],
            Some(file) => vec![written(name, "log.file", file)],
        }
    }

    fn levels(&self) -> Vec<Written> {
        let name = "RABBITMQ_LOG";
        let text = self.value(name).unwrap_or_default();
        let words = text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty() && !word.ends_with("color"));
        words
            .map(|word| match word.split_once('=') {
                Some((category, level)) => written(name, &format!("log.{category}.level"), level),
                None => written(name, "log.default.level", word),
            })
            .collect()
    }
}

fn written(variable: &str, key: &str, value: &str) -> Written {
    Written {
        key: key.into(),
        value: value.into(),
        at: Origin::Variable(variable.into()),
    }
}
