//! Policies and operator policies.
//!
//! Definitions are JSON and go to the node as they are.

use crate::command::{Command, Output, Session, number, text};
use crate::commands::{List, nothing_to_clear};
use crate::options::{Options, Switch};
use crate::problem::Problem;
use link::{Listing, PolicyLevel, Request};

const POLICIES: &str = "Policies";
const SET_USAGE: &str =
    "[--vhost <vhost>] [--priority <priority>] [--apply-to <apply-to>] <name> <pattern> <definition>";
const LIST_USAGE: &str = "[--vhost <vhost>] [--no-table-headers] [--timeout <timeout>]";
const SWITCHES: &[Switch] = &[number("priority"), text("apply-to")];
const COLUMNS: [&str; 6] = ["vhost", "name", "pattern", "apply-to", "definition", "priority"];

pub(super) const COMMANDS: &[Command] = &[
    Command::new("clear_operator_policy", |session| clear(session, PolicyLevel::Operator))
        .help("[--vhost <vhost>] <name>", "Clears an operator policy")
        .takes(1, 1)
        .banner(|_, options, args| {
            format!(
                "Clearing operator policy \"{}\" on vhost \"{}\" ...",
                args[0],
                options.vhost()
            )
        })
        .under(POLICIES),
    Command::new("clear_policy", |session| clear(session, PolicyLevel::User))
        .help("[--vhost <vhost>] <name>", "Clears a policy")
        .takes(1, 1)
        .banner(|_, options, args| format!("Clearing policy \"{}\" on vhost \"{}\" ...", args[0], options.vhost()))
        .under(POLICIES),
    Command::new("list_operator_policies", |session| list(session, PolicyLevel::Operator))
        .help(LIST_USAGE, "Lists the operator policies of a virtual host")
        .in_both()
        .banner(|_, options, _| {
            format!(
                "Listing operator policy overrides for vhost \"{}\" ...",
                options.vhost()
            )
        })
        .under(POLICIES),
    Command::new("list_policies", |session| list(session, PolicyLevel::User))
        .help(LIST_USAGE, "Lists the policies of a virtual host")
        .in_both()
        .banner(|_, options, _| format!("Listing policies for vhost \"{}\" ...", options.vhost()))
        .under(POLICIES),
    Command::new("set_operator_policy", |session| set(session, PolicyLevel::Operator))
        .help(
            SET_USAGE,
            "Sets an operator policy, whose limits override those of policies",
        )
        .takes(3, 3)
        .with(SWITCHES)
        .banner(|_, options, args| set_banner("operator policy override", options, args))
        .under(POLICIES),
    Command::new("set_policy", |session| set(session, PolicyLevel::User))
        .help(SET_USAGE, "Sets a policy")
        .takes(3, 3)
        .with(SWITCHES)
        .banner(|_, options, args| set_banner("policy", options, args))
        .under(POLICIES),
];

fn set_banner(what: &str, options: &Options, args: &[String]) -> String {
    let (priority, vhost) = (options.number("priority").unwrap_or(0), options.vhost());
    let (name, pattern, definition) = (&args[0], &args[1], &args[2]);
    format!(
        "Setting {what} \"{name}\" for pattern \"{pattern}\" to \"{definition}\" with priority \"{priority}\" for vhost \
         \"{vhost}\" ..."
    )
}

fn set(session: &mut Session<'_>, level: PolicyLevel) -> Result<Output, Problem> {
    let request = Request::SetPolicy {
        vhost: session.vhost(),
        level,
        name: session.argument(0),
        pattern: session.argument(1),
        apply_to: session.options.text("apply-to").unwrap_or("all").to_owned(),
        priority: session.options.number("priority").unwrap_or(0),
        definition: session.argument(2),
    };
    session.ask(&request).map(|_| Output::Nothing)
}

fn clear(session: &mut Session<'_>, level: PolicyLevel) -> Result<Output, Problem> {
    let (vhost, name) = (session.vhost(), session.argument(0));
    let request = Request::ClearPolicy { vhost, level, name };
    session.ask_or(&request, nothing_to_clear).map(|_| Output::Nothing)
}

fn list(session: &mut Session<'_>, level: PolicyLevel) -> Result<Output, Problem> {
    let what = Listing::Policies(session.vhost(), level);
    List::of(&COLUMNS).print(session, what)
}
