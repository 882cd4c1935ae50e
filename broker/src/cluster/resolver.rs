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

/// The addresses of a host by the system's names.
///
/// # Errors
/// When there is no such host.
pub async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found = tokio::net::lookup_host((host, port)).await;
    found
        .map(Iterator::collect)
        .map_err(|error| io::Error::new(io::ErrorKind::NotFound, format!("host {host}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_host_that_is_not_there_is_named() {
        let found = addresses("127.0.0.1", 25_672).await.unwrap();
        assert_eq!(found, ["127.0.0.1:25672".parse().unwrap()]);
        let missing = addresses("no-such-host.invalid", 1).await.unwrap_err();
        assert!(missing.to_string().contains("no-such-host.invalid"), "{missing}");
    }
}
