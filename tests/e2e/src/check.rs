//! What a check is: a sentence about behaviour and a function that proves it or says what it saw instead. Counts them. A check
//! that others build upon is made with `needed`: if it fails, the rest is counted as failed without being tried.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

/// Nothing, or what was seen instead.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The checks made so far.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    passed: usize,
    failed: usize,
    broken: Option<String>,
}

impl Checks {
    /// Makes one check and prints its line.
    pub(crate) fn check(&mut self, sentence: &str, prove: impl FnOnce() -> Outcome) {
        let began = Instant::now();
        let outcome = match &self.broken {
            Some(needed) => Err(format!("not tried, since this failed: {needed}")),
            None => prove(),
        };
        let took = began.elapsed().as_secs_f32();
        match outcome {
            Ok(()) => {
                self.passed += 1;
                println!("ok    {sentence} ({took:.1} s)");
            }
            Err(reason) => {
                self.failed += 1;
                println!(
                    "FAIL  {sentence} ({took:.1} s)\n        {}",
                    reason.trim().replace('\n', "\n        ")
                );
            }
        }
    }

    /// Makes one check without which the later ones make no sense.
    pub(crate) fn needed(&mut self, sentence: &str, prove: impl FnOnce() -> Outcome) {
        let failed = self.failed;
        self.check(sentence, prove);
        if self.failed > failed {
            self.broken.get_or_insert_with(|| sentence.to_owned());
        }
    }

    /// For checks that are made beside these: what was needed here is needed there.
    pub(crate) fn beside(&self) -> Self {
        Self {
            broken: self.broken.clone(),
            ..Self::default()
        }
    }

    /// Counts those that were made beside these.
    pub(crate) fn add(&mut self, others: &Self) {
        self.passed += others.passed;
        self.failed += others.failed;
    }

    /// Prints the closing line; success if none failed and some passed.
    pub(crate) fn close(self) -> ExitCode {
        println!("\n{} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 && self.passed > 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// Asks again and again until the answer is `Ok`, or returns the last refusal when the time is up.
pub(crate) fn within<T>(limit: Duration, mut ask: impl FnMut() -> Outcome<T>) -> Outcome<T> {
    let end = Instant::now() + limit;
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(reason) if Instant::now() > end => return Err(format!("not within {} s: {reason}", limit.as_secs())),
            Err(_) => thread::sleep(Duration::from_millis(100)), // between two questions, never instead of one
        }
    }
}

/// `Ok` if the text holds the words, else both.
pub(crate) fn says(text: &str, words: &str) -> Outcome {
    if text.contains(words) {
        Ok(())
    } else {
        Err(format!("'{words}' is not in:\n{text}"))
    }
}

/// `Ok` if both are equal.
pub(crate) fn equal<T: PartialEq + std::fmt::Debug>(got: T, wanted: T) -> Outcome {
    if got == wanted {
        Ok(())
    } else {
        Err(format!("got {got:?}, wanted {wanted:?}"))
    }
}
