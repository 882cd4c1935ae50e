//! A backlog larger than memory: messages are published, held and drained in every mode of a queue, transient and
//! persistent; the server's memory stays bounded, and count and order are right. A persistent backlog is also killed and
//! recovered before it is drained.

use crate::client::Connection;
use crate::method::{self, DURABLE};
use crate::one::{One, forget_peak, mebibytes, memory};
use crate::shelf::Spec;
use crate::traffic::Stream;
use anyhow::{Context, Result, ensure};
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

/// Octets of each message.
const SIZE: usize = 1_024;
/// Priorities of the priority queue.
const PRIORITIES: u8 = 5;
/// How long the backlog lies before it is drained.
const HOLD: Duration = Duration::from_secs(2);

/// One way to keep a backlog.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// How the queue is declared.
    spec: Spec,
    /// Delivery mode 2.
    persistent: bool,
}

impl Case {
    /// Every way, by queue mode and delivery mode.
    pub(crate) fn all() -> Vec<Self> {
        let spec = |name: &str| Spec::plain(format!("backlog.{name}"));
        let lazy = Spec {
            lazy: true,
            ..spec("lazy")
        };
        let priority = Spec {
            priorities: Some(PRIORITIES),
            ..spec("priority")
        };
        let of = |persistent| [spec("classic"), lazy.clone(), priority.clone()].map(|spec| Self { spec, persistent });
        of(false).into_iter().chain(of(true)).collect()
    }

    /// What it is called in reports and chosen by.
    pub(crate) fn name(&self) -> String {
        let mode = self.spec.name.trim_start_matches("backlog.");
        format!("{mode}-{}", if self.persistent { "persistent" } else { "transient" })
    }

    /// Publishes, holds, perhaps kills, and drains.
    pub(crate) fn run(&self, one: &mut One, messages: u64, rss_mib: u64) -> Result<()> {
        let name = self.name();
        let mut connection = Connection::open(one.port())?;
        connection.open_channel(1)?;
        connection.call(
            1,
            method::declare(&self.spec.name, false, DURABLE, self.spec.arguments()),
        )?;
        let stream = Stream {
            queue: self.spec.name.clone(),
            messages,
            size: SIZE,
            persistent: self.persistent,
            priorities: self.spec.priorities.map_or(1, u64::from),
        };
        phase(one, &name, "published", messages, rss_mib, || {
            stream.publish(one.port(), None)
        })?;
        // The hold is the thing measured: what the server does with a backlog that nobody touches.
        phase(one, &name, "held", messages, rss_mib, || {
            std::thread::sleep(HOLD);
            Ok(())
        })?;
        if self.persistent {
            let started = one.kill_and_start()?;
            let (peak, _) = memory(one.pid())?;
            println!(
                "backlog: {name}: killed, recovered in {} ms, peak {} MiB",
                started.as_millis(),
                mebibytes(peak)
            );
            ensure!(
                mebibytes(peak) <= rss_mib,
                "{name}: {} MiB while recovering, more than {rss_mib}",
                mebibytes(peak)
            );
        }
        phase(one, &name, "drained", messages, rss_mib, || {
            stream.drain(one.port(), &AtomicU64::new(0))
        })?;
        let mut connection = Connection::open(one.port())?;
        connection.open_channel(1)?;
        connection.call(1, method::delete(&self.spec.name))?;
        Ok(())
    }
}

/// One part of a case, with the peak of memory in it.
fn phase(
    one: &One,
    case: &str,
    what: &str,
    messages: u64,
    rss_mib: u64,
    act: impl FnOnce() -> Result<()>,
) -> Result<()> {
    forget_peak(one.pid())?;
    let began = Instant::now();
    act().with_context(|| format!("{case}: not {what}"))?;
    let (peak, now) = memory(one.pid())?;
    println!(
        "backlog: {case}: {messages} {what} in {:.1} s, peak {} MiB, {} MiB at the end",
        began.elapsed().as_secs_f64(),
        mebibytes(peak),
        mebibytes(now)
    );
    ensure!(
        mebibytes(peak) <= rss_mib,
        "{case}: {} MiB when {what}, more than {rss_mib}",
        mebibytes(peak)
    );
    Ok(())
}
