//! The files of one data directory, as little of them as a log needs: a small trait, the real disk, and one in memory
//! that fails on purpose.
//!
//! Paths are relative to the data directory, with forward slashes. Nothing here retries, buffers or decides.

mod fs;
mod mem;

use std::io;

pub use fs::FsDisk;
pub use mem::{MemDisk, MemFile};

/// A directory tree that files live in. Cloning is cheap and gives the same disk.
pub trait Disk: Clone + Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;

    /// Opens a file, for reading and writing unless it is only to be read.
    ///
    /// # Errors
    /// `NotFound` if it is absent and not to be created, `AlreadyExists` if it is there and should be new.
    fn open(&self, path: &str, how: Open) -> io::Result<Self::File>;

    /// Makes a directory and those above it; one that exists is no error.
    ///
    /// # Errors
    /// As the system says.
    fn create_directory(&self, path: &str) -> io::Result<()>;

    /// Names of the files in a directory, sorted; none if the directory is absent.
    ///
    /// # Errors
    /// As the system says.
    fn list(&self, directory: &str) -> io::Result<Vec<String>>;

    /// Removes a file. Durable after [`sync_directory`](Self::sync_directory).
    ///
    /// # Errors
    /// `NotFound` if it is absent.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Renames a file, replacing another. Atomic; durable after [`sync_directory`](Self::sync_directory).
    ///
    /// # Errors
    /// `NotFound` if it is absent.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes names that were created, removed or renamed in the directory durable.
    ///
    /// # Errors
    /// As the system says. What is durable is not known then.
    fn sync_directory(&self, directory: &str) -> io::Result<()>;
}

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// It must be there, and is only read: the right to write is not needed.
    Read,
    /// It must be there.
    Existing,
    /// It is made if it is absent.
    OrCreate,
    /// It must not be there.
    New,
}

/// An open file. Calls may come from several threads; overlapping writes are the caller's fault.
pub trait DiskFile: Send + Sync + 'static {
    /// Reads octets from `offset`; fewer than asked for only at the end of the file.
    ///
    /// # Errors
    /// As the system says.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Writes all octets at `offset`; the file grows as needed. Durable after [`sync`](Self::sync).
    ///
    /// # Errors
    /// As the system says; any part may have been written.
    fn write_at(&self, offset: u64, octets: &[u8]) -> io::Result<()>;

    /// Octets in the file.
    ///
    /// # Errors
    /// As the system says.
    fn length(&self) -> io::Result<u64>;

    /// Cuts the file, or grows it by zeros.
    ///
    /// # Errors
    /// As the system says.
    fn set_length(&self, octets: u64) -> io::Result<()>;

    /// Makes sure that the file can have `octets` without asking for more space; its length becomes at least that.
    ///
    /// # Errors
    /// `StorageFull` if there is no room.
    fn reserve(&self, octets: u64) -> io::Result<()>;

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// As the system says. The caller must not try again: the system may have forgotten what it could not write.
    fn sync(&self) -> io::Result<()>;
}

/// Reads a whole file.
///
/// # Errors
/// As [`Disk::open`] and [`DiskFile::read_at`].
pub fn read_all<D: Disk>(disk: &D, path: &str) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Open::Read)?;
    let mut octets = vec![0; usize::try_from(file.length()?).map_err(io::Error::other)?];
    let read = file.read_at(0, &mut octets)?;
    octets.truncate(read);
    Ok(octets)
}

/// Puts a file in place whole: after a crash there is the old one or the new one, never a part.
///
/// # Errors
/// As the system says; the old file is still there then.
pub fn replace<D: Disk>(disk: &D, directory: &str, name: &str, octets: &[u8]) -> io::Result<()> {
    let (draft, path) = (format!("{directory}/{name}.new"), format!("{directory}/{name}"));
    let file = disk.open(&draft, Open::OrCreate)?;
    file.set_length(0)?;
    file.write_at(0, octets)?;
    file.sync()?;
    disk.rename(&draft, &path)?;
    disk.sync_directory(directory)
}
