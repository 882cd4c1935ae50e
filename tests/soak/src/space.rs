//! Space is reclaimed: much traffic through a queue that stays short leaves a bounded directory, also while one message is
//! stuck unconsumed and another unacknowledged; and those two survive a kill. It measures what the disk holds.

use crate::client::{Connection, Event};
use crate::lane::{properties, within};
use crate::method::{self, DURABLE};
use crate::one::{One, Peak, mebibytes, octets_on_disk};
use crate::traffic::Stream;
use amq_protocol::types::FieldTable;
use anyhow::{Context, Result, bail, ensure};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

/// Octets of each message.
const SIZE: usize = 16 << 10;

/// Traffic alone, then traffic around stuck messages, a kill, and the stuck messages.
pub(crate) fn run(one: &mut One, traffic_mib: u64, bound_mib: u64) -> Result<()> {
    declare(one, &["short", "stuck", "held"])?;
    bounded(one, traffic_mib, bound_mib, "traffic alone")?;
    let (stuck, held) = (one.nonce(), one.nonce());
    let mut holder = stick(one, &stuck, &held)?;
    bounded(one, traffic_mib, bound_mib, "with a stuck and a held message")?;
    // The connection holds its delivery until the kill.
    ensure!(
        holder.next(within(1))?.is_none(),
        "the held message was delivered twice"
    );
    let started = one.kill_and_start()?;
    let after = mebibytes(octets_on_disk(&one.data()));
    println!(
        "space: killed and started again in {} ms, {after} MiB on disk",
        started.as_millis()
    );
    ensure!(
        after <= bound_mib,
        "{after} MiB on disk after a restart, more than {bound_mib}"
    );
    still_there(one, "stuck", &stuck, false)?;
    still_there(one, "held", &held, true)
}

fn declare(one: &One, queues: &[&str]) -> Result<()> {
    let mut connection = Connection::open(one.port())?;
    connection.open_channel(1)?;
    for queue in queues {
        connection.call(1, method::declare(queue, false, DURABLE, FieldTable::default()))?;
    }
    Ok(())
}

/// Sends the traffic and watches the directory.
fn bounded(one: &One, traffic_mib: u64, bound_mib: u64, what: &str) -> Result<()> {
    let stream = Stream {
        queue: "short".to_owned(),
        messages: (traffic_mib << 20) / SIZE as u64,
        size: SIZE,
        persistent: true,
        priorities: 1,
    };
    let (peak, ended, taken) = (Peak::default(), AtomicBool::new(false), AtomicU64::new(0));
    let began = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| peak.watch(&ended, || octets_on_disk(&one.data())));
        let drain = scope.spawn(|| stream.drain(one.port(), &taken));
        let published = stream.publish(one.port(), Some(&taken));
        let drained = drain.join().map_err(|_| anyhow::anyhow!("the consumer panicked"));
        ended.store(true, Ordering::Relaxed);
        published?;
        drained?
    })?;
    let (most, now) = (mebibytes(peak.value()), mebibytes(octets_on_disk(&one.data())));
    println!(
        "space: {what}: {traffic_mib} MiB in {:.0} s, at most {most} MiB on disk, {now} MiB at the end",
        began.elapsed().as_secs_f64()
    );
    ensure!(
        most <= bound_mib,
        "{most} MiB on disk with {what}, more than {bound_mib}"
    );
    Ok(())
}

/// Publishes two messages that stay: one nobody consumes, one that its consumer holds.
fn stick(one: &One, stuck: &str, held: &str) -> Result<Connection> {
    let mut connection = Connection::open(one.port())?;
    connection.open_channel(1)?;
    connection.call(1, method::confirms())?;
    for (queue, body) in [("stuck", stuck), ("held", held)] {
        connection.publish(1, ("", queue), properties(true, None), body.as_bytes())?;
        connection.flush()?;
        connection.next(within(60_000))?.context("no confirm within 60 s")?;
    }
    connection.open_channel(2)?;
    connection.call(2, method::consume("held", "holder"))?;
    match connection.next(within(60_000))? {
        Some(Event::Content(_, content)) if content.body == held.as_bytes() => Ok(connection),
        other => bail!("the held message is not delivered but {other:?}"),
    }
}

fn still_there(one: &One, queue: &str, body: &str, delivered_before: bool) -> Result<()> {
    let mut connection = Connection::open(one.port())?;
    connection.open_channel(1)?;
    let found = connection
        .get(1, queue, false)?
        .with_context(|| format!("the message in '{queue}' is lost"))?;
    ensure!(
        found.body == body.as_bytes(),
        "'{queue}' holds another message: {found:?}"
    );
    let (_, redelivered) = crate::lane::delivery(&found.method);
    ensure!(
        redelivered || !delivered_before,
        "the message in '{queue}' does not say that it was delivered before"
    );
    ensure!(
        connection.get(1, queue, false)?.is_none(),
        "'{queue}' holds more than its one message"
    );
    println!("space: the message in '{queue}' is still there, redelivered {redelivered}");
    Ok(())
}
