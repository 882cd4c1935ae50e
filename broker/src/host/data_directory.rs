//! The node's own directory: whose it is, that no other process uses it, how often the node has been started, and that
//! nothing is left of it after a reset.
//!
//! Opened before anything else and locked as long as the process lives. A directory that cannot be used is refused with
//! a sentence that says what to do, and is left as it is. What lies in `meta/`, `wal/` and `pages/` is the business of
//! those who write there.

use model::NodeUuid;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use store::disk::{self, FsDisk};

use crate::cluster::{Identity, presence::Status};

/// The layout written here, and the newest that is understood.
const FORMAT: u32 = 1;
/// Who the node is.
pub const IDENTITY_FILE: &str = "warren.json";
const LOCK_FILE: &str = "lock";
/// Who belongs to the cluster, for when the node is stopped.
pub const MEMBERS_FILE: &str = "members.json";
/// There when the next start is to go on without the other members.
pub const ALONE_FILE: &str = "force_load";
/// The names of nodes that the next start removes from the cluster.
const FORGOTTEN_FILE: &str = "forgotten.json";
/// There while a reset is under way: whoever opens the directory then finishes it.
const RESET_FILE: &str = "reset";
/// Where the log of the definitions is kept.
pub const META: &str = "meta";
/// Queues and definitions are nobody else's business.
const DIRECTORY_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;
/// Files by which a directory of RabbitMQ itself is known.
const RABBITMQ_FILES: [&str; 5] = [
    "schema.DAT",
    "cluster_nodes.config",
    "nodes_running_at_shutdown",
    "rabbit_serial",
    "msg_stores",
];

/// An open directory. Nobody else can open it while this lives.
#[derive(Debug)]
pub struct DataDirectory {
    /// Its files.
    pub disk: FsDisk,
    path: PathBuf,
    /// What the node is called now.
    name: String,
    _lock: File,
}

/// What `warren.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// The layout of the directory.
    pub format: u32,
    /// The cluster it belongs to.
    pub cluster: NodeUuid,
    /// The node.
    pub node: NodeUuid,
    /// What the node was called when it last started.
    pub name: String,
    /// How often it has been started.
    pub starts: u64,
    /// It has joined a cluster, and never forms one of its own.
    #[serde(default)]
    pub joined: bool,
}

/// In which manner a node starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// A blank one waits for the cluster that it has joined.
    pub joined: bool,
    /// It goes on without the others, once.
    pub alone: bool,
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// There is something else of that name.
    #[error("{0} is not a directory: remove it, or choose another place with --data or RABBITMQ_MNESIA_DIR")]
    NotADirectory(PathBuf),
    /// The system refuses.
    #[error("cannot use the data directory {path}: {what}: {source}. {advice}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// RabbitMQ's own data.
    #[error(
        "the data directory {path} was written by RabbitMQ itself ({found} is there) and is left untouched. To move to \
         Warren, start it with an empty directory, import the definitions (rabbitmqctl export_definitions on the old \
         node, import_definitions or POST /api/definitions here), and let consumers drain the old queues or a shovel \
         move their messages"
    )]
    RabbitMq {
        /// The directory.
        path: PathBuf,
        /// What it was known by.
        found: &'static str,
    },
    /// Another process has it.
    #[error(
        "the data directory {path} is in use by another broker{}: stop that one first, or give this one a directory of \
         its own with --data or RABBITMQ_MNESIA_DIR",
        holder(pid)
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// That process, if it can be known.
        pid: Option<u32>,
    },
    /// A newer program wrote it.
    #[error(
        "the data directory {path} has format {format}, written by a newer version; this one understands up to {FORMAT}: \
         start the newer version, there is no way back"
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// `warren.json` cannot be believed.
    #[error(
        "{path}/{IDENTITY_FILE} {why}, so it is not known whose data this is. Nothing was changed. Put the file back from a \
         backup of the directory"
    )]
    Identity {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

fn holder(pid: &Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::PermissionDenied => {
            "Give the user that runs the broker the right to read and write it: chown it to that user"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "Its file system is read-only: mount it writable, or look for disk errors in the system's log"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "Free some space",
        _ => "Look at the system's log, or choose another place with --data",
    }
}

/// A directory being looked at.
struct Place<'a>(&'a Path);

impl Place<'_> {
    fn io(&self, what: &'static str) -> impl Fn(io::Error) -> DataError {
        let path = self.0.to_owned();
        move |source| DataError::Io {
            path: path.clone(),
            what,
            advice: advice(source.kind()),
            source,
        }
    }

    fn make(&self) -> Result<(), DataError> {
        match fs::metadata(self.0) {
            Ok(found) if found.is_dir() => Ok(()),
            Ok(_) => Err(DataError::NotADirectory(self.0.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut builder = DirBuilder::new();
                let made = builder.recursive(true).mode(DIRECTORY_MODE).create(self.0);
                made.map_err(self.io("making it"))
            }
            Err(error) => Err(self.io("looking at it")(error)),
        }
    }

    fn refuse_rabbitmq(&self) -> Result<(), DataError> {
        let known = RABBITMQ_FILES.into_iter().find(|name| self.0.join(name).exists());
        match known {
            Some(found) if !self.0.join(IDENTITY_FILE).exists() => Err(DataError::RabbitMq {
                path: self.0.to_owned(),
                found,
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// Takes the lock; it goes with the process, however that ends.
    fn lock(&self) -> Result<File, DataError> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE);
        let opened = options.open(self.0.join(LOCK_FILE));
        let mut file = opened.map_err(self.io("opening its lock"))?;
        if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(self.io("locking it")(error.into()));
            }
            return Err(self.in_use(file));
        }
        let noted = file
            .set_len(0)
            .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
        noted.map_err(self.io("writing its lock"))?;
        Ok(file)
    }

    /// Keeps nodes from starting, with no right to write; a directory without a lock was never started on.
    fn share_lock(&self) -> Result<Option<File>, DataError> {
        let file = match File::open(self.0.join(LOCK_FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(self.io("opening its lock"))?,
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(self.in_use(file)),
            Err(error) => Err(self.io("locking it")(error.into())),
        }
    }

    fn in_use(&self, mut lock: File) -> DataError {
        let mut text = String::new();
        // Who has it is told if it can be known.
        let pid = lock
            .read_to_string(&mut text)
            .ok()
            .and_then(|_| text.trim().parse().ok());
        DataError::InUse {
            path: self.0.to_owned(),
            pid,
        }
    }

    fn write(&self, disk: &FsDisk, written: &Written) -> Result<(), DataError> {
        let octets = serde_json::to_vec_pretty(written).map_err(|error| self.identity(error.to_string()))?;
        disk::replace(disk, ".", IDENTITY_FILE, &octets).map_err(self.io("writing warren.json"))
    }

    /// Removes everything but the lock, and the mark of the reset last.
    fn empty(&self) -> Result<(), DataError> {
        let failed = self.io("resetting it");
        for entry in fs::read_dir(self.0).map_err(&failed)? {
            let entry = entry.map_err(&failed)?;
            if [LOCK_FILE, RESET_FILE].iter().any(|kept| entry.file_name() == *kept) {
                continue;
            }
            let removed = match entry.file_type().map_err(&failed)?.is_dir() {
                true => fs::remove_dir_all(entry.path()),
                false => fs::remove_file(entry.path()),
            };
            removed.map_err(&failed)?;
        }
        let own = File::open(self.0).map_err(&failed)?;
        own.sync_all().map_err(&failed)?;
        fs::remove_file(self.0.join(RESET_FILE)).map_err(&failed)
    }

    fn identity(&self, why: impl Into<String>) -> DataError {
        DataError::Identity {
            path: self.0.to_owned(),
            why: why.into(),
        }
    }

    fn read(&self, disk: &FsDisk) -> Result<Option<Written>, DataError> {
        let octets = match disk::read_all(disk, IDENTITY_FILE) {
            Ok(octets) => octets,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return match self.0.join(META).exists() {
                    true => Err(self.identity("is missing beside the definitions")),
                    false => Ok(None),
                };
            }
            Err(error) => return Err(self.io("reading warren.json")(error)),
        };
        self.understand(&octets).map(Some)
    }

    fn understand(&self, octets: &[u8]) -> Result<Written, DataError> {
        let format = serde_json::from_slice::<Format>(octets);
        let format = format
            .map_err(|error| self.identity(format!("is damaged ({error})")))?
            .format;
        if format > FORMAT {
            return Err(DataError::Newer {
                path: self.0.to_owned(),
                format,
            });
        }
        let written = serde_json::from_slice(octets);
        written.map_err(|error| self.identity(format!("is damaged ({error})")))
    }
}

/// What the octets of a `warren.json` say, that is to lie in this directory.
///
/// # Errors
/// They are damaged, or a newer program wrote them.
pub fn understand(path: &Path, octets: &[u8]) -> Result<Written, DataError> {
    Place(path).understand(octets)
}

/// Says whose a directory is, which has all else by now.
///
/// # Errors
/// The system refuses.
pub fn claim(path: &Path, written: &Written) -> Result<(), DataError> {
    Place(path).write(&FsDisk::new(path), written)
}

/// A directory that is looked at and not changed. Nobody can start on it while this lives, unless it was forced.
#[derive(Debug)]
pub struct Looked {
    /// Its files.
    pub disk: FsDisk,
    /// What `warren.json` says; none in a directory that no node has used.
    pub written: Option<Written>,
    _lock: Option<File>,
}

/// Looks at a directory that no node runs on; `forced` also at one in use, where what is read may change meanwhile.
///
/// # Errors
/// Why it cannot be looked at.
pub fn look(path: &Path, forced: bool) -> Result<Looked, DataError> {
    let place = Place(path);
    let found = fs::metadata(path).map_err(place.io("looking at it"))?;
    if !found.is_dir() {
        return Err(DataError::NotADirectory(path.to_owned()));
    }
    place.refuse_rabbitmq()?;
    let lock = if forced { None } else { place.share_lock()? };
    let disk = FsDisk::new(path);
    let written = place.read(&disk)?;
    Ok(Looked {
        disk,
        written,
        _lock: lock,
    })
}

/// Gives a stopped node another name: its next start tells the definitions.
///
/// # Errors
/// Why the directory cannot be used; the directory may also belong to a node of another name, which is answered.
pub fn rename(path: &Path, from: &str, to: &str) -> Result<Result<(), String>, DataError> {
    let place = Place(path);
    let looked = look(path, false)?;
    let Some(written) = looked.written.clone() else {
        return Err(place.identity("is missing"));
    };
    if written.name != from {
        return Ok(Err(written.name));
    }
    // Others that look may stay; one that would start may not.
    drop(looked);
    let _lock = place.lock()?;
    let renamed = Written {
        name: to.to_owned(),
        ..written
    };
    place.write(&FsDisk::new(path), &renamed)?;
    Ok(Ok(()))
}

/// What every version of the file has.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// Opens a directory for the node of this name.
///
/// # Errors
/// Why the directory cannot be used, and what to do.
pub fn open(path: &Path, name: &str) -> Result<DataDirectory, DataError> {
    let place = Place(path);
    place.make()?;
    place.refuse_rabbitmq()?;
    let lock = place.lock()?;
    let disk = FsDisk::new(path);
    if path.join(RESET_FILE).exists() {
        place.empty()?;
    }
    place.read(&disk)?;
    Ok(DataDirectory {
        disk,
        path: path.to_owned(),
        name: name.to_owned(),
        _lock: lock,
    })
}

impl DataDirectory {
    /// Counts a start: it is on the disk when this is back.
    ///
    /// # Errors
    /// Why the directory cannot be used, and what to do.
    pub fn begin(&self) -> Result<Identity, DataError> {
        let place = Place(&self.path);
        let mut written = place.read(&self.disk)?.unwrap_or_else(|| Written {
            format: FORMAT,
            cluster: NodeUuid(rand::random()),
            node: NodeUuid(rand::random()),
            name: self.name.clone(),
            starts: 0,
            joined: false,
        });
        written.starts += 1;
        written.name.clone_from(&self.name);
        place.write(&self.disk, &written)?;
        Ok(Identity {
            cluster: written.cluster,
            node: written.node,
            name: written.name,
            incarnation: written.starts,
            boot_id: rand::random(),
            level: link::feature_level(),
        })
    }

    /// How the next start is to be.
    ///
    /// # Errors
    /// Why the directory cannot be used, and what to do.
    pub fn manner(&self) -> Result<Manner, DataError> {
        let written = Place(&self.path).read(&self.disk)?;
        Ok(Manner {
            joined: written.is_some_and(|written| written.joined),
            alone: self.path.join(ALONE_FILE).exists(),
        })
    }

    /// Who the node is; nobody before its first start.
    ///
    /// # Errors
    /// Why the directory cannot be used, and what to do.
    pub fn node(&self) -> Result<Option<NodeUuid>, DataError> {
        let written = Place(&self.path).read(&self.disk)?;
        Ok(written.map(|written| written.node))
    }

    /// The next start goes on without the other members, once.
    ///
    /// # Errors
    /// The system refuses.
    pub fn force_alone(&self) -> Result<(), DataError> {
        let place = Place(&self.path);
        disk::replace(&self.disk, ".", ALONE_FILE, b"").map_err(place.io("marking it to start without others"))
    }

    /// The next start removes this node from the cluster.
    ///
    /// # Errors
    /// The system refuses.
    pub fn forget_at_next_start(&self, name: &str) -> Result<(), DataError> {
        let place = Place(&self.path);
        let mut names = forgotten(&self.disk).map_err(place.io("reading forgotten.json"))?;
        names.push(name.to_owned());
        let octets = serde_json::to_vec(&names).map_err(|error| place.identity(error.to_string()))?;
        disk::replace(&self.disk, ".", FORGOTTEN_FILE, &octets).map_err(place.io("writing forgotten.json"))
    }

    /// Forgets all that the node was and held: it is this member of this cluster now, and its next start waits for it.
    ///
    /// # Errors
    /// What could not be removed or written, and what to do.
    pub fn adopt(&self, cluster: NodeUuid, node: NodeUuid) -> Result<(), DataError> {
        self.reset()?;
        let written = Written {
            format: FORMAT,
            cluster,
            node,
            name: self.name.clone(),
            starts: 0,
            joined: true,
        };
        Place(&self.path).write(&self.disk, &written)
    }

    /// Who belonged to the cluster when this node last knew.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn members(&self) -> Result<Option<Status>, DataError> {
        noted_members(&self.disk).map_err(Place(&self.path).io("reading members.json"))
    }

    /// Writes that down.
    ///
    /// # Errors
    /// The system refuses.
    pub fn note_members(&self, status: &Status) -> Result<(), DataError> {
        let place = Place(&self.path);
        let octets = serde_json::to_vec_pretty(status).map_err(|error| place.identity(error.to_string()))?;
        disk::replace(&self.disk, ".", MEMBERS_FILE, &octets).map_err(place.io("writing members.json"))
    }

    /// Removes all that the node is and holds: the next start is the first of a new node. A process that ends meanwhile
    /// leaves a mark, by which the next one goes on.
    ///
    /// # Errors
    /// What could not be removed, and what to do.
    pub fn reset(&self) -> Result<(), DataError> {
        let place = Place(&self.path);
        disk::replace(&self.disk, ".", RESET_FILE, b"").map_err(place.io("marking it for a reset"))?;
        place.empty()
    }
}

/// Who belonged to the cluster when this node last knew.
///
/// # Errors
/// The file cannot be read.
pub fn noted_members(disk: &FsDisk) -> io::Result<Option<Status>> {
    match disk::read_all(disk, MEMBERS_FILE) {
        // Written by this program; what cannot be read says nothing.
        Ok(octets) => Ok(serde_json::from_slice(&octets).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The nodes that this start removes from the cluster.
///
/// # Errors
/// The file cannot be read.
pub fn forgotten(disk: &FsDisk) -> io::Result<Vec<String>> {
    match disk::read_all(disk, FORGOTTEN_FILE) {
        Ok(octets) => Ok(serde_json::from_slice(&octets)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// They have been removed.
///
/// # Errors
/// The system refuses.
pub fn nobody_is_forgotten(disk: &FsDisk) -> io::Result<()> {
    match disk::Disk::remove(disk, FORGOTTEN_FILE) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const NAME: &str = "rabbit@h";

    fn start(path: &Path, name: &str) -> Identity {
        open(path, name).unwrap().begin().unwrap()
    }

    fn refusal(path: &Path) -> String {
        open(path, NAME).unwrap_err().to_string()
    }

    #[test]
    fn a_node_keeps_its_identity_and_counts_its_starts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let first = start(&path, NAME);
        let second = start(&path, "other@h");
        assert_eq!((first.incarnation, second.incarnation), (1, 2));
        assert_eq!(first.node, second.node);
        assert_ne!(first.boot_id, second.boot_id);
        let another = start(&folder.path().join("c"), NAME);
        assert_ne!(another.node, first.node);
    }

    #[test]
    fn a_directory_in_use_is_refused_with_the_process_that_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let open_one = open(folder.path(), NAME).unwrap();
        let said = refusal(folder.path());
        assert!(said.contains(&format!("(process {})", std::process::id())), "{said}");
        drop(open_one);
        open(folder.path(), NAME).unwrap();
    }

    #[test]
    fn what_is_no_directory_of_ours_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(refusal(&file).contains("is not a directory"));
        fs::write(folder.path().join("schema.DAT"), "").unwrap();
        let said = refusal(folder.path());
        assert!(
            said.contains("written by RabbitMQ itself (schema.DAT is there)"),
            "{said}"
        );
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["file", "schema.DAT"]);
    }

    #[test]
    fn a_newer_format_and_a_damaged_or_missing_identity_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(IDENTITY_FILE);
        fs::write(&file, r#"{"format": 7, "what": "ever"}"#).unwrap();
        assert!(refusal(folder.path()).contains("has format 7, written by a newer version"));
        for damaged in ["", "{", r#"{"format": 1}"#] {
            fs::write(&file, damaged).unwrap();
            assert!(refusal(folder.path()).contains("is damaged"), "{damaged}");
        }
        fs::remove_file(&file).unwrap();
        fs::create_dir(folder.path().join(META)).unwrap();
        assert!(refusal(folder.path()).contains("is missing beside the definitions"));
    }

    #[test]
    fn errors_of_the_system_say_what_to_do() {
        let said = refusal(Path::new("/proc/nothing"));
        assert!(
            said.contains("cannot use the data directory /proc/nothing: making it"),
            "{said}"
        );
        for kind in [
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::ReadOnlyFilesystem,
            io::ErrorKind::StorageFull,
        ] {
            assert_ne!(advice(kind), advice(io::ErrorKind::Other));
        }
    }

    #[test]
    fn others_may_not_look_into_a_directory_that_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        start(&path, NAME);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o007;
        assert_eq!((mode(&path), mode(&path.join(IDENTITY_FILE))), (0, 0));
    }

    #[test]
    fn a_reset_leaves_a_new_node_also_when_the_process_ends_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let first = start(folder.path(), NAME);
        fs::create_dir_all(folder.path().join("meta/deep")).unwrap();
        open(folder.path(), NAME).unwrap().reset().unwrap();
        let second = start(folder.path(), NAME);
        assert_ne!(second.node, first.node);
        assert_eq!(second.incarnation, 1);
        // It ended when the definitions were gone and the identity was not.
        fs::write(folder.path().join(RESET_FILE), "").unwrap();
        let third = start(folder.path(), NAME);
        assert_ne!(third.node, second.node);
        assert!(!folder.path().join(RESET_FILE).exists());
    }
}
