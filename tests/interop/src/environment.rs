//! What a suite needs before it can run: a Python environment with locked packages, an npm install, a Go binary, Java
//! classes. Each is built once, outside of the source tree, in a directory named by a hash of everything that decides
//! its content, and reused for ever after; a half-built one is never taken for a whole one.

use crate::own_tests;
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The kinds of environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Environment {
    /// Today's Python clients: pika 1.x, aio-pika, kombu, Celery.
    PythonClients,
    /// pika 0.10.0 alone.
    Pika010,
    /// amqplib.
    Node,
    /// amqp091-go, as one binary.
    Go,
    /// The Java client, as classes and jars.
    Java,
    /// The tests of rabbit-hole, as one binary.
    RabbitHole,
    /// The tests of Rust's client of the management API, as a binary, and one that runs them.
    RustHttp,
    /// Nothing beyond this program.
    Rust,
}

/// A program that has to be there, how to ask its version, and what to install if it is not.
struct Tool {
    program: &'static str,
    version: &'static [&'static str],
    advice: &'static str,
}

const PYTHON: Tool = Tool {
    program: "python3",
    version: &[
        "-c",
        "import sys, venv, ensurepip; assert sys.version_info >= (3, 11), sys.version; print(sys.version)",
    ],
    advice: "Python 3.11 or newer with venv (Debian: apt-get install python3 python3-venv)",
};
const NODE: Tool = Tool {
    program: "node",
    version: &["--version"],
    advice: "Node.js 18 or newer (Debian: apt-get install nodejs)",
};
const NPM: Tool = Tool {
    program: "npm",
    version: &["--version"],
    advice: "npm (Debian: apt-get install npm)",
};
const GO: Tool = Tool {
    program: "go",
    version: &["version"],
    advice: "Go 1.24 or newer (https://go.dev/dl)",
};
const CARGO: Tool = Tool {
    program: "cargo",
    version: &["--version"],
    advice: "Rust 1.95 or newer (https://rustup.rs)",
};
const JAVA: Tool = Tool {
    program: "javac",
    version: &["-version"],
    advice: "a JDK, 17 or newer (Debian: apt-get install default-jdk)",
};
const MAVEN: Tool = Tool {
    program: "mvn",
    version: &["-v"],
    advice: "Maven (Debian: apt-get install maven)",
};

impl Environment {
    /// Makes sure that the environment exists below `cache` and answers its directory.
    pub(crate) fn prepare(self, sources: &Path, cache: &Path) -> Result<PathBuf> {
        if self == Self::Rust {
            return Ok(cache.to_owned());
        }
        let versions = self.tools().iter().map(Tool::version).collect::<Result<Vec<_>>>()?;
        let directory = cache.join(format!("{}-{}", self.name(), self.fingerprint(sources, &versions)?));
        let lock = File::create(cache.join(format!("{}.lock", self.name())))?;
        lock.lock()?; // two runs may want the same environment; it is released when the file closes
        if directory.join("complete").exists() {
            return Ok(directory);
        }
        // What is there is the rest of a build that failed.
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
        eprintln!("preparing {} in {}", self.name(), directory.display());
        self.build(sources, &directory)
            .with_context(|| format!("cannot prepare {}", self.name()))?;
        File::create(directory.join("complete"))?;
        Ok(directory)
    }

    /// True of what tests the management API.
    pub(crate) fn manages(self) -> bool {
        matches!(self, Self::RabbitHole | Self::RustHttp)
    }

    fn name(self) -> &'static str {
        match self {
            Self::PythonClients => "python-clients",
            Self::Pika010 => "python-pika-0.10",
            Self::Node => "node",
            Self::Go => "go",
            Self::Java => "java",
            Self::RabbitHole => "rabbit-hole",
            Self::RustHttp => "rust-http",
            Self::Rust => "rust",
        }
    }

    fn tools(self) -> &'static [Tool] {
        match self {
            Self::PythonClients | Self::Pika010 => &[PYTHON],
            Self::Node => &[NODE, NPM],
            Self::Go | Self::RabbitHole => &[GO],
            Self::Java => &[JAVA, MAVEN],
            Self::RustHttp => &[CARGO],
            Self::Rust => &[],
        }
    }

    /// The files and directories below the sources that decide the environment's content.
    fn inputs(self) -> &'static [&'static str] {
        match self {
            Self::PythonClients => &["python/requirements/clients.txt"],
            Self::Pika010 => &["python/requirements/pika-0.10.txt"],
            Self::Node => &["node"],
            Self::Go => &["go"],
            Self::RabbitHole => &["rabbit-hole", "src/own_tests.rs"],
            Self::RustHttp => &["rust-http", "src/own_tests.rs"],
            Self::Java => &["java/pom.xml", "java/src"],
            Self::Rust => &[],
        }
    }

    fn fingerprint(self, sources: &Path, versions: &[String]) -> Result<String> {
        let mut hash = Sha256::new();
        for version in versions {
            hash.update(version);
        }
        for input in self.inputs() {
            for file in files(&sources.join(input))? {
                hash.update(file.strip_prefix(sources)?.as_os_str().as_encoded_bytes());
                hash.update(fs::read(&file)?);
            }
        }
        Ok(hash
            .finalize()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }

    fn build(self, sources: &Path, directory: &Path) -> Result<()> {
        match self {
            Self::PythonClients | Self::Pika010 => python(&sources.join(self.inputs()[0]), directory),
            Self::Node => node(&sources.join("node"), directory),
            Self::Go => {
                let mut build = Command::new("go");
                build
                    .args(["build", "-mod=readonly", "-o"])
                    .arg(directory.join("suite"))
                    .arg(".");
                finish(build.current_dir(sources.join("go")))
            }
            Self::Java => {
                let mut maven = Command::new("mvn");
                maven.args(["-q", "-B", "-f"]).arg(sources.join("java/pom.xml"));
                finish(maven.arg(format!("-Dbuild.dir={}", directory.display())).arg("compile"))
            }
            Self::RabbitHole => own_tests::rabbit_hole(&sources.join("rabbit-hole"), directory),
            Self::RustHttp => own_tests::rust_http(&sources.join("rust-http"), directory),
            Self::Rust => Ok(()),
        }
    }
}

impl Tool {
    /// What the tool says of its version, or what to install.
    fn version(&self) -> Result<String> {
        let output = Command::new(self.program).args(self.version).output();
        let output = output.ok().filter(|output| output.status.success());
        let output =
            output.with_context(|| format!("{} is missing or too old: install {}", self.program, self.advice))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// All files at or below `path`, in a fixed order.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).with_context(|| format!("no sources at {}", path.display()))?;
    let mut entries = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.sort();
    let below = entries.iter().map(|entry| files(entry)).collect::<Result<Vec<_>>>()?;
    Ok(below.concat())
}

fn python(requirements: &Path, directory: &Path) -> Result<()> {
    finish(Command::new("python3").args(["-m", "venv"]).arg(directory.join("venv")))?;
    let mut pip = Command::new(directory.join("venv/bin/pip"));
    pip.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "-r",
    ]);
    finish(pip.arg(requirements))
}

fn node(sources: &Path, directory: &Path) -> Result<()> {
    for file in files(sources)? {
        // Modules find node_modules beside themselves, so they run where it is installed.
        let name = file.strip_prefix(sources)?;
        ensure!(
            name.components().count() == 1,
            "{} is in a directory; the suite is flat",
            file.display()
        );
        fs::copy(&file, directory.join(name))?;
    }
    finish(
        Command::new("npm")
            .args(["ci", "--silent", "--no-audit", "--no-fund"])
            .current_dir(directory),
    )
}

/// Runs a build step to its end; an error shows what it printed.
pub(crate) fn finish(command: &mut Command) -> Result<()> {
    answer(command).map(drop)
}

/// What a build step prints, once it has ended well.
pub(crate) fn answer(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!(
            "{command:?} ended with {}:\n{}",
            output.status,
            String::from_utf8_lossy(&said)
        );
    }
    Ok(output.stdout)
}
