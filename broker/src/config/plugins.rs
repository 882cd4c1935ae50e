//! The `enabled_plugins` file: an Erlang list of names. A plugin that this broker does not have is refused by name,
//! since a client that relies on it would fail later and further away.

use super::error::{Problem, Problems};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

/// Plugins that were asked for, and those they bring along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plugins {
    /// Named in the file.
    pub explicit: BTreeSet<String>,
}

/// A plugin that is built in.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a few words.
    pub description: &'static str,
    /// What it brings along.
    pub needs: &'static [&'static str],
}

const fn built_in(name: &'static str, description: &'static str, needs: &'static [&'static str]) -> BuiltIn {
    BuiltIn {
        name,
        description,
        needs,
    }
}

/// In order of name. What is always there, whether its plugin is enabled or not, says so.
const BUILT_IN: [BuiltIn; 13] = [
    built_in(
        "rabbitmq_auth_mechanism_ssl",
        "Log in by certificate (EXTERNAL), always there",
        &[],
    ),
    built_in(
        "rabbitmq_consistent_hash_exchange",
        "Consistent hash exchange type, always there",
        &[],
    ),
    built_in(
        "rabbitmq_delayed_message_exchange",
        "Delayed message exchange type, always there",
        &[],
    ),
    built_in("rabbitmq_event_exchange", "Events as messages", &[]),
    built_in(
        "rabbitmq_management",
        "Management API and page",
        &["rabbitmq_management_agent", "rabbitmq_web_dispatch"],
    ),
    built_in("rabbitmq_management_agent", "Numbers for the management API", &[]),
    built_in("rabbitmq_peer_discovery_common", "Peer discovery, always there", &[]),
    built_in(
        "rabbitmq_peer_discovery_k8s",
        "Peer discovery on Kubernetes, always there",
        &["rabbitmq_peer_discovery_common"],
    ),
    built_in(
        "rabbitmq_prometheus",
        "Numbers for Prometheus",
        &["rabbitmq_management_agent", "rabbitmq_web_dispatch"],
    ),
    built_in("rabbitmq_random_exchange", "Random exchange type, always there", &[]),
    built_in(
        "rabbitmq_recent_history_exchange",
        "Recent history exchange type, always there",
        &[],
    ),
    built_in("rabbitmq_sharding", "Modulus hash exchange type, always there", &[]),
    built_in("rabbitmq_web_dispatch", "HTTP ports of plugins", &[]),
];

impl Plugins {
    /// Every plugin that runs: the explicit ones and what they bring along, in order of name.
    pub fn enabled(&self) -> BTreeSet<&str> {
        let mut all: BTreeSet<&str> = self.explicit.iter().map(String::as_str).collect();
        let brought = |plugin: &&BuiltIn| self.explicit.contains(plugin.name);
        all.extend(BUILT_IN.iter().filter(brought).flat_map(|plugin| plugin.needs));
        all
    }

    /// What runs, each with a description: the plugins, and the broker itself.
    pub fn applications(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let described = |name| BUILT_IN.iter().find(|plugin| plugin.name == name);
        let plugin = move |name| (name, described(name).map_or("", |plugin| plugin.description));
        self.enabled().into_iter().map(plugin).chain([("rabbit", "RabbitMQ")])
    }

    /// All plugins that there are, in order of name.
    pub fn known() -> impl Iterator<Item = BuiltIn> {
        BUILT_IN.into_iter()
    }

    /// The plugins that a file names; a file that is not there names none, in RabbitMQ as here.
    ///
    /// # Errors
    /// When it cannot be read, is no list of names, or names a plugin that is not there.
    pub fn in_file(path: &Path) -> Result<Self, Problems> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(why) if why.kind() == ErrorKind::NotFound => return Ok(Plugins::default()),
            Err(why) => {
                let (path, why) = (path.to_owned(), why.to_string());
                return Err(Problems(vec![Problem::Unreadable { path, why }]));
            }
        };
        Plugins::read(path, &text).map_err(Problems)
    }

    /// The text of the file that names them.
    pub fn text(&self) -> String {
        let names: Vec<&str> = self.explicit.iter().map(String::as_str).collect();
        format!("[{}].\n", names.join(","))
    }

    /// These names as plugins.
    ///
    /// # Errors
    /// The first name that is none of a plugin.
    pub fn of(names: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let explicit: BTreeSet<String> = names.into_iter().collect();
        match explicit.iter().find(|name| !is_built_in(name)) {
            Some(unknown) => Err(unknown.clone()),
            None => Ok(Plugins { explicit }),
        }
    }

    /// Whether the management API is on.
    pub fn management(&self) -> bool {
        self.explicit.contains("rabbitmq_management")
    }

    /// Whether the Prometheus endpoint is on.
    pub fn prometheus(&self) -> bool {
        self.explicit.contains("rabbitmq_prometheus")
    }

    /// Whether events are published to their exchange.
    pub fn events(&self) -> bool {
        self.explicit.contains("rabbitmq_event_exchange")
    }

    /// The text of the file at `path`.
    ///
    /// # Errors
    /// When the text is no list of names, or names a plugin that is not there.
    pub fn read(path: &Path, text: &str) -> Result<Self, Vec<Problem>> {
        let not_a_list = || {
            let shape = "it must hold a list that ends with a dot, such as [rabbitmq_management,rabbitmq_prometheus].";
            vec![Problem::Unreadable {
                path: path.to_owned(),
                why: shape.to_owned(),
            }]
        };
        let names = names(text).ok_or_else(not_a_list)?;
        let missing: Vec<_> = names.iter().filter(|name| !is_built_in(name)).cloned().collect();
        if missing.is_empty() {
            return Ok(Plugins {
                explicit: names.into_iter().collect(),
            });
        }
        let why = |name: &String| {
            let have: Vec<_> = BUILT_IN.iter().map(|plugin| plugin.name).collect();
            format!(
                "plugin {name} is not part of this broker, which has {}",
                have.join(", ")
            )
        };
        Err(missing
            .iter()
            .map(|name| Problem::Unreadable {
                path: path.to_owned(),
                why: why(name),
            })
            .collect())
    }
}

fn is_built_in(name: &str) -> bool {
    BUILT_IN.iter().any(|plugin| plugin.name == name)
}

/// The names of an Erlang list of atoms; `%` starts a comment.
fn names(text: &str) -> Option<Vec<String>> {
    let text: String = text
        .lines()
        .map(|line| line.split('%').next().unwrap_or_default())
        .collect();
    let list = text
        .trim()
        .strip_suffix('.')?
        .trim_end()
        .strip_prefix('[')?
        .strip_suffix(']')?
        .trim();
    if list.is_empty() {
        return Some(Vec::new());
    }
    let atom = |part: &str| {
        let name = part.trim().trim_matches('\'');
        let sound = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        sound.then(|| name.to_owned())
    };
    list.split(',').map(atom).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Plugins, Vec<Problem>> {
        Plugins::read(Path::new("enabled_plugins"), text)
    }

    #[test]
    fn a_list_of_names_is_read_and_brings_its_needs() {
        let plugins = read("% mine\n[rabbitmq_management,\n 'rabbitmq_prometheus'].\n").unwrap();
        assert!(plugins.management() && plugins.prometheus());
        assert_eq!(plugins.enabled().len(), 4);
        assert_eq!(read("[].").unwrap(), Plugins::default());
        assert_eq!(read(&plugins.text()).unwrap(), plugins);
    }

    #[test]
    fn what_is_no_list_or_not_built_in_is_refused() {
        for bad in ["", "[a,b]", "rabbitmq_management.", "[A].", "[rabbitmq_mqtt].", "[,]."] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let said = read("[rabbitmq_mqtt].").unwrap_err()[0].to_string();
        assert!(
            said.contains("plugin rabbitmq_mqtt is not part of this broker"),
            "{said}"
        );
    }
}
