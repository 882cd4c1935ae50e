//! Frames of a leg that carry many messages of one envelope: what the messages have in common stands once, then the length
//! and the octets of each body.
//!
//! A message goes into the frame at the end of its buffer as long as it has the same envelope and the next number, and
//! there is room. Whatever else is appended to the buffer ends that frame, and whoever takes the buffer away cuts the tail.

use crate::cursor::Cursor;
use crate::encode::{push_short, short};
use crate::frame::FRAME_END;
use model::QueueId;

/// Class id of the methods of a leg; AMQP 0-9-1 ends at 90.
pub(crate) const CLASS: u16 = 0xFF00;
/// A frame takes no further message above so many octets: its reader waits for the whole.
const RUN_BYTES_MAX: usize = 32 * 1024;
/// Type, channel and length.
const FRAME_HEAD_BYTES: usize = 7;
/// Class and method.
const IDS_BYTES: usize = 4;
/// Octets of a queue's number.
pub(crate) const QUEUE_BYTES: usize = 8;

/// The frame at the end of a buffer, which may take more messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tail {
    start: usize,
    envelope: usize,
    bodies: usize,
    /// The buffer's length while nothing else was appended; 0 = there is no such frame.
    end: usize,
    /// The number that the next message has to have.
    next: u64,
}

/// What the messages of a run have in front of all else.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lead<'a> {
    /// Queues that they go to.
    Queues(&'a [QueueId]),
    /// The consumer that gets them.
    Consumer(&'a [u8]),
}

/// A message that may go into a frame with others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'a> {
    pub(crate) channel: u16,
    pub(crate) method: u16,
    /// Its number, one above that of the message before; 0 for all if they have none.
    pub(crate) number: u64,
    /// The frame's first message says it for all.
    pub(crate) floor: u64,
    pub(crate) flag: bool,
    pub(crate) lead: Lead<'a>,
    pub(crate) exchange: &'a [u8],
    pub(crate) routing_key: &'a [u8],
    pub(crate) properties: &'a [u8],
    pub(crate) body: &'a [u8],
}

/// A run as it is read, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run<'a> {
    pub(crate) number: u64,
    pub(crate) floor: u64,
    pub(crate) flag: bool,
    pub(crate) lead: &'a [u8],
    pub(crate) exchange: &'a [u8],
    pub(crate) routing_key: &'a [u8],
    pub(crate) properties: &'a [u8],
    pub(crate) bodies: Bodies<'a>,
}

/// The bodies of a run, in order; there is at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bodies<'a>(&'a [u8]);

impl<'a> Bodies<'a> {
    /// All of them; `None` unless the octets are whole bodies.
    fn of(octets: &'a [u8]) -> Option<Self> {
        let mut rest = Cursor(octets);
        rest.long()?;
        while !rest.is_empty() {
            rest.long()?;
        }
        Some(Bodies(octets))
    }
}

impl<'a> Iterator for Bodies<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let mut rest = Cursor(self.0);
        let body = rest.long()?;
        self.0 = rest.0;
        Some(body)
    }
}

impl Lead<'_> {
    fn octets(&self) -> usize {
        match self {
            Lead::Queues(queues) => queues.len() * QUEUE_BYTES,
            Lead::Consumer(tag) => tag.len(),
        }
    }

    #[inline]
    fn is(&self, octets: &[u8]) -> bool {
        match self {
            Lead::Queues(queues) => {
                let (numbers, rest) = octets.as_chunks::<QUEUE_BYTES>();
                let same = |(number, queue): (&[u8; QUEUE_BYTES], &QueueId)| *number == queue.0.to_be_bytes();
                rest.is_empty() && numbers.len() == queues.len() && numbers.iter().zip(*queues).all(same)
            }
            Lead::Consumer(tag) => octets == *tag,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Lead::Queues(queues) => queues
                .iter()
                .for_each(|queue| out.extend_from_slice(&queue.0.to_be_bytes())),
            Lead::Consumer(tag) => out.extend_from_slice(tag),
        }
    }
}

impl Member<'_> {
    /// True if the envelope in these octets is that of this message.
    #[inline]
    fn has_envelope(&self, octets: &[u8]) -> bool {
        let mut rest = Cursor(octets);
        rest.u8() == Some(u8::from(self.flag))
            && rest.long().is_some_and(|lead| self.lead.is(lead))
            && rest.short() == Some(short(self.exchange).0)
            && rest.short() == Some(short(self.routing_key).0)
            && rest.long() == Some(self.properties)
    }

    fn write_envelope(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.flag));
        // Far fewer than a length field can say, as all octets of a leg.
        out.extend_from_slice(&(self.lead.octets() as u32).to_be_bytes());
        self.lead.write(out);
        push_short(out, short(self.exchange));
        push_short(out, short(self.routing_key));
        out.extend_from_slice(&(self.properties.len() as u32).to_be_bytes());
        out.extend_from_slice(self.properties);
    }
}

impl Tail {
    /// The buffer has been taken away, or emptied.
    pub fn cut(&mut self) {
        *self = Tail::default();
    }

    #[inline]
    fn takes(&self, out: &[u8], member: &Member<'_>) -> bool {
        let [c0, c1] = member.channel.to_be_bytes();
        self.end != 0
            && self.end == out.len()
            && self.next == member.number
            && self.end - self.start + member.body.len() <= RUN_BYTES_MAX
            && out[self.start + 1..self.start + 3] == [c0, c1]
            && member.has_envelope(&out[self.envelope..self.bodies])
    }

    /// A frame without a message.
    fn begin(&mut self, out: &mut Vec<u8>, member: &Member<'_>) {
        self.start = out.len();
        let ([c0, c1], [k0, k1], [m0, m1]) = (
            member.channel.to_be_bytes(),
            CLASS.to_be_bytes(),
            member.method.to_be_bytes(),
        );
        out.extend_from_slice(&[1, c0, c1, 0, 0, 0, 0, k0, k1, m0, m1]);
        out.extend_from_slice(&member.number.to_be_bytes());
        out.extend_from_slice(&member.floor.to_be_bytes());
        self.envelope = out.len();
        member.write_envelope(out);
        self.bodies = out.len();
        out.push(FRAME_END);
    }

    /// Appends a message, to the frame at the end of the buffer if that takes it. One buffer's tail is for one method.
    #[inline]
    pub(crate) fn append(&mut self, out: &mut Vec<u8>, member: &Member<'_>) {
        if !self.takes(out, member) {
            self.begin(out, member);
        }
        out.pop();
        out.reserve(4 + member.body.len() + 1);
        out.extend_from_slice(&(member.body.len() as u32).to_be_bytes());
        out.extend_from_slice(member.body);
        let payload = (out.len() - self.start - FRAME_HEAD_BYTES) as u32;
        out[self.start + 3..self.start + FRAME_HEAD_BYTES].copy_from_slice(&payload.to_be_bytes());
        out.push(FRAME_END);
        self.end = out.len();
        self.next = match member.number {
            0 => 0,
            number => number + 1,
        };
    }
}

/// The run in what follows a method's ids.
#[inline]
pub(crate) fn decode_run(mut rest: Cursor<'_>) -> Option<Run<'_>> {
    Some(Run {
        number: rest.u64()?,
        floor: rest.u64()?,
        flag: rest.u8()? != 0,
        lead: rest.long()?,
        exchange: rest.short()?,
        routing_key: rest.short()?,
        properties: rest.long()?,
        bodies: Bodies::of(rest.0)?,
    })
}

/// Frame head of a leg's method and its ids; `arguments` counts the octets that follow them.
pub(crate) fn head(out: &mut Vec<u8>, channel: u16, method: u16, arguments: usize) {
    let [c0, c1] = channel.to_be_bytes();
    let [s0, s1, s2, s3] = ((IDS_BYTES + arguments) as u32).to_be_bytes();
    let ([k0, k1], [m0, m1]) = (CLASS.to_be_bytes(), method.to_be_bytes());
    out.extend_from_slice(&[1, c0, c1, s0, s1, s2, s3, k0, k1, m0, m1]);
}
