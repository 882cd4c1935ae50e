//! `warren backup` of a stopped node, and what is common with that of a running one: the file that is written, and the
//! progress that is shown.
//!
//! The file gets its name when it is whole: an unfinished backup is never taken for one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use store::disk::Disk;

use super::{Answer, FAILED, archive};
use crate::host::data_directory::{self, IDENTITY_FILE, META};

/// How often progress is shown.
const SHOWN_EVERY: Duration = Duration::from_secs(1);
/// Messages and definitions are nobody else's business.
const FILE_MODE: u32 = 0o600;
/// Read at a time.
const PIECE_BYTES: usize = 1 << 20;

/// What has been copied so far, told on standard error.
#[derive(Debug)]
pub(super) struct Progress {
    files: u64,
    octets: u64,
    files_done: u64,
    octets_done: u64,
    shown: Instant,
}

impl Progress {
    /// `files` is zero where their number is not known.
    pub(super) fn of(files: u64, octets: u64) -> Self {
        Progress {
            files,
            octets,
            files_done: 0,
            octets_done: 0,
            shown: Instant::now(),
        }
    }

    pub(super) fn file(&mut self) {
        self.files_done += 1;
    }

    pub(super) fn octets(&mut self, octets: u64) {
        self.octets_done += octets;
        if self.shown.elapsed() >= SHOWN_EVERY {
            self.shown = Instant::now();
            self.show();
        }
    }

    /// Nobody may read it, which harms nothing.
    pub(super) fn show(&self) {
        let Progress {
            files,
            octets,
            files_done,
            octets_done,
            ..
        } = self;
        let of = |files: u64| match files {
            0 => String::new(),
            files => format!(" of {files}"),
        };
        let _ = writeln!(
            io::stderr(),
            "{octets_done} of {octets} octets, {files_done}{} files",
            of(*files)
        );
    }
}

/// Nothing that is there is replaced.
pub(super) fn refuse_existing(to: &Path) -> io::Result<()> {
    match to.exists() {
        true => {
            let text = format!("{} exists: choose another name, or remove it", to.display());
            Err(io::Error::new(io::ErrorKind::AlreadyExists, text))
        }
        false => Ok(()),
    }
}

/// A backup that is being written.
pub struct Backup {
    to: PathBuf,
    draft: PathBuf,
    out: archive::Writer<BufWriter<File>>,
    progress: Progress,
}

impl std::fmt::Debug for Backup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backup").field("to", &self.to).finish_non_exhaustive()
    }
}

impl Backup {
    /// Begins one; a file of that name is left as it is.
    ///
    /// # Errors
    /// The file is there, or cannot be made.
    pub fn begin(to: &Path) -> io::Result<Self> {
        refuse_existing(to)?;
        let mut draft = to.as_os_str().to_owned();
        draft.push(".partial");
        let draft = PathBuf::from(draft);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(FILE_MODE);
        let file = options.open(&draft)?;
        Ok(Backup {
            to: to.to_owned(),
            draft,
            out: archive::Writer::begin(BufWriter::with_capacity(PIECE_BYTES, file))?,
            progress: Progress::of(0, 0),
        })
    }

    /// So much is to come.
    pub fn expect(&mut self, files: u64, octets: u64) {
        self.progress = Progress::of(files, octets);
        self.progress.show();
    }

    /// A file begins.
    ///
    /// # Errors
    /// The backup cannot be written.
    pub fn file(&mut self, path: &str, octets: u64) -> io::Result<()> {
        self.progress.file();
        self.out.file(path, octets)
    }

    /// Its next octets.
    ///
    /// # Errors
    /// The backup cannot be written.
    pub fn octets(&mut self, octets: &[u8]) -> io::Result<()> {
        self.progress.octets(octets.len() as u64);
        self.out.octets(octets)
    }

    /// Makes the backup durable and gives it its name.
    ///
    /// # Errors
    /// The backup cannot be written.
    pub fn finish(self) -> io::Result<Answer> {
        self.progress.show();
        let (out, totals) = self.out.finish()?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&self.draft, &self.to)?;
        let directory = self.to.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        let text = format!(
            "{}: {} files, {} octets\n",
            self.to.display(),
            totals.files,
            totals.octets
        );
        Ok(Answer::done(text))
    }

    /// Removes what was written so far.
    pub fn give_up(self) {
        // What cannot be removed is left under a name that says what it is.
        let _ = fs::remove_file(&self.draft);
    }
}

/// Backs up the directory of a stopped node.
pub fn of_directory(directory: &Path, to: &Path) -> Answer {
    let looked = match data_directory::look(directory, false) {
        Ok(looked) => looked,
        Err(why) => return Answer::refused(FAILED, why),
    };
    if looked.written.is_none() {
        let text = format!(
            "{} has no warren.json: no node has used it, there is nothing to back up",
            directory.display()
        );
        return Answer::refused(FAILED, text);
    }
    let mut backup = match Backup::begin(to) {
        Ok(backup) => backup,
        Err(why) => return Answer::refused(FAILED, why),
    };
    match copy(directory, &looked.disk, &mut backup) {
        Ok(()) => backup.finish().unwrap_or_else(|why| Answer::refused(FAILED, why)),
        Err(why) => {
            backup.give_up();
            Answer::refused(FAILED, why)
        }
    }
}

fn copy<D: Disk>(directory: &Path, disk: &D, backup: &mut Backup) -> io::Result<()> {
    let files = files(directory, disk)?;
    backup.expect(files.len() as u64, files.iter().map(|(_, octets)| octets).sum());
    let mut piece = vec![0; PIECE_BYTES];
    for (path, octets) in files {
        backup.file(&path, octets)?;
        let mut from = File::open(directory.join(&path))?.take(octets);
        loop {
            let read = from.read(&mut piece)?;
            if read == 0 {
                break;
            }
            backup.octets(&piece[..read])?;
        }
    }
    Ok(())
}

/// What is worth keeping of a directory: no lock, no room for what is to come.
fn files<D: Disk>(directory: &Path, disk: &D) -> io::Result<Vec<(String, u64)>> {
    let mut paths = vec![IDENTITY_FILE.to_owned()];
    for (room, kept) in [
        (META, ["log.", "snapshot"]),
        ("wal", [".log", ".log"]),
        ("pages", [".pages", ".gone"]),
    ] {
        let is_kept = |name: &String| kept.iter().any(|part| name.starts_with(part) || name.ends_with(part));
        let names = disk.list(room)?.into_iter().filter(is_kept);
        paths.extend(
            names
                .filter(|name| !name.ends_with(".new"))
                .map(|name| format!("{room}/{name}")),
        );
    }
    let length = |path: String| Ok((path.clone(), fs::metadata(directory.join(&path))?.len()));
    paths.into_iter().map(length).collect()
}
