//! Two ways through the states: all of them, breadth first, and random walks that go deeper.
//!
//! Both are functions of the bounds and a seed, and both answer with the shortest or the whole story of what went wrong.

use crate::state::{Bounds, State};
use crate::step::{Step, steps};
use foldhash::fast::FixedState;
use std::collections::HashSet;
use std::fmt;
use std::hash::BuildHasher;

/// What a search came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Different states; walks do not count them.
    pub states: usize,
    /// Steps tried and taken.
    pub transitions: u64,
    /// States healed, four ways each.
    pub healed: u64,
    /// Whether every reachable state was seen.
    pub complete: bool,
    /// What went wrong.
    pub violation: Option<Violation>,
}

/// A rule that was broken, and how it came to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What is wrong.
    pub what: String,
    /// The steps from the first state.
    pub steps: Vec<Step>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extent = if self.complete { "complete" } else { "a part" };
        let (states, transitions, healed) = (self.states, self.transitions, self.healed);
        if states > 0 {
            write!(f, "{states} states ({extent}), ")?;
        }
        write!(f, "{transitions} transitions, {healed} healed four ways")?;
        let Some(violation) = &self.violation else {
            return Ok(());
        };
        write!(f, "\nVIOLATION: {}", violation.what)?;
        violation.steps.iter().try_for_each(|step| write!(f, "\n  {step:?}"))
    }
}

/// What is dead for good while a state heals.
const DEAD: [Option<usize>; 4] = [None, Some(0), Some(1), Some(2)];

fn healed(bounds: &Bounds, state: &State) -> Result<(), String> {
    DEAD.iter().try_for_each(|dead| bounds.heal(state, *dead))
}

/// How far a search goes.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Most states.
    pub states_max: usize,
    /// One of so many states is healed; 0 for none.
    pub heal_every: usize,
}

/// Every state in the order of its distance. States are known again by a hash of 64 bits.
pub fn breadth(bounds: &Bounds, extent: Extent) -> Found {
    let (all, hasher) = (steps(bounds), FixedState::default());
    let first = State::first(bounds);
    let mut seen: HashSet<u64, FixedState> = HashSet::default();
    seen.insert(hasher.hash_one(first));
    let mut parents: Vec<(u32, u8)> = vec![(0, 0)];
    let (mut frontier, mut found) = (vec![(0u32, first)], Found::default());
    while !frontier.is_empty() {
        let mut next_frontier = Vec::new();
        for (from, state) in &frontier {
            for (number, step) in all.iter().enumerate() {
                let Some(next) = bounds.step(state, *step) else {
                    continue;
                };
                found.transitions += 1;
                let wrong = bounds.judge(&next);
                if wrong.is_none() && !seen.insert(hasher.hash_one(next)) {
                    continue;
                }
                parents.push((*from, number as u8));
                let heals = parents.len().is_multiple_of(extent.heal_every);
                found.healed += u64::from(heals);
                let dies = || heals.then(|| healed(bounds, &next).err()).flatten();
                if let Some(what) = wrong.or_else(dies) {
                    let steps = story(&all, &parents);
                    found.violation = Some(Violation { what, steps });
                }
                found.states = parents.len();
                if found.violation.is_some() || parents.len() >= extent.states_max {
                    return found;
                }
                next_frontier.push((parents.len() as u32 - 1, next));
            }
        }
        frontier = next_frontier;
    }
    found.complete = true;
    found
}

/// How the last state was reached.
fn story(all: &[Step], parents: &[(u32, u8)]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = parents.len() - 1;
    while at != 0 {
        let (from, number) = parents[at];
        steps.push(all[usize::from(number)]);
        at = from as usize;
    }
    steps.reverse();
    steps
}

/// Numbers that look random and follow from a seed.
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// Another sequence for each seed.
    pub fn new(seed: u64) -> Self {
        Draw(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below the bound.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % bound
    }
}

/// Tries before a walk gives up.
const TRIES: usize = 60;

/// A step that can be taken, with what it leads to. Crashes, deaths and proposals come less often than the rest.
fn stride(bounds: &Bounds, all: &[Step], state: &State, draw: &mut Draw) -> Option<(Step, State)> {
    for _try in 0..TRIES {
        let step = all[draw.below(all.len())];
        let is_rare = matches!(
            step,
            Step::Crash(_) | Step::Death(_) | Step::Evict(..) | Step::Add(..) | Step::HandOver(..)
        );
        if is_rare && draw.below(8) != 0 {
            continue;
        }
        if let Some(next) = bounds.step(state, step) {
            return Some((step, next));
        }
    }
    None
}

/// Random walks of this length; each ends with a healing. `begin` is asked for each walk's onlooker, who sees every step
/// and may find something wrong.
pub fn walk<L: FnMut(&State, Step, &State) -> Result<(), String>>(
    bounds: &Bounds,
    walks: u64,
    length: usize,
    seed: u64,
    begin: impl Fn() -> L,
) -> Found {
    let (all, mut draw) = (steps(bounds), Draw::new(seed));
    let mut found = Found::default();
    for _walk in 0..walks {
        let (mut state, mut taken, mut look) = (State::first(bounds), Vec::new(), begin());
        let mut wrong = None;
        while wrong.is_none() && taken.len() < length {
            let Some((step, next)) = stride(bounds, &all, &state, &mut draw) else {
                break;
            };
            taken.push(step);
            wrong = bounds.judge(&next).or_else(|| look(&state, step, &next).err());
            state = next;
        }
        found.transitions += taken.len() as u64;
        found.healed += 1;
        let wrong = wrong.or_else(|| healed(bounds, &state).err());
        if let Some(what) = wrong {
            found.violation = Some(Violation { what, steps: taken });
            return found;
        }
    }
    found
}
