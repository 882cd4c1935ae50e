//! Ports for the processes that tests start. None is given twice by one test process, and none is of those that the system gives to
//! clients.

use std::{
    net::{SocketAddr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

/// Ports below those that the system gives to clients: one of the many connections here would take it meanwhile.
pub(crate) fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let mut found = std::iter::repeat_with(|| {
        let number = std::process::id()
            .wrapping_mul(97)
            .wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        SocketAddr::from(([127, 0, 0, 1], 20_000 + (number % 12_000) as u16))
    })
    .filter(|address| TcpListener::bind(address).is_ok());
    std::array::from_fn(|_| found.next().expect("an endless supply"))
}
