//! A copy of a running node, piece by piece as it comes over the peer port: what `warren backup` writes down.
//!
//! Where it goes is the caller's matter; how the node is found and the secret proven is as for every command.

use crate::client::{self, Client};
use crate::node::Target;
use crate::options::Options;
use crate::problem::{CONFIG, Problem};
use link::Request;
use std::io;

/// Which node, in the words of the command line.
#[derive(Clone, Debug, Default)]
pub struct NodeChoice {
    /// `--node`
    pub node: Option<String>,
    /// `--longnames`
    pub longnames: bool,
    /// `--erlang-cookie`
    pub cookie: Option<String>,
}

/// What comes, in this order; a file's octets in several pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// What there is to come.
    Begin {
        /// Number of files.
        files: u64,
        /// Octets of all of them.
        octets: u64,
    },
    /// A file begins.
    File {
        /// Relative to the data directory.
        path: &'a str,
        /// Its octets.
        octets: u64,
    },
    /// Its next octets.
    Octets(&'a [u8]),
}

/// Why there is no copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoCopy {
    /// The exit code.
    pub exit: u8,
    /// For standard error.
    pub text: String,
}

impl From<Problem> for NoCopy {
    fn from(problem: Problem) -> Self {
        NoCopy {
            exit: problem.exit,
            text: problem.text,
        }
    }
}

/// Has a node copied; `each` takes the pieces.
///
/// # Errors
/// What became of the connection, the node's refusal, or that `each` failed.
pub fn copy_node(choice: &NodeChoice, each: &mut dyn FnMut(Piece<'_>) -> io::Result<()>) -> Result<(), NoCopy> {
    let mut line = Vec::new();
    if let Some(node) = &choice.node {
        line.extend(["--node".to_owned(), node.clone()]);
    }
    if choice.longnames {
        line.push("--longnames".to_owned());
    }
    let options = Options::read(&line, &[]);
    let target = Target::of(&options).map_err(|why| Problem::plain(CONFIG, why))?;
    let cookie = client::cookie(choice.cookie.as_deref())?;
    let mut client = Client::connect(&target, &cookie)?;
    client.copy(&Request::Backup, each)?.map_err(Problem::from)?;
    Ok(())
}
