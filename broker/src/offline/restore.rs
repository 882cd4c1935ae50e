//! `warren restore`: a backup into an empty directory, verified; for one virtual host the other definitions go.
//!
//! `warren.json` comes last: a node does not start on a directory that was restored in part. Messages of queues that are
//! not defined are forgotten by the first start, as always.

use catalog::Command;
use model::VhostName;
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
};
use store::disk::FsDisk;

use super::{
    Answer, FAILED,
    archive::{self, ArchiveError, Unpack},
    backup::Progress,
};
use crate::{
    cluster::{
        Bare, Identity, MetaStore, offline,
        raft::{Opening, RaftStore, Timing},
        transport::Nobody,
    },
    host::data_directory::{self, IDENTITY_FILE, META, Written},
};

const DIRECTORY_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;

/// Restores a backup.
pub(super) fn run(from: &Path, directory: &Path, vhost: Option<&str>) -> Answer {
    match restore(from, directory, vhost) {
        Ok(text) => Answer::done(text),
        Err(why) => Answer::refused(FAILED, format!("{why:#}")),
    }
}

fn restore(from: &Path, directory: &Path, vhost: Option<&str>) -> anyhow::Result<String> {
    let vhost = vhost.map(str::parse::<VhostName>).transpose()?;
    let file = File::open(from).map_err(|error| anyhow::anyhow!("{}: {error}", from.display()))?;
    let octets = file.metadata()?.len();
    make_empty(directory)?;
    let mut room = Room {
        directory,
        current: None,
        identity: None,
        progress: Progress::of(0, octets),
    };
    let unpacked = archive::read(io::BufReader::new(file), &mut room);
    let done = unpacked.map_err(anyhow::Error::from).and_then(|totals| {
        let identity = room.finish()?;
        let mut written = data_directory::understand(directory, &identity)?;
        if let Some(vhost) = &vhost {
            restrict(directory, &mut written, vhost)?;
        }
        data_directory::claim(directory, &written)?;
        Ok((totals, written.name))
    });
    match done {
        Ok((totals, name)) => Ok(format!(
            "{}: {} files, {} octets of node {name}\n",
            directory.display(),
            totals.files,
            totals.octets
        )),
        Err(why) => {
            clear(directory);
            Err(why.context(format!(
                "{} is not restored, {} is left empty",
                from.display(),
                directory.display()
            )))
        }
    }
}

/// Makes the directory, or sees that nothing is in it.
fn make_empty(directory: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(directory)?;
    if let Some(entry) = fs::read_dir(directory)?.next() {
        anyhow::bail!(
            "{} is not empty ({} is there): choose an empty or absent directory, nothing was changed",
            directory.display(),
            entry?.file_name().display()
        );
    }
    for room in [META, "wal", "pages"] {
        DirBuilder::new().mode(DIRECTORY_MODE).create(directory.join(room))?;
    }
    Ok(())
}

/// Removes what was unpacked.
fn clear(directory: &Path) {
    for room in [META, "wal", "pages"] {
        // Without warren.json no node starts on what cannot be removed.
        let _ = fs::remove_dir_all(directory.join(room));
    }
}

/// Where an archive is unpacked.
struct Room<'a> {
    directory: &'a Path,
    current: Option<File>,
    /// What `warren.json` says, once it has come.
    identity: Option<Vec<u8>>,
    progress: Progress,
}

impl Room<'_> {
    fn end_file(&mut self) -> io::Result<()> {
        self.current.take().map_or(Ok(()), |file| file.sync_all())
    }

    /// Makes all durable; answers `warren.json`.
    fn finish(mut self) -> Result<Vec<u8>, ArchiveError> {
        self.end_file()?;
        self.progress.show();
        for room in [META, "wal", "pages"] {
            File::open(self.directory.join(room))?.sync_all()?;
        }
        let identity = self.identity.filter(|octets| !octets.is_empty());
        identity.ok_or_else(|| ArchiveError::Damaged(format!("it has no {IDENTITY_FILE}")))
    }
}

impl Unpack for Room<'_> {
    fn file(&mut self, path: &str, _: u64) -> io::Result<()> {
        self.end_file()?;
        self.progress.file();
        if path == IDENTITY_FILE {
            self.identity = Some(Vec::new());
            return Ok(());
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(FILE_MODE);
        self.current = Some(options.open(self.directory.join(path))?);
        Ok(())
    }

    fn octets(&mut self, octets: &[u8]) -> io::Result<()> {
        self.progress.octets(octets.len() as u64);
        match (&mut self.current, &mut self.identity) {
            (Some(file), _) => file.write_all(octets),
            (None, Some(identity)) => {
                identity.extend_from_slice(octets);
                Ok(())
            }
            (None, None) => Err(io::Error::other("octets of no file")),
        }
    }
}

/// Deletes all virtual hosts but one, as a start of the node that does nothing else.
fn restrict(directory: &Path, written: &mut Written, vhost: &VhostName) -> anyhow::Result<()> {
    let disk = FsDisk::new(directory);
    let catalog = offline::read(&disk, META)?.catalog;
    let names: Vec<VhostName> = catalog.vhosts().map(|found| found.name().clone()).collect();
    if !names.contains(vhost) {
        let there: Vec<String> = names.iter().map(ToString::to_string).collect();
        anyhow::bail!(
            "there is no virtual host '{vhost}' in the backup; it has: {}",
            there.join(", ")
        );
    }
    written.starts += 1;
    let identity = Identity {
        cluster: written.cluster,
        node: written.node,
        name: written.name.clone(),
        incarnation: written.starts,
        boot_id: rand::random(),
        level: link::feature_level(),
    };
    let others = names.into_iter().filter(|name| name != vhost).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(delete_vhosts(disk, identity, others))
}

async fn delete_vhosts(disk: FsDisk, identity: Identity, vhosts: Vec<VhostName>) -> anyhow::Result<()> {
    let opening = Opening {
        identity,
        joined: false,
        alone: false,
        transport: Arc::new(Nobody),
        machine: Arc::new(Bare::default()),
        fatal: Arc::new(|why: &str| tracing::error!("{why}")),
        timing: Timing::default(),
    };
    let meta = RaftStore::open(disk, META, opening).await?;
    for vhost in vhosts {
        let done = meta.propose(Command::DeleteVhost(vhost)).await;
        done.map_err(|refusal| anyhow::anyhow!(refusal.text))?;
    }
    meta.stop().await;
    Ok(())
}
