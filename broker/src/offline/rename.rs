//! `rabbitmqctl rename_cluster_node`: a stopped node takes another name.
//!
//! Only `warren.json` is changed; the next start tells the definitions, and queues follow. Which directory is meant is
//! what the server's configuration says.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    config::{self, Environment, ServerArgs},
    host::data_directory::{self, DataError, IDENTITY_FILE},
};

const USAGE: u8 = 64;
const DATA: u8 = 65;
const UNAVAILABLE: u8 = 69;

/// This process's world, with another name for the node.
struct Named<'a>(&'a str);

impl Environment for Named<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "RABBITMQ_NODENAME" => Some(self.0.to_owned()),
            "RABBITMQ_USE_LONGNAME" => Some("true".to_owned()),
            other => config::Process.variable(other),
        }
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        config::Process.read(path)
    }

    fn files(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        config::Process.files(folder)
    }

    fn host_name(&self) -> String {
        config::Process.host_name()
    }
}

/// Gives the node another name; answers what is to be told, or exit code and complaint.
///
/// # Errors
/// The node runs, is called otherwise, or its directory cannot be used.
pub fn rename(from: &str, to: &str) -> Result<String, (u8, String)> {
    let unusable = |text: String| (DATA, format!("Error:\n{text}"));
    config::NodeName::of(to, "", true).map_err(|why| unusable(format!("'{to}' is no name of a node: {why}")))?;
    let places = places(from, to).map_err(unusable)?;
    let there = places.iter().find(|place| place.join(IDENTITY_FILE).exists());
    let Some(directory) = there else {
        let looked: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        let text = format!(
            "Error:\nthere is no data directory in {}; set RABBITMQ_MNESIA_DIR to where it is",
            looked.join(", ")
        );
        return Err((UNAVAILABLE, text));
    };
    match data_directory::rename(directory, from, to) {
        Ok(Ok(())) => Ok(format!("{} belongs to {to} now", directory.display())),
        Ok(Err(other)) => Err(unusable(format!(
            "{} belongs to the node {other}, not to {from}; nothing was changed",
            directory.display()
        ))),
        Err(DataError::InUse { .. }) => Err((
            USAGE,
            "Error: this command requires the target node to be stopped.".to_owned(),
        )),
        Err(why) => Err((UNAVAILABLE, format!("Error:\n{why}"))),
    }
}

/// Where the directory may be: as configured for this node, for its old name, for its new one.
fn places(from: &str, to: &str) -> Result<Vec<PathBuf>, String> {
    let own = data_of(config::load(&ServerArgs::default(), &config::Process))?;
    let mut places = vec![own];
    for name in [from, to] {
        places.push(data_of(config::load(&ServerArgs::default(), &Named(name)))?);
    }
    places.dedup();
    Ok(places)
}

fn data_of(loaded: Result<config::Loaded, config::Problems>) -> Result<PathBuf, String> {
    let loaded = loaded.map_err(|problems| problems.to_string())?;
    Ok(loaded.config.node.data.as_path().to_owned())
}
