//! What happens on this node, told to whoever listens: the exchange `amq.rabbitmq.event`, and tools that follow the node.
//!
//! While nobody listens, an event costs one look at a flag. Nobody ever waits for a listener: what finds no room is dropped and
//! counted (I7). Keys, headers and their order are RabbitMQ's. No password comes here.

mod actor;
mod clients;
mod definitions;
mod exchange;
mod term;

pub(super) use actor::actor;
pub use actor::{acting, acting_for_cli, acts};
pub(in crate::host) use clients::Subscriber;
pub(super) use definitions::has_changed;
pub use exchange::run;

use catalog::{Catalog, Command, Event};
use definitions::Told;
use model::{Millis, Table, UserName, Value};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};
use tokio::sync::Notify;

use super::node::Node;

/// Events that wait for the exchange.
const WAITING_MAX: usize = 16_384;
/// Events that are kept for tools that follow.
const KEPT_MAX: usize = 4_096;
/// A tool that has not asked for so long follows no more.
const FOLLOWED_FOR: Millis = Millis(10_000);

/// Something that has happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// What, as a routing key such as `queue.created`.
    pub key: &'static str,
    /// What is told of it.
    pub headers: Table,
    /// When, in milliseconds since the Unix epoch.
    pub at: Millis,
}

/// What a tool that follows gets at once.
#[derive(Debug, PartialEq)]
pub struct Followed {
    /// From where to go on.
    pub next: u64,
    /// So many were gone before they could be told.
    pub missed: u64,
    /// What has happened since.
    pub happened: Vec<Happening>,
}

/// What is kept for tools: the last events, numbered.
#[derive(Debug, Default)]
struct Kept {
    /// The number of the next one.
    next: u64,
    last: VecDeque<Happening>,
    until: Millis,
}

/// The events of one node.
#[derive(Debug, Default)]
pub struct Events {
    /// Somebody listens.
    wanted: AtomicBool,
    published: AtomicBool,
    followed: AtomicBool,
    waiting: Mutex<VecDeque<Happening>>,
    came: Notify,
    switched: Notify,
    kept: Mutex<Kept>,
    told: AtomicU64,
    dropped: AtomicU64,
}

impl Happening {
    /// Of this moment; the header of the time is the last one.
    fn new(key: &'static str, at: Millis, headers: Vec<(&'static str, Value)>) -> Self {
        let mut headers = Table(
            headers
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        );
        headers.0.push(("timestamp_in_ms".to_owned(), number(at.0)));
        Happening { key, headers, at }
    }
}

impl Events {
    /// True while somebody listens: only then is an event made.
    pub(super) fn wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Events that were told since the start, and of those the ones that found no room on their way to the exchange.
    pub fn counts(&self) -> (u64, u64) {
        (self.told.load(Ordering::Relaxed), self.dropped.load(Ordering::Relaxed))
    }

    /// Other plugins are enabled now.
    pub(super) fn switch(&self) {
        self.switched.notify_waiters();
    }

    /// From now on events wait for the exchange, or none does.
    fn publish(&self, wanted: bool) {
        self.published.store(wanted, Ordering::Relaxed);
        if !wanted {
            self.waiting.lock().clear();
        }
        self.weigh();
    }

    fn weigh(&self) {
        let wanted = self.published.load(Ordering::Relaxed) || self.followed.load(Ordering::Relaxed);
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    fn tell(&self, happening: Happening) {
        self.told.fetch_add(1, Ordering::Relaxed);
        if self.followed.load(Ordering::Relaxed) {
            self.keep(&happening);
        }
        if !self.published.load(Ordering::Relaxed) {
            return;
        }
        let mut waiting = self.waiting.lock();
        if waiting.len() >= WAITING_MAX {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.push_back(happening);
        drop(waiting);
        self.came.notify_one();
    }

    fn keep(&self, happening: &Happening) {
        let mut kept = self.kept.lock();
        if kept.until < happening.at {
            kept.last.clear();
            self.followed.store(false, Ordering::Relaxed);
            return self.weigh();
        }
        if kept.last.len() >= KEPT_MAX {
            kept.last.pop_front();
        }
        kept.next += 1;
        kept.last.push_back(happening.clone());
    }

    /// What has happened since a tool asked last, which is `from`; at its first question nothing.
    pub fn follow(&self, from: Option<u64>, now: Millis) -> Followed {
        let mut kept = self.kept.lock();
        kept.until = now.after(FOLLOWED_FOR);
        self.followed.store(true, Ordering::Relaxed);
        self.weigh();
        let first = kept.next - kept.last.len() as u64;
        let from = from.unwrap_or(kept.next);
        let skipped = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        Followed {
            next: kept.next,
            missed: first.saturating_sub(from),
            happened: kept.last.iter().skip(skipped).cloned().collect(),
        }
    }

    fn next(&self) -> Option<Happening> {
        self.waiting.lock().pop_front()
    }
}

impl Node {
    /// What happens here, for whoever listens.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Tells an event that is made only if somebody listens.
    pub(super) fn tell(&self, make: impl FnOnce() -> (&'static str, Vec<(&'static str, Value)>)) {
        if self.events().wanted() {
            let (key, headers) = make();
            self.events().tell(Happening::new(key, self.now(), headers));
        }
    }
}

/// What definitions are about to change.
impl Node {
    /// What these commands would change, one after the other, if somebody listens.
    pub(super) fn foretell(&self, user: &UserName, commands: &[Command]) -> Vec<Told> {
        if !self.events().wanted() {
            return Vec::new();
        }
        let mut state = self.snapshot().catalog.clone();
        let mut told = Vec::new();
        for command in commands.iter().filter(|command| definitions::concerns(command)) {
            let (before, mut changes) = (state.clone(), Vec::new());
            // One that is refused changes nothing.
            if state.apply(command.clone(), &mut changes).is_ok() {
                told.extend(self.change(user, command, (&before, &state), &changes));
            }
        }
        told
    }

    /// It has come so.
    pub(super) fn tell_foretold(&self, foretold: Vec<Told>) {
        foretold.into_iter().for_each(|told| self.tell(|| told));
    }

    /// What goes with a node's process is told by one of those that are up.
    pub(super) fn tell_of_nodes(&self, command: &Command, (before, after): (&Catalog, &Catalog), changes: &[Event]) {
        let (Command::NodeDown(_) | Command::NodeStopped(_) | Command::NodeUp { .. } | Command::RemoveNode(_)) =
            command
        else {
            return;
        };
        let first = after.nodes().find(|node| node.up);
        if first.is_some_and(|first| first.uuid == self.identity().node) {
            self.tell_foretold(self.change(&actor::internal(), command, (before, after), changes));
        }
    }

    fn change(
        &self,
        actor: &UserName,
        command: &Command,
        (before, after): (&Catalog, &Catalog),
        events: &[Event],
    ) -> Vec<Told> {
        let change = definitions::Change {
            command,
            before,
            after,
            events,
            actor,
            pid: &|owner| self.pid(owner.connection.0, 0),
        };
        change.told()
    }
}

/// A number as RabbitMQ's events have them.
fn number(number: impl TryInto<i64>) -> Value {
    Value::I64(number.try_into().unwrap_or(i64::MAX))
}

fn text(text: impl AsRef<str>) -> Value {
    text.as_ref().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happening(at: u64) -> Happening {
        Happening::new("queue.created", Millis(at), vec![("name", text("q"))])
    }

    #[test]
    fn an_event_is_wanted_only_while_somebody_listens() {
        let events = Events::default();
        assert!(!events.wanted());
        events.publish(true);
        events.tell(happening(1));
        assert!(events.wanted() && events.next().is_some());
        events.tell(happening(2));
        events.publish(false);
        assert!(!events.wanted() && events.next().is_none());
    }

    #[test]
    fn what_finds_no_room_on_its_way_to_the_exchange_is_dropped_and_counted() {
        let events = Events::default();
        events.publish(true);
        (0..WAITING_MAX as u64 + 3).for_each(|at| events.tell(happening(at)));
        assert_eq!(events.counts(), (WAITING_MAX as u64 + 3, 3));
        assert_eq!(events.next().map(|first| first.at), Some(Millis(0)));
    }

    #[test]
    fn a_tool_that_follows_gets_each_event_once_and_hears_how_many_it_has_missed() {
        let events = Events::default();
        let begin = events.follow(None, Millis(0));
        assert_eq!(begin.happened, []);
        (1..=2).for_each(|at| events.tell(happening(at)));
        let two = events.follow(Some(begin.next), Millis(3));
        assert_eq!((two.missed, two.happened.len()), (0, 2));
        assert_eq!(events.follow(Some(two.next), Millis(3)).happened, []);
        (0..KEPT_MAX as u64 + 5).for_each(|_| events.tell(happening(4)));
        let many = events.follow(Some(two.next), Millis(5));
        assert_eq!((many.missed, many.happened.len()), (5, KEPT_MAX));
    }

    #[test]
    fn a_tool_that_is_gone_makes_no_event_wanted_after_a_while() {
        let events = Events::default();
        events.follow(None, Millis(0));
        events.tell(happening(FOLLOWED_FOR.0));
        assert!(events.wanted());
        events.tell(happening(FOLLOWED_FOR.0 + 1));
        assert!(!events.wanted());
    }

    #[test]
    fn the_time_is_the_last_header() {
        let (name, value) = happening(7).headers.0.pop().unwrap();
        assert_eq!((name.as_str(), value), ("timestamp_in_ms", Value::I64(7)));
    }
}
