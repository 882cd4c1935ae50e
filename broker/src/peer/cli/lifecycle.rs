//! What is asked of the process and not of its app: whether it runs, starting, stopping and resetting it.
//!
//! Each is answered whether the app runs or not.

use link::{Failure, Request, Term};

use super::Outcome;
use crate::process::{Process, ResetError};

/// None is a request for the app.
pub(super) async fn execute(process: &Process, request: &Request) -> Option<Outcome> {
    let outcome = match request {
        Request::IsRunning => Ok(Term::Bool(process.running().is_some())),
        Request::IsBooting => Ok(Term::Bool(process.is_booting())),
        Request::Stop | Request::Pid => Ok(Term::count(std::process::id())),
        Request::StartApp => start(process).await,
        Request::StopApp => {
            process.stop_app().await;
            Ok(Term::none())
        }
        Request::Reset { .. } => reset(process).await,
        _ => return None,
    };
    Some(outcome)
}

async fn start(process: &Process) -> Outcome {
    let started = process.start_app().await;
    started.map(|()| Term::none()).map_err(|why| {
        tracing::error!("the app does not start: {why:#}");
        Failure::Refused(format!("{why:#}"))
    })
}

async fn reset(process: &Process) -> Outcome {
    match process.reset().await {
        Ok(()) => Ok(Term::none()),
        Err(ResetError::Running) => Err(Failure::AppRunning),
        Err(why @ ResetError::Data(_)) => Err(Failure::Refused(why.to_string())),
    }
}
