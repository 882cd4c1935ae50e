//! Foreign client suites.
fn main() {}
