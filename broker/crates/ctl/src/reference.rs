//! The reference page of all commands, made from the commands themselves; `docs/commands.md` is this page.
//!
//! What RabbitMQ has and this broker does not stands at its end, each with the reason.

use crate::commands;
use crate::run::Tool;
use std::fmt::Write;

const HEAD: &str = "# Commands

Generated: `warren ctl --print-reference > docs/commands.md`. The tools are called as RabbitMQ's are (`rabbitmqctl`, \
`rabbitmq-diagnostics`, `rabbitmq-plugins`, `rabbitmq-queues`, `rabbitmq-streams`, `rabbitmq-upgrade`, `rabbitmqadmin`), or `warren ctl`, \
`warren diagnostics`, `warren admin` and so on. Options, formats, texts and exit codes are those of RabbitMQ 3.10; `help COMMAND` tells more of each.
";

/// The page as Markdown.
pub(crate) fn page() -> String {
    let mut page = HEAD.to_owned();
    for tool in Tool::ALL.into_iter().filter(|tool| tool.commands().next().is_some()) {
        page += &format!("\n## {}\n\n| command | what it does |\n| --- | --- |\n", tool.name());
        let mut all: Vec<_> = tool.commands().collect();
        all.sort_by_key(|command| command.name);
        for command in all {
            let line = format!("{} {}", command.name, command.usage);
            let line = line.trim_end().replace('|', "\\|");
            row(&mut page, &line, command.help);
        }
    }
    page += &rabbitmqadmin::reference();
    page += "\n## Not here\n\nThese are refused by name, with exit code 64; so is everything that `rabbitmq-streams` does.\n\n| command | why |\n| --- | --- |\n";
    for (name, why) in commands::NOT_HERE {
        row(&mut page, name, why);
    }
    page
}

fn row(page: &mut String, command: &str, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(page, "| `{command}` | {text} |");
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_in_the_docs_is_that_of_these_commands() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/commands.md");
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            found == super::page(),
            "docs/commands.md is stale: warren ctl --print-reference > docs/commands.md"
        );
    }
}
