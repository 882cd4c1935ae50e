//! What an administrator does with a data directory while no node runs on it: look, copy, put back, rename.
//!
//! Each answers with what is to be printed and an exit code; nothing is printed here. Formats belong to those who write
//! them: definitions are read by `cluster`, messages by `store`.

mod archive;
mod backup;
mod check;
mod forget;
mod plugins;
mod rename;
mod report;
mod restore;
mod vhost;

pub use backup::{Backup, of_directory as back_up_directory};
pub use forget::{Members, forget, members};
pub use plugins::{enable as enable_plugins, plugins};
pub use rename::rename;
pub use vhost::back_up_vhost;

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What is to be told, or exit code and complaint.
pub type Told = Result<String, (u8, String)>;

/// The exit code of what could not be done.
const FAILED: u8 = 1;

/// What a tool answers.
#[derive(Debug)]
pub struct Answer {
    /// For standard output.
    pub text: String,
    /// For standard error.
    pub complaint: String,
    /// The exit code.
    pub exit: u8,
}

impl Answer {
    fn done(text: String) -> Self {
        Answer {
            text,
            complaint: String::new(),
            exit: 0,
        }
    }

    /// Refused, with the reason.
    pub fn refused(exit: u8, why: impl std::fmt::Display) -> Self {
        Answer {
            text: String::new(),
            complaint: format!("Error: {why}\n"),
            exit,
        }
    }
}

/// `warren store …`
#[derive(Debug, Args)]
pub struct StoreArgs {
    #[command(subcommand)]
    what: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Explain a data directory without changing it: every file, every queue, what a start would do. Exit code 0 if all
    /// is well, 1 if something that was promised cannot be read, 2 if the directory cannot be looked at.
    Check {
        /// The data directory.
        directory: PathBuf,
        /// Answer as JSON.
        #[arg(long)]
        json: bool,
        /// Look although a node runs on it; what it writes meanwhile may look torn.
        #[arg(long)]
        force_read: bool,
    },
}

/// Runs `warren store`.
pub fn store(args: &StoreArgs) -> Answer {
    match &args.what {
        StoreCommand::Check {
            directory,
            json,
            force_read,
        } => check::run(directory, *json, *force_read),
    }
}

/// `warren backup`
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The tar file to write; it must not exist yet.
    pub file: PathBuf,
    /// The running node to back up; this host's own unless said.
    #[arg(long, short, conflicts_with = "data")]
    pub node: Option<String>,
    /// Node names have full host names.
    #[arg(long, short)]
    pub longnames: bool,
    /// The cluster's secret, if it is not in its file.
    #[arg(long)]
    pub erlang_cookie: Option<String>,
    /// Back up this data directory of a node that does not run, instead.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Back up this virtual host alone, with its queues' messages; takes room for two copies of the node meanwhile.
    #[arg(long)]
    pub vhost: Option<String>,
}

/// `warren restore`
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The tar file that `warren backup` wrote.
    file: PathBuf,
    /// The data directory to restore into: empty, or absent.
    directory: PathBuf,
    /// Restore this virtual host alone, with its queues' messages.
    #[arg(long)]
    vhost: Option<String>,
}

/// Runs `warren restore`.
pub fn restore(args: &RestoreArgs) -> Answer {
    restore::run(&args.file, &args.directory, args.vhost.as_deref())
}
