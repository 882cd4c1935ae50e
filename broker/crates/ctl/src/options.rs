//! The command line as options and arguments, by the rules of RabbitMQ's tools: options anywhere, `--name value` or
//! `--name=value`, `--no-name`, `--` ends them.
//!
//! An option that is not known, or whose value is not of its kind, is reported with all others; nothing is guessed.

use std::collections::BTreeMap;

/// What follows an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing: it is on.
    Flag,
    /// A text.
    Text,
    /// A whole number.
    Number,
}

/// An option that a command understands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Switch {
    /// Long name.
    pub(crate) name: &'static str,
    /// Short name, if there is one.
    pub(crate) short: Option<char>,
    /// What follows it.
    pub(crate) kind: Kind,
}

/// An option without a short name.
pub(crate) const fn switch(name: &'static str, kind: Kind) -> Switch {
    Switch {
        name,
        short: None,
        kind,
    }
}

/// An option with a short name.
pub(crate) const fn short(name: &'static str, short: char, kind: Kind) -> Switch {
    Switch {
        name,
        short: Some(short),
        kind,
    }
}

/// Options of every command.
const GLOBAL: [Switch; 14] = [
    short("node", 'n', Kind::Text),
    short("quiet", 'q', Kind::Flag),
    short("silent", 's', Kind::Flag),
    short("longnames", 'l', Kind::Flag),
    short("timeout", 't', Kind::Number),
    short("vhost", 'p', Kind::Text),
    short("help", '?', Kind::Flag),
    switch("formatter", Kind::Text),
    switch("table-headers", Kind::Flag),
    switch("erlang-cookie", Kind::Text),
    switch("version", Kind::Flag),
    switch("print-reference", Kind::Flag),
    switch("dry-run", Kind::Flag),
    // RabbitMQ's tools show where in them an exception was raised; these have no exceptions to show.
    switch("print-stacktrace", Kind::Flag),
];

/// What was given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    values: BTreeMap<&'static str, String>,
    flags: BTreeMap<&'static str, bool>,
    /// All that is no option, the command's name included.
    pub(crate) arguments: Vec<String>,
    /// Options that cannot be, with their values.
    pub(crate) invalid: Vec<(String, String)>,
}

impl Options {
    /// Reads a command line.
    pub(crate) fn read(line: &[String], own: &[Switch]) -> Self {
        let mut options = Options::default();
        let switches: Vec<Switch> = GLOBAL.iter().chain(own).copied().collect();
        let mut words = line.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--" => {
                    options.arguments.extend(words.by_ref().cloned());
                }
                // A lone dash, and negative numbers, are arguments.
                word if word.len() > 1 && word.starts_with('-') && word.parse::<f64>().is_err() => {
                    options.take(word, &mut words, &switches);
                }
                _ => options.arguments.push(word.clone()),
            }
        }
        options
    }

    fn take(&mut self, word: &str, rest: &mut std::slice::Iter<'_, String>, switches: &[Switch]) {
        let (name, joined) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, None),
        };
        let found = find(name, switches);
        match (found, joined) {
            (Some((switch, on)), None) if switch.kind == Kind::Flag => {
                self.flags.insert(switch.name, on);
            }
            (Some((switch, true)), joined) if switch.kind != Kind::Flag => {
                let value = joined.or_else(|| {
                    let next = rest
                        .as_slice()
                        .first()
                        .filter(|next| !next.starts_with('-') || is_number(next))?;
                    rest.next();
                    Some(next.clone())
                });
                self.put(name, *switch, value);
            }
            (_, joined) => self.invalid.push((name.to_owned(), joined.unwrap_or_default())),
        }
    }

    fn put(&mut self, given: &str, switch: Switch, value: Option<String>) {
        match value {
            Some(value) if switch.kind == Kind::Text || is_number(&value) => {
                self.values.insert(switch.name, value);
            }
            other => self.invalid.push((given.to_owned(), other.unwrap_or_default())),
        }
    }

    /// The value of a text option.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The value of a number option, which was checked when it was read.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(|text| text.parse().ok())
    }

    /// Whether a flag is on.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.flags.get(name).copied().unwrap_or(false)
    }

    /// Whether a flag was switched off by `--no-…`.
    pub(crate) fn is_off(&self, name: &str) -> bool {
        self.flags.get(name) == Some(&false)
    }

    /// The virtual host, `/` unless said.
    pub(crate) fn vhost(&self) -> &str {
        self.text("vhost").unwrap_or("/")
    }

    /// The same for another virtual host.
    pub(crate) fn with_vhost(&self, vhost: &str) -> Self {
        let mut options = self.clone();
        options.values.insert("vhost", vhost.to_owned());
        options
    }

    /// Only what would be done is said.
    pub(crate) fn is_dry_run(&self) -> bool {
        self.flag("dry-run")
    }

    /// No informational lines.
    pub(crate) fn quiet(&self) -> bool {
        self.flag("quiet") || self.flag("silent")
    }
}

fn is_number(text: &str) -> bool {
    text.parse::<i64>().is_ok()
}

/// The switch that a word names, and whether it is switched on by it.
fn find<'a>(word: &str, switches: &'a [Switch]) -> Option<(&'a Switch, bool)> {
    if let Some(long) = word.strip_prefix("--") {
        let long = long.replace('_', "-");
        let named = |name: &str| switches.iter().find(|switch| switch.name == name);
        let off = |name: &str| named(name).filter(|switch| switch.kind == Kind::Flag);
        return named(&long)
            .map(|switch| (switch, true))
            .or_else(|| long.strip_prefix("no-").and_then(off).map(|switch| (switch, false)));
    }
    let mut letters = word.chars().skip(1);
    let (letter, none) = (letters.next()?, letters.next());
    let found = switches.iter().find(|switch| switch.short == Some(letter));
    found.filter(|_| none.is_none()).map(|switch| (switch, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Options {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Options::read(&words, &[short("if-empty", 'e', Kind::Flag)])
    }

    #[test]
    fn options_may_stand_anywhere_and_two_dashes_end_them() {
        let options = read("-q list_users -p v1 --timeout=5 -e -- -n");
        assert_eq!(options.arguments, ["list_users", "-n"]);
        assert!(options.quiet() && options.flag("if-empty"));
        assert_eq!((options.vhost(), options.number("timeout")), ("v1", Some(5)));
        assert!(read("x --no-table-headers").is_off("table-headers"));
        assert_eq!(read("x -t -1").number("timeout"), Some(-1));
        assert_eq!(read("x -").arguments, ["x", "-"]);
    }

    #[test]
    fn unknown_options_and_values_of_another_kind_are_reported() {
        for (line, option, value) in [
            ("x --bogus", "--bogus", ""),
            ("x --bogus=1", "--bogus", "1"),
            ("x -t xx", "-t", "xx"),
            ("x -n", "-n", ""),
            ("x --no-node", "--no-node", ""),
            ("x --quiet=yes", "--quiet", "yes"),
            ("x -qs", "-qs", ""),
        ] {
            assert_eq!(read(line).invalid, [(option.to_owned(), value.to_owned())], "{line}");
        }
    }
}
