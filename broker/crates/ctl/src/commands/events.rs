//! What happens in the cluster, followed as it happens: one JSON object a line, as `jq` reads it.

use crate::command::{Command, Output, Session};
use crate::commands::status::{at, items};
use crate::format::json;
use crate::options::{Kind, short, switch};
use crate::problem::{Problem, USAGE};
use link::{EventPlace, Request, Term};
use regex::Regex;
use std::time::{Duration, Instant};

/// Between two questions.
const QUESTIONS_APART: Duration = Duration::from_millis(200);

pub(super) const COMMANDS: &[Command] = &[Command::new("consume_event_stream", stream)
    .help(
        "[--duration|-d <seconds>] [--pattern <pattern>] [--timeout <timeout>]",
        "Streams what happens in the cluster, one JSON object a line",
    )
    .with(&[short("duration", 'd', Kind::Number), switch("pattern", Kind::Text)])
    .in_diagnostics()
    .checked(|options, _| pattern(options.text("pattern")).map(drop))
    .under("Monitoring, observability and health checks")];

/// Which events are shown.
fn pattern(text: Option<&str>) -> Result<Regex, Problem> {
    let unreadable = |why: regex::Error| Problem::plain(USAGE, format!("--pattern is no regular expression: {why}"));
    Regex::new(text.unwrap_or_default()).map_err(unreadable)
}

/// Prints what happens, as it comes, until the time is over.
fn stream(session: &mut Session<'_>) -> Result<Output, Problem> {
    let wanted = pattern(session.options.text("pattern"))?;
    let seconds = session.options.number("duration");
    let seconds = seconds.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    let (begun, mut places) = (Instant::now(), Vec::new());
    loop {
        let answer = session.ask(&Request::Events { places })?;
        places = places_in(&answer);
        if let Some(Term::Integer(missed @ 1..)) = at(&answer, &["missed"]) {
            eprintln!("{missed} events came too fast and were dropped");
        }
        let is_wanted =
            |event: &&Term| matches!(at(event, &["event"]), Some(Term::Binary(key)) if wanted.is_match(key));
        let events = items(&answer, "events").iter().filter(is_wanted);
        events.for_each(|event| tell!("{}", json(event)));
        if seconds.is_some_and(|seconds| begun.elapsed() >= seconds) {
            return Ok(Output::Printed);
        }
        std::thread::sleep(QUESTIONS_APART);
    }
}

fn places_in(answer: &Term) -> Vec<EventPlace> {
    let place = |place: &Term| match (at(place, &["node"]), at(place, &["next"])) {
        (Some(Term::Binary(node)), Some(Term::Integer(next))) => Some(EventPlace {
            node: node.clone(),
            next: u64::try_from(*next).ok()?,
        }),
        _ => None,
    };
    items(answer, "places").iter().filter_map(place).collect()
}
