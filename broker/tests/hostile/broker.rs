//! The broker under attack: a process on free ports with an empty data directory, killed at the end of its test.
//!
//! Says what a bystander can see of it; never looks inside.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{client::Client, ports::free_addresses};

/// Patience with anything that should take no time, on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Broker {
    process: Child,
    pub(crate) amqp: SocketAddr,
    admin: SocketAddr,
    _data: tempfile::TempDir,
}

impl Broker {
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// `settings` are further lines of the configuration file.
    pub(crate) fn start_with(settings: &str) -> Self {
        let data = tempfile::tempdir().expect("a directory for the broker");
        let [amqp, admin, peers] = free_addresses();
        let file = data.path().join("rabbitmq.conf");
        let text = format!(
            "listeners.tcp.default = {amqp}\nadmin.tcp.port = {}\n{settings}\n",
            admin.port()
        );
        fs::write(&file, text).expect("a configuration file");
        if settings.contains("management.") {
            fs::write(data.path().join("enabled_plugins"), "[rabbitmq_management].").expect("a list of plugins");
        }
        let process = Command::new(env!("CARGO_BIN_EXE_warren"))
            .args(["server", "--data"])
            .arg(data.path().join("data"))
            .arg("--config")
            .arg(&file)
            .env("RABBITMQ_DIST_PORT", peers.port().to_string())
            .env("RABBITMQ_ERLANG_COOKIE", "A-COOKIE-FOR-THIS-TEST")
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", data.path().join("enabled_plugins"))
            .env("RABBITMQ_NODENAME", "rabbit@localhost")
            .env("HOME", data.path())
            .stdout(Stdio::null())
            .stderr(fs::File::create(data.path().join("stderr")).expect("a file"))
            .spawn()
            .expect("the broker's binary starts");
        let mut broker = Broker {
            process,
            amqp,
            admin,
            _data: data,
        };
        broker.wait_until_ready();
        broker
    }

    fn wait_until_ready(&mut self) {
        until("the broker is ready", || {
            if let Some(status) = self.process.try_wait().expect("a process of ours") {
                let said = fs::read_to_string(self._data.path().join("stderr"));
                panic!("the broker ended at its start with {status}: {said:?}");
            }
            self.probe("/ready")
        });
    }

    /// True if a probe of the admin port is answered with 200.
    pub(crate) fn probe(&self, path: &str) -> bool {
        let ask = || {
            let mut socket = TcpStream::connect(self.admin)?;
            socket.set_read_timeout(Some(Duration::from_secs(5)))?;
            write!(
                socket,
                "GET {path} HTTP/1.1\r\nHost: broker\r\nConnection: close\r\n\r\n"
            )?;
            let mut answer = String::new();
            socket.read_to_string(&mut answer)?;
            Ok::<_, std::io::Error>(answer.starts_with("HTTP/1.1 200"))
        };
        ask().unwrap_or(false)
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.probe("/live")
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.amqp).expect("the broker accepts");
        socket.set_nodelay(true).expect("a socket option");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket option");
        socket.set_write_timeout(Some(PATIENCE)).expect("a socket option");
        socket
    }

    /// A client that has logged in as guest.
    pub(crate) fn client(&self) -> Client {
        Client::log_in(self.connect(), 0)
    }

    /// Resident memory in MiB.
    pub(crate) fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let text = fs::read_to_string(path).expect("the broker runs");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("a known line");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib / 1024
    }

    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id()))
            .expect("the broker runs")
            .count()
    }

    /// A bystander logs in, declares, publishes and gets within the patience.
    pub(crate) fn serves_others(&self) {
        let mut other = self.client();
        other.open_channel(1);
        let queue = other.declare_anonymous(1);
        other.publish(1, "", &queue, b"hello");
        let got = other.get(1, &queue).expect("the message just published");
        assert_eq!(got, b"hello");
        assert!(self.is_alive());
    }

    pub(crate) fn terminate(&self) {
        let status = Command::new("kill")
            .args(["-TERM", &self.process.id().to_string()])
            .status();
        assert!(status.is_ok_and(|status| status.success()));
    }

    /// Waits for the end of the process; its exit code.
    pub(crate) fn exit_code(&mut self, patience: Duration) -> Option<i32> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.process.try_wait().expect("a process of ours") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the broker still runs after {patience:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already, as it should in one test.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits for a condition, at most as long as the patience.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
