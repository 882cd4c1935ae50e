//! Random scripts: the queue does exactly what the slow model does, loses nothing, and does it again the same way.
//!
//! A failure prints the shortest script that shows it: make it a sentence in one of the other files.

use std::collections::BTreeMap;

use model::{Millis, Overflow};
use proptest::prelude::*;
use queue::{Settings, Settle};

use crate::machine::Machine;
use crate::naive::Naive;
use crate::script::{Command, Letter, Reader, Setup};

/// A command whose consumers and deliveries are chosen among those that exist when it runs.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Publish {
        bytes: u64,
        priority: u8,
        ttl: Option<u64>,
        persistent: bool,
    },
    Subscribe {
        no_ack: bool,
        prefetch: u16,
        exclusive: bool,
        priority: i32,
    },
    Cancel(usize),
    Depart(Vec<usize>, Vec<usize>),
    Block(usize),
    Ready(usize),
    Get(bool),
    Settle(Settle, Vec<usize>),
    Stale(Settle, usize),
    Purge,
    Wait(u64),
    Tick,
    Redeclare,
    Set(Settings),
    Load(usize, Vec<usize>),
    Shrink(u64),
    Restart(Vec<usize>),
    HandOver(bool),
}

fn settings() -> impl Strategy<Value = Settings> {
    let limits = (
        prop::option::weighted(0.3, 0..6u64),
        prop::option::weighted(0.2, 0..12u64),
        prop::sample::select(vec![
            Overflow::DropHead,
            Overflow::RejectPublish,
            Overflow::RejectPublishDlx,
        ]),
        prop::option::weighted(0.3, 0..4u32),
    );
    let times = (
        prop::option::weighted(0.3, 0..8u64),
        prop::option::weighted(0.3, 1..20u64),
    );
    let shape = (
        any::<bool>(),
        prop::option::weighted(0.4, 0..4u8),
        prop::bool::weighted(0.25),
        any::<bool>(),
        prop::sample::select(vec![0, 5_000, 9_000, 20_000, u64::MAX]),
        any::<bool>(),
        any::<bool>(),
    );
    (limits, times, shape).prop_map(|(limits, times, shape)| Settings {
        max_length: limits.0,
        max_length_bytes: limits.1,
        overflow: limits.2,
        delivery_limit: limits.3,
        message_ttl: times.0.map(Millis),
        expires: times.1.map(Millis),
        dead_letters: shape.0,
        max_priority: shape.1,
        single_active_consumer: shape.2,
        durable: shape.3,
        resident_bytes_max: shape.4,
        replicated: shape.5,
        // Without priorities, as quorum queues are.
        returns_in_turn: shape.6 && shape.1.is_none(),
    })
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let how = || prop::sample::select(vec![Settle::Ack, Settle::Ack, Settle::Requeue, Settle::Reject]);
    let some = || prop::collection::vec(any::<usize>(), 1..4);
    let publish = (0..5u64, 0..5u8, prop::option::weighted(0.2, 0..10u64), any::<bool>()).prop_map(
        |(bytes, priority, ttl, persistent)| Step::Publish {
            bytes,
            priority,
            ttl,
            persistent,
        },
    );
    let subscribe = (prop::bool::weighted(0.3), 0..4u16, prop::bool::weighted(0.05), -1..2i32).prop_map(
        |(no_ack, prefetch, exclusive, priority)| Step::Subscribe {
            no_ack,
            prefetch,
            exclusive,
            priority,
        },
    );
    let lost = prop_oneof![3 => Just(Vec::new()), 1 => some()];
    prop_oneof![
        20 => publish,
        4 => subscribe,
        2 => any::<usize>().prop_map(Step::Cancel),
        1 => (some(), some()).prop_map(|(consumers, deliveries)| Step::Depart(consumers, deliveries)),
        2 => any::<usize>().prop_map(Step::Block),
        3 => any::<usize>().prop_map(Step::Ready),
        3 => any::<bool>().prop_map(Step::Get),
        12 => (how(), some()).prop_map(|(how, which)| Step::Settle(how, which)),
        1 => (how(), any::<usize>()).prop_map(|(how, which)| Step::Stale(how, which)),
        1 => Just(Step::Purge),
        3 => (0..6u64).prop_map(Step::Wait),
        2 => Just(Step::Tick),
        1 => Just(Step::Redeclare),
        1 => settings().prop_map(Step::Set),
        8 => (any::<usize>(), lost).prop_map(|(which, lost)| Step::Load(which, lost)),
        2 => prop::sample::select(vec![0, 3_000, 5_000]).prop_map(Step::Shrink),
        1 => prop::collection::vec(0..3usize, 1..5).prop_map(Step::Restart),
        1 => any::<bool>().prop_map(Step::HandOver),
    ]
}

/// A backlog grows, and its head is taken by and by.
fn busy_step() -> impl Strategy<Value = Step> {
    let publish = Step::Publish {
        bytes: 1,
        priority: 0,
        ttl: None,
        persistent: false,
    };
    prop_oneof![
        3 => Just(publish),
        2 => Just(Step::Get(true)),
        1 => Just(Step::Load(0, Vec::new())),
    ]
}

fn setup() -> impl Strategy<Value = Setup> {
    (settings(), any::<bool>()).prop_map(|(settings, auto_delete)| Setup { settings, auto_delete })
}

/// Of a queue that other nodes copy.
pub(crate) fn replicated() -> impl Strategy<Value = Setup> {
    setup().prop_map(|setup| Setup {
        settings: Settings {
            replicated: true,
            ..setup.settings
        },
        ..setup
    })
}

fn pick<T: Copy>(from: &[T], which: usize) -> Option<T> {
    (!from.is_empty()).then(|| from[which % from.len()])
}

/// Chosen ones, each once, in the order in which they were chosen.
fn pick_some<T: Copy + PartialEq>(from: &[T], which: &[usize]) -> Vec<T> {
    let mut chosen = Vec::new();
    for item in which.iter().filter_map(|which| pick(from, *which)) {
        if !chosen.contains(&item) {
            chosen.push(item);
        }
    }
    chosen
}

/// Makes a command of a step; `None` if it needs somebody who is not there.
fn resolve(step: &Step, naive: &Naive, number: usize, machine: &mut Machine) -> Option<Command> {
    let id = number as u64;
    let consumers = naive.consumers();
    Some(match *step {
        Step::Publish {
            bytes,
            priority,
            ttl,
            persistent,
        } => Command::Publish(Letter {
            name: format!("m{number}"),
            bytes,
            priority,
            ttl,
            persistent,
        }),
        Step::Subscribe {
            no_ack,
            prefetch,
            exclusive,
            priority,
        } => Command::Subscribe(Reader {
            id,
            no_ack,
            prefetch,
            exclusive,
            priority,
        }),
        Step::Cancel(which) => Command::Cancel(pick(&consumers, which)?),
        Step::Depart(ref who, ref which) => {
            Command::Depart(pick_some(&consumers, who), pick_some(&naive.outstanding(), which))
        }
        Step::Block(which) => Command::Block(pick(&consumers, which)?),
        Step::Ready(which) => Command::Ready(pick(&consumers, which)?),
        Step::Get(no_ack) => Command::Get { no_ack },
        Step::Settle(how, ref which) => Command::Settle(how, pick_some(&naive.outstanding(), which)),
        Step::Stale(how, which) => {
            let all: Vec<usize> = (1..=machine.deliveries()).collect();
            Command::Settle(how, vec![pick(&all, which)?])
        }
        Step::Purge => Command::Purge,
        Step::Wait(span) => Command::Wait(span),
        Step::Tick => Command::Tick,
        Step::Redeclare => Command::Redeclare,
        Step::Set(settings) => Command::Set(settings),
        Step::Load(which, ref lost) => {
            let wanted = machine.store().wanted();
            let which = pick(&(0..wanted.len()).collect::<Vec<_>>(), which)?;
            let names: Vec<&String> = wanted[which].1.iter().collect();
            let lost = pick_some(&names, lost).into_iter().cloned().collect();
            Command::Load { which, lost }
        }
        Step::Shrink(bytes) => Command::Shrink(bytes),
        Step::Restart(ref groups) => {
            machine.queue.settings().durable.then_some(())?;
            Command::Restart(groups.clone())
        }
        Step::HandOver(answers) => Command::HandOver { answers },
    })
}

/// One command on both.
fn both(machine: &mut Machine, naive: &mut Naive, command: &Command) -> (Vec<String>, Vec<String>) {
    let page = match command {
        Command::Load { which, .. } => Some(machine.store().wanted()[*which].0),
        _ => None,
    };
    naive.loading = machine.store().wanted().iter().map(|(page, _)| *page).collect();
    let real = machine.apply(command);
    let slow = match (command, page) {
        (Command::Load { lost, .. }, Some(page)) => naive.load(page, lost),
        _ => naive.apply(command),
    };
    for outgoing in machine.store().take_outgoing() {
        naive.follow(&outgoing);
    }
    (real, slow)
}

/// Beside the effects, what both hold must be the same.
fn agree(machine: &mut Machine, naive: &Naive, command: &Command, when: &str) {
    assert_eq!(machine.lasting(), naive.lasting(), "{when}");
    assert_eq!(machine.queue.resident_bytes(), naive.resident_bytes(), "{when}");
    let delivered_to: Vec<u64> = machine.queue.delivered_to().iter().map(|seq| seq.0).collect();
    assert_eq!(delivered_to, naive.delivered_to(), "{when}");
    let loading = machine.store().loading();
    let deadline = machine.queue.next_deadline().map(|at| at.0);
    assert_eq!(deadline, naive.next_deadline(&loading), "{when}");
    if let (Command::Tick, Some(level)) = (command, naive.needs_page_of()) {
        assert!(loading.contains(&level), "time or a limit waits for the head {when}");
    }
}

/// Runs the steps on a queue that other nodes copy, which loses nothing by itself; `each` sees it after every one. Returns it.
pub(crate) fn lead(setup: &Setup, steps: &[Step], mut each: impl FnMut(&mut Machine)) -> Machine {
    let (mut machine, mut naive) = (Machine::new(setup), Naive::new(setup));
    for (number, step) in steps.iter().enumerate() {
        let step = match step.clone() {
            Step::Set(settings) => Step::Set(Settings {
                replicated: true,
                ..settings
            }),
            Step::Restart(_) => continue,
            step => without_loss(step),
        };
        if let Some(command) = resolve(&step, &naive, number, &mut machine) {
            both(&mut machine, &mut naive, &command);
            each(&mut machine);
        }
    }
    machine
}

/// Runs the steps on both; returns the commands and what happened.
fn run(setup: &Setup, steps: &[Step]) -> (Vec<Command>, Vec<Vec<String>>, Machine) {
    let (mut machine, mut naive) = (Machine::new(setup), Naive::new(setup));
    let (mut commands, mut happened) = (Vec::new(), Vec::new());
    for (number, step) in steps.iter().enumerate() {
        let Some(command) = resolve(step, &naive, number, &mut machine) else {
            continue;
        };
        commands.push(command.clone());
        let (real, slow) = both(&mut machine, &mut naive, &command);
        assert_eq!(real, slow, "at {command:?}\n after {commands:?}");
        agree(
            &mut machine,
            &naive,
            &command,
            &format!(
                "at {command:?}
 after {commands:?}"
            ),
        );
        happened.push(real);
    }
    (commands, happened, machine)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_is_bounded_whatever_waits(steps in prop::collection::vec(busy_step(), 1..300)) {
        let settings = Settings { resident_bytes_max: 16 * 1_024, ..Settings::default() };
        let setup = Setup { settings, auto_delete: false };
        let (mut machine, mut naive) = (Machine::new(&setup), Naive::new(&setup));
        for (number, step) in steps.iter().enumerate() {
            let command = resolve(step, &naive, number, &mut machine);
            command.iter().for_each(|command| drop(both(&mut machine, &mut naive, command)));
            // The limit, a page before the head and one ahead of it.
            prop_assert!(machine.queue.resident_bytes() <= (16 + 2 * 4) * 1_024);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_does_what_the_slow_one_does(setup in setup(), steps in prop::collection::vec(step(), 1..60)) {
        run(&setup, &steps);
    }

    #[test]
    fn the_same_commands_twice_have_the_same_effects(setup in setup(), steps in prop::collection::vec(step(), 1..60)) {
        let (commands, happened, _) = run(&setup, &steps);
        let mut again = Machine::new(&setup);
        let repeated: Vec<_> = commands.iter().map(|command| again.apply(command)).collect();
        prop_assert_eq!(happened, repeated);
    }

    #[test]
    fn nothing_is_lost_and_nothing_comes_twice(steps in prop::collection::vec(step(), 1..80)) {
        // Without limits, times and deaths that hide messages, every accepted one is seen or still there.
        let quiet = steps.into_iter().filter(|step| !matches!(step, Step::Set(_) | Step::Purge | Step::Restart(_)));
        let steps: Vec<Step> = quiet.map(without_loss).collect();
        let settings = Settings { dead_letters: true, resident_bytes_max: 6_000, ..Settings::default() };
        let setup = Setup { settings, auto_delete: false };
        let (mut commands, mut happened, mut machine) = run(&setup, &steps);
        let outstanding: Vec<usize> = (1..=machine.deliveries()).collect();
        let everybody = machine.queue.consumers().map(|consumer| consumer.id.0).collect();
        let mut command = Command::Depart(everybody, outstanding);
        loop {
            let effects = machine.apply(&command);
            let empty = effects.iter().any(|effect| effect == "empty");
            let next = match machine.store().wanted().is_empty() {
                true => Command::Get { no_ack: true },
                false => Command::Load { which: 0, lost: Vec::new() },
            };
            commands.push(std::mem::replace(&mut command, next));
            happened.push(effects);
            if empty {
                break;
            }
        }
        for (name, ends) in ends(&commands, &happened) {
            prop_assert_eq!(ends, 1, "{}", name);
        }
    }
}

fn without_loss(step: Step) -> Step {
    match step {
        Step::Load(which, _) => Step::Load(which, Vec::new()),
        other => other,
    }
}

/// How often each published message came to an end: acknowledged, delivered without acknowledgement, or dead.
fn ends(commands: &[Command], happened: &[Vec<String>]) -> BTreeMap<String, u32> {
    let mut ends = BTreeMap::new();
    let mut unacked: BTreeMap<usize, String> = BTreeMap::new();
    for (command, effects) in commands.iter().zip(happened) {
        match command {
            Command::Publish(letter) => drop(ends.insert(letter.name.clone(), 0)),
            Command::Settle(Settle::Ack, numbers) => {
                let acked = numbers.iter().filter_map(|number| unacked.remove(number));
                acked.for_each(|name| *ends.get_mut(&name).expect("published") += 1);
            }
            Command::Settle(Settle::Requeue | Settle::Reject, numbers) | Command::Depart(_, numbers) => {
                numbers.iter().for_each(|number| drop(unacked.remove(number)));
            }
            Command::HandOver { .. } => unacked.clear(),
            _ => {}
        }
        for effect in effects {
            if let Some((_, rest)) = effect.split_once('#') {
                unacked.insert(
                    rest.split_whitespace().next().unwrap().parse().unwrap(),
                    name_of(effect),
                );
            } else if is_final(effect) {
                *ends.get_mut(&name_of(effect)).expect("published") += 1;
            }
        }
    }
    ends
}

/// True for the last thing ever heard of a message: its death or a delivery without acknowledgement.
fn is_final(effect: &str) -> bool {
    let no_ack = effect.starts_with('c') && !effect.ends_with("blocked");
    effect.starts_with("dead ") || effect.starts_with("got ") || no_ack
}

fn name_of(effect: &str) -> String {
    effect
        .split_whitespace()
        .nth(1)
        .unwrap()
        .split('*')
        .next()
        .unwrap()
        .to_owned()
}
