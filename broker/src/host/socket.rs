//! A client's socket without waiting: try to read, try to write, and readiness to await. Plain or TLS.
//!
//! Any task may write (whoever holds the flusher's role), so TLS runs as a machine behind a lock instead of a stream
//! owned by one task.

use parking_lot::Mutex;
use std::io::{self, Read, Write};
use tokio::net::TcpStream;

/// One connected socket.
#[derive(Debug)]
pub struct Socket {
    tcp: TcpStream,
    tls: Option<Box<Mutex<rustls::ServerConnection>>>,
}

impl Socket {
    /// A plain socket.
    pub fn plain(tcp: TcpStream) -> Self {
        Socket { tcp, tls: None }
    }

    /// A socket whose TLS handshake is still to come.
    pub fn tls(tcp: TcpStream, tls: rustls::ServerConnection) -> Self {
        Socket {
            tcp,
            tls: Some(Box::new(Mutex::new(tls))),
        }
    }

    /// True behind TLS.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// True until the TLS handshake is over.
    pub fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.lock().is_handshaking())
    }

    /// Waits until a read may give something.
    pub async fn readable(&self) -> io::Result<()> {
        self.tcp.readable().await
    }

    /// Waits until a write may be taken.
    pub async fn writable(&self) -> io::Result<()> {
        self.tcp.writable().await
    }

    /// Appends what is there to `buffer`, within its capacity. `Ok(0)` = end of stream.
    pub fn try_read(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match &self.tls {
            None => self.tcp.try_read_buf(buffer),
            Some(tls) => self.try_read_tls(&mut tls.lock(), buffer),
        }
    }

    fn try_read_tls(&self, tls: &mut rustls::ServerConnection, buffer: &mut Vec<u8>) -> io::Result<usize> {
        loop {
            let room = buffer.capacity() - buffer.len();
            let before = buffer.len();
            match Read::by_ref(&mut tls.reader()).take(room as u64).read_to_end(buffer) {
                Ok(_) | Err(_) if buffer.len() > before => return Ok(buffer.len() - before),
                Ok(_) => return Ok(0),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) => {}
            }
            let received = tls.read_tls(&mut Raw(&self.tcp))?;
            let state = tls.process_new_packets();
            // Handshake messages and alerts go out also when the peer's octets were bad.
            self.write_records(tls)?;
            state.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if received == 0 {
                return Ok(0);
            }
        }
    }

    /// Writes some octets. TLS takes all it can encrypt; records that the socket does not take now stay inside and
    /// count as blocked at the next call.
    pub fn try_write(&self, octets: &[u8]) -> io::Result<usize> {
        match &self.tls {
            None => self.tcp.try_write(octets),
            Some(tls) => {
                let mut tls = tls.lock();
                self.write_records(&mut tls)?;
                if tls.wants_write() {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                let taken = tls.writer().write(octets)?;
                self.write_records(&mut tls)?;
                Ok(taken)
            }
        }
    }

    fn write_records(&self, tls: &mut rustls::ServerConnection) -> io::Result<()> {
        while tls.wants_write() {
            match tls.write_tls(&mut Raw(&self.tcp)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// True while encrypted records wait for the socket.
    pub fn has_unsent_records(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.lock().wants_write())
    }

    /// Sends TLS's closing alert, if there is TLS and room.
    pub fn say_goodbye(&self) {
        if let Some(tls) = &self.tls {
            let mut tls = tls.lock();
            tls.send_close_notify();
            // The peer may be gone already; nothing depends on the alert.
            let _ = self.write_records(&mut tls);
        }
    }

    /// Looks at the TLS machine; nothing without TLS.
    pub(super) fn with_tls<R>(&self, look: impl FnOnce(&rustls::ServerConnection) -> Option<R>) -> Option<R> {
        look(&self.tls.as_ref()?.lock())
    }

    /// The certificate the client proved, if TLS asked for one.
    pub fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.with_tls(|tls| Some(tls.peer_certificates()?.first()?.to_vec()))
    }
}

/// The TCP socket as rustls wants it: plain `Read` and `Write` that never block.
struct Raw<'a>(&'a TcpStream);

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Raw<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.try_write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
