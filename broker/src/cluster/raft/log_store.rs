//! The library's view of the log: entries in memory for reading, every change written by the log's thread before it counts.
//!
//! What is in memory is bounded by snapshots: entries that one holds are purged.

use super::types::{
    Entry, Id, LogId, StorageError, Types, Vote, entry, entry_record, log_id, position, vote, vote_record,
};
use crate::cluster::log::{Record, State, Writer};
use openraft::{
    AnyError, LogState, OptionalSend, RaftLogReader, StorageIOError,
    storage::{LogFlushed, RaftLogStorage},
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, fmt::Debug, io, ops::RangeBounds, sync::Arc};
use tokio::sync::oneshot;

#[derive(Debug, Default)]
struct Memory {
    vote: Option<Vote>,
    purged: Option<LogId>,
    entries: BTreeMap<u64, Entry>,
}

/// The log. Clones share it.
#[derive(Clone, Debug)]
pub struct LogStore {
    memory: Arc<Mutex<Memory>>,
    writer: Writer,
}

impl LogStore {
    /// A log that says `state`, and is written by `writer`.
    pub(super) fn new(state: State, writer: Writer) -> Self {
        let entries = state.entries.into_values().map(entry);
        let memory = Memory {
            vote: state.vote.as_ref().map(vote),
            purged: state.purged.as_ref().map(log_id),
            entries: entries.map(|entry| (entry.log_id.index, entry)).collect(),
        };
        LogStore {
            memory: Arc::new(Mutex::new(memory)),
            writer,
        }
    }

    /// What it says, for others to look at; the log may be closed meanwhile.
    pub(super) fn view(&self) -> LogView {
        LogView(self.memory.clone())
    }

    /// True if nothing has ever been written.
    pub(super) fn is_blank(&self) -> bool {
        let memory = self.memory.lock();
        memory.vote.is_none() && memory.purged.is_none() && memory.entries.is_empty()
    }

    /// True if entries that were removed are in what has been applied.
    pub(super) fn is_whole(&self, applied: Option<LogId>) -> bool {
        self.memory.lock().purged <= applied
    }

    async fn write(&self, record: Record) -> io::Result<()> {
        let (safe, told) = oneshot::channel();
        let done = move |result| {
            // Nobody waits when the library has been stopped.
            let _ = safe.send(result);
        };
        self.writer.write(vec![record], Box::new(done));
        told.await.map_err(io::Error::other)?
    }
}

/// A look at the log.
#[derive(Clone, Debug)]
pub(super) struct LogView(Arc<Mutex<Memory>>);

impl LogView {
    /// Where it ends.
    pub(super) fn last(&self) -> Option<LogId> {
        let memory = self.0.lock();
        let last = memory.entries.values().next_back().map(|entry| entry.log_id);
        last.or(memory.purged)
    }

    /// True if an entry at its place is another one here.
    pub(super) fn contradicts(&self, entry: &LogId) -> bool {
        let memory = self.0.lock();
        let purged = memory.purged.filter(|purged| purged.index == entry.index);
        let own = memory.entries.get(&entry.index).map(|own| own.log_id).or(purged);
        own.is_some_and(|own| own != *entry)
    }
}

fn failed(error: &io::Error) -> StorageError {
    StorageIOError::write_logs(AnyError::new(error)).into()
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        let memory = self.memory.lock();
        Ok(memory.entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let memory = self.memory.lock();
        let last = memory.entries.values().next_back().map(|entry| entry.log_id);
        Ok(LogState {
            last_purged_log_id: memory.purged,
            last_log_id: last.or(memory.purged),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        self.memory.lock().vote = Some(*vote);
        let written = self.write(Record::Vote(vote_record(vote))).await;
        written.map_err(|error| StorageIOError::<Id>::write_vote(AnyError::new(&error)).into())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.memory.lock().vote)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut records = Vec::new();
        {
            let mut memory = self.memory.lock();
            for entry in entries {
                records.push(entry_record(&entry));
                memory.entries.insert(entry.log_id.index, entry);
            }
        }
        let done = |result| callback.log_io_completed(result);
        self.writer.write(vec![Record::Entries(records)], Box::new(done));
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        drop(self.memory.lock().entries.split_off(&log_id.index));
        let written = self.write(Record::Truncate { since: log_id.index }).await;
        written.map_err(|error| failed(&error))
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        {
            let mut memory = self.memory.lock();
            memory.purged = memory.purged.max(Some(log_id));
            memory.entries = memory.entries.split_off(&(log_id.index + 1));
        }
        let written = self.write(Record::Purge(position(&log_id))).await;
        written.map_err(|error| failed(&error))
    }
}
