//! Who is let in among the members, of those who have proven the secret.
//!
//! Judged by what this node knows, which may be behind: a member that it has not heard of yet is let in, since it may be
//! the leader that brings the news. What is known is never unknown again, so whoever is refused is refused for good.

use super::transport::{Introduction, Turned};
use catalog::Catalog;

/// Judges `who` for the node `own`.
///
/// # Errors
/// Why it is not wanted.
pub fn judge(own: &Introduction, known: &Catalog, who: &Introduction) -> Result<(), Turned> {
    // What every member understands may have been written.
    let least = link::feature_level_min().max(known.level());
    if who.level < least {
        let theirs = who.level;
        return Err(Turned::TooOld { theirs, least });
    }
    let (name, node) = (who.name.clone(), who.node);
    if node == own.node {
        return Err(Turned::SameNode { name, node });
    }
    if who.guest {
        return Ok(());
    }
    if who.cluster != own.cluster {
        return Err(Turned::OtherCluster {
            own: own.cluster,
            theirs: who.cluster,
        });
    }
    if known.is_removed(node) {
        return Err(Turned::Removed { name, node });
    }
    match known.nodes().find(|record| record.uuid == node) {
        Some(record) if who.incarnation < record.incarnation => Err(Turned::SameNode { name, node }),
        Some(record) if who.incarnation == record.incarnation && who.boot_id != record.boot_id => {
            Err(Turned::SameNode { name, node })
        }
        Some(_) | None => Ok(()),
    }
}
