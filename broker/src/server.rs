//! A broker's process from start to stop: read the configuration, take directory, secret and ports, serve, stop in order.
//!
//! What serves clients is the app, which may be stopped and started meanwhile; peers, tools and probes are served as long
//! as the process lives.

use anyhow::Context;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{self, ExitCode},
    sync::Arc,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    admin,
    config::{self, Config, Loaded, ServerArgs, SocketOptions},
    host::{
        data_directory,
        listener::{self, Port},
    },
    http, management,
    notify::{Manager, State},
    observe, peer,
    process::{Process, Ways},
    renewal::{self, Renewal},
};

/// Runs `warren server`. Exit code 0 after an orderly stop, 1 if the node could not start or serve.
pub fn main(args: &ServerArgs) -> ExitCode {
    if args.print_config_reference {
        print_page(&config::reference_page());
        return ExitCode::SUCCESS;
    }
    if args.print_openapi {
        print_page(&management::openapi());
        return ExitCode::SUCCESS;
    }
    if args.check_config {
        return check(config::load(args, &config::Process));
    }
    if args.session
        && let Err(error) = rustix::process::setsid()
    {
        complain(&format!("cannot begin a session: {error}"));
    }
    let loaded = match config::load(args, &config::Process) {
        Ok(loaded) => loaded,
        Err(problems) => return fail(&problems.to_string()),
    };
    match start(args, loaded) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("{error:#}")),
    }
}

/// The node ends, and whoever looks after it finds why.
fn fail(why: &str) -> ExitCode {
    complain(why);
    leave_word(Path::new(LAST_WORDS), why);
    ExitCode::FAILURE
}

/// Where Kubernetes looks for the last words of a container, and shows them with its state; elsewhere there is no such file, and none is made.
const LAST_WORDS: &str = "/dev/termination-log";

/// It is for a look alone: that it cannot be written is no further failure.
fn leave_word(file: &Path, why: &str) {
    let opened = fs::OpenOptions::new().write(true).truncate(true).open(file);
    drop(opened.and_then(|mut file| file.write_all(why.as_bytes())));
}

/// Says what is wrong with a configuration, or what of it has no effect. Nothing is started.
fn check(loaded: Result<Loaded, config::Problems>) -> ExitCode {
    match loaded {
        Ok(loaded) => {
            let lines = loaded.warnings.iter().map(|warning| format!("warning: {warning}\n"));
            print_page(&format!("{}the configuration can be used\n", lines.collect::<String>()));
            ExitCode::SUCCESS
        }
        Err(problems) => {
            say(&problems.to_string());
            ExitCode::FAILURE
        }
    }
}

/// A page goes to standard output, to be read or redirected.
#[expect(clippy::print_stdout, reason = "the page is what was asked for")]
fn print_page(page: &str) {
    print!("{page}");
}

/// What keeps a node from starting goes to standard error: the log may not be up.
fn complain(what: &str) {
    say(&format!("BOOT FAILED\n===========\n{what}"));
}

#[expect(clippy::print_stderr, reason = "there may be no log yet")]
fn say(what: &str) {
    eprintln!("{what}");
}

fn start(args: &ServerArgs, loaded: Loaded) -> anyhow::Result<()> {
    let files = observe::start_log(&loaded.config.log, &loaded.config.node.name)?;
    greet(&loaded.config);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    // The app has threads of its own; here are only tools, probes and peers that introduce themselves.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let config = loaded.config.clone();
        let renewal = Renewal::new(args.clone(), config::Process, loaded);
        let hangups = Hangups {
            signals: signal(SignalKind::hangup())?,
            files,
            renewal,
        };
        serve(config, hangups).await
    })
}

/// SIGHUP means that somebody has moved the log files away, or changed the configuration.
struct Hangups {
    signals: Signal,
    files: observe::LogFiles,
    renewal: Arc<Renewal>,
}

impl Hangups {
    async fn follow(mut self, process: Arc<Process>) {
        while self.signals.recv().await.is_some() {
            self.files.reopen();
            tracing::info!("received SIGHUP: log files are opened again, the configuration is read again");
            match self.renewal.take_files() {
                Ok(renewed) => {
                    process.renew(renewed.config.clone()).await;
                    renewal::tell(&renewed);
                }
                Err(problems) => tracing::error!("the configuration stays as it was: {problems}"),
            }
        }
    }
}

/// The first port of those that may be, that is free.
fn bind_for_peers(config: &Config) -> anyhow::Result<tokio::net::TcpListener> {
    let node = &config.node;
    let options = SocketOptions::waiting(config.listeners.socket.backlog);
    let mut failed = None;
    for port in node.peer_port..=node.peer_port_last {
        let address = config::ListenAddress { ip: node.peer_ip, port };
        match listener::bind(address, &options) {
            Ok(bound) => return Ok(bound),
            Err(why) => failed = Some(anyhow::Error::new(why).context(format!("cannot listen on {address} (peers)"))),
        }
    }
    Err(failed.unwrap_or_else(|| anyhow::anyhow!("there is no port for peers")))
}

/// What the log begins with: who starts, and what whoever keeps the machine has to say.
fn greet(config: &Config) {
    let (name, version) = config.shown.product();
    tracing::info!(
        "Starting {name} {version}, compatible with RabbitMQ {}",
        crate::host::RABBITMQ_VERSION
    );
    let text = config
        .shown
        .motd_file
        .as_ref()
        .and_then(|path| std::fs::read_to_string(path).ok());
    if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
        tracing::info!("{}", text.trim_end());
    }
}

async fn serve(config: Config, hangups: Hangups) -> anyhow::Result<()> {
    let manager = Manager::at(config.node.notify_socket.as_deref());
    manager.tell(State::Starting);
    let directory = data_directory::open(config.node.data.as_path(), config.node.name.as_str())?;
    let _pid_file = PidFile::write(config.node.pid_file.as_deref())?;
    let admin = http::bind(&config, config.admin, "http/admin").context("admin.tcp.port")?;
    let peer_port = bind_for_peers(&config)?;
    let peers = Arc::new(peer::Peers::new(&config.node)?);
    let neighbours = peer::Neighbours {
        peers: peers.clone(),
        resolver: Arc::new(peer::names::ByName {
            service: config.node.names.port,
            otherwise: config.node.peer_port,
        }),
    };
    let port = Port {
        protocol: "clustering",
        address: peer_port.local_addr()?,
    };
    let dialer = Arc::new(peer::Dialer::new(
        peers.clone(),
        config.node.name.as_str().into(),
        neighbours.resolver.clone(),
    ));
    let ways = Ways {
        neighbours: Arc::new(neighbours),
        dialer,
    };
    let (named, names) = (named(&config, &port), config.node.names.clone());
    let process = Process::new(config, directory, port, ways);
    let renewal = hangups.renewal.clone();
    tokio::spawn(hangups.follow(process.clone()));
    let door = {
        let peers = peers.clone();
        admin::Door::new(move || peers.secrets())
    };
    let routes = admin::routes(process.clone(), door).layer(axum::Extension(peers.clone()));
    let routes = routes.layer(axum::Extension(renewal));
    tokio::spawn(admin.run(routes, process.stopping().clone()));
    tokio::spawn(peer::serve(peer_port, peers, process.clone()));
    tokio::spawn(peer::names::keep(named, names, process.stopping().clone()));
    process.find_cluster().await.context("forming a cluster")?;
    process.start_app().await?;
    manager.tell(State::Ready);
    wait_for_stop().await?;
    manager.tell(State::Stopping);
    process.stop().await;
    Ok(())
}

/// The node as the name service shall know it.
fn named(config: &Config, peers: &Port) -> peer::names::Named {
    let name = config.node.name.as_str();
    peer::names::Named {
        name: name.split('@').next().unwrap_or(name).to_owned(),
        port: peers.address.port(),
    }
}

/// The file with the process id that service managers and `rabbitmqctl wait` look at, there while the process is.
struct PidFile(Option<PathBuf>);

impl PidFile {
    fn write(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(PidFile(None)) };
        let title = || format!("cannot write the process id to {} (RABBITMQ_PID_FILE)", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(title)?;
        }
        fs::write(path, format!("{}\n", process::id())).with_context(title)?;
        Ok(PidFile(Some(path.to_owned())))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0
            && let Err(error) = fs::remove_file(path)
        {
            tracing::warn!("the process id stays in {}: {error}", path.display());
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_go_to_a_file_that_is_there_and_make_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("termination-log");
        leave_word(&file, "no such plugin");
        assert!(!file.exists());
        fs::write(&file, "of an earlier life, and longer").unwrap();
        leave_word(&file, "no such plugin");
        assert_eq!(fs::read_to_string(&file).unwrap(), "no such plugin");
    }
}
