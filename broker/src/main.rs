//! One binary under many names: the server, the load generator, the command line tools.
//!
//! Decides by the name it is called by, else by the first argument, what this process is. Nothing else happens here.

use broker::{config, detached, host, offline, server};
use clap::Parser;
use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

/// A RabbitMQ-compatible message broker.
#[derive(Debug, Parser)]
#[command(name = "warren", version, arg_required_else_help = true)]
enum Command {
    /// Run a broker node.
    Server(config::ServerArgs),
    /// Ask and operate a node, as rabbitmqctl does; `warren ctl help` lists its commands.
    #[command(disable_help_flag = true)]
    Ctl {
        /// Arguments of rabbitmqctl.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check a node, as rabbitmq-diagnostics does; `warren diagnostics help` lists its commands.
    #[command(disable_help_flag = true)]
    Diagnostics {
        /// Arguments of rabbitmq-diagnostics.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Switch plugins, as rabbitmq-plugins does; `warren plugins help` lists its commands.
    #[command(disable_help_flag = true)]
    Plugins {
        /// Arguments of rabbitmq-plugins.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Look after replicated queues, as rabbitmq-queues does; `warren queues help` lists its commands.
    #[command(disable_help_flag = true)]
    Queues {
        /// Arguments of rabbitmq-queues.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Refuse by name what rabbitmq-streams does: there are no streams.
    #[command(disable_help_flag = true)]
    Streams {
        /// Arguments of rabbitmq-streams.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Prepare a node for an upgrade, as rabbitmq-upgrade does; `warren upgrade help` lists its commands.
    #[command(disable_help_flag = true)]
    Upgrade {
        /// Arguments of rabbitmq-upgrade.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Administer a broker over its management API, as rabbitmqadmin does; `warren admin help subcommands` lists what it does.
    #[command(disable_help_flag = true)]
    Admin {
        /// Arguments of rabbitmqadmin.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Copy a running node, or the directory of a stopped one, into a tar file.
    Backup(offline::BackupArgs),
    /// Put a backup into an empty data directory.
    Restore(offline::RestoreArgs),
    /// Explain what is stored in a data directory that no node runs on.
    Store(offline::StoreArgs),
    /// Put load on a broker and measure it; `warren perf --help` lists its options.
    #[command(disable_help_flag = true)]
    Perf {
        /// Arguments of the load generator.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// What the command line tools have done to files by the server's code.
const OFFLINE: ctl::Offline = ctl::Offline {
    rename: offline::rename,
    members: members_at_rest,
    forget: offline::forget,
    plugins: plugins_at_rest,
    enable_plugins: offline::enable_plugins,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let called = arguments.first().map_or("warren", |path| file_name(path)).to_owned();
    if called == rabbitmqadmin::NAME {
        return rabbitmqadmin::main(&arguments[1..], host::RABBITMQ_VERSION);
    }
    if called != "rabbitmq-server" {
        ctl::know_variables(config::variables_of_file(&config::Process));
    }
    if let Some(tool) = ctl::Tool::called(&called) {
        return ctl::main(tool, &arguments[1..], &OFFLINE);
    }
    match called.as_str() {
        "rabbitmq-server" => detached::rabbitmq_server(&arguments[1..]),
        _ => match Command::parse_from(arguments) {
            Command::Server(args) => server::main(&args),
            Command::Ctl { arguments } => ctl::main(ctl::Tool::Ctl, &arguments, &OFFLINE),
            Command::Diagnostics { arguments } => ctl::main(ctl::Tool::Diagnostics, &arguments, &OFFLINE),
            Command::Plugins { arguments } => ctl::main(ctl::Tool::Plugins, &arguments, &OFFLINE),
            Command::Queues { arguments } => ctl::main(ctl::Tool::Queues, &arguments, &OFFLINE),
            Command::Streams { arguments } => ctl::main(ctl::Tool::Streams, &arguments, &OFFLINE),
            Command::Upgrade { arguments } => ctl::main(ctl::Tool::Upgrade, &arguments, &OFFLINE),
            Command::Admin { arguments } => rabbitmqadmin::main(&arguments, host::RABBITMQ_VERSION),
            Command::Backup(args) => tell(&match &args.vhost {
                None => back_up(&args, &args.file),
                Some(vhost) => offline::back_up_vhost(&args.file, vhost, |file| back_up(&args, file)),
            }),
            Command::Restore(args) => tell(&offline::restore(&args)),
            Command::Store(args) => tell(&offline::store(&args)),
            Command::Perf { arguments } => perf::main(std::iter::once("perf".to_owned()).chain(arguments)),
        },
    }
}

/// Who belongs to the cluster as far as the stopped node knows.
fn members_at_rest() -> Result<ctl::Members, (u8, String)> {
    let offline::Members { own, is_disc, all } = offline::members()?;
    Ok(ctl::Members { own, is_disc, all })
}

/// All plugins, and those that the file names.
fn plugins_at_rest() -> Result<ctl::Plugins, String> {
    let (file, plugins) = offline::plugins()?;
    let known = config::Plugins::known().map(|plugin| ctl::Plugin {
        name: plugin.name.to_owned(),
        description: plugin.description.to_owned(),
        needs: plugin.needs.iter().map(|&need| need.to_owned()).collect(),
        is_running: false,
    });
    Ok(ctl::Plugins {
        known: known.collect(),
        explicit: plugins.explicit.into_iter().collect(),
        file: file.display().to_string(),
    })
}

/// Backs up a directory, or a node as the command line's tools reach it.
fn back_up(args: &offline::BackupArgs, file: &Path) -> offline::Answer {
    if let Some(directory) = &args.data {
        return offline::back_up_directory(directory, file);
    }
    let choice = ctl::NodeChoice {
        node: args.node.clone(),
        longnames: args.longnames,
        cookie: args.erlang_cookie.clone(),
    };
    let mut backup = match offline::Backup::begin(file) {
        Ok(backup) => backup,
        Err(why) => return offline::Answer::refused(1, why),
    };
    let copied = ctl::copy_node(&choice, &mut |piece| match piece {
        ctl::Piece::Begin { files, octets } => {
            backup.expect(files, octets);
            Ok(())
        }
        ctl::Piece::File { path, octets } => backup.file(path, octets),
        ctl::Piece::Octets(octets) => backup.octets(octets),
    });
    match copied {
        Ok(()) => backup.finish().unwrap_or_else(|why| offline::Answer::refused(1, why)),
        Err(why) => {
            backup.give_up();
            offline::Answer {
                text: String::new(),
                complaint: format!("{}\n", why.text),
                exit: why.exit,
            }
        }
    }
}

/// Prints what a tool answers. Who closed the streams does not want to read.
fn tell(answer: &offline::Answer) -> ExitCode {
    let _ = io::stderr().write_all(answer.complaint.as_bytes());
    let _ = io::stdout().write_all(answer.text.as_bytes());
    ExitCode::from(answer.exit)
}

fn file_name(path: &str) -> &str {
    Path::new(path)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("warren")
}
