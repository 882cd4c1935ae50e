//! The load generator alone, without the broker around it: `cargo run --release -p perf --example perf -- --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    perf::main(std::env::args())
}
