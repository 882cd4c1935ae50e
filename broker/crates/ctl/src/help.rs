//! Usage lines and help pages, made from the commands themselves.
//!
//! Headings are bold whatever the terminal, as users of RabbitMQ's tools know them.

use crate::command::Command;
use crate::run::Tool;

fn heading(text: &str) -> String {
    format!("\x1b[1m{text}\x1b[0m")
}

/// `Usage` and the line under it.
pub(crate) fn usage(tool: Tool, command: &Command) -> String {
    let line = format!(
        "{} [--node <node>] [--longnames] [--quiet] {} {}",
        tool.name(),
        command.name,
        command.usage
    );
    format!("\n{}\n\n{}", heading("Usage"), line.trim_end())
}

/// The page of one command.
pub(crate) fn of(tool: Tool, command: &Command) -> String {
    let mut page = format!("{}\n\n{}.\n", usage(tool, command), command.help);
    if let Some((columns, shown)) = command.columns {
        let (shown, all) = (columns[..shown].join(" "), columns.join(" "));
        page += &format!("\n{}\n\n{all}\n\nDefault: {shown}\n", heading("Columns"));
    }
    page += &format!("\n{}\n\n{OPTIONS}", heading("General Options"));
    page
}

const OPTIONS: &str = "-?, --help             this page
-n, --node <node>      the node to talk to
-l, --longnames        host names with their domain
-q, --quiet            no informational lines
-s, --silent           neither those nor table headers
-t, --timeout <n>      seconds that the command may take
-p, --vhost <vhost>    the virtual host, where there is one
    --no-table-headers no table headers
    --formatter <name> table, json, json_stream, csv, pretty_table, erlang, inspect
                       or string
    --erlang-cookie <secret>
                       the shared secret, instead of that in .erlang.cookie
";

/// The page of all commands.
pub(crate) fn overview(tool: Tool) -> String {
    let name = tool.name();
    let mut page = format!(
        "\n{}\n\n{name} [--node <node>] [--timeout <timeout>] [--longnames] [--quiet] <command> [<command options>]\n\n\
         Available commands:\n",
        heading("Usage")
    );
    let longest = tool.commands().map(|command| command.name.len()).max().unwrap_or(0);
    let mut sections: Vec<&str> = Vec::new();
    for command in tool.commands() {
        if !sections.contains(&command.section) {
            sections.push(command.section);
        }
    }
    for section in sections {
        page += &format!("\n{}:\n\n", heading(section));
        for command in tool.commands().filter(|command| command.section == section) {
            page += &format!("   {:longest$}  {}\n", command.name, command.help);
        }
    }
    page + &format!("\nUse '{name} help <command>' to learn more about a specific command")
}
