//! Campaigns against a broker's durability, from outside: crashes under load, the order of disk and confirm, space, and backlogs
//! larger than memory. Each starts the broker it tests, on directories of its own, and ends with 0 only if every
//! promise was kept. It knows the broker by AMQP, signals and files alone.

mod audit;
mod campaign;
mod client;
mod dice;
mod finding;
mod journal;
mod lane;
mod letter;
mod message;
mod method;
mod plan;
mod server;
mod shelf;
mod topology;

use anyhow::Result;
use campaign::Campaign;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Tests whether a broker keeps what it has confirmed.
#[derive(Debug, Parser)]
struct Arguments {
    /// The broker: 'warren' (WARREN_BIN names the binary) or 'rabbitmq' (the one installed).
    #[arg(long, global = true, default_value = "warren")]
    server: String,
    #[command(subcommand)]
    campaign: Which,
}

#[derive(Debug, Subcommand)]
enum Which {
    /// Kill the server under load, again and again, and audit what it still has.
    Crash {
        /// So many rounds in all; a campaign that was interrupted goes on where it was.
        #[arg(long, default_value_t = 500)]
        rounds: u32,
        /// Makes the plan; drawn from the clock if it is not given.
        #[arg(long)]
        seed: Option<u64>,
        /// Where the campaign lives.
        #[arg(long)]
        dir: PathBuf,
        /// Run only the lanes whose names begin so; may be repeated. For a new campaign.
        #[arg(long)]
        only: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Each cause; no backtrace, which would say nothing of the server.
            eprintln!(
                "{}",
                error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
            );
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    match arguments.campaign {
        Which::Crash {
            rounds,
            seed,
            dir,
            only,
        } => {
            let mut campaign = Campaign::open(&std::path::absolute(dir)?, &arguments.server, seed)?;
            campaign.only(&only)?;
            campaign.run(rounds)
        }
    }
}
