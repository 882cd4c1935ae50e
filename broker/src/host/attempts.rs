//! Log-ins over AMQP that were tried, as administrators count them: from the start, or from when they said so.
//!
//! Prometheus counts on whatever is reset here.

use super::node::Node;

/// How often it was tried to log in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// With and without success.
    pub tried: u64,
    /// Refused.
    pub failed: u64,
}

impl Node {
    fn attempts_ever(&self) -> Attempts {
        let counts = self.counters().read();
        Attempts {
            tried: counts.logins,
            failed: counts.logins_failed,
        }
    }

    /// Since the start or since they were counted anew.
    pub fn auth_attempts(&self) -> Attempts {
        let (ever, before) = (self.attempts_ever(), *self.attempts_before.lock());
        Attempts {
            tried: ever.tried.saturating_sub(before.tried),
            failed: ever.failed.saturating_sub(before.failed),
        }
    }

    /// They are counted anew.
    pub fn reset_auth_attempts(&self) {
        *self.attempts_before.lock() = self.attempts_ever();
    }
}
