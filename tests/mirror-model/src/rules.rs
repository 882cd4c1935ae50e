//! The rules of the mirror protocol that the model can do without, one at a time, to show that each is needed.
//!
//! Only names; what a missing rule changes is written where the rule is followed.

use std::str::FromStr;

/// A rule, and what holds while it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// R2: what restarted has its disk alone.
    RestartDemotes,
    /// R3: starts and deaths shrink no counted set.
    DeathKeepsCounted,
    /// R4: who is in sync leads before who has the disk alone.
    InSyncFirst,
    /// R4: an election ends every entry, not only those about nodes.
    ElectAlways,
    /// R5: another process of the leader's node begins another epoch.
    RestartBeginsEpoch,
    /// R6: a proposal holds for the version it was made on.
    CompareVersion,
    /// R6: a proposal holds for the epoch it was made in.
    CompareEpoch,
    /// R6: a mirror is added for the process that has acknowledged.
    CompareIncarnation,
    /// Section 8: confirms wait for all that are counted, not for a majority.
    WaitForAll,
    /// R10: only the leader of the epoch that the mirror knows is followed.
    Fence,
    /// R10: the mirror's own catalogue comes first.
    OwnCatalogueFirst,
    /// R11: a base for copies in sync as well.
    BaseForAll,
    /// R11: nothing is acknowledged before the base is whole.
    AckAfterBase,
    /// R11: a base is durable once it is synced.
    BaseIsSynced,
    /// R12: the table of duplicates travels.
    TableTravels,
    /// R12: and is installed at the end of the base.
    TableAtEnd,
    /// R12: what is dropped with a tail is forgotten in the table.
    TailLeavesTable,
    /// An id is an epoch and a number.
    IdsHaveEpochs,
    /// R13: an evicted mirror is waited for until the entry is learned.
    WaitUntilEvicted,
    /// R13: one that is being added is waited for.
    WaitForAdded,
    /// R13: what has become of an addition is settled by an eviction.
    Settle,
    /// R14: persistent messages are waited for until they are durable.
    WaitForDisk,
    /// R16: a mirror is added once it has all that was confirmed.
    AddWhenCaughtUp,
    /// R21: a duplicate is known by its number, not by the highest number.
    DuplicatesByNumber,
    /// R21: what comes after a later one is refused.
    NackLate,
}

/// All of them, with their names on the command line.
pub const RULES: [(Rule, &str); 25] = [
    (Rule::RestartDemotes, "restart-demotes"),
    (Rule::DeathKeepsCounted, "death-keeps-counted"),
    (Rule::InSyncFirst, "in-sync-first"),
    (Rule::ElectAlways, "elect-always"),
    (Rule::RestartBeginsEpoch, "restart-begins-epoch"),
    (Rule::CompareVersion, "compare-version"),
    (Rule::CompareEpoch, "compare-epoch"),
    (Rule::CompareIncarnation, "compare-incarnation"),
    (Rule::WaitForAll, "wait-for-all"),
    (Rule::Fence, "fence"),
    (Rule::OwnCatalogueFirst, "own-catalogue-first"),
    (Rule::BaseForAll, "base-for-all"),
    (Rule::AckAfterBase, "ack-after-base"),
    (Rule::BaseIsSynced, "base-is-synced"),
    (Rule::TableTravels, "table-travels"),
    (Rule::TableAtEnd, "table-at-end"),
    (Rule::TailLeavesTable, "tail-leaves-table"),
    (Rule::IdsHaveEpochs, "ids-have-epochs"),
    (Rule::WaitUntilEvicted, "wait-until-evicted"),
    (Rule::WaitForAdded, "wait-for-added"),
    (Rule::Settle, "settle"),
    (Rule::WaitForDisk, "wait-for-disk"),
    (Rule::AddWhenCaughtUp, "add-when-caught-up"),
    (Rule::DuplicatesByNumber, "duplicates-by-number"),
    (Rule::NackLate, "nack-late"),
];

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = RULES.iter().find(|(_, name)| *name == text);
        let names: Vec<&str> = RULES.iter().map(|(_, name)| *name).collect();
        found
            .map(|(rule, _)| *rule)
            .ok_or_else(|| format!("off={text}: no such rule; one of {}", names.join(", ")))
    }
}
