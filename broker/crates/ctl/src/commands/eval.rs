//! `eval`: the few Erlang expressions that manuals and scripts ask with, answered as Erlang would.
//!
//! There is no Erlang here: everything else is refused by name, never guessed.

use crate::command::{Command, Output, Session};
use crate::problem::{Problem, USAGE};
use link::{Request, Term};

/// What is known, as it is compared: without spaces.
const KNOWN: [&str; 3] = ["node().", "rabbit_mnesia:dir().", "rabbit:data_dir()."];

pub(super) const COMMANDS: &[Command] = &[Command::new("eval", eval)
    .help(
        "<expression>",
        "Answers node(). and rabbit_mnesia:dir(). as Erlang would; there is no Erlang here for more",
    )
    .takes(1, 1)
    .checked(|_, arguments| match arguments {
        [expression] if !KNOWN.contains(&without_spaces(expression).as_str()) => {
            let text = format!(
                "Error:\nWarren cannot evaluate Erlang: '{expression}' is not among what it answers, which is {}",
                KNOWN.join(" ")
            );
            Err(Problem::plain(USAGE, text))
        }
        _ => Ok(()),
    })
    .under("Operations")];

fn without_spaces(expression: &str) -> String {
    expression.split_whitespace().collect()
}

fn eval(session: &mut Session<'_>) -> Result<Output, Problem> {
    let expression = without_spaces(&session.argument(0));
    if expression == "node()." {
        let name = session.target.name.clone();
        session.ask(&Request::IsRunning)?;
        return Ok(Output::Both(atom(&name), Term::atom(name)));
    }
    let status = session.ask(&Request::Status)?;
    let directory = match status {
        Term::Map(pairs) => pairs.into_iter().find(|(key, _)| key == "data_directory"),
        _ => None,
    };
    match directory {
        Some((_, Term::Binary(path))) => Ok(Output::Both(string(&path), Term::text(path))),
        _ => Err(Problem::error(
            crate::problem::UNAVAILABLE,
            "the node does not tell its data directory",
        )),
    }
}

/// An atom as Erlang prints it.
fn atom(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '@');
    match plain {
        true => name.to_owned(),
        false => format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'")),
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
        assert_eq!(without_spaces(" rabbit_mnesia:dir( ) . "), "rabbit_mnesia:dir().");
    }
}
