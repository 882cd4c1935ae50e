//! A yardstick for whoever stands between a client and a broker: connections to one port are carried to another with as
//! little work as can be.
//!
//! One thread, one buffer for each direction, nothing looked at. What this costs beside the broker is what moving the
//! octets through one more process costs on this machine.

use crate::error::Error;
use std::{io, net::Ipv4Addr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// Room for what is read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// Two ports of the loopback address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Who connects here ...
    pub from: u16,
    /// ... is carried there.
    pub to: u16,
}

impl std::str::FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ports = text.split_once(':').and_then(|(from, to)| {
            Some(Ports {
                from: from.parse().ok()?,
                to: to.parse().ok()?,
            })
        });
        ports.ok_or_else(|| "not two ports, such as 5673:5672".into())
    }
}

/// Carries connections until the process is ended.
///
/// # Errors
/// The port cannot be listened on.
pub(crate) async fn run(ports: Ports) -> Result<(), Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.from)).await?;
    loop {
        let (near, _) = listener.accept().await?;
        tokio::spawn(async move {
            // What becomes of it both ends see themselves.
            let _ = carry(near, ports.to).await;
        });
    }
}

async fn carry(near: TcpStream, to: u16) -> io::Result<()> {
    let far = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near, far) = (near.into_split(), far.into_split());
    tokio::try_join!(pass(near.0, far.1), pass(far.0, near.1))?;
    Ok(())
}

/// One direction, to its end.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let octets = from.read(&mut buffer).await?;
        if octets == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..octets]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ports_are_read_and_nothing_else_is() {
        assert_eq!("5673:5672".parse(), Ok(Ports { from: 5673, to: 5672 }));
        for wrong in ["5673", "5673:", ":1", "1:2:3", "70000:1"] {
            let refused: Result<Ports, String> = wrong.parse();
            assert!(refused.is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn octets_come_through_in_both_directions_and_so_does_the_end() {
        let broker = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let ports = Ports {
            from: free.local_addr().unwrap().port(),
            to: broker.local_addr().unwrap().port(),
        };
        drop(free);
        tokio::spawn(run(ports));
        let mut client = loop {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, ports.from)).await {
                Ok(client) => break client,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let (mut served, _) = broker.accept().await.unwrap();
        let large = vec![7; 3 * BUFFER_BYTES];
        let mut got = Vec::new();
        let sending = async {
            client.write_all(&large).await.unwrap();
            client.shutdown().await.unwrap();
        };
        let ((), read) = tokio::join!(sending, served.read_to_end(&mut got));
        assert_eq!((read.unwrap(), got.len()), (large.len(), large.len()));
        served.write_all(b"answer").await.unwrap();
        drop(served);
        got.clear();
        client.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"answer");
    }
}
