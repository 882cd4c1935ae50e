//! A log file that is rotated by size or date, begun anew when somebody has moved it away, and never read.
//!
//! Rotated files are `NAME.0` (the newest), `NAME.1` and so on, as many as are to be kept; without a number of them to
//! keep the file is begun anew, as RabbitMQ does. They are compressed if that is wanted (`NAME.0.gz`). Who cannot write a log line has nobody to tell.

use super::clock;
use crate::config::Rotation;
use flate2::{Compression, write::GzEncoder};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// Behind the names of packed files.
const PACKED: &str = ".gz";

/// How often it is looked whether the file is still where it should be.
const LOOK_EVERY_US: u64 = 1_000_000;

/// A file of log lines.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    rotation: Rotation,
    file: File,
    octets: u64,
    /// Rotated at this second.
    due: u64,
    looked_us: u64,
}

impl LogFile {
    /// The file at this path, with what is in it already.
    ///
    /// # Errors
    /// It cannot be opened for writing.
    pub(super) fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = append(path)?;
        let found = file.metadata()?;
        let written = found.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let since = written.map_or(0, |at| at.as_secs());
        Ok(LogFile {
            path: path.to_owned(),
            due: due(&rotation, since),
            rotation,
            octets: found.len(),
            file,
            looked_us: 0,
        })
    }

    /// Writes lines that belong together, at this time.
    pub(super) fn write(&mut self, at_us: u64, lines: &str) {
        let seconds = at_us / 1_000_000;
        if at_us >= self.looked_us.saturating_add(LOOK_EVERY_US) {
            self.looked_us = at_us;
            self.reopen_if_moved();
        }
        if seconds >= self.due {
            self.rotate();
            self.due = due(&self.rotation, seconds);
        }
        // A full disk loses log lines; it must not stop the node.
        if self.file.write_all(lines.as_bytes()).is_ok() {
            self.octets += lines.len() as u64;
        }
        if self.rotation.octets.is_some_and(|max| self.octets >= max) {
            self.rotate();
        }
    }

    fn reopen_if_moved(&mut self) {
        let here = fs::metadata(&self.path).map(|found| (found.dev(), found.ino())).ok();
        let ours = self.file.metadata().map(|found| (found.dev(), found.ino())).ok();
        if here != ours {
            self.reopen();
        }
    }

    /// Goes on in the file that is at the path now.
    pub(super) fn reopen(&mut self) {
        // Where no new file can be made, the old one is written on.
        if let Ok(file) = append(&self.path) {
            self.octets = file.metadata().map_or(0, |found| found.len());
            self.file = file;
        }
    }

    fn rotate(&mut self) {
        match self.rotation.count {
            0 => {
                // If it cannot be begun anew it grows; nothing is lost by that.
                let _ = self.file.set_len(0);
                self.octets = 0;
            }
            count => {
                for number in (0..count - 1).rev() {
                    for suffix in ["", PACKED] {
                        self.shift(self.archive(number, suffix), self.archive(number + 1, suffix));
                    }
                }
                self.shift(self.path.clone(), self.archive(0, ""));
                self.reopen();
                if self.rotation.compress {
                    pack_behind(self.archive(0, ""), self.archive(0, PACKED));
                }
            }
        }
    }

    fn archive(&self, number: u32, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}{suffix}"));
        name.into()
    }

    fn shift(&self, from: PathBuf, to: PathBuf) {
        // The first rotations have no older files.
        let _ = fs::rename(from, to);
    }
}

/// Packs a file on a thread of its own: whoever writes a line does not wait for it.
fn pack_behind(from: PathBuf, to: PathBuf) {
    let work = move || {
        if pack(&from, &to).is_err() {
            // It stays as it is, which loses nothing.
            let _ = fs::remove_file(&to);
        }
    };
    let _ = std::thread::Builder::new().name("log packer".into()).spawn(work);
}

/// Only when all of it is packed, the file itself goes.
fn pack(from: &Path, to: &Path) -> io::Result<()> {
    let mut encoder = GzEncoder::new(File::create(to)?, Compression::default());
    let mut file = File::open(from)?;
    // It may have been put one further back meanwhile: then this one is still the file that was opened.
    io::copy(&mut file, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    fs::remove_file(from)
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn due(rotation: &Rotation, since: u64) -> u64 {
    rotation.date.map_or(u64::MAX, |rule| clock::next_rotation(rule, since))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn texts(folder: &Path) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, fs::read_to_string(path).unwrap())
            })
            .collect();
        found.sort();
        found
    }

    fn expect(folder: &Path, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect();
        assert_eq!(texts(folder), expected);
    }

    #[test]
    fn a_file_is_rotated_when_it_is_large_enough_and_the_oldest_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let rotation = Rotation {
            octets: Some(4),
            count: 2,
            date: None,
            compress: false,
        };
        let mut file = LogFile::open(&folder.path().join("a.log"), rotation).unwrap();
        for line in ["1\n", "22\n", "333\n", "4444\n", "5\n"] {
            file.write(0, line);
        }
        expect(
            folder.path(),
            &[("a.log", "5\n"), ("a.log.0", "4444\n"), ("a.log.1", "333\n")],
        );
    }

    #[test]
    fn files_that_were_put_aside_are_compressed_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let rotation = Rotation {
            octets: Some(4),
            count: 2,
            date: None,
            compress: true,
        };
        let mut file = LogFile::open(&folder.path().join("a.log"), rotation).unwrap();
        let packed = |number: u32| folder.path().join(format!("a.log.{number}.gz"));
        for line in ["11111\n", "22222\n", "33333\n"] {
            file.write(0, line);
            let plain = folder.path().join("a.log.0");
            while plain.exists() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        let text =
            |number| io::read_to_string(flate2::read::GzDecoder::new(File::open(packed(number)).unwrap())).unwrap();
        assert_eq!((text(0).as_str(), text(1).as_str()), ("33333\n", "22222\n"));
        assert!(!packed(2).exists());
    }

    #[test]
    fn a_file_of_which_nothing_is_to_be_kept_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let rotation = Rotation {
            octets: Some(4),
            ..Rotation::default()
        };
        let mut file = LogFile::open(&folder.path().join("a.log"), rotation).unwrap();
        for line in ["1234\n", "5\n"] {
            file.write(0, line);
        }
        expect(folder.path(), &[("a.log", "5\n")]);
    }

    #[test]
    fn a_file_is_rotated_at_its_hour() {
        let folder = tempfile::tempdir().unwrap();
        let rotation = Rotation {
            date: Some("$D0".parse().unwrap()),
            count: 5,
            octets: None,
            compress: false,
        };
        let mut file = LogFile::open(&folder.path().join("a.log"), rotation).unwrap();
        // The file was made today; the next days are far ahead of it.
        let day = 4_000_000_000 / 86_400 * 86_400;
        file.write((day - 1) * SECOND, "old\n");
        file.write((day - 1) * SECOND, "same day\n");
        file.write(day * SECOND, "new\n");
        let found = texts(folder.path());
        assert_eq!(found[0], ("a.log".to_owned(), "new\n".to_owned()));
        assert_eq!(found[1], ("a.log.0".to_owned(), "old\nsame day\n".to_owned()));
    }

    #[test]
    fn a_file_that_was_moved_away_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let mut file = LogFile::open(&path, Rotation::default()).unwrap();
        file.write(SECOND, "1\n");
        fs::rename(&path, folder.path().join("b.log")).unwrap();
        file.write(2 * SECOND, "2\n");
        fs::rename(&path, folder.path().join("c.log")).unwrap();
        file.reopen();
        file.write(2 * SECOND, "3\n");
        expect(folder.path(), &[("a.log", "3\n"), ("b.log", "1\n"), ("c.log", "2\n")]);
    }
}
