//! `rename_cluster_node`: a stopped node takes another name, with all that it keeps.
//!
//! It works on files, so the server's code does it; what is asked and told stands here.

use crate::command::{ANY, Command, Output};
use crate::problem::{Problem, SOFTWARE, USAGE};

pub(super) const COMMANDS: &[Command] = &[Command::new("rename_cluster_node", |session| {
    // It never comes to this: an offline command asks no node.
    let text = format!("{} works on the files of a stopped node", session.command.name);
    Err(Problem::error(SOFTWARE, text))
})
.help(
    "<oldnode1> <newnode1> [oldnode2] [newnode2] ...",
    "Gives a stopped node another name: it keeps its queues, messages and definitions",
)
.takes(2, ANY)
.checked(|_, arguments| match arguments.len() % 2 {
    0 => Ok(()),
    _ => Err(Problem::arguments(USAGE, "not enough arguments.")),
})
.banner(|_, _, arguments| {
    let pairs = arguments
        .chunks_exact(2)
        .map(|pair| format!("{} -> {}", pair[0], pair[1]));
    format!("Renaming cluster nodes:\n {}", pairs.collect::<Vec<_>>().join("\n "))
})
.offline(|offline, arguments| {
    let mut told = Vec::new();
    for pair in arguments.chunks_exact(2) {
        let done = (offline.rename)(&pair[0], &pair[1]);
        told.push(done.map_err(|(exit, text)| Problem::plain(exit, text))?);
    }
    Ok(Output::Text(told.join("\n")))
})
.under("Cluster")];
