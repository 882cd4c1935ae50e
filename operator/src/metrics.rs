//! What the operator counts, as a Prometheus page. A few plain counters; they never decide anything.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Upper bounds in seconds of the histogram of passes.
const BOUNDS: [f64; 7] = [0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Conditions by their types, and whether they hold.
type Holding = Vec<(String, bool)>;

/// The counters.
#[derive(Debug, Default)]
pub struct Metrics {
    passes: AtomicU64,
    micros: AtomicU64,
    below: [AtomicU64; BOUNDS.len()],
    replaced: AtomicU64,
    policy_passes: AtomicU64,
    policy_micros: AtomicU64,
    /// One entry per kind of write.
    policy_writes: Mutex<BTreeMap<&'static str, u64>>,
    /// One entry per reason of an event, and there are only so many in the code.
    decisions: Mutex<BTreeMap<String, u64>>,
    /// Namespace and name of each cluster, with its conditions.
    clusters: Mutex<BTreeMap<(String, String), Holding>>,
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
    pub fn cluster(&self, namespace: &str, name: &str, conditions: &[Condition]) {
        let holds = |condition: &Condition| (condition.type_.clone(), condition.status == "True");
        let seen = conditions.iter().map(holds).collect();
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        clusters.insert((namespace.to_owned(), name.to_owned()), seen);
    }

    /// A cluster is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        clusters.remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// Counts a replaced pod.
    pub fn replaced(&self) {
        self.replaced.fetch_add(1, Ordering::Relaxed);
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
        for ((namespace, cluster), conditions) in clusters.iter() {
            for (kind, holds) in conditions {
                let labels = format!("cluster_namespace=\"{namespace}\",cluster=\"{cluster}\",type=\"{kind}\"");
                line(page, &format!("{name}{{{labels}}}"), u8::from(*holds));
            }
        }
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
        metrics.replaced();
        metrics.policy_pass(Duration::from_millis(250), Some("policy_observe"));
        metrics.policy_written("drift_repaired");
        metrics.decided("PodReplaced");
        let degraded =
            "{type: Degraded, status: 'True', reason: a, message: b, lastTransitionTime: '2026-01-01T00:00:00Z'}";
        let degraded: Condition = serde_yaml::from_str(degraded).unwrap();
        metrics.cluster("shop", "orders", std::slice::from_ref(&degraded));
        metrics.cluster("shop", "gone", &[degraded]);
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
            "warren_operator_leader 1",
        ] {
            assert!(
                page.lines().any(|line| line == expected),
                "{expected} is not in\n{page}"
            );
        }
    }
}
