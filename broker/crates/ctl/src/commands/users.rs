//! Users, passwords and tags.
//!
//! A password that is not an argument is read from standard input, unseen.

use crate::command::{ANY, Command, Output, Session};
use crate::commands::{List, bare_user};
use crate::options::Options;
use crate::problem::{DATA, Problem, SOFTWARE};
use link::{Failure, Listing, Request, Term};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{self, Write};

const USERS: &str = "Users";

pub(super) const COMMANDS: &[Command] = &[
    Command::new("add_user", add)
        .help(
            "<username> <password>",
            "Creates a user, who may enter no virtual host yet",
        )
        .takes(1, 2)
        .checked(user_has_a_name)
        .banner(|_, _, args| format!("Adding user \"{}\" ...", args[0]))
        .under(USERS),
    Command::new("authenticate_user", authenticate)
        .help(
            "<username> <password>",
            "Tries name and password, and fails if they do not belong together",
        )
        .takes(1, 2)
        .checked(user_has_a_name)
        .banner(|_, _, args| format!("Authenticating user \"{}\" ...", args[0]))
        .under(USERS),
    Command::new("change_password", change_password)
        .help("<username> <password>", "Gives a user another password")
        .takes(1, 2)
        .checked(user_has_a_name)
        .banner(|_, _, args| format!("Changing password for user \"{}\" ...", args[0]))
        .under(USERS),
    Command::new("clear_password", |session| {
        let name = session.argument(0);
        let request = Request::ClearPassword { name };
        session.ask_or(&request, bare_user).map(|_| Output::Nothing)
    })
    .help(
        "<username>",
        "Takes a user's password away, so that no password lets the user in",
    )
    .takes(1, 1)
    .banner(|_, _, args| format!("Clearing password for user \"{}\" ...", args[0]))
    .under(USERS),
    Command::new("delete_user", |session| {
        let name = session.argument(0);
        session.ask(&Request::DeleteUser { name }).map(|_| Output::Nothing)
    })
    .help("<username>", "Deletes a user with all permissions")
    .takes(1, 1)
    .banner(|_, _, args| format!("Deleting user \"{}\" ...", args[0]))
    .under(USERS),
    Command::new("list_users", |session| {
        List::of(&["user", "tags"]).print(session, Listing::Users)
    })
    .help(
        "[--no-table-headers] [--timeout <timeout>]",
        "Lists users and their tags",
    )
    .in_both()
    .banner(|_, _, _| "Listing users ...".into())
    .under(USERS),
    Command::new("set_user_tags", |session| {
        let (name, tags) = (session.argument(0), session.arguments[1..].to_vec());
        session
            .ask(&Request::SetUserTags { name, tags })
            .map(|_| Output::Nothing)
    })
    .help("<username> <tag> [...]", "Replaces the tags of a user")
    .takes(1, ANY)
    .banner(|_, _, args| {
        format!(
            "Setting tags for user \"{}\" to [{}] ...",
            args[0],
            args[1..].join(", ")
        )
    })
    .under(USERS),
];

fn user_has_a_name(_: &Options, arguments: &[String]) -> Result<(), Problem> {
    match arguments.first().is_some_and(String::is_empty) {
        true => Err(Problem::arguments(DATA, "Bad argument: user cannot be an empty string")),
        false => Ok(()),
    }
}

fn add(session: &mut Session<'_>) -> Result<Output, Problem> {
    let (name, password) = (session.argument(0), password(session, DATA)?);
    session.ask(&Request::AddUser { name, password })?;
    let text = "Done. Don't forget to grant the user permissions to some virtual hosts! See 'rabbitmqctl help \
                set_permissions' to learn more.";
    if session.options.quiet() {
        return Ok(Output::Nothing);
    }
    let pairs = [
        ("message", Term::text(text)),
        ("node", Term::atom(&session.target.name)),
        ("status", Term::text("ok")),
    ];
    let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Ok(Output::Both(text.to_owned(), Term::Map(pairs)))
}

fn change_password(session: &mut Session<'_>) -> Result<Output, Problem> {
    let (name, password) = (session.argument(0), password(session, SOFTWARE)?);
    session
        .ask(&Request::ChangePassword { name, password })
        .map(|_| Output::Nothing)
}

fn authenticate(session: &mut Session<'_>) -> Result<Output, Problem> {
    let (name, password) = (session.argument(0), password(session, SOFTWARE)?);
    let user = name.clone();
    let words = |failure| match failure {
        Failure::WrongPassword => {
            let text = format!("Error: failed to authenticate user \"{user}\"\nuser '{user}' - invalid credentials");
            Problem::error(DATA, text)
        }
        other => other.into(),
    };
    session.ask_or(&Request::Authenticate { name, password }, words)?;
    Ok(Output::Text("Success".into()))
}

/// The second argument, else a line of standard input; `exit` is the code when there is neither.
fn password(session: &Session<'_>, exit: u8) -> Result<String, Problem> {
    if let Some(given) = session.arguments.get(1) {
        return Ok(given.clone());
    }
    let missing = || Problem::error(exit, "Password is not provided via argument or stdin");
    ask("Password: ").ok_or_else(missing)
}

/// A line of standard input, unseen on a terminal; none at its end.
pub(super) fn ask(prompt: &str) -> Option<String> {
    print!("{prompt}");
    // A prompt that cannot be shown is no reason not to read.
    let _ = io::stdout().flush();
    let line = read_unseen();
    tell!("");
    let line = line.ok().filter(|line| !line.is_empty())?;
    Some(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// Reads a line, on a terminal without showing it.
fn read_unseen() -> io::Result<String> {
    let stdin = io::stdin();
    let shown = tcgetattr(&stdin).ok();
    if let Some(mut hidden) = shown.clone() {
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &hidden)?;
    }
    let mut line = String::new();
    let read = stdin.read_line(&mut line);
    if let Some(shown) = shown {
        tcsetattr(&stdin, OptionalActions::Now, &shown)?;
    }
    read.map(|_| line)
}
