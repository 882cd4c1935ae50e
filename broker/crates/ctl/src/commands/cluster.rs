//! Joining, leaving and looking at a cluster, in RabbitMQ's words.
//!
//! What nodes may do is the nodes' matter; here are the checks of arguments, the waits, and the pages.

use crate::client::Client;
use crate::command::{App, Command, Output, Scene, Session, flag};
use crate::commands::cluster_page;
use crate::node::Target;
use crate::problem::{CONFIG, DATA, Problem, SOFTWARE, UNAVAILABLE};
use link::{Cookie, Failure, Request, Term};
use std::time::{Duration, Instant};

const CLUSTER: &str = "Cluster";
/// How often the cluster is looked at by who waits for nodes.
const LOOK: Duration = Duration::from_millis(200);
/// How long it is tried to find a node that should be down.
const LOOK_FOR: Duration = Duration::from_secs(5);
/// Seconds that are waited for nodes unless said otherwise.
const ONLINE_SECONDS: i64 = 300;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("await_online_nodes", await_online_nodes)
        .help("<count> [--timeout <timeout>]", "Waits until so many nodes of the cluster run")
        .takes(1, 1)
        .checked(|_, args| match args[0].parse::<u32>() {
            Ok(1..) => Ok(()),
            _ => Err(Problem::arguments(
                DATA,
                "Bad argument: Argument must be a positive integer",
            )),
        })
        .banner(|target, options, args| {
            let seconds = options.number("timeout").unwrap_or(ONLINE_SECONDS);
            format!(
                "Will wait for at least {} nodes to join the cluster of {}. Timeout: {seconds} seconds.",
                args[0], target.name
            )
        })
        .under(CLUSTER),
    Command::new("change_cluster_node_type", |session| {
        let ram = session.argument(0) == "ram";
        session.ask(&Request::ChangeNodeType { ram }).map(|_| Output::Nothing)
    })
    .help("<disc | ram>", "Lets a stopped node decide with others, or only listen, from its next start on")
    .takes(1, 1)
    .checked(|_, args| match args[0].as_str() {
        "disc" | "disk" | "ram" => Ok(()),
        _ => Err(bad_type()),
    })
    .app(App::Stopped)
    .banner(|target, _, args| format!("Turning {} into a {} node", target.name, args[0]))
    .under(CLUSTER),
    Command::new("cluster_status", |session| {
        let cluster = session.ask(&Request::ClusterStatus)?;
        let others = cluster_page::running(&cluster);
        let status = others.into_iter().filter_map(|name| status_of(session, &name)).collect();
        Ok(cluster_page::page(&cluster, status))
    })
    .help("[--timeout <timeout>]", "Shows the nodes of the cluster and what they report")
    .in_both()
    .banner(|target, _, _| format!("Cluster status of node {} ...", target.name))
    .under(CLUSTER),
    Command::new("force_boot", |session| session.ask(&Request::ForceBoot).map(|_| Output::Nothing))
        .help("", "Lets a stopped node start next time without the others of its cluster")
        .app(App::Stopped)
        .under(CLUSTER),
    Command::new("force_majority", |session| {
        session.ask(&Request::ForceMajority)?;
        let text = "This node decides alone now. Nodes that were lost must be removed with forget_cluster_node, and never \
                    started again as they are: what they alone knew is given up.";
        Ok(Output::Text(text.to_owned()))
    })
    .help("", "Lets the node that is left of a lost majority decide alone; what only the others knew is lost")
    .app(App::Either)
    .banner(|target, _, _| format!("Making node {} decide alone ...", target.name))
    .under(CLUSTER),
    Command::new("forget_cluster_node", |session| {
        let (node, offline) = (session.argument(0), false);
        session.ask(&Request::Forget { node, offline }).map(|_| Output::Nothing)
    })
    .by_itself_with("offline", forget_offline)
    .help(
        "[--offline] <existing_cluster_member_node>",
        "Removes a node from the cluster, for ever: it must be reset before it can join again",
    )
    .takes(1, 1)
    .with(&[flag("offline")])
    .app(App::Either)
    .banner(|_, _, args| format!("Removing node {} from the cluster", args[0]))
    .under(CLUSTER),
    Command::new("join_cluster", join_cluster)
        .help(
            "[--disc|--ram] <existing_cluster_member>",
            "Makes a stopped node a member of another node's cluster; what it had is given up",
        )
        .takes(1, 1)
        .with(&[flag("disc"), flag("ram")])
        .checked(|options, _| match options.flag("disc") && options.flag("ram") {
            true => Err(bad_type()),
            false => Ok(()),
        })
        .app(App::Stopped)
        .banner(|target, _, args| format!("Clustering node {} with {}", target.name, args[0]))
        .under(CLUSTER),
    Command::new("update_cluster_nodes", |session| {
        let (seed, own) = (full_name(session), &session.target.name);
        if seed == *own {
            return Err(with_itself(own));
        }
        let request = Request::UpdateNodes { seed: seed.clone() };
        ask_about(session, &seed, &request).map(|_| Output::Nothing)
    })
    .help(
        "<seed_node>",
        "Lets a stopped member learn from another who belongs to the cluster, before it starts",
    )
    .takes(1, 1)
    .app(App::Stopped)
    .banner(|target, _, args| format!("Will seed {} from {} on next start", target.name, args[0]))
    .under(CLUSTER),
    Command::new("set_cluster_name", |session| {
        let value = crate::format::json(&Term::text(session.argument(0)));
        let name = "cluster_name".to_owned();
        session
            .ask(&Request::SetGlobalParameter { name, value })
            .map(|_| Output::Nothing)
    })
    .help("<name>", "Names the cluster, as clients and pages show it")
    .takes(1, 1)
    .banner(|_, _, args| format!("Setting cluster name to {} ...", args[0]))
    .under(CLUSTER),
];

fn bad_type() -> Problem {
    Problem::arguments(DATA, "Bad argument: The node type must be either disc or ram.")
}

/// A node's own report: from this connection, from another node's that takes the same secret, or through this node's. One
/// that does not answer is left out.
fn status_of(session: &mut Session<'_>, name: &str) -> Option<Term> {
    if name == session.target.name {
        return session.ask(&Request::Status).ok();
    }
    let node = name.to_owned();
    let asked = status_from(session, name);
    asked.or_else(|| session.ask(&Request::StatusOf { node }).ok())
}

fn status_from(session: &Session<'_>, name: &str) -> Option<Term> {
    let target = Target::other(name).ok()?;
    let cookie = crate::client::cookie(session.options.text("erlang-cookie")).ok()?;
    let mut client = Client::connect(&target, &cookie).ok()?;
    client.set_deadline(Instant::now().checked_add(Duration::from_secs(10)));
    client.ask(&Request::Status, |_| Ok(())).ok()?.ok()
}

fn await_online_nodes(session: &mut Session<'_>) -> Result<Output, Problem> {
    // Checked before: a positive number.
    let wanted = session.argument(0).parse::<usize>().unwrap_or(1);
    let seconds = session.options.number("timeout").unwrap_or(ONLINE_SECONDS);
    let seconds = u64::try_from(seconds).unwrap_or(u64::MAX / 2);
    // The deadline of the whole command must not come first.
    let deadline = Instant::now().checked_add(Duration::from_secs(seconds).saturating_sub(LOOK));
    loop {
        let cluster = session.ask(&Request::ClusterStatus)?;
        if cluster_page::running(&cluster).len() >= wanted {
            return Ok(Output::Nothing);
        }
        if deadline.is_some_and(|deadline| Instant::now() + LOOK > deadline) {
            let name = &session.target.name;
            let text = format!("Error: timed out while waiting. Not enough nodes joined {name}'s cluster.");
            return Err(Problem::error(SOFTWARE, text));
        }
        std::thread::sleep(LOOK);
    }
}

fn with_itself(own: &str) -> Problem {
    Problem::error(SOFTWARE, format!("Error: cannot cluster node with itself: {own}"))
}

/// A node that does not run forgets one that is lost. All other nodes must be down: they might know more.
fn forget_offline(scene: &Scene<'_>) -> Result<Output, Problem> {
    let lost = &scene.arguments[0];
    let cookie = crate::client::cookie(scene.options.text("erlang-cookie"))?;
    if Client::connect(scene.target, &cookie).is_ok() {
        return Err(Failure::ProcessRunning.into());
    }
    let problem = |(exit, text)| Problem::plain(exit, text);
    let members = (scene.offline.members)().map_err(problem)?;
    if !scene.options.quiet() && !scene.format.is_for_machines() {
        tell!("Removing node {lost} from the cluster");
    }
    if !members.all.contains(lost) || *lost == members.own {
        return Err(worded("not_a_cluster_node", "The node selected is not in the cluster."));
    }
    let mut others = members.all.iter().filter(|name| **name != members.own);
    if !members.is_disc || others.any(|other| is_running(other, &cookie)) {
        return Err(worded(
            "removing_node_from_offline_node",
            "To remove a node remotely from an offline node, the node you are removing from must be a disc node and all \
             the other nodes must be offline.",
        ));
    }
    (scene.offline.forget)(lost).map_err(problem)?;
    Ok(Output::Nothing)
}

fn worded(word: &str, text: &str) -> Problem {
    Problem::from(Failure::Cluster {
        word: word.to_owned(),
        text: text.to_owned(),
    })
}

/// A node that cannot be found is looked for again: when a node of this host stops, another takes over the name service.
fn is_running(name: &str, cookie: &Cookie) -> bool {
    let deadline = Instant::now() + LOOK_FOR;
    let connect = || Client::connect(&Target::other(name).ok()?, cookie).ok();
    let mut client = loop {
        match connect() {
            Some(client) => break client,
            None if Instant::now() > deadline => return false,
            None => std::thread::sleep(LOOK),
        }
    };
    client.set_deadline(Instant::now().checked_add(Duration::from_secs(10)));
    let answer = client.ask(&Request::IsRunning, |_| Ok(()));
    matches!(answer, Ok(Ok(Term::Bool(true))))
}

/// Asks for something that the node asks another for.
fn ask_about(session: &mut Session<'_>, other: &str, request: &Request) -> Result<Term, Problem> {
    let cookie = crate::client::cookie(session.options.text("erlang-cookie"))?;
    let own = &session.target.name;
    session.ask_or(request, |failure| match failure {
        // The same is found from here, most times, and explained.
        Failure::Unreachable(why) => match Target::other(other) {
            Ok(target) => match Client::connect(&target, &cookie) {
                Err(problem) => problem,
                Ok(_) => Problem::error(UNAVAILABLE, format!("node {own} cannot reach {other}: {why}")),
            },
            Err(why) => Problem::plain(CONFIG, why),
        },
        other => other.into(),
    })
}

fn join_cluster(session: &mut Session<'_>) -> Result<Output, Problem> {
    let (seed, own) = (full_name(session), session.target.name.clone());
    if seed == own {
        return Err(with_itself(&own));
    }
    let request = Request::Join {
        seed: seed.clone(),
        ram: session.options.flag("ram"),
    };
    match ask_about(session, &seed, &request)? {
        Term::Atom(word) if word == "already_member" => {
            Ok(Output::Text("The node is already a member of this cluster".to_owned()))
        }
        _ => Ok(Output::Nothing),
    }
}

/// The member that was named, on this tool's host unless said.
fn full_name(session: &Session<'_>) -> String {
    let name = session.argument(0);
    match (name.contains('@'), session.target.name.rsplit('@').next()) {
        (false, Some(host)) => format!("{name}@{host}"),
        _ => name,
    }
}
