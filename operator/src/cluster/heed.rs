//! Hears of changes in the brokers: of each cluster one node is asked, over and over, whether anything is other than when it last answered,
//! and it answers when something is. That wakes the passes over the cluster and over its Policies.
//!
//! Nothing is decided here, and nothing of an answer is believed but that it differs: a pass reads everything anew. What is missed is found
//! by the next look without a cause.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::Stream;
use link::Cookie;
use tokio::sync::{broadcast, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::policy::broker::Brokers;

/// How long one node may take: longer than it lets anybody wait.
const PATIENCE: Duration = Duration::from_secs(35);
/// Wakes that somebody may be behind with; who is further behind looks soon anyway.
const BEHIND_MAX: usize = 256;

/// Namespace and name of a cluster.
pub type Key = (String, String);

/// How long it is before the next question.
#[derive(Clone, Copy, Debug)]
struct Pauses {
    /// After an answer that told of a change: what changes all the time is one cause now and then.
    woken: Duration,
    /// After one that told of none.
    quiet: Duration,
    /// After many that did not come.
    silent_max: Duration,
}

const PAUSES: Pauses = Pauses {
    woken: Duration::from_secs(5),
    quiet: Duration::from_secs(1),
    silent_max: Duration::from_secs(60),
};

/// Where the nodes of a cluster are, and what proves that we may ask.
#[derive(Clone, Debug, Default)]
struct Nodes {
    addresses: Vec<String>,
    cookies: Vec<Cookie>,
}

#[derive(Debug)]
struct Waiter {
    nodes: watch::Sender<Nodes>,
    _ends_with_it: AbortOnDropHandle<()>,
}

/// Those who wait: one for each cluster that passes have seen and that is not gone.
#[derive(Debug)]
pub struct Heed {
    waiters: Mutex<BTreeMap<Key, Waiter>>,
    wakes: broadcast::Sender<Key>,
    pauses: Pauses,
}

impl Default for Heed {
    fn default() -> Self {
        Self::with(PAUSES)
    }
}

impl Heed {
    fn with(pauses: Pauses) -> Self {
        Self {
            waiters: Mutex::default(),
            wakes: broadcast::channel(BEHIND_MAX).0,
            pauses,
        }
    }

    /// Changes of this cluster are a cause from now on; its nodes are there.
    pub fn follow(&self, cluster: Key, addresses: Vec<String>, cookies: Vec<Cookie>) {
        let nodes = Nodes { addresses, cookies };
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiter) = waiters.get(&cluster) {
            waiter.nodes.send_replace(nodes);
            return;
        }
        let nodes = watch::Sender::new(nodes);
        let waiting = wait(cluster.clone(), nodes.subscribe(), self.wakes.clone(), self.pauses);
        let waiter = Waiter {
            nodes,
            _ends_with_it: AbortOnDropHandle::new(tokio::spawn(waiting)),
        };
        waiters.insert(cluster, waiter);
    }

    /// It is gone, or shall be left alone.
    pub fn forget(&self, cluster: &Key) {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        waiters.remove(cluster);
    }

    /// These are a cause as well, after so long.
    pub fn wake(&self, clusters: Vec<Key>, after: Duration) {
        if clusters.is_empty() {
            return;
        }
        let wakes = self.wakes.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            for cluster in clusters {
                let _ = wakes.send(cluster); // nobody may be there to be woken
            }
        });
    }

    /// The clusters that change, each time that one does.
    pub fn wakes(&self) -> impl Stream<Item = Key> + Send + use<> {
        futures::stream::unfold(self.wakes.subscribe(), |mut wakes| async move {
            loop {
                match wakes.recv().await {
                    Ok(cluster) => return Some((cluster, wakes)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        })
    }
}

async fn wait(cluster: Key, nodes: watch::Receiver<Nodes>, wakes: broadcast::Sender<Key>, pauses: Pauses) {
    let mut mark: Option<String> = None;
    let mut silent = pauses.quiet;
    loop {
        let Nodes { addresses, cookies } = nodes.borrow().clone();
        let brokers = Brokers::new(addresses, cookies).with_patience(PATIENCE);
        let pause = match brokers.changes(mark.as_deref()).await {
            Ok(told) => {
                silent = pauses.quiet;
                match mark.replace(told.mark.clone()) {
                    Some(before) if before != told.mark => {
                        tracing::debug!(
                            namespace = cluster.0,
                            cluster = cluster.1,
                            "its brokers tell of a change"
                        );
                        let _ = wakes.send(cluster.clone()); // nobody may be there to be woken
                        pauses.woken
                    }
                    _ => pauses.quiet,
                }
            }
            Err(error) => {
                tracing::debug!(
                    namespace = cluster.0,
                    cluster = cluster.1,
                    "no broker tells of changes: {error}"
                );
                silent = (silent * 2).min(pauses.silent_max);
                silent
            }
        };
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::extract::Request;
    use axum::http::StatusCode;
    use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
    use axum::response::{IntoResponse, Response};
    use futures::StreamExt;
    use link::{ERRAND_PROOF_HEADER, Errand, Nonces};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const SOON: Duration = Duration::from_secs(20);

    /// A broker of which everything is in our hands.
    struct Broker {
        mark: watch::Sender<String>,
        asked: AtomicUsize,
        nonces: Mutex<Nonces>,
    }

    impl Broker {
        async fn answer(&self, request: Request) -> Response {
            let target = request.uri().path_and_query().unwrap().as_str();
            let errand = Errand {
                method: request.method().as_str(),
                target,
                body: &[],
            };
            let said = request
                .headers()
                .get(AUTHORIZATION)
                .map(|words| words.to_str().unwrap());
            let own = [cookie()];
            let judged = self.nonces.lock().unwrap().judge(0, &own, errand, said);
            let Ok(nonce) = judged.map(|(_, nonce)| nonce) else {
                let challenge = link::errand_challenge(&self.nonces.lock().unwrap().draw(0));
                return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)]).into_response();
            };
            self.asked.fetch_add(1, Ordering::Relaxed);
            let since = target.strip_prefix("/changes?since=").unwrap_or_default().to_owned();
            let mut mark = self.mark.subscribe();
            let mark = mark.wait_for(|mark| *mark != since).await.unwrap().clone();
            let body = serde_json::to_string(&api::Changes { mark }).unwrap();
            let proof = link::answer_proof(&cookie(), &nonce, 200, body.as_bytes());
            (StatusCode::OK, [(ERRAND_PROOF_HEADER, proof)], body).into_response()
        }
    }

    fn cookie() -> Cookie {
        Cookie::new("SECRET", "test").unwrap()
    }

    async fn broker() -> (Arc<Broker>, String) {
        let broker = Arc::new(Broker {
            mark: watch::Sender::new("a.1".into()),
            asked: AtomicUsize::default(),
            nonces: Mutex::default(),
        });
        let own = broker.clone();
        let answer = move |request: Request| {
            let own = own.clone();
            async move { own.answer(request).await }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        (broker, address)
    }

    async fn until(what: &str, holds: impl Fn() -> bool) {
        let holds = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, holds)
            .await
            .unwrap_or_else(|_| panic!("never: {what}"));
    }

    fn heed() -> Heed {
        let short = Duration::from_millis(10);
        Heed::with(Pauses {
            woken: short,
            quiet: short,
            silent_max: short,
        })
    }

    #[tokio::test]
    async fn a_change_in_the_brokers_wakes_once_and_another_node_is_asked_when_one_is_gone() {
        let ((broker, address), heed, key) = (broker().await, heed(), ("shop".to_owned(), "orders".to_owned()));
        let mut wakes = std::pin::pin!(heed.wakes());
        heed.follow(key.clone(), vec!["127.0.0.1:1".into(), address.clone()], vec![cookie()]);
        until("it waits with the first mark", || {
            broker.asked.load(Ordering::Relaxed) == 2
        })
        .await;
        for mark in ["a.2", "a.3", "b.1"] {
            let asked = broker.asked.load(Ordering::Relaxed);
            broker.mark.send_replace(mark.into());
            let woken = tokio::time::timeout(SOON, wakes.next()).await.expect("a wake");
            assert_eq!(woken.as_ref(), Some(&key), "{mark}");
            until("it waits again", || broker.asked.load(Ordering::Relaxed) == asked + 1).await;
        }
        let none = tokio::time::timeout(Duration::from_millis(50), wakes.next()).await;
        assert!(none.is_err(), "nothing has changed");
    }

    #[tokio::test]
    async fn a_cluster_that_is_gone_is_asked_no_more_and_one_that_moves_is_asked_where_it_is() {
        let ((first, at), (second, then), heed) = (broker().await, broker().await, heed());
        let key = ("shop".to_owned(), "orders".to_owned());
        heed.follow(key.clone(), vec![at], vec![cookie()]);
        until("it waits at the first", || first.asked.load(Ordering::Relaxed) == 2).await;
        heed.follow(key.clone(), vec![then], vec![cookie()]);
        first.mark.send_replace("a.2".into());
        until("it asks the second", || second.asked.load(Ordering::Relaxed) > 0).await;
        assert_eq!(first.asked.load(Ordering::Relaxed), 2, "one waiter, not two");
        heed.forget(&key);
        until("it has let go", || second.mark.receiver_count() == 0).await;
        let asked = second.asked.load(Ordering::Relaxed);
        second.mark.send_replace("a.3".into());
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(second.asked.load(Ordering::Relaxed), asked);
    }
}
