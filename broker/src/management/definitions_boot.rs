//! Definitions that the configuration names, imported at every start before a client is served.
//!
//! A file, or the `*.json` of a folder in order of name. What is wrong with one keeps the node from starting.

use anyhow::Context;
use api::Definitions;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::definitions_import;
use crate::host::Node;

/// Who imports, where a definition wants to know.
const IMPORTER: &str = "rmq-internal";

/// Imports what `load_definitions` names, if anything.
///
/// # Errors
/// A file cannot be read, is no definitions file, or holds what is refused; the file is named.
pub async fn import(node: &Arc<Node>) -> anyhow::Result<()> {
    let Some(place) = node.config().load_definitions.clone() else {
        return Ok(());
    };
    let files = files(&place).with_context(|| format!("load_definitions = {}", place.display()))?;
    for file in files {
        import_file(node, &file)
            .await
            .with_context(|| format!("cannot import definitions from {}", file.display()))?;
        tracing::info!("imported definitions from {}", file.display());
    }
    Ok(())
}

fn files(place: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !fs::metadata(place)?.is_dir() {
        return Ok(vec![place.to_owned()]);
    }
    let entries = fs::read_dir(place)?.collect::<Result<Vec<_>, _>>()?;
    let paths = entries.into_iter().map(|entry| entry.path());
    let mut files: Vec<_> = paths
        .filter(|path| path.is_file() && path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    Ok(files)
}

async fn import_file(node: &Arc<Node>, file: &Path) -> anyhow::Result<()> {
    let read: Definitions = serde_json::from_slice(&fs::read(file)?)?;
    import_whole(node, read).await
}

/// Imports a whole file for whoever may do everything.
///
/// # Errors
/// What is refused, in RabbitMQ's words where it has some; what came before stays.
pub async fn import_whole(node: &Node, read: Definitions) -> anyhow::Result<()> {
    let importer = IMPORTER.parse().context("the importer's name")?;
    let commands = definitions_import::commands(node, &importer, read, None);
    let commands = commands.map_err(|failure| anyhow::anyhow!(failure.reason()))?;
    node.commit_all(commands)
        .await
        .map_err(|refusal| anyhow::anyhow!(refusal.text))
}
