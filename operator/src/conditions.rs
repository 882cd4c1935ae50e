//! Conditions of a status. One keeps the date of its last change, so a pass in which nothing changed yields the very conditions that
//! are stored and nothing is written. Pure: the time comes in.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// A condition without its dates.
pub(crate) struct Claim {
    pub(crate) kind: &'static str,
    pub(crate) holds: bool,
    pub(crate) reason: String,
    pub(crate) message: String,
}

pub(crate) fn claim(kind: &'static str, holds: bool, reason: &str, message: impl Into<String>) -> Claim {
    Claim {
        kind,
        holds,
        reason: reason.into(),
        message: message.into(),
    }
}

/// The claims as conditions.
pub(crate) fn stamped(
    old: &[Condition],
    claims: Vec<Claim>,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let stamp = |claim: Claim| {
        let status = if claim.holds { "True" } else { "False" };
        let before = old
            .iter()
            .find(|before| before.type_ == claim.kind && before.status == status);
        Condition {
            type_: claim.kind.into(),
            status: status.into(),
            reason: claim.reason,
            message: claim.message,
            observed_generation: generation,
            last_transition_time: before.map_or(Time(now), |before| before.last_transition_time.clone()),
        }
    };
    claims.into_iter().map(stamp).collect()
}

/// So many of them, as a sentence says it.
pub(crate) fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

/// A text on one line: a column of `kubectl get` ends at the first.
pub(crate) fn on_one_line(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_shows_what_a_broker_says_below_its_first_line() {
        assert_eq!(
            on_one_line("Validation failed\n\n[max-lenght]\n"),
            "Validation failed; [max-lenght]"
        );
        assert_eq!(on_one_line("one line"), "one line");
    }
}
