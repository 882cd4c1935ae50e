//! Buffers lent to connections while octets are in flight, so that an idle connection holds none.
//!
//! One small stack per thread; a buffer that grew too large is not taken back.

use std::cell::RefCell;

/// What a fresh buffer can hold: one read from a busy socket.
pub const BUFFER_BYTES: usize = 128 * 1024;
/// Buffers kept per thread.
const BUFFERS_MAX: usize = 16;
/// A buffer larger than this is freed instead of kept.
const BUFFER_BYTES_MAX: usize = 1024 * 1024;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room.
pub fn take() -> Vec<u8> {
    POOL.with_borrow_mut(Vec::pop)
        .unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES))
}

/// Gives a buffer back; its content is forgotten.
pub fn give_back(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > BUFFER_BYTES_MAX {
        return;
    }
    buffer.clear();
    POOL.with_borrow_mut(|pool| {
        if pool.len() < BUFFERS_MAX {
            pool.push(buffer);
        }
    });
}
