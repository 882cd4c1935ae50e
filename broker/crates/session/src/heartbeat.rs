//! When to send a heartbeat and when to give a silent peer up, from octet counts and time.
//!
//! The sender looks each half interval, the receiver each interval; two silent intervals end the connection,
//! as RabbitMQ does. Any traffic counts.

use model::Millis;

/// Watches one connection.
#[derive(Debug)]
pub struct Heartbeat {
    interval: Millis,
    next_send: Millis,
    next_receive: Millis,
    sent: u64,
    received: u64,
    silent: u8,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Write a heartbeat frame now.
    pub send: bool,
    /// The peer has been silent for two intervals.
    pub dead: bool,
    /// Look again at this time.
    pub next: Millis,
}

impl Heartbeat {
    /// Starts watching at `now`; `None` if heartbeats are off.
    pub fn new(seconds: u16, now: Millis) -> Option<Self> {
        let interval = Millis(u64::from(seconds) * 1000);
        (seconds > 0).then(|| Heartbeat {
            interval,
            next_send: now.after(Millis(interval.0 / 2)),
            next_receive: now.after(interval),
            sent: 0,
            received: 0,
            silent: 0,
        })
    }

    /// First time to look.
    pub fn next(&self) -> Millis {
        self.next_send.min(self.next_receive)
    }

    /// Looks, given the totals of octets sent and received so far. While `paused` (the connection is blocked by
    /// an alarm and we do not read) silence is our own doing.
    pub fn look(&mut self, now: Millis, sent: u64, received: u64, paused: bool) -> Beat {
        let send = self.look_at_sending(now, sent);
        let dead = self.look_at_receiving(now, received, paused);
        Beat {
            send,
            dead,
            next: self.next(),
        }
    }

    fn look_at_sending(&mut self, now: Millis, sent: u64) -> bool {
        if now < self.next_send {
            return false;
        }
        self.next_send = now.after(Millis(self.interval.0 / 2));
        let idle = sent == self.sent;
        self.sent = sent;
        idle
    }

    fn look_at_receiving(&mut self, now: Millis, received: u64, paused: bool) -> bool {
        if now < self.next_receive {
            return false;
        }
        self.next_receive = now.after(self.interval);
        self.silent = if received != self.received || paused {
            0
        } else {
            self.silent + 1
        };
        self.received = received;
        self.silent >= 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_silent_intervals_end_it_and_one_does_not() {
        let mut watch = Heartbeat::new(10, Millis(0)).unwrap();
        assert!(!watch.look(Millis(10_000), 0, 8, false).dead, "spoke before");
        assert!(!watch.look(Millis(20_000), 0, 8, false).dead, "silent once");
        assert!(watch.look(Millis(30_000), 0, 8, false).dead, "silent twice");
    }

    #[test]
    fn a_heartbeat_goes_out_only_after_half_an_interval_without_octets() {
        let mut watch = Heartbeat::new(10, Millis(0)).unwrap();
        assert!(!watch.look(Millis(5_000), 100, 1, false).send);
        assert!(watch.look(Millis(10_000), 100, 2, false).send);
    }

    #[test]
    fn silence_does_not_count_while_we_do_not_read() {
        let mut watch = Heartbeat::new(1, Millis(0)).unwrap();
        for second in 1..20 {
            assert!(!watch.look(Millis(second * 1000), 0, 0, true).dead);
        }
    }

    #[test]
    fn zero_switches_heartbeats_off() {
        assert!(Heartbeat::new(0, Millis(0)).is_none());
    }
}
