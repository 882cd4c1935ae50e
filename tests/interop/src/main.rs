//! Runs the suites of foreign AMQP clients against one broker: ours, Debian's RabbitMQ, or whichever an URL names.
//! Prints a line for every test and a count at the end; ends with 0 only if every test of every suite passed. It knows
//! the broker by its address alone.

mod environment;
mod group;
mod lapin_suite;
mod own_tests;
mod server;
mod suite;
mod tap;

use anyhow::{Context, Result, bail, ensure};
use clap::{ArgGroup, Parser};
use server::Server;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use suite::{Place, SUITES, Suite};
use tap::Outcome;
use tokio::signal::unix::{SignalKind, signal};

/// What we allow a broker's statistics that we did not start; five seconds, RabbitMQ's own, would take a suite a quarter of an hour.
const UNKNOWN_STATISTICS: Duration = Duration::from_millis(1100);

/// Tests a broker with the client libraries its users have.
#[derive(Debug, Parser)]
#[command(group = ArgGroup::new("broker").args(["url", "start_warren", "start_rabbitmq", "as_lapin_suite"]))]
struct Arguments {
    /// The broker to test, with user, password, port and vhost. Queues and exchanges with the handbooks' names (hello,
    /// task, logs, ...) are deleted in it.
    #[arg(long, value_name = "AMQP_URL")]
    url: Option<String>,
    /// Where the management API of the broker at --url is; for the suites that test it.
    #[arg(long, value_name = "HTTP_URL", requires = "url")]
    management_url: Option<String>,
    /// Where the metrics of the broker at --url are; for the suite that judges them.
    #[arg(long, value_name = "HTTP_URL", requires = "url")]
    metrics_url: Option<String>,
    /// Start this `warren` binary, test it, stop it. Without --url and --start-rabbitmq, WARREN_BIN may name it.
    #[arg(long, value_name = "PATH")]
    start_warren: Option<PathBuf>,
    /// Start the installed RabbitMQ, test it, stop it.
    #[arg(long)]
    start_rabbitmq: bool,
    /// Run only the suites whose name begins so; may be repeated. Suites: pika-handbook, pika-0.10-handbook, pika,
    /// aio-pika, kombu, celery, amqplib, amqp091-go, java, lapin, rabbit-hole, rabbitmq_http_client.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Leave out the suites whose name begins so; may be repeated. The only way to pass without a suite's toolchain.
    #[arg(long, value_name = "NAME")]
    skip: Vec<String>,
    /// Be the lapin suite: read AMQP_URL, report in the Test Anything Protocol.
    #[arg(long, hide = true)]
    as_lapin_suite: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.as_lapin_suite {
        let url = std::env::var("AMQP_URL").context("AMQP_URL names the broker")?;
        return Ok(code(lapin_suite::run(url).await));
    }
    let mut run = tokio::task::spawn_blocking(move || run(&arguments));
    tokio::select! {
        passed = &mut run => Ok(code(passed??)),
        () = interrupted() => {
            group::kill_all();
            // Without its processes the run ends by itself and removes its directories.
            run.await??;
            Ok(ExitCode::from(130))
        }
    }
}

fn code(passed: bool) -> ExitCode {
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Resolves when somebody wants this program to end; never, if signals cannot be watched.
async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let suites = chosen(arguments)?;
    let cache = cache()?;
    let server = start(arguments)?;
    let url = server
        .as_ref()
        .map_or_else(|| arguments.url.clone().unwrap_or_default(), Server::url);
    let place = Place {
        sources: PathBuf::from(env!("CARGO_MANIFEST_DIR")),
        cache,
        url,
        management: server
            .as_ref()
            .map(Server::management)
            .or(arguments.management_url.clone()),
        metrics: server.as_ref().map(Server::metrics).or(arguments.metrics_url.clone()),
        statistics_wait: server.as_ref().map_or(UNKNOWN_STATISTICS, Server::statistics_wait),
    };
    let (begin, mut passed, mut failed) = (Instant::now(), 0, 0);
    for suite in suites {
        suite.run(&place, &mut |outcome| {
            show(suite.name, &outcome);
            if outcome.failure.is_none() {
                passed += 1
            } else {
                failed += 1
            }
        });
    }
    if let Some(Err(error)) = server.map(Server::stop) {
        show(
            "broker",
            &Outcome {
                name: "it runs until it is stopped".to_owned(),
                failure: Some(format!("{error:#}")),
            },
        );
        failed += 1;
    }
    eprintln!("in {:.1} s", begin.elapsed().as_secs_f32());
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0)
}

fn show(suite: &str, outcome: &Outcome) {
    match &outcome.failure {
        None => println!("ok      {suite}: {}", outcome.name),
        Some(reason) => println!(
            "FAILED  {suite}: {}: {}",
            outcome.name,
            reason.replace('\n', "\n        ")
        ),
    }
}

/// Starts the broker that the arguments, or else WARREN_BIN, name; `None` if it runs already.
fn start(arguments: &Arguments) -> Result<Option<Server>> {
    if arguments.url.is_some() {
        return Ok(None);
    }
    if arguments.start_rabbitmq {
        return Server::rabbitmq().map(Some);
    }
    let named = std::env::var_os("WARREN_BIN").map(PathBuf::from);
    let path = arguments.start_warren.clone().or(named);
    let path =
        path.context("which broker? give --url AMQP_URL, --start-warren PATH (or WARREN_BIN) or --start-rabbitmq")?;
    Server::warren(&path).map(Some)
}

fn chosen(arguments: &Arguments) -> Result<Vec<&'static Suite>> {
    for wanted in arguments.only.iter().chain(&arguments.skip) {
        let known = SUITES.iter().any(|suite| suite.name.starts_with(wanted));
        ensure!(
            known,
            "no suite begins with '{wanted}'; there are {}",
            SUITES.map(|suite| suite.name).join(", ")
        );
    }
    let named = |names: &[String], suite: &Suite| names.iter().any(|name| suite.name.starts_with(name.as_str()));
    let wanted = |suite: &&Suite| arguments.only.is_empty() || named(&arguments.only, suite);
    let suites: Vec<_> = SUITES
        .iter()
        .filter(wanted)
        .filter(|suite| !named(&arguments.skip, suite))
        .collect();
    if suites.is_empty() {
        bail!("--skip leaves no suite to run");
    }
    Ok(suites)
}

/// Where environments and logs are kept: `$WARREN_CACHE/interop`, else `~/.cache/warren/interop`.
fn cache() -> Result<PathBuf> {
    let base = match std::env::var_os("WARREN_CACHE") {
        Some(base) => PathBuf::from(base),
        None => PathBuf::from(std::env::var_os("HOME").context("neither WARREN_CACHE nor HOME is set")?)
            .join(".cache/warren"),
    };
    let cache = std::path::absolute(base)?.join("interop");
    std::fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    Ok(cache)
}
