//! Starts and ends the broker under test: Warren's binary or Debian's RabbitMQ, on free ports, with all its files in one
//! directory that outlives it. It can be killed at any moment, also while it starts. It never touches a broker that it
//! did not start, and what it starts dies with this program.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const START_PATIENCE: Duration = Duration::from_secs(120);
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// Which broker.
#[derive(Debug)]
pub(crate) enum Broker {
    /// The binary at this path.
    Warren(PathBuf),
    /// Debian's, with Erlang's name service on a port of its own.
    Rabbitmq {
        /// The name service, which outlives the broker.
        names: Child,
        /// Its port.
        port: u16,
    },
}

impl Broker {
    /// The broker that the command line asks for: `warren` (WARREN_BIN, or what the Makefile builds) or `rabbitmq`.
    pub(crate) fn named(name: &str) -> Result<Self> {
        match name {
            "warren" => Ok(Self::Warren(warren_binary()?)),
            "rabbitmq" => {
                let port = free_port()?;
                let names = mortal(Path::new("epmd"))
                    .args(["-port", &port.to_string(), "-address", "127.0.0.1"])
                    .stdin(Stdio::null())
                    .spawn()
                    .context("epmd does not start: install rabbitmq-server")?;
                Ok(Self::Rabbitmq { names, port })
            }
            other => bail!("--server {other}: 'warren' or 'rabbitmq'"),
        }
    }

    /// Whether it is ours.
    pub(crate) fn is_warren(&self) -> bool {
        matches!(self, Self::Warren(_))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Self::Rabbitmq { names, .. } = self {
            // Both fail only for what has ended already.
            let _ = names.kill();
            let _ = names.wait();
        }
    }
}

/// The binary that WARREN_BIN names, or what the Makefile builds.
pub(crate) fn warren_binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("WARREN_BIN") {
        return Ok(path.into());
    }
    let home = std::env::var_os("HOME").context("WARREN_BIN names the binary; neither it nor HOME is set")?;
    Ok(PathBuf::from(home).join(".cache/warren/image/warren"))
}

/// A command that is killed when this program ends, however it ends.
fn mortal(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

/// A broker that runs or starts; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    output: PathBuf,
    launched: Instant,
    /// Where it serves AMQP.
    pub(crate) port: u16,
}

impl Server {
    /// Starts it and does not wait. `directory` holds all its files; the data is in its `data`.
    pub(crate) fn launch(broker: &Broker, directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory.join("data"))?;
        let (port, peers, admin) = (free_port()?, free_port()?, free_port()?);
        let mut command = match broker {
            Broker::Warren(path) => warren(path, directory, port, admin)?,
            Broker::Rabbitmq { port: names, .. } => rabbitmq(directory, port, *names)?,
        };
        let output = directory.join("output");
        let file = File::options().create(true).append(true).open(&output)?;
        command
            .env("HOME", directory) // the secret of the cluster lives here
            .env("RABBITMQ_NODENAME", "soak@localhost")
            .env("RABBITMQ_DIST_PORT", peers.to_string())
            .env("RABBITMQ_LOG_BASE", directory.join("log"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env(
                "RABBITMQ_ENABLED_PLUGINS_FILE",
                file_with(directory, "enabled_plugins", "[].\n")?,
            )
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let child = command
            .spawn()
            .context("the server does not start: is setpriv (util-linux) there?")?;
        Ok(Self {
            child,
            output,
            launched: Instant::now(),
            port,
        })
    }

    /// Waits until it serves AMQP and says how long that took from its launch.
    pub(crate) fn wait_ready(&mut self) -> Result<Duration> {
        while !greets(self.port) {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "the server ended with {status} while it started; its last words:\n{}",
                    self.last_words()
                );
            }
            if self.launched.elapsed() > START_PATIENCE {
                bail!(
                    "no greeting within {START_PATIENCE:?}; its last words:\n{}",
                    self.last_words()
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(self.launched.elapsed())
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it (SIGKILL).
    ///
    /// # Errors
    /// It had ended by itself.
    pub(crate) fn kill(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!(
                "the server had ended by itself, with {status}; its last words:\n{}",
                self.last_words()
            );
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Stops it in good order (SIGTERM).
    ///
    /// # Errors
    /// It ended badly, by itself, or not in a minute.
    pub(crate) fn terminate(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.wait(STOP_PATIENCE)?;
        match status {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("SIGTERM ended it with {status}; its last words:\n{}", self.last_words()),
            None => bail!(
                "SIGTERM did not end it within {STOP_PATIENCE:?}; its last words:\n{}",
                self.last_words()
            ),
        }
    }

    fn wait(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        let end = Instant::now() + patience;
        loop {
            let status = self.child.try_wait()?;
            if status.is_some() || Instant::now() >= end {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The end of what it printed.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read(&self.output).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(3000)..]).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for what has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn warren(path: &Path, directory: &Path, port: u16, admin: u16) -> Result<Command> {
    let config = format!("listeners.tcp.1 = 127.0.0.1:{port}\nadmin.tcp.port = {admin}\nadmin.tcp.ip = 127.0.0.1\n");
    let mut command = mortal(path);
    command
        .arg("server")
        .arg("--data")
        .arg(directory.join("data/node"))
        .env("RABBITMQ_CONFIG_FILE", file_with(directory, "rabbitmq.conf", &config)?);
    Ok(command)
}

/// Debian's wrapper in /usr/sbin changes to another user, who could not write our directories; the script behind it
/// does not, and becomes the Erlang machine itself when it is told that something watches over it.
fn rabbitmq(directory: &Path, port: u16, names: u16) -> Result<Command> {
    let behind = Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server");
    let mut command = mortal(if behind.exists() {
        behind
    } else {
        Path::new("rabbitmq-server")
    });
    let config = format!("listeners.tcp.1 = 127.0.0.1:{port}\n");
    command
        .env("RUNNING_UNDER_SYSTEMD", "true")
        .env("NOTIFY_SOCKET", "")
        .env("ERL_EPMD_PORT", names.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_MNESIA_BASE", directory.join("data"))
        .env("RABBITMQ_CONFIG_FILE", file_with(directory, "rabbitmq.conf", &config)?);
    Ok(command)
}

fn file_with(directory: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = directory.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Ports that systems do not give to outgoing connections: one of those could be taken again before the server listens.
const PORTS: std::ops::Range<u16> = 10_000..32_000;
/// So many may be in use one after the other.
const PORT_TRIES: usize = 100;

/// A port that nobody listens on at this moment.
pub(crate) fn free_port() -> Result<u16> {
    let mut tries = std::iter::repeat_with(any_port).take(PORT_TRIES);
    let free = tries.find(|port| TcpListener::bind(("0.0.0.0", *port)).is_ok());
    free.with_context(|| format!("of {PORT_TRIES} ports from {PORTS:?} none is free"))
}

fn any_port() -> u16 {
    // The standard library's own source of chance: every new state is keyed differently.
    let chance = RandomState::new().build_hasher().finish();
    PORTS.start + (chance % PORTS.len() as u64) as u16
}

/// True once the port answers AMQP's protocol header with the beginning of a frame.
fn greets(port: u16) -> bool {
    let exchange = || -> std::io::Result<u8> {
        let mut socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        socket.write_all(b"AMQP\x00\x00\x09\x01")?;
        let mut first = [0];
        socket.read_exact(&mut first)?;
        Ok(first[0])
    };
    exchange().is_ok_and(|first| first == 1)
}
