//! The protocol holds in every state of small worlds and on long walks through larger ones; without any one of its rules
//! it does not; and the broker's catalogue does what the model's does.

use mirror_model::{Bounds, Extent, Found, RULES, Rule, Shadow, breadth, compare_all, walk};

fn everywhere(bounds: Bounds, heal_every: usize) -> Found {
    let states_max = 3_000_000;
    breadth(&bounds, Extent { states_max, heal_every })
}

fn walks(bounds: Bounds, walks: u64) -> Found {
    walk(&bounds, walks, 120, 7, || |_: &_, _, _: &_| Ok(()))
}

fn world(messages: u8, transient: u8, crashes: u8, deaths: u8, proposals: u8) -> Bounds {
    Bounds {
        messages,
        transient,
        crashes,
        deaths,
        proposals,
        ..Bounds::default()
    }
}

#[test]
fn every_state_of_a_small_world_keeps_what_was_promised() {
    for (bounds, states) in [(world(2, 0b01, 1, 0, 0), 21_976), (world(2, 0, 1, 0, 0), 22_217)] {
        let found = everywhere(bounds, 100);
        assert_eq!(found.violation, None, "{found}");
        assert!(found.complete && found.healed > 200, "{found}");
        assert_eq!(found.states, states, "the model itself has changed");
    }
}

/// Crashes, false and true deaths, proposals that come late or never, hand-overs, consumers; the broker's catalogue
/// follows each of them.
#[test]
fn walks_through_larger_worlds_keep_it_too_and_the_broker_follows() {
    for in_sync in [0b111, 0b011, 0b001] {
        let bounds = Bounds {
            in_sync,
            consumes: 2,
            hands_over: true,
            ..world(3, 0b010, 3, 3, 6)
        };
        let shadow = Shadow::new(&bounds).unwrap();
        let found = walk(&bounds, 400, 120, 11, || {
            let mut shadow = shadow.clone();
            move |before, step, after| shadow.follow(before, step, after)
        });
        assert_eq!(found.violation, None, "{found}");
        assert!(found.transitions > 10_000, "{found}");
    }
}

#[test]
fn a_majority_of_disks_has_everything_confirmed_where_that_is_promised() {
    let bounds = Bounds {
        floor: 2,
        ..world(3, 0, 3, 3, 6)
    };
    let found = walks(bounds, 1000);
    assert_eq!(found.violation, None, "{found}");
}

#[test]
fn the_brokers_catalogue_makes_the_same_of_every_entry_on_every_record() {
    let compared = compare_all(5).unwrap();
    assert!(compared > 40_000, "{compared} entries");
}

/// How each rule's absence is found out: in every state of a world, or on walks through one.
fn without(rule: Rule) -> (Bounds, bool) {
    let (all, two, one) = (0b111, 0b011, 0b001);
    let (bounds, in_sync, walks) = match rule {
        Rule::RestartDemotes | Rule::InSyncFirst => (world(1, 1, 1, 1, 0), all, false),
        Rule::DeathKeepsCounted => (world(2, 0, 3, 2, 2), all, true),
        Rule::ElectAlways => (world(1, 0, 1, 2, 3), two, true),
        Rule::RestartBeginsEpoch => (world(2, 0, 1, 0, 0), all, false),
        Rule::CompareVersion => (world(1, 0, 0, 1, 4), two, true),
        Rule::CompareEpoch => (world(1, 0, 0, 3, 5), two, true),
        Rule::CompareIncarnation => (world(1, 1, 1, 1, 1), one, false),
        Rule::WaitForAll | Rule::Fence | Rule::TableTravels => (world(1, 0, 0, 1, 0), all, false),
        Rule::OwnCatalogueFirst => (world(3, 2, 3, 3, 5), all, true),
        Rule::BaseForAll | Rule::AckAfterBase => (world(1, 0, 0, 2, 0), all, false),
        Rule::BaseIsSynced => (world(1, 0, 1, 1, 1), one, false),
        Rule::TableAtEnd => (world(1, 0, 0, 2, 0), all, true),
        Rule::TailLeavesTable => (world(2, 0, 1, 4, 2), all, true),
        Rule::IdsHaveEpochs => (world(3, 0, 1, 3, 2), all, true),
        Rule::WaitUntilEvicted => (world(1, 0, 1, 1, 1), all, false),
        Rule::WaitForAdded | Rule::AddWhenCaughtUp => (world(1, 0, 0, 1, 1), one, false),
        Rule::Settle => (world(1, 0, 2, 2, 4), two, true),
        Rule::WaitForDisk => (world(1, 0, 1, 1, 0), two, false),
        Rule::DuplicatesByNumber | Rule::NackLate => (world(2, 1, 1, 1, 0), two, false),
    };
    let bounds = Bounds {
        in_sync,
        off: Some(rule),
        strict: false,
        consumes: u8::from(matches!(rule, Rule::OwnCatalogueFirst | Rule::IdsHaveEpochs)),
        ..bounds
    };
    (bounds, walks)
}

#[test]
fn without_any_one_of_its_rules_the_protocol_fails() {
    for (rule, name) in RULES {
        let (bounds, walking) = without(rule);
        let found = if walking {
            walks(bounds, 200_000)
        } else {
            everywhere(bounds, 0)
        };
        assert!(found.violation.is_some(), "nobody misses {name}: {found}");
        // The same world with the rule bears it, as far as it was looked at.
        let with = Bounds { off: None, ..bounds };
        let sound = walks(with, 200);
        assert_eq!(sound.violation, None, "{name} is not what was missing: {sound}");
    }
}

/// Loss, not only duplicates: what a mirror in sync keeps of a tail is not what the leader has.
#[test]
fn without_a_base_for_all_or_a_fence_messages_are_lost() {
    let loses = |rule, deaths| {
        let bounds = Bounds {
            off: Some(rule),
            strict: false,
            duplicates_are_fine: true,
            ..world(1, 0, 0, deaths, 0)
        };
        let violation = everywhere(bounds, 0).violation.unwrap_or_else(|| panic!("{rule:?}"));
        assert!(violation.what.contains("LOSS"), "{rule:?}: {}", violation.what);
    };
    loses(Rule::Fence, 1);
    loses(Rule::BaseForAll, 2);
}
