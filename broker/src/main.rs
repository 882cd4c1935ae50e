//! One binary under many names: the server, the load generator, the command line tools.
//!
//! Decides by the name it is called by, else by the first argument, what this process is. Nothing else happens here.

use broker::{config, server};
use clap::Parser;
use std::{path::Path, process::ExitCode};

/// A RabbitMQ-compatible message broker.
#[derive(Debug, Parser)]
#[command(name = "warren", version, arg_required_else_help = true)]
enum Command {
    /// Run a broker node.
    Server(config::ServerArgs),
    /// Put load on a broker and measure it; `warren perf --help` lists its options.
    #[command(disable_help_flag = true)]
    Perf {
        /// Arguments of the load generator.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let called = arguments.first().map_or("warren", |path| file_name(path)).to_owned();
    match called.as_str() {
        "rabbitmq-server" => server::main(&config::ServerArgs::default()),
        _ => match Command::parse_from(arguments) {
            Command::Server(args) => server::main(&args),
            Command::Perf { arguments } => perf::main(std::iter::once("perf".to_owned()).chain(arguments)),
        },
    }
}

fn file_name(path: &str) -> &str {
    Path::new(path)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("warren")
}
