//! A run from set-up to report: connections, warm-up, load, drain, clean-up.

use crate::client::Client;
use crate::consumer::Consumer;
use crate::cpu::{CpuTime, own_time, time_of};
use crate::error::Error;
use crate::forwarder;
use crate::load::Prepared;
use crate::meter::Meter;
use crate::options::Options;
use crate::producer::Producer;
use crate::report::Report;
use crate::topology;
use crate::yardstick::Yardsticks;
use clap::Parser;
use std::io::Write;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use wire::{AMQPClass, confirm};

/// Parses `args` (the command's own name first), runs, and prints; exit status 2 for wrong options, 1 for a failed run.
pub fn main(args: impl IntoIterator<Item = String>) -> ExitCode {
    let options = match Options::try_parse_from(args) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    let outcome = match options.forward {
        Some(ports) => runtime().and_then(|runtime| runtime.block_on(forwarder::run(ports))),
        None => run(&options).and_then(|report| print(&report)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::from(if matches!(error, Error::Option { .. }) { 2 } else { 1 })
        }
    }
}

fn complain(error: &Error) {
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(std::io::stderr(), "warren perf: {error}");
}

fn print(report: &Report) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match report.load.json {
        true => {
            let json = serde_json::to_string_pretty(report).map_err(|error| Error::Protocol(error.to_string()))?;
            writeln!(out, "{json}")?;
        }
        false => write!(out, "{report}")?,
    }
    report.fault().map_or(Ok(()), |fault| Err(Error::Incomplete(fault)))
}

/// Makes the load that `options` describe and reports what came of it.
///
/// # Errors
/// Options that cannot be, a broker that cannot be reached or refuses.
pub fn run(options: &Options) -> Result<Report, Error> {
    options.check()?;
    time_of(&options.pid, options.pid_children)?;
    LocalSet::new().block_on(&runtime()?, whole_run(options))
}

fn runtime() -> Result<Runtime, Error> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

async fn whole_run(options: &Options) -> Result<Report, Error> {
    let mut admin = Client::connect(options).await?;
    topology::declare(&mut admin, options).await?;
    let result = measured(options).await;
    if !options.keep {
        let cleaned = topology::delete(&mut admin, options).await;
        // The first failure explains the second.
        return result.and_then(|report| cleaned.map(|()| report));
    }
    result
}

/// Marks the messages of this run.
fn run_id() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.subsec_nanos() ^ std::process::id().rotate_left(16) ^ now.as_secs() as u32
}

type Tasks = JoinSet<Result<(), Error>>;

async fn measured(options: &Options) -> Result<Report, Error> {
    let meter = Rc::new(Meter::new(run_id()));
    let mut tasks = Tasks::new();
    for number in 0..options.consumers {
        start_consumer(options, number, &meter, &mut tasks).await?;
    }
    let mut ready = Vec::new();
    for number in 0..options.producers {
        ready.push(prepare_producer(options, number, &meter).await?);
    }
    for (producer, prepared, client) in ready {
        start_producer(producer, prepared, client, &mut tasks);
    }
    Course { options, meter, tasks }.run().await
}

async fn start_consumer(options: &Options, number: usize, meter: &Rc<Meter>, tasks: &mut Tasks) -> Result<(), Error> {
    let mut client = Client::connect(options).await?;
    topology::consume(&mut client, options, number).await?;
    let (reader, writer, inbox) = client.into_halves();
    tasks.spawn_local(Consumer::new(Rc::clone(meter), options).run(reader, writer, inbox));
    Ok(())
}

async fn prepare_producer(
    options: &Options,
    number: usize,
    meter: &Rc<Meter>,
) -> Result<(Producer, Prepared, Client), Error> {
    let mut client = Client::connect(options).await?;
    if options.confirm > 0 {
        let select = confirm::AMQPMethod::Select(confirm::Select { nowait: false });
        client.ask(AMQPClass::Confirm(select)).await?;
    }
    let keys = topology::keys(options, number);
    let prepared = Prepared::new(options, &keys, meter.run, client.frame_max());
    Ok((
        Producer::new(Rc::clone(meter), options, number as u64),
        prepared,
        client,
    ))
}

fn start_producer(producer: Producer, prepared: Prepared, client: Client, tasks: &mut Tasks) {
    let (reader, mut writer, inbox) = client.into_halves();
    let listener = producer.reader().run(reader, inbox);
    tasks.spawn_local(async move {
        // The listener never ends well; the writer is kept open for it, since its end would close the connection.
        let talk = async {
            producer.run(prepared, &mut writer).await?;
            std::future::pending().await
        };
        tokio::select! { ended = listener => ended, failed = talk => failed }
    });
}

/// The counters at one moment.
#[derive(Clone, Copy)]
struct Mark {
    seconds: f64,
    published: u64,
    consumed: u64,
    confirmed: u64,
    nacked: u64,
    redelivered: u64,
    cpu: CpuTime,
    own: CpuTime,
}

/// The time line of a load that has started.
struct Course<'a> {
    options: &'a Options,
    meter: Rc<Meter>,
    tasks: Tasks,
}

impl Course<'_> {
    async fn run(mut self) -> Result<Report, Error> {
        let options = self.options;
        let mut start = self.mark()?;
        if options.warmup > 0.0 {
            self.until(Some(Duration::from_secs_f64(options.warmup)), start, |_| false)
                .await?;
            start = self.mark()?;
            self.meter.latencies.borrow_mut().clear();
            self.meter.confirm_latencies.borrow_mut().clear();
        }
        let yardsticks = options.yardsticks.as_deref().map(Yardsticks::start).transpose()?;
        self.until(options.publish_for(), start, Self::has_published_all)
            .await?;
        self.meter.stop();
        let stopped = self.mark()?;
        let machine = yardsticks.map(Yardsticks::stop).transpose()?;
        self.drain(start).await?;
        let end = self.mark()?;
        Ok(Report {
            machine,
            ..self.report(start, stopped, end)
        })
    }

    fn mark(&self) -> Result<Mark, Error> {
        let meter = &self.meter;
        Ok(Mark {
            seconds: meter.clock.elapsed().as_secs_f64(),
            published: meter.published.get(),
            consumed: meter.consumed.get(),
            confirmed: meter.confirmed.get(),
            nacked: meter.nacked.get(),
            redelivered: meter.redelivered.get(),
            cpu: time_of(&self.options.pid, self.options.pid_children)?,
            own: own_time(),
        })
    }

    fn unfinished(&self) -> u64 {
        self.options.producers as u64 - self.meter.finished.get()
    }

    /// What is on its way: copies, confirms, publishes not taken yet.
    fn pending(&self) -> u64 {
        self.copies_missing() + self.unconfirmed() + self.unfinished()
    }

    /// With a number of messages: all are published, or without producers all are consumed.
    fn has_published_all(&self) -> bool {
        let Some(messages) = self.options.messages else {
            return false;
        };
        match self.options.producers {
            0 => self.meter.consumed.get() >= messages,
            _ => self.unfinished() == 0,
        }
    }

    fn copies_missing(&self) -> u64 {
        let expected = self.meter.published.get() * self.options.copies();
        match self.options.consumers {
            0 => 0,
            _ => expected.saturating_sub(self.meter.consumed.get()),
        }
    }

    fn unconfirmed(&self) -> u64 {
        let settled = self.meter.confirmed.get() + self.meter.nacked.get();
        match self.options.confirm {
            0 => 0,
            _ => self.meter.published.get().saturating_sub(settled),
        }
    }

    /// Lets the load run for `span`, or until `done`, or until the user interrupts; shows progress.
    async fn until(&mut self, span: Option<Duration>, start: Mark, done: impl Fn(&Self) -> bool) -> Result<(), Error> {
        let end = Instant::now() + span.unwrap_or(Duration::from_secs(u32::MAX.into()));
        let mut seconds = ticks();
        let mut before = self.mark()?;
        let meter = Rc::clone(&self.meter);
        let counted = self.options.messages.is_some();
        let interrupted = tokio::signal::ctrl_c();
        tokio::pin!(interrupted);
        loop {
            let progress = meter.progress.notified();
            if done(self) {
                return Ok(());
            }
            tokio::select! {
                biased;
                () = sleep_until(end) => return Ok(()),
                signal = &mut interrupted => return Ok(signal?),
                ended = self.tasks.join_next(), if !self.tasks.is_empty() => failure(ended)?,
                _ = seconds.tick() => before = self.show(start, before)?,
                () = progress, if counted => {}
            }
        }
    }

    /// Waits for what is on its way.
    async fn drain(&mut self, start: Mark) -> Result<(), Error> {
        let mut before = self.mark()?;
        let silence_max = Duration::from_secs_f64(self.options.drain);
        let (mut seconds, mut silent_since) = (ticks(), Instant::now());
        let meter = Rc::clone(&self.meter);
        let mut left = self.pending();
        while left > 0 {
            let progress = meter.progress.notified();
            tokio::select! {
                ended = self.tasks.join_next(), if !self.tasks.is_empty() => failure(ended)?,
                _ = seconds.tick() => before = self.show(start, before)?,
                () = progress => {}
            }
            let still = self.pending();
            match still < left {
                true => silent_since = Instant::now(),
                false if silent_since.elapsed() > silence_max => return self.given_up(),
                false => {}
            }
            left = still;
        }
        Ok(())
    }

    /// Messages that did not come are in the report; a broker that does not even take what was published is an error.
    fn given_up(&self) -> Result<(), Error> {
        let (seconds, doing) = (self.options.drain, "it should take the last publishes");
        match self.unfinished() {
            0 => Ok(()),
            _ => Err(Error::Silent { seconds, doing }),
        }
    }

    /// The line of each second.
    fn show(&self, start: Mark, before: Mark) -> Result<Mark, Error> {
        let now = self.mark()?;
        let span = (now.seconds - before.seconds).max(1e-9);
        let rate = |now: u64, before: u64| (now - before) as f64 / span;
        let mut line = format!(
            "{:4.0} s  published {:.0}/s  consumed {:.0}/s",
            now.seconds - start.seconds,
            rate(now.published, before.published),
            rate(now.consumed, before.consumed)
        );
        if self.options.confirm > 0 {
            line += &format!("  confirmed {:.0}/s", rate(now.confirmed, before.confirmed));
        }
        if self.options.producers > 0 && self.options.consumers > 0 {
            line += &format!("  in flight {}", self.copies_missing());
        }
        line += &self.recent_latency();
        if !self.options.pid.is_empty() {
            line += &format!("  cpu {:.0} %", now.cpu.since(before.cpu).total() / span * 100.0);
        }
        if self.meter.blocked.get() > 0 {
            line += &format!("  {} producers BLOCKED by the broker", self.meter.blocked.get());
        }
        if !self.options.quiet {
            writeln!(std::io::stderr(), "{line}")?;
        }
        Ok(now)
    }

    fn recent_latency(&self) -> String {
        let mut recent = self.meter.recent.borrow_mut();
        let text = recent
            .percentiles()
            .map(|p| format!("  latency p50 {:.2} p99 {:.2} ms", p.p50 / 1e3, p.p99 / 1e3));
        recent.clear();
        text.unwrap_or_default()
    }

    fn report(&self, start: Mark, stopped: Mark, end: Mark) -> Report {
        let published = stopped.published - start.published;
        let consumed = end.consumed - start.consumed;
        let publish_seconds = stopped.seconds - start.seconds;
        let consumed_last = self.meter.consumed_last.get() as f64 / 1e9;
        let consume_seconds = (consumed_last - start.seconds).max(0.0);
        let per_second = |count: u64, seconds: f64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let messages = if self.options.producers > 0 {
            published
        } else {
            consumed
        };
        let cpu = (!self.options.pid.is_empty()).then(|| end.cpu.since(start.cpu));
        let per_million = |cpu: CpuTime| (messages > 0).then(|| cpu.total() * 1e6 / messages as f64);
        Report {
            load: self.options.clone(),
            publish_seconds,
            consume_seconds,
            published,
            consumed,
            publish_rate: per_second(published, publish_seconds),
            consume_rate: per_second(consumed, consume_seconds),
            confirmed: end.confirmed - start.confirmed,
            nacked: end.nacked - start.nacked,
            unconfirmed: self.unconfirmed(),
            redelivered: end.redelivered - start.redelivered,
            foreign: self.meter.foreign.get(),
            missing: self.copies_missing(),
            latency_us: self.meter.latencies.borrow().percentiles(),
            confirm_latency_us: self.meter.confirm_latencies.borrow().percentiles(),
            machine: None,
            cpu,
            cpu_seconds_per_million: cpu.and_then(per_million),
            own_cpu: end.own.since(start.own),
        }
    }
}

fn ticks() -> tokio::time::Interval {
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    seconds.reset();
    seconds
}

/// Tasks end only by failing: the load needs all of them.
fn failure(ended: Option<Result<Result<(), Error>, tokio::task::JoinError>>) -> Result<(), Error> {
    match ended {
        Some(Ok(result)) => result,
        Some(Err(panicked)) => Err(Error::Protocol(panicked.to_string())),
        None => Ok(()),
    }
}
