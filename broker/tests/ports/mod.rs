//! Ports for the processes that tests start. None is given twice, whichever test processes of this machine ask at once, and none is of those
//! that the system gives to clients.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    ops::Range,
    sync::Mutex,
};

/// Ports below those that the system gives to clients: one of the many connections here would take it meanwhile.
const PORTS: Range<u16> = 20_000..32_000;
/// How many a test process has to itself at a time.
const BLOCK: u16 = 200;

/// What this process has to itself: blocks, each held by a UDP socket on its first port, which nothing under test listens on; and what is left of
/// the newest.
struct Claims {
    held: Vec<UdpSocket>,
    left: Range<u16>,
}

impl Claims {
    fn next(&mut self) -> u16 {
        if self.left.is_empty() {
            let claim = |first: u16| Some((UdpSocket::bind((Ipv4Addr::LOCALHOST, first)).ok()?, first));
            let mut blocks = PORTS.step_by(BLOCK.into());
            let (socket, first) = blocks
                .find_map(claim)
                .expect("a block of ports that no other test process holds");
            self.held.push(socket);
            self.left = first..first + BLOCK;
        }
        self.left.next().expect("a block has ports")
    }
}

/// Ports that nobody listens on.
pub(crate) fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    static CLAIMS: Mutex<Claims> = Mutex::new(Claims {
        held: Vec::new(),
        left: 0..0,
    });
    let mut claims = CLAIMS.lock().expect("nobody panics here");
    let mut found = std::iter::repeat_with(|| SocketAddr::from((Ipv4Addr::LOCALHOST, claims.next())))
        .filter(|address| TcpListener::bind(address).is_ok());
    std::array::from_fn(|_| found.next().expect("an endless supply"))
}
