//! A consuming connection: counts whole messages, takes their latencies and acknowledges them.

use crate::client::{CHANNEL, Inbox, not_an_end};
use crate::error::Error;
use crate::load::stamp_of;
use crate::meter::Meter;
use crate::options::Options;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;
use wire::{Frame, Kind, Method, decode_delivery, decode_header, decode_method};

/// Deliveries short of `ack_every` are acknowledged after so long without a new one.
const ACK_REST_AFTER: Duration = Duration::from_millis(100);

/// What a consumer has seen of its stream.
pub(crate) struct Consumer {
    meter: Rc<Meter>,
    stamped: bool,
    /// Deliveries for one ack; `None` with auto-ack.
    ack_every: Option<u64>,
    /// Tag of the last delivery, and of the last that was acknowledged.
    tag: u64,
    acked: u64,
    /// Octets of the current body still to come, and its beginning if that came in pieces.
    missing: u64,
    body_starts: bool,
    /// The current message was sent by somebody else.
    foreign: bool,
    /// False when nothing is published in this run, so that nothing is foreign.
    knows_own: bool,
    /// Time stamp that the last messages share, and how many of them.
    same: (u64, u64),
    out: Vec<u8>,
}

impl Consumer {
    pub(crate) fn new(meter: Rc<Meter>, options: &Options) -> Self {
        Consumer {
            meter,
            stamped: options.is_stamped(),
            ack_every: (!options.auto_ack).then_some(options.ack_every),
            tag: 0,
            acked: 0,
            missing: 0,
            body_starts: false,
            foreign: false,
            knows_own: options.producers > 0,
            same: (0, 0),
            out: Vec::new(),
        }
    }

    /// Consumes until the connection ends.
    ///
    /// # Errors
    /// The broker closed, or sent what makes no sense.
    pub(crate) async fn run(
        mut self,
        mut reader: OwnedReadHalf,
        mut writer: OwnedWriteHalf,
        mut inbox: Inbox,
    ) -> Result<(), Error> {
        loop {
            self.read_all(&mut inbox)?;
            if !self.out.is_empty() {
                writer.write_all(&self.out).await?;
                self.out.clear();
            }
            if self.ack_every.is_none() || self.acked == self.tag {
                inbox.fill(&mut reader).await?;
            } else if let Ok(filled) = timeout(ACK_REST_AFTER, inbox.fill(&mut reader)).await {
                filled?;
            } else {
                self.ack();
            }
        }
    }

    /// Everything that has been read.
    fn read_all(&mut self, inbox: &mut Inbox) -> Result<(), Error> {
        let (now, before) = (self.meter.clock.nanos(), self.meter.consumed.get());
        while let Some(frame) = inbox.frame()? {
            self.read(&frame, now)?;
        }
        self.flush_latency(now);
        if self.meter.consumed.get() != before {
            self.meter.consumed_last.set(now);
            self.meter.progress.notify_waiters();
        }
        Ok(())
    }

    fn read(&mut self, frame: &Frame<'_>, now: u64) -> Result<(), Error> {
        match frame.kind {
            Kind::Method => self.method(frame.payload),
            Kind::Header => self.header(frame.payload),
            Kind::Body => self.body(frame.payload, now),
            Kind::Heartbeat => Ok(()),
        }
    }

    fn method(&mut self, payload: &[u8]) -> Result<(), Error> {
        let Some(delivery) = decode_delivery(payload) else {
            return other_method(payload);
        };
        self.tag = delivery.delivery_tag;
        self.meter.redelivered.add(delivery.redelivered.into());
        Ok(())
    }

    fn header(&mut self, payload: &[u8]) -> Result<(), Error> {
        let header = decode_header(payload).map_err(|error| Error::Protocol(error.to_string()))?;
        self.missing = header.body_size;
        self.body_starts = true;
        match self.missing {
            0 => self.whole(),
            _ => Ok(()),
        }
    }

    fn body(&mut self, piece: &[u8], now: u64) -> Result<(), Error> {
        if std::mem::take(&mut self.body_starts) && self.stamped {
            self.stamp(piece, now);
        }
        let too_long = || Error::Protocol("a body longer than its header says".into());
        self.missing = self.missing.checked_sub(piece.len() as u64).ok_or_else(too_long)?;
        match self.missing {
            0 => self.whole(),
            _ => Ok(()),
        }
    }

    /// Messages that share a stamp are counted together.
    fn stamp(&mut self, body: &[u8], now: u64) {
        match stamp_of(body) {
            Some((nanos, run)) if run == self.meter.run => {
                if nanos != self.same.0 {
                    self.flush_latency(now);
                    self.same.0 = nanos;
                }
                self.same.1 += 1;
            }
            _ => self.foreign = self.knows_own,
        }
    }

    fn flush_latency(&mut self, now: u64) {
        let (sent, count) = std::mem::take(&mut self.same);
        if count > 0 {
            self.meter.took(now.saturating_sub(sent), count);
        }
    }

    fn whole(&mut self) -> Result<(), Error> {
        match std::mem::take(&mut self.foreign) {
            true => self.meter.foreign.add(1),
            false => self.meter.consumed.add(1),
        }
        if self.ack_every.is_some_and(|every| self.tag - self.acked >= every) {
            self.ack();
        }
        Ok(())
    }

    fn ack(&mut self) {
        wire::ack(&mut self.out, CHANNEL, self.tag, self.tag - self.acked > 1);
        self.acked = self.tag;
    }
}

/// Methods other than deliveries: answers that come late, and ends.
fn other_method(payload: &[u8]) -> Result<(), Error> {
    match decode_method(payload).map_err(|error| Error::Protocol(error.to_string()))? {
        Method::Other(class) => not_an_end(class).map(drop),
        unexpected => Err(Error::Protocol(format!("{unexpected:?} to a consumer"))),
    }
}
