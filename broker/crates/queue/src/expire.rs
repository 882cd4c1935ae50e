//! What time does: messages die at the head, an unused queue asks to be deleted, rules change.
//!
//! Nothing is scanned: the host sleeps until `next_deadline` and calls `tick`.

use model::Millis;

use crate::message::Message;
use crate::queue::Queue;
use crate::settings::Settings;
use crate::sink::{Death, Retire, Sink};

impl<M: Message, C> Queue<M, C> {
    /// When [`tick`](Self::tick) must be called next, if nothing else happens.
    pub fn next_deadline(&self) -> Option<Millis> {
        let message = self.backlog.deadline().filter(|_| !self.held_up);
        match (message, self.retires_at()) {
            (Some(message), Some(queue)) => Some(message.min(queue)),
            (message, queue) => message.or(queue),
        }
    }

    /// Does what is due. Calling early or often is harmless.
    pub fn tick(&mut self, now: Millis, sink: &mut impl Sink<M, C>) {
        self.expire(now, sink);
        self.drop_excess(sink);
        if self.retires_at().is_some_and(|at| at <= now) {
            // Asked again after another span, in case the first request got lost.
            self.touch(now);
            sink.retire(Retire::Unused);
        }
    }

    /// New rules, by policy. Limits hold at once; a new TTL holds for messages published from now on; the time unused
    /// counts from now. `max_priority`, `single_active_consumer` and `durable` are fixed at declaration and stay
    /// as they are.
    pub fn set_settings(&mut self, now: Millis, settings: Settings, sink: &mut impl Sink<M, C>) {
        let Settings {
            max_priority,
            single_active_consumer,
            durable,
            returns_in_turn,
            ..
        } = self.settings;
        if settings.expires != self.settings.expires {
            self.touch(now);
        }
        let told_delivered = self.settings.tells_delivered();
        self.settings = Settings {
            max_priority,
            single_active_consumer,
            durable,
            returns_in_turn,
            ..settings
        };
        if self.settings.tells_delivered() && !told_delivered {
            self.recall_delivered();
        }
        self.backlog.set_resident_bytes_max(settings.resident_bytes_max);
        self.expire(now, sink);
        self.drop_excess(sink);
    }

    /// Nobody was to ask until now how far messages were handed out: those that are still held say.
    #[cold]
    pub(crate) fn recall_delivered(&mut self) {
        let returned = self.backlog.returned().filter(|held| held.redelivered);
        let handed_out = self.unacked.iter().chain(returned);
        let handed_out: Vec<_> = handed_out.map(|held| (held.level, held.seq)).collect();
        for (level, seq) in handed_out {
            let to = &mut self.delivered_to[usize::from(level)];
            *to = seq.max(*to);
        }
    }

    /// There is room for letters again, for some at least: what should be dead dies, and the rest is delivered.
    pub fn go_on(&mut self, now: Millis, sink: &mut impl Sink<M, C>) {
        self.held_up = false;
        self.expire(now, sink);
        self.drop_excess(sink);
        self.pump(now, sink);
    }

    /// True unless the head has to wait for its death.
    pub(crate) fn may_bury(&mut self, sink: &mut impl Sink<M, C>) -> bool {
        self.held_up = self.settings.dead_letters && (self.held_up || !sink.has_room_for_letter());
        !self.held_up
    }

    /// Buries what has expired at the head.
    pub(crate) fn expire(&mut self, now: Millis, sink: &mut impl Sink<M, C>) {
        if self.backlog.is_expiring() {
            self.expire_heads(now, sink);
        }
    }

    #[inline(never)]
    fn expire_heads(&mut self, now: Millis, sink: &mut impl Sink<M, C>) {
        while self.backlog.is_head_expired(now)
            && self.may_bury(sink)
            && let Some(held) = self.take_head(sink)
        {
            self.bury(held, Death::Expired, sink);
        }
        if self.backlog.is_expiring() && self.backlog.is_head_away() {
            self.fetch_head(sink);
        }
    }

    fn retires_at(&self) -> Option<Millis> {
        let span = self.settings.expires.filter(|_| self.consumers.is_empty())?;
        Some(self.unused_since.after(span))
    }
}
