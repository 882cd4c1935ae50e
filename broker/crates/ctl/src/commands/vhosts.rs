//! Virtual hosts.
//!
//! Creating one that exists changes nothing and is no error.

use crate::command::{ANY, Command, Output, Session, text};
use crate::commands::List;
use crate::problem::{Problem, SOFTWARE};
use link::{Failure, Listing, Request, Term};

const VHOSTS: &str = "Virtual hosts";
const COLUMNS: &[&str] = &[
    "name",
    "description",
    "tags",
    "default_queue_type",
    "tracing",
    "cluster_state",
    "protected_from_deletion",
];

const fn protection(name: &'static str, run: fn(&mut Session<'_>) -> Result<Output, Problem>) -> Command {
    Command::new(name, run).takes(1, 1).under(VHOSTS)
}

fn protect(session: &mut Session<'_>, on: bool) -> Result<Output, Problem> {
    let vhost = session.argument(0);
    session
        .ask(&Request::ProtectVhost { vhost, on })
        .map(|_| Output::Nothing)
}

pub(super) const COMMANDS: &[Command] = &[
    Command::new("add_vhost", |session| {
        let tags = session.options.text("tags").unwrap_or_default();
        let tags = tags.split(',').map(|tag| tag.trim().to_owned());
        let request = Request::AddVhost {
            name: session.argument(0),
            description: session.options.text("description").unwrap_or_default().to_owned(),
            tags: tags.filter(|tag| !tag.is_empty()).collect(),
            default_queue_type: session.options.text("default-queue-type").map(str::to_owned),
        };
        session.ask(&request).map(|_| Output::Nothing)
    })
    .help(
        "<vhost> [--description <description> --tags \"<tag1>,<tag2>,<...>\" --default-queue-type <quorum|classic|stream>]",
        "Creates a virtual host",
    )
    .takes(1, 1)
    .with(&[text("description"), text("tags"), text("default-queue-type")])
    .banner(|_, _, args| format!("Adding vhost \"{}\" ...", args[0]))
    .under(VHOSTS),
    Command::new("delete_vhost", |session| {
        let name = session.argument(0);
        session.ask(&Request::DeleteVhost { name }).map(|_| Output::Nothing)
    })
    .help("<vhost>", "Deletes a virtual host with all it holds")
    .takes(1, 1)
    .banner(|_, _, args| format!("Deleting vhost \"{}\" ...", args[0]))
    .under(VHOSTS),
    unprotecting("disable_vhost_protection_from_deletion"),
    unprotecting("disable_vhost_deletion_protection"),
    protecting("enable_vhost_protection_from_deletion"),
    protecting("enable_vhost_deletion_protection"),
    Command::new("list_vhosts", |session| List::asked(session).print(session, Listing::Vhosts))
        .help("[--no-table-headers] [<column> ...] [--timeout <timeout>]", "Lists virtual hosts")
        .columns(COLUMNS, 1)
        .in_both()
        .banner(|_, _, _| "Listing vhosts ...".into())
        .under("Access Control"),
    Command::new("update_vhost_metadata", |session| {
        let tags = session.options.text("tags").map(|tags| {
            let tags = tags.split(',').map(|tag| tag.trim().to_owned());
            tags.filter(|tag| !tag.is_empty()).collect()
        });
        let request = Request::UpdateVhost {
            name: session.argument(0),
            description: session.options.text("description").map(str::to_owned),
            tags,
            default_queue_type: session.options.text("default-queue-type").map(str::to_owned),
        };
        session.ask(&request).map(|_| Output::Nothing)
    })
    .help(
        "<vhost> [--description <description>] [--tags \"<tag1>,<tag2>,<...>\"] [--default-queue-type <quorum|classic|stream>]",
        "Updates metadata (tags, description, default queue type) a virtual host",
    )
    .takes(1, 1)
    .with(&[text("description"), text("tags"), text("default-queue-type")])
    .banner(|_, _, args| format!("Updating metadata of vhost \"{}\" ...", args[0]))
    .under(VHOSTS),
    Command::new("restart_vhost", |session| {
        let (vhost, node) = (session.vhost(), session.target.name.clone());
        let request = Request::List {
            what: Listing::Permissions(vhost.clone()),
            columns: Vec::new(),
        };
        let missing = |failure| match failure {
            Failure::NoSuchVhost(name) => Problem::error(
                SOFTWARE,
                format!("Failed to start vhost '{name}' on node '{node}'Reason: {{:no_such_vhost, \"{name}\"}}"),
            ),
            other => other.into(),
        };
        session.list(&request, |_| Ok(()))?.map_err(missing)?;
        // A virtual host is served whenever its node runs.
        Ok(Output::Text(format!(
            "Vhost '{vhost}' is already running on node '{}'",
            session.target.name
        )))
    })
    .help("[--vhost <vhost>]", "Restarts a failed vhost data stores and queues")
    .banner(|target, options, _| {
        format!("Trying to restart vhost '{}' on node '{}' ...", options.vhost(), target.name)
    })
    .under(VHOSTS),
    Command::new("set_vhost_tags", |session| {
        let (vhost, tags) = (session.argument(0), session.arguments[1..].to_vec());
        session.ask(&Request::SetVhostTags { vhost, tags }).map(|_| Output::Nothing)
    })
    .help("<vhost> <tag> [...]", "Replaces the tags of a virtual host")
    .takes(1, ANY)
    .banner(|_, _, args| format!("Setting tags for virtual host \"{}\" to [{}] ...", args[0], args[1..].join(", ")))
    .under(VHOSTS),
    Command::new("trace_off", |session| {
        let vhost = session.vhost();
        session.ask(&Request::Trace { vhost, on: false })?;
        Ok(said(format!("Trace disabled for vhost {}", session.vhost())))
    })
    .help("[--vhost <vhost>]", "Ends copies of all messages to amq.rabbitmq.trace")
    .banner(|_, options, _| format!("Stopping tracing for vhost \"{}\" ...", options.vhost()))
    .under(VHOSTS),
    Command::new("trace_on", |session| {
        let vhost = session.vhost();
        session.ask(&Request::Trace { vhost, on: true })?;
        Ok(said(format!("Trace enabled for vhost {}", session.vhost())))
    })
    .help("[--vhost <vhost>]", "Sends copies of all messages to amq.rabbitmq.trace")
    .banner(|_, options, _| format!("Starting tracing for vhost \"{}\" ...", options.vhost()))
    .under(VHOSTS),
];

fn said(text: String) -> Output {
    let term = Term::text(&text);
    Output::Value { text, term }
}

/// RabbitMQ 4 has two names for it.
const fn protecting(name: &'static str) -> Command {
    protection(name, |session| protect(session, true))
        .help("<vhost>", "Protects a virtual host from being deleted")
        .banner(|_, _, args| format!("Protecting virtual host '{}' from deletion ...", args[0]))
}

const fn unprotecting(name: &'static str) -> Command {
    protection(name, |session| protect(session, false))
        .help("<vhost>", "Lets a virtual host be deleted again")
        .banner(|_, _, args| format!("Removing deletion protection of virtual host '{}' ...", args[0]))
}
