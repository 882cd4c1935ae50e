//! `warren backup --vhost`: the copy of a whole node, reduced to one virtual host before it gets its name.
//!
//! It is done beside the file that is wanted, in a directory that goes away in any case, and takes room there for two copies of the
//! node. What the log held of other virtual hosts is left out; a page file goes along whole if anything in it is wanted.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use store::{Formats, Opened, Sizes, Wake, disk::FsDisk};

use super::{Answer, FAILED, back_up_directory, backup, restore};
use crate::{
    cluster::offline,
    host::{Message, data_directory::META, kept_queues},
};

/// Nobody else may look at it.
const DIRECTORY_MODE: u32 = 0o700;
/// Rounds of writing down and tidying up after which nothing is left to be done.
const ROUNDS: usize = 4;

/// Backs up one virtual host; `whole` backs up the node into the file it is given.
pub fn back_up_vhost(to: &Path, vhost: &str, whole: impl FnOnce(&Path) -> Answer) -> Answer {
    let scratch = match backup::refuse_existing(to).and_then(|()| Scratch::beside(to)) {
        Ok(scratch) => scratch,
        Err(why) => return Answer::refused(FAILED, why),
    };
    let (tar, data) = (scratch.0.join("whole.tar"), scratch.0.join("data"));
    let copied = whole(&tar);
    if copied.exit != 0 {
        return copied;
    }
    let restored = restore::run(&tar, &data, Some(vhost));
    if restored.exit != 0 {
        return restored;
    }
    match forget_others(&data) {
        Ok(()) => back_up_directory(&data, to),
        Err(why) => Answer::refused(FAILED, format!("{why:#}")),
    }
}

/// A directory for what is only needed meanwhile.
struct Scratch(PathBuf);

impl Scratch {
    fn beside(to: &Path) -> io::Result<Self> {
        let mut path = to.as_os_str().to_owned();
        path.push(".whole");
        let path = PathBuf::from(path);
        let made = DirBuilder::new().mode(DIRECTORY_MODE).create(&path);
        made.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left under a name that says what it is.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Starts on the messages as a node would, and stops at once: those of queues that are not defined any more are gone then.
fn forget_others(data: &Path) -> anyhow::Result<()> {
    let disk = FsDisk::new(data);
    let catalog = offline::read(&disk, META)?.catalog;
    let (wanted, formats) = (kept_queues(&catalog), Formats::up_to(link::feature_level()));
    formats.raise(catalog.level());
    let mut opened = Opened::<_, Message>::open(disk, Sizes::default(), formats, &|queue| wanted.contains(&queue))?;
    let store = opened.store();
    let wake: Wake = Arc::new(|| {});
    for _ in 0..ROUNDS {
        store.wake_when_synced(store.end(), &wake);
        opened.step_writer()?;
        opened.step_keeper()?;
    }
    store.stop();
    while !opened.step_writer()? {}
    Ok(())
}
