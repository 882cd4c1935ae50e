//! `rabbitmqctl`, `rabbitmq-diagnostics` and their kin: RabbitMQ's commands, texts and exit codes over the peer port.
//!
//! Each command is defined once, in `commands`. This side checks arguments and prints; the node decides and acts.
//! What is not there is refused by name, never pretended.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks on its standard streams"
)]

/// Prints a line. Whoever closes the other end, as `head` does, has read enough: the tool ends, and all is well.
macro_rules! tell {
    ($($argument:tt)*) => {{
        let line = format_args!($($argument)*);
        if let Err(error) = std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{line}\n")) {
            $crate::problem::unheard(&error);
        }
    }};
}

mod client;
mod command;
mod commands;
mod elixir;
mod format;
mod help;
mod image;
mod names;
mod node;
mod options;
mod problem;
mod reference;
mod run;

pub use command::{Members, Offline, Plugin, Plugins, Told};
pub use image::{NoCopy, NodeChoice, Piece, copy_node};
pub use node::know_variables;
pub use run::{Tool, main};
