//! Publisher confirms as sets: which publishes a `basic.ack` or `basic.nack` settles, and that none is settled twice.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use crate::lex::Word;

/// Publish numbers with `true` for acked and `false` for nacked.
pub(crate) type Settled = BTreeMap<u64, bool>;

/// Parses `+1..5 -6`.
///
/// # Errors
/// Any other form.
pub(crate) fn parse(words: &[Word]) -> Result<Settled> {
    let mut settled = Settled::new();
    for word in words {
        let text = word.text();
        let acked = text.starts_with('+');
        let range = text
            .strip_prefix(['+', '-'])
            .with_context(|| format!("+N or -N wanted, not '{text}'"))?;
        let (from, to) = range.split_once("..").unwrap_or((range, range));
        settled.extend((from.parse::<u64>()?..=to.parse()?).map(|tag| (tag, acked)));
    }
    Ok(settled)
}

/// What the confirm `words` settles of `all`, given what was `seen`; `None` if it is no confirm, or settles
/// something twice or unknown.
pub(crate) fn settles(words: &[String], all: impl Iterator<Item = u64>, seen: &Settled) -> Option<Settled> {
    let acked = match words.first()?.as_str() {
        "basic.ack" => true,
        "basic.nack" => false,
        _ => return None,
    };
    let tag: u64 = words.get(1)?.parse().ok()?;
    if words.iter().any(|word| word == "multiple") {
        let open = all.filter(|n| *n <= tag && !seen.contains_key(n));
        return Some(open.map(|n| (n, acked)).collect()).filter(|settled: &Settled| !settled.is_empty());
    }
    let known = all.into_iter().any(|n| n == tag) && !seen.contains_key(&tag);
    known.then(|| Settled::from([(tag, acked)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lex;

    fn confirm(line: &str, seen: &Settled) -> Option<Settled> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        settles(&words, 1..=5, seen)
    }

    #[test]
    fn a_multiple_ack_settles_what_is_open_up_to_its_tag() {
        let seen = Settled::from([(2, true)]);
        assert_eq!(
            confirm("basic.ack 3 multiple", &seen),
            Some(Settled::from([(1, true), (3, true)]))
        );
        assert_eq!(confirm("basic.nack 4", &seen), Some(Settled::from([(4, false)])));
    }

    #[test]
    fn a_second_or_unknown_confirm_settles_nothing() {
        let seen = Settled::from([(1, true), (2, true)]);
        assert_eq!(confirm("basic.ack 2", &seen), None);
        assert_eq!(confirm("basic.ack 2 multiple", &seen), None);
        assert_eq!(confirm("basic.ack 6", &seen), None);
    }

    #[test]
    fn ranges_are_parsed() {
        let words = lex::words("+1..2 -3").unwrap();
        assert_eq!(
            parse(&words).unwrap(),
            Settled::from([(1, true), (2, true), (3, false)])
        );
    }
}
