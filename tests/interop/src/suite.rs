//! The suites: what each is called, what it needs, how it is started, and how its report is read. A suite is a process
//! that gets the addresses in AMQP_URL, MANAGEMENT_URL and METRICS_URL and prints the Test Anything Protocol; nothing else passes between us.

use crate::environment::Environment;
use crate::group::Group;
use crate::tap::{Outcome, Report};
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// No suite needs half of this.
const SUITE_PATIENCE: Duration = Duration::from_secs(150);

/// One foreign client and the tests written with it.
#[derive(Debug)]
pub(crate) struct Suite {
    /// What `--only` and `--skip` call it.
    pub(crate) name: &'static str,
    environment: Environment,
    /// Which script of the Python suites it is, for those.
    script: &'static str,
}

/// Every suite, in the order they run.
pub(crate) const SUITES: [Suite; 12] = [
    Suite {
        name: "pika-handbook",
        environment: Environment::PythonClients,
        script: "handbook_suite.py",
    },
    Suite {
        name: "pika-0.10-handbook",
        environment: Environment::Pika010,
        script: "handbook_suite.py",
    },
    Suite {
        name: "pika",
        environment: Environment::PythonClients,
        script: "pika_suite.py",
    },
    Suite {
        name: "aio-pika",
        environment: Environment::PythonClients,
        script: "aio_pika_suite.py",
    },
    Suite {
        name: "kombu",
        environment: Environment::PythonClients,
        script: "kombu_suite.py",
    },
    Suite {
        name: "celery",
        environment: Environment::PythonClients,
        script: "celery_suite.py",
    },
    Suite {
        name: "amqplib",
        environment: Environment::Node,
        script: "",
    },
    Suite {
        name: "amqp091-go",
        environment: Environment::Go,
        script: "",
    },
    Suite {
        name: "java",
        environment: Environment::Java,
        script: "",
    },
    Suite {
        name: "lapin",
        environment: Environment::Rust,
        script: "",
    },
    Suite {
        name: "rabbit-hole",
        environment: Environment::RabbitHole,
        script: "",
    },
    Suite {
        name: "rabbitmq_http_client",
        environment: Environment::RustHttp,
        script: "",
    },
];

/// Where the suites' sources are, where their environments are kept, and which broker they talk to.
#[derive(Debug)]
pub(crate) struct Place {
    /// The directory of this package.
    pub(crate) sources: PathBuf,
    /// The directory that survives from run to run.
    pub(crate) cache: PathBuf,
    /// The address of the broker.
    pub(crate) url: String,
    /// The address of its management API, if the caller knows one.
    pub(crate) management: Option<String>,
    /// The address of its metrics, if the caller knows one.
    pub(crate) metrics: Option<String>,
    /// How long its statistics may lag behind what they count.
    pub(crate) statistics_wait: Duration,
}

impl Suite {
    /// Runs the suite; `tell` gets every outcome as it happens. What keeps the suite from running is an outcome too.
    pub(crate) fn run(&self, place: &Place, tell: &mut dyn FnMut(Outcome)) {
        if let Err(error) = self.try_run(place, tell) {
            tell(Outcome {
                name: "the suite runs".to_owned(),
                failure: Some(format!("{error:#}")),
            });
        }
    }

    fn try_run(&self, place: &Place, tell: &mut dyn FnMut(Outcome)) -> Result<()> {
        let directory = self.environment.prepare(&place.sources, &place.cache)?;
        let log = place.cache.join(format!("{}.log", self.name));
        let mut command = self.command(&place.sources, &directory)?;
        command
            .env("AMQP_URL", &place.url)
            .env("STATISTICS_WAIT", format!("{}ms", place.statistics_wait.as_millis()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?);
        if let Some(metrics) = &place.metrics {
            command.env("METRICS_URL", metrics);
        }
        if self.environment.manages() {
            let address = place.management.as_ref();
            command.env("MANAGEMENT_URL", address.context("the suite needs --management-url")?);
        }
        let mut group = Group::spawn(&mut command).with_context(|| format!("{command:?}"))?;
        let lines = lines(group.child().stdout.take().context("the output is piped")?);
        let deadline = Instant::now() + SUITE_PATIENCE;
        let report = read(&lines, deadline, tell)
            .with_context(|| format!("no end within {SUITE_PATIENCE:?}; see {}", log.display()))?;
        let status = group
            .wait_until(deadline)?
            .context("it closed its output but does not end")?;
        if let Some(wrong) = report.end(status.success()) {
            anyhow::bail!("{wrong} ({status}); see {}", log.display());
        }
        Ok(())
    }

    fn command(&self, sources: &Path, directory: &Path) -> Result<Command> {
        let mut command = match self.environment {
            Environment::PythonClients | Environment::Pika010 => {
                let mut command = Command::new(directory.join("venv/bin/python"));
                command
                    .arg(sources.join("python").join(self.script))
                    .env("PYTHONDONTWRITEBYTECODE", "1");
                command
            }
            Environment::Node => Command::new("node"),
            Environment::Go | Environment::RabbitHole | Environment::RustHttp => Command::new(directory.join("suite")),
            Environment::Java => Command::new("java"),
            Environment::Rust => Command::new(std::env::current_exe()?),
        };
        match self.environment {
            Environment::Pika010 => {
                // The shim is for the programs and, since it imports the same pika, for the suite itself.
                let shim = sources.join("python/pika010_shim");
                command.env("PYTHONPATH", &shim).env("PROGRAM_PATH", &shim);
            }
            Environment::Node => drop(command.arg(directory.join("suite.mjs"))),
            Environment::Java => {
                let classes = format!("{0}/classes:{0}/dependency/*", directory.display());
                command.args(["-cp", &classes, "Tap"]);
            }
            Environment::Rust => drop(command.arg("--as-lapin-suite")),
            Environment::PythonClients | Environment::Go | Environment::RabbitHole | Environment::RustHttp => {}
        }
        Ok(command)
    }
}

/// The lines of a suite's output, read by a thread so that waiting for one can have a limit.
fn lines(output: ChildStdout) -> Receiver<String> {
    // A suite that prints faster than its lines are shown waits.
    let (sender, receiver) = mpsc::sync_channel(64);
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return; // nobody reads any more
            }
        }
    });
    receiver
}

/// Reads until the suite closes its output; an error if that is not before `deadline`.
fn read(lines: &Receiver<String>, deadline: Instant, tell: &mut dyn FnMut(Outcome)) -> Result<Report> {
    let mut report = Report::default();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => report.line(&line).into_iter().for_each(&mut *tell),
            Err(RecvTimeoutError::Disconnected) => return Ok(report),
            Err(timeout @ RecvTimeoutError::Timeout) => return Err(timeout.into()),
        }
    }
}
