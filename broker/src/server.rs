//! A broker node from start to stop: read the configuration, bind every port, serve, stop in order.
//!
//! All ports are bound before any is served, so a node that cannot do its work never says that it is ready.

use anyhow::Context;
use std::{process::ExitCode, sync::Arc};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    admin,
    cluster::resolver::SamePort,
    config::{self, Config, ServerArgs},
    host::{self, Node, listener},
    http, management, observe, peer,
};

/// Runs `warren server`. Exit code 0 after an orderly stop, 1 if the node could not start or serve.
pub fn main(args: &ServerArgs) -> ExitCode {
    if args.print_config_reference {
        print_reference();
        return ExitCode::SUCCESS;
    }
    let loaded = match config::load(args, &config::Process) {
        Ok(loaded) => loaded,
        Err(problems) => {
            complain(&problems.to_string());
            return ExitCode::FAILURE;
        }
    };
    match start(loaded.config, &loaded.warnings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The reference goes to standard output, to be read or redirected.
#[expect(clippy::print_stdout, reason = "the page is what was asked for")]
fn print_reference() {
    print!("{}", config::reference_page());
}

/// What keeps a node from starting goes to standard error: the log may not be up.
#[expect(clippy::print_stderr, reason = "there may be no log yet")]
fn complain(what: &str) {
    eprintln!("BOOT FAILED\n===========\n{what}");
}

fn start(config: Config, warnings: &[String]) -> anyhow::Result<()> {
    observe::start_log(&config.log, &config.node.name)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Sockets and timers are looked at often: a task here may work for a millisecond at a time.
        .event_interval(8)
        .global_queue_interval(8)
        .build()?;
    runtime.block_on(serve(config))
}

/// Settings that are understood and cannot be honoured yet stop the start: they would be missed silently.
fn refuse_unhonoured(config: &Config) -> anyhow::Result<()> {
    if let Some(file) = &config.load_definitions {
        let file = file.display();
        anyhow::bail!("load_definitions = {file}: not available yet; import the file with POST /api/definitions");
    }
    if let Some(max) = config.access.vhosts_max.max() {
        anyhow::bail!("vhost_max = {max}: not available yet; remove it, virtual hosts are not limited in number");
    }
    Ok(())
}

async fn serve(config: Config) -> anyhow::Result<()> {
    refuse_unhonoured(&config)?;
    let data = host::data_directory::open(config.node.data.as_path(), config.node.name.as_str())?;
    let backlog = config.listeners.socket.backlog;
    let amqp = listener::bind_all(&config.listeners)?;
    let admin = http::bind(&config, config.admin, "http/admin").context("admin.tcp.port")?;
    let peer_address = config::ListenAddress {
        ip: None,
        port: config.node.peer_port,
    };
    let peer_port =
        listener::bind(peer_address, backlog).with_context(|| format!("cannot listen on {peer_address} (peers)"))?;
    let peers = Arc::new(peer::Peers::new(&config.node)?);
    let management = management::bind(&config)?;
    let scrapes = observe::bind_scrapes(&config)?;
    let neighbours = peer::Neighbours {
        peers: peers.clone(),
        resolver: Arc::new(SamePort(config.node.peer_port)),
    };
    let node = Node::start(config, data, &neighbours).await?;
    tokio::spawn(host::run_timers(node.clone()));
    tokio::spawn(host::run_retirements(node.clone()));
    tokio::spawn(host::run_loads(node.clone()));
    tokio::spawn(host::alarms::watch_memory(node.clone()));
    tokio::spawn(host::memory::give_back_in_alarm(node.clone()));
    tokio::spawn(host::alarms::watch_disk(node.clone()));
    tokio::spawn(host::paging::relieve(node.clone()));
    tokio::spawn(admin.run(admin::routes(node.clone()), node.stopping().clone()));
    node.announce(listener::Port {
        protocol: "clustering",
        address: peer_port.local_addr()?,
    });
    let dialer = peer::Dialer::new(peers.clone(), node.name().clone(), neighbours.resolver);
    node.reach_nodes_by(Box::new(dialer));
    tokio::spawn(peer::serve(peer_port, peers, node.clone()));
    let mut listeners = Vec::new();
    for bound in amqp {
        let port = bound.port()?;
        tracing::info!("started {} listener on {}", port.protocol, port.address);
        node.announce(port);
        listeners.push(tokio::spawn(bound.run(node.clone())));
    }
    if !management.is_empty() {
        let samples = Arc::new(observe::Samples::default());
        tokio::spawn(observe::sample(samples.clone(), node.clone()));
        serve_http(management, &management::routes(node.clone(), samples), &node);
    }
    serve_http(scrapes, &observe::scrape_routes(node.clone()), &node);
    node.started();
    tracing::info!("node {} is ready", node.name());
    wait_for_stop().await?;
    tracing::info!("stopping: no new connections, clients are told");
    node.stop().await;
    for listener in listeners {
        // A listener that panicked has nothing left to stop.
        let _ = listener.await;
    }
    tracing::info!("stopped");
    Ok(())
}

/// Serves a plugin's ports until the node stops.
fn serve_http(ports: Vec<http::Bound>, routes: &axum::Router, node: &Arc<Node>) {
    for bound in ports {
        let port = bound.port();
        tracing::info!("started {} listener on {}", port.protocol, port.address);
        node.announce(port);
        tokio::spawn(bound.run(routes.clone(), node.stopping().clone()));
    }
}

async fn wait_for_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("received SIGTERM"),
        _ = interrupt.recv() => tracing::info!("received SIGINT"),
    }
    Ok(())
}
