//! A node that goes on without the others, because an operator says that they will not come back, or not in time.
//!
//! Written into its log as a new leader's first entry: this node alone decides. What only the others knew is lost.

use crate::cluster::{
    Identity,
    log::{Entry, Log, Member, Membership, Payload, Position, Record, State, Vote, WriteError},
};
use std::collections::{BTreeMap, BTreeSet};
use store::disk::Disk;

/// Makes this node the only one that votes.
pub(super) fn decide<D: Disk>(log: &mut Log<D>, state: &mut State, identity: &Identity) -> Result<(), WriteError> {
    let last = state.entries.values().next_back().map(|entry| entry.position);
    let Some(last) = last.or(state.purged) else {
        // Nothing was ever agreed on: there is nothing to take over.
        return Ok(());
    };
    let term = state.vote.map_or(0, |vote| vote.term).max(last.term) + 1;
    let member = Member {
        name: identity.name.clone(),
    };
    let entry = Entry {
        position: Position {
            term,
            leader: identity.node,
            index: last.index + 1,
        },
        payload: Payload::Membership(Membership {
            voters: vec![BTreeSet::from([identity.node])],
            members: BTreeMap::from([(identity.node, member)]),
        }),
    };
    let vote = Vote {
        term,
        node: identity.node,
        won: true,
    };
    log.write(&[Record::Vote(vote), Record::Entries(vec![entry.clone()])])?;
    tracing::warn!("this node goes on without the others: what only they knew is lost");
    state.vote = Some(vote);
    state.entries.insert(entry.position.index, entry);
    Ok(())
}
