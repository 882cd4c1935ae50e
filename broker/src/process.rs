//! The process: what lives from start to end, whether its app runs or not. It owns the data directory, and starts, stops
//! and resets the app in it, one thing at a time.
//!
//! Who asks for the app gets it while it runs, and nothing else: what is being started or stopped is not there.

mod discovery;
mod membership;

pub use discovery::discovered;
pub use membership::MembershipError;
#[cfg(test)]
mod tests;

use arc_swap::{ArcSwap, ArcSwapOption};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{runtime::Handle, sync::Mutex};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{App, Places},
    cluster::transport::Neighbourhood,
    config::{Config, Plugins},
    host::{
        Dial, Node,
        data_directory::{self, DataDirectory},
        listener::Port,
    },
    services::Services,
};

/// A node's process.
pub struct Process {
    name: String,
    config: ArcSwap<Config>,
    peers: Port,
    ways: Ways,
    running: ArcSwapOption<Running>,
    booting: AtomicBool,
    /// It looks for a cluster to join.
    forming: AtomicBool,
    has_served: AtomicBool,
    stopping: CancellationToken,
    state: Mutex<State>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

/// The ways to other nodes.
#[derive(Clone)]
pub struct Ways {
    /// For definitions and membership.
    pub neighbours: Arc<dyn Neighbourhood>,
    /// For the work of clients.
    pub dialer: Arc<dyn Dial>,
}

/// Changed by one task at a time.
#[derive(Debug)]
struct State {
    directory: DataDirectory,
    app: Option<App>,
}

/// The app while it runs.
#[derive(Debug)]
pub struct Running {
    /// What runs in it.
    pub node: Arc<Node>,
    /// What plugins serve in it.
    pub services: Arc<Services>,
    /// Where its work is done.
    pub handle: Handle,
}

/// Why the app cannot be reset.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// It runs.
    #[error("the app runs")]
    Running,
    /// The directory does not let go of its files.
    #[error(transparent)]
    Data(#[from] data_directory::DataError),
}

impl Process {
    /// A process without an app yet; `peers` is the port that it serves, `ways` lead to others by it.
    pub fn new(config: Config, directory: DataDirectory, peers: Port, ways: Ways) -> Arc<Self> {
        Arc::new(Process {
            peers,
            ways,
            running: ArcSwapOption::empty(),
            booting: AtomicBool::new(false),
            forming: AtomicBool::new(false),
            has_served: AtomicBool::new(false),
            stopping: CancellationToken::new(),
            state: Mutex::new(State { directory, app: None }),
            name: config.node.name.as_str().to_owned(),
            config: ArcSwap::from_pointee(config),
        })
    }

    /// `rabbit@host`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The app while it runs.
    pub fn running(&self) -> Option<Arc<Running>> {
        self.running.load_full()
    }

    /// True while the app starts.
    pub fn is_booting(&self) -> bool {
        self.booting.load(Ordering::Acquire)
    }

    /// True once the app has served clients, even if it is stopped now.
    pub fn has_served(&self) -> bool {
        self.has_served.load(Ordering::Acquire)
    }

    /// Cancelled when the process ends.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Starts the app unless it runs.
    ///
    /// # Errors
    /// Why it cannot serve clients; nothing of it is left then.
    pub async fn start_app(&self) -> anyhow::Result<()> {
        let mut state = self.state.lock().await;
        if state.app.is_some() {
            return Ok(());
        }
        self.booting.store(true, Ordering::Release);
        let started = self.start(&state.directory).await;
        self.booting.store(false, Ordering::Release);
        let app = started?;
        let running = Running {
            node: app.node().clone(),
            services: app.services().clone(),
            handle: app.handle().clone(),
        };
        self.running.store(Some(Arc::new(running)));
        self.has_served.store(true, Ordering::Release);
        state.app = Some(app);
        tracing::info!("node {} is ready", self.name());
        Ok(())
    }

    async fn start(&self, directory: &DataDirectory) -> anyhow::Result<App> {
        let identity = directory.begin()?;
        let places = Places {
            disk: directory.disk.clone(),
            manner: directory.manner()?,
            peers: self.peers.clone(),
            ways: self.ways.clone(),
        };
        let start = App::start(self.config_now(), identity, places);
        tokio::select! {
            started = start => started,
            () = self.stopping.cancelled() => anyhow::bail!("the process ends"),
        }
    }

    /// A configuration that was read again holds from now on, for the app that runs and for those that start later.
    pub async fn renew(&self, config: Config) {
        // An app that starts meanwhile has the old one, and hears of the new one when it runs.
        let _alone = self.state.lock().await;
        self.config.store(Arc::new(config.clone()));
        if let Some(app) = self.running() {
            app.node.renew(config);
        }
    }

    /// The configuration with the plugins that were enabled since the process began.
    fn config_now(&self) -> Config {
        let mut config = Config::clone(&self.config.load());
        if self.has_served() {
            match Plugins::in_file(&config.node.enabled_plugins_file) {
                Ok(plugins) => config.plugins = plugins,
                Err(why) => tracing::warn!("plugins stay as they were: {why}"),
            }
        }
        config
    }

    /// Stops the app if it runs; nothing of it is left when this is back.
    pub async fn stop_app(&self) {
        let mut state = self.state.lock().await;
        let Some(app) = state.app.take() else { return };
        app.hand_over().await;
        self.running.store(None);
        tracing::info!("stopping: no new connections, clients are told");
        app.stop().await;
        tracing::info!("stopped");
    }

    /// Forgets all that the node is and holds, so that the next start is the first of a new node.
    ///
    /// # Errors
    /// When the app runs, or the directory cannot be emptied.
    pub async fn reset(&self) -> Result<(), ResetError> {
        let state = self.state.lock().await;
        if state.app.is_some() {
            return Err(ResetError::Running);
        }
        tracing::info!(
            "resetting node {}: its definitions, messages and identity are removed",
            self.name()
        );
        Ok(state.directory.reset()?)
    }

    /// Ends what runs, once mirrors that catch up with it have done so. A start that is under way is given up.
    pub async fn stop(&self) {
        self.stopping.cancel();
        if let Some(app) = self.running() {
            let node = app.node.clone();
            let waits = app.handle.spawn(async move { node.await_mirrors().await });
            if let Err(error) = waits.await {
                tracing::error!("mirrors are not waited for: {error}");
            }
        }
        self.stop_app().await;
    }

    /// A process around a node that a test has started.
    #[cfg(test)]
    pub fn around(node: Arc<Node>) -> Arc<Self> {
        let place = crate::scratch::directory();
        let directory = data_directory::open(&place, node.name()).expect("an empty directory can be used");
        let peers = Port {
            protocol: "clustering",
            address: ([127, 0, 0, 1], 0).into(),
        };
        let process = Process::new(Config::clone(&node.config()), directory, peers, Ways::nowhere());
        let handle = Handle::current();
        let services = Services::new(node.clone());
        process
            .running
            .store(Some(Arc::new(Running { node, services, handle })));
        process
    }
}

#[cfg(test)]
impl Ways {
    /// To nobody.
    pub fn nowhere() -> Self {
        let nobody = Arc::new(crate::cluster::transport::Nobody);
        Ways {
            neighbours: nobody.clone(),
            dialer: nobody,
        }
    }
}

#[cfg(test)]
impl Dial for crate::cluster::transport::Nobody {
    fn dial(
        &self,
        to: &str,
        _: link::LegOpening,
    ) -> futures::future::BoxFuture<'static, std::io::Result<tokio::net::TcpStream>> {
        let text = format!("this node has no way to {to}");
        Box::pin(async move { Err(std::io::Error::new(std::io::ErrorKind::NotConnected, text)) })
    }
}
