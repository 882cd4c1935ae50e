//! The PROXY protocol, versions 1 and 2: the real ends of a connection that a load balancer made.
//!
//! Mandatory once switched on: a client without the header is refused. The header is read exactly, so that the octets
//! behind it stay in the socket.

use model::Millis;
use ppp::{HeaderResult, PartialResult, v1, v2};
use std::{io, net::SocketAddr, time::Duration};
use tokio::net::TcpStream;

/// Longest header of either version that is looked at, in octets.
const HEADER_BYTES_MAX: usize = 536;

/// Reads the header. `None`: the proxy speaks for itself (a health check), the socket's own ends hold.
pub async fn read_header(tcp: &TcpStream, patience: Millis) -> io::Result<Option<(SocketAddr, SocketAddr)>> {
    tokio::time::timeout(Duration::from_millis(patience.0), peek_header(tcp))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no PROXY protocol header"))?
}

async fn peek_header(tcp: &TcpStream) -> io::Result<Option<(SocketAddr, SocketAddr)>> {
    let mut seen = [0; HEADER_BYTES_MAX];
    let mut had = 0;
    loop {
        let length = tcp.peek(&mut seen).await?;
        let header = HeaderResult::parse(&seen[..length]);
        if header.is_complete() {
            let (octets, ends) = ends(&header)?;
            consume(tcp, octets).await?;
            return Ok(ends);
        }
        if length == 0 || length == HEADER_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "bad PROXY protocol header"));
        }
        if length == had {
            // A peek does not wait for more than is there.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        had = length;
    }
}

async fn consume(tcp: &TcpStream, mut octets: usize) -> io::Result<()> {
    let mut sink = [0; HEADER_BYTES_MAX];
    while octets > 0 {
        tcp.readable().await?;
        match tcp.try_read(&mut sink[..octets.min(HEADER_BYTES_MAX)]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => octets -= read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

type Ends = Option<(SocketAddr, SocketAddr)>;

fn ends(header: &HeaderResult<'_>) -> io::Result<(usize, Ends)> {
    let bad = |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("bad PROXY protocol header: {why}"));
    match header {
        HeaderResult::V1(Ok(header)) => Ok((header.header.len(), ends_v1(&header.addresses))),
        HeaderResult::V2(Ok(header)) => Ok((header.len(), ends_v2(&header.addresses))),
        HeaderResult::V1(Err(error)) => Err(bad(error.to_string())),
        HeaderResult::V2(Err(error)) => Err(bad(error.to_string())),
    }
}

fn ends_v1(addresses: &v1::Addresses) -> Ends {
    match addresses {
        v1::Addresses::Unknown => None,
        v1::Addresses::Tcp4(a) => Some((
            (a.source_address, a.source_port).into(),
            (a.destination_address, a.destination_port).into(),
        )),
        v1::Addresses::Tcp6(a) => Some((
            (a.source_address, a.source_port).into(),
            (a.destination_address, a.destination_port).into(),
        )),
    }
}

fn ends_v2(addresses: &v2::Addresses) -> Ends {
    match addresses {
        v2::Addresses::IPv4(a) => Some((
            (a.source_address, a.source_port).into(),
            (a.destination_address, a.destination_port).into(),
        )),
        v2::Addresses::IPv6(a) => Some((
            (a.source_address, a.source_port).into(),
            (a.destination_address, a.destination_port).into(),
        )),
        v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
    }
}
