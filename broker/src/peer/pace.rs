//! How TCP sends between nodes: as fast as the other end takes it.
//!
//! Where the host's congestion control is BBR, each socket sends at a pace of its own, by a timer, in pieces that fit it: right
//! across the world, and a third more CPU for every octet between nodes that share a network. Nodes then use Reno, which
//! every kernel has and lets everybody choose. What else a host has chosen stays. Nothing small waits for what was sent before to be
//! acknowledged, at either end: answers that follow each other would take the 40 ms of a delayed acknowledgement each. Clients'
//! connections are none of this.

use socket2::SockRef;
use std::{io, net::SocketAddr};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Those of this name, in all versions, send by a timer.
const PACED: &[u8] = b"bbr";
/// The one to use instead.
const UNPACED: &[u8] = b"reno";

/// Connects to another node. The choice is made before: a timer that a connection began with stays.
pub(super) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_nodelay(true)?;
    leave_pace(&SockRef::from(&socket));
    socket.connect(address).await
}

/// What is accepted from now on sends as what `connect` gives: a connection begins with what its listener has.
pub(super) fn of_accepted(listener: &TcpListener) -> io::Result<()> {
    let socket = SockRef::from(listener);
    leave_pace(&socket);
    socket.set_tcp_nodelay(true)
}

/// Nothing but CPU depends on it: without a choice all goes on as the host has it.
fn leave_pace(socket: &SockRef<'_>) {
    if let Ok(name) = socket.tcp_congestion()
        && name.starts_with(PACED)
        && let Err(error) = socket.set_tcp_congestion(UNPACED)
    {
        tracing::debug!("connections between nodes send by a timer: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name of a socket's congestion control; the kernel fills it up with zeros.
    fn congestion(tcp: &TcpStream) -> String {
        let name = SockRef::from(tcp).tcp_congestion().unwrap();
        String::from_utf8(name).unwrap().trim_end_matches('\0').to_owned()
    }

    #[tokio::test]
    async fn neither_end_of_a_connection_between_nodes_sends_by_a_timer_or_waits_to_send() {
        for host in ["127.0.0.1", "::1"] {
            // A host may have no IPv6.
            let Ok(listener) = TcpListener::bind((host, 0)).await else {
                continue;
            };
            of_accepted(&listener).unwrap();
            let (near, accepted) = tokio::join!(connect(listener.local_addr().unwrap()), listener.accept());
            let (near, (far, _)) = (near.unwrap(), accepted.unwrap());
            assert!(!congestion(&near).starts_with("bbr"), "{host}");
            assert_eq!(congestion(&near), congestion(&far), "{host}");
            assert!(near.nodelay().unwrap() && far.nodelay().unwrap(), "{host}");
        }
    }

    #[tokio::test]
    async fn what_a_host_has_chosen_besides_stays() {
        let socket = TcpSocket::new_v4().unwrap();
        let chosen = SockRef::from(&socket).tcp_congestion().unwrap();
        leave_pace(&SockRef::from(&socket));
        let now = SockRef::from(&socket).tcp_congestion().unwrap();
        assert!(now == chosen || chosen.starts_with(PACED));
    }
}
