//! The order of disk and answer, seen from the kernel: under strace, no octet of a confirm or of tx.commit-ok may leave before
//! an fdatasync that began after the message was written has returned. Also how many messages share one fdatasync.

use crate::client::{Connection, Event};
use crate::lane::{confirm_of, properties, within};
use crate::method::{self, DURABLE};
use crate::one::One;
use crate::trace::{self, Call};
use amq_protocol::types::FieldTable;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Messages sent one at a time, in each of the three ways.
const SINGLE: usize = 40;
/// Publishes without a confirm, for the count of messages that share an fdatasync.
const OUTSTANDING: usize = 1_000;
/// Fewer messages for each fdatasync are no group commit.
const SHARED_MIN: usize = 20;
/// Answers that left too early and are spelled out.
const WRONG_SHOWN: usize = 5;
/// Every call that can write a message or an answer, or make a file safe.
const WRITES: &str = "pwrite64,pwritev,pwritev2,write,writev,sendto,sendmsg,fdatasync,fsync";

/// Proves the order and counts; prints what it saw.
pub(crate) fn run(one: &One, messages: usize) -> Result<()> {
    prove(one)?;
    share(one, messages)
}

/// One message at a time: through one queue, through a fan-out to three, in a transaction.
pub(crate) fn prove(one: &One) -> Result<()> {
    let mut connection = Connection::open(one.port())?;
    prepare(&mut connection)?;
    let strace = Strace::attach(one.pid(), WRITES, &one.directory().join("order.trace"))?;
    let ways = [("a queue", "", "order.0"), ("a fan-out", "order.exchange", "")];
    let mut expected = Vec::new();
    for (way, exchange, key) in ways {
        for number in 1..=SINGLE {
            let body = format!("order {way} {number:08}, {}", one.nonce());
            connection.publish(2, (exchange, key), properties(true, None), body.as_bytes())?;
            let tag = wait_confirm(&mut connection)?;
            expected.push((way, body, confirm_octets(tag)));
        }
    }
    connection.open_channel(3)?;
    connection.call(3, method::transactions())?;
    for number in 1..=SINGLE {
        let body = format!("order transaction {number:08}, {}", one.nonce());
        connection.publish(3, ("", "order.1"), properties(true, None), body.as_bytes())?;
        connection.call(3, method::commit())?;
        expected.push(("a transaction", body, vec![0, 90, 0, 21]));
    }
    let calls = strace.end()?;
    judge(&calls, &expected)
}

/// Looks for each message's answer behind the answers of the messages before it.
fn judge(calls: &[Call], expected: &[(&str, String, Vec<u8>)]) -> Result<()> {
    let mut wrong = Vec::new();
    for (way, body, answer) in expected {
        let text = trace::shown(body.as_bytes());
        // Octets that came from the client are not traced, so the first call with them writes them.
        let first = calls
            .iter()
            .filter(|call| call.arguments.contains(&text))
            .map(|call| call.begin)
            .min();
        let later: Vec<Call> = calls.iter().filter(|call| Some(call.begin) >= first).cloned().collect();
        if let Err(reason) = trace::in_order(&later, body.as_bytes(), answer) {
            wrong.push(format!("{way}, '{}': {reason}", &body[..body.len().min(30)]));
        }
    }
    let shown = wrong.iter().take(WRONG_SHOWN).cloned().collect::<Vec<_>>().join(
        "
",
    );
    ensure!(
        wrong.is_empty(),
        "{} of {} answers left too early:
{shown}",
        wrong.len(),
        expected.len()
    );
    println!(
        "order: {} answers, each after the fdatasync of its message",
        expected.len()
    );
    Ok(())
}

fn prepare(connection: &mut Connection) -> Result<()> {
    connection.open_channel(1)?;
    connection.call(1, method::exchange("order.exchange", "fanout", false, DURABLE))?;
    for queue in ["order.0", "order.1", "order.2"] {
        connection.call(1, method::declare(queue, false, DURABLE, FieldTable::default()))?;
        connection.call(1, method::bind(true, queue, "order.exchange", ""))?;
    }
    connection.open_channel(2)?;
    connection.call(2, method::confirms())?;
    Ok(())
}

fn wait_confirm(connection: &mut Connection) -> Result<u64> {
    connection.flush()?;
    let event: Option<Event> = connection.next(within(60_000))?;
    match event.as_ref().and_then(confirm_of) {
        Some((tag, _, true)) => Ok(tag),
        _ => bail!("no confirm within 60 s but {event:?}"),
    }
}

/// Class, method and delivery tag of basic.ack.
fn confirm_octets(tag: u64) -> Vec<u8> {
    let mut octets = vec![0, 60, 0, 80];
    octets.extend(tag.to_be_bytes());
    octets
}

/// Counts the fdatasyncs of a steady stream of confirmed publishes.
pub(crate) fn share(one: &One, messages: usize) -> Result<()> {
    let mut connection = Connection::open(one.port())?;
    prepare(&mut connection)?;
    let strace = Strace::attach(one.pid(), "fdatasync,fsync", &one.directory().join("share.trace"))?;
    let began = Instant::now();
    let (mut sent, mut confirmed) = (0, 0);
    while confirmed < messages {
        while sent < messages && sent - confirmed < OUTSTANDING {
            connection.publish(2, ("", "order.0"), properties(true, None), &[0x61; 100])?;
            sent += 1;
        }
        let tag = wait_confirm(&mut connection)? as usize;
        confirmed = confirmed.max(tag);
    }
    let seconds = began.elapsed().as_secs_f64();
    let syncs = trace::sync_count(&strace.end()?);
    let shared = messages / syncs.max(1);
    println!(
        "order: {messages} confirmed publishes with {OUTSTANDING} outstanding: {syncs} fdatasyncs, {shared} messages each, {:.0} \
         messages a second under strace",
        messages as f64 / seconds
    );
    ensure!(syncs > 0, "not one fdatasync for {messages} confirmed messages");
    ensure!(
        shared >= SHARED_MIN,
        "{shared} messages share an fdatasync; group commit has at least {SHARED_MIN}"
    );
    Ok(())
}

/// strace, attached to a running server.
struct Strace {
    child: Child,
    file: PathBuf,
}

impl Strace {
    fn attach(pid: u32, calls: &str, file: &Path) -> Result<Self> {
        let said = file.with_extension("said");
        let child = Command::new("strace")
            .args([
                "-f",
                "-ttt",
                "-xx",
                "-s",
                "20000",
                "-e",
                &format!("trace={calls}"),
                "-o",
            ])
            .arg(file)
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .stderr(File::create(&said)?)
            .spawn()
            .context("strace does not start: install it (Debian: apt-get install strace)")?;
        let strace = Self {
            child,
            file: file.to_owned(),
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !fs::read_to_string(&said)?.contains("attached") {
            ensure!(
                Instant::now() < deadline,
                "strace did not attach: {}",
                fs::read_to_string(&said)?
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(strace)
    }

    fn end(mut self) -> Result<Vec<Call>> {
        kill_process(Pid::from_child(&self.child), Signal::INT)?;
        self.child.wait()?;
        let text = fs::read(&self.file)?;
        Ok(trace::calls(&String::from_utf8_lossy(&text)))
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        // Both fail only for what has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
