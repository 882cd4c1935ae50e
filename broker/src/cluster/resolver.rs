//! Where a node is found, by its name.
//!
//! Tests and simulations bring their own answer.

use futures::future::BoxFuture;
use std::{fmt, io, net::SocketAddr};

/// Finds nodes.
pub trait Resolver: fmt::Debug + Send + Sync + 'static {
    /// The addresses of the peer port of a node called `rabbit@host`, best first.
    ///
    /// # Errors
    /// When there is no such host.
    fn resolve(&self, name: &str) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>>;
}

/// The host by the system's names, the port as configured here: the same on every host.
#[derive(Clone, Copy, Debug)]
pub struct SamePort(pub u16);

impl Resolver for SamePort {
    fn resolve(&self, name: &str) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>> {
        let host = name.split_once('@').map_or(name, |(_, host)| host).to_owned();
        let port = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), port)).await;
            found
                .map(Iterator::collect)
                .map_err(|error| io::Error::new(io::ErrorKind::NotFound, format!("host {host}: {error}")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_node_is_found_at_the_own_port_of_its_host() {
        let found = SamePort(25_672).resolve("rabbit@127.0.0.1").await.unwrap();
        assert_eq!(found, ["127.0.0.1:25672".parse().unwrap()]);
        let missing = SamePort(1).resolve("rabbit@no-such-host.invalid").await.unwrap_err();
        assert!(missing.to_string().contains("no-such-host.invalid"), "{missing}");
    }
}
