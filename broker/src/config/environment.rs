//! The world that configuration is read from: variables, files and host names, handed in as a value.
//!
//! Only [`Process`] touches the real world, once, at start; tests use [`Fixed`]. Nothing else in the broker may
//! read a variable, and nothing reads one later.

#[cfg(test)]
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// What the loader may ask of the world.
pub trait Environment {
    /// The value of a variable; an empty one counts as not set, as RabbitMQ has it.
    fn variable(&self, name: &str) -> Option<String>;
    /// The text of a file.
    ///
    /// # Errors
    /// When the file does not exist, cannot be read, or is no UTF-8.
    fn read(&self, path: &Path) -> io::Result<String>;
    /// The files directly in a folder; none when there is no such folder.
    ///
    /// # Errors
    /// When the folder exists but cannot be read.
    fn files(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
    /// This host's name as the system knows it, perhaps with a domain.
    fn host_name(&self) -> String;
}

/// The real world.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process;

impl Environment for Process {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }

    fn files(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = match std::fs::read_dir(folder) {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry?.path();
            // Follows links: a mounted ConfigMap is a folder of links.
            if path.is_file() {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    fn host_name(&self) -> String {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }
}

/// A world in which one file has another text.
#[derive(Clone, Copy, Debug)]
pub struct Instead<'a, E: ?Sized> {
    /// The world.
    pub world: &'a E,
    /// The file.
    pub path: &'a Path,
    /// Its text.
    pub text: &'a str,
}

impl<E: Environment + ?Sized> Environment for Instead<'_, E> {
    fn variable(&self, name: &str) -> Option<String> {
        self.world.variable(name)
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        match path == self.path {
            true => Ok(self.text.to_owned()),
            false => self.world.read(path),
        }
    }

    fn files(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.world.files(folder)
    }

    fn host_name(&self) -> String {
        self.world.host_name()
    }
}

/// A world made of values.
#[cfg(test)]
#[derive(Clone, Debug, Default)]
pub struct Fixed {
    /// Variables that are set.
    pub variables: BTreeMap<String, String>,
    /// Files that exist, with their text.
    pub texts: BTreeMap<PathBuf, String>,
    /// The host's name.
    pub host: String,
}

#[cfg(test)]
impl Fixed {
    /// A host named `rabbit1.example.com` with no file and no variable.
    pub fn new() -> Self {
        let host = "rabbit1.example.com".to_owned();
        Fixed {
            host,
            ..Fixed::default()
        }
    }

    /// With this variable set.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// With this file.
    #[must_use]
    pub fn file(mut self, path: &str, text: &str) -> Self {
        self.texts.insert(path.into(), text.into());
        self
    }
}

#[cfg(test)]
impl Environment for Fixed {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).filter(|value| !value.is_empty()).cloned()
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        let text = self.texts.get(path).cloned();
        text.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    }

    fn files(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let inside = |path: &&PathBuf| path.parent() == Some(folder);
        Ok(self.texts.keys().filter(inside).cloned().collect())
    }

    fn host_name(&self) -> String {
        self.host.clone()
    }
}
