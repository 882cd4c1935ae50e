//! The command line judged: one table of calls, each with its standard output, standard error and exit code, played
//! against Debian's tools and against Warren's. A line that the original does not print is a wrong line.

mod case;
mod play;
mod scripts;

use anyhow::Result;

pub use case::{Call, Case};
pub use play::{Column, print, run};

const FILES: &[(&str, &str)] = &[
    ("access", include_str!("../../cli/access.cli")),
    ("objects", include_str!("../../cli/objects.cli")),
    ("checks", include_str!("../../cli/checks.cli")),
    ("definitions", include_str!("../../cli/definitions.cli")),
    ("plugins", include_str!("../../cli/plugins.cli")),
    ("rabbitmqadmin", include_str!("../../cli/rabbitmqadmin.cli")),
    ("network", include_str!("../../cli/network.cli")),
    ("use", include_str!("../../cli/use.cli")),
    // The last: a reset leaves nothing of what the others made.
    ("lifecycle", include_str!("../../cli/lifecycle.cli")),
];

/// All cases in the order of their files.
///
/// # Errors
/// A line that is none of the format's.
pub fn all() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (topic, text) in FILES {
        cases.extend(case::parse(topic, text)?);
    }
    Ok(cases)
}
