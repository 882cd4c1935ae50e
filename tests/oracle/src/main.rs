//! The oracle's runner: starts RabbitMQ and Warren, or takes one given server, plays the behaviours, prints columns.
//! Exit code 0 only if no behaviour failed on any server.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;
use oracle::host::{self, Host};
use oracle::script::Behaviour;
use oracle::server::Server;
use oracle::{behaviours, definitions, metrics, report};

/// Plays AMQP 0-9-1 behaviours against RabbitMQ and Warren and compares both with what is right.
#[derive(Parser)]
#[command(name = "oracle")]
struct Cli {
    /// Only behaviours whose name contains one of these texts.
    filter: Vec<String>,
    /// Judge only the server at this AMQP URL; nothing is started.
    #[arg(long)]
    url: Option<String>,
    /// Its management URL, http://user:password@host:port; without it behaviours that need it are skipped.
    #[arg(long, requires = "url")]
    management: Option<String>,
    /// Start and judge only this one.
    #[arg(long, value_parser = ["rabbitmq", "warren"], conflicts_with = "url")]
    only: Option<String>,
    /// The Warren binary; default WARREN_BIN, else warren in this build's target directory.
    #[arg(long)]
    warren: Option<PathBuf>,
    /// Start Warren without its management API; behaviours that need it are skipped there.
    #[arg(long, conflicts_with = "url")]
    without_management: bool,
    /// Behaviours played at once on each server.
    #[arg(long, default_value_t = 16)]
    threads: usize,
    /// Judge the command line tools instead of the protocol.
    #[arg(long, conflicts_with_all = ["url", "json"])]
    cli: bool,
    /// Print the names and play nothing.
    #[arg(long)]
    list: bool,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("oracle: {e:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> Result<bool> {
    if cli.cli {
        return run_cli(cli);
    }
    let asks_for = |name: &str| cli.filter.is_empty() || cli.filter.iter().any(|text| name.contains(text));
    let (moves, scrapes) = (asks_for(definitions::NAME), asks_for(metrics::NAME));
    let chosen = chosen(&cli.filter, moves || scrapes)?;
    if cli.list {
        chosen.iter().for_each(|behaviour| println!("{}", behaviour.name));
        return Ok(true);
    }
    let (servers, _hosts) = servers(cli)?;
    let columns = report::run(&chosen, &servers, cli.threads.max(1));
    if cli.json {
        println!("{:#}", report::json(&chosen, &columns));
    } else {
        report::print(&mut std::io::stdout().lock(), &chosen, &columns)?;
    }
    let both = match &servers[..] {
        [first, second] if !cli.without_management => {
            let moved = !moves || told(definitions::NAME, &definitions::move_there_and_back(first, second));
            (!scrapes || told(metrics::NAME, &metrics::compare(first, second))) && moved
        }
        _ => true,
    };
    Ok(both && columns.iter().all(|column| column.failed() == 0))
}

/// What takes two servers, told on standard error: the columns are of one server each.
fn told(name: &str, outcome: &Result<()>) -> bool {
    match outcome {
        Ok(()) => eprintln!("ok    {name}"),
        Err(why) => eprintln!("FAIL  {name}\n      {why:#}"),
    }
    outcome.is_ok()
}

/// The command line's table.
fn run_cli(cli: &Cli) -> Result<bool> {
    let mut cases = oracle::cli::all()?;
    cases.retain(|case| cli.filter.is_empty() || cli.filter.iter().any(|text| case.name.contains(text)));
    anyhow::ensure!(!cases.is_empty(), "no case's name contains {:?}", cli.filter);
    if cli.list {
        cases.iter().for_each(|case| println!("{}", case.name));
        return Ok(true);
    }
    let (servers, _hosts) = servers(cli)?;
    let columns = oracle::cli::run(&cases, &servers)?;
    oracle::cli::print(&mut std::io::stdout().lock(), &cases, &servers, &columns)
}

fn chosen(filter: &[String], may_be_none: bool) -> Result<Vec<Behaviour>> {
    let mut all = behaviours::all()?;
    all.retain(|behaviour| filter.is_empty() || filter.iter().any(|text| behaviour.name.contains(text)));
    anyhow::ensure!(
        may_be_none || !all.is_empty(),
        "no behaviour's name contains {filter:?}"
    );
    Ok(all)
}

/// The servers to judge and what keeps them running.
fn servers(cli: &Cli) -> Result<(Vec<Server>, Vec<Host>)> {
    if let Some(url) = &cli.url {
        return Ok((
            vec![Server::connect("given", url, cli.management.as_deref(), None)?],
            Vec::new(),
        ));
    }
    let mut hosts = Vec::new();
    if cli.only.as_deref() != Some("warren") {
        hosts.push(host::rabbitmq()?);
    }
    if cli.only.as_deref() != Some("rabbitmq") {
        let binary = cli.warren.clone().or_else(host::warren_binary);
        hosts.push(host::warren(
            &binary.context("no warren binary: build it or set WARREN_BIN")?,
            !cli.without_management,
        )?);
    }
    Ok((hosts.iter().map(|host| host.server.clone()).collect(), hosts))
}
