//! `rabbitmqadmin`: a broker administered over its management API, as this binary and as the Python script that nodes
//! hand out at `/cli/rabbitmqadmin`.
//!
//! Both know words, options and help from one table, `words.json`, and say the same; one table of cases in the oracle
//! plays both, and RabbitMQ's own. Every subcommand is one request: nothing is decided here that the broker could decide.

/// Prints a line. Whoever closes the other end, as `head` does, has read enough: the tool ends, and all is well.
macro_rules! tell {
    ($($argument:tt)*) => {{
        let line = format_args!($($argument)*);
        if let Err(error) = std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{line}\n"))
            && error.kind() == std::io::ErrorKind::BrokenPipe
        {
            std::process::exit(0);
        }
    }};
}

mod help;
mod ini;
mod options;
mod problem;
mod request;
mod run;
mod settings;
mod show;
mod tls;
mod wire;
mod words;

pub use run::main;

/// The name that it is called by.
pub const NAME: &str = "rabbitmqadmin";

const SCRIPT: &str = include_str!("rabbitmqadmin.py");

/// The section of the reference page, as Markdown.
pub fn reference() -> String {
    format!(
        "\n## {NAME}\n\nSpeaks to the management API; a node hands out the same tool as a Python script at `/cli/{NAME}`.\n\n\
         ```text\n{}\n```\n\n```text\n{}\n```\n\n```text\n{}\n```\n",
        help::overview(),
        help::subcommands(),
        help::config()
    )
}

/// The script for whoever has Python and no package of ours. Scripts that deploy brokers compare its version with the broker's.
pub fn script(version: &str) -> String {
    SCRIPT
        .replacen("\"VERSION\"", &format!("\"{version}\""), 1)
        .replacen("WORDS_JSON", words::TEXT, 1)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_script_holds_its_version_and_its_words() {
        let text = super::script("1.2.3");
        assert!(text.starts_with("#!/usr/bin/env python3\n"), "{}", &text[..40]);
        assert!(text.contains("VERSION = \"1.2.3\"\n"));
        assert!(text.contains("\"kind\": \"operator_policies\""));
        assert!(!text.contains("WORDS_JSON") && !super::words::TEXT.contains("\"\"\""));
    }
}
