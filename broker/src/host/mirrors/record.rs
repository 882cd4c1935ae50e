//! What the definitions say of a queue's copies, in the words of the mirrors' machines, and what those ask for.
//!
//! A translation and nothing else; the simulator of mirrored queues uses this very file.

/// What the definitions say of a queue's copies, in the machines' words.
pub fn record_of(replicas: &catalog::Replicas) -> mirror::Record {
    let copies = replicas.copies.iter().map(|copy| mirror::Copy {
        node: copy.node,
        state: match copy.state {
            catalog::CopyState::InSync { incarnation } => mirror::State::InSync { incarnation },
            catalog::CopyState::Disk => mirror::State::Disk,
            catalog::CopyState::Syncing => mirror::State::Syncing,
        },
    });
    mirror::Record {
        epoch: replicas.epoch,
        version: replicas.version,
        leader: replicas.leader,
        incarnation: replicas.leader_incarnation,
        copies: copies.collect(),
        min_counted: replicas.min_counted as usize,
    }
}

/// What a leader asks for, in the words of the definitions.
pub fn words(act: mirror::Act) -> catalog::MirrorAct {
    match act {
        mirror::Act::Evict(node) => catalog::MirrorAct::Evict(node),
        mirror::Act::AddInSync { node, incarnation } => catalog::MirrorAct::AddInSync { node, incarnation },
        mirror::Act::HandOver { node, incarnation } => catalog::MirrorAct::HandOver { node, incarnation },
    }
}
