//! Leader election by a Lease, so that two operators never act at once. `Candidate::decide` is pure: a lease is another's until it has
//! not changed for its whole duration by *our* clock, so clocks need not agree. Every write carries the version that was read.
//! A leader that could not renew for `RENEW_WITHIN` stops acting well before another may begin, and hands the lease back on SIGTERM.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;

use crate::api_error::said;
use crate::cluster::names::{LABEL_MANAGED_BY, OPERATOR, map};

/// A lease that did not change for this long is free.
const LASTS: Duration = Duration::from_secs(15);
/// A leader that could not renew for this long stops acting.
const RENEW_WITHIN: Duration = Duration::from_secs(10);
/// Pause between looks.
const EVERY: Duration = Duration::from_secs(2);

/// Milliseconds since the process began: a clock that nobody sets.
pub type Millis = u64;

fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

/// The part of a lease that election is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who holds it; empty when it was handed back.
    pub holder: String,
    /// Changes with every renewal. Only compared for equality.
    pub version: String,
    /// How long it lasts without a renewal.
    pub lasts: Millis,
}

/// What to do about the lease now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// There is none: make it, held by us.
    Create,
    /// It is free or has run out: write us in.
    Take,
    /// It is ours: renew it.
    Renew,
    /// It is another's.
    Follow,
}

/// One who wants the lease.
#[derive(Clone, Debug)]
pub struct Candidate {
    me: String,
    seen: Option<(Record, Millis)>,
}

impl Candidate {
    /// A candidate of that name, which no other may have.
    pub fn new(me: &str) -> Self {
        Self {
            me: me.to_owned(),
            seen: None,
        }
    }

    /// Decides from the lease as it was just read.
    pub fn decide(&mut self, record: Option<&Record>, now: Millis) -> Move {
        let Some(record) = record else {
            self.seen = None;
            return Move::Create;
        };
        if record.holder == self.me {
            return Move::Renew;
        }
        if record.holder.is_empty() {
            return Move::Take;
        }
        let since = match &self.seen {
            Some((before, since)) if before == record => *since,
            Some(_) | None => {
                self.seen = Some((record.clone(), now));
                now
            }
        };
        if now.saturating_sub(since) > record.lasts {
            Move::Take
        } else {
            Move::Follow
        }
    }
}

/// Whether we may act, for whoever is about to.
#[derive(Clone, Debug)]
pub struct Leadership {
    began: Instant,
    /// 0 before the first success.
    until: Arc<AtomicU64>,
}

impl Default for Leadership {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            until: Arc::default(),
        }
    }
}

impl Leadership {
    /// Whether the lease is ours and was renewed recently enough.
    pub fn holds(&self) -> bool {
        self.now() < self.until.load(Ordering::Acquire)
    }

    fn now(&self) -> Millis {
        millis(self.began.elapsed())
    }

    /// The lease was ours at `asked`, when the request was sent.
    pub(crate) fn confirm(&self, asked: Millis) {
        self.until.store(asked + millis(RENEW_WITHIN), Ordering::Release);
    }

    fn give_up(&self) {
        self.until.store(0, Ordering::Release);
    }
}

/// The lease object and our claim to it.
#[derive(Debug)]
pub struct Election {
    leases: Api<Lease>,
    name: String,
    candidate: Candidate,
    leadership: Leadership,
}

impl Election {
    /// Stands for the lease of that name and namespace.
    pub fn new(client: Client, namespace: &str, name: &str, me: &str, leadership: Leadership) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            name: name.to_owned(),
            candidate: Candidate::new(me),
            leadership,
        }
    }

    /// Returns once the lease is ours, or at `stop`.
    pub async fn win(&mut self, stop: &CancellationToken) {
        tracing::info!(lease = self.name, me = self.candidate.me, "standing for the lease");
        while !stop.is_cancelled() {
            match self.round().await {
                Ok(true) => return tracing::info!(lease = self.name, "the lease is ours"),
                Ok(false) => {}
                Err(error) => tracing::warn!(error = said(&error), lease = self.name, "the lease cannot be reached"),
            }
            pause(stop).await;
        }
    }

    /// Renews until `stop`, or until the lease is lost; then nothing may be written any more.
    pub async fn keep(&mut self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            pause(stop).await;
            match self.round().await {
                Ok(true) => {}
                Ok(false) => self.leadership.give_up(),
                Err(error) => tracing::warn!(
                    error = said(&error),
                    lease = self.name,
                    "the lease could not be renewed"
                ),
            }
            if !self.leadership.holds() {
                break;
            }
        }
    }

    /// Hands the lease back so that the next operator need not wait for it to run out.
    pub async fn release(&self) {
        self.leadership.give_up();
        let read = tokio::time::timeout(EVERY, self.leases.get_opt(&self.name)).await;
        let Ok(Ok(Some(mut lease))) = read else { return };
        if record(&lease).holder != self.candidate.me {
            return;
        }
        lease.spec.get_or_insert_default().holder_identity = Some(String::new());
        let written =
            tokio::time::timeout(EVERY, self.leases.replace(&self.name, &PostParams::default(), &lease)).await;
        match written {
            Ok(Ok(_)) => tracing::info!(lease = self.name, "handed the lease back"),
            Ok(Err(error)) => tracing::warn!(
                error = said(&error),
                "the lease could not be handed back; it runs out by itself"
            ),
            Err(_) => tracing::warn!("the lease could not be handed back in time; it runs out by itself"),
        }
    }

    /// One look and at most one write; whether the lease is ours after it.
    async fn round(&mut self) -> Result<bool, kube::Error> {
        let asked = self.leadership.now();
        let work = self.look_and_write(asked);
        let Ok(ours) = tokio::time::timeout(RENEW_WITHIN / 2, work).await else {
            tracing::warn!("the API server did not answer in time");
            return Err(kube::Error::Service("no answer in time".into()));
        };
        if matches!(ours, Ok(true)) {
            self.leadership.confirm(asked);
        }
        ours
    }

    async fn look_and_write(&mut self, now: Millis) -> Result<bool, kube::Error> {
        let found = self.leases.get_opt(&self.name).await?;
        let seen = found.as_ref().map(record);
        let step = self.candidate.decide(seen.as_ref(), now);
        let written = match (step, found) {
            (Move::Follow, _) => return Ok(false),
            (Move::Create, _) | (_, None) => {
                let lease = self.written(Lease::default(), true);
                self.leases.create(&PostParams::default(), &lease).await
            }
            (Move::Take | Move::Renew, Some(lease)) => {
                let lease = self.written(lease, step == Move::Take);
                self.leases.replace(&self.name, &PostParams::default(), &lease).await
            }
        };
        match written {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 && step != Move::Renew => Ok(false), // another was quicker
            Err(error) => Err(error),
        }
    }

    fn written(&self, mut lease: Lease, taken: bool) -> Lease {
        let now = Timestamp::now();
        let old = lease.spec.take().unwrap_or_default();
        let transitions = old.lease_transitions.unwrap_or(0);
        lease.metadata = ObjectMeta {
            name: Some(self.name.clone()),
            labels: Some(map([(LABEL_MANAGED_BY, OPERATOR)])),
            ..lease.metadata
        };
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.candidate.me.clone()),
            lease_duration_seconds: i32::try_from(LASTS.as_secs()).ok(),
            acquire_time: if taken { Some(MicroTime(now)) } else { old.acquire_time },
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(transitions + i32::from(taken)),
            ..LeaseSpec::default()
        });
        lease
    }
}

async fn pause(stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(EVERY) => {}
        () = stop.cancelled() => {}
    }
}

/// What the lease says.
pub fn record(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.unwrap_or(0);
    Record {
        holder: spec.holder_identity.unwrap_or_default(),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        lasts: u64::try_from(seconds).unwrap_or(0) * 1000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(holder: &str, version: u32) -> Record {
        Record {
            holder: holder.into(),
            version: version.to_string(),
            lasts: 15_000,
        }
    }

    #[test]
    fn a_free_lease_is_taken_and_our_own_is_renewed() {
        let mut me = Candidate::new("me");
        assert_eq!(me.decide(None, 0), Move::Create);
        assert_eq!(me.decide(Some(&held("", 1)), 0), Move::Take);
        assert_eq!(me.decide(Some(&held("me", 2)), 999_999), Move::Renew);
    }

    #[test]
    fn anothers_lease_is_taken_only_after_it_stood_still_for_its_duration() {
        let mut me = Candidate::new("me");
        assert_eq!(
            me.decide(Some(&held("other", 1)), 100_000),
            Move::Follow,
            "when it was renewed we cannot know"
        );
        assert_eq!(me.decide(Some(&held("other", 1)), 115_000), Move::Follow);
        assert_eq!(me.decide(Some(&held("other", 1)), 115_001), Move::Take);
    }

    #[test]
    fn a_renewal_starts_the_wait_anew() {
        let mut me = Candidate::new("me");
        assert_eq!(me.decide(Some(&held("other", 1)), 0), Move::Follow);
        assert_eq!(me.decide(Some(&held("other", 2)), 15_000), Move::Follow);
        assert_eq!(me.decide(Some(&held("other", 2)), 29_000), Move::Follow);
        assert_eq!(me.decide(Some(&held("other", 2)), 30_001), Move::Take);
    }

    #[test]
    fn a_third_candidate_that_took_the_lease_is_waited_for_again() {
        let mut me = Candidate::new("me");
        assert_eq!(me.decide(Some(&held("other", 1)), 0), Move::Follow);
        assert_eq!(me.decide(Some(&held("third", 2)), 15_001), Move::Follow);
    }

    #[test]
    fn leadership_ends_well_before_another_may_begin() {
        assert!(RENEW_WITHIN + EVERY < LASTS);
        let leadership = Leadership::default();
        assert!(!leadership.holds(), "nothing may be written before the lease was won");
        leadership.confirm(leadership.now());
        assert!(leadership.holds());
        leadership.give_up();
        assert!(!leadership.holds());
    }

    #[test]
    fn of_two_candidates_at_most_one_may_act_at_any_time() {
        // Both look at every tick; the first stops renewing at 20 s and acts at most RENEW_WITHIN longer.
        let (mut first, mut second) = (Candidate::new("first"), Candidate::new("second"));
        let (mut lease, mut version, mut until) = (None::<Record>, 0, [0; 2]);
        for now in (0..120_000).step_by(500) {
            for (who, candidate) in [&mut first, &mut second].into_iter().enumerate() {
                if who == 0 && now > 20_000 {
                    continue;
                }
                if candidate.decide(lease.as_ref(), now) != Move::Follow {
                    version += 1;
                    lease = Some(held(&candidate.me, version));
                    until[who] = now + millis(RENEW_WITHIN);
                }
            }
            assert!(
                until.iter().filter(|until| now < **until).count() < 2,
                "two leaders at {now} ms"
            );
        }
        assert_eq!(lease.unwrap().holder, "second");
    }
}
