//! The reference page of settings, printed from the table of keys, so that it cannot be older than the program.
//! It knows no key itself.

use super::keys::{Effect, Key, keys};
use super::variables::{KNOWN, WITHOUT_EFFECT};
use std::fmt::Write as _;

/// The page, in Markdown.
pub fn page() -> String {
    let mut page = String::from(HEAD);
    let keys = keys();
    for key in keys.iter().filter(|key| matches!(key.effect, Effect::Honoured(_))) {
        let default = default(key);
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            key.name,
            key.kind,
            cell(&default),
            if key.hot.is_some() { "at once" } else { "restart" },
            cell(key.doc)
        );
    }
    page.push_str(REST);
    for key in keys.iter() {
        if let Some((reaction, why)) = reaction(key) {
            let _ = writeln!(page, "| `{}` | {reaction} | {} |", key.name, cell(why));
        }
    }
    page.push_str(VARIABLES);
    for (name, doc) in KNOWN {
        let _ = writeln!(page, "| `{}` | {} |", full(name), cell(doc));
    }
    page.push_str(IGNORED);
    for (names, why) in WITHOUT_EFFECT {
        let names = names.iter().map(|name| format!("`{}`", full(name)));
        let _ = writeln!(page, "| {} | {} |", names.collect::<Vec<_>>().join(", "), cell(why));
    }
    page
}

/// Erlang's own variables have no prefix.
fn full(name: &str) -> String {
    match name.starts_with("ERL_") {
        true => name.to_owned(),
        false => format!("RABBITMQ_{name}"),
    }
}

fn default(key: &Key) -> String {
    let shown = |(name, value): &(String, String)| match *name == key.name {
        true => value.clone(),
        false => format!("{name} = {value}"),
    };
    key.defaults.iter().map(shown).collect::<Vec<_>>().join(", ")
}

fn reaction(key: &Key) -> Option<(String, &'static str)> {
    match key.effect {
        Effect::Honoured(_) => None,
        Effect::Ignored(why) => Some(("accepted with a warning".into(), why)),
        Effect::Only(values, why) => Some((format!("only {}", values.join(", ")), why)),
        Effect::Refused(why) => Some(("refused".into(), why)),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

const HEAD: &str = "# Settings

Printed by `warren server --print-config-reference`; do not edit.

Settings are lines `key = value` in `rabbitmq.conf` and in the files of `conf.d`, read in this order; a later line wins. An unknown key, or a value
of the wrong type, keeps the node from starting, and all that is wrong is said at once; `warren server --check-config` says it without starting one,
with the same flags and variables. In a key, `$name` stands for any name.

## Keys that are honoured

A running node reads its files again when it gets SIGHUP (`systemctl reload`, `kill -HUP`): what counts `at once` then holds for new connections
and whatever is looked at next, the log names what has changed, and what needs a restart is named and stays as it was. If anything is wrong with
the files nothing changes, and the log says why. On Kubernetes the operator has nodes do it when `spec.config` changes.

| key | type | default | a change counts | meaning |
| --- | --- | --- | --- | --- |
";

const REST: &str = "
## Other keys that RabbitMQ knows

| key | reaction | reason |
| --- | --- | --- |
";

const VARIABLES: &str = "
## Environment variables

Also without `RABBITMQ_`, and in `rabbitmq-env.conf`; the environment wins over the file, the longer name over the shorter.

| variable | meaning |
| --- | --- |
";

const IGNORED: &str = "
RabbitMQ's others are named in the log and do nothing:

| variables | reason |
| --- | --- |
";
