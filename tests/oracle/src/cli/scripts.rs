//! The programs that are `rabbitmqadmin`, and how they are called: each speaks HTTP alone, so the scripts that the servers
//! hand out for download, and Warren's binary under that name, are played against every server.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::cli::case::Case;
use crate::server::Server;

/// The word that stands for the script in a case.
pub(super) const TOOL: &str = "rabbitmqadmin";
/// Where servers hand it out.
const PATH: &str = "/cli/rabbitmqadmin";

/// The configuration file that cases may name.
const CONFIG: &str = "[short]\nformat = tsv\nverbose = False\nvhost = adm\n";

/// Downloaded scripts and the link to the binary, deleted at the end.
#[derive(Default)]
pub(super) struct Scripts {
    all: Vec<Script>,
    _directory: Option<TempDir>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// Whose it is.
    pub(super) from: String,
    path: PathBuf,
    /// Whether it is a program of its own, and no text for Python.
    is_binary: bool,
}

impl Scripts {
    /// What the servers hand out, if a case needs it.
    pub(super) fn download(cases: &[Case], servers: &[Server]) -> Result<Self> {
        if !cases.iter().any(needs_script) {
            return Ok(Self::default());
        }
        let directory = tempfile::tempdir()?;
        let mut all = Vec::new();
        for server in servers {
            let management = server
                .management
                .as_ref()
                .context("no management API to download from")?;
            let (status, text) = management.read(PATH)?;
            ensure!(status == 200, "GET {PATH} of {}: HTTP {status}", server.name);
            let home = directory.path().join(&server.name);
            std::fs::create_dir_all(&home)?;
            // The script names itself in what it says.
            let path = home.join(TOOL);
            std::fs::write(&path, text)?;
            all.push(Script {
                from: format!("the script of {}", server.name),
                path,
                is_binary: false,
            });
            all.extend(link(server, &directory.path().join("binary"))?);
        }
        Ok(Self {
            all,
            _directory: Some(directory),
        })
    }

    /// The scripts that a case is played with; none for a case of other tools.
    pub(super) fn of(&self, case: &Case) -> &[Script] {
        match needs_script(case) {
            true => &self.all,
            false => &[],
        }
    }
}

/// The server's binary under the name of the tool, if its tools are names of one binary.
fn link(server: &Server, home: &Path) -> Result<Option<Script>> {
    let Some((program, [_, ..])) = server.ctl.as_ref().and_then(|ctl| ctl.command.split_first()) else {
        return Ok(None);
    };
    std::fs::create_dir_all(home)?;
    let path = home.join(TOOL);
    std::os::unix::fs::symlink(std::fs::canonicalize(program)?, &path)?;
    Ok(Some(Script {
        from: format!("the binary of {}", server.name),
        path,
        is_binary: true,
    }))
}

fn needs_script(case: &Case) -> bool {
    case.calls
        .iter()
        .any(|call| call.words.first().is_some_and(|tool| tool == TOOL))
}

impl Script {
    /// The script called against a server, as the user whom the server knows.
    pub(super) fn command(&self, server: &Server, arguments: &[String]) -> Result<Command> {
        let management = server.management.as_ref().context("no management API to talk to")?;
        let (host, port) = management.address().context("no port in the management URL")?;
        let mut command = match self.is_binary {
            true => Command::new(&self.path),
            false => Command::new("python3"),
        };
        if !self.is_binary {
            command.arg(&self.path);
        }
        command.args(["-H", host, "-P", port]);
        command
            .args(["-u", &server.user, "-p", &server.password])
            .args(arguments);
        command.env_clear();
        command.envs(std::env::vars().filter(|(key, _)| key == "PATH"));
        // No configuration file of whoever runs this, and files of its own.
        let home = self.path.parent().context("a script lies in a directory")?;
        let files = home.join(format!("against-{}", server.name));
        std::fs::create_dir_all(&files)?;
        std::fs::write(files.join("rabbitmqadmin.conf"), CONFIG)?;
        command.env("HOME", home).current_dir(files);
        Ok(command)
    }
}
