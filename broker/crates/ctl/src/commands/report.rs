//! `report`: what support wants to see, one page after the other, each as its own command prints it.

use crate::command::{Command, Output, Session};
use crate::problem::{Problem, USAGE};
use link::{Listing, Request};

/// What is shown once.
const ONCE: [&str; 9] = [
    "status",
    "cluster_status",
    "environment",
    "list_connections",
    "list_channels",
    "list_users",
    "list_vhosts",
    "list_global_parameters",
    "list_feature_flags",
];
/// What is shown of each virtual host.
const EACH: [&str; 8] = [
    "list_queues",
    "list_exchanges",
    "list_bindings",
    "list_consumers",
    "list_permissions",
    "list_policies",
    "list_operator_policies",
    "list_parameters",
];

pub(super) const COMMANDS: &[Command] = &[Command::new("report", report)
    .help(
        "[--timeout <timeout>]",
        "Generate a server status report containing a concatenation of all server status information for support purposes",
    )
    .checked(|options, _| match options.text("formatter") {
        None | Some("report") => Ok(()),
        Some(_) => Err(Problem::arguments(USAGE, "\"Only report formatter is supported\"")),
    })
    .in_both()
    .banner(|target, _, _| format!("Reporting server status of node {} ...\n", target.name))
    .under("Monitoring, observability and health checks")];

fn report(session: &mut Session<'_>) -> Result<Output, Problem> {
    for name in ONCE {
        show(session, name, None)?;
    }
    for vhost in vhosts(session)? {
        for name in EACH {
            show(session, name, Some(&vhost))?;
        }
    }
    Ok(Output::Printed)
}

fn vhosts(session: &mut Session<'_>) -> Result<Vec<String>, Problem> {
    let request = Request::List {
        what: Listing::Vhosts,
        columns: vec!["name".to_owned()],
    };
    let mut names = Vec::new();
    session.list(&request, |row| {
        names.extend(row.iter().map(crate::format::text));
        Ok(())
    })??;
    Ok(names)
}

fn show(session: &mut Session<'_>, name: &str, vhost: Option<&str>) -> Result<(), Problem> {
    let Some(command) = super::all().find(|command| command.name == name) else {
        return Ok(());
    };
    let options = match vhost {
        Some(vhost) => session.options.with_vhost(vhost),
        None => session.options.clone(),
    };
    tell!("{}", (command.banner)(session.target, &options, &[]));
    let mut inner = Session {
        client: session.client,
        target: session.target,
        options: &options,
        arguments: &[],
        command,
        cookie_hash: session.cookie_hash.clone(),
    };
    match (command.run)(&mut inner)? {
        Output::Text(text)
        | Output::Both(text, _)
        | Output::Values(text, _)
        | Output::Value { text, .. }
        | Output::Formats { text, .. } => {
            tell!("{text}")
        }
        Output::Nothing | Output::Printed => {}
    }
    tell!("");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_reported_is_a_command() {
        for name in ONCE.iter().chain(&EACH) {
            assert!(super::super::all().any(|command| command.name == *name), "{name}");
        }
    }
}
