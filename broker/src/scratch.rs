//! Directories of nodes that tests start. They write until the test's process ends, so nothing in it can take them away: somebody else does, once
//! it has ended, however that was.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// Where all directories of this process are, and who removes them when its input ends.
static PLACE: OnceLock<(PathBuf, Child)> = OnceLock::new();

/// A new empty directory, there until the test's process ends.
pub fn directory() -> PathBuf {
    let (place, _) = PLACE.get_or_init(|| {
        let place = tempfile::tempdir().expect("tests have room").keep();
        let remover = Command::new("sh")
            .args(["-c", "cat >/dev/null; rm -rf \"$0\""])
            .arg(&place)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("there is a shell");
        (place, remover)
    });
    tempfile::tempdir_in(place).expect("tests have room").keep()
}
