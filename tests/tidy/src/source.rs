//! The files that the rules look at, and what a rule answers. Every text file of the repository is read once, so a
//! rule is a pure function from sources to findings and can be tested on a file that exists nowhere.

use std::fmt;
use std::path::{Path, PathBuf};

/// One text file of the repository.
#[derive(Clone, Debug)]
pub struct Source {
    /// Path from the root of the repository, with `/`.
    pub path: String,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// Whether this is a Rust file.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether all of this file is a test: those of a package's `tests/` folder, and what only tests include.
    pub fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/") || self.path.ends_with("tests.rs")
    }
}

/// A place where a rule of the house is broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Path from the root of the repository.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The rule's name.
    pub rule: &'static str,
    /// What is wrong here, and what would be right.
    pub reason: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: [{}] {}", self.file, self.line, self.rule, self.reason)
    }
}

/// All findings in order, one a line.
pub fn report(mut findings: Vec<Finding>) -> String {
    findings.sort();
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Reads every text file of the repository.
///
/// # Errors
/// When a folder or file cannot be read.
pub fn sources() -> std::io::Result<Vec<Source>> {
    let mut found = Vec::new();
    walk(&root(), "", &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Folders that hold what tools made, not what we wrote.
fn is_ours(name: &str) -> bool {
    !(name == ".git"
        || name == "target"
        || name.starts_with("target-")
        || name == "node_modules"
        || name == "dist"
        || name == "corpus"
        || name == "__pycache__")
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<Source>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        // In a work tree, `.git` is a file.
        if !is_ours(&name) {
            continue;
        }
        if kind.is_dir() {
            walk(&entry.path(), &format!("{path}/"), found)?;
        } else if kind.is_file()
            && let Ok(text) = String::from_utf8(std::fs::read(entry.path())?)
        {
            found.push(Source { path, text });
        }
    }
    Ok(())
}
