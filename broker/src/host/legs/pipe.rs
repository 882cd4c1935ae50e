//! The octets on their way to the leader: a buffer that anybody may fill, before there is a socket too, and the role of
//! whoever writes it.
//!
//! Nobody waits here. What the socket does not take is left to the leg's own task.

use parking_lot::Mutex;
use std::{
    io,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering, fence},
    },
};
use tokio::net::TcpStream;

use super::super::pool;

/// What is being written, taken out of the buffer.
#[derive(Debug, Default)]
struct Writing {
    chunk: Vec<u8>,
    written: usize,
}

/// One direction of a leg.
#[derive(Debug, Default)]
pub struct Pipe {
    tcp: OnceLock<TcpStream>,
    writing: Mutex<Writing>,
    /// The socket took no more.
    blocked: AtomicBool,
    /// Octets that were ever added to the buffer; whoever fills it says so, under its lock.
    added: AtomicUsize,
    /// Octets that were ever written; whoever writes says so.
    written: AtomicUsize,
}

/// How a flush ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing is left, or whoever writes now will see to it.
    All,
    /// The socket took no more: the leg's task has to wait for it.
    Blocked,
    /// The socket has failed.
    Dead,
}

/// What there is to be written next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The octets in the chunk.
    Octets,
    /// Nothing yet.
    Nothing,
    /// Nothing ever again: what was added and not written stays so.
    Never,
}

impl Next {
    /// What is in a chunk that has just been filled.
    pub fn of(chunk: &[u8]) -> Self {
        match chunk.is_empty() {
            true => Next::Nothing,
            false => Next::Octets,
        }
    }
}

impl Pipe {
    /// The socket is there.
    pub fn connect(&self, tcp: TcpStream) {
        // A leg is connected once.
        let _ = self.tcp.set(tcp);
    }

    /// The socket, once there is one.
    pub fn tcp(&self) -> Option<&TcpStream> {
        self.tcp.get()
    }

    /// True while the socket has to be waited for.
    pub fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Acquire)
    }

    /// The socket may take more.
    pub fn unblock(&self) {
        self.blocked.store(false, Ordering::Release);
    }

    /// Octets that wait to be written, near enough.
    pub fn waiting_bytes(&self) -> usize {
        // In this order there are never fewer added than written.
        let written = self.written.load(Ordering::Acquire);
        self.added.load(Ordering::Relaxed).wrapping_sub(written)
    }

    /// Octets have been added to what `swap` gives, whose lock is held: one at a time says so.
    pub fn added(&self, octets: usize) {
        let added = self.added.load(Ordering::Relaxed).wrapping_add(octets);
        self.added.store(added, Ordering::Release);
    }

    /// What was being written when the socket failed; nothing is written any more.
    pub fn take_chunk(&self) -> Vec<u8> {
        let mut writing = self.writing.lock();
        writing.written = 0;
        std::mem::take(&mut writing.chunk)
    }

    /// Writes what can be written. `swap` exchanges the written chunk, which may be kept, for what has come since.
    pub fn flush(&self, swap: impl Fn(&mut Vec<u8>) -> Next) -> Flushed {
        let Some(tcp) = self.tcp.get() else {
            return Flushed::All;
        };
        loop {
            // Either the role is free for us, or who holds it sees what we have added.
            fence(Ordering::SeqCst);
            let Some(mut writing) = self.writing.try_lock() else {
                return Flushed::All;
            };
            let flushed = self.write(tcp, &mut writing, &swap);
            drop(writing);
            fence(Ordering::SeqCst);
            match flushed {
                // Whoever added octets while we held the role has left them to us.
                Flushed::All if self.waiting_bytes() > 0 => {}
                Flushed::Blocked => {
                    self.blocked.store(true, Ordering::Release);
                    return Flushed::Blocked;
                }
                end => return end,
            }
        }
    }

    fn write(&self, tcp: &TcpStream, writing: &mut Writing, swap: &impl Fn(&mut Vec<u8>) -> Next) -> Flushed {
        loop {
            if writing.written == writing.chunk.len() {
                writing.written = 0;
                let next = swap(&mut writing.chunk);
                if next != Next::Octets {
                    pool::give_back(std::mem::take(&mut writing.chunk));
                    return if next == Next::Never {
                        Flushed::Dead
                    } else {
                        Flushed::All
                    };
                }
            }
            match tcp.try_write(&writing.chunk[writing.written..]) {
                Ok(0) => return Flushed::Dead,
                Ok(octets) => {
                    writing.written += octets;
                    let all = self.written.load(Ordering::Relaxed).wrapping_add(octets);
                    self.written.store(all, Ordering::Release);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Flushed::Blocked,
                Err(_) => return Flushed::Dead,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_left_of_a_leg_that_broke_is_not_flushed_for_ever() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pipe = Pipe::default();
        pipe.connect(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
        // It broke between the look at it and the look for what is to be written.
        pipe.added(5);
        assert_eq!(pipe.flush(|_| Next::Never), Flushed::Dead);
    }
}
