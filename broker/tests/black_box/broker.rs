//! A broker on free ports with an empty data directory, killed at the end of its test, and clients of it.

use lapin::{
    Channel, Connection, ConnectionProperties,
    options::{BasicGetOptions, BasicPublishOptions, QueueDeclareOptions},
    tcp::OwnedTLSConfig,
    types::{FieldTable, ShortString},
};
use std::{
    fs::{self, File},
    future::Future,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use crate::ports::free_addresses;

/// Patience with anything that should take no time, on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A broker that has not been started yet.
pub(crate) struct Prepared {
    directory: tempfile::TempDir,
    settings: String,
    peers: SocketAddr,
    addresses: [SocketAddr; 3],
}

impl Prepared {
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// What the program says to these arguments.
    pub(crate) fn tool(&self, arguments: &[&str]) -> Output {
        tool(&mut program(self.directory.path(), self.peers), arguments)
    }

    pub(crate) fn started(self) -> Broker {
        let [amqp, tls, admin] = self.addresses;
        Broker::start_with(self.directory, &self.settings, [amqp, tls, admin, self.peers])
    }
}

fn tool(program: &mut Command, arguments: &[&str]) -> Output {
    program.args(arguments).output().unwrap()
}

pub(crate) struct Broker {
    process: Child,
    name: String,
    pub(crate) amqp: SocketAddr,
    /// Used by tests that write certificates first.
    pub(crate) tls: SocketAddr,
    admin: SocketAddr,
    peers: SocketAddr,
    directory: tempfile::TempDir,
}

/// The binary, for the node whose files are in this directory.
pub(crate) fn program(directory: &Path, peers: SocketAddr) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_warren"));
    program
        .env("RABBITMQ_DIST_PORT", peers.port().to_string())
        .env("RABBITMQ_ERLANG_COOKIE", "A-COOKIE-FOR-THIS-TEST")
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", directory.join("enabled_plugins"))
        .env("RABBITMQ_NODENAME", NAME)
        .env("RABBITMQ_MNESIA_DIR", directory.join("data"))
        .env("RABBITMQ_PID_FILE", directory.join("pid"))
        .env("HOME", directory);
    program
}

/// What a node is called unless a test says otherwise.
const NAME: &str = "rabbit@localhost";

fn spawn(directory: &Path, peers: SocketAddr, name: &str) -> Child {
    let output = File::options()
        .create(true)
        .append(true)
        .open(directory.join("output"))
        .unwrap();
    program(directory, peers)
        .env("RABBITMQ_NODENAME", name)
        .args(["server", "--data"])
        .arg(directory.join("data"))
        .arg("--config")
        .arg(directory.join("rabbitmq.conf"))
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap()
}

impl Broker {
    /// `settings` are further lines of the configuration file.
    pub(crate) fn start(settings: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), settings)
    }

    /// A broker with a TLS listener; `directory` holds `ca.pem`, `server.pem` and `server.key`.
    pub(crate) fn start_with_tls(directory: tempfile::TempDir, settings: &str) -> Self {
        let file = |name: &str| directory.path().join(name).display().to_string();
        let text = format!(
            "listeners.ssl.default = TLS_ADDRESS\nssl_options.cacertfile = {}\nssl_options.certfile = {}\n\
             ssl_options.keyfile = {}\n{settings}",
            file("ca.pem"),
            file("server.pem"),
            file("server.key")
        );
        Self::start_in(directory, &text)
    }

    /// A broker whose files are in this directory already.
    pub(crate) fn start_in(directory: tempfile::TempDir, settings: &str) -> Self {
        Self::start_with(directory, settings, free_addresses())
    }

    /// A broker that is started later.
    pub(crate) fn prepare() -> Prepared {
        Self::prepare_with("")
    }

    pub(crate) fn prepare_with(settings: &str) -> Prepared {
        let [amqp, tls, admin, peers] = free_addresses();
        Prepared {
            directory: tempfile::tempdir().unwrap(),
            settings: settings.to_owned(),
            peers,
            addresses: [amqp, tls, admin],
        }
    }

    fn start_with(directory: tempfile::TempDir, settings: &str, addresses: [SocketAddr; 4]) -> Self {
        let [amqp, tls, admin, peers] = addresses;
        let file = directory.path().join("rabbitmq.conf");
        let text = format!(
            "listeners.tcp.default = {amqp}\nadmin.tcp.port = {}\nadmin.tcp.ip = 127.0.0.1\nlog.console = true\n{settings}\n",
            admin.port()
        );
        fs::write(&file, text.replace("TLS_ADDRESS", &tls.to_string())).unwrap();
        let name = NAME.to_owned();
        let process = spawn(directory.path(), peers, &name);
        let mut broker = Broker {
            process,
            name,
            amqp,
            tls,
            admin,
            peers,
            directory,
        };
        broker.wait_until_ready();
        broker
    }

    /// Kills the process as nothing else can, and starts another on the same directory.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Kills the process as nothing else can.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Stops it in order.
    pub(crate) fn stop(&mut self) {
        self.ctl(&["stop"]);
        let ended = self.process.wait().unwrap();
        assert!(ended.success(), "{ended}: {}", self.log());
    }

    /// Starts another process on the same directory.
    pub(crate) fn start_again(&mut self) {
        self.process = self.spawn();
        self.wait_until_ready();
    }

    /// Starts another process, which ends by itself; what it said.
    pub(crate) fn fails_to_start(&mut self) -> String {
        let before = self.log().len();
        self.process = self.spawn();
        self.has_ended();
        self.log().split_off(before)
    }

    /// Waits until the process has ended by itself, and not well.
    pub(crate) fn has_ended(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.is_running() {
            assert!(Instant::now() < deadline, "it runs: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(!self.process.wait().unwrap().success());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    fn spawn(&self) -> Child {
        spawn(self.directory.path(), self.peers, &self.name)
    }

    /// What the node is called from its next start on.
    pub(crate) fn set_name(&mut self, name: &str) {
        self.name = name.to_owned();
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// What the program says to these arguments.
    pub(crate) fn tool(&self, arguments: &[&str]) -> Output {
        tool(&mut self.program(), arguments)
    }

    /// The program with these arguments, which goes on by itself.
    pub(crate) fn spawn_tool(&self, arguments: &[&str]) -> Child {
        self.program()
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn program(&self) -> Command {
        let mut program = program(self.directory.path(), self.peers);
        program.env("RABBITMQ_NODENAME", &self.name);
        program
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What `rabbitmqctl` prints.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> String {
        let output = self.program().args(["ctl", "-q"]).args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {text}{errors}");
        text
    }

    /// Exit code and errors of a `rabbitmqctl` that fails.
    pub(crate) fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = program(self.directory.path(), self.peers)
            .args(["ctl", "-q"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(!output.status.success(), "{arguments:?} does not fail");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap_or(-1), errors)
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_ready() {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "the broker ended with {ended:?}: {}", self.log());
            assert!(Instant::now() < deadline, "the broker is not ready: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn is_ready(&self) -> bool {
        self.admin("/ready") == 200
    }

    /// The status that the admin port answers; 0 if it does not.
    pub(crate) fn admin(&self, path: &str) -> u16 {
        let ask = || {
            let mut socket = TcpStream::connect(self.admin)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            write!(
                socket,
                "GET {path} HTTP/1.1\r\nHost: broker\r\nConnection: close\r\n\r\n"
            )?;
            let mut answer = String::new();
            socket.read_to_string(&mut answer)?;
            Ok::<_, std::io::Error>(answer)
        };
        let answer = ask().unwrap_or_default();
        answer
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0)
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// All that the broker has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("output")).unwrap_or_default()
    }

    pub(crate) async fn connect(&self) -> Connection {
        connect(self.amqp, "guest:guest@").await.unwrap()
    }

    /// To another virtual host.
    pub(crate) async fn connect_to(&self, vhost: &str) -> Connection {
        let url = format!("amqp://guest:guest@{}/{vhost}", self.amqp);
        let connecting = Connection::connect(&url, ConnectionProperties::default());
        soon(connecting).await.unwrap()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The end of something that should take no time.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it ends in time")
}

pub(crate) async fn connect(to: SocketAddr, login: &str) -> lapin::Result<Connection> {
    let url = format!("amqp://{login}{to}/%2f");
    soon(Connection::connect(&url, ConnectionProperties::default())).await
}

/// `query` such as `?auth_mechanism=external`.
pub(crate) async fn connect_tls(to: SocketAddr, query: &str, config: OwnedTLSConfig) -> lapin::Result<Connection> {
    let url = format!("amqps://guest:guest@{to}/%2f{query}");
    let runtime = lapin::runtime::default_runtime()?;
    let connecting = Connection::connect_with_config(&url, ConnectionProperties::default(), config, runtime);
    soon(connecting).await
}

/// A message goes through the broker and back.
pub(crate) async fn works(connection: &Connection) {
    let channel: Channel = connection.create_channel().await.unwrap();
    let exclusive = QueueDeclareOptions::exclusive();
    let queue = channel
        .queue_declare("".into(), exclusive, FieldTable::default())
        .await
        .unwrap();
    let name: ShortString = queue.name().clone();
    let body = vec![7; 300_000];
    let options = BasicPublishOptions::default();
    channel
        .basic_publish("".into(), name.clone(), options, &body, Default::default())
        .await
        .unwrap();
    let got = channel.basic_get(name, BasicGetOptions::default()).await.unwrap();
    assert_eq!(got.expect("the message just published").delivery.data, body);
}
