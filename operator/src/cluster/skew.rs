//! Which versions may run beside each other: those of one minor release and of the next, in either direction. A change of image that would skip
//! one is refused before any pod is replaced. Pure; judged by tags alone, and a tag that is no version is not judged.

use super::image::Reference;
use super::situation::{PodSeen, Situation};

/// The parts of a version that nodes agree on; a patch release changes nothing between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Minor {
    major: u64,
    minor: u64,
}

impl Minor {
    /// `1.4`, `1.4.2`, `v1.4.2-debug`.
    fn read(tag: &str) -> Option<Self> {
        let plain = tag.strip_prefix('v').unwrap_or(tag);
        let mut parts = plain.split(['-', '+']).next()?.split('.').map(str::parse);
        let (major, minor) = (parts.next()?.ok()?, parts.next()?.ok()?);
        parts.all(|patch| patch.is_ok()).then_some(Self { major, minor })
    }

    fn of(image: &Reference) -> Option<Self> {
        Self::read(image.tag.as_deref()?)
    }

    fn may_meet(self, other: Self) -> bool {
        let (older, newer) = (self.min(other), self.max(other));
        match newer.major - older.major {
            0 => newer.minor - older.minor <= 1,
            1 => newer.minor == 0,
            _ => false,
        }
    }
}

/// Why nodes of this image must not meet those that run, or what these have written.
pub fn skipped(wanted: &Reference, seen: &Situation) -> Option<String> {
    let new = Minor::of(wanted)?;
    let lived = seen.pods.iter().filter(|pod| pod.ever_ready);
    let image = |pod: &PodSeen| pod.image.parse::<Reference>().ok();
    let running = lived
        .filter_map(image)
        .find(|image| Minor::of(image).is_some_and(|old| !old.may_meet(new)))?;
    let (from, to) = (running.version(), wanted.version());
    Some(format!(
        "spec.image: nodes run {from}, and {to} is more than one minor release away: nothing was changed. Go by way of every minor release between \
         them, each when the one before runs on all nodes"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(running: &str, wanted: &str) -> bool {
        let pod = |(ordinal, tag): (usize, &str)| PodSeen {
            name: format!("pod-{ordinal}"),
            image: format!("localhost/warren:{}", tag.trim_end_matches('!')),
            ever_ready: !tag.ends_with('!'),
            ..PodSeen::default()
        };
        let seen = Situation {
            pods: running.split_whitespace().enumerate().map(pod).collect(),
            ..Situation::default()
        };
        skipped(&format!("localhost/warren:{wanted}").parse().unwrap(), &seen).is_some()
    }

    #[test]
    fn neighbouring_minor_releases_may_meet_and_no_others() {
        for (running, wanted) in [
            ("1.4.0 1.4.0", "1.4.7"),
            ("1.4.0 1.4.0", "1.5.0"),
            ("1.5.1 1.4.0", "1.5.2"),
            ("1.5.1 1.4.0", "1.4.0"),
            ("1.9.3", "2.0.0"),
            ("v1.4.0", "v1.5.0-debug"),
            ("", "3.0.0"),
        ] {
            assert!(!judged(running, wanted), "{running} to {wanted}");
        }
        for (running, wanted) in [
            ("1.4.0 1.4.0", "1.6.0"),
            ("1.5.1 1.4.0", "1.6.0"),
            ("1.6.0", "1.4.9"),
            ("1.9.3", "2.1.0"),
            ("1.4.0", "3.0.0"),
        ] {
            assert!(judged(running, wanted), "{running} to {wanted}");
        }
    }

    #[test]
    fn what_is_no_version_is_not_judged_and_neither_is_a_node_that_never_served() {
        for (running, wanted) in [
            ("dev", "1.4.0"),
            ("1.4.0", "dev"),
            ("1.4.0 1.9.0!", "1.4.0"),
            ("20", "30"),
        ] {
            assert!(!judged(running, wanted), "{running} to {wanted}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_both_versions() {
        let seen = Situation {
            pods: vec![PodSeen {
                image: "localhost/warren:1.4.0".into(),
                ever_ready: true,
                ..PodSeen::default()
            }],
            ..Situation::default()
        };
        let told = skipped(&"localhost/warren:1.6.0".parse().unwrap(), &seen).unwrap();
        assert!(
            told.starts_with("spec.image: nodes run 1.4.0, and 1.6.0 is more than one minor release away"),
            "{told}"
        );
    }
}
