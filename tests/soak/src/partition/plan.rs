//! What happens in a round, drawn from the seed alone: which trouble, whom it hits and for how long, and which queues have a
//! consumer meanwhile. It does nothing itself.

use super::net::HOSTS;
use crate::dice::Dice;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A node gives others up after this silence, in milliseconds; a frozen or lonely one is gone for longer or shorter.
const LEASE_MS: u64 = 6_000;
/// RabbitMQ takes a silent node for dead after a minute.
const TICK_MS: u64 = 75_000;

/// What kind of queues the load uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub(crate) enum Queues {
    /// Durable, each on one node: away as long as that is.
    Single,
    /// Mirrored on all nodes by a policy: served as long as any two are there.
    Mirrored,
    /// Of that type, with a member on every node: served as long as any two are there.
    Quorum,
}

/// What a campaign may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The kind of its queues.
    pub(crate) queues: Queues,
    /// Debian's RabbitMQ, which is measured beside ours with the troubles that it withstands.
    pub(crate) judge: bool,
    /// Packets can be delayed here.
    pub(crate) delays: bool,
}

/// Whom it hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    /// The node of this host.
    Node(usize),
    /// Whoever leads the definitions then.
    Leader,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// SIGKILL; started again after so long.
    Kill(Victim, u64),
    /// SIGKILL for all at once; started in this order, with pauses.
    KillAll([usize; HOSTS], u64),
    /// SIGSTOP for so long.
    Freeze(Victim, u64),
    /// A node hears nothing of the others, nor they of it.
    Isolate(Victim, u64),
    /// What one node sends does not reach another.
    OneWay(usize, usize, u64),
    /// What a node sends reaches nobody; it hears the others.
    Mute(Victim, u64),
    /// A node hears nobody; they hear it.
    Deaf(Victim, u64),
    /// Two nodes hear nothing of each other; the third hears both.
    Pair(usize, usize, u64),
    /// A node is alone and back, so many times, each for so long.
    Flap(Victim, u64, u64),
    /// So many in a hundred packets are lost.
    Loss(u32, u64),
    /// Packets of a node come so much later.
    Delay(usize, u64, u64),
    /// SIGTERM and start, one after the other.
    Rolling([usize; HOSTS]),
    /// Two come to the next release and go back; then all come to it, and whoever goes back then is refused.
    Upgrade([usize; HOSTS]),
    /// SIGTERM for all in one order, started in another.
    StopAll([usize; HOSTS], [usize; HOSTS]),
    /// One is killed while another is alone: nobody has a majority.
    Scatter(usize, usize, u64),
    /// SIGKILL, and the disk is lost; the node comes back blank.
    Wipe(usize),
}

impl Trouble {
    /// The name under which its figures are kept.
    pub(crate) fn name(&self) -> &'static str {
        let long = |ms: &u64| *ms > LEASE_MS;
        match self {
            Self::Kill(..) => "kill",
            Self::KillAll(..) => "kill all",
            Self::Freeze(_, ms) if long(ms) => "freeze long",
            Self::Freeze(..) => "freeze short",
            Self::Isolate(_, ms) if long(ms) => "isolate long",
            Self::Isolate(..) => "isolate short",
            Self::OneWay(..) => "one way",
            Self::Mute(..) => "mute",
            Self::Deaf(..) => "deaf",
            Self::Pair(..) => "pair",
            Self::Flap(..) => "flap",
            Self::Loss(..) => "loss",
            Self::Delay(..) => "delay",
            Self::Rolling(_) => "rolling",
            Self::Upgrade(_) => "upgrade",
            Self::StopAll(..) => "stop all",
            Self::Scatter(..) => "scatter",
            Self::Wipe(_) => "wipe",
        }
    }

    /// True if its name begins so, after `leader` only that of one which hits whoever leads.
    fn is_called(&self, name: &str) -> bool {
        match name.strip_prefix("leader ") {
            Some(name) => self.hits_leader() && self.name().starts_with(name),
            None => self.name().starts_with(name),
        }
    }

    fn hits_leader(&self) -> bool {
        matches!(
            self,
            Self::Kill(Victim::Leader, _)
                | Self::Freeze(Victim::Leader, _)
                | Self::Isolate(Victim::Leader, _)
                | Self::Mute(Victim::Leader, _)
                | Self::Deaf(Victim::Leader, _)
                | Self::Flap(Victim::Leader, ..)
        )
    }
}

/// How a queue's messages are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Acked as they come.
    Eager,
    /// Acked half a second later.
    Slow,
    /// Not before the trouble is over: the queue holds a backlog.
    Later,
}

/// The plan of one round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Milliseconds under load before the trouble.
    pub(crate) before: u64,
    /// What goes wrong.
    pub(crate) trouble: Trouble,
    /// How each queue is taken.
    pub(crate) paces: Vec<Pace>,
}

/// So often each kind is drawn, in the order of [`draw`]; the last is for queues that outlive a disk.
const WEIGHTS: [u64; 16] = [14, 8, 12, 14, 6, 5, 5, 5, 6, 5, 5, 6, 5, 5, 3, 8];

/// So many plans are drawn for a round at most until there is one of the wanted kind.
const DRAWN_MAX: u32 = 10_000;

impl Plan {
    /// The plan that this seed has for this round.
    pub(crate) fn new(seed: u64, round: u32, setting: Setting) -> Self {
        Self::from_dice(Dice::new(&[seed, u64::from(round), 0x7061_7274]), setting)
    }

    /// The first plan for this round whose trouble's name begins like one of these; any if there are none.
    ///
    /// # Errors
    /// No trouble of this setting is called so.
    pub(crate) fn one_of(names: &[String], seed: u64, round: u32, setting: Setting) -> Result<Self> {
        if names.is_empty() {
            return Ok(Self::new(seed, round, setting));
        }
        let mut drawn = (0..DRAWN_MAX).map(|time| {
            let dice = Dice::new(&[seed, u64::from(round), u64::from(time), 0x6f6e_6c79]);
            Self::from_dice(dice, setting)
        });
        let found = drawn.find(|plan| names.iter().any(|name| plan.trouble.is_called(name)));
        found.with_context(|| format!("no trouble is called {}", names.join(" or ")))
    }

    fn from_dice(mut dice: Dice, setting: Setting) -> Self {
        let before = dice.between(700, 2_000);
        let paces = (0..HOSTS * HOSTS).map(|_| pace(&mut dice)).collect();
        let trouble = if setting.judge {
            judged(&mut dice)
        } else {
            draw(&mut dice, setting)
        };
        Self { before, trouble, paces }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} after {} ms", self.trouble, self.before)
    }
}

fn pace(dice: &mut Dice) -> Pace {
    [Pace::Eager, Pace::Slow, Pace::Later][dice.weighted(&[50, 20, 30])]
}

fn victim(dice: &mut Dice) -> Victim {
    if dice.percent(30) {
        Victim::Leader
    } else {
        Victim::Node(host(dice))
    }
}

fn host(dice: &mut Dice) -> usize {
    1 + dice.below(HOSTS as u64) as usize
}

/// Two different hosts.
fn two(dice: &mut Dice) -> (usize, usize) {
    let order = order(dice);
    (order[0], order[1])
}

fn order(dice: &mut Dice) -> [usize; HOSTS] {
    let mut order = [1, 2, 3];
    for last in (1..HOSTS).rev() {
        order.swap(last, dice.below(last as u64 + 1) as usize);
    }
    order
}

/// Shorter than the patience of the others, or longer.
fn silence(dice: &mut Dice) -> u64 {
    if dice.percent(40) {
        dice.between(500, LEASE_MS - 1_500)
    } else {
        dice.between(LEASE_MS + 2_000, LEASE_MS + 6_000)
    }
}

fn draw(dice: &mut Dice, setting: Setting) -> Trouble {
    let mut weights = WEIGHTS;
    if !setting.delays {
        weights[10] = 0;
    }
    // A node that comes back blank is no member of a quorum queue any more.
    if setting.queues != Queues::Mirrored {
        weights[15] = 0;
    }
    match dice.weighted(&weights) {
        0 => Trouble::Kill(victim(dice), dice.between(0, 8_000)),
        1 => Trouble::KillAll(order(dice), dice.between(0, 2_500)),
        2 => Trouble::Freeze(victim(dice), silence(dice)),
        3 => Trouble::Isolate(victim(dice), silence(dice)),
        4 => {
            let (from, to) = two(dice);
            Trouble::OneWay(from, to, silence(dice))
        }
        5 => Trouble::Mute(victim(dice), silence(dice)),
        6 => Trouble::Deaf(victim(dice), silence(dice)),
        7 => {
            let (one, other) = two(dice);
            Trouble::Pair(one, other, silence(dice))
        }
        8 => Trouble::Flap(victim(dice), dice.between(2, 5), dice.between(200, 3_000)),
        9 => Trouble::Loss(dice.between(2, 30) as u32, dice.between(2_000, 8_000)),
        10 => Trouble::Delay(host(dice), dice.between(5, 200), dice.between(2_000, 8_000)),
        11 => Trouble::Rolling(order(dice)),
        12 => Trouble::StopAll(order(dice), order(dice)),
        13 => {
            let (killed, alone) = two(dice);
            Trouble::Scatter(killed, alone, silence(dice))
        }
        14 => Trouble::Upgrade(order(dice)),
        _ => Trouble::Wipe(host(dice)),
    }
}

/// What RabbitMQ is measured with.
fn judged(dice: &mut Dice) -> Trouble {
    if dice.percent(65) {
        Trouble::Kill(Victim::Node(host(dice)), dice.between(2_000, 8_000))
    } else {
        Trouble::Freeze(Victim::Node(host(dice)), TICK_MS)
    }
}

/// A few rounds for every change: each kind of trouble once, short.
pub(crate) fn brief() -> Vec<Plan> {
    let troubles = [
        Trouble::Kill(Victim::Leader, 500),
        Trouble::Isolate(Victim::Node(2), 7_500),
        Trouble::Freeze(Victim::Node(3), 1_500),
        Trouble::KillAll([3, 1, 2], 200),
        Trouble::Upgrade([2, 3, 1]),
    ];
    let paces = [Pace::Eager, Pace::Later, Pace::Slow];
    let plan = |trouble| Plan {
        before: 500,
        trouble,
        paces: paces.iter().copied().cycle().take(HOSTS * HOSTS).collect(),
    };
    troubles.into_iter().map(plan).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINGLE: Setting = Setting {
        queues: Queues::Single,
        judge: false,
        delays: false,
    };

    fn names(setting: Setting) -> Vec<&'static str> {
        let mut names: Vec<_> = (0..500)
            .map(|round| Plan::new(7, round, setting).trouble.name())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    #[test]
    fn a_seed_has_one_plan_and_disks_are_lost_only_where_queues_outlive_them() {
        assert_eq!(Plan::new(1, 2, SINGLE), Plan::new(1, 2, SINGLE));
        let single = names(SINGLE);
        assert_eq!(single.len(), 16, "{single:?}");
        assert!(!single.contains(&"wipe") && !single.contains(&"delay"));
        let mirrored = Setting {
            queues: Queues::Mirrored,
            delays: true,
            ..SINGLE
        };
        assert_eq!(names(mirrored).len(), 18);
    }

    #[test]
    fn rounds_of_one_kind_are_of_that_kind_and_a_kind_that_is_none_is_an_error() {
        let only = ["leader kill".to_owned(), "flap".to_owned()];
        for round in 0..50 {
            let trouble = Plan::one_of(&only, 7, round, SINGLE).unwrap().trouble;
            assert!(
                matches!(trouble, Trouble::Kill(Victim::Leader, _) | Trouble::Flap(..)),
                "{trouble:?}"
            );
        }
        assert!(Plan::one_of(&["wipe".to_owned()], 7, 0, SINGLE).is_err());
    }

    #[test]
    fn an_order_names_every_host_once() {
        let mut dice = Dice::new(&[3]);
        for _ in 0..100 {
            let mut order = order(&mut dice);
            order.sort_unstable();
            assert_eq!(order, [1, 2, 3]);
        }
    }
}
