//! `warren store check`: all that can be known of a data directory, with the names that the definitions give its queues.
//!
//! Gathers and judges; `report` words it. Nothing in the directory is changed.

use catalog::Catalog;
use std::{fs, io, path::Path};
use store::{
    Formats,
    check::{self, Report, Start},
    disk::Disk,
};

use super::{Answer, report};
use crate::{
    cluster::offline::{self, Definitions, ReadError},
    host::data_directory::{self, META, Written},
};

/// Nothing is wrong.
const CLEAN: u8 = 0;
/// Something that was promised cannot be read.
const DAMAGED: u8 = 1;
/// The directory cannot be looked at.
const UNREADABLE: u8 = 2;

/// All that is known of a directory.
pub(super) struct Known {
    pub(super) written: Option<Written>,
    /// The files of the definitions, with their octets.
    pub(super) meta_files: Vec<(String, u64)>,
    pub(super) definitions: Result<Definitions, ReadError>,
    pub(super) messages: Report,
}

impl Known {
    pub(super) fn is_damaged(&self) -> bool {
        self.messages.is_damaged() || self.definitions.as_ref().is_err_and(ReadError::is_damage)
    }

    /// Why a start would be refused, if it would.
    pub(super) fn refusal(&self) -> Option<String> {
        match (&self.definitions, &self.messages.start) {
            (Err(why), _) => Some(why.to_string()),
            (Ok(_), Start::Refused(why)) => Some(why.clone()),
            (Ok(_), Start::Goes { .. }) => None,
        }
    }

    pub(super) fn catalog(&self) -> Option<&Catalog> {
        self.definitions.as_ref().ok().map(|definitions| &definitions.catalog)
    }
}

/// Runs it.
pub(super) fn run(directory: &Path, json: bool, forced: bool) -> Answer {
    let looked = match data_directory::look(directory, forced) {
        Ok(looked) => looked,
        Err(why) => return Answer::refused(UNREADABLE, why),
    };
    let known = match gather(&looked.disk, directory, looked.written.clone()) {
        Ok(known) => known,
        Err(why) => return Answer::refused(UNREADABLE, format!("{} cannot be read: {why}", directory.display())),
    };
    let exit = match (known.is_damaged(), known.refusal()) {
        (true, _) => DAMAGED,
        (false, Some(_)) => UNREADABLE,
        (false, None) => CLEAN,
    };
    Answer {
        text: if json {
            report::json(&known)
        } else {
            report::text(&known)
        },
        complaint: String::new(),
        exit,
    }
}

fn gather<D: Disk>(disk: &D, directory: &Path, written: Option<Written>) -> io::Result<Known> {
    let mut meta_files = Vec::new();
    for name in disk.list(META)? {
        let octets = fs::metadata(directory.join(META).join(&name))?.len();
        meta_files.push((format!("{META}/{name}"), octets));
    }
    let definitions = match offline::read(disk, META) {
        Err(ReadError::Io { path, source }) => return Err(io::Error::new(source.kind(), format!("{path}: {source}"))),
        read => read,
    };
    Ok(Known {
        written,
        meta_files,
        definitions,
        messages: check::check(disk, &Formats::up_to(link::feature_level()))?,
    })
}
