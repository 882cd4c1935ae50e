//! Page files as files: appended to one after the other, read from anywhere, made durable when that is relied upon.
//!
//! Decides when a file is long enough and which stay open; what lies in them and whether it is wanted stands in the index.

use std::{collections::BTreeMap, io};

use model::{PageId, Runs};

use crate::{
    disk::{Disk, DiskFile, Open},
    page::{self, DIRECTORY, Gone},
};

/// Files kept open for reading.
const OPEN_MAX: usize = 64;

/// The files of pages.
pub(crate) struct Pages<D: Disk> {
    disk: D,
    open: BTreeMap<u64, D::File>,
    /// The file that is appended to, if one is begun.
    current: Option<Current>,
    next_file: u64,
    /// The file before it, until somebody has been told that it is closed.
    closed: Option<u64>,
    /// A file that is longer gets no more pages.
    file_bytes: u64,
    /// Files with pages that are not durable, and names that are not.
    unsynced: Vec<u64>,
    names_changed: bool,
}

struct Current {
    file: u64,
    length: u64,
}

/// Where a page was put.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub(crate) file: u64,
    pub(crate) offset: u64,
    /// The file that gets no more pages since this one.
    pub(crate) closed: Option<u64>,
}

impl<D: Disk> Pages<D> {
    /// New pages go to files from this number on: nothing is added to a file of an earlier run.
    pub(crate) fn new(disk: D, next_file: u64, file_bytes: u64) -> io::Result<Self> {
        disk.create_directory(DIRECTORY)?;
        Ok(Pages {
            disk,
            open: BTreeMap::new(),
            current: None,
            next_file,
            closed: None,
            file_bytes,
            unsynced: Vec::new(),
            names_changed: false,
        })
    }

    /// Appends a page.
    ///
    /// # Errors
    /// `StorageFull` leaves what had been written as it was.
    pub(crate) fn append(&mut self, octets: &[u8]) -> io::Result<Placed> {
        self.closed = self.close_long().or(self.closed);
        let (file, offset) = match &self.current {
            Some(current) => (current.file, current.length),
            None => (self.begin_file()?, 0),
        };
        let written = self.file(file)?.write_at(offset, octets);
        if let Err(error) = written {
            // What was written of it must not be taken for a page later.
            let _ = self.file(file)?.set_length(offset);
            return Err(error);
        }
        self.current = Some(Current {
            file,
            length: offset + octets.len() as u64,
        });
        if !self.unsynced.contains(&file) {
            self.unsynced.push(file);
        }
        let closed = self.closed.take();
        Ok(Placed { file, offset, closed })
    }

    /// The file that is appended to now.
    pub(crate) fn current(&self) -> Option<u64> {
        self.current.as_ref().map(|current| current.file)
    }

    /// The next page begins another file; the caller tells the index.
    pub(crate) fn close(&mut self) {
        self.current = None;
    }

    fn close_long(&mut self) -> Option<u64> {
        let long = self
            .current
            .as_ref()
            .is_some_and(|current| current.length >= self.file_bytes);
        let current = self.current.take_if(|_| long);
        current.map(|current| current.file)
    }

    fn begin_file(&mut self) -> io::Result<u64> {
        let file = self.next_file;
        let opened = self.disk.open(&page::path(file), Open::New)?;
        self.next_file += 1;
        self.names_changed = true;
        self.open.insert(file, opened);
        self.current = Some(Current { file, length: 0 });
        Ok(file)
    }

    fn file(&mut self, number: u64) -> io::Result<&D::File> {
        if !self.open.contains_key(&number) {
            if self.open.len() >= OPEN_MAX {
                self.open.clear();
            }
            let file = self.disk.open(&page::path(number), Open::Existing)?;
            self.open.insert(number, file);
        }
        Ok(&self.open[&number])
    }

    /// Reads octets of a file.
    pub(crate) fn read(&mut self, file: u64, offset: u64, octets: usize) -> io::Result<Vec<u8>> {
        let mut page = vec![0; octets];
        let read = self.file(file)?.read_at(offset, &mut page)?;
        page.truncate(read);
        Ok(page)
    }

    /// Makes all pages durable. Answers up to where: all earlier files are durable whole, this one up to its length.
    ///
    /// # Errors
    /// The disk failed; nothing may be promised any more.
    pub(crate) fn sync(&mut self) -> io::Result<(u64, u64)> {
        for number in std::mem::take(&mut self.unsynced) {
            match self.file(number) {
                Ok(file) => file.sync()?,
                // Deleted meanwhile: nothing in it was wanted.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if std::mem::take(&mut self.names_changed) {
            self.disk.sync_directory(DIRECTORY)?;
        }
        let current = self.current.as_ref().map(|current| (current.file, current.length));
        Ok(current.unwrap_or((self.next_file, 0)))
    }

    /// Writes down durably which messages of a file are gone.
    pub(crate) fn write_gone(&mut self, file: u64, gone: &[(PageId, Runs)]) -> io::Result<()> {
        let mut lines = Vec::new();
        for (page, runs) in gone {
            for (first, last) in runs.iter() {
                let page = *page;
                Gone { page, first, last }.encode(&mut lines);
            }
        }
        let beside = self.disk.open(&page::gone_path(file), Open::OrCreate)?;
        // A line that was torn by a crash is overwritten.
        let whole = beside.length()? / page::GONE_BYTES as u64 * page::GONE_BYTES as u64;
        beside.write_at(whole, &lines)?;
        beside.sync()?;
        self.names_changed = true;
        Ok(())
    }

    /// Deletes a file and what stands beside it.
    pub(crate) fn remove(&mut self, file: u64) -> io::Result<()> {
        self.open.remove(&file);
        self.unsynced.retain(|number| *number != file);
        self.names_changed = true;
        self.disk.remove(&page::path(file))?;
        match self.disk.remove(&page::gone_path(file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
