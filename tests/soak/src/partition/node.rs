//! One node of the cluster under test: its process on its host, its directory, and the command line tool that asks it. It
//! can be killed, frozen and started again at any moment. It judges nothing.

use super::net::{HOSTS, Net, address, amqp};
use super::release;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest start; RabbitMQ waits five minutes for the others.
const START_PATIENCE: Duration = Duration::from_secs(120);
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// The longest that a tool may take, in seconds.
const TOOL_SECONDS: &str = "120";
/// Behind Debian's wrappers, which change to a user who could not write our directories.
const DEBIAN: &str = "/usr/lib/rabbitmq/bin";

/// Which broker the nodes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The binary at this path.
    Warren(PathBuf),
    /// Debian's.
    Rabbitmq,
}

impl Kind {
    /// Whether it is ours.
    pub(crate) fn is_warren(&self) -> bool {
        matches!(self, Self::Warren(_))
    }

    /// How long the nodes may take to know each other again when nothing is in their way. An operator who waits longer
    /// looks for another remedy; RabbitMQ needs minutes after a partition.
    pub(crate) fn whole_patience(&self) -> Duration {
        Duration::from_secs(if self.is_warren() { 60 } else { 300 })
    }
}

/// A node, running or not.
#[derive(Debug)]
pub(crate) struct Node {
    /// The number of its host.
    pub(crate) number: usize,
    /// What it is.
    pub(crate) kind: Kind,
    /// The directory of all nodes.
    pub(crate) home: PathBuf,
    process: Option<Child>,
    names: Option<Child>,
}

impl Drop for Node {
    fn drop(&mut self) {
        for mut process in self.process.take().into_iter().chain(self.names.take()) {
            // Both fail only for what has ended already; a frozen process can be killed.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Node {
    /// A node that is not started. All nodes share `home`, and with it the secret.
    pub(crate) fn new(number: usize, kind: &Kind, home: &Path) -> Result<Self> {
        let kind = &match kind {
            Kind::Warren(binary) => Kind::Warren(release::newest(binary, home)),
            Kind::Rabbitmq => Kind::Rabbitmq,
        };
        let node = Self {
            number,
            kind: kind.clone(),
            home: home.to_owned(),
            process: None,
            names: None,
        };
        fs::create_dir_all(node.place())?;
        share_secret(home)?;
        if let Kind::Warren(binary) = kind {
            node.take_tool(binary)?;
        }
        fs::write(node.place().join("rabbitmq.conf"), node.settings())?;
        fs::write(node.place().join("enabled_plugins"), "[].\n")?;
        Ok(node)
    }

    /// From now on it is asked with the command line tool of this program.
    pub(crate) fn take_tool(&self, binary: &Path) -> Result<()> {
        let tool = self.home.join("rabbitmqctl");
        // An old link may lead to another binary, or not be there.
        let _ = fs::remove_file(&tool);
        Ok(symlink(std::path::absolute(binary)?, tool)?)
    }

    /// `rabbit@ADDRESS`.
    pub(crate) fn name(&self) -> String {
        format!("rabbit@{}", address(self.number))
    }

    fn place(&self) -> PathBuf {
        self.home.join(format!("node{}", self.number))
    }

    fn data(&self) -> PathBuf {
        self.place().join("data")
    }

    fn settings(&self) -> String {
        let mut text = String::from("loopback_users = none\nlisteners.tcp.1 = 0.0.0.0:5672\n");
        text.push_str("cluster_partition_handling = pause_minority\n");
        // How full the disk of this machine is has no say.
        text.push_str("disk_free_limit.absolute = 1MB\n");
        text.push_str("cluster_formation.peer_discovery_backend = classic_config\n");
        for number in 1..=HOSTS {
            let name = address(number);
            text.push_str(&format!(
                "cluster_formation.classic_config.nodes.{number} = rabbit@{name}\n"
            ));
        }
        text
    }

    fn prepared(&self, mut command: Command) -> Command {
        let place = self.place();
        command
            .env("HOME", &self.home)
            .env("RABBITMQ_NODENAME", self.name())
            .env("RABBITMQ_USE_LONGNAME", "true")
            .env("RABBITMQ_LOG_BASE", place.join("log"))
            .env("RABBITMQ_MNESIA_BASE", self.data())
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", place.join("enabled_plugins"))
            .env("RABBITMQ_CONFIG_FILE", place.join("rabbitmq.conf"))
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .env("NOTIFY_SOCKET", "")
            .stdin(Stdio::null());
        command
    }

    /// Starts its process and does not wait.
    pub(crate) fn launch(&mut self, net: &Net) -> Result<()> {
        ensure!(self.process.is_none(), "node {} runs already", self.number);
        let mut command = match &self.kind {
            Kind::Warren(binary) => {
                let mut command = net.command(self.number, binary);
                command.args(["server", "--data"]).arg(self.data());
                command
            }
            Kind::Rabbitmq => {
                self.serve_names(net)?;
                net.command(self.number, &Path::new(DEBIAN).join("rabbitmq-server"))
            }
        };
        command.current_dir(&self.home);
        let output = File::options()
            .create(true)
            .append(true)
            .open(self.place().join("output"))?;
        let mut command = self.prepared(command);
        command.stdout(output.try_clone()?).stderr(output);
        self.process = Some(
            command
                .spawn()
                .context("nsenter does not start: is util-linux there?")?,
        );
        Ok(())
    }

    fn serve_names(&mut self, net: &Net) -> Result<()> {
        if self.names.is_none() {
            let mut command = net.command(self.number, Path::new("epmd"));
            let names = command.stdin(Stdio::null()).spawn();
            self.names = Some(names.context("epmd does not start: install rabbitmq-server")?);
        }
        Ok(())
    }

    /// Whether its process is there, frozen or not.
    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Waits until it serves AMQP.
    pub(crate) fn wait_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        while !greets(self.number) {
            let status = self.process.as_mut().map(Child::try_wait).transpose()?.flatten();
            if let Some(status) = status {
                bail!(
                    "node {} ended with {status}; its last words:\n{}",
                    self.number,
                    self.last_words()
                );
            }
            ensure!(
                Instant::now() < deadline,
                "node {} does not greet within {START_PATIENCE:?}; its last words:\n{}",
                self.number,
                self.last_words()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Waits until it has ended by itself, because of what it says.
    ///
    /// # Errors
    /// It goes on, or ends for another reason.
    pub(crate) fn wait_refused(&mut self, reasons: &[&str]) -> Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        let mut process = self.process.take().context("it was not started")?;
        let status = loop {
            if let Some(status) = process.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                self.process = Some(process);
                bail!("node {} goes on, which should say one of {reasons:?}", self.number);
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let words = self.last_words();
        ensure!(
            !status.success() && reasons.iter().any(|reason| words.contains(reason)),
            "node {} ended with {status} and says none of {reasons:?}; its last words:\n{words}",
            self.number,
        );
        Ok(())
    }

    /// Kills it (SIGKILL), also when it is frozen.
    ///
    /// # Errors
    /// It had ended by itself.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else {
            bail!("node {} does not run", self.number);
        };
        if let Some(status) = process.try_wait()? {
            bail!(
                "node {} had ended by itself, with {status}; its last words:\n{}",
                self.number,
                self.last_words()
            );
        }
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let process = self
            .process
            .as_ref()
            .with_context(|| format!("node {} does not run", self.number))?;
        Ok(kill_process(Pid::from_child(process), signal)?)
    }

    /// Stops its clock (SIGSTOP): its sockets stay open, and it says nothing.
    pub(crate) fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on (SIGCONT).
    pub(crate) fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Stops it in good order (SIGTERM).
    ///
    /// # Errors
    /// It ended badly, or not in a minute.
    pub(crate) fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        let deadline = Instant::now() + STOP_PATIENCE;
        loop {
            match process.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!(
                    "SIGTERM ended node {} with {status}:\n{}",
                    self.number,
                    self.last_words()
                ),
                None => {}
            }
            if Instant::now() > deadline {
                // It is a finding either way.
                let _ = process.kill();
                let _ = process.wait();
                bail!(
                    "SIGTERM did not end node {} within {STOP_PATIENCE:?}:\n{}",
                    self.number,
                    self.last_words()
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its disk is empty from now on. It must not run.
    pub(crate) fn wipe(&self) -> Result<()> {
        ensure!(!self.runs(), "node {} runs", self.number);
        let data = self.data();
        if data.exists() {
            fs::remove_dir_all(data)?;
        }
        Ok(())
    }

    /// What `rabbitmqctl` prints when it asks this node.
    ///
    /// # Errors
    /// The tool failed, or took too long.
    pub(crate) fn ctl(&self, net: &Net, arguments: &[&str]) -> Result<String> {
        let tool = match self.kind {
            Kind::Warren(_) => self.home.join("rabbitmqctl"),
            Kind::Rabbitmq => Path::new(DEBIAN).join("rabbitmqctl"),
        };
        let mut command = self.prepared(net.command(self.number, Path::new("timeout")));
        command
            .current_dir(&self.home)
            .args(["-k", "1", TOOL_SECONDS])
            .arg(tool);
        let output = command
            .args(["-l", "-q", "-n", &self.name()])
            .args(arguments)
            .output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "rabbitmqctl {} on node {}: {}: {}",
            arguments.join(" "),
            self.number,
            output.status,
            errors.trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The same, as JSON.
    pub(crate) fn ask(&self, net: &Net, arguments: &[&str]) -> Result<Value> {
        let arguments = [arguments, &["--formatter", "json"]].concat();
        let text = self.ctl(net, &arguments)?;
        serde_json::from_str(&text).with_context(|| format!("rabbitmqctl {}: {text}", arguments.join(" ")))
    }

    /// The cluster that its directory says it belongs to; nothing that RabbitMQ would know.
    pub(crate) fn cluster_id(&self) -> Option<String> {
        let text = fs::read(self.data().join("warren.json")).ok()?;
        let known: Value = serde_json::from_slice(&text).ok()?;
        Some(known.get("cluster")?.as_str()?.to_owned())
    }

    /// Lines of its logs that contain a text, the newest last.
    pub(crate) fn logged(&self, text: &str) -> Vec<String> {
        let all = fs::read_to_string(self.log_file()).unwrap_or_default();
        all.lines()
            .filter(|line| line.contains(text))
            .map(str::to_owned)
            .collect()
    }

    /// Puts its log and what it printed into another directory.
    pub(crate) fn copy_logs(&self, to: &Path) -> Result<()> {
        for (file, name) in [(self.log_file(), "log"), (self.place().join("output"), "output")] {
            if file.exists() {
                fs::copy(file, to.join(format!("node{}.{name}", self.number)))?;
            }
        }
        Ok(())
    }

    fn log_file(&self) -> PathBuf {
        self.place().join("log").join(format!("{}.log", self.name()))
    }

    fn last_words(&self) -> String {
        let (log, output) = (fs::read(self.log_file()), fs::read(self.place().join("output")));
        let tail = |text: Vec<u8>| String::from_utf8_lossy(&text[text.len().saturating_sub(1500)..]).into_owned();
        format!(
            "{}\n{}",
            tail(log.unwrap_or_default()),
            tail(output.unwrap_or_default())
        )
    }
}

fn share_secret(home: &Path) -> Result<()> {
    let cookie = home.join(".erlang.cookie");
    if !cookie.exists() {
        fs::write(&cookie, "CWQUYERKZHUAGOEQMZZU")?;
        fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400))?;
    }
    Ok(())
}

/// True once the node answers AMQP's protocol header with the beginning of a frame.
fn greets(number: usize) -> bool {
    let exchange = || -> std::io::Result<u8> {
        let mut socket = TcpStream::connect_timeout(&amqp(number), Duration::from_secs(1))?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        socket.write_all(b"AMQP\x00\x00\x09\x01")?;
        let mut first = [0];
        socket.read_exact(&mut first)?;
        Ok(first[0])
    };
    exchange().is_ok_and(|first| first == 1)
}
