//! Latencies counted in a histogram of bounded size: three digits, up to an hour.

use hdrhistogram::Histogram;
use serde::Serialize;

const NANOS_MAX: u64 = 3_600_000_000_000;

/// Counts of latencies in nanoseconds.
pub(crate) struct Latencies(Histogram<u64>);

/// Percentiles in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// How many were counted.
    pub count: u64,
    /// Smallest.
    pub min: f64,
    /// Half are at most this.
    pub p50: f64,
    /// 90 in 100.
    pub p90: f64,
    /// 99 in 100.
    pub p99: f64,
    /// 999 in 1000.
    pub p99_9: f64,
    /// Largest.
    pub max: f64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        // The bounds are sound constants; growing is allowed should they ever not be.
        Latencies(Histogram::new_with_bounds(1, NANOS_MAX, 3).unwrap_or_else(|_| {
            let mut histogram = Histogram::new(3).unwrap_or_else(|_| unreachable!("3 digits are allowed"));
            histogram.auto(true);
            histogram
        }))
    }

    /// Counts `count` messages that took `nanos` each; longer than an hour counts as an hour.
    pub(crate) fn record(&mut self, nanos: u64, count: u64) {
        self.0.saturating_record_n(nanos, count);
    }

    pub(crate) fn clear(&mut self) {
        self.0.reset();
    }

    /// `None` while nothing was counted.
    pub(crate) fn percentiles(&self) -> Option<Percentiles> {
        let micros = |nanos: u64| nanos as f64 / 1000.0;
        let at = |quantile: f64| micros(self.0.value_at_quantile(quantile));
        (!self.0.is_empty()).then(|| Percentiles {
            count: self.0.len(),
            min: micros(self.0.min()),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: micros(self.0.max()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact_to_three_digits() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.percentiles(), None);
        (1..=1000).for_each(|micros| latencies.record(micros * 1000, 2));
        let seen = latencies.percentiles().expect("counted");
        assert_eq!(seen.count, 2000);
        for (value, expected) in [
            (seen.p50, 500.0),
            (seen.p99, 990.0),
            (seen.max, 1000.0),
            (seen.min, 1.0),
        ] {
            assert!((value - expected).abs() / expected < 0.002, "{value} is not {expected}");
        }
    }
}
