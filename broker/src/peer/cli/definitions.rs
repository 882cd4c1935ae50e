//! Definitions for `export_definitions` and `import_definitions`: the document of the management API, in bounded pieces.
//!
//! A file that is to be imported is gathered on its connection first, and forgotten with it.

use api::Definitions;
use link::{Failure, Reply, Term};
use tokio::sync::mpsc;

use super::Outcome;
use crate::{
    host::Node,
    management::{self, RefusedDefinitions},
};

/// Most octets of a file that is to be imported.
const FILE_BYTES_MAX: usize = 256 << 20;
/// Octets of one piece of the export; as JSON it is at most six times as long.
const PIECE_BYTES: usize = 512 * 1024;

/// The pieces of a file that have come on one connection.
#[derive(Debug, Default)]
pub(super) struct Pieces(String);

impl Pieces {
    /// One more.
    pub(super) fn take(&mut self, piece: &str) -> Outcome {
        if self.0.len() + piece.len() > FILE_BYTES_MAX {
            self.0 = String::new();
            let why = format!("a definitions file may have {FILE_BYTES_MAX} octets, this one has more");
            return Err(Failure::Refused(why));
        }
        self.0.push_str(piece);
        Ok(Term::none())
    }

    /// All of them; none are left.
    pub(super) fn whole(&mut self) -> String {
        std::mem::take(&mut self.0)
    }
}

/// Sends all definitions.
pub(super) fn export(node: &Node, frames: &mpsc::Sender<Reply>) -> Outcome {
    let catalog = node.snapshot().catalog.clone();
    let text = serde_json::to_string(&management::all_definitions(&catalog, node.config().shown.product()));
    let mut rest = text.map_err(|why| Failure::Refused(why.to_string()))?;
    while !rest.is_empty() {
        let tail = rest.split_off(rest.floor_char_boundary(PIECE_BYTES));
        let piece = Reply::Rows(vec![vec![Term::text(rest)]]);
        let gone = |_| Failure::Refused("the tool has closed its connection".into());
        frames.blocking_send(piece).map_err(gone)?;
        rest = tail;
    }
    Ok(Term::none())
}

/// When a file is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Import {
    /// In any case.
    Always,
    /// If it is not the one that was imported last in this way.
    Changed,
}

/// Imports a file.
pub(super) async fn import(node: &Node, text: &str, when: Import) -> Outcome {
    let read: Definitions = serde_json::from_str(text).map_err(|_| Failure::BadJson)?;
    let done = match when {
        Import::Always => management::import_all_definitions(node, read).await,
        Import::Changed => management::import_changed_definitions(node, text, read).await,
    };
    done.map(|()| Term::none()).map_err(refused)
}

/// In RabbitMQ's words for the tools where it has some.
fn refused(why: anyhow::Error) -> Failure {
    match why.downcast_ref() {
        Some(RefusedDefinitions::NoSuchVhost(name)) => Failure::NoSuchVhost(name.clone()),
        Some(RefusedDefinitions::NoSuchUser(name)) => Failure::Refused(format!("{{:no_such_user, \"{name}\"}}")),
        _ => Failure::Refused(format!("{why:#}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_put_together_once() {
        let mut pieces = Pieces::default();
        for piece in ["{\"a\"", ":1}"] {
            pieces.take(piece).unwrap();
        }
        assert_eq!(pieces.whole(), "{\"a\":1}");
        assert_eq!(pieces.whole(), "");
    }
}
