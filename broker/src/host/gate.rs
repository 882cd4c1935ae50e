//! Ports of clients that are closed for a while by an administrator's word, and opened again.
//!
//! Whoever is connected stays. Nobody listens meanwhile, so that load balancers send clients elsewhere.

use std::{future, io, net::SocketAddr};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::{listener, node::Node};
use crate::config::SocketOptions;

/// Whether the ports are closed.
#[derive(Debug)]
pub struct Gate(watch::Sender<bool>);

impl Default for Gate {
    fn default() -> Self {
        Gate(watch::Sender::new(false))
    }
}

impl Gate {
    /// Closes or opens all of them; nothing happens if it is so already.
    pub fn close(&self, closed: bool) {
        if self.0.send_replace(closed) != closed {
            tracing::info!(
                "listeners of clients are {}",
                if closed { "suspended" } else { "resumed" }
            );
        }
    }
}

impl Node {
    /// Whether clients find the ports open.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }
}

/// A port that may be behind a gate.
#[derive(Debug)]
pub struct Gated {
    listener: Option<TcpListener>,
    address: SocketAddr,
    options: SocketOptions,
    closed: watch::Receiver<bool>,
}

impl Gated {
    /// A port that is always open.
    ///
    /// # Errors
    /// The system does not say where it listens.
    pub fn new(listener: TcpListener, options: SocketOptions) -> io::Result<Self> {
        Ok(Gated {
            address: listener.local_addr()?,
            listener: Some(listener),
            options,
            closed: Gate::default().0.subscribe(),
        })
    }

    /// Puts it behind a gate.
    pub fn follow(&mut self, gate: &Gate) {
        self.closed = gate.0.subscribe();
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next client, once the gate is open.
    ///
    /// # Errors
    /// As the system has it; also when the port cannot be had again. May be asked again.
    pub async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            if *self.closed.borrow_and_update() {
                self.listener = None;
                changed(&mut self.closed).await;
                continue;
            }
            let listener = match self.listener.take() {
                Some(listener) => listener,
                None => listener::listen(self.address, &self.options)?,
            };
            let listener = self.listener.insert(listener);
            tokio::select! {
                accepted = listener.accept() => return accepted,
                () = changed(&mut self.closed) => {}
            }
        }
    }
}

/// The gate moves; one whose node is gone never does.
async fn changed(closed: &mut watch::Receiver<bool>) {
    if closed.changed().await.is_err() {
        future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_port_refuses_connections_until_it_is_opened_again() {
        let gate = Gate::default();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut gated = Gated::new(listener, SocketOptions::waiting(16)).unwrap();
        gated.follow(&gate);
        let address = gated.address;
        let connects = async || TcpStream::connect(address).await.is_ok();
        let (accepted, connected) = tokio::join!(gated.accept(), connects());
        assert!(accepted.is_ok() && connected);
        gate.close(true);
        let mut first = Box::pin(gated.accept());
        assert!(futures::poll!(&mut first).is_pending(), "nobody listens");
        assert!(!connects().await);
        gate.close(false);
        assert!(futures::poll!(&mut first).is_pending(), "somebody listens, nobody came");
        let (accepted, connected) = tokio::join!(first, connects());
        assert!(accepted.is_ok() && connected);
    }
}
