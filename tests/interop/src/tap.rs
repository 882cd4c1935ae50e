//! Reads what a suite prints: the Test Anything Protocol, as far as our suites speak it. Decides whether a suite ran
//! whole; a suite that promised more tests than it reported, or ended badly without a failed test, counts as failed.

/// The outcome of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The sentence the test is named by.
    pub(crate) name: String,
    /// Why it failed; `None` if it passed.
    pub(crate) failure: Option<String>,
}

/// What a suite has reported so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    planned: Option<usize>,
    reported: usize,
    failed: usize,
}

impl Report {
    /// Takes one line; answers the outcome it reports, if it reports one. Other lines are a suite's own talk.
    pub(crate) fn line(&mut self, line: &str) -> Option<Outcome> {
        if let Some(count) = line.strip_prefix("1..").and_then(|count| count.parse().ok()) {
            self.planned = Some(count);
            return None;
        }
        let outcome = outcome(line)?;
        self.reported += 1;
        self.failed += usize::from(outcome.failure.is_some());
        Some(outcome)
    }

    /// What is wrong with the suite as a whole once it has ended; `clean` says whether it ended with exit code 0.
    pub(crate) fn end(&self, clean: bool) -> Option<String> {
        match self.planned {
            None => Some("the suite announced no tests".to_owned()),
            Some(0) => Some("the suite has no tests".to_owned()),
            Some(planned) if planned != self.reported => Some(format!(
                "the suite ended after {} of its {planned} tests",
                self.reported
            )),
            Some(_) if !clean && self.failed == 0 => {
                Some("every test passed, yet the suite ended with an error".to_owned())
            }
            Some(_) => None,
        }
    }
}

fn outcome(line: &str) -> Option<Outcome> {
    let (passed, rest) = match line.strip_prefix("not ok ") {
        Some(rest) => (false, rest),
        None => (true, line.strip_prefix("ok ")?),
    };
    let (number, name) = rest.split_once(" - ")?;
    number.parse::<usize>().ok()?;
    let (name, reason) = name.split_once(" # ").unwrap_or((name, "it gave no reason"));
    Some(Outcome {
        name: name.to_owned(),
        failure: (!passed).then(|| reason.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lines: &[&str]) -> (Vec<Outcome>, Report) {
        let mut report = Report::default();
        let outcomes = lines.iter().filter_map(|line| report.line(line)).collect();
        (outcomes, report)
    }

    #[test]
    fn each_result_line_is_one_outcome() {
        let (outcomes, report) = report(&[
            "1..2",
            "ok 1 - a_holds",
            "some talk",
            "not ok 2 - b_holds # expected 1 # found 2",
        ]);
        let expected = [("a_holds", None), ("b_holds", Some("expected 1 # found 2"))].map(|(name, failure)| Outcome {
            name: name.to_owned(),
            failure: failure.map(str::to_owned),
        });
        assert_eq!(outcomes, expected);
        assert_eq!(report.end(false), None);
    }

    #[test]
    fn talk_is_no_outcome() {
        let (outcomes, _) = report(&["ok", "ok then - fine", "not ok x - y", "", "okay 1 - z"]);
        assert_eq!(outcomes, []);
    }

    #[test]
    fn a_suite_that_did_not_run_whole_is_wrong() {
        let wrong = |lines: &[&str], clean| report(lines).1.end(clean);
        assert!(wrong(&[], true).is_some_and(|text| text.contains("announced no tests")));
        assert!(wrong(&["1..0"], true).is_some_and(|text| text.contains("has no tests")));
        assert!(wrong(&["1..2", "ok 1 - a"], true).is_some_and(|text| text.contains("after 1 of its 2")));
        assert!(wrong(&["1..1", "ok 1 - a", "ok 2 - b"], true).is_some_and(|text| text.contains("after 2 of its 1")));
        assert!(wrong(&["1..1", "ok 1 - a"], false).is_some_and(|text| text.contains("with an error")));
        assert_eq!(wrong(&["1..1", "ok 1 - a"], true), None);
    }
}
