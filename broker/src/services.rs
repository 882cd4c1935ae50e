//! What plugins switch on and off in a running app: the ports of the management API and of Prometheus.
//!
//! A change is done as a whole or not at all: every new port is bound and the file written before anything is served or
//! stopped. What a plugin answers is not decided here.

use anyhow::Context as _;
use std::{collections::BTreeMap, fs, sync::Arc};
use tokio::{sync::Mutex, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Plugins},
    host::{Node, listener::Port},
    http::Bound,
    management, observe,
};

/// What a plugin serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Service {
    Management,
    Prometheus,
}

const ALL: [Service; 2] = [Service::Management, Service::Prometheus];

/// Ports that are bound and not served yet.
#[derive(Debug)]
pub struct Waiting(Vec<(Service, Vec<Bound>)>);

#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    ports: Vec<Port>,
}

/// The services of one app.
#[derive(Debug)]
pub struct Services {
    node: Arc<Node>,
    samples: Arc<observe::Samples>,
    /// What the management API tells other nodes, whether or not it is served here.
    pages: axum::Router,
    running: Mutex<BTreeMap<Service, Running>>,
}

/// What a change has started and stopped, by the plugins' names.
#[derive(Debug, PartialEq, Eq)]
pub struct Switched {
    /// Started.
    pub started: Vec<String>,
    /// Stopped.
    pub stopped: Vec<String>,
}

impl Service {
    fn is_wanted(self, plugins: &Plugins) -> bool {
        match self {
            Service::Management => plugins.management(),
            Service::Prometheus => plugins.prometheus(),
        }
    }

    fn bind(self, config: &Config) -> anyhow::Result<Vec<Bound>> {
        match self {
            Service::Management => management::bind(config),
            Service::Prometheus => observe::bind_scrapes(config),
        }
    }
}

impl Waiting {
    /// Binds what these plugins serve.
    ///
    /// # Errors
    /// The port that cannot be had.
    pub fn bind(config: &Config, plugins: &Plugins) -> anyhow::Result<Self> {
        Waiting::bind_all(config, ALL.into_iter().filter(|service| service.is_wanted(plugins)))
    }

    fn bind_all(config: &Config, services: impl Iterator<Item = Service>) -> anyhow::Result<Self> {
        let bound = services.map(|service| Ok((service, service.bind(config)?)));
        Ok(Waiting(bound.collect::<anyhow::Result<_>>()?))
    }
}

impl Services {
    /// None yet.
    pub fn new(node: Arc<Node>) -> Arc<Self> {
        let samples = Arc::new(observe::Samples::default());
        let observer = samples.clone();
        node.far_counts()
            .observed_by(move |queue| observer.queue_is_idle_since(queue));
        Arc::new(Services {
            pages: management::pages(node.clone(), samples.clone()),
            node,
            samples,
            running: Mutex::default(),
        })
    }

    /// What the management API tells other nodes.
    pub fn pages(&self) -> &axum::Router {
        &self.pages
    }

    /// Serves what was bound, until the node stops or the plugin is disabled.
    pub async fn serve(&self, waiting: Waiting) {
        let mut running = self.running.lock().await;
        for (service, bound) in waiting.0 {
            running.insert(service, self.start(service, bound));
        }
    }

    fn start(&self, service: Service, bound: Vec<Bound>) -> Running {
        let stop = self.node.stopping().child_token();
        let mut tasks = Vec::new();
        let routes = match service {
            Service::Prometheus => observe::scrape_routes(self.node.clone()),
            Service::Management => {
                let sampling = observe::sample(self.samples.clone(), self.node.clone());
                let stopped = stop.clone();
                tasks.push(tokio::spawn(async move {
                    stopped.run_until_cancelled(sampling).await;
                }));
                management::routes(self.node.clone(), self.samples.clone())
            }
        };
        let ports: Vec<Port> = bound.iter().map(Bound::port).collect();
        for port in &ports {
            tracing::info!("started {} listener on {}", port.protocol, port.address);
            self.node.announce(port.clone());
        }
        let served = bound
            .into_iter()
            .map(|bound| tokio::spawn(bound.behind(self.node.gate()).run(routes.clone(), stop.clone())));
        tasks.extend(served);
        Running { stop, tasks, ports }
    }

    async fn stop(&self, running: Running) {
        running.stop.cancel();
        for task in running.tasks {
            if let Err(why) = task.await {
                tracing::error!("a service did not stop in order: {why}");
            }
        }
        for port in &running.ports {
            tracing::info!("stopped {} listener on {}", port.protocol, port.address);
            self.node.withdraw(port);
        }
    }

    /// Has these plugins enabled, now and at the next start.
    ///
    /// # Errors
    /// A port that cannot be had, or the file of enabled plugins that cannot be written; nothing has changed then.
    pub async fn switch(&self, plugins: Plugins) -> anyhow::Result<Switched> {
        let mut running = self.running.lock().await;
        let config = self.node.config();
        let missing = ALL
            .into_iter()
            .filter(|service| service.is_wanted(&plugins) && !running.contains_key(service));
        let waiting = Waiting::bind_all(&config, missing)?;
        let file = &config.node.enabled_plugins_file;
        fs::write(file, plugins.text()).with_context(|| format!("cannot write {}", file.display()))?;
        for service in ALL.into_iter().filter(|service| !service.is_wanted(&plugins)) {
            if let Some(unwanted) = running.remove(&service) {
                self.stop(unwanted).await;
            }
        }
        for (service, bound) in waiting.0 {
            running.insert(service, self.start(service, bound));
        }
        let before = self.node.plugins();
        let (before, after) = (before.enabled(), plugins.enabled());
        let names =
            |some: std::collections::btree_set::Difference<'_, &str>| some.map(|&name| name.to_owned()).collect();
        let switched = Switched {
            started: names(after.difference(&before)),
            stopped: names(before.difference(&after)),
        };
        self.node.set_plugins(plugins.clone());
        tracing::info!("enabled plugins are now {}", plugins.text().trim_end());
        Ok(switched)
    }
}
