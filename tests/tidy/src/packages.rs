//! The packages of the workspace and which of each other they import, as cargo itself understands their manifests.
//! Nothing here judges; `imports` does.

use std::process::Command;

use serde_json::Value;

/// A package of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its manifest, from the root of the repository.
    pub manifest: String,
    /// Packages of the workspace that it names in any dependency section.
    pub imports: Vec<String>,
}

/// Asks cargo for the packages of the workspace.
///
/// # Errors
/// When cargo cannot be run or does not understand a manifest; the text is cargo's own.
pub fn packages() -> Result<Vec<Package>, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let asked = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(crate::source::root())
        .output()
        .map_err(|error| format!("cannot run cargo metadata: {error}"))?;
    if !asked.status.success() {
        return Err(String::from_utf8_lossy(&asked.stderr).into_owned());
    }
    let answer: Value = serde_json::from_slice(&asked.stdout).map_err(|error| error.to_string())?;
    let root = format!("{}/", string(&answer["workspace_root"]));
    Ok(list(&answer["packages"]).map(|package| read(package, &root)).collect())
}

fn read(package: &Value, root: &str) -> Package {
    // Only a dependency of our own has a path.
    let ours = list(&package["dependencies"]).filter(|dependency| dependency["path"].is_string());
    Package {
        name: string(&package["name"]),
        manifest: string(&package["manifest_path"]).replacen(root, "", 1),
        imports: ours.map(|dependency| string(&dependency["name"])).collect(),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
