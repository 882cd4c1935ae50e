//! Programs of later releases, for clusters of two: a copy of the broker in whose octets the two digits are raised that say by how many releases
//! it is ahead of its sources. Nothing else in it differs, and nothing is compiled.

use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What stands before the digits.
const STAMP: &[u8] = b"warren, releases ahead of this: ";
/// How the files are called, before the same digits.
const FILE: &str = "release-";

/// Where the digits are; a program says once which release it is of.
fn place(octets: &[u8]) -> Result<usize> {
    let mut places = octets
        .windows(STAMP.len())
        .enumerate()
        .filter(|(_, window)| *window == STAMP)
        .map(|(at, _)| at + STAMP.len());
    match (places.next(), places.next()) {
        (Some(place), None) => Ok(place),
        (None, _) => bail!("the program does not say by how many releases it is ahead"),
        (Some(_), Some(_)) => bail!("the program says several times by how many releases it is ahead"),
    }
}

fn digits(octets: &[u8], place: usize) -> Result<u32> {
    let digits = octets.get(place..place + 2).context("the program ends too soon")?;
    Ok(std::str::from_utf8(digits)?.parse()?)
}

/// The feature level that a program understands.
pub(crate) fn level(program: &Path) -> Result<u32> {
    let octets = fs::read(program)?;
    Ok(1 + digits(&octets, place(&octets)?)?)
}

/// Makes the program of the release after this one's, in the nodes' home.
pub(crate) fn next(program: &Path, home: &Path) -> Result<PathBuf> {
    let mut octets = fs::read(program).with_context(|| program.display().to_string())?;
    let place = place(&octets)?;
    let ahead = digits(&octets, place)? + 1;
    ensure!(ahead < 100, "there is no room for more than 99 releases");
    octets[place..place + 2].copy_from_slice(format!("{ahead:02}").as_bytes());
    let file = home.join(format!("{FILE}{ahead:02}"));
    fs::write(&file, octets)?;
    fs::set_permissions(&file, Permissions::from_mode(0o755))?;
    Ok(file)
}

/// The newest of those that were made there; the program itself if none was.
pub(crate) fn newest(program: &Path, home: &Path) -> PathBuf {
    let files = fs::read_dir(home).into_iter().flatten().flatten();
    let made = files.filter(|file| file.file_name().to_string_lossy().starts_with(FILE));
    made.map(|file| file.path()).max().unwrap_or_else(|| program.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_release_is_one_ahead_of_the_one_it_was_made_of_and_the_newest_is_found() {
        let home = tempfile::tempdir().unwrap();
        let program = home.path().join("warren");
        let text = |ahead: &str| [b"abc", STAMP, ahead.as_bytes(), b"def"].concat();
        fs::write(&program, text("00")).unwrap();
        assert_eq!(newest(&program, home.path()), program);
        let first = next(&program, home.path()).unwrap();
        let second = next(&first, home.path()).unwrap();
        assert_eq!(fs::read(&second).unwrap(), text("02"));
        assert_eq!((level(&program).unwrap(), level(&second).unwrap()), (1, 3));
        assert_eq!(newest(&program, home.path()), second);
        fs::write(&program, b"neither here nor there").unwrap();
        assert!(next(&program, home.path()).is_err());
    }
}
