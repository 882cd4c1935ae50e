//! Several nodes on this machine as an administrator has them on several: each with its own tools, one cookie for all, and the
//! handbooks' commands to join them.

use crate::{broker::PATIENCE, ports::free_addresses};
use std::{
    fs,
    net::TcpStream,
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// Nodes of this machine that share a home, as machines share a copied cookie.
pub(crate) struct Machines {
    pub(crate) home: tempfile::TempDir,
    pub(crate) names: u16,
    pub(crate) nodes: Vec<Machine>,
}

pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) amqp: u16,
    pub(crate) peers: u16,
    pub(crate) admin: u16,
    pub(crate) process: Child,
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Machines {
    pub(crate) fn start(count: usize) -> Self {
        Self::start_with(vec![String::new(); count])
    }

    /// One machine for each of these settings.
    pub(crate) fn start_with(settings: Vec<String>) -> Self {
        let count = settings.len();
        let [names] = free_addresses();
        let mut machines = Machines {
            home: tempfile::tempdir().unwrap(),
            names: names.port(),
            nodes: Vec::new(),
        };
        let cookie = machines.path(".erlang.cookie");
        fs::write(&cookie, "CWQUYERKZHUAGOEQMZZU").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o400);
        fs::set_permissions(&cookie, mode).unwrap();
        for tool in [
            "rabbitmq-server",
            "rabbitmqctl",
            "rabbitmq-diagnostics",
            "rabbitmq-plugins",
            "rabbitmq-queues",
            "rabbitmq-upgrade",
        ] {
            symlink(env!("CARGO_BIN_EXE_warren"), machines.path(tool)).unwrap();
        }
        for (number, settings) in (1..).zip(&settings) {
            machines.add(&format!("mq{number}@localhost"), settings);
        }
        for number in 1..=count {
            machines.until_it_listens(number);
            machines.ctl(number, &["await_startup"]);
        }
        machines
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn add(&mut self, name: &str, settings: &str) {
        let [amqp, peers, admin] = free_addresses().map(|address| address.port());
        let settings = format!("admin.tcp.port = {admin}\nlisteners.tcp.1 = 127.0.0.1:{amqp}\n{settings}");
        fs::write(self.path(&format!("{name}.conf")), settings).unwrap();
        let process = self.spawn(name, amqp, peers);
        self.nodes.push(Machine {
            name: name.to_owned(),
            amqp,
            peers,
            admin,
            process,
        });
    }

    fn spawn(&self, name: &str, amqp: u16, peers: u16) -> Child {
        let mut command = self.command("rabbitmq-server", name, amqp, peers);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Another process takes the place of one that has ended.
    pub(crate) fn start_again(&mut self, number: usize) {
        let machine = &self.nodes[number - 1];
        let process = self.spawn(&machine.name, machine.amqp, machine.peers);
        self.nodes[number - 1].process = process;
        self.until_it_listens(number);
        self.ctl(number, &["await_startup"]);
    }

    /// A process that has only begun does not listen yet, and tools would say that there is no node.
    pub(crate) fn until_it_listens(&self, number: usize) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.nodes[number - 1].peers)).is_err() {
            assert!(
                Instant::now() < deadline,
                "mq{number} does not listen: {}",
                self.log(number)
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn command(&self, tool: &str, name: &str, amqp: u16, peers: u16) -> Command {
        let mut command = Command::new(self.path(tool));
        command
            .env("HOME", self.home.path())
            .env("ERL_EPMD_PORT", self.names.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", name)
            .env("RABBITMQ_NODE_PORT", amqp.to_string())
            .env("RABBITMQ_DIST_PORT", peers.to_string())
            .env("RABBITMQ_MNESIA_BASE", self.path("mnesia"))
            .env("RABBITMQ_LOG_BASE", self.path("log"))
            .env("RABBITMQ_CONFIG_FILE", self.path(&format!("{name}.conf")))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", self.path("enabled_plugins"));
        command
    }

    /// What came of a call on the machine of this number, from 1.
    pub(crate) fn call(&self, number: usize, arguments: &[&str]) -> Output {
        self.call_tool("rabbitmqctl", number, arguments)
    }

    /// The same of another tool.
    pub(crate) fn call_tool(&self, tool: &str, number: usize, arguments: &[&str]) -> Output {
        let machine = &self.nodes[number - 1];
        let mut command = self.command(tool, &machine.name, machine.amqp, machine.peers);
        command.args(arguments).output().unwrap()
    }

    pub(crate) fn ctl(&self, number: usize, arguments: &[&str]) -> String {
        self.tool("rabbitmqctl", number, arguments)
    }

    pub(crate) fn tool(&self, tool: &str, number: usize, arguments: &[&str]) -> String {
        let output = self.call_tool(tool, number, arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "mq{number} {tool} {arguments:?}: {errors}\n{}",
            self.log(number)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Exit code and last line of the complaint.
    pub(crate) fn refused(&self, number: usize, arguments: &[&str]) -> (i32, String) {
        let output = self.call(number, arguments);
        let errors = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        let last = errors.lines().last().unwrap_or_default().to_owned();
        (output.status.code().unwrap_or(-1), last)
    }

    pub(crate) fn log(&self, number: usize) -> String {
        let name = format!("log/{}.log", self.nodes[number - 1].name);
        fs::read_to_string(self.path(&name)).unwrap_or_default()
    }

    /// Names under a heading of `cluster_status`.
    pub(crate) fn section(&self, number: usize, heading: &str) -> Vec<String> {
        let page = self.ctl(number, &["cluster_status"]);
        let title = format!("\x1b[1m{heading}\x1b[0m\n\n");
        let rest = page.split(&title).nth(1).unwrap_or_default();
        rest.lines()
            .take_while(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }

    pub(crate) fn becomes(&self, number: usize, heading: &str, names: &[&str]) {
        let deadline = Instant::now() + 3 * PATIENCE;
        loop {
            let seen = self.section(number, heading);
            if seen == names {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "mq{number}: {heading}: {seen:?}, not {names:?}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until a line stands under a heading.
    pub(crate) fn becomes_with(&self, number: usize, heading: &str, line: &str) {
        let deadline = Instant::now() + 3 * PATIENCE;
        while !self.section(number, heading).iter().any(|seen| seen == line) {
            assert!(
                Instant::now() < deadline,
                "mq{number}: {heading}: {:?}, without {line}",
                self.section(number, heading)
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The handbook's four commands.
    pub(crate) fn join(&self, number: usize, to: &str) {
        let own = &self.nodes[number - 1].name;
        let stopping = format!("Stopping rabbit application on node {own} ...\n");
        assert_eq!(self.ctl(number, &["stop_app"]), stopping);
        let clustering = format!("Clustering node {own} with {to}\n");
        assert_eq!(self.ctl(number, &["join_cluster", to]), clustering);
        assert_eq!(self.ctl(number, &["start_app"]), format!("Starting node {own} ...\n"));
    }
}

/// What three of them are called.
pub(crate) const ALL: [&str; 3] = ["mq1@localhost", "mq2@localhost", "mq3@localhost"];
