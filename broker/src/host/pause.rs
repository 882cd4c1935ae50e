//! A node that does not hear of a majority serves nobody: its clients are closed, and new ones find no one until it does.
//!
//! Whether it may serve is the cluster's to say. Queues and messages stay as they are.

use std::{sync::Arc, time::Duration};

use super::node::Node;

/// How often a paused node looks for clients that were still coming in.
const LOOK: Duration = Duration::from_millis(500);
/// What clients are told.
const REASON: &str = "the node does not reach a majority of its cluster";

/// Pauses and resumes until the node stops.
pub async fn run(node: Arc<Node>) {
    let Some(mut serving) = node.presence().map(|presence| presence.serving()) else {
        return;
    };
    loop {
        if serving.wait_for(|serves| !*serves).await.is_err() {
            return;
        }
        while !*serving.borrow() {
            node.expel(REASON, |_| true);
            tokio::time::sleep(LOOK).await;
        }
    }
}
