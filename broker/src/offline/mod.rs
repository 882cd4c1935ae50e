//! What an administrator does with a data directory while no node runs on it: look, copy, put back, rename.
//!
//! Each answers with what is to be printed and an exit code; nothing is printed here. Formats belong to those who write
//! them: definitions are read by `cluster`, messages by `store`.

mod check;
mod report;

use clap::{Args, Subcommand};
use std::path::PathBuf;

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
    fn refused(exit: u8, why: impl std::fmt::Display) -> Self {
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
