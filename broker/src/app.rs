//! The app: all that serves clients, from the definitions and the messages to the ports. Between one start and the next
//! stop, in a process that goes on.
//!
//! It has threads of its own, and whatever runs on them ends with it: no task, socket or timer outlives a stop, whoever
//! began it. All ports are bound before any is served, so an app that cannot do its work never says that it is ready.

use anyhow::Context;
use std::{sync::Arc, time::Duration};
use store::disk::FsDisk;
use tokio::runtime::{self, Handle, Runtime};

use crate::{
    cluster::Identity,
    config::Config,
    host::{
        self, Node,
        data_directory::Manner,
        listener::{self, Port},
    },
    management, observe,
    process::Ways,
    services::{Services, Waiting},
};

/// How long work that cannot be interrupted may go on when the app has stopped.
const END_PATIENCE: Duration = Duration::from_secs(10);

/// Where an app is: what the process lends it.
pub struct Places {
    /// The files of the data directory, which the process has locked.
    pub disk: FsDisk,
    /// How the node is to start.
    pub manner: Manner,
    /// The port that the process serves.
    pub peers: Port,
    /// The ways to other nodes.
    pub ways: Ways,
}

/// A running app.
#[derive(Debug)]
pub struct App {
    runtime: Runtime,
    node: Arc<Node>,
    services: Arc<Services>,
}

impl App {
    /// Starts one.
    ///
    /// # Errors
    /// Why it cannot serve. Nothing of it is left then.
    pub async fn start(config: Config, identity: Identity, places: Places) -> anyhow::Result<App> {
        let runtime = runtime::Builder::new_multi_thread()
            .enable_all()
            // Sockets and timers are looked at often: a task here may work for a millisecond at a time.
            .event_interval(8)
            .global_queue_interval(8)
            .on_thread_start(host::memory::enter_thread)
            .on_thread_stop(host::memory::leave_thread)
            .build()?;
        // Given up half-way, it ends as after a stop.
        let starting = Ending(Some(runtime));
        let started = starting.handle()?.spawn(bring_up(config, identity, places)).await;
        match started
            .context("the start ended in a panic")
            .and_then(|started| started)
        {
            Ok((node, services)) => Ok(App {
                runtime: starting.take()?,
                node,
                services,
            }),
            Err(why) => {
                end(starting.take()?).await;
                Err(why)
            }
        }
    }

    /// What runs in it.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// What plugins serve in it.
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Where its work is done.
    pub fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Hands over what can be led elsewhere, before it stops; other nodes still reach it.
    pub async fn hand_over(&self) {
        let node = self.node.clone();
        let handing_over = self.runtime.spawn(async move {
            node.hand_over_all().await;
            node.lead_no_more().await;
        });
        if let Err(error) = handing_over.await {
            tracing::error!("queues are not handed over: {error}");
        }
    }

    /// Stops: clients are told and get some time, everything is written down. Afterwards nothing of it is left.
    pub async fn stop(self) {
        let App { runtime, node, .. } = self;
        if let Err(error) = runtime.spawn(async move { node.stop().await }).await {
            tracing::error!("the app did not stop in order: {error}");
        }
        end(runtime).await;
    }
}

/// A runtime that may have to be ended where nobody can wait for it.
struct Ending(Option<Runtime>);

impl Ending {
    fn handle(&self) -> anyhow::Result<&Handle> {
        self.0.as_ref().map(Runtime::handle).context("the app has ended")
    }

    fn take(mut self) -> anyhow::Result<Runtime> {
        self.0.take().context("the app has ended")
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Ends all tasks, wherever they are, and waits for what cannot be interrupted.
async fn end(runtime: Runtime) {
    if tokio::task::spawn_blocking(move || runtime.shutdown_timeout(END_PATIENCE))
        .await
        .is_err()
    {
        tracing::error!("the app's threads did not end in order");
    }
}

async fn bring_up(config: Config, identity: Identity, places: Places) -> anyhow::Result<(Arc<Node>, Arc<Services>)> {
    let amqp = listener::bind_all(&config.listeners)?;
    let plugins = Waiting::bind(&config, &config.plugins)?;
    let start = (places.disk, places.manner);
    let node = Node::start(config, start, identity, &*places.ways.neighbours).await?;
    keep_going(&node);
    node.reach_nodes_by(places.ways.dialer);
    node.announce(places.peers);
    management::import_definitions(&node).await?;
    for bound in amqp {
        announce(&node, bound.port());
        if let Some(certificates) = bound.certificates() {
            node.shows(certificates);
        }
        tokio::spawn(bound.run(node.clone()));
    }
    let services = Services::new(node.clone());
    services.serve(plugins).await;
    node.started();
    Ok((node, services))
}

/// What the node does without being asked.
fn keep_going(node: &Arc<Node>) {
    tokio::spawn(host::run_pauses(node.clone()));
    tokio::spawn(host::run_neighbours(node.clone()));
    tokio::spawn(host::run_mirrors(node.clone()));
    tokio::spawn(host::run_forced_promotions(node.clone()));
    tokio::spawn(host::run_timers(node.clone()));
    tokio::spawn(host::run_errands(node.clone()));
    tokio::spawn(host::run_rounds(node.clone()));
    tokio::spawn(host::run_retirements(node.clone()));
    tokio::spawn(host::run_strayed(node.clone()));
    tokio::spawn(host::run_loads(node.clone()));
    tokio::spawn(host::alarms::watch_memory(node.clone()));
    tokio::spawn(host::memory::give_back_in_alarm(node.clone()));
    tokio::spawn(host::alarms::watch_disk(node.clone()));
    tokio::spawn(host::paging::relieve(node.clone()));
    tokio::spawn(observe::publish_log(node.clone()));
    tokio::spawn(host::run_events(node.clone()));
}

fn announce(node: &Node, port: Port) {
    tracing::info!("started {} listener on {}", port.protocol, port.address);
    node.announce(port);
}
