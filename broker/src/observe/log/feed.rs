//! Log lines on their way to the exchange: kept while no app is up to publish them, a bounded number of them.
//!
//! A line that finds no room is in the other outputs only. Lines written while one is published are never published.

use super::{line::Line, shape};
use crate::{
    config::{LogFormat, LogShape},
    host::{LogMessage, Node},
};
use parking_lot::Mutex;
use std::{
    cell::Cell,
    collections::VecDeque,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::sync::Notify;

/// Lines that wait to be published.
const LINES_MAX: usize = 1_024;
/// How long the default virtual host is waited for before the exchange is declared again.
const PATIENCE: Duration = Duration::from_secs(5);

/// The process's one feed; there is a log before there is a node.
static FEED: OnceLock<Feed> = OnceLock::new();

thread_local! {
    /// A line is being published by this thread.
    static IS_PUBLISHING: Cell<bool> = const { Cell::new(false) };
}

/// Lines that wait.
#[derive(Debug, Default)]
pub(super) struct Feed {
    lines: Mutex<VecDeque<LogMessage>>,
    came: Notify,
}

impl Feed {
    /// The feed of this process.
    pub(super) fn ours() -> &'static Self {
        FEED.get_or_init(Feed::default)
    }

    /// A line for the exchange.
    pub(super) fn put(&self, line: &Line, shape: &LogShape) {
        if IS_PUBLISHING.get() {
            return;
        }
        let mut lines = self.lines.lock();
        if lines.len() >= LINES_MAX {
            return;
        }
        lines.push_back(LogMessage {
            level: shape::level_name(line.level).to_owned(),
            at: line.at_us / 1_000_000,
            content_type: match shape.format {
                LogFormat::Plaintext => "text/plain",
                LogFormat::Json => "application/json",
            },
            body: shape::render(line, shape),
        });
        drop(lines);
        self.came.notify_one();
    }

    fn take(&self) -> Option<LogMessage> {
        self.lines.lock().pop_front()
    }
}

/// Publishes log lines until the node stops, if that is asked for.
pub async fn publish(node: Arc<Node>) {
    if !node.config().log.exchange.is_on {
        return;
    }
    let stopped = node.stopping().clone();
    let vhost = loop {
        let why = match node.declare_log_exchange().await {
            Ok(vhost) => break vhost,
            Err(refusal) => refusal,
        };
        tracing::warn!("log lines are not published to amq.rabbitmq.log: {why}");
        tokio::select! {
            () = stopped.cancelled() => return,
            () = tokio::time::sleep(PATIENCE) => {}
        }
    };
    tracing::info!("Logging to exchange 'amq.rabbitmq.log' in vhost '{vhost}' ready");
    loop {
        tokio::select! {
            () = stopped.cancelled() => return,
            () = Feed::ours().came.notified() => {}
        }
        while let Some(line) = Feed::ours().take() {
            IS_PUBLISHING.set(true);
            node.publish_log(&vhost, &line);
            IS_PUBLISHING.set(false);
            tokio::task::yield_now().await;
        }
    }
}
