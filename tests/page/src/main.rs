//! Tests the management page as its users meet it: a real broker, a real browser, real clicks. Prints a line for each case
//! and a count at the end; ends with 0 only if all passed. It knows the broker by its binary and its ports alone.

mod browser;
mod cases;
mod process;
mod server;
mod stage;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use stage::Stage;
use std::{fs, path::PathBuf, process::ExitCode, time::Instant};

/// Tests the management page with a headless Chromium.
#[derive(Debug, Parser)]
struct Arguments {
    /// The `warren` binary; without it WARREN_BIN names it.
    #[arg(long, value_name = "PATH")]
    warren: Option<PathBuf>,
    /// Run only the cases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Keep a picture of the window after each case in this directory.
    #[arg(long, value_name = "DIRECTORY")]
    pictures: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let binary = arguments
        .warren
        .clone()
        .or_else(|| std::env::var_os("WARREN_BIN").map(PathBuf::from));
    let binary = binary.context("which broker? give --warren PATH or set WARREN_BIN")?;
    let wanted = arguments.only.as_deref().unwrap_or_default();
    let chosen: Vec<_> = cases::all()
        .into_iter()
        .filter(|(name, _)| name.contains(wanted))
        .collect();
    ensure!(!chosen.is_empty(), "no case's name contains '{wanted}'");
    let begin = Instant::now();
    let mut stage = Stage::open(&binary)?;
    let (mut passed, mut failed) = (0, 0);
    for (name, case) in chosen {
        let name = name.rsplit("::").next().unwrap_or(name);
        let began = Instant::now();
        let outcome = stage
            .reset()
            .and_then(|()| case(&mut stage))
            .and_then(|()| stage.is_calm());
        if let Some(directory) = &arguments.pictures {
            fs::create_dir_all(directory)?;
            fs::write(directory.join(format!("{name}.png")), stage.browser.picture()?)?;
        }
        match outcome {
            Ok(()) => {
                passed += 1;
                println!("ok      {name} ({:.1} s)", began.elapsed().as_secs_f32());
            }
            Err(error) => {
                failed += 1;
                println!("FAILED  {name}: {error:#}");
            }
        }
    }
    eprintln!("in {:.1} s", begin.elapsed().as_secs_f32());
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
