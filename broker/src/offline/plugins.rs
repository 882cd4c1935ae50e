//! The file of enabled plugins for `rabbitmq-plugins` where no node is asked.
//!
//! Which file is meant is what the server's configuration says. A node that runs is told by its own port instead.

use std::{fs, path::PathBuf};

use crate::config::{self, Plugins};

/// The file, and the plugins that it names.
///
/// # Errors
/// The file cannot be read, or names what is no plugin here.
pub fn plugins() -> Result<(PathBuf, Plugins), String> {
    let path = config::enabled_plugins_file(&config::Process);
    let plugins = Plugins::in_file(&path).map_err(|why| why.to_string())?;
    Ok((path, plugins))
}

/// Writes the file.
///
/// # Errors
/// It cannot be written; the file is named.
pub fn enable(explicit: &[String]) -> Result<(), String> {
    let path = config::enabled_plugins_file(&config::Process);
    let plugins = Plugins {
        explicit: explicit.iter().cloned().collect(),
    };
    fs::write(&path, plugins.text()).map_err(|why| format!("cannot write {}: {why}", path.display()))
}
