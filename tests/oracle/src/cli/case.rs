//! The format of a case: `==` its name, `$` a call, `<` a line of standard input, `>` one of standard output, `!` one of standard
//! error, `=` the exit code when it is not 0, `@` a line of AMQP played before, `#` a comment.
//!
//! `$~` is a call whose lines may come in any order. `\t` is a tab, `\e` the escape octet, NODE the node's name. A call
//! for one server alone is marked `$warren` or `$rabbitmq`. In a line of output `…` is any text, and alone any lines.

use anyhow::{Context as _, Result, bail};

/// One call and what must come of it.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Tool and arguments.
    pub words: Vec<String>,
    /// Lines of standard input.
    pub input: Vec<String>,
    /// Lines of standard output.
    pub out: Vec<String>,
    /// Lines of standard error.
    pub err: Vec<String>,
    /// Exit code.
    pub exit: i32,
    /// Whether lines may come in any order.
    pub unordered: bool,
    /// The only server it is for.
    pub only: Option<String>,
    /// AMQP played before it.
    pub amqp: Vec<String>,
}

/// Calls that belong together.
#[derive(Clone, Debug)]
pub struct Case {
    /// A sentence.
    pub name: String,
    /// In this order.
    pub calls: Vec<Call>,
}

/// Reads the cases of one file.
///
/// # Errors
/// A line that is none of the format's, with its number.
pub(super) fn parse(topic: &str, text: &str) -> Result<Vec<Case>> {
    let mut cases: Vec<Case> = Vec::new();
    let mut amqp = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let place = || format!("{topic}:{}: '{line}'", at + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("== ") {
            let name = format!("{topic}: {name}");
            cases.push(Case {
                name,
                calls: Vec::new(),
            });
            continue;
        }
        let case = cases.last_mut().with_context(place)?;
        if let Some(line) = line.strip_prefix("@ ") {
            amqp.push(line.to_owned());
        } else if let Some(call) = line.strip_prefix('$') {
            case.calls
                .push(read_call(call, std::mem::take(&mut amqp)).with_context(place)?);
        } else {
            expect(case.calls.last_mut().with_context(place)?, line).with_context(place)?;
        }
    }
    Ok(cases)
}

fn read_call(text: &str, amqp: Vec<String>) -> Result<Call> {
    let (mark, rest) = text.split_once(' ').context("no call")?;
    Ok(Call {
        words: words(rest)?,
        unordered: mark == "~",
        only: Some(mark)
            .filter(|mark| matches!(*mark, "warren" | "rabbitmq"))
            .map(str::to_owned),
        amqp,
        ..Call::default()
    })
}

fn expect(call: &mut Call, line: &str) -> Result<()> {
    let text = line.get(2..).unwrap_or_default();
    let text = text.replace("\\t", "\t").replace("\\e", "\x1b");
    match line.split(' ').next() {
        Some("<") => call.input.push(text),
        Some(">") => call.out.push(text),
        Some("!") => call.err.push(text),
        Some("=") => call.exit = text.parse()?,
        _ => bail!("no line of a case"),
    }
    Ok(())
}

/// Words between spaces; single quotes keep spaces and make empty words.
fn words(text: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    for c in text.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if quoted {
        bail!("a quote is open");
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_in_a_shell() {
        let read = words("rabbitmqctl set_policy '' '{\"a\": 1}' x'y z'").unwrap();
        assert_eq!(read, ["rabbitmqctl", "set_policy", "", "{\"a\": 1}", "xy z"]);
        assert!(words("a 'b").is_err());
    }

    #[test]
    fn every_case_calls_something() {
        let all = super::super::all().unwrap();
        assert!(all.iter().all(|case| !case.calls.is_empty()));
    }
}
