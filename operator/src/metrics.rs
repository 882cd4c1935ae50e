//! What the operator counts, as a Prometheus page. A few plain counters; they never decide anything.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Upper bounds in seconds of the histogram of passes.
const BOUNDS: [f64; 7] = [0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Upper bounds in seconds of the histogram of drains.
const DRAIN_BOUNDS: [f64; 6] = [1.0, 5.0, 15.0, 60.0, 300.0, 1800.0];

/// How a cluster was seen.
#[derive(Debug)]
struct Seen {
    /// Conditions by their types, and whether they hold.
    holding: Vec<(String, bool)>,
    phase: String,
    /// Since when this process has seen that phase and no other.
    since: Instant,
}

/// The counters.
#[derive(Debug, Default)]
pub struct Metrics {
    passes: AtomicU64,
    micros: AtomicU64,
    below: [AtomicU64; BOUNDS.len()],
    replaced: AtomicU64,
    drained_millis: AtomicU64,
    drained_below: [AtomicU64; DRAIN_BOUNDS.len()],
    policy_passes: AtomicU64,
    policy_micros: AtomicU64,
    /// One entry per kind of write.
    policy_writes: Mutex<BTreeMap<&'static str, u64>>,
    /// One entry per reason of an event, and there are only so many in the code.
    decisions: Mutex<BTreeMap<String, u64>>,
    /// By namespace and name of each cluster.
    clusters: Mutex<BTreeMap<(String, String), Seen>>,
    /// One entry per step of a pass, so at most as many as there are steps.
    failed: Mutex<BTreeMap<&'static str, u64>>,
}

impl Metrics {
    /// Counts a pass, and the step that it failed in.
    pub fn pass(&self, took: Duration, failed: Option<&'static str>) {
        self.passes.fetch_add(1, Ordering::Relaxed);
        self.micros
            .fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        for (bound, count) in BOUNDS.iter().zip(&self.below) {
            count.fetch_add(u64::from(took.as_secs_f64() <= *bound), Ordering::Relaxed);
        }
        if let Some(step) = failed {
            count(&self.failed, step);
        }
    }

    /// Counts a pass over a Policy, and the step that it failed in.
    pub fn policy_pass(&self, took: Duration, failed: Option<&'static str>) {
        self.policy_passes.fetch_add(1, Ordering::Relaxed);
        self.policy_micros
            .fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if let Some(step) = failed {
            count(&self.failed, step);
        }
    }

    /// Counts what the brokers were told of a policy.
    pub fn policy_written(&self, kind: &'static str) {
        count(&self.policy_writes, kind);
    }

    /// Counts what users were told, by its reason.
    pub fn decided(&self, reason: &str) {
        let mut decisions = self.decisions.lock().unwrap_or_else(PoisonError::into_inner);
        *decisions.entry(reason.to_owned()).or_default() += 1;
    }

    /// How a cluster was seen by the last pass over it.
    pub fn cluster(&self, namespace: &str, name: &str, phase: &str, conditions: &[Condition]) {
        let holds = |condition: &Condition| (condition.type_.clone(), condition.status == "True");
        let holding = conditions.iter().map(holds).collect();
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), name.to_owned());
        let before = clusters.get(&key).filter(|before| before.phase == phase);
        let since = before.map_or_else(Instant::now, |before| before.since);
        let seen = Seen {
            holding,
            phase: phase.to_owned(),
            since,
        };
        clusters.insert(key, seen);
    }

    /// A cluster is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        clusters.remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// Counts a replaced pod, and how long it took from the order to take its node out of service.
    pub fn replaced(&self, drained: Duration) {
        self.replaced.fetch_add(1, Ordering::Relaxed);
        self.drained_millis.fetch_add(
            u64::try_from(drained.as_millis()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        for (bound, count) in DRAIN_BOUNDS.iter().zip(&self.drained_below) {
            count.fetch_add(u64::from(drained.as_secs_f64() <= *bound), Ordering::Relaxed);
        }
    }

    /// The page.
    pub fn page(&self, leader: bool, (rolling, queued): (usize, usize)) -> String {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut page = String::new();
        head(
            &mut page,
            "warren_operator_pass_duration_seconds",
            "histogram",
            "Time of one pass over one cluster",
        );
        for (bound, count) in BOUNDS.iter().zip(&self.below) {
            line(
                &mut page,
                &format!("warren_operator_pass_duration_seconds_bucket{{le=\"{bound}\"}}"),
                read(count),
            );
        }
        line(
            &mut page,
            "warren_operator_pass_duration_seconds_bucket{le=\"+Inf\"}",
            read(&self.passes),
        );
        let seconds = Duration::from_micros(read(&self.micros)).as_secs_f64();
        line(&mut page, "warren_operator_pass_duration_seconds_sum", seconds);
        line(
            &mut page,
            "warren_operator_pass_duration_seconds_count",
            read(&self.passes),
        );
        head(
            &mut page,
            "warren_operator_pass_failures_total",
            "counter",
            "Passes that failed, by step",
        );
        for (step, count) in self.failed.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            line(
                &mut page,
                &format!("warren_operator_pass_failures_total{{step=\"{step}\"}}"),
                count,
            );
        }
        head(
            &mut page,
            "warren_operator_pods_replaced_total",
            "counter",
            "Pods deleted to give them a new template",
        );
        line(&mut page, "warren_operator_pods_replaced_total", read(&self.replaced));
        self.drains(&mut page);
        Self::rollouts(&mut page, (rolling, queued));
        self.policies(&mut page);
        self.decisions(&mut page);
        self.clusters(&mut page);
        head(
            &mut page,
            "warren_operator_leader",
            "gauge",
            "Whether this operator holds the lease",
        );
        line(&mut page, "warren_operator_leader", u8::from(leader));
        page
    }

    fn decisions(&self, page: &mut String) {
        let name = "warren_operator_decisions_total";
        head(page, name, "counter", "Events of clusters, by reason");
        let decisions = self.decisions.lock().unwrap_or_else(PoisonError::into_inner);
        for (reason, count) in decisions.iter() {
            line(page, &format!("{name}{{reason=\"{reason}\"}}"), count);
        }
    }

    fn clusters(&self, page: &mut String) {
        let name = "warren_operator_cluster_condition";
        head(page, name, "gauge", "Whether a condition of a RabbitCluster holds");
        let clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        for ((namespace, cluster), seen) in clusters.iter() {
            for (kind, holds) in &seen.holding {
                let labels = format!("cluster_namespace=\"{namespace}\",cluster=\"{cluster}\",type=\"{kind}\"");
                line(page, &format!("{name}{{{labels}}}"), u8::from(*holds));
            }
        }
        let name = "warren_operator_cluster_phase_seconds";
        head(
            page,
            name,
            "gauge",
            "How long this operator has seen a RabbitCluster in its phase without a break",
        );
        for ((namespace, cluster), seen) in clusters.iter() {
            let phase = &seen.phase;
            let labels = format!("cluster_namespace=\"{namespace}\",cluster=\"{cluster}\",phase=\"{phase}\"");
            line(page, &format!("{name}{{{labels}}}"), seen.since.elapsed().as_secs());
        }
    }

    fn drains(&self, page: &mut String) {
        let name = "warren_operator_drain_seconds";
        head(
            page,
            name,
            "histogram",
            "Time from the order to take a node out of service to the deletion of its pod for a new template",
        );
        for (bound, count) in DRAIN_BOUNDS.iter().zip(&self.drained_below) {
            line(
                page,
                &format!("{name}_bucket{{le=\"{bound}\"}}"),
                count.load(Ordering::Relaxed),
            );
        }
        let count = self.replaced.load(Ordering::Relaxed);
        line(page, &format!("{name}_bucket{{le=\"+Inf\"}}"), count);
        let sum = Duration::from_millis(self.drained_millis.load(Ordering::Relaxed));
        line(page, &format!("{name}_sum"), sum.as_secs_f64());
        line(page, &format!("{name}_count"), count);
    }

    fn rollouts(page: &mut String, (rolling, queued): (usize, usize)) {
        let name = "warren_operator_clusters_rolling";
        head(page, name, "gauge", "Clusters whose pods are being replaced");
        line(page, name, rolling);
        let name = "warren_operator_clusters_queued";
        head(
            page,
            name,
            "gauge",
            "Clusters whose pods are to be replaced when those of others have been",
        );
        line(page, name, queued);
    }

    fn policies(&self, page: &mut String) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let name = "warren_operator_policy_passes_total";
        head(page, name, "counter", "Passes over Policies");
        line(page, name, read(&self.policy_passes));
        let name = "warren_operator_policy_pass_seconds_total";
        head(page, name, "counter", "Time of all passes over Policies");
        line(
            page,
            name,
            Duration::from_micros(read(&self.policy_micros)).as_secs_f64(),
        );
        let name = "warren_operator_policy_writes_total";
        head(page, name, "counter", "What the brokers were told of policies, by kind");
        for (kind, count) in self.policy_writes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            line(page, &format!("{name}{{kind=\"{kind}\"}}"), count);
        }
    }
}

fn count(counters: &Mutex<BTreeMap<&'static str, u64>>, key: &'static str) {
    let mut counters = counters.lock().unwrap_or_else(PoisonError::into_inner);
    *counters.entry(key).or_default() += 1;
}

fn head(page: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(page: &mut String, name: &str, value: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    let _ = writeln!(page, "{name} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_counts_passes_failures_and_replaced_pods() {
        let metrics = Metrics::default();
        metrics.pass(Duration::from_millis(80), None);
        metrics.pass(Duration::from_secs(2), Some("act"));
        metrics.replaced(Duration::from_millis(7_500));
        metrics.policy_pass(Duration::from_millis(250), Some("policy_observe"));
        metrics.policy_written("drift_repaired");
        metrics.decided("PodReplaced");
        let degraded =
            "{type: Degraded, status: 'True', reason: a, message: b, lastTransitionTime: '2026-01-01T00:00:00Z'}";
        let degraded: Condition = serde_yaml::from_str(degraded).unwrap();
        metrics.cluster("shop", "orders", "Updating", std::slice::from_ref(&degraded));
        metrics.cluster("shop", "gone", "Running", &[degraded]);
        metrics.forget("shop", "gone");
        let page = metrics.page(true, (2, 3));
        assert!(!page.contains("gone"));
        for expected in [
            "warren_operator_pass_duration_seconds_bucket{le=\"0.05\"} 0",
            "warren_operator_pass_duration_seconds_bucket{le=\"0.1\"} 1",
            "warren_operator_pass_duration_seconds_bucket{le=\"5\"} 2",
            "warren_operator_pass_duration_seconds_sum 2.08",
            "warren_operator_pass_failures_total{step=\"act\"} 1",
            "warren_operator_pods_replaced_total 1",
            "warren_operator_policy_passes_total 1",
            "warren_operator_policy_pass_seconds_total 0.25",
            "warren_operator_policy_writes_total{kind=\"drift_repaired\"} 1",
            "warren_operator_pass_failures_total{step=\"policy_observe\"} 1",
            "warren_operator_decisions_total{reason=\"PodReplaced\"} 1",
            "warren_operator_cluster_condition{cluster_namespace=\"shop\",cluster=\"orders\",type=\"Degraded\"} 1",
            "warren_operator_drain_seconds_bucket{le=\"5\"} 0",
            "warren_operator_drain_seconds_bucket{le=\"15\"} 1",
            "warren_operator_drain_seconds_sum 7.5",
            "warren_operator_drain_seconds_count 1",
            "warren_operator_cluster_phase_seconds{cluster_namespace=\"shop\",cluster=\"orders\",phase=\"Updating\"} 0",
            "warren_operator_leader 1",
        ] {
            assert!(
                page.lines().any(|line| line == expected),
                "{expected} is not in\n{page}"
            );
        }
    }
    #[test]
    fn a_phase_is_as_old_as_it_was_seen_without_a_break() {
        let metrics = Metrics::default();
        let since = || {
            let clusters = metrics.clusters.lock().unwrap();
            clusters[&("shop".to_owned(), "orders".to_owned())].since
        };
        metrics.cluster("shop", "orders", "Updating", &[]);
        let begun = since();
        metrics.cluster("shop", "orders", "Updating", &[]);
        assert_eq!(since(), begun);
        metrics.cluster("shop", "orders", "Running", &[]);
        assert!(since() > begun);
    }
}
