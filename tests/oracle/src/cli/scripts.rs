//! The scripts that servers hand out for download, and how they are called: `rabbitmqadmin` speaks HTTP alone, so each
//! server's script is played against every server.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::cli::case::Case;
use crate::server::Server;

/// The word that stands for the script in a case.
pub(super) const TOOL: &str = "rabbitmqadmin";
/// Where servers hand it out.
const PATH: &str = "/cli/rabbitmqadmin";

/// Downloaded scripts, deleted at the end.
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
            let from = server.name.clone();
            all.push(Script { from, path });
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
        let mut command = Command::new("python3");
        command.arg(&self.path).args(["-H", host, "-P", port]);
        command
            .args(["-u", &server.user, "-p", &server.password])
            .args(arguments);
        command.env_clear();
        command.envs(std::env::vars().filter(|(key, _)| key == "PATH"));
        // No configuration file of whoever runs this.
        command.env("HOME", self.path.parent().context("a script lies in a directory")?);
        Ok(command)
    }
}
