//! Which kinds of the Prometheus Operator the API server has, asked once in a while for all clusters instead of in every pass.
//!
//! It may come and go, so what is known grows old soon; what turns out to be wrong is forgotten at once. An answer that could not be had is
//! never remembered.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::build::monitoring::Apis;

/// How old an answer may be.
pub const AGE_MAX: Duration = Duration::from_secs(60);

/// The last answer.
#[derive(Debug, Default)]
pub struct Discovery(Mutex<Option<(Instant, Apis)>>);

impl Discovery {
    /// What is known at this time, or what `look` finds.
    ///
    /// # Errors
    /// Those of `look`.
    pub async fn kinds<E>(&self, at: Instant, look: impl Future<Output = Result<Apis, E>>) -> Result<Apis, E> {
        let known = *self.last();
        if let Some((_, apis)) = known.filter(|(since, _)| at.saturating_duration_since(*since) < AGE_MAX) {
            return Ok(apis);
        }
        let apis = look.await?;
        *self.last() = Some((at, apis));
        Ok(apis)
    }

    /// The next pass asks.
    pub fn forget(&self) {
        *self.last() = None;
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<(Instant, Apis)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kinds_are_asked_for_once_a_minute_or_when_what_was_known_was_wrong() {
        let (known, start) = (Discovery::default(), Instant::now());
        let (none, both) = (
            Apis::default(),
            Apis {
                service_monitors: true,
                prometheus_rules: true,
            },
        );
        let ask = |seconds: u64, found: Result<Apis, &'static str>| {
            known.kinds(start + Duration::from_secs(seconds), async move { found })
        };
        assert_eq!(ask(0, Err("silent")).await, Err("silent"));
        assert_eq!(ask(0, Ok(none)).await, Ok(none), "a failure is not remembered");
        assert_eq!(ask(59, Err("is not asked")).await, Ok(none));
        assert_eq!(ask(60, Ok(both)).await, Ok(both), "the kinds came meanwhile");
        assert_eq!(ask(119, Ok(none)).await, Ok(both));
        known.forget();
        assert_eq!(ask(119, Ok(none)).await, Ok(none));
    }
}
