//! A disk in memory that fails on purpose: what a power cut may lose, it loses.
//!
//! A process that is killed loses nothing. A power cut loses any part of what was not synced: of each write any of its
//! sectors, of each directory any suffix of what was done to its names. All choices come from one seed, so that every
//! failure can be seen again. Never made softer to let a test pass.

use parking_lot::Mutex;
use std::{collections::BTreeMap, io, sync::Arc};

use super::{Disk, DiskFile, Open};

/// A disk writes a sector whole or not at all.
const SECTOR_BYTES: usize = 512;

type Inode = Arc<Mutex<Content>>;
type Names = BTreeMap<String, Inode>;

/// What a file holds.
#[derive(Debug, Default)]
struct Content {
    /// As programs see it.
    seen: Vec<u8>,
    /// As it survives for certain.
    safe: Vec<u8>,
    /// What happened to `seen` since.
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, octets: Vec<u8> },
    Length(usize),
}

/// What happened to a directory's names since it was synced.
#[derive(Clone, Debug)]
enum NameChange {
    Put(String, Inode),
    Gone(String),
    /// One step, so that a power cut sees both names changed or none.
    Moved {
        from: String,
        to: String,
    },
}

#[derive(Debug, Default)]
struct Directory {
    seen: Names,
    safe: Names,
    unsynced: Vec<NameChange>,
}

#[derive(Debug, Default)]
struct Inner {
    directories: BTreeMap<String, Directory>,
    /// Changes made so far.
    changes: u64,
    /// The power goes off after so many.
    power_off_at: Option<u64>,
    /// Octets all files may have together.
    capacity: Option<usize>,
    /// The next sync fails.
    sync_fails: bool,
}

/// The disk. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemDisk {
    inner: Arc<Mutex<Inner>>,
}

/// An open file.
#[derive(Clone, Debug)]
pub struct MemFile {
    disk: MemDisk,
    inode: Inode,
}

impl MemDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes made so far: writes, syncs, names.
    pub fn changes(&self) -> u64 {
        self.inner.lock().changes
    }

    /// After so many changes every call fails, as if the power were off.
    pub fn cut_power_after(&self, changes: u64) {
        self.inner.lock().power_off_at = Some(changes);
    }

    /// At most so many octets in all files together; `None` = no limit.
    pub fn set_capacity(&self, octets: Option<usize>) {
        self.inner.lock().capacity = octets;
    }

    /// The next sync of a file fails, and what it should have saved is lost.
    pub fn fail_next_sync(&self) {
        self.inner.lock().sync_fails = true;
    }

    /// Flips one bit of what is on the disk, behind everybody's back. False if the file has no such octet.
    pub fn flip(&self, path: &str, octet: usize, bit: u8) -> bool {
        let Some(inode) = self.find(path) else { return false };
        let mut content = inode.lock();
        let flip = |octets: &mut Vec<u8>| octets.get_mut(octet).map(|found| *found ^= 1 << (bit & 7)).is_some();
        flip(&mut content.safe);
        flip(&mut content.seen)
    }

    /// The disk as a restarted machine finds it after a power cut; `seed` decides what of the unsynced survived.
    #[must_use]
    pub fn after_power_cut(&self, seed: u64) -> MemDisk {
        let mut chance = Chance(seed ^ 0x9e37_79b9_7f4a_7c15);
        let inner = self.inner.lock();
        let directories = inner
            .directories
            .iter()
            .map(|(path, directory)| (path.clone(), directory.after_power_cut(&mut chance)))
            .collect();
        MemDisk {
            inner: Arc::new(Mutex::new(Inner {
                directories,
                capacity: inner.capacity,
                ..Inner::default()
            })),
        }
    }

    /// The disk as a restarted process finds it: nothing is lost.
    #[must_use]
    pub fn after_kill(&self) -> MemDisk {
        let inner = self.inner.lock();
        let directories = inner.directories.iter();
        let directories = directories.map(|(path, directory)| (path.clone(), directory.after_kill()));
        MemDisk {
            inner: Arc::new(Mutex::new(Inner {
                directories: directories.collect(),
                capacity: inner.capacity,
                ..Inner::default()
            })),
        }
    }

    fn find(&self, path: &str) -> Option<Inode> {
        let (directory, name) = split(path);
        self.inner.lock().directories.get(directory)?.seen.get(name).cloned()
    }

    /// Counts a change; after the power cut there are none.
    fn change(&self) -> io::Result<parking_lot::MutexGuard<'_, Inner>> {
        let mut inner = self.inner.lock();
        if inner.power_off_at.is_some_and(|at| inner.changes >= at) {
            return Err(io::Error::other("the power is off"));
        }
        inner.changes += 1;
        Ok(inner)
    }

    fn check_room(&self, inode: &Inode, length: usize) -> io::Result<()> {
        let inner = self.inner.lock();
        let Some(capacity) = inner.capacity else { return Ok(()) };
        let files = inner.directories.values().flat_map(|directory| directory.seen.values());
        let others = files.filter(|file| !Arc::ptr_eq(file, inode));
        let used: usize = others.map(|file| file.lock().seen.len()).sum();
        match used + length > capacity {
            true => Err(io::Error::from(io::ErrorKind::StorageFull)),
            false => Ok(()),
        }
    }
}

impl Directory {
    fn put(&mut self, name: &str, inode: Inode) {
        self.seen.insert(name.to_owned(), inode.clone());
        self.unsynced.push(NameChange::Put(name.to_owned(), inode));
    }

    fn forget(&mut self, name: &str) -> Option<Inode> {
        let inode = self.seen.remove(name)?;
        self.unsynced.push(NameChange::Gone(name.to_owned()));
        Some(inode)
    }

    fn after_power_cut(&self, chance: &mut Chance) -> Directory {
        let mut names = self.safe.clone();
        let survivors = chance.below(self.unsynced.len() + 1);
        for change in &self.unsynced[..survivors] {
            match change {
                NameChange::Put(name, inode) => drop(names.insert(name.clone(), inode.clone())),
                NameChange::Gone(name) => drop(names.remove(name)),
                NameChange::Moved { from, to } => {
                    if let Some(inode) = names.remove(from) {
                        names.insert(to.clone(), inode);
                    }
                }
            }
        }
        Directory::of(names, |content| content.after_power_cut(chance))
    }

    fn after_kill(&self) -> Directory {
        Directory::of(self.seen.clone(), |content| content.seen.clone())
    }

    fn of(names: Names, mut octets: impl FnMut(&Content) -> Vec<u8>) -> Directory {
        let fresh = |octets: Vec<u8>| {
            Arc::new(Mutex::new(Content {
                seen: octets.clone(),
                safe: octets,
                unsynced: Vec::new(),
            }))
        };
        let names: Names = names
            .into_iter()
            .map(|(name, inode)| (name, fresh(octets(&inode.lock()))))
            .collect();
        Directory {
            seen: names.clone(),
            safe: names,
            unsynced: Vec::new(),
        }
    }
}

impl Content {
    fn after_power_cut(&self, chance: &mut Chance) -> Vec<u8> {
        let mut octets = self.safe.clone();
        for change in &self.unsynced {
            match change {
                Change::Length(length) if chance.below(2) == 0 => octets.resize(*length, 0),
                Change::Length(_) => {}
                Change::Write { offset, octets: new } => write_some(&mut octets, *offset, new, chance),
            }
        }
        octets
    }
}

/// Writes any of the sectors that a write touches.
fn write_some(octets: &mut Vec<u8>, offset: usize, new: &[u8], chance: &mut Chance) {
    // Most writes make it whole or not at all; the others are torn.
    let fate = chance.below(4);
    let mut at = 0;
    while at < new.len() {
        let end = new
            .len()
            .min((offset + at) / SECTOR_BYTES * SECTOR_BYTES + SECTOR_BYTES - offset);
        let survives = match fate {
            0 => false,
            1 => true,
            _ => chance.below(2) == 0,
        };
        if survives {
            put(octets, offset + at, &new[at..end]);
        }
        at = end;
    }
}

fn put(octets: &mut Vec<u8>, offset: usize, new: &[u8]) {
    if octets.len() < offset + new.len() {
        octets.resize(offset + new.len(), 0);
    }
    octets[offset..offset + new.len()].copy_from_slice(new);
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn absent(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{path} is not there"))
}

impl Disk for MemDisk {
    type File = MemFile;

    fn open(&self, path: &str, how: Open) -> io::Result<MemFile> {
        let file = |inode| MemFile {
            disk: self.clone(),
            inode,
        };
        match (self.find(path), how) {
            (Some(_), Open::New) => Err(io::Error::from(io::ErrorKind::AlreadyExists)),
            (Some(inode), Open::Read | Open::Existing | Open::OrCreate) => Ok(file(inode)),
            (None, Open::Read | Open::Existing) => Err(absent(path)),
            (None, Open::New | Open::OrCreate) => {
                let inode = Inode::default();
                let (directory, name) = split(path);
                let mut inner = self.change()?;
                inner
                    .directories
                    .entry(directory.to_owned())
                    .or_default()
                    .put(name, inode.clone());
                Ok(file(inode))
            }
        }
    }

    fn create_directory(&self, path: &str) -> io::Result<()> {
        self.change()?.directories.entry(path.to_owned()).or_default();
        Ok(())
    }

    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let inner = self.inner.lock();
        let names = inner.directories.get(directory).map(|found| found.seen.keys());
        Ok(names.into_iter().flatten().cloned().collect())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let (directory, name) = split(path);
        let mut inner = self.change()?;
        let found = inner.directories.get_mut(directory);
        let gone = found.and_then(|directory| directory.forget(name));
        gone.map(drop).ok_or_else(|| absent(path))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let ((directory, old), (target, new)) = (split(from), split(to));
        assert_eq!(directory, target, "files are renamed within their directory");
        let mut inner = self.change()?;
        let directory = inner.directories.get_mut(directory).ok_or_else(|| absent(from))?;
        let inode = directory.seen.remove(old).ok_or_else(|| absent(from))?;
        directory.seen.insert(new.to_owned(), inode);
        directory.unsynced.push(NameChange::Moved {
            from: old.to_owned(),
            to: new.to_owned(),
        });
        Ok(())
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        let mut inner = self.change()?;
        let found = inner.directories.get_mut(directory).ok_or_else(|| absent(directory))?;
        found.safe = found.seen.clone();
        found.unsynced.clear();
        Ok(())
    }
}

impl DiskFile for MemFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let content = self.inode.lock();
        let start = content
            .seen
            .len()
            .min(usize::try_from(offset).map_err(io::Error::other)?);
        let octets = into.len().min(content.seen.len() - start);
        into[..octets].copy_from_slice(&content.seen[start..start + octets]);
        Ok(octets)
    }

    fn write_at(&self, offset: u64, octets: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let length = self.inode.lock().seen.len().max(offset + octets.len());
        self.disk.check_room(&self.inode, length)?;
        drop(self.disk.change()?);
        let mut content = self.inode.lock();
        put(&mut content.seen, offset, octets);
        let octets = octets.to_vec();
        content.unsynced.push(Change::Write { offset, octets });
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.inode.lock().seen.len() as u64)
    }

    fn set_length(&self, octets: u64) -> io::Result<()> {
        let length = usize::try_from(octets).map_err(io::Error::other)?;
        self.disk.check_room(&self.inode, length)?;
        drop(self.disk.change()?);
        let mut content = self.inode.lock();
        content.seen.resize(length, 0);
        content.unsynced.push(Change::Length(length));
        Ok(())
    }

    fn reserve(&self, octets: u64) -> io::Result<()> {
        let length = self.length()?.max(octets);
        self.set_length(length)
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.disk.change()?;
        let mut content = self.inode.lock();
        if std::mem::take(&mut inner.sync_fails) {
            content.unsynced.clear();
            return Err(io::Error::other("the disk could not write"));
        }
        content.safe = content.seen.clone();
        content.unsynced.clear();
        Ok(())
    }
}

/// A small generator of choices (splitmix64): the same seed, the same choices.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{read_all, replace};

    fn disk_with(path: &str, octets: &[u8]) -> (MemDisk, MemFile) {
        let disk = MemDisk::new();
        let file = disk.open(path, Open::New).unwrap();
        file.write_at(0, octets).unwrap();
        file.sync().unwrap();
        disk.sync_directory(split(path).0).unwrap();
        (disk, file)
    }

    #[test]
    fn what_was_synced_survives_every_power_cut() {
        let (disk, file) = disk_with("d/f", b"safe");
        file.write_at(4, b" and not").unwrap();
        for seed in 0..100 {
            let found = read_all(&disk.after_power_cut(seed), "d/f").unwrap();
            assert!(found.starts_with(b"safe"), "seed {seed}: {found:?}");
        }
    }

    #[test]
    fn a_power_cut_tears_long_writes_between_sectors() {
        let (disk, file) = disk_with("d/f", &[]);
        file.write_at(0, &[7; 4 * SECTOR_BYTES]).unwrap();
        let torn = |seed| {
            let found = read_all(&disk.after_power_cut(seed), "d/f").unwrap();
            found.contains(&7) && (found.len() < 4 * SECTOR_BYTES || found.contains(&0))
        };
        assert!((0..100).any(torn));
    }

    #[test]
    fn a_file_whose_directory_was_not_synced_may_be_gone_and_may_be_there() {
        let disk = MemDisk::new();
        disk.open("d/f", Open::New).unwrap().sync().unwrap();
        let there = |seed| !disk.after_power_cut(seed).list("d").unwrap().is_empty();
        assert!((0..100).any(there) && !(0..100).all(there));
    }

    #[test]
    fn a_replaced_file_is_the_old_or_the_new_one_wherever_the_power_goes() {
        for changes in 0..10 {
            let (disk, _) = disk_with("d/f", b"old");
            disk.cut_power_after(disk.changes() + changes);
            let done = replace(&disk, "d", "f", b"new").is_ok();
            for seed in 0..50 {
                let found = read_all(&disk.after_power_cut(seed), "d/f").unwrap();
                assert!(
                    found == b"new" || (found == b"old" && !done),
                    "{changes} changes, seed {seed}"
                );
            }
        }
    }

    #[test]
    fn a_full_disk_says_so_and_changes_nothing() {
        let (disk, file) = disk_with("d/f", b"1234");
        disk.set_capacity(Some(6));
        assert_eq!(file.write_at(4, b"567").unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(read_all(&disk, "d/f").unwrap(), b"1234");
        file.write_at(4, b"56").unwrap();
    }

    #[test]
    fn a_killed_process_loses_nothing() {
        let (disk, file) = disk_with("d/f", b"a");
        file.write_at(1, b"b").unwrap();
        assert_eq!(read_all(&disk.after_kill(), "d/f").unwrap(), b"ab");
    }
}
