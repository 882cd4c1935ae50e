//! Rules of the protocol that the simulation can leave out, one at a time: each must then be missed.
//!
//! Those of the catalogue are left out by entries that undo what the rule has done, in the same step; those of a leader and of
//! a mirror by telling the machine what the rule would have kept from it. The machines themselves are always whole.

/// A rule that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// R2: a new process of a node makes its copy one of the disk alone.
    RestartDemotes,
    /// R3: a node that is down stays counted.
    DownStaysCounted,
    /// R6: what is proposed on an old record changes nothing.
    CompareAndSet,
    /// R6: of epoch and version.
    VersionToo,
    /// R10: a mirror follows whom its own catalogue names.
    Fence,
    /// R11: a mirror holds what its leader holds before it counts for anything.
    BaseFirst,
    /// R11: what is acknowledged as durable is.
    AckAfterSync,
    /// R11: what was inherited is durable before it is acknowledged, by one who led as well.
    InheritedSync,
    /// R12: who published what goes with the messages.
    DedupTravels,
    /// R12: what a mirror knew of messages that its leader lacks is forgotten.
    DedupForgets,
    /// R13: confirms wait for a mirror until the entry that puts it out is known.
    EvictAfterCommit,
    /// R13: what became of an addition that nobody knows of is settled first.
    Settle,
    /// R16: a mirror counts only when it has everything that was confirmed, and is waited for before.
    AddWhenWhole,
    /// R14: confirms of persistent messages wait for disks.
    DurableNotHeld,
    /// R14: confirms wait for mirrors.
    WaitForMirrors,
    /// R15: what was inherited is answered when all have it.
    InheritedWaits,
    /// R21: what is resent is not taken twice.
    Dedup,
    /// R21: what comes late is refused.
    LateIsRefused,
    /// R21: what may have come before is refused by who cannot know.
    UnknownIsRefused,
    /// R19: what died is taken out of its queue when it is safe where it went.
    LettersWait,
    /// R19: what died and is not safe elsewhere is in the copy that a leader leaves behind.
    DeadLiveAgain,
    /// A reign numbers from above all that was numbered before.
    ReignNumbers,
}

/// All of them.
pub const RULES: [Rule; 22] = [
    Rule::RestartDemotes,
    Rule::DownStaysCounted,
    Rule::CompareAndSet,
    Rule::VersionToo,
    Rule::Fence,
    Rule::BaseFirst,
    Rule::AckAfterSync,
    Rule::InheritedSync,
    Rule::DedupTravels,
    Rule::DedupForgets,
    Rule::EvictAfterCommit,
    Rule::Settle,
    Rule::AddWhenWhole,
    Rule::DurableNotHeld,
    Rule::WaitForMirrors,
    Rule::InheritedWaits,
    Rule::Dedup,
    Rule::LateIsRefused,
    Rule::UnknownIsRefused,
    Rule::LettersWait,
    Rule::DeadLiveAgain,
    Rule::ReignNumbers,
];
