//! Runs the programs that these checks drive, with a limit of time, and hands back what they said. It judges nothing but the exit status.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::check::Outcome;

/// No program that is run here may take longer.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs a program; its standard output, or an error that holds all it said.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Outcome<String> {
    run_with(program, arguments, "")
}

/// Runs a program with this standard input.
pub(crate) fn run_with(program: &str, arguments: &[&str], input: &str) -> Outcome<String> {
    let said = spawn(program, arguments, input)?;
    if said.success {
        Ok(said.out)
    } else {
        Err(format!(
            "{program} {} failed:\n{}{}",
            arguments.join(" "),
            said.err,
            said.out
        ))
    }
}

/// Runs a program that must refuse; all that it said.
pub(crate) fn refused(program: &str, arguments: &[&str], input: &str) -> Outcome<String> {
    let said = spawn(program, arguments, input)?;
    if said.success {
        Err(format!(
            "{program} {} was not refused:\n{}",
            arguments.join(" "),
            said.out
        ))
    } else {
        Ok(said.err + &said.out)
    }
}

struct Said {
    success: bool,
    out: String,
    err: String,
}

fn spawn(program: &str, arguments: &[&str], input: &str) -> Outcome<Said> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    let out = collect(child.stdout.take());
    let err = collect(child.stderr.take());
    if let Some(mut stdin) = child.stdin.take() {
        // A program that refuses its arguments does not read its input.
        drop(stdin.write_all(input.as_bytes()));
    }
    let success = wait(&mut child).map_err(|reason| format!("{program} {}: {reason}", arguments.join(" ")))?;
    Ok(Said {
        success,
        out: joined(out),
        err: joined(err),
    })
}

fn wait(child: &mut Child) -> Outcome<bool> {
    let end = Instant::now() + LIMIT;
    loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => return Ok(status.success()),
            None if Instant::now() > end => {
                drop(child.kill());
                return Err(format!("killed after {} s", LIMIT.as_secs()));
            }
            None => thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn collect(stream: Option<impl Read + Send + 'static>) -> Option<thread::JoinHandle<String>> {
    stream.map(|mut stream| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            // What was read before an error is still worth showing.
            drop(stream.read_to_end(&mut bytes));
            String::from_utf8_lossy(&bytes).into_owned()
        })
    })
}

fn joined(reader: Option<thread::JoinHandle<String>>) -> String {
    reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
}
