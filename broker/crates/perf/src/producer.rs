//! A publishing connection: one task writes as much as its limits allow, the other reads confirms.

use crate::client::{CHANNEL, Inbox, not_an_end};
use crate::confirms::Confirms;
use crate::error::Error;
use crate::load::Prepared;
use crate::meter::Meter;
use crate::options::Options;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::sleep;
use wire::{AMQPClass, Kind, Method, basic, connection};

/// What limits a producer.
pub(crate) struct Producer {
    meter: Rc<Meter>,
    /// Unconfirmed publishes; `None` without confirms.
    confirms: Option<Rc<RefCell<Confirms>>>,
    confirm_window: u64,
    in_flight_max: u64,
    copies: u64,
    /// Publishes per second of this producer; `None` for no limit.
    rate: Option<f64>,
    /// Publishes left; `None` for no limit.
    left: Option<u64>,
    sent: u64,
}

/// What a producer may do next.
enum Next {
    Publish(usize),
    Wait,
    Sleep(Duration),
    Finished,
}

impl Producer {
    /// The `number`th of all producers.
    pub(crate) fn new(meter: Rc<Meter>, options: &Options, number: u64) -> Self {
        let producers = options.producers as u64;
        let share = |messages: u64| messages / producers + u64::from(number < messages % producers);
        Producer {
            meter,
            confirms: (options.confirm > 0).then(Rc::default),
            confirm_window: options.confirm as u64,
            in_flight_max: options.in_flight,
            copies: options.copies(),
            rate: (options.rate > 0).then(|| options.rate as f64 / producers as f64),
            left: options.messages.map(share),
            sent: 0,
        }
    }

    /// The task that reads what the broker says to this producer; ends only with the connection.
    pub(crate) fn reader(&self) -> ProducerReader {
        ProducerReader {
            meter: Rc::clone(&self.meter),
            confirms: self.confirms.clone(),
            blocked: false,
        }
    }

    /// Publishes until told to stop or done, and lets the broker say when it has taken all.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn run(mut self, mut prepared: Prepared, writer: &mut OwnedWriteHalf) -> Result<(), Error> {
        let start = self.meter.clock.elapsed();
        let meter = Rc::clone(&self.meter);
        loop {
            let progress = meter.progress.notified();
            match self.next(&prepared, meter.clock.elapsed() - start) {
                Next::Publish(count) => self.publish(&mut prepared, count, writer).await?,
                Next::Wait => progress.await,
                Next::Sleep(span) => sleep(span).await,
                Next::Finished => return finish(writer).await,
            }
        }
    }

    fn next(&self, prepared: &Prepared, elapsed: Duration) -> Next {
        if self.meter.stopping.get() || self.left == Some(0) {
            return Next::Finished;
        }
        let room = self.room();
        // Writes of a few publishes cost everybody more than waiting for a better part of a batch.
        let worthwhile = (prepared.batch() as u64).min(self.window()).div_ceil(2);
        if room < worthwhile {
            return Next::Wait;
        }
        let due = self.due(elapsed);
        match room.min(due).min(self.left.unwrap_or(u64::MAX)) {
            0 => Next::Sleep(self.until_due(elapsed)),
            allowed => Next::Publish(prepared.available(usize::try_from(allowed).unwrap_or(usize::MAX))),
        }
    }

    /// The smaller of both windows.
    fn window(&self) -> u64 {
        let limit = |window: u64| if window == 0 { u64::MAX } else { window };
        limit(self.confirm_window).min(limit(self.in_flight_max))
    }

    /// Publishes that both windows have room for.
    fn room(&self) -> u64 {
        let confirms = self.confirms.as_ref();
        let unconfirmed = confirms.map_or(0, |confirms| confirms.borrow().outstanding());
        let confirm_room = match self.confirm_window {
            0 => u64::MAX,
            window => window.saturating_sub(unconfirmed),
        };
        let flying = self
            .meter
            .published
            .get()
            .saturating_sub(self.meter.consumed.get() / self.copies);
        match self.in_flight_max {
            0 => confirm_room,
            limit => confirm_room.min(limit.saturating_sub(flying)),
        }
    }

    fn due(&self, elapsed: Duration) -> u64 {
        self.rate.map_or(u64::MAX, |rate| {
            ((elapsed.as_secs_f64() * rate) as u64 + 1).saturating_sub(self.sent)
        })
    }

    fn until_due(&self, elapsed: Duration) -> Duration {
        let at = self.sent as f64 / self.rate.unwrap_or(f64::MAX);
        Duration::from_secs_f64((at - elapsed.as_secs_f64()).max(0.0))
    }

    async fn publish(
        &mut self,
        prepared: &mut Prepared,
        count: usize,
        writer: &mut OwnedWriteHalf,
    ) -> Result<(), Error> {
        let now = self.meter.clock.nanos();
        let messages = count as u64;
        self.sent += messages;
        self.left = self.left.map(|left| left - messages);
        // Before the write: what is on its way counts, and confirms may come while it lasts.
        self.meter.published.add(messages);
        if let Some(confirms) = &self.confirms {
            confirms.borrow_mut().sent(messages, now);
        }
        Ok(writer.write_all(prepared.take(count, now)).await?)
    }
}

/// Asks a question whose answer comes only after all publishes before it were taken.
async fn finish(writer: &mut OwnedWriteHalf) -> Result<(), Error> {
    let mut out = Vec::new();
    wire::method(
        &mut out,
        CHANNEL,
        AMQPClass::Basic(basic::AMQPMethod::Qos(basic::Qos::default())),
    );
    Ok(writer.write_all(&out).await?)
}

/// The reading side of a producer.
pub(crate) struct ProducerReader {
    meter: Rc<Meter>,
    confirms: Option<Rc<RefCell<Confirms>>>,
    blocked: bool,
}

impl ProducerReader {
    /// Reads until the connection ends.
    ///
    /// # Errors
    /// The broker closed, or sent what makes no sense.
    pub(crate) async fn run(mut self, mut reader: OwnedReadHalf, mut inbox: Inbox) -> Result<(), Error> {
        loop {
            let now = self.meter.clock.nanos();
            while let Some(frame) = inbox.frame()? {
                if frame.kind == Kind::Method {
                    self.method(frame.payload, now)?;
                }
            }
            self.meter.progress.notify_waiters();
            inbox.fill(&mut reader).await?;
        }
    }

    fn method(&mut self, payload: &[u8], now: u64) -> Result<(), Error> {
        match wire::decode_method(payload).map_err(|error| Error::Protocol(error.to_string()))? {
            Method::Ack { tag, multiple } => self.settled(tag, multiple, now, true),
            Method::Nack { tag, multiple, .. } => self.settled(tag, multiple, now, false),
            Method::Other(AMQPClass::Connection(connection::AMQPMethod::Blocked(_))) => self.set_blocked(true),
            Method::Other(AMQPClass::Connection(connection::AMQPMethod::Unblocked(_))) => self.set_blocked(false),
            Method::Other(AMQPClass::Basic(basic::AMQPMethod::QosOk(_))) => {
                self.meter.finished.add(1);
                Ok(())
            }
            Method::Other(class) => not_an_end(class).map(drop),
            unexpected => Err(Error::Protocol(format!("{unexpected:?} to a producer"))),
        }
    }

    fn set_blocked(&mut self, blocked: bool) -> Result<(), Error> {
        if self.blocked != blocked {
            self.blocked = blocked;
            let others = self.meter.blocked.get();
            self.meter
                .blocked
                .set(if blocked { others + 1 } else { others.saturating_sub(1) });
        }
        Ok(())
    }

    fn settled(&mut self, tag: u64, multiple: bool, now: u64, ack: bool) -> Result<(), Error> {
        let Some(confirms) = &self.confirms else {
            return Err(Error::Protocol("a confirm that was not asked for".into()));
        };
        let mut latencies = self.meter.confirm_latencies.borrow_mut();
        let known = confirms.borrow_mut().settled(tag, multiple, |sent, count| {
            match ack {
                true => self.meter.confirmed.add(count),
                false => self.meter.nacked.add(count),
            }
            latencies.record(now.saturating_sub(sent), count);
        });
        match known {
            true => Ok(()),
            false => Err(Error::Protocol(format!(
                "a confirm of tag {tag}, which is not outstanding"
            ))),
        }
    }
}
