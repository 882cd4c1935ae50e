//! What happens in a round, drawn from the seed alone: how often the server is killed while it starts, how long it
//! works, and how it ends. It starts and kills nothing.

use crate::dice::Dice;
use std::time::Duration;

/// The plan of one round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Kills before the server may work: each after so many percent of the usual time to start.
    pub(crate) false_starts: Vec<u32>,
    /// How long it works under load.
    pub(crate) load: Duration,
    /// Silence before the end, in which acks age and nobody publishes.
    pub(crate) quiet: Option<Duration>,
    /// SIGTERM instead of SIGKILL.
    pub(crate) clean: bool,
}

impl Plan {
    /// The plan that this seed has for this round.
    pub(crate) fn new(seed: u64, round: u32) -> Self {
        let mut dice = Dice::new(&[seed, u64::from(round), 0x706C_616E]);
        let false_starts = [0, 1, 2][dice.weighted(&[75, 15, 10])];
        Self {
            false_starts: (0..false_starts).map(|_| dice.between(0, 130) as u32).collect(),
            load: Duration::from_millis(dice.between(200, 3_000)),
            quiet: dice.percent(25).then(|| Duration::from_millis(dice.between(350, 900))),
            clean: dice.percent(12),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_one_plan_and_all_endings_occur() {
        assert_eq!(Plan::new(1, 2), Plan::new(1, 2));
        let plans: Vec<Plan> = (0..200).map(|round| Plan::new(1, round)).collect();
        assert!(plans.iter().any(|plan| plan.clean) && plans.iter().any(|plan| plan.quiet.is_some()));
        assert!(plans.iter().any(|plan| plan.false_starts.len() == 2));
    }
}
