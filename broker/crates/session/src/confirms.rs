//! Publisher confirms of one channel: numbers publishes and coalesces acknowledgements.
//!
//! Confirms keep publish order per channel (I4): a run of acks is closed before a nack is written.

/// Confirm state of a channel in confirm mode.
#[derive(Debug, Default)]
pub(crate) struct Confirms {
    last: u64,
    /// Publishes up to here have been confirmed on the wire.
    written: u64,
    /// Publishes up to here are acked, perhaps not yet written.
    acked: u64,
}

impl Confirms {
    /// Numbers a publish that is safe. Returns true if this begins a run that must be written later.
    pub(crate) fn ack(&mut self) -> bool {
        let begins = self.acked == self.written;
        self.last += 1;
        self.acked = self.last;
        begins
    }

    /// Numbers a publish that was refused and writes its nack, closing the run before it. Returns that run's length.
    pub(crate) fn nack(&mut self, channel: u16, out: &mut Vec<u8>) -> u64 {
        let run = self.write(channel, out);
        self.last += 1;
        self.acked = self.last;
        self.written = self.last;
        wire::nack(out, channel, self.last, false, false);
        run
    }

    /// Writes one ack for the run since the last one. Returns the run's length.
    pub(crate) fn write(&mut self, channel: u16, out: &mut Vec<u8>) -> u64 {
        let run = self.acked - self.written;
        if run > 0 {
            wire::ack(out, channel, self.acked, run > 1);
            self.written = self.acked;
        }
        run
    }
}
