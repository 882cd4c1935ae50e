//! Starts and stops the broker under test: Warren's binary or Debian's RabbitMQ, each on free ports with directories
//! that are removed afterwards. It never touches a broker that the caller named by URL.

use crate::group::Group;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const START_PATIENCE: Duration = Duration::from_secs(60);
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// How long we wait for what was done to be counted: Warren counts when it is asked, RabbitMQ as often as we set, and its processes need time to
/// pass the counts on.
const WARREN_STATISTICS: Duration = Duration::from_millis(400);
const RABBITMQ_STATISTICS: Duration = Duration::from_millis(1100);

/// RabbitMQ's statistics every 250 ms instead of 5 s, and kept in steps of 1 s, as its clients' tests ask for.
const SWIFT_STATISTICS: &str = "[{rabbit, [{collect_statistics_interval, 250}]},
 {rabbitmq_management, [{sample_retention_policies, [{global, [{605, 1}]}, {basic, [{605, 1}]}, {detailed, [{10, 1}]}]}]},
 {rabbitmq_management_agent, [{sample_retention_policies, [{global, [{605, 1}]}, {basic, [{605, 1}]}, {detailed, [{10, 1}]}]}]}].
";

/// A broker that runs until it is stopped or dropped.
#[derive(Debug)]
pub(crate) struct Server {
    broker: Group,
    /// Erlang's name service, ours alone, which has to outlive the broker.
    _epmd: Option<Group>,
    directory: TempDir,
    port: u16,
    management: u16,
    metrics: u16,
    statistics_wait: Duration,
}

impl Server {
    /// Starts `warren server` from the binary at `path`.
    pub(crate) fn warren(path: &Path) -> Result<Self> {
        let directory = TempDir::with_prefix("interop-warren-")?;
        let (port, peers, admin) = (free_port()?, free_port()?, free_port()?);
        let pages = Pages::free()?;
        let config = directory.path().join("rabbitmq.conf");
        let admin = format!("admin.tcp.port = {admin}\nadmin.tcp.ip = 127.0.0.1\n");
        fs::write(&config, admin + &pages.lines())?;
        let mut command = Command::new(path);
        command.arg("server").arg("--data").arg(directory.path().join("data"));
        common_environment(&mut command, directory.path(), port, peers);
        command.env("RABBITMQ_CONFIG_FILE", &config);
        Self::start(command, None, directory, port, (pages, WARREN_STATISTICS))
    }

    /// Starts the RabbitMQ that is installed on this machine.
    pub(crate) fn rabbitmq() -> Result<Self> {
        let directory = TempDir::with_prefix("interop-rabbitmq-")?;
        let (port, peers, names) = (free_port()?, free_port()?, free_port()?);
        let pages = Pages::free()?;
        fs::write(directory.path().join("rabbitmq.conf"), pages.lines())?;
        fs::write(directory.path().join("advanced.config"), SWIFT_STATISTICS)?;
        let epmd = Group::spawn(Command::new("epmd").arg("-port").arg(names.to_string()))
            .context("epmd does not start: install rabbitmq-server (Debian: apt-get install rabbitmq-server)")?;
        let mut command = Command::new(rabbitmq_binary());
        common_environment(&mut command, directory.path(), port, peers);
        command
            .env("ERL_EPMD_PORT", names.to_string())
            .env("RABBITMQ_MNESIA_BASE", directory.path().join("mnesia"))
            .env("RABBITMQ_CONFIG_FILE", directory.path().join("rabbitmq.conf"))
            .env(
                "RABBITMQ_ADVANCED_CONFIG_FILE",
                directory.path().join("advanced.config"),
            );
        Self::start(command, Some(epmd), directory, port, (pages, RABBITMQ_STATISTICS))
    }

    fn start(
        mut command: Command,
        epmd: Option<Group>,
        directory: TempDir,
        port: u16,
        (pages, statistics_wait): (Pages, Duration),
    ) -> Result<Self> {
        let plugins = directory.path().join("enabled_plugins");
        fs::write(&plugins, "[rabbitmq_management, rabbitmq_prometheus].\n")?;
        command.env("RABBITMQ_ENABLED_PLUGINS_FILE", plugins);
        let output = File::create(directory.path().join("output"))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let program = PathBuf::from(command.get_program());
        let broker = Group::spawn(&mut command).with_context(|| format!("{} does not start", program.display()))?;
        let mut server = Self {
            broker,
            _epmd: epmd,
            directory,
            port,
            management: pages.management,
            metrics: pages.metrics,
            statistics_wait,
        };
        server
            .wait_ready()
            .with_context(|| format!("{} does not serve AMQP", program.display()))?;
        Ok(server)
    }

    fn wait_ready(&mut self) -> Result<()> {
        let end = Instant::now() + START_PATIENCE;
        let answers = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
        while !(greets(self.port) && answers(self.management) && answers(self.metrics)) {
            if let Some(status) = self.broker.wait_until(Instant::now())? {
                bail!("it ended with {status}; its last words:\n{}", self.last_words());
            }
            if Instant::now() > end {
                bail!(
                    "no greeting within {START_PATIENCE:?}; its last words:\n{}",
                    self.last_words()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The end of what the broker printed.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read(self.directory.path().join("output")).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(2000)..]).into_owned()
    }

    /// Where clients find the broker, as the user that every fresh broker has.
    pub(crate) fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// Where the management API is.
    pub(crate) fn management(&self) -> String {
        format!("http://127.0.0.1:{}", self.management)
    }

    /// Where the metrics are.
    pub(crate) fn metrics(&self) -> String {
        format!("http://127.0.0.1:{}", self.metrics)
    }

    /// How long its statistics may lag behind what they count.
    pub(crate) fn statistics_wait(&self) -> Duration {
        self.statistics_wait
    }

    /// Stops the broker in good order; an error if it died before or has to be killed.
    pub(crate) fn stop(mut self) -> Result<()> {
        if let Some(status) = self.broker.wait_until(Instant::now())? {
            bail!(
                "the broker died during the tests, with {status}; its last words:\n{}",
                self.last_words()
            );
        }
        match self.broker.terminate(STOP_PATIENCE)? {
            Some(_) => Ok(()),
            None => bail!("the broker did not stop within {STOP_PATIENCE:?} of SIGTERM"),
        }
    }
}

/// Where a broker serves HTTP.
#[derive(Clone, Copy)]
struct Pages {
    management: u16,
    metrics: u16,
}

impl Pages {
    fn free() -> Result<Self> {
        Ok(Self {
            management: free_port()?,
            metrics: free_port()?,
        })
    }

    /// The same for both brokers.
    fn lines(self) -> String {
        let line = |name: &str, port| format!("{name}.tcp.port = {port}\n{name}.tcp.ip = 127.0.0.1\n");
        line("management", self.management) + &line("prometheus", self.metrics)
    }
}

fn common_environment(command: &mut Command, directory: &Path, port: u16, peers: u16) {
    command
        .env("HOME", directory) // the secret of the cluster lives here
        .env("RABBITMQ_NODENAME", "rabbit@localhost")
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", port.to_string())
        .env("RABBITMQ_DIST_PORT", peers.to_string())
        .env("RABBITMQ_LOG_BASE", directory.join("log"));
}

/// Debian's wrapper in /usr/sbin changes to another user, who could not write our directories; the script behind it
/// does not.
fn rabbitmq_binary() -> PathBuf {
    let behind = PathBuf::from("/usr/lib/rabbitmq/bin/rabbitmq-server");
    if behind.exists() {
        behind
    } else {
        PathBuf::from("rabbitmq-server")
    }
}

/// A port that nobody listens on at this moment.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
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
