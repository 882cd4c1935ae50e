//! The rules of this house that a program can check: who may import whom, how long a function or a file may be,
//! what every file opens with, and words that must not be committed. Each rule looks at the sources as text or
//! syntax and answers with findings: file, line, rule, reason. It never changes a file and knows no exceptions,
//! since a list of exceptions only grows.

mod functions;
mod imports;
mod packages;
mod source;
mod text;

pub use functions::{long_functions, shy_test_names};
pub use imports::{forbidden_imports, table};
pub use packages::{Package, packages};
pub use source::{Finding, Source, report, sources};
pub use text::{banned_words, head_comments, long_files, unexplained_allows};
