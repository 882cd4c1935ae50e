//! Campaigns against a broker's durability, from outside: crashes under load, the order of disk and confirm, space, and backlogs
//! larger than memory. Each starts the broker it tests, on directories of its own or on a Kubernetes, and ends with 0 only if
//! every promise was kept. It knows the broker by AMQP, signals, files and kubectl alone.

mod audit;
mod backlog;
mod campaign;
mod client;
mod dice;
mod finding;
mod journal;
mod lane;
mod letter;
mod message;
mod method;
mod one;
mod operations;
mod order;
mod partition;
mod plan;
mod server;
mod shelf;
mod space;
mod topology;
mod trace;
mod traffic;

use anyhow::Result;
use backlog::Case;
use campaign::Campaign;
use clap::{Parser, Subcommand};
use one::One;
use std::path::{Path, PathBuf};
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
    /// Prove with strace that no confirm leaves before its fdatasync, and count messages for each fdatasync.
    Order {
        /// So many confirmed publishes for the count.
        #[arg(long, default_value_t = 50_000)]
        messages: usize,
    },
    /// Send much traffic through a short queue and watch the directory.
    Space {
        /// MiB sent, once alone and once around messages that are stuck.
        #[arg(long, default_value_t = 8_192)]
        traffic_mib: u64,
        /// MiB that the directory may hold at any moment.
        #[arg(long, default_value_t = 1_024)]
        bound_mib: u64,
        /// Where the server's directory is made; the system's temporary directory if it is not given.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Publish, hold and drain a backlog in every mode, and watch the memory.
    Backlog {
        /// Messages of 1 KiB.
        #[arg(long, default_value_t = 10_000_000)]
        messages: u64,
        /// MiB of memory that the server may take at any moment.
        #[arg(long, default_value_t = 1_024)]
        rss_mib: u64,
        /// Run only the cases whose names begin so; may be repeated: classic-, lazy-, priority-, each transient or persistent.
        #[arg(long)]
        only: Vec<String>,
        /// Where the server's directory is made; the system's temporary directory if it is not given.
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Three nodes in network namespaces: kill, freeze, part and restart them under load, and audit what is left. Needs root.
    Partition {
        /// So many rounds in all; a campaign that was interrupted goes on where it was.
        #[arg(long, default_value_t = 100)]
        rounds: u32,
        /// Makes the plans; drawn from the clock if it is not given.
        #[arg(long)]
        seed: Option<u64>,
        /// Where the campaign lives.
        #[arg(long)]
        dir: PathBuf,
        /// The kind of queues under load.
        #[arg(long, value_enum, default_value = "single")]
        queues: partition::Queues,
        /// Messages a second, all publishers together.
        #[arg(long, default_value_t = 900)]
        rate: u64,
        /// Five short rounds of a fixed plan.
        #[arg(long)]
        brief: bool,
        /// Run only troubles whose names begin so; may be repeated. 'leader kill' is one that hits whoever leads the definitions.
        #[arg(long, conflicts_with = "brief")]
        only: Vec<String>,
    },
    /// On a Kubernetes with the operator: restart, scale, drain and hurt a cluster under load, and audit what is left. Needs kubectl.
    Operations {
        /// So many operations in all; a campaign that was interrupted goes on where it was.
        #[arg(long, default_value_t = 50)]
        rounds: u32,
        /// Makes the plans; drawn from the clock if it is not given.
        #[arg(long)]
        seed: Option<u64>,
        /// Where the campaign lives.
        #[arg(long)]
        dir: PathBuf,
        /// Messages a second, all publishers together.
        #[arg(long, default_value_t = 2_400)]
        rate: u64,
        /// Run only operations whose names begin so; may be repeated.
        #[arg(long)]
        only: Vec<String>,
        /// Two rounds of a fixed plan.
        #[arg(long, conflicts_with = "only")]
        brief: bool,
        /// Images of this release and of those after it, in order; may be repeated.
        #[arg(long = "release")]
        releases: Vec<String>,
        /// The script that runs this Kubernetes (tests/kube/up), whose nodes and API server may be taken away.
        #[arg(long)]
        local: Option<PathBuf>,
        /// Nodes speak TLS to each other, and certificates are renewed too.
        #[arg(long)]
        tls: bool,
    },
    /// A little of everything, for every change: closes with a count.
    Brief,
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
    let server = arguments.server.as_str();
    match arguments.campaign {
        Which::Crash {
            rounds,
            seed,
            dir,
            only,
        } => crash(server, rounds, seed, &dir, &only),
        Which::Order { messages } => order::run(&One::start(server, None)?, messages),
        Which::Space {
            traffic_mib,
            bound_mib,
            dir,
        } => space::run(&mut One::start(server, dir.as_deref())?, traffic_mib, bound_mib),
        Which::Backlog {
            messages,
            rss_mib,
            only,
            dir,
        } => backlog(server, messages, rss_mib, &only, dir.as_deref()),
        Which::Partition {
            rounds,
            seed,
            dir,
            queues,
            rate,
            brief,
            only,
        } => {
            let options = partition::Options {
                server: server.to_owned(),
                queues,
                rounds: if brief { partition::BRIEF_ROUNDS } else { rounds },
                seed,
                dir: std::path::absolute(dir)?,
                rate,
                brief,
                only,
            };
            partition::run(options, &std::env::args().skip(1).collect::<Vec<_>>())
        }
        Which::Operations {
            rounds,
            seed,
            dir,
            rate,
            only,
            brief,
            releases,
            local,
            tls,
        } => operations::run(operations::Options {
            rounds,
            seed,
            dir: std::path::absolute(dir)?,
            rate,
            only,
            brief,
            releases,
            local,
            tls,
        }),
        Which::Brief => brief(server),
    }
}

fn crash(server: &str, rounds: u32, seed: Option<u64>, dir: &Path, only: &[String]) -> Result<()> {
    let mut campaign = Campaign::open(&std::path::absolute(dir)?, server, seed)?;
    campaign.only(only)?;
    campaign.run(rounds)
}

fn backlog(server: &str, messages: u64, rss_mib: u64, only: &[String], dir: Option<&Path>) -> Result<()> {
    let mut cases = Case::all();
    cases.retain(|case| only.is_empty() || only.iter().any(|name| case.name().starts_with(name)));
    anyhow::ensure!(!cases.is_empty(), "no case begins with {}", only.join(" or "));
    let mut one = One::start(server, dir)?;
    cases.iter().try_for_each(|case| case.run(&mut one, messages, rss_mib))
}

/// Each campaign, short; every step is one test.
fn brief(server: &str) -> Result<()> {
    let crashes = tempfile::TempDir::with_prefix("soak-crash-")?;
    let (mut passed, mut failed) = (0, 0);
    let mut step = |name: &str, outcome: Result<()>| match outcome {
        Ok(()) => {
            passed += 1;
            println!("ok      {name}");
        }
        Err(error) => {
            failed += 1;
            println!("FAILED  {name}: {error:#}");
        }
    };
    step(
        "nothing confirmed is lost in eight kills",
        crash(server, 8, None, crashes.path(), &[]),
    );
    let one = One::start(server, None)?;
    step("no confirm leaves before its fdatasync", order::prove(&one));
    step("many messages share an fdatasync", order::share(&one, 20_000));
    drop(one);
    let space = || space::run(&mut One::start(server, None)?, 1_536, 1_024);
    step("a short queue leaves a bounded directory", space());
    step(
        "a backlog does not fill the memory",
        backlog(server, 200_000, 512, &[], None),
    );
    step(
        "a cluster keeps what it confirmed through a kill, a partition, a frozen node, a power cut and the next release",
        partition::brief(server),
    );
    println!("{passed} passed, {failed} failed");
    anyhow::ensure!(failed == 0, "{failed} failed");
    Ok(())
}
