//! Definitions that nobody obeys: for tools that work on the directory of a stopped node, and for tests. It applies what is
//! committed, and never does anything about it.

use super::{Machine, Outcome};
use catalog::{Catalog, Command};
use parking_lot::Mutex;

/// A node that has definitions and nothing else.
#[derive(Debug, Default)]
pub struct Bare(Mutex<Catalog>);

impl Machine for Bare {
    fn apply(&self, commands: &[Command]) -> Vec<Outcome> {
        let mut catalog = self.0.lock();
        let apply = |command: &Command| catalog.apply(command.clone(), &mut Vec::new());
        commands.iter().map(apply).collect()
    }

    fn catalog(&self) -> Catalog {
        self.0.lock().clone()
    }

    fn install(&self, catalog: Catalog) {
        *self.0.lock() = catalog;
    }
}
