//! `rabbitmqctl forget_cluster_node --offline`: a node that does not run forgets another that is lost, and goes on without
//! the rest of its cluster.
//!
//! Only a note is left in its directory; the next start does it and has it agreed on. Which directory is meant is what the
//! server's configuration says.

use catalog::NodeKind;
use std::path::PathBuf;

use super::Told;
use crate::{
    cluster::presence::Status,
    config::{self, ServerArgs},
    host::data_directory::{self, DataDirectory, DataError},
};

const USAGE: u8 = 64;
const UNAVAILABLE: u8 = 69;

/// Who belongs to the cluster as far as a node that does not run knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// The node itself.
    pub own: String,
    /// It may decide.
    pub is_disc: bool,
    /// All, by name.
    pub all: Vec<String>,
}

fn directory() -> Result<(DataDirectory, String), (u8, String)> {
    let refused = |text: String| (UNAVAILABLE, format!("Error:\n{text}"));
    let loaded = config::load(&ServerArgs::default(), &config::Process);
    let node = loaded.map_err(|problems| refused(problems.to_string()))?.config.node;
    let (path, name): (PathBuf, String) = (node.data.as_path().to_owned(), node.name.to_string());
    if !path.exists() {
        let path = path.display();
        return Err(refused(format!(
            "there is no data directory {path}; set RABBITMQ_MNESIA_DIR to where it is"
        )));
    }
    match data_directory::open(&path, &name) {
        Ok(directory) => Ok((directory, name)),
        Err(DataError::InUse { .. }) => Err((
            USAGE,
            "Error: this command requires the target node to be stopped.".to_owned(),
        )),
        Err(why) => Err(refused(why.to_string())),
    }
}

fn status(directory: &DataDirectory) -> Result<Status, (u8, String)> {
    let unreadable = |why: DataError| (UNAVAILABLE, format!("Error:\n{why}"));
    let alone = || (UNAVAILABLE, "Error:\nthe node belongs to no cluster".to_owned());
    directory.members().map_err(unreadable)?.ok_or_else(alone)
}

/// Who belongs to the cluster of the node that the configuration means.
///
/// # Errors
/// Exit code and complaint: it runs, has no directory, or knows of no cluster.
pub fn members() -> Result<Members, (u8, String)> {
    let (directory, own) = directory()?;
    let nodes = status(&directory)?.nodes;
    Ok(Members {
        is_disc: nodes.iter().any(|node| node.name == own && node.kind == NodeKind::Disc),
        all: nodes.into_iter().map(|node| node.name).collect(),
        own,
    })
}

/// The next start removes this node from the cluster, and goes on without the others.
///
/// # Errors
/// Exit code and complaint: the node runs, or its directory cannot be written.
pub fn forget(name: &str) -> Told {
    let (directory, _) = directory()?;
    let mut status = status(&directory)?;
    status.nodes.retain(|node| node.name != name);
    let noted = directory
        .forget_at_next_start(name)
        .and_then(|()| directory.force_alone())
        .and_then(|()| directory.note_members(&status));
    noted.map_err(|why| (UNAVAILABLE, format!("Error:\n{why}")))?;
    Ok(String::new())
}
