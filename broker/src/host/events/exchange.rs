//! Events as messages: the topic exchange `amq.rabbitmq.event`, there while its plugin is enabled.
//!
//! Published by a task of its own, one after the other, and by nobody else. What is published here is no event.

use catalog::Command;
use model::{Refusal, VhostName};
use session::Publication;
use std::{sync::Arc, time::Duration};

use super::{super::node::Node, Happening};

/// Where events go.
const EXCHANGE: &str = "amq.rabbitmq.event";
/// How long the virtual host is waited for before the exchange is declared again.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is told that events were dropped.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Publishes events while the plugin is enabled, until the node stops.
pub async fn run(node: Arc<Node>) {
    let stopped = node.stopping().clone();
    let work = async {
        loop {
            node.until_events_are(true).await;
            let vhost = declared(&node).await;
            node.events().publish(true);
            tracing::info!("events are published to {EXCHANGE} in vhost '{vhost}'");
            tokio::select! {
                () = node.until_events_are(false) => {}
                () = publish_all(&node, &vhost) => {}
            }
            node.events().publish(false);
            node.remove_event_exchange(vhost).await;
        }
    };
    stopped.run_until_cancelled(work).await;
}

/// Declares the exchange, as soon as its virtual host is there.
async fn declared(node: &Node) -> VhostName {
    loop {
        match node.declare_event_exchange().await {
            Ok(vhost) => return vhost,
            Err(why) => tracing::warn!("events are not published to {EXCHANGE}: {why}"),
        }
        tokio::time::sleep(PATIENCE).await;
    }
}

async fn publish_all(node: &Node, vhost: &VhostName) {
    let (mut dropped, mut told_at) = (node.events().counts().1, tokio::time::Instant::now());
    loop {
        node.events().came.notified().await;
        while let Some(happening) = node.events().next() {
            if !node.has_exchange(vhost, EXCHANGE) {
                // The plugin was disabled on another node, or the virtual host is another one by now.
                declared(node).await;
            }
            node.publish_event(vhost, &happening);
            tokio::task::yield_now().await;
        }
        let now_dropped = node.events().counts().1;
        if now_dropped > dropped && told_at.elapsed() >= TOLD_EVERY {
            tracing::warn!(
                "{} events came too fast for {EXCHANGE} and were dropped",
                now_dropped - dropped
            );
            (dropped, told_at) = (now_dropped, tokio::time::Instant::now());
        }
    }
}

impl Node {
    /// Waits until the plugin is enabled, or disabled.
    async fn until_events_are(&self, wanted: bool) {
        loop {
            let changed = self.events().switched.notified();
            if self.plugins().events() == wanted {
                return;
            }
            changed.await;
        }
    }

    /// The exchange, unless it is there.
    async fn declare_event_exchange(&self) -> Result<VhostName, Refusal> {
        let config = self.config();
        let vhost = config.event_vhost.as_ref().unwrap_or(&config.access.default_vhost);
        self.declare_own_exchange(vhost, "event_exchange.vhost", EXCHANGE).await
    }

    /// It goes with its plugin, as in RabbitMQ; another node that has the plugin declares it again.
    async fn remove_event_exchange(&self, vhost: VhostName) {
        let Ok(name) = EXCHANGE.parse() else { return };
        let if_unused = false;
        let gone = Command::DeleteExchange { vhost, name, if_unused };
        if let Err(refusal) = self.commit(gone).await {
            tracing::warn!("{EXCHANGE} stays: {refusal}");
        }
    }

    /// Publishes an event. Nobody is there to be told that it found no room.
    fn publish_event(&self, vhost: &VhostName, happening: &Happening) {
        let properties = wire::Properties {
            headers: Some(happening.headers.clone()),
            delivery_mode: Some(2),
            timestamp: Some(happening.at.0 / 1000),
            ..wire::Properties::default()
        };
        let properties = match properties.encode() {
            Ok(properties) => properties,
            Err(error) => return tracing::warn!("event {} not published: {error}", happening.key),
        };
        let publication = Publication {
            exchange: EXCHANGE.as_bytes(),
            routing_key: happening.key.as_bytes(),
            mandatory: false,
            properties: &properties,
            headers: None,
            extra_keys: &[],
            body: &[],
            persistent: true,
            priority: 0,
            ttl: None,
            fault: None,
        };
        self.publish_to_own_exchange(vhost, EXCHANGE, &publication);
    }
}
