//! The real disk: one directory of this machine's file system.
//!
//! Thin: each call is one system call, and nothing is cached or decided here.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Disk, DiskFile, Open};

/// A directory of the file system.
#[derive(Clone, Debug)]
pub struct FsDisk {
    root: Arc<Path>,
}

impl FsDisk {
    /// The directory must exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        FsDisk {
            root: root.into().into(),
        }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

/// Message bodies are nobody else's business.
const FILE_MODE: u32 = 0o640;

impl Disk for FsDisk {
    type File = File;

    fn open(&self, path: &str, how: Open) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(how != Open::Read)
            .create(how == Open::OrCreate)
            .create_new(how == Open::New)
            .mode(FILE_MODE)
            .open(self.at(path))
    }

    fn create_directory(&self, path: &str) -> io::Result<()> {
        fs::create_dir_all(self.at(path))
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.at(directory)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.at(path))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        File::open(self.at(directory))?.sync_all()
    }
}

impl DiskFile for File {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while read < into.len() {
            match FileExt::read_at(self, &mut into[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(octets) => read += octets,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_at(&self, offset: u64, octets: &[u8]) -> io::Result<()> {
        self.write_all_at(octets, offset)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn set_length(&self, octets: u64) -> io::Result<()> {
        self.set_len(octets)
    }

    fn reserve(&self, octets: u64) -> io::Result<()> {
        let reserved = rustix::fs::fallocate(self, rustix::fs::FallocateFlags::empty(), 0, octets);
        match reserved {
            // A file system that cannot reserve: the file grows as it is written, and finds out then if there is no room.
            Err(rustix::io::Errno::OPNOTSUPP) if self.length()? < octets => self.set_len(octets),
            Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
            reserved => Ok(reserved?),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{read_all, replace};

    #[test]
    fn a_reserved_file_has_its_length_and_keeps_what_was_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let disk = FsDisk::new(directory.path());
        disk.create_directory("d").unwrap();
        let file = disk.open("d/f", Open::New).unwrap();
        DiskFile::write_at(&file, 0, b"kept").unwrap();
        file.reserve(1 << 20).unwrap();
        assert_eq!(file.length().unwrap(), 1 << 20);
        assert!(read_all(&disk, "d/f").unwrap().starts_with(b"kept\0"));
    }

    #[test]
    fn files_are_listed_replaced_renamed_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let disk = FsDisk::new(directory.path());
        assert!(disk.list("d").unwrap().is_empty(), "an absent directory holds nothing");
        disk.create_directory("d/below").unwrap();
        replace(&disk, "d", "b", b"old").unwrap();
        replace(&disk, "d", "b", b"new").unwrap();
        disk.open("d/a", Open::New).unwrap();
        assert!(disk.open("d/a", Open::New).is_err());
        assert_eq!(disk.list("d").unwrap(), ["a", "b"]);
        disk.rename("d/b", "d/c").unwrap();
        disk.remove("d/a").unwrap();
        assert_eq!(disk.list("d").unwrap(), ["c"]);
        assert_eq!(read_all(&disk, "d/c").unwrap(), b"new");
    }
}
