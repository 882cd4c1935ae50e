//! Runtime parameters of virtual hosts and of the whole cluster.
//!
//! Values are JSON and go to the node as they are.

use crate::command::{Command, Output};
use crate::commands::{List, nothing_to_clear};
use link::{Listing, Request};

const PARAMETERS: &str = "Parameters";

pub(super) const COMMANDS: &[Command] = &[
    Command::new("clear_global_parameter", |session| {
        let name = session.argument(0);
        session
            .ask(&Request::ClearGlobalParameter { name })
            .map(|_| Output::Nothing)
    })
    .help("<name>", "Clears a parameter of the cluster")
    .takes(1, 1)
    .banner(|_, _, args| format!("Clearing global runtime parameter \"{}\" ...", args[0]))
    .under(PARAMETERS),
    Command::new("clear_parameter", |session| {
        let request = Request::ClearParameter {
            vhost: session.vhost(),
            component: session.argument(0),
            name: session.argument(1),
        };
        session.ask_or(&request, nothing_to_clear).map(|_| Output::Nothing)
    })
    .help(
        "[--vhost <vhost>] <component_name> <name>",
        "Clears a parameter of a virtual host",
    )
    .takes(2, 2)
    .banner(|_, options, args| {
        let (component, name, vhost) = (&args[0], &args[1], options.vhost());
        format!("Clearing runtime parameter \"{name}\" for component \"{component}\" on vhost \"{vhost}\" ...")
    })
    .under(PARAMETERS),
    Command::new("list_global_parameters", |session| {
        List::of(&["name", "value"]).print(session, Listing::GlobalParameters)
    })
    .help(
        "[--no-table-headers] [--timeout <timeout>]",
        "Lists the parameters of the cluster",
    )
    .in_both()
    .banner(|_, _, _| "Listing global runtime parameters ...".into())
    .under(PARAMETERS),
    Command::new("list_parameters", |session| {
        let what = Listing::Parameters(session.vhost());
        List::of(&["component", "name", "value"]).print(session, what)
    })
    .help(
        "[--vhost <vhost>] [--no-table-headers] [--timeout <timeout>]",
        "Lists the parameters of a virtual host",
    )
    .in_both()
    .banner(|_, options, _| format!("Listing runtime parameters for vhost \"{}\" ...", options.vhost()))
    .under(PARAMETERS),
    Command::new("set_global_parameter", |session| {
        let (name, value) = (session.argument(0), session.argument(1));
        session
            .ask(&Request::SetGlobalParameter { name, value })
            .map(|_| Output::Nothing)
    })
    .help("<name> <value>", "Sets a parameter of the cluster")
    .takes(2, 2)
    .banner(|_, _, args| {
        format!(
            "Setting global runtime parameter \"{}\" to \"{}\" ...",
            args[0], args[1]
        )
    })
    .under(PARAMETERS),
    Command::new("set_parameter", |session| {
        let request = Request::SetParameter {
            vhost: session.vhost(),
            component: session.argument(0),
            name: session.argument(1),
            value: session.argument(2),
        };
        session.ask(&request).map(|_| Output::Nothing)
    })
    .help(
        "[--vhost <vhost>] <component_name> <name> <value>",
        "Sets a parameter of a virtual host",
    )
    .takes(3, 3)
    .banner(|_, options, args| {
        let (component, name, value, vhost) = (&args[0], &args[1], &args[2], options.vhost());
        format!(
            "Setting runtime parameter \"{name}\" for component \"{component}\" to \"{value}\" in vhost \"{vhost}\" ..."
        )
    })
    .under(PARAMETERS),
];
