//! End-to-end checks, from outside only: `e2e image` runs the image alone in a container engine, `e2e kube` installs the operator on
//! the Kubernetes that KUBECONFIG names and has it run a broker, `e2e examples` applies every example there. Prints a line per check
//! and closes with "N passed, N failed". It knows AMQP (through a foreign client), HTTP, kubectl, helm and the container engine, and
//! imports nothing of what it tests.

mod amqp;
mod authority;
mod certificates;
mod check;
mod cluster;
mod examples;
mod image;
mod kube;
mod kubectl;
mod nodes;
mod operations;
mod policies;
mod run;
mod several;
mod spec;

use std::process::ExitCode;

const USAGE: &str = "usage: e2e image | e2e kube [cluster|spec|nodes|operations]... | e2e examples [NAME]...   (WARREN_IMAGE names the image, KUBECONFIG the Kubernetes)";

fn main() -> ExitCode {
    let image = std::env::var("WARREN_IMAGE").unwrap_or_else(|_| "localhost/warren:dev".into());
    let mut checks = check::Checks::default();
    match std::env::args().nth(1).as_deref() {
        Some("image") => image::checks(&image, &mut checks),
        Some("kube") => {
            let parts: Vec<_> = std::env::args().skip(2).collect();
            kube::checks(&image, &parts, &mut checks);
        }
        Some("examples") => {
            let only: Vec<_> = std::env::args().skip(2).collect();
            examples::checks(&image, &only, &mut checks);
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    }
    checks.close()
}
