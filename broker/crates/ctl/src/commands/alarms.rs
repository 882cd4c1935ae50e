//! Levels that raise the node's alarms, changed while it runs.
//!
//! Shares are checked here, sizes with their units by the node.

use crate::command::{Command, Output};
use crate::options::Options;
use crate::problem::{DATA, Problem, USAGE};
use link::{Level, Request};

const CONFIGURATION: &str = "Configuration and Environment";

pub(super) const COMMANDS: &[Command] = &[
    Command::new("set_disk_free_limit", |session| {
        let level = level(session.arguments, "mem_relative", Unmarked::Size)?;
        let request = Request::SetDiskFreeLimit { level };
        session.ask(&request).map(|_| Output::Nothing)
    })
    .help(
        "<disk_limit> | mem_relative <fraction>",
        "Sets how much disk space must stay free, until the node stops",
    )
    .takes(1, 2)
    .checked(|_, args| level(args, "mem_relative", Unmarked::Size).map(|_| ()))
    .banner(|target, _, args| match args {
        [_, share] => format!(
            "Setting disk free limit on {} to {share} times the total RAM ...",
            target.name
        ),
        _ => format!("Setting disk free limit on {} to {} bytes ...", target.name, args[0]),
    })
    .under(CONFIGURATION),
    Command::new("set_vm_memory_high_watermark", |session| {
        let level = level(session.arguments, "absolute", Unmarked::Share)?;
        let request = Request::SetMemoryWatermark { level };
        session.ask(&request).map(|_| Output::Nothing)
    })
    .help(
        "<fraction> | absolute <value>",
        "Sets how much memory raises the alarm, until the node stops",
    )
    .takes(1, 2)
    .checked(check_memory)
    .banner(|target, _, args| match args {
        [_, size] => format!("Setting memory threshold on {} to {size} bytes ...", target.name),
        _ => format!("Setting memory threshold on {} to {} ...", target.name, args[0]),
    })
    .under(CONFIGURATION),
];

/// What an argument is that no word precedes.
#[derive(Clone, Copy, PartialEq)]
enum Unmarked {
    Share,
    Size,
}

/// One argument is of the usual kind, `word` before it makes it of the other.
fn level(args: &[String], word: &str, unmarked: Unmarked) -> Result<Level, Problem> {
    let (value, is_share) = match args {
        [only] if only == word => return Err(Problem::arguments(USAGE, "not enough arguments.")),
        [only] => (only, unmarked == Unmarked::Share),
        [first, value] if first == word => (value, unmarked == Unmarked::Size),
        _ => return Err(Problem::arguments(USAGE, "too many arguments.")),
    };
    match is_share {
        true => share(value).map(Level::Relative),
        false => Ok(Level::Absolute(value.clone())),
    }
}

fn share(text: &str) -> Result<f64, Problem> {
    let read = text.parse::<f64>().ok();
    let share = read.filter(|share| share.is_finite() && *share >= 0.0);
    share.ok_or_else(|| Problem::arguments(DATA, format!("Bad argument: '{text}' is no fraction such as 0.4")))
}

fn check_memory(_: &Options, args: &[String]) -> Result<(), Problem> {
    match level(args, "absolute", Unmarked::Share)? {
        Level::Relative(share) if share > 1.0 => {
            let text = "Bad argument: The threshold should be a fraction between 0.0 and 1.0";
            Err(Problem::arguments(DATA, text))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(args: &[&str]) -> Result<Level, Problem> {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        check_memory(&Options::read(&[], &[]), &args)?;
        level(&args, "absolute", Unmarked::Share)
    }

    #[test]
    fn a_threshold_is_a_fraction_or_absolute() {
        assert_eq!(memory(&["0.4"]), Ok(Level::Relative(0.4)));
        assert_eq!(memory(&["absolute", "1GB"]), Ok(Level::Absolute("1GB".to_owned())));
        let cases: [(&[&str], u8); 5] = [
            (&["1.1"], DATA),
            (&["much"], DATA),
            (&["NaN"], DATA),
            (&["absolute"], USAGE),
            (&["0.4", "0.5"], USAGE),
        ];
        for (args, exit) in cases {
            assert_eq!(memory(args).unwrap_err().exit, exit, "{args:?}");
        }
    }

    #[test]
    fn a_disk_limit_is_absolute_or_a_share_of_the_memory() {
        let disk = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
            level(&args, "mem_relative", Unmarked::Size)
        };
        assert_eq!(disk(&["50MB"]), Ok(Level::Absolute("50MB".to_owned())));
        assert_eq!(disk(&["mem_relative", "1.5"]), Ok(Level::Relative(1.5)));
        assert!(disk(&["mem_relative", "-1"]).is_err());
    }
}
