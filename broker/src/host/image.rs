//! A copy of this node while it runs: which files, how much of each, and what keeps them so while they are read.
//!
//! First the keeper of messages begins to hold its files, then the log is made durable up to now, then the definitions
//! are read: every message that was confirmed before is in the copy, and its queue is. Copying is others' work.

use anyhow::Context;
use std::{io, sync::Arc, time::Duration};
use store::{
    Hold,
    disk::{self, Disk, DiskFile, FsDisk, MemDisk, Open},
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    data_directory::{IDENTITY_FILE, META},
    message::Message,
    node::Node,
};
use crate::cluster::{offline, snapshot};

/// How long the disk may take to make the log durable.
const DURABLE_PATIENCE: Duration = Duration::from_secs(60);
/// The definitions are read while they may change; so often at most.
const READINGS_MAX: usize = 10;

/// What is copied. The files stay as they are while it lives.
#[derive(Debug)]
pub struct Image {
    disk: FsDisk,
    /// The files, in the order in which they are to be copied.
    pub files: Vec<ImageFile>,
    _hold: Hold<Message>,
    /// Who opens the directory after that node may change its files.
    stopping: CancellationToken,
}

/// One file of the copy: octets of a file, then octets of its own.
#[derive(Clone, Debug)]
pub struct ImageFile {
    /// Relative to the data directory.
    pub path: String,
    /// Octets to be read from the file's beginning.
    on_disk: u64,
    own: Arc<[u8]>,
}

impl ImageFile {
    fn of_octets(path: String, octets: Vec<u8>) -> Self {
        ImageFile {
            path,
            on_disk: 0,
            own: octets.into(),
        }
    }

    /// Octets altogether.
    pub fn octets(&self) -> u64 {
        self.on_disk + self.own.len() as u64
    }
}

impl Image {
    /// Reads a piece of a file of the copy.
    ///
    /// # Errors
    /// As the system says, that the file has become shorter than it was, or that the node stops.
    pub fn read(&self, file: &ImageFile, offset: u64, octets_max: usize) -> io::Result<Vec<u8>> {
        if offset >= file.on_disk {
            let begin = usize::try_from(offset - file.on_disk).map_err(io::Error::other)?;
            let rest = file.own.get(begin..).unwrap_or_default();
            return Ok(rest[..rest.len().min(octets_max)].to_vec());
        }
        let wanted = usize::try_from(file.on_disk - offset).map_or(octets_max, |left| left.min(octets_max));
        let mut octets = vec![0; wanted];
        let read = self.disk.open(&file.path, Open::Read)?.read_at(offset, &mut octets)?;
        if read < wanted {
            let text = format!(
                "{} is shorter than it was: something else changes the data directory",
                file.path
            );
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        match self.stopping.is_cancelled() {
            true => Err(io::Error::other("the node stops; make the copy again once it runs")),
            false => Ok(octets),
        }
    }
}

impl Node {
    /// Begins a copy of the node.
    ///
    /// # Errors
    /// The disk fails, has no room, or the node stops.
    pub async fn image(&self) -> anyhow::Result<Image> {
        let disk = FsDisk::new(self.config().node.data.as_path());
        let (tell, told) = oneshot::channel();
        let hold = self.store().hold(Box::new(move |held| {
            // Who asked may be gone; then nothing is held for long.
            let _ = tell.send(held);
        }));
        let held = told.await.context("the node stops")??;
        let end = self.store().end();
        let durable = tokio::time::timeout(DURABLE_PATIENCE, self.until_durable(end)).await;
        durable.context("the message log does not become durable: is there room on the disk?")?;
        let read = move || {
            let mut files = vec![ImageFile::of_octets(
                IDENTITY_FILE.to_owned(),
                disk::read_all(&disk, IDENTITY_FILE)?,
            )];
            files.extend(definitions(&disk)?);
            files.extend(held.files(&disk, end)?.into_iter().map(|file| ImageFile {
                path: file.path,
                on_disk: file.octets,
                own: file.tail.into(),
            }));
            anyhow::Ok((disk, files))
        };
        let (disk, files) = tokio::task::spawn_blocking(read).await??;
        Ok(Image {
            disk,
            files,
            _hold: hold,
            stopping: self.stopping().clone(),
        })
    }
}

/// The files of the definitions, as they were at one moment: the readings are tried until one can be understood.
fn definitions(disk: &FsDisk) -> anyhow::Result<Vec<ImageFile>> {
    let mut last = None;
    for _ in 0..READINGS_MAX {
        match read_definitions(disk) {
            Ok(files) => return Ok(files),
            Err(error) => last = Some(error),
        }
    }
    let last = last.unwrap_or_else(|| anyhow::anyhow!("they were not read"));
    Err(last.context(format!(
        "the definitions changed during each of {READINGS_MAX} readings"
    )))
}

/// The snapshot first: a log that is younger than its snapshot still leads on from it.
fn read_definitions(disk: &FsDisk) -> anyhow::Result<Vec<ImageFile>> {
    let mut names = disk.list(META)?;
    names.retain(|name| !name.ends_with(".new"));
    names.sort_by_key(|name| (name != snapshot::FILE, name.clone()));
    let (mut files, read) = (Vec::new(), MemDisk::new());
    for name in names {
        let path = format!("{META}/{name}");
        let octets = disk::read_all(disk, &path)?;
        read.open(&path, Open::New)?.write_at(0, &octets)?;
        files.push(ImageFile::of_octets(path, octets));
    }
    offline::read(&read, META)?;
    Ok(files)
}
