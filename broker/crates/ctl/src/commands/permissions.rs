//! Who may do what in which virtual host.
//!
//! These commands name a missing user or virtual host without quotes, as RabbitMQ's do.

use crate::command::{Command, Output, Session};
use crate::commands::{List, bare_user};
use crate::problem::{NO_USER, Problem, UNAVAILABLE};
use link::{Failure, Listing, Request};

const ACCESS: &str = "Access Control";
const LIST_USAGE: &str = "[--vhost <vhost>] [--no-table-headers] [--timeout <timeout>]";

pub(super) const COMMANDS: &[Command] = &[
    Command::new("clear_permissions", |session| {
        let (vhost, user) = (session.vhost(), session.argument(0));
        change(session, &Request::ClearPermissions { vhost, user })
    })
    .help(
        "[--vhost <vhost>] <username>",
        "Takes a user's permissions in a virtual host away",
    )
    .takes(1, 1)
    .banner(|_, options, args| {
        format!(
            "Clearing permissions for user \"{}\" in vhost \"{}\" ...",
            args[0],
            options.vhost()
        )
    })
    .under(ACCESS),
    Command::new("clear_topic_permissions", |session| {
        let (vhost, user) = (session.vhost(), session.argument(0));
        let exchange = session.arguments.get(1).cloned();
        change(session, &Request::ClearTopicPermissions { vhost, user, exchange })
    })
    .help(
        "[--vhost <vhost>] <username> [<exchange>]",
        "Takes a user's topic permissions away, on one exchange or on all",
    )
    .takes(1, 2)
    .banner(|_, options, args| {
        let on = args
            .get(1)
            .map(|exchange| format!(" on \"{exchange}\""))
            .unwrap_or_default();
        let (user, vhost) = (&args[0], options.vhost());
        format!("Clearing topic permissions{on} for user \"{user}\" in vhost \"{vhost}\" ...")
    })
    .under(ACCESS),
    Command::new("list_permissions", |session| {
        let what = Listing::Permissions(session.vhost());
        List::of(&["user", "configure", "write", "read"]).print(session, what)
    })
    .help(LIST_USAGE, "Lists permissions in a virtual host")
    .in_both()
    .banner(|_, options, _| format!("Listing permissions for vhost \"{}\" ...", options.vhost()))
    .under(ACCESS),
    Command::new("list_topic_permissions", |session| {
        let what = Listing::TopicPermissions(session.vhost());
        List::of(&["user", "exchange", "write", "read"]).print(session, what)
    })
    .help(LIST_USAGE, "Lists topic permissions in a virtual host")
    .in_both()
    .banner(|_, options, _| format!("Listing topic permissions for vhost \"{}\" ...", options.vhost()))
    .under(ACCESS),
    Command::new("list_user_permissions", |session| {
        let what = Listing::UserPermissions(session.argument(0));
        List::of(&["vhost", "configure", "write", "read"]).print_or(session, what, bare_user)
    })
    .help(
        "[--no-table-headers] <username> [--timeout <timeout>]",
        "Lists a user's permissions in all virtual hosts",
    )
    .takes(1, 1)
    .in_both()
    .banner(|_, _, args| format!("Listing permissions for user \"{}\" ...", args[0]))
    .under(ACCESS),
    Command::new("list_user_topic_permissions", |session| {
        let what = Listing::UserTopicPermissions(session.argument(0));
        let list = List::of(&["vhost", "exchange", "write", "read"]).without_header();
        list.print_or(session, what, bare_user)
    })
    .help(
        "[--no-table-headers] <username> [--timeout <timeout>]",
        "Lists a user's topic permissions in all virtual hosts",
    )
    .takes(1, 1)
    .in_both()
    .banner(|_, _, args| format!("Listing topic permissions for user \"{}\" ...", args[0]))
    .under(ACCESS),
    Command::new("set_permissions", |session| {
        let request = Request::SetPermissions {
            vhost: session.vhost(),
            user: session.argument(0),
            configure: session.argument(1),
            write: session.argument(2),
            read: session.argument(3),
        };
        change(session, &request)
    })
    .help(
        "[--vhost <vhost>] <username> <conf> <write> <read>",
        "Sets which names a user may configure, write to and read from, as patterns",
    )
    .takes(4, 4)
    .banner(|_, options, args| {
        format!(
            "Setting permissions for user \"{}\" in vhost \"{}\" ...",
            args[0],
            options.vhost()
        )
    })
    .under(ACCESS),
    Command::new("set_topic_permissions", |session| {
        let request = Request::SetTopicPermissions {
            vhost: session.vhost(),
            user: session.argument(0),
            exchange: session.argument(1),
            write: session.argument(2),
            read: session.argument(3),
        };
        change(session, &request)
    })
    .help(
        "[--vhost <vhost>] <username> <exchange> <write> <read>",
        "Sets which keys a user may publish and bind on a topic exchange, as patterns",
    )
    .takes(4, 4)
    .banner(|_, options, args| {
        let (user, exchange, vhost) = (&args[0], &args[1], options.vhost());
        format!("Setting topic permissions on \"{exchange}\" for user \"{user}\" in vhost \"{vhost}\" ...")
    })
    .under(ACCESS),
];

fn change(session: &mut Session<'_>, request: &Request) -> Result<Output, Problem> {
    session.ask_or(request, words).map(|_| Output::Nothing)
}

fn words(failure: Failure) -> Problem {
    match failure {
        Failure::NoSuchUser(name) => Problem::error(NO_USER, format!("User {name} does not exist")),
        Failure::NoSuchVhost(name) => Problem::error(UNAVAILABLE, format!("Virtual host {name} does not exist")),
        other => other.into(),
    }
}
