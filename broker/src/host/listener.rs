//! Accepting AMQP clients on plain and TLS ports, with the PROXY protocol where it is asked for.
//!
//! Each accepted socket becomes a connection task. An accept error never ends the listener.

use anyhow::Context;
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::{connection, gate::Gated, node::Node, proxy, socket::Socket, tls::Certificates};
use crate::config::{ListenAddress, Listeners, SocketOptions};

/// One bound port.
#[derive(Debug)]
pub struct Bound {
    listener: Gated,
    certificates: Option<Arc<Certificates>>,
    proxy_protocol: bool,
    /// Places for its connections, if there are only so many.
    places: Option<Arc<Semaphore>>,
}

/// A port that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// `amqp`, `amqp/ssl`, `http`, …
    pub protocol: &'static str,
    /// Where.
    pub address: SocketAddr,
}

/// Binds all AMQP ports, or says which one cannot be had.
pub fn bind_all(listeners: &Listeners) -> anyhow::Result<Vec<Bound>> {
    let certificates = match listeners.tls.is_empty() {
        true => None,
        false => Some(Arc::new(Certificates::load(&listeners.tls_options, "ssl_options")?)),
    };
    let plain = listeners.tcp.values().map(|address| (address, None));
    let tls = listeners.tls.values().map(|address| (address, certificates.clone()));
    let bind_one = |(address, certificates): (&ListenAddress, Option<Arc<Certificates>>)| {
        let listener =
            bind(*address, &listeners.socket).with_context(|| format!("cannot listen for AMQP on {address}"))?;
        Ok(Bound {
            listener: Gated::new(listener, listeners.socket.clone())?,
            certificates,
            proxy_protocol: listeners.proxy_protocol,
            places: listeners.connections_max.max().map(places),
        })
    };
    plain.chain(tls).map(bind_one).collect()
}

fn places(most: u64) -> Arc<Semaphore> {
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
    Arc::new(Semaphore::new(most))
}

/// Binds one address. Every interface means IPv6 and IPv4, or IPv4 alone where the system has no IPv6.
pub fn bind(address: ListenAddress, options: &SocketOptions) -> io::Result<TcpListener> {
    let wanted = address.socket();
    match listen(wanted, options) {
        Err(_) if address.ip.is_none() => listen((Ipv4Addr::UNSPECIFIED, address.port).into(), options),
        outcome => outcome,
    }
}

/// Binds this very address. The options are the listener's own: what it accepts inherits them, without a call for each.
pub(super) fn listen(address: SocketAddr, options: &SocketOptions) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    tune(&socket, options)?;
    socket.bind(&address.into())?;
    socket.listen(options.backlog.max(1))?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

fn tune(socket: &socket2::Socket, options: &SocketOptions) -> io::Result<()> {
    socket.set_tcp_nodelay(options.nodelay)?;
    socket.set_keepalive(options.keepalive)?;
    if options.linger && options.linger_s > 0 {
        socket.set_linger(Some(Duration::from_secs(options.linger_s.into())))?;
    }
    if let Some(size) = options.send_buffer {
        socket.set_send_buffer_size(size.0 as usize)?;
    }
    if let Some(size) = options.receive_buffer {
        socket.set_recv_buffer_size(size.0 as usize)?;
    }
    Ok(())
}

impl Bound {
    /// What this port is called and where it is.
    pub fn port(&self) -> Port {
        let protocol = if self.certificates.is_some() {
            "amqp/ssl"
        } else {
            "amqp"
        };
        Port {
            protocol,
            address: self.listener.address(),
        }
    }

    /// What it shows clients, if it speaks TLS.
    pub fn certificates(&self) -> Option<Arc<Certificates>> {
        self.certificates.clone()
    }

    /// Accepts until the node stops, while its gate is open.
    pub async fn run(mut self, node: Arc<Node>) {
        self.listener.follow(node.gate());
        loop {
            // Who comes while there is no place waits to be accepted.
            let place = tokio::select! {
                () = node.stopping().cancelled() => return,
                place = place_in(self.places.clone()) => place,
            };
            tokio::select! {
                () = node.stopping().cancelled() => return,
                accepted = self.listener.accept() => match accepted {
                    // Who comes while the node is paused finds nobody.
                    Ok(_) if !node.serves() => {}
                    Ok((tcp, peer)) => self.greet(&node, tcp, peer, place),
                    Err(error) => {
                        // Out of descriptors or memory: others may leave meanwhile.
                        tracing::warn!("cannot accept a connection: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
    }

    fn greet(&self, node: &Arc<Node>, tcp: TcpStream, peer: SocketAddr, place: Option<OwnedSemaphorePermit>) {
        let (node, certificates, proxied) = (node.clone(), self.certificates.clone(), self.proxy_protocol);
        tokio::spawn(async move {
            // Given back when the connection has ended.
            let _place = place;
            if let Err(error) = introduce(node, tcp, peer, certificates, proxied).await {
                tracing::warn!("closing connection of {peer}: {error}");
            }
        });
    }
}

/// A place for a connection, where places are counted.
async fn place_in(places: Option<Arc<Semaphore>>) -> Option<OwnedSemaphorePermit> {
    // Nobody closes the semaphore, so there is one some time.
    places?.acquire_owned().await.ok()
}

async fn introduce(
    node: Arc<Node>,
    tcp: TcpStream,
    peer: SocketAddr,
    certificates: Option<Arc<Certificates>>,
    proxied: bool,
) -> io::Result<()> {
    let local = tcp.local_addr()?;
    let (peer, local) = match proxied {
        true => proxy::read_header(&tcp, node.handshake_timeout())
            .await?
            .unwrap_or((peer, local)),
        false => (peer, local),
    };
    let socket = match certificates {
        None => Socket::plain(tcp),
        Some(certificates) => Socket::tls(tcp, certificates.accept().map_err(io::Error::other)?),
    };
    connection::serve(node, socket, canonical(peer), canonical(local)).await;
    Ok(())
}

/// An IPv4 client of an IPv6 socket is shown by its IPv4 address.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ByteSize;

    #[tokio::test]
    async fn an_accepted_socket_has_the_options_of_its_listener() {
        let options = SocketOptions {
            backlog: 1,
            nodelay: true,
            keepalive: true,
            linger: true,
            linger_s: 7,
            send_buffer: Some(ByteSize(100_000)),
            receive_buffer: Some(ByteSize(50_000)),
        };
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), &options).unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, client) = tokio::join!(listener.accept(), TcpStream::connect(address));
        let (accepted, _client) = (accepted.unwrap().0, client.unwrap());
        let socket = socket2::SockRef::from(&accepted);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.linger().unwrap(), Some(Duration::from_secs(7)));
        // The kernel doubles what it is told, for its own bookkeeping.
        assert_eq!(socket.send_buffer_size().unwrap(), 200_000);
        assert_eq!(socket.recv_buffer_size().unwrap(), 100_000);
    }
}
