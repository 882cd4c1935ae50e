//! Starts and stops the broker under test, on ports and directories of its own, and asks its HTTP API for what a case needs to
//! be there before it begins. It knows the broker by its configuration files and its ports alone.

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use ureq::Agent;

use crate::{
    browser::eventually,
    process::{Process, free_port},
};

const START_PATIENCE: Duration = Duration::from_secs(30);

/// A broker with its management port.
#[derive(Debug)]
pub(crate) struct Server {
    process: Option<Process>,
    pub(crate) binary: PathBuf,
    directory: TempDir,
    name: String,
    /// Where the secret of the cluster lives, and the port at which its nodes find each other by name.
    home: PathBuf,
    names: u16,
    amqp: u16,
    http: u16,
    peers: u16,
    agent: Agent,
}

/// An answer of the HTTP API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header that is there.
    pub(crate) fn header(&self, name: &str) -> Result<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.as_str())
            .with_context(|| format!("no header {name}"))
    }

    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("no JSON: {}", self.body))
    }
}

impl Server {
    /// A broker that is alone.
    pub(crate) fn start(binary: &Path) -> Result<Self> {
        Self::start_as("page@localhost", binary, None)
    }

    /// Another one, which has become a member of this one's cluster.
    pub(crate) fn start_member(&self, name: &str) -> Result<Self> {
        let member = Self::start_as(name, &self.binary, Some((&self.home, self.names)))?;
        member.operate(&["stop_app"])?;
        member.operate(&["join_cluster", &self.name])?;
        member.operate(&["start_app"])?;
        Ok(member)
    }

    fn start_as(name: &str, binary: &Path, cluster: Option<(&Path, u16)>) -> Result<Self> {
        let directory = TempDir::with_prefix("page-warren-")?;
        let (home, names) = match cluster {
            Some((home, names)) => (home.to_owned(), names),
            None => (directory.path().to_owned(), free_port()?),
        };
        let [amqp, http, admin, peers] = [free_port()?, free_port()?, free_port()?, free_port()?];
        let config = format!(
            "listeners.tcp.1 = 127.0.0.1:{amqp}\nmanagement.tcp.port = {http}\nmanagement.tcp.ip = 127.0.0.1\n\
             admin.tcp.port = {admin}\nadmin.tcp.ip = 127.0.0.1\n"
        );
        fs::write(directory.path().join("rabbitmq.conf"), config)?;
        fs::write(directory.path().join("enabled_plugins"), "[rabbitmq_management].\n")?;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(20)))
            .build()
            .into();
        let mut server = Self {
            process: None,
            binary: binary.to_owned(),
            directory,
            name: name.to_owned(),
            home,
            names,
            amqp,
            http,
            peers,
            agent,
        };
        server.restart()?;
        Ok(server)
    }

    /// Starts it again after [`Server::stop`], on the same ports.
    pub(crate) fn restart(&mut self) -> Result<()> {
        let output = File::create(self.place().join("output"))?;
        let mut command = self.command();
        command.arg("server").arg("--data").arg(self.place().join("data"));
        command.stdout(output.try_clone()?).stderr(output);
        self.process = Some(Process::start(&mut command)?);
        self.wait_ready()
    }

    /// The binary in the broker's surroundings.
    fn command(&self) -> Command {
        let place = self.place();
        let mut command = Command::new(&self.binary);
        command
            .env("HOME", &self.home)
            .env("ERL_EPMD_PORT", self.names.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", &self.name)
            .env("RABBITMQ_DIST_PORT", self.peers.to_string())
            .env("RABBITMQ_LOG_BASE", place.join("log"))
            .env("RABBITMQ_CONFIG_FILE", place.join("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", place.join("enabled_plugins"));
        command
    }

    /// Operates the node by its command line.
    pub(crate) fn operate(&self, arguments: &[&str]) -> Result<()> {
        let output = self.command().arg("ctl").args(arguments).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {said}");
        Ok(())
    }

    /// Kills it.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// It does nothing any more, or goes on.
    pub(crate) fn freeze(&self, frozen: bool) -> Result<()> {
        self.process.as_ref().context("it was started")?.freeze(frozen)
    }

    fn wait_ready(&mut self) -> Result<()> {
        let end = Instant::now() + START_PATIENCE;
        while self.ask("GET", "whoami", None).is_err() {
            let process = self.process.as_mut().context("it was started")?;
            if !process.is_running()? || Instant::now() > end {
                bail!("the broker does not serve its management port:\n{}", self.last_words());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(self.directory.path().join("output")).unwrap_or_default();
        text.lines().rev().take(20).collect::<Vec<_>>().join("\n")
    }

    /// Where browsers find it.
    pub(crate) fn url(&self, rest: &str) -> String {
        format!("http://127.0.0.1:{}/{rest}", self.http)
    }

    /// Where clients find it.
    pub(crate) fn amqp_url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.amqp)
    }

    /// A directory for files of the test.
    pub(crate) fn place(&self) -> &Path {
        self.directory.path()
    }

    /// Sends any request; an error only when there is no answer.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer> {
        let mut request = ureq::http::Request::builder().method(method).uri(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let octets = body.map(Value::to_string).unwrap_or_default();
        let mut response = self.agent.run(request.body(octets)?)?;
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
        Ok(Answer {
            status: response.status().as_u16(),
            headers: headers.collect(),
            body: response.body_mut().read_to_string()?,
        })
    }

    /// Asks the API as the administrator.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let login = format!("Basic {}", STANDARD.encode("guest:guest"));
        let headers = [("authorization", login.as_str()), ("content-type", "application/json")];
        self.send(method, &format!("api/{path}"), &headers, body)
    }

    /// Does what has to be there before a case begins.
    pub(crate) fn prepare(&self, method: &str, path: &str, body: &Value) -> Result<()> {
        let answer = self.ask(method, path, Some(body))?;
        ensure!(
            answer.status < 300,
            "{method} {path}: {} {}",
            answer.status,
            answer.body
        );
        Ok(())
    }

    /// Waits until the API tells of a concern of this kind, or of none.
    pub(crate) fn until_concerned(&self, kind: &str, wanted: bool) -> Result<()> {
        eventually(|| {
            let attention = self.get("attention")?;
            let items = attention["items"].as_array().context("items are a list")?;
            let is_told = items.iter().any(|item| item["kind"] == kind);
            ensure!(is_told == wanted, "{kind}: {attention}");
            Ok(())
        })
    }

    /// An object of the API.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        let answer = self.ask("GET", path, None)?;
        ensure!(answer.status == 200, "GET {path}: {} {}", answer.status, answer.body);
        answer.json()
    }
}
