//! Starts brokers for a run and stops them: Debian's RabbitMQ and Warren, each on ports and in a directory of its own.
//! Nothing of a machine's own RabbitMQ is touched: node name, name service, cookie, logs and data are all private.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::management::Management;
use crate::server::{Ctl, Server};

/// Where Debian keeps the scripts that do not switch user.
const RABBITMQ_BIN: &str = "/usr/lib/rabbitmq/bin";

/// Limits small enough for a behaviour to reach, and all statistics that there are, the same on every server that we start.
const LIMITS: &str = "consumer_timeout = 25000\nmax_message_size = 2097152\nmanagement.rates_mode = detailed\n";

/// What RabbitMQ takes only in its other configuration file, and Warren there as well: how often it looks for late acknowledgements.
const ADVANCED: &str = "[{rabbit, [{channel_tick_interval, 1000}]}].\n";

/// What is switched on in both: the management API, events, and the exchange types that RabbitMQ has as plugins.
const PLUGINS: &str = "[rabbitmq_management,rabbitmq_consistent_hash_exchange,rabbitmq_random_exchange,\
                       rabbitmq_recent_history_exchange,rabbitmq_sharding,rabbitmq_event_exchange].\n";

/// How long a broker may take to answer; RabbitMQ needs five seconds on an idle machine.
const START: Duration = Duration::from_secs(120);

/// A broker that dies with this value.
pub struct Host {
    /// How to reach it.
    pub server: Server,
    // Field order is drop order: processes first, their directory last.
    _processes: Vec<Process>,
    _dir: TempDir,
}

/// A child process that is killed and reaped on drop.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Already gone is as good as killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Ports {
    amqp: u16,
    management: u16,
    distribution: u16,
    names: u16,
    admin: u16,
    prometheus: u16,
}

impl Ports {
    /// Six free ports; all are held until the last is known, so they differ.
    fn free() -> Result<Self> {
        let held = (0..6)
            .map(|_| TcpListener::bind(("127.0.0.1", 0)))
            .collect::<Result<Vec<_>, _>>()?;
        let port = |i: usize| held[i].local_addr().map(|address| address.port());
        Ok(Self {
            amqp: port(0)?,
            management: port(1)?,
            distribution: port(2)?,
            names: port(3)?,
            admin: port(4)?,
            prometheus: port(5)?,
        })
    }

    fn amqp_url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.amqp)
    }

    fn management_url(&self) -> String {
        format!("http://guest:guest@127.0.0.1:{}", self.management)
    }
}

/// Starts Debian's RabbitMQ.
///
/// # Errors
/// It is not installed, or does not answer within two minutes (the error carries the end of its log).
pub fn rabbitmq() -> Result<Host> {
    let script = Path::new(RABBITMQ_BIN).join("rabbitmq-server");
    ensure!(
        script.exists(),
        "rabbitmq-server is not installed: apt-get install rabbitmq-server"
    );
    let (dir, ports) = (tempfile::tempdir()?, Ports::free()?);
    let config = format!(
        "listeners.tcp.1 = 127.0.0.1:{}\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {}\nlog.console = true\n\
         log.file = false\nprometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {}\n{LIMITS}",
        ports.amqp, ports.management, ports.prometheus
    );
    let env = rabbitmq_env(dir.path(), &ports, &config, PLUGINS)?;
    let names = Command::new("epmd")
        .args(["-port", &ports.names.to_string()])
        .envs(env.clone())
        .spawn();
    let mut processes = vec![Process(names.context("starting epmd")?)];
    let mut command = Command::new(script);
    // Without this the script stays as a parent and the broker survives its death.
    command
        .envs(env.clone())
        .env("RUNNING_UNDER_SYSTEMD", "true")
        .env_remove("NOTIFY_SOCKET");
    processes.push(spawn(command, dir.path())?);
    let ctl = Ctl {
        command: vec![format!("{RABBITMQ_BIN}/rabbitmqctl")],
        env,
    };
    wait_until_up(
        "rabbitmq",
        |name| reach(name, &ports, ctl.clone(), true),
        processes,
        dir,
    )
}

fn rabbitmq_env(dir: &Path, ports: &Ports, config: &str, plugins: &str) -> Result<Vec<(String, String)>> {
    let file = |name: &str, text: &str| -> Result<String> {
        let path = dir.join(name);
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let pairs = [
        ("HOME", dir.display().to_string()),
        ("ERL_EPMD_PORT", ports.names.to_string()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
        ("RABBITMQ_NODENAME", format!("oracle-{}@localhost", ports.amqp)),
        ("RABBITMQ_NODE_PORT", ports.amqp.to_string()),
        ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
        ("RABBITMQ_DIST_PORT", ports.distribution.to_string()),
        ("RABBITMQ_MNESIA_BASE", dir.join("data").display().to_string()),
        ("RABBITMQ_LOG_BASE", dir.join("log").display().to_string()),
        ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
        ("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf", config)?),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", file("advanced.config", ADVANCED)?),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", file("enabled_plugins", plugins)?),
    ];
    Ok(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// Starts the Warren binary at `binary`; without management, what needs the API is skipped.
///
/// # Errors
/// It does not answer within two minutes (the error carries the end of its log).
pub fn warren(binary: &Path, with_management: bool) -> Result<Host> {
    let (dir, ports) = (tempfile::tempdir()?, Ports::free()?);
    let config = format!(
        "listeners.tcp.1 = 127.0.0.1:{}\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {}\nadmin.tcp.port = {}\n\
         prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {}\nconsumer_max_per_channel = 30\n{LIMITS}",
        ports.amqp, ports.management, ports.admin, ports.prometheus
    );
    let env = rabbitmq_env(dir.path(), &ports, &config, PLUGINS)?;
    let mut command = Command::new(binary);
    command
        .arg("server")
        .arg("--data")
        .arg(dir.path().join("data"))
        .envs(env.clone());
    let processes = vec![spawn(command, dir.path())?];
    let ctl = Ctl {
        command: vec![binary.display().to_string(), "ctl".to_owned()],
        env,
    };
    wait_until_up(
        "warren",
        |name| reach(name, &ports, ctl.clone(), with_management),
        processes,
        dir,
    )
}

/// The Warren binary: `WARREN_BIN`, else beside this program, release preferred.
#[must_use]
pub fn warren_binary() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("WARREN_BIN") {
        return Some(path.into());
    }
    let target = std::env::current_exe().ok()?.parent()?.parent()?.to_owned();
    ["release/warren", "debug/warren"]
        .iter()
        .map(|name| target.join(name))
        .find(|path| path.exists())
}

fn spawn(mut command: Command, dir: &Path) -> Result<Process> {
    let log = File::create(dir.join("output"))?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .current_dir(dir);
    let child = command
        .spawn()
        .with_context(|| format!("starting {:?}", command.get_program()))?;
    Ok(Process(child))
}

fn wait_until_up(
    name: &str,
    reach: impl Fn(&str) -> Result<Server>,
    mut processes: Vec<Process>,
    dir: TempDir,
) -> Result<Host> {
    let deadline = Instant::now() + START;
    loop {
        let failure = match reach(name) {
            Ok(server) => {
                return Ok(Host {
                    server,
                    _processes: processes,
                    _dir: dir,
                });
            }
            Err(failure) => failure,
        };
        let ended = processes
            .last_mut()
            .and_then(|process| process.0.try_wait().ok().flatten());
        if ended.is_some() || Instant::now() > deadline {
            let log = fs::read_to_string(dir.path().join("output")).unwrap_or_default();
            let tail = log
                .lines()
                .rev()
                .take(30)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .collect::<Vec<_>>()
                .join("\n");
            bail!("{name} did not come up ({failure:#}; ended: {ended:?}); end of its output:\n{tail}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// One attempt to reach AMQP and, if it is wanted, the management API.
fn reach(name: &str, ports: &Ports, ctl: Ctl, with_management: bool) -> Result<Server> {
    let management = with_management.then(|| ports.management_url());
    let prometheus = Management::new(&format!("http://guest:guest@127.0.0.1:{}", ports.prometheus))?;
    let server = Server {
        prometheus: Some(prometheus),
        ..Server::connect(name, &ports.amqp_url(), management.as_deref(), Some(ctl))?
    };
    if let Some(management) = &server.management {
        let (status, _) = management.call("GET", "/api/overview", None)?;
        ensure!(status == 200, "GET /api/overview: HTTP {status}");
    }
    Ok(server)
}
