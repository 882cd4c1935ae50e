//! `rabbitmq-server -detached`: the broker goes on in a session of its own, and the caller has its shell back at once.
//!
//! What becomes of the start is in the log; `rabbitmqctl wait` and `await_startup` tell when it is done.

use anyhow::Context;
use std::process::{Command, ExitCode, Stdio};

use crate::{config::ServerArgs, server};

/// Runs what `rabbitmq-server` is called with.
pub fn rabbitmq_server(arguments: &[String]) -> ExitCode {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [] => server::main(&ServerArgs::default()),
        ["-detached"] => match start() {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => complain(&format!("{why:#}"), 1),
        },
        _ => {
            let given = words.join(" ");
            complain(
                &format!(
                    "rabbitmq-server {given}: only -detached is understood; all else is in rabbitmq.conf and variables"
                ),
                64,
            )
        }
    }
}

#[expect(clippy::print_stderr, reason = "there is no log yet")]
fn complain(what: &str, exit: u8) -> ExitCode {
    eprintln!("{what}");
    ExitCode::from(exit)
}

/// Starts this program again, which then leaves this session.
fn start() -> anyhow::Result<()> {
    let own = std::env::current_exe().context("cannot find this program to start it again")?;
    let mut command = Command::new(own);
    command.args(["server", "--session"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Not waited for: it is to outlive this process.
    command.spawn().map(drop).context("cannot start the broker")
}
