//! The commands, one file per subject. A command that is not in the list does not exist.
//!
//! What RabbitMQ has and this broker does not is named here, so that it is refused and not taken for a typing error.

mod alarms;
mod certificates;
mod checks;
mod cluster;
mod cluster_page;
mod definitions;
mod definitions_file;
mod encryption;
mod environment;
mod erlang_page;
mod eval;
mod events;
mod features;
mod leaders;
mod lifecycle;
mod limits;
mod lists;
mod logs;
mod members;
mod network;
mod operations;
mod parameters;
mod permissions;
mod plugins;
mod policies;
mod rename;
mod report;
mod status;
mod suites;
mod upkeep;
mod users;
mod vhosts;

use crate::command::{Command, Output, Session, asked_columns};
use crate::format::{Format, Printer};
use crate::problem::Problem;
use link::{Failure, Listing, Request};

/// The version whose commands these are.
pub(crate) const VERSION: &str = "3.13.7";

const GROUPS: [&[Command]; 27] = [
    lifecycle::COMMANDS,
    cluster::COMMANDS,
    rename::COMMANDS,
    users::COMMANDS,
    permissions::COMMANDS,
    lists::COMMANDS,
    status::COMMANDS,
    checks::COMMANDS,
    parameters::COMMANDS,
    policies::COMMANDS,
    vhosts::COMMANDS,
    alarms::COMMANDS,
    operations::COMMANDS,
    leaders::COMMANDS,
    eval::COMMANDS,
    events::COMMANDS,
    plugins::COMMANDS,
    certificates::COMMANDS,
    definitions::COMMANDS,
    encryption::COMMANDS,
    environment::COMMANDS,
    features::COMMANDS,
    logs::COMMANDS,
    members::COMMANDS,
    network::COMMANDS,
    report::COMMANDS,
    upkeep::COMMANDS,
];

/// All commands, limits with their subjects.
pub(crate) fn all() -> impl Iterator<Item = &'static Command> {
    GROUPS.iter().copied().flatten().chain(limits::COMMANDS)
}

/// Commands of RabbitMQ, 3.10 to 4, that are refused by name.
pub(crate) const NOT_HERE: &[(&str, &str)] = &[
    (
        "activate_free_disk_space_monitoring",
        "the free space is always looked at; `set_disk_free_limit` says from where on it matters",
    ),
    ("activate_stream_consumer", STREAMS),
    ("add_replica", STREAMS),
    ("add_signing_key", PLUGIN),
    ("add_super_stream", STREAMS),
    ("add_uaa_key", PLUGIN),
    (
        "check_if_cluster_has_classic_queue_mirroring_policy",
        "mirroring is what this broker is for; `list_policies` shows the policies",
    ),
    (
        "clear_auth_backend_cache",
        "users are looked up in the definitions, no answer is cached",
    ),
    ("command_line_arguments", ERLANG),
    (
        "consistent_hash_exchange_ring_state",
        "an exchange has no ring that differs between nodes; `list_bindings` shows the weights",
    ),
    ("coordinator_status", STREAMS),
    (
        "deactivate_free_disk_space_monitoring",
        "the free space is always looked at; `set_disk_free_limit` says from where on it matters",
    ),
    ("delete_replica", STREAMS),
    ("delete_shovel", PLUGIN),
    ("delete_super_stream", STREAMS),
    ("eval_file", ERLANG),
    ("exec", ERLANG),
    ("federation_status", PLUGIN),
    (
        "force_checkpoint",
        "a quorum queue has no log of its own that would need one",
    ),
    ("grow_to_count", "`grow` adds members on a node that is named"),
    ("list_channel_interceptors", PLUGIN),
    ("list_mqtt_connections", PLUGIN),
    (
        "list_operator_policies_with_classic_queue_mirroring",
        "mirroring is what this broker is for; `list_operator_policies` shows the policies",
    ),
    (
        "list_policies_with_classic_queue_mirroring",
        "mirroring is what this broker is for; `list_policies` shows the policies",
    ),
    ("list_stomp_connections", PLUGIN),
    ("list_stream_connections", STREAMS),
    ("list_stream_consumer_groups", STREAMS),
    ("list_stream_consumers", STREAMS),
    ("list_stream_group_consumers", STREAMS),
    ("list_stream_publishers", STREAMS),
    ("list_stream_tracking", STREAMS),
    ("list_trust_store_certificates", PLUGIN),
    ("list_web_mqtt_connections", PLUGIN),
    ("maybe_stuck", ERLANG),
    (
        "message_size_stats",
        "messages are not counted by their size; `list_queues name message_bytes messages` shows the mean of each queue",
    ),
    (
        "metadata_store_status",
        "there is one store of definitions; `cluster_status` shows the nodes that agree on it",
    ),
    ("observer", ERLANG),
    (
        "reconcile_vhosts",
        "every node serves every virtual host, there is nothing to start",
    ),
    ("refresh_trust_store", PLUGIN),
    ("remote_shell", ERLANG),
    (
        "remove_classic_queue_mirroring_from_policies",
        "mirroring is what this broker is for",
    ),
    ("reset_offset", STREAMS),
    (
        "reset_stats_db",
        "statistics are reset over the management API: `DELETE /api/reset`",
    ),
    ("restart_federation_link", PLUGIN),
    ("restart_shovel", PLUGIN),
    ("restart_stream", STREAMS),
    ("runtime_thread_stats", ERLANG),
    ("schema_info", ERLANG),
    ("set_channel_interceptor_priorities", PLUGIN),
    ("set_stream_retention_policy", STREAMS),
    ("shovel_status", PLUGIN),
    ("stream_status", STREAMS),
    (
        "transfer_leadership",
        "leaders are moved by `rabbitmq-queues rebalance` and `rabbitmq-upgrade drain`",
    ),
];

const STREAMS: &str = "there are no streams, only classic and quorum queues";
const PLUGIN: &str = "it belongs to a plugin that this broker does not have";
const ERLANG: &str = "it shows or runs the Erlang virtual machine, and there is none";

/// Why RabbitMQ's command of this name is not here.
pub(crate) fn why_not(name: &str) -> Option<&'static str> {
    NOT_HERE.iter().find(|(known, _)| *known == name).map(|(_, why)| *why)
}

/// How a list is shown.
struct List {
    columns: Vec<String>,
    with_header: bool,
    /// A blank line stands for no rows.
    blank: bool,
}

impl List {
    fn of(columns: &[&str]) -> Self {
        List {
            columns: columns.iter().map(|&name| name.to_owned()).collect(),
            with_header: true,
            blank: true,
        }
    }

    fn without_header(mut self) -> Self {
        self.with_header = false;
        self
    }

    /// Columns that are asked for, else the command's default.
    fn asked(session: &Session<'_>) -> Self {
        let (all, shown) = session.command.columns.unwrap_or((&[], 0));
        let mut list = List::of(&all[..shown]);
        let asked = asked_columns(session.arguments);
        if !asked.is_empty() {
            list.columns = asked;
        }
        list.blank = false;
        list
    }

    fn print(self, session: &mut Session<'_>, what: Listing) -> Result<Output, Problem> {
        self.print_or(session, what, Problem::from)
    }

    fn print_or(
        self,
        session: &mut Session<'_>,
        what: Listing,
        words: impl FnOnce(Failure) -> Problem,
    ) -> Result<Output, Problem> {
        let silent = session.options.flag("silent") || session.options.is_off("table-headers");
        let format = Format::of(session.options)?;
        let mut printer = Printer::new(format, &self.columns, self.with_header && !silent);
        let request = Request::List {
            what,
            columns: self.columns,
        };
        session.list(&request, |row| printer.row(row))?.map_err(words)?;
        printer.end(self.blank)?;
        Ok(Output::Printed)
    }
}

/// `Failure::NoSuchUser` as an Erlang term: what commands say that do not look for the user themselves.
fn bare_user(failure: Failure) -> Problem {
    match failure {
        Failure::NoSuchUser(name) => {
            Problem::error(crate::problem::UNAVAILABLE, format!("{{:no_such_user, \"{name}\"}}"))
        }
        other => other.into(),
    }
}

/// Clearing in a virtual host that does not exist finds nothing to clear.
fn nothing_to_clear(failure: Failure) -> Problem {
    match failure {
        Failure::NoSuchVhost(_) => Problem::error(crate::problem::UNAVAILABLE, "Parameter does not exist"),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_there_once_and_says_what_it_is_for() {
        let mut names: Vec<_> = all().map(|command| command.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for command in all() {
            assert!(
                !command.help.is_empty() && !command.section.is_empty(),
                "{}",
                command.name
            );
            assert!(why_not(command.name).is_none(), "{}", command.name);
        }
    }
}
