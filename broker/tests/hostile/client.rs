//! A client made of a raw socket: says what it is told to say and takes frames apart just enough to judge answers.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use crate::frames;

pub(crate) const GREETING: &[u8] = b"AMQP\x00\x00\x09\x01";

/// A frame that came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Class and method; zeros for a frame that is no method.
    pub(crate) fn ids(&self) -> (u16, u16) {
        match (self.kind, self.payload.first_chunk::<4>()) {
            (1, Some(&[a, b, c, d])) => (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
            _ => (0, 0),
        }
    }

    /// Reply code and text of `channel.close` or `connection.close`.
    pub(crate) fn closing(&self) -> (u16, String) {
        assert!(matches!(self.ids(), (10, 50) | (20, 40)), "no close: {self:?}");
        let code = u16::from_be_bytes([self.payload[4], self.payload[5]]);
        let length = usize::from(self.payload[6]);
        (code, String::from_utf8_lossy(&self.payload[7..7 + length]).into_owned())
    }
}

pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    seen: Vec<u8>,
}

impl Client {
    /// Nothing said yet.
    pub(crate) fn new(socket: TcpStream) -> Self {
        Client {
            socket,
            seen: Vec::new(),
        }
    }

    /// From greeting to `connection.open-ok` as guest.
    pub(crate) fn log_in(socket: TcpStream, heartbeat: u16) -> Self {
        let mut client = Client::new(socket);
        client.send(GREETING);
        client.expect((10, 10));
        client.send(&frames::start_ok(
            "guest",
            "guest",
            &frames::capability("consumer_cancel_notify"),
        ));
        client.expect((10, 30));
        client.send(&frames::tune_ok(2047, 131_072, heartbeat));
        client.send(&frames::open("/"));
        client.expect((10, 41));
        client
    }

    pub(crate) fn send(&mut self, octets: &[u8]) {
        self.socket.write_all(octets).expect("the broker reads");
    }

    /// Sends what the broker may refuse half-way.
    pub(crate) fn send_if_wanted(&mut self, octets: &[u8]) -> bool {
        self.socket.write_all(octets).is_ok()
    }

    /// The next frame that is no heartbeat; `None` at the end of the stream.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.cut() {
                if frame.kind != 8 {
                    return Some(frame);
                }
                continue;
            }
            let mut chunk = vec![0; 64 * 1024];
            match self.socket.read(&mut chunk) {
                Ok(0) => return None,
                Ok(octets) => self.seen.extend_from_slice(&chunk[..octets]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing came: {error}"),
            }
        }
    }

    fn cut(&mut self) -> Option<Frame> {
        let &[kind, _, _, s0, s1, s2, s3] = self.seen.first_chunk::<7>()?;
        let end = 7 + u32::from_be_bytes([s0, s1, s2, s3]) as usize;
        if self.seen.len() <= end {
            return None;
        }
        assert_eq!(self.seen[end], 0xCE, "the broker wrote a broken frame");
        let payload = self.seen[7..end].to_vec();
        self.seen.drain(..=end);
        Some(Frame { kind, payload })
    }

    /// The next frame, which must be this method.
    pub(crate) fn expect(&mut self, ids: (u16, u16)) -> Frame {
        let frame = self
            .next()
            .unwrap_or_else(|| panic!("the stream ended instead of {ids:?}"));
        if frame.ids() != ids && matches!(frame.ids(), (10, 50) | (20, 40)) {
            panic!("{:?} instead of {ids:?}", frame.closing());
        }
        assert_eq!(frame.ids(), ids, "{frame:?}");
        frame
    }

    /// True if the socket ends within `patience` with nothing more said.
    pub(crate) fn ends_in_silence_within(&mut self, patience: Duration) -> bool {
        self.socket.set_read_timeout(Some(patience)).expect("a socket option");
        match self.socket.read(&mut [0; 1]) {
            Ok(octets) => octets == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    pub(crate) fn open_channel(&mut self, channel: u16) {
        self.send(&frames::method(channel, 20, 10, &[&[0]]));
        self.expect((20, 11));
    }

    /// Declares an exclusive queue with a name drawn by the broker.
    pub(crate) fn declare_anonymous(&mut self, channel: u16) -> String {
        self.send(&frames::declare_queue(channel, "", 4, &[]));
        let ok = self.expect((50, 11));
        let length = usize::from(ok.payload[4]);
        String::from_utf8(ok.payload[5..5 + length].to_vec()).expect("a name")
    }

    /// Declares a queue and returns its count of ready messages.
    pub(crate) fn declare(&mut self, channel: u16, name: &str) -> u32 {
        self.send(&frames::declare_queue(channel, name, 0, &[]));
        let ok = self.expect((50, 11));
        let at = 5 + usize::from(ok.payload[4]);
        u32::from_be_bytes(ok.payload[at..at + 4].try_into().expect("four octets"))
    }

    pub(crate) fn publish(&mut self, channel: u16, exchange: &str, key: &str, body: &[u8]) {
        self.send(&frames::publish(channel, exchange, key, false, body));
    }

    /// The body of the next message of a queue, taken without acknowledgement.
    pub(crate) fn get(&mut self, channel: u16, queue: &str) -> Option<Vec<u8>> {
        self.send(&frames::get(channel, queue, true));
        let answer = self.next().expect("an answer to basic.get");
        match answer.ids() {
            (60, 72) => None,
            (60, 71) => Some(self.body()),
            _ => panic!("{answer:?}"),
        }
    }

    /// The body whose method has just come.
    pub(crate) fn body(&mut self) -> Vec<u8> {
        let header = self.next().expect("a content header");
        assert_eq!(header.kind, 2);
        let size = u64::from_be_bytes(header.payload[4..12].try_into().expect("eight octets")) as usize;
        let mut body = Vec::new();
        while body.len() < size {
            let piece = self.next().expect("a piece of the body");
            assert_eq!(piece.kind, 3);
            body.extend(piece.payload);
        }
        body
    }

    /// Leaves without a word.
    pub(crate) fn vanish(self) {
        // The other side may have closed first.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}
