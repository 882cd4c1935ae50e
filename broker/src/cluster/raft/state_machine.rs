//! Committed entries on their way to the node, and snapshots of what they have come to.
//!
//! A proposal that comes twice, because its sender did not learn of its success, is applied once. What came of it is told
//! to those who wait in this process.

use super::{
    types::{Applied, Entry, Id, LogId, StorageError, Types, log_id, membership_record, position, stored},
    waiting::Waiting,
};
use crate::cluster::{
    Identity, Machine, Outcome,
    log::{Health, Member, Proposal},
    snapshot::{self, FILE, Progress, Snapshot},
};
use catalog::{Catalog, Command};
use openraft::{
    AnyError, EntryPayload, OptionalSend, RaftSnapshotBuilder, SnapshotMeta, StorageIOError, StoredMembership,
    storage::RaftStateMachine,
};
use parking_lot::Mutex;
use std::{
    io::{self, Cursor},
    sync::Arc,
    time::Duration,
};
use store::{
    Formats,
    disk::{self, Disk},
};

/// How long a full disk is left alone before a snapshot is tried again.
const FULL_PAUSE: Duration = Duration::from_secs(10);

type Meta = SnapshotMeta<Id, Member>;

/// What is shared with the task that builds a snapshot.
struct Shared<D> {
    disk: D,
    directory: String,
    /// The last snapshot; one written later never takes the place of a newer one.
    latest: Mutex<Option<Meta>>,
    health: Arc<Health>,
}

/// The node's copy of the definitions as the library drives it.
pub(super) struct StateMachine<D> {
    shared: Arc<Shared<D>>,
    machine: Arc<dyn Machine>,
    waiting: Arc<Waiting>,
    identity: Identity,
    progress: Progress,
    /// The newer one is written once the definitions say that every member reads it.
    formats: Formats,
}

/// Takes one snapshot: of the state when it was made.
pub(super) struct Builder<D> {
    shared: Arc<Shared<D>>,
    catalog: Catalog,
    progress: Progress,
    /// Octets of the log that it makes superfluous.
    bytes: u64,
}

impl<D: Disk> StateMachine<D> {
    /// Begins with what the snapshot on the disk says, or blank.
    pub(super) fn open(
        (disk, directory): (D, &str),
        formats: Formats,
        identity: Identity,
        machine: Arc<dyn Machine>,
        waiting: Arc<Waiting>,
        health: Arc<Health>,
    ) -> anyhow::Result<Self> {
        let path = format!("{directory}/{FILE}");
        let found = match disk::read_all(&disk, &path) {
            Ok(octets) => Some(snapshot::decode(&octets, &formats)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => anyhow::bail!("{path} in the data directory: {error}"),
        };
        let latest = found.as_ref().map(|found| meta(&found.id, &found.progress));
        let progress = found.as_ref().map(|found| found.progress.clone()).unwrap_or_default();
        waiting.reach(progress.applied.map_or(0, |at| at.index));
        if let Some(found) = found {
            formats.raise(found.catalog.level());
            machine.install(found.catalog);
        }
        let shared = Shared {
            disk,
            directory: directory.to_owned(),
            latest: Mutex::new(latest),
            health,
        };
        Ok(StateMachine {
            shared: Arc::new(shared),
            machine,
            waiting,
            identity,
            progress,
            formats,
        })
    }

    /// The last entry that the snapshot holds.
    pub(super) fn applied(&self) -> Option<LogId> {
        self.progress.applied.as_ref().map(log_id)
    }

    fn follow(&mut self, entry: Entry) {
        let at = position(&entry.log_id);
        self.progress.applied = Some(at);
        let answer = match entry.payload {
            EntryPayload::Blank => None,
            EntryPayload::Membership(members) => {
                self.progress.membership = membership_record(&members);
                self.progress.membership_at = Some(at);
                None
            }
            EntryPayload::Normal(proposal) => self.perform(&proposal),
        };
        // Who is answered may ask at once how far this node is.
        self.waiting.reach(at.index);
        if let Some((number, outcomes)) = answer {
            self.waiting.answer(number, outcomes);
        }
    }

    /// What came of a proposal of this process, by its number.
    fn perform(&mut self, proposal: &Proposal) -> Option<(u64, Vec<Outcome>)> {
        if !self.progress.takes(proposal) {
            return None;
        }
        let outcomes = self.machine.apply(&proposal.commands);
        if proposal
            .commands
            .iter()
            .any(|command| matches!(command, Command::History(_)))
        {
            self.formats.raise(self.machine.catalog().level());
        }
        let is_own = (proposal.origin, proposal.incarnation) == (self.identity.node, self.identity.incarnation);
        is_own.then_some((proposal.number, outcomes))
    }
}

fn meta(id: &str, progress: &Progress) -> Meta {
    SnapshotMeta {
        last_log_id: progress.applied.as_ref().map(log_id),
        last_membership: stored(&progress.membership, progress.membership_at.as_ref()),
        snapshot_id: id.to_owned(),
    }
}

fn write_failed(error: &(dyn std::error::Error + 'static)) -> StorageError {
    StorageIOError::<Id>::write_snapshot(None, AnyError::from_dyn(error, None)).into()
}

impl<D: Disk> Shared<D> {
    fn build(&self, progress: &Progress, catalog: &Catalog) -> io::Result<(Meta, Vec<u8>)> {
        let at = progress.applied.as_ref();
        let id = at.map_or_else(|| "blank".to_owned(), |at| format!("{}-{}", at.term, at.index));
        let octets = snapshot::encode(&id, progress, catalog).map_err(io::Error::other)?;
        let meta = meta(&id, progress);
        self.keep(&meta, &octets)?;
        Ok((meta, octets))
    }

    /// Puts a snapshot in the place of an older one.
    fn keep(&self, meta: &Meta, octets: &[u8]) -> io::Result<()> {
        let mut latest = self.latest.lock();
        if latest
            .as_ref()
            .is_some_and(|latest| latest.last_log_id > meta.last_log_id)
        {
            return Ok(());
        }
        disk::replace(&self.disk, &self.directory, FILE, octets)?;
        *latest = Some(meta.clone());
        Ok(())
    }
}

impl<D: Disk> RaftSnapshotBuilder<Types> for Builder<D> {
    async fn build_snapshot(&mut self) -> Result<openraft::Snapshot<Types>, StorageError> {
        let (meta, octets) = loop {
            let (shared, catalog, progress) = (self.shared.clone(), self.catalog.clone(), self.progress.clone());
            let build = tokio::task::spawn_blocking(move || shared.build(&progress, &catalog));
            match build.await.map_err(|error| write_failed(&error))? {
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    tracing::error!(
                        "the definitions cannot be written down, so their log grows: {error}; free some space"
                    );
                    tokio::time::sleep(FULL_PAUSE).await;
                }
                built => break built.map_err(|error| write_failed(&error))?,
            }
        };
        self.shared.health.snapshot_taken(self.bytes, octets.len() as u64);
        tracing::debug!(
            octets = octets.len(),
            "definitions written down up to {:?}",
            meta.last_log_id
        );
        let snapshot = Box::new(Cursor::new(octets));
        Ok(openraft::Snapshot { meta, snapshot })
    }
}

impl<D: Disk> RaftStateMachine<Types> for StateMachine<D> {
    type SnapshotBuilder = Builder<D>;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership<Id, Member>), StorageError> {
        let at = self.progress.membership_at.as_ref();
        Ok((self.applied(), stored(&self.progress.membership, at)))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Applied>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let follow = |entry| {
            self.follow(entry);
            Applied
        };
        Ok(entries.into_iter().map(follow).collect())
    }

    async fn get_snapshot_builder(&mut self) -> Builder<D> {
        Builder {
            shared: self.shared.clone(),
            catalog: self.machine.catalog(),
            progress: self.progress.clone(),
            bytes: self.shared.health.bytes(),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(&mut self, meta: &Meta, snapshot: Box<Cursor<Vec<u8>>>) -> Result<(), StorageError> {
        let octets = snapshot.into_inner();
        let formats = self.formats.clone();
        let read = move || snapshot::decode(&octets, &formats).map(|read| (octets, read));
        let read = tokio::task::spawn_blocking(read).await;
        let read = read.map_err(|error| write_failed(&error))?;
        let (octets, Snapshot { progress, catalog, .. }) = read.map_err(|error| write_failed(&error))?;
        let (shared, own) = (self.shared.clone(), meta.clone());
        let kept = tokio::task::spawn_blocking(move || shared.keep(&own, &octets)).await;
        let kept = kept.map_err(|error| write_failed(&error))?;
        kept.map_err(|error| write_failed(&error))?;
        self.progress = progress;
        self.formats.raise(catalog.level());
        self.machine.install(catalog);
        self.waiting.reach(self.progress.applied.map_or(0, |at| at.index));
        let own = self.progress.proposed.get(&self.identity.node);
        if let Some(own) = own.filter(|own| own.incarnation == self.identity.incarnation) {
            self.waiting.skip(own.number);
        }
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<openraft::Snapshot<Types>>, StorageError> {
        let shared = self.shared.clone();
        let read = move || {
            let latest = shared.latest.lock();
            let Some(meta) = latest.clone() else { return Ok(None) };
            let octets = disk::read_all(&shared.disk, &format!("{}/{FILE}", shared.directory))?;
            Ok::<_, io::Error>(Some((meta, octets)))
        };
        let failed = |error: &(dyn std::error::Error + 'static)| -> StorageError {
            StorageIOError::<Id>::read_snapshot(None, AnyError::from_dyn(error, None)).into()
        };
        let read = tokio::task::spawn_blocking(read)
            .await
            .map_err(|error| failed(&error))?;
        let found = read.map_err(|error| failed(&error))?;
        Ok(found.map(|(meta, octets)| openraft::Snapshot {
            meta,
            snapshot: Box::new(Cursor::new(octets)),
        }))
    }
}
