//! What came of a run: one value, shown as JSON or as lines for people.

use crate::cpu::CpuTime;
use crate::latency::Percentiles;
use crate::options::Options;
use crate::yardstick::Machine;
use serde::Serialize;
use std::fmt;

/// The result of a run. Times in seconds, latencies in microseconds; only what was counted after the warm-up.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The options of the run, but for the URI.
    pub load: Options,
    /// How long was published.
    pub publish_seconds: f64,
    /// From the first publish to the last delivery.
    pub consume_seconds: f64,
    /// Messages published.
    pub published: u64,
    /// Messages consumed (with a fan-out: copies).
    pub consumed: u64,
    /// Publishes a second.
    pub publish_rate: f64,
    /// Deliveries a second.
    pub consume_rate: f64,
    /// Publishes confirmed.
    pub confirmed: u64,
    /// Publishes refused by a nack.
    pub nacked: u64,
    /// Publishes without ack or nack at the end.
    pub unconfirmed: u64,
    /// Deliveries marked as redelivered.
    pub redelivered: u64,
    /// Deliveries of messages from elsewhere.
    pub foreign: u64,
    /// Copies that were published and never arrived.
    pub missing: u64,
    /// From publish to delivery.
    pub latency_us: Option<Percentiles>,
    /// From publish to confirm.
    pub confirm_latency_us: Option<Percentiles>,
    /// What the machine itself took meanwhile.
    pub machine: Option<Machine>,
    /// CPU time of the processes given.
    pub cpu: Option<CpuTime>,
    /// The same per million messages published (consumed, without producers), user and system together.
    pub cpu_seconds_per_million: Option<f64>,
    /// CPU time of the load generator itself.
    pub own_cpu: CpuTime,
}

impl Report {
    /// What went wrong, in a sentence; `None` if all arrived and was confirmed.
    pub fn fault(&self) -> Option<String> {
        let faults = [
            (self.missing, "never arrived"),
            (self.nacked, "were refused (basic.nack)"),
            (self.unconfirmed, "were never confirmed"),
        ];
        let counted = faults.iter().filter(|(count, _)| *count > 0);
        let sentences: Vec<String> = counted
            .map(|(count, what)| format!("{count} messages {what}"))
            .collect();
        (!sentences.is_empty()).then(|| sentences.join("; "))
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, latency: Option<&Percentiles>) -> fmt::Result {
    let Some(p) = latency else { return Ok(()) };
    let [p50, p90, p99, p99_9, max] = [p.p50, p.p90, p.p99, p.p99_9, p.max].map(|micros| micros / 1000.0);
    writeln!(
        f,
        "{name:<18} p50 {p50:.3}  p90 {p90:.3}  p99 {p99:.3}  p99.9 {p99_9:.3}  max {max:.3} ms"
    )
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rate = |name: &str, count: u64, seconds: f64, rate: f64| {
            writeln!(f, "{name:<18} {count} in {seconds:.1} s: {rate:.0}/s")
        };
        if self.load.producers > 0 {
            rate("published", self.published, self.publish_seconds, self.publish_rate)?;
        }
        if self.load.consumers > 0 {
            rate("consumed", self.consumed, self.consume_seconds, self.consume_rate)?;
        }
        if self.load.confirm > 0 {
            writeln!(
                f,
                "confirmed          {} (nacked {}, open {})",
                self.confirmed, self.nacked, self.unconfirmed
            )?;
        }
        line(f, "latency", self.latency_us.as_ref())?;
        line(f, "confirm latency", self.confirm_latency_us.as_ref())?;
        if let Some(machine) = &self.machine {
            line(f, "fdatasync here", machine.fdatasync_us.as_ref())?;
            line(f, "TCP echo here", machine.tcp_echo_us.as_ref())?;
        }
        if self.redelivered + self.foreign > 0 {
            writeln!(
                f,
                "redelivered        {}, from elsewhere {}",
                self.redelivered, self.foreign
            )?;
        }
        if let (Some(cpu), Some(per_million)) = (self.cpu, self.cpu_seconds_per_million) {
            let (user, system) = (cpu.user_seconds, cpu.system_seconds);
            writeln!(
                f,
                "broker CPU         {user:.2} s user, {system:.2} s system: {per_million:.3} s per million messages"
            )?;
        }
        writeln!(f, "generator CPU      {:.2} s", self.own_cpu.total())
    }
}
