//! Options of the command line as scripts write them: before, between and after words, long ones shortened as long as
//! only one is meant, short ones joined. Decides nothing about what they mean.

use crate::problem::Problem;
use crate::words::{Opt, WORDS};
use std::collections::BTreeMap;

/// The line taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// Values by key; a switch that is given has an empty one.
    pub(crate) given: BTreeMap<&'static str, String>,
    /// The subcommand and its arguments.
    pub(crate) words: Vec<String>,
}

impl Line {
    /// # Errors
    /// An option that is not known, without its value, or with one that it cannot have.
    pub(crate) fn read(arguments: &[String]) -> Result<Self, Problem> {
        let mut line = Line::default();
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            if word == "--" {
                line.words.extend(rest.by_ref().cloned());
            } else if word.starts_with("--") {
                line.long(word, &mut rest)?;
            } else if word.len() > 1 && word.starts_with('-') {
                line.short(&word[1..], &mut rest)?;
            } else {
                line.words.push(word.clone());
            }
        }
        Ok(line)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.given.contains_key(key)
    }

    fn long<'a>(&mut self, word: &str, rest: &mut impl Iterator<Item = &'a String>) -> Result<(), Problem> {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, None),
        };
        let option = meant(name)?;
        match (&option.takes, value) {
            (None, None) => self.set(option, String::new()),
            (None, Some(_)) => Err(Problem::Option(format!("{} option does not take a value", option.long))),
            (Some(_), Some(value)) => self.set(option, value),
            (Some(_), None) => {
                let value = rest.next().ok_or_else(|| needs_value(&option.long))?;
                self.set(option, value.clone())
            }
        }
    }

    fn short<'a>(&mut self, cluster: &str, rest: &mut impl Iterator<Item = &'a String>) -> Result<(), Problem> {
        for (at, letter) in cluster.char_indices() {
            let name = format!("-{letter}");
            let known = WORDS
                .options
                .iter()
                .find(|option| option.short.as_deref() == Some(&name));
            let option = known.ok_or_else(|| Problem::Option(format!("no such option: {name}")))?;
            if option.takes.is_none() {
                self.set(option, String::new())?;
                continue;
            }
            let joined = &cluster[at + letter.len_utf8()..];
            let value = match joined {
                "" => rest.next().ok_or_else(|| needs_value(&name))?.clone(),
                joined => joined.to_owned(),
            };
            return self.set(option, value);
        }
        Ok(())
    }

    fn set(&mut self, option: &'static Opt, value: String) -> Result<(), Problem> {
        if option.number && value.trim().parse::<i64>().is_err() {
            let name = option.short.as_ref().unwrap_or(&option.long);
            return Err(Problem::Option(format!(
                "option {name}: invalid integer value: '{value}'"
            )));
        }
        self.given.insert(&option.key, value);
        Ok(())
    }
}

fn needs_value(name: &str) -> Problem {
    Problem::Option(format!("{name} option requires 1 argument"))
}

/// The long option with this name, or the only one that begins so.
fn meant(name: &str) -> Result<&'static Opt, Problem> {
    let all = &WORDS.options;
    if let Some(option) = all.iter().find(|option| option.long == name) {
        return Ok(option);
    }
    let mut possible: Vec<_> = all.iter().filter(|option| option.long.starts_with(name)).collect();
    possible.sort_by_key(|option| &option.long);
    match possible[..] {
        [] => Err(Problem::Option(format!("no such option: {name}"))),
        [option] => Ok(option),
        _ => {
            let names: Vec<_> = possible.iter().map(|option| option.long.as_str()).collect();
            Err(Problem::Option(format!(
                "ambiguous option: {name} ({}?)",
                names.join(", ")
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Line, Problem> {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        Line::read(&words)
    }

    #[test]
    fn options_stand_anywhere_and_are_shortened_and_joined() {
        let line = read("-qf tsv list --user=a queues -Vb --ssl-i -- -x").unwrap();
        assert_eq!(line.words, ["list", "queues", "-x"]);
        let given: Vec<_> = line.given.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            given,
            ["format=tsv", "quiet=", "ssl_insecure=", "username=a", "vhost=b"]
        );
    }

    #[test]
    fn what_is_no_option_is_told() {
        let why = |line| match read(line) {
            Err(Problem::Option(why)) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(why("--frob"), "no such option: --frob");
        assert_eq!(why("-x"), "no such option: -x");
        assert_eq!(why("--sor a"), "ambiguous option: --sor (--sort, --sort-reverse?)");
        assert_eq!(why("--host"), "--host option requires 1 argument");
        assert_eq!(why("--quiet=1"), "--quiet option does not take a value");
        assert_eq!(why("-t x"), "option -t: invalid integer value: 'x'");
    }
}
