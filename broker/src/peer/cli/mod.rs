//! The command line's requests: each is one decision on the catalogue or one view of the node.
//!
//! Whoever is here knows the cluster's secret and may do everything. Answers leave in bounded frames; a tool that does
//! not read keeps nothing but its own connection waiting.

mod access;
mod alarms;
mod backup;
mod certificates;
mod clients;
mod cluster;
mod definitions;
mod events;
mod features;
mod leaders;
mod lifecycle;
mod list;
mod logs;
mod machine;
mod members;
mod objects;
mod pages;
mod parameters;
mod peek;
mod plugins;
mod queues;
mod status;
mod unresponsive;
mod vhosts;

use link::{Failure, REPLY_BYTES_MAX, REQUEST_BYTES_MAX, Reply, Request, Term};
use model::Refusal;
use std::{io, sync::Arc, time::Duration};
use tokio::{net::TcpStream, sync::mpsc};

use definitions::Import;

use super::stream::{read_frame, write_frame};
use crate::{
    host::{Node, acting_for_cli},
    process::{Process, Running},
};

/// How long a tool may keep quiet between requests, or not read.
const PATIENCE: Duration = Duration::from_secs(600);
/// Frames of an answer that wait to be written.
const FRAMES_WAITING_MAX: usize = 4;

/// What comes of a request.
type Outcome = Result<Term, Failure>;

/// Serves one tool until it leaves.
pub async fn serve(mut tcp: TcpStream, process: &Process) -> io::Result<()> {
    let mut pieces = definitions::Pieces::default();
    while let Some(octets) = read_frame(&mut tcp, REQUEST_BYTES_MAX, PATIENCE).await? {
        match link::decode(&octets) {
            Ok(Request::DefinitionsPiece { text }) => reply(&mut tcp, &last(pieces.take(&text))).await?,
            Ok(Request::ImportDefinitions) => import(&mut tcp, process, pieces.whole(), Import::Always).await?,
            Ok(Request::ImportChangedDefinitions) => {
                import(&mut tcp, process, pieces.whole(), Import::Changed).await?;
            }
            Ok(request) => answer(&mut tcp, process, request).await?,
            Err(_) => reply(&mut tcp, &Reply::Failed(Failure::Unknown)).await?,
        }
    }
    Ok(())
}

async fn import(tcp: &mut TcpStream, process: &Process, text: String, when: Import) -> io::Result<()> {
    let outcome = match process.running() {
        None => Err(Failure::AppStopped),
        Some(app) => {
            let node = app.node.clone();
            let work = app
                .handle
                .spawn(async move { definitions::import(&node, &text, when).await });
            work.await.map_err(io::Error::other)?
        }
    };
    reply(tcp, &last(outcome)).await
}

async fn answer(tcp: &mut TcpStream, process: &Process, request: Request) -> io::Result<()> {
    let stops = request == Request::Stop;
    let by_process = match cluster::execute(process, &request).await {
        None => lifecycle::execute(process, &request).await,
        done => done,
    };
    match (by_process, process.running()) {
        (Some(outcome), _) => reply(tcp, &last(outcome)).await?,
        (None, Some(app)) if request == Request::Backup => backup::send(tcp, &app.node).await?,
        (None, Some(app)) => match request {
            Request::Page(page) => pages::send(tcp, &app, page).await?,
            Request::SetPlugins { explicit } => reply(tcp, &last(plugins::set(&app, explicit).await)).await?,
            other => ask_app(tcp, &app, other).await?,
        },
        (None, None) => reply(tcp, &Reply::Failed(Failure::AppStopped)).await?,
    }
    match stops {
        true => stop(),
        false => Ok(()),
    }
}

/// Requests may lock and hash, so they are performed where blocking is allowed, and on the app's threads, with which
/// they end.
async fn ask_app(tcp: &mut TcpStream, app: &Running, request: Request) -> io::Result<()> {
    let (sender, mut frames) = mpsc::channel(FRAMES_WAITING_MAX);
    let node = app.node.clone();
    let work = app
        .handle
        .spawn_blocking(move || acting_for_cli(|| perform(&node, request, &sender)));
    while let Some(frame) = frames.recv().await {
        reply(tcp, &frame).await?;
    }
    work.await.map_err(io::Error::other)
}

async fn reply(tcp: &mut TcpStream, reply: &Reply) -> io::Result<()> {
    let octets = link::encode(reply)?;
    write_frame(tcp, &octets, REPLY_BYTES_MAX, PATIENCE).await
}

/// Stops as SIGTERM does.
fn stop() -> io::Result<()> {
    let own = rustix::process::getpid();
    Ok(rustix::process::kill_process(own, rustix::process::Signal::TERM)?)
}

fn perform(node: &Node, request: Request, frames: &mpsc::Sender<Reply>) {
    let outcome = match request {
        Request::List { what, columns } => list::list(node, what, &columns, frames),
        Request::ExportDefinitions => definitions::export(node, frames),
        other => execute(node, other),
    };
    // Without a receiver the tool is gone, and nobody waits for the answer.
    let _ = frames.blocking_send(last(outcome));
}

fn last(outcome: Outcome) -> Reply {
    match outcome {
        Ok(term) => Reply::Done(term),
        Err(failure) => Reply::Failed(failure),
    }
}

fn execute(node: &Node, request: Request) -> Outcome {
    match request {
        Request::AddUser { .. }
        | Request::DeleteUser { .. }
        | Request::ChangePassword { .. }
        | Request::ClearPassword { .. }
        | Request::Authenticate { .. }
        | Request::SetUserTags { .. }
        | Request::SetPermissions { .. }
        | Request::ClearPermissions { .. }
        | Request::SetTopicPermissions { .. }
        | Request::ClearTopicPermissions { .. } => access::execute(node, request),
        Request::AddVhost { .. }
        | Request::DeleteVhost { .. }
        | Request::SetVhostTags { .. }
        | Request::UpdateVhost { .. }
        | Request::ProtectVhost { .. }
        | Request::Trace { .. } => vhosts::execute(node, request),
        Request::SetPolicy { .. }
        | Request::ClearPolicy { .. }
        | Request::SetParameter { .. }
        | Request::ClearParameter { .. }
        | Request::SetGlobalParameter { .. }
        | Request::ClearGlobalParameter { .. }
        | Request::SetVhostLimits { .. }
        | Request::ClearVhostLimits { .. }
        | Request::SetUserLimits { .. }
        | Request::ClearUserLimits { .. } => parameters::execute(node, request),
        Request::PeekQueue { vhost, name, place } => peek::peek(node, &vhost, &name, place),
        Request::PurgeQueue { vhost, name } => queues::purge(node, &vhost, &name),
        Request::DeleteQueue {
            vhost,
            name,
            if_empty,
            if_unused,
        } => queues::delete(node, &vhost, &name, catalog::Conditions { if_unused, if_empty }),
        Request::SyncQueue { vhost, name, wanted } => queues::synchronise(node, &vhost, &name, wanted),
        Request::Rebalance { .. } | Request::Maintenance { .. } | Request::CountUnmirrored | Request::CountCritical => {
            leaders::execute(node, request)
        }
        Request::AddMember { .. }
        | Request::DeleteMember { .. }
        | Request::GrowMembers { .. }
        | Request::ShrinkMembers { .. }
        | Request::ReclaimQueueMemory { .. }
        | Request::QuorumStatus { .. } => members::execute(node, request),
        Request::CloseConnection { pid, reason } => clients::close(node, pid, reason),
        Request::CloseConnections { scope, limit, reason } => clients::close_all(node, scope, limit, reason),
        Request::SetMemoryWatermark { level } => alarms::set_memory(node, &level),
        Request::SetDiskFreeLimit { level } => alarms::set_disk(node, &level),
        Request::Status => Ok(status::status(node)),
        Request::StatusOf { node: name } => clients::ask(node, &name, Request::Status),
        Request::ClusterStatus => Ok(cluster::status(node)),
        other => answer_question(node, other),
    }
}

/// Questions about the node, and what is switched while it runs.
fn answer_question(node: &Node, request: Request) -> Outcome {
    match request {
        Request::Plugins => Ok(plugins::told(node)),
        Request::EnableFeatureFlag { name } => features::enable(&name),
        Request::SetLogLevel { level } => logs::set_level(&level),
        Request::LogTail { lines } => logs::tail(node, lines),
        Request::LogSince { place } => logs::since(node, place),
        Request::Events { places } => events::of_all(node, &places),
        Request::OwnEvents { from } => events::own(node, from),
        Request::NetworkInterfaces => machine::interfaces(),
        Request::Resolver => Ok(machine::resolver()),
        Request::DiscoverPeers => cluster::discovered(node),
        Request::Environment => Ok(crate::observe::environment(node)),
        Request::MirrorSyncCritical => Ok(queues::critical(node, Node::mirror_sync_critical)),
        Request::QuorumCritical => Ok(queues::critical(node, Node::quorum_critical)),
        Request::ClusterSize => Ok(size(node)),
        Request::Certificates => certificates::certificates(node),
        Request::TlsFeatures => Ok(certificates::features()),
        Request::AuthAttempts { by_source } => Ok(features::auth_attempts(node, by_source)),
        Request::TrackAuthSources { wanted } => {
            node.track_auth_sources(wanted);
            Ok(Term::none())
        }
        Request::ResetAuthAttempts => {
            node.reset_auth_attempts();
            Ok(Term::none())
        }
        Request::HashPassword { password } => Ok(features::hash(node, &password)),
        Request::SuspendListeners { suspended } => {
            node.gate().close(suspended);
            Ok(Term::none())
        }
        Request::ReclaimMemory => Ok(Term::Bool(node.reclaim_memory())),
        Request::Variables => Ok(crate::observe::variables(node)),
        Request::Resolve { host, family } => features::resolve(&host, family),
        Request::SetChannelMax { channels } => {
            node.set_channel_max(channels);
            Ok(Term::none())
        }
        Request::ForceAlarm { resource, on } => features::force_alarm(node, &resource, on),
        // Answered in many frames, elsewhere, or by the process.
        _ => Err(Failure::Unknown),
    }
}

/// Nodes that run and that there shall be, and whether that is reached.
fn size(node: &Node) -> Term {
    let size = node.cluster_size();
    map([
        ("reached", Term::Bool(size.is_reached())),
        ("online", Term::count(size.online)),
        ("target", Term::count(size.target)),
    ])
}

/// A name out of a request.
fn name<T: std::str::FromStr<Err = model::NameError>>(text: &str) -> Result<T, Failure> {
    text.parse()
        .map_err(|error: model::NameError| Failure::Refused(error.to_string()))
}

fn map<const N: usize>(pairs: [(&str, Term); N]) -> Term {
    Term::Map(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn refused(refusal: Refusal) -> Failure {
    Failure::Refused(refusal.text)
}

/// A virtual host that exists.
fn existing_vhost(node: &Node, vhost: &str) -> Result<model::VhostName, Failure> {
    let found = node.snapshot().catalog.vhost(vhost).map(|found| found.name().clone());
    found.ok_or_else(|| Failure::NoSuchVhost(vhost.to_owned()))
}

/// A user that exists.
fn existing_user(node: &Node, user: &str) -> Result<Arc<access_rules::User>, Failure> {
    let found = node.snapshot().catalog.access().user(user).cloned();
    found.ok_or_else(|| Failure::NoSuchUser(user.to_owned()))
}

/// Performs a command that answers nothing. Waits for it: requests are performed where blocking is allowed.
fn commit(node: &Node, command: catalog::Command) -> Outcome {
    let done = tokio::runtime::Handle::current().block_on(node.commit(command));
    done.map(|_| Term::none()).map_err(refused)
}

use ::access as access_rules;
