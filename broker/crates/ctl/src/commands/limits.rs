//! Limits of virtual hosts and users.
//!
//! Limits of one are shown as JSON alone, those of all as a table.

use crate::command::{Command, flag, text};
use crate::command::{Output, Session};
use crate::commands::{List, bare_user, nothing_to_clear};
use crate::format;
use crate::problem::Problem;
use link::{Failure, Listing, Request, Term};

const VHOSTS: &str = "Virtual hosts";
const USERS: &str = "Users";

pub(super) const COMMANDS: &[Command] = &[
    Command::new("clear_user_limits", |session| {
        let (user, limit) = (session.argument(0), session.argument(1));
        session
            .ask_or(&Request::ClearUserLimits { user, limit }, bare_user)
            .map(|_| Output::Nothing)
    })
    .help("<username> <limit_type> | all", "Clears one limit of a user, or all")
    .takes(2, 2)
    .banner(|_, _, args| match args[1].as_str() {
        "all" => format!("Clearing all limits for user \"{}\" ...", args[0]),
        limit => format!("Clearing \"{limit}\" limit for user \"{}\" ...", args[0]),
    })
    .under(USERS),
    Command::new("list_user_limits", list_user_limits)
        .help(
            "[--user <username>] [--global]",
            "Lists the limits of one user, or of all",
        )
        .with(&[text("user"), flag("global")])
        .in_both()
        .banner(|_, options, _| match options.flag("global") {
            true => "Listing limits for all users ...".into(),
            false => format!(
                "Listing limits for user \"{}\" ...",
                options.text("user").unwrap_or("guest")
            ),
        })
        .under(USERS),
    Command::new("set_user_limits", |session| {
        let (user, limits) = (session.argument(0), session.argument(1));
        session
            .ask_or(&Request::SetUserLimits { user, limits }, bare_user)
            .map(|_| Output::Nothing)
    })
    .help(
        "<username> <definition>",
        "Sets limits of a user: max-connections, max-channels",
    )
    .takes(2, 2)
    .banner(|_, _, args| format!("Setting user limits to \"{}\" for user \"{}\" ...", args[1], args[0]))
    .under(USERS),
    Command::new("clear_vhost_limits", |session| {
        let vhost = session.vhost();
        session
            .ask_or(&Request::ClearVhostLimits { vhost }, nothing_to_clear)
            .map(|_| Output::Nothing)
    })
    .help("[--vhost <vhost>]", "Clears the limits of a virtual host")
    .banner(|_, options, _| format!("Clearing vhost \"{}\" limits ...", options.vhost()))
    .under(VHOSTS),
    Command::new("list_vhost_limits", list_vhost_limits)
        .help(
            "[--vhost <vhost>] [--global] [--no-table-headers]",
            "Lists the limits of one virtual host, or of all",
        )
        .with(&[flag("global")])
        .in_both()
        .banner(|_, options, _| match options.flag("global") {
            true => "Listing limits for all vhosts ...".into(),
            false => format!("Listing limits for vhost \"{}\" ...", options.vhost()),
        })
        .under(VHOSTS),
    Command::new("set_vhost_limits", |session| {
        let (vhost, limits) = (session.vhost(), session.argument(0));
        session
            .ask(&Request::SetVhostLimits { vhost, limits })
            .map(|_| Output::Nothing)
    })
    .help(
        "[--vhost <vhost>] <definition>",
        "Sets limits of a virtual host: max-connections, max-queues",
    )
    .takes(1, 1)
    .banner(|_, options, args| {
        format!(
            "Setting vhost limits to \"{}\" for vhost \"{}\" ...",
            args[0],
            options.vhost()
        )
    })
    .under(VHOSTS),
];

/// The limits of one are a text; none are an empty list.
fn of_one(session: &mut Session<'_>, what: Listing, words: impl FnOnce(Failure) -> Problem) -> Result<Output, Problem> {
    let columns = vec!["limits".to_owned()];
    let mut found = None;
    let answer = session.list(&Request::List { what, columns }, |row| {
        found = row.first().map(format::text);
        Ok(())
    })?;
    answer.map_err(words)?;
    Ok(match found {
        Some(text) => Output::Text(text),
        None => Output::Values(String::new(), Term::List(Vec::new())),
    })
}

fn list_user_limits(session: &mut Session<'_>) -> Result<Output, Problem> {
    match session.options.flag("global") {
        true => List::of(&["user", "limits"]).print(session, Listing::UserLimits(None)),
        false => {
            let user = session.options.text("user").unwrap_or("guest").to_owned();
            of_one(session, Listing::UserLimits(Some(user)), bare_user)
        }
    }
}

fn list_vhost_limits(session: &mut Session<'_>) -> Result<Output, Problem> {
    match session.options.flag("global") {
        true => List::of(&["vhost", "limits"]).print(session, Listing::VhostLimits(None)),
        false => {
            let what = Listing::VhostLimits(Some(session.vhost()));
            of_one(session, what, Problem::from)
        }
    }
}
