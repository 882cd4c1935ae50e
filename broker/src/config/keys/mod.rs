//! Every key of `rabbitmq.conf`, each defined once: name, type, default, effect and explanation.
//!
//! The reference page is printed from these rows and the loader obeys them; nothing else knows a key.

mod access;
mod formation;
mod http;
mod log;
mod new_vhosts;
mod node;
mod plugins;
mod shown;
mod sockets;

pub use log::CATEGORIES as LOG_CATEGORIES;

use super::settings::Config;
use super::syntax::segments;
use super::value::Value;

/// One row of the table.
pub struct Key {
    /// The key; a segment that starts with `$` stands for any name, a last `*` for anything.
    pub name: String,
    /// Type of the value.
    pub kind: &'static str,
    /// Settings that hold when nothing matches the row: key and value.
    pub defaults: Vec<(String, String)>,
    /// A key that, once set, takes these defaults away.
    pub unless: Option<String>,
    /// What setting it does.
    pub effect: Effect,
    /// What it is for.
    pub doc: &'static str,
    /// Whether values must never be shown.
    pub secret: bool,
    /// Takes what was read again over into the configuration of a running node; none waits for the next start.
    pub hot: Option<fn(&mut Config, &Config)>,
}

type Setter = Box<dyn Fn(&mut Config, &[String], &str) -> Result<(), String>>;

/// What setting a key does.
pub enum Effect {
    /// Changes the configuration.
    Honoured(Setter),
    /// Nothing, and why; the node says so when it starts.
    Ignored(&'static str),
    /// Accepted with these values, which say what is so anyway; others are refused, and why.
    Only(&'static [&'static str], &'static str),
    /// Refused, and why.
    Refused(&'static str),
}

/// A row that changes the configuration. `set` gets the names that `$` segments stand for.
fn key<T: Value>(name: impl Into<String>, set: impl Fn(&mut Config, &[String], T) + 'static) -> Key {
    let effect: Setter = Box::new(move |config, names, text| {
        set(config, names, T::read(text)?);
        Ok(())
    });
    Key {
        name: name.into(),
        kind: T::KIND,
        defaults: Vec::new(),
        unless: None,
        effect: Effect::Honoured(effect),
        doc: "",
        secret: T::SECRET,
        hot: None,
    }
}

fn other(name: &str, effect: Effect, doc: &'static str) -> Key {
    let kind = "";
    Key {
        name: name.into(),
        kind,
        defaults: Vec::new(),
        unless: None,
        effect,
        doc,
        secret: false,
        hot: None,
    }
}

fn no_effect(name: &str, why: &'static str) -> Key {
    other(name, Effect::Ignored(why), why)
}

fn only(name: &str, values: &'static [&'static str], why: &'static str) -> Key {
    other(name, Effect::Only(values, why), why)
}

fn refused(name: &str, why: &'static str) -> Key {
    other(name, Effect::Refused(why), why)
}

impl Key {
    fn default(mut self, value: &str) -> Self {
        self.defaults = vec![(self.name.clone(), value.to_owned())];
        self
    }

    fn defaults(mut self, pairs: &[(&str, &str)]) -> Self {
        self.defaults = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        self
    }

    fn unless(mut self, other: String) -> Self {
        self.unless = Some(other);
        self
    }

    /// It holds from the moment on at which the configuration is read again.
    fn hot(mut self, take: fn(&mut Config, &Config)) -> Self {
        self.hot = Some(take);
        self
    }

    fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    fn with(mut self, check: fn(&str) -> Result<(), String>) -> Self {
        if let Effect::Honoured(set) = self.effect {
            self.effect = Effect::Honoured(Box::new(move |config, names, text| {
                check(text)?;
                set(config, names, text)
            }));
        }
        self
    }

    /// The names that this row's `$` segments stand for in `key`; none when the row does not match.
    pub fn matches(&self, key: &[String]) -> Option<Vec<String>> {
        let pattern = segments(&self.name);
        let open = pattern.last().is_some_and(|last| last == "*");
        let fixed = pattern.len() - usize::from(open);
        if key.len() < fixed || (key.len() > fixed && !open) {
            return None;
        }
        let mut names = Vec::new();
        for (expected, found) in pattern.iter().take(fixed).zip(key) {
            match expected.strip_prefix('$') {
                Some(_) => names.push(found.clone()),
                None if expected == found => {}
                None => return None,
            }
        }
        Some(names)
    }
}

/// The table, in the order of the reference page.
pub fn keys() -> Vec<Key> {
    let parts = [
        sockets::keys(),
        access::keys(),
        new_vhosts::keys(),
        node::keys(),
        shown::keys(),
        formation::keys(),
        http::keys(),
        log::keys(),
        plugins::keys(),
    ];
    parts.into_iter().flatten().collect()
}
