//! `eval`: the few Erlang expressions that manuals and scripts ask with, answered as Erlang would.
//!
//! There is no Erlang here: everything else is refused by name, never guessed.

use crate::command::{Command, Output, Session};
use crate::commands::status::shown;
use crate::format;
use crate::problem::{Problem, USAGE};
use link::{Request, Term, atom_text as atom};

/// What is known, as it is told to those who ask for more.
const KNOWN: &str = "node(). rabbit_mnesia:dir(). rabbit:data_dir(). rabbit_nodes:cluster_name(). \
                     application:set_env(rabbit,channel_max,N). rabbit_alarm:set_alarm({{resource_limit,memory,node()},[]}). \
                     rabbit_alarm:clear_alarm({resource_limit,memory,node()}). and the same of disk";

/// An expression that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Expression {
    Node,
    DataDirectory,
    ClusterName,
    ChannelMax(u16),
    Alarm { resource: &'static str, on: bool },
}

impl Expression {
    /// Spaces mean nothing in any of them.
    fn read(text: &str) -> Option<Self> {
        let text: String = text.split_whitespace().collect();
        let channels = || {
            let rest = text.strip_prefix("application:set_env(rabbit,channel_max,")?;
            rest.strip_suffix(").")?.parse().ok().map(Expression::ChannelMax)
        };
        let alarm = || {
            let set = |resource| format!("rabbit_alarm:set_alarm({{{{resource_limit,{resource},node()}},[]}}).");
            let clear = |resource| format!("rabbit_alarm:clear_alarm({{resource_limit,{resource},node()}}).");
            ["memory", "disk"].into_iter().find_map(|resource| match &text {
                known if *known == set(resource) => Some(Expression::Alarm { resource, on: true }),
                known if *known == clear(resource) => Some(Expression::Alarm { resource, on: false }),
                _ => None,
            })
        };
        match text.as_str() {
            "node()." => Some(Expression::Node),
            "rabbit_mnesia:dir()." | "rabbit:data_dir()." => Some(Expression::DataDirectory),
            "rabbit_nodes:cluster_name()." => Some(Expression::ClusterName),
            _ => channels().or_else(alarm),
        }
    }
}

pub(super) const COMMANDS: &[Command] = &[Command::new("eval", eval)
    .help(
        "<expression>",
        "Answers the few expressions that scripts ask as Erlang would; there is no Erlang here for more",
    )
    .takes(1, 1)
    .checked(|_, arguments| match arguments {
        [expression] if Expression::read(expression).is_none() => {
            let text = format!(
                "Error:\nWarren cannot evaluate Erlang: '{expression}' is not among what it answers, which is {KNOWN}"
            );
            Err(Problem::plain(USAGE, text))
        }
        _ => Ok(()),
    })
    .under("Operations")];

/// What an expression is.
fn value(text: String, term: Term) -> Output {
    Output::Value { text, term }
}

fn eval(session: &mut Session<'_>) -> Result<Output, Problem> {
    let done = || value("ok".to_owned(), Term::atom("ok"));
    match Expression::read(&session.argument(0)) {
        None => Err(Problem::error(USAGE, "the expression is not known")),
        Some(Expression::Node) => {
            let name = session.target.name.clone();
            session.ask(&Request::IsRunning)?;
            Ok(value(atom(&name), Term::atom(name)))
        }
        Some(Expression::DataDirectory) => {
            let status = session.ask(&Request::Status)?;
            let path = shown(&status, &["data_directory"]);
            Ok(value(string(&path), Term::text(path)))
        }
        Some(Expression::ClusterName) => {
            let cluster = session.ask(&Request::ClusterStatus)?;
            let name = Term::text(shown(&cluster, &["cluster_name"]));
            Ok(value(format::erlang(&name), name))
        }
        Some(Expression::ChannelMax(channels)) => {
            session.ask(&Request::SetChannelMax { channels })?;
            Ok(done())
        }
        Some(Expression::Alarm { resource, on }) => {
            let resource = resource.to_owned();
            session.ask(&Request::ForceAlarm { resource, on })?;
            Ok(done())
        }
    }
}

/// A string as Erlang prints it.
fn string(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_strings_are_printed_as_erlang_prints_them() {
        assert_eq!(atom("rabbit@node3"), "rabbit@node3");
        assert_eq!(atom("rabbit@my-host"), "'rabbit@my-host'");
        assert_eq!(string("/var/lib/a \"b\""), r#""/var/lib/a \"b\"""#);
    }

    #[test]
    fn what_is_known_is_known_with_any_spaces_and_nothing_else() {
        let on = |resource, on| Some(Expression::Alarm { resource, on });
        for (text, expected) in [
            (" rabbit_mnesia:dir( ) . ", Some(Expression::DataDirectory)),
            (
                "application:set_env(rabbit, channel_max, 100).",
                Some(Expression::ChannelMax(100)),
            ),
            ("application:set_env(rabbit, channel_max, -1).", None),
            ("application:set_env(rabbit, frame_max, 1).", None),
            (
                "rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []}).",
                on("memory", true),
            ),
            (
                "rabbit_alarm:clear_alarm({resource_limit, disk, node()}).",
                on("disk", false),
            ),
            ("1 + 1.", None),
        ] {
            assert_eq!(Expression::read(text), expected, "{text}");
        }
    }
}
