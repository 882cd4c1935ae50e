//! What the node wants of the store of its definitions, and what the store wants of the node.
//!
//! The rest of the broker knows these two traits and nothing of how nodes agree.

use catalog::{Answer, Catalog, Command};
use futures::future::BoxFuture;
use model::{NodeUuid, Refusal};
use std::fmt;

/// What came of a command.
pub type Outcome = Result<Answer, Refusal>;

/// Who this process is, for good and this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster it belongs to.
    pub cluster: NodeUuid,
    /// The node.
    pub node: NodeUuid,
    /// What it is called, `rabbit@host`.
    pub name: String,
    /// How often it has been started, this time included.
    pub incarnation: u64,
    /// Drawn by this process.
    pub boot_id: u64,
    /// What it understands.
    pub level: u32,
}

/// The store of the definitions: commands are agreed on, made durable, and then applied on every node in one order.
pub trait MetaStore: fmt::Debug + Send + Sync {
    /// Has a command committed, and comes back once this node has applied it.
    ///
    /// # Errors
    /// Why the command cannot be, or that it could not be committed.
    fn propose(&self, command: Command) -> BoxFuture<'_, Outcome>;

    /// Stops taking part. What was answered is safe; when this is back, the directory may be opened again.
    fn stop(&self) -> BoxFuture<'_, ()>;
}

/// The node's copy of the definitions, changed by the store alone.
pub trait Machine: Send + Sync + 'static {
    /// Applies commands that are committed, in order; what comes of each.
    fn apply(&self, commands: &[Command]) -> Vec<Outcome>;

    /// The definitions as they are now.
    fn catalog(&self) -> Catalog;

    /// Takes over definitions that are further than its own.
    fn install(&self, catalog: Catalog);

    /// Nothing more is applied: it lets go of whoever obeys the definitions, and goes on telling them.
    fn end(&self) {}
}
