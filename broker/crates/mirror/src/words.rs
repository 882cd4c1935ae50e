//! What leader and mirror say to each other, as octets: records of a length, a kind, the queue, and what belongs to the kind.
//!
//! All numbers are little-endian. A record is read only when it is complete, nothing is read beyond it, and nothing is
//! allocated that its own octets do not pay for (I14). Who may say what is not known here.

use model::{Epoch, Generation, Millis, NodeUuid, QueueId, Seq};

/// Octets before a record's own: its length, its kind, its queue.
pub const RECORD_HEADER_BYTES: usize = 4 + 1 + 8;

/// Who published a message first, and with what number (R21).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The node that its client is connected to.
    pub node: NodeUuid,
    /// Which of its streams of publishes.
    pub stream: u64,
    /// Which of its starts.
    pub incarnation: u64,
    /// Its number for this queue.
    pub number: u64,
    /// The lowest number that was not answered then.
    pub floor: u64,
}

/// What a queue has heard of one who publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The node.
    pub node: NodeUuid,
    /// Which of its streams of publishes.
    pub stream: u64,
    /// Which of its starts.
    pub incarnation: u64,
    /// Nothing below is sent again.
    pub floor: u64,
    /// Numbers that were taken, as ascending runs.
    pub seen: Vec<(u64, u64)>,
}

/// A message with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its position.
    pub seq: Seq,
    /// Its priority level.
    pub level: u8,
    /// When it expires; `u64::MAX` = never.
    pub expires: Millis,
    /// How often it came back to its queue.
    pub returns: u32,
    /// Published with delivery mode 2.
    pub persistent: bool,
    /// Who published it, if that is known still.
    pub origin: Option<Origin>,
    /// The exchange it was published to.
    pub exchange: &'a [u8],
    /// With what key.
    pub routing_key: &'a [u8],
    /// Its properties, raw.
    pub properties: &'a [u8],
    /// Its body.
    pub body: &'a [u8],
}

/// What is said of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word<'a> {
    /// Leader: follow me. It will list what it has.
    Attach {
        /// What the mirror's answers name, so that none is taken for one of another time.
        attachment: u64,
        /// Its reign.
        epoch: Epoch,
        /// The state of the catalogue in which it leads.
        as_of: Generation,
        /// The last operation before the stream.
        pos: u64,
        /// Fetch what is missing.
        pulls: bool,
        /// So many messages at once.
        batch: u32,
    },
    /// Leader: of this range exactly these positions live.
    Base {
        /// The first of the range.
        first: Seq,
        /// The last of it.
        last: Seq,
        /// Those that live, ascending.
        runs: Vec<(Seq, Seq)>,
    },
    /// Leader: that was all.
    AllListed,
    /// Leader: a message that was asked for.
    Old(Entry<'a>),
    /// Leader: all that was asked for and lives has been sent.
    Sent,
    /// Leader: what the queue has heard of one who publishes, with all operations so far.
    Heard(Heard),
    /// Leader: the base ends.
    BaseEnds {
        /// Of some of its messages nobody knows who published them.
        is_partial: bool,
    },
    /// Leader: a message enters the queue.
    Enqueue {
        /// Which operation.
        pos: u64,
        /// The message.
        entry: Entry<'a>,
    },
    /// Leader: messages are gone for good.
    Remove {
        /// Which operation.
        pos: u64,
        /// Positions, ascending.
        runs: Vec<(Seq, Seq)>,
    },
    /// Leader: messages came back to their places.
    Returned {
        /// Which operation; 0 = part of the base.
        pos: u64,
        /// Position, and how often.
        counts: Vec<(Seq, u32)>,
    },
    /// Leader: how far messages have been handed out, by level.
    Delivered {
        /// Which operation; 0 = part of the base.
        pos: u64,
        /// Level and position.
        levels: Vec<(u8, Seq)>,
    },
    /// Leader: fetch what is missing, or stop.
    Pull(bool),
    /// Mirror: you are not whom the definitions name.
    Refused {
        /// As it was attached.
        attachment: u64,
    },
    /// Mirror: send these.
    Want {
        /// As it was attached.
        attachment: u64,
        /// Positions, ascending.
        runs: Vec<(Seq, Seq)>,
    },
    /// Mirror: I lack nothing of the base.
    Whole {
        /// As it was attached.
        attachment: u64,
    },
    /// Mirror: so many listed messages are still missing.
    Lacks {
        /// As it was attached.
        attachment: u64,
        /// How many.
        count: u64,
    },
    /// Mirror: I have come so far.
    Ack {
        /// As it was attached.
        attachment: u64,
        /// The last operation in memory.
        held: u64,
        /// The last one on disk, if any is.
        durable: Option<u64>,
    },
}

/// Octets that are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("octets on a mirror link are no record of kind {kind}")]
pub struct Malformed {
    kind: u8,
}

const ATTACH: u8 = 1;
const BASE: u8 = 2;
const ALL_LISTED: u8 = 3;
const OLD: u8 = 4;
const SENT: u8 = 5;
const BASE_ENDS: u8 = 6;
const ENQUEUE: u8 = 7;
const REMOVE: u8 = 8;
const DELIVERED: u8 = 9;
const PULL: u8 = 10;
const HEARD: u8 = 11;
const RETURNED: u8 = 12;
const REFUSED: u8 = 20;
const WANT: u8 = 21;
const WHOLE: u8 = 22;
const LACKS: u8 = 23;
const ACK: u8 = 24;

/// How long the record is that begins here, header included; `None` until that can be known.
pub fn record_bytes(octets: &[u8]) -> Option<usize> {
    let length = octets.first_chunk::<4>()?;
    Some(4 + u32::from_le_bytes(*length) as usize)
}

/// Appends an `Enqueue`: the hot one.
#[inline]
pub fn enqueue(out: &mut Vec<u8>, queue: QueueId, pos: u64, entry: &Entry<'_>) {
    record(out, ENQUEUE, queue, |out| {
        out.extend_from_slice(&pos.to_le_bytes());
        put_entry(out, entry);
    });
}

#[inline]
fn record(out: &mut Vec<u8>, kind: u8, queue: QueueId, fields: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    out.extend_from_slice(&[0; 4]);
    out.push(kind);
    out.extend_from_slice(&queue.0.to_le_bytes());
    fields(out);
    // A message is far smaller than 4 GiB: whoever takes one checks its size.
    let length = u32::try_from(out.len() - begin - 4).unwrap_or(u32::MAX);
    out[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
}

const PERSISTENT: u8 = 1;
const HAS_ORIGIN: u8 = 2;

#[inline]
fn put_entry(out: &mut Vec<u8>, entry: &Entry<'_>) {
    let mut flags = 0;
    if entry.persistent {
        flags |= PERSISTENT;
    }
    if entry.origin.is_some() {
        flags |= HAS_ORIGIN;
    }
    let mut head = [0; 30];
    head[..8].copy_from_slice(&entry.seq.0.to_le_bytes());
    head[8..16].copy_from_slice(&entry.expires.0.to_le_bytes());
    head[16..20].copy_from_slice(&entry.returns.to_le_bytes());
    head[20] = entry.level;
    head[21] = flags;
    // Short strings of AMQP: 255 octets at most.
    head[22..24].copy_from_slice(&(entry.exchange.len() as u16).to_le_bytes());
    head[24..26].copy_from_slice(&(entry.routing_key.len() as u16).to_le_bytes());
    head[26..30].copy_from_slice(&(entry.properties.len() as u32).to_le_bytes());
    out.extend_from_slice(&head);
    if let Some(origin) = entry.origin {
        out.extend_from_slice(&origin.node.0.to_le_bytes());
        put_numbers(out, &[origin.stream, origin.incarnation, origin.number, origin.floor]);
    }
    for part in [entry.exchange, entry.routing_key, entry.properties, entry.body] {
        out.extend_from_slice(part);
    }
}

fn put_numbers(out: &mut Vec<u8>, numbers: &[u64]) {
    numbers
        .iter()
        .for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

fn put_runs(out: &mut Vec<u8>, runs: &[(Seq, Seq)]) {
    for (first, last) in runs {
        put_numbers(out, &[first.0, last.0]);
    }
}

impl Word<'_> {
    /// Appends the record that says this of a queue.
    pub fn encode(&self, queue: QueueId, out: &mut Vec<u8>) {
        record(out, self.kind(), queue, |out| self.put_fields(out));
    }

    fn kind(&self) -> u8 {
        match self {
            Word::Attach { .. } => ATTACH,
            Word::Base { .. } => BASE,
            Word::AllListed => ALL_LISTED,
            Word::Old(_) => OLD,
            Word::Sent => SENT,
            Word::Heard(_) => HEARD,
            Word::BaseEnds { .. } => BASE_ENDS,
            Word::Enqueue { .. } => ENQUEUE,
            Word::Remove { .. } => REMOVE,
            Word::Returned { .. } => RETURNED,
            Word::Delivered { .. } => DELIVERED,
            Word::Pull(_) => PULL,
            Word::Refused { .. } => REFUSED,
            Word::Want { .. } => WANT,
            Word::Whole { .. } => WHOLE,
            Word::Lacks { .. } => LACKS,
            Word::Ack { .. } => ACK,
        }
    }

    fn put_fields(&self, out: &mut Vec<u8>) {
        match self {
            Word::Attach {
                attachment,
                epoch,
                as_of,
                pos,
                pulls,
                batch,
            } => {
                put_numbers(out, &[*attachment, epoch.0, as_of.0, *pos, u64::from(*batch)]);
                out.push(u8::from(*pulls));
            }
            Word::Base { first, last, runs } => {
                put_numbers(out, &[first.0, last.0]);
                put_runs(out, runs);
            }
            Word::Old(entry) => put_entry(out, entry),
            Word::Heard(heard) => {
                out.extend_from_slice(&heard.node.0.to_le_bytes());
                put_numbers(out, &[heard.stream, heard.incarnation, heard.floor]);
                heard
                    .seen
                    .iter()
                    .for_each(|(first, last)| put_numbers(out, &[*first, *last]));
            }
            Word::Enqueue { pos, entry } => {
                put_numbers(out, &[*pos]);
                put_entry(out, entry);
            }
            Word::Remove { pos, runs } => {
                put_numbers(out, &[*pos]);
                put_runs(out, runs);
            }
            Word::Returned { pos, counts } => {
                put_numbers(out, &[*pos]);
                for (seq, count) in counts {
                    put_numbers(out, &[seq.0]);
                    out.extend_from_slice(&count.to_le_bytes());
                }
            }
            Word::Delivered { pos, levels } => {
                put_numbers(out, &[*pos]);
                for (level, upto) in levels {
                    out.push(*level);
                    out.extend_from_slice(&upto.0.to_le_bytes());
                }
            }
            Word::Pull(flag) | Word::BaseEnds { is_partial: flag } => out.push(u8::from(*flag)),
            Word::Want { attachment, runs } => {
                put_numbers(out, &[*attachment]);
                put_runs(out, runs);
            }
            Word::Refused { attachment } | Word::Whole { attachment } => put_numbers(out, &[*attachment]),
            Word::Lacks { attachment, count } => put_numbers(out, &[*attachment, *count]),
            // Operation 0 is durable is told from nothing is by counting from one.
            Word::Ack {
                attachment,
                held,
                durable,
            } => {
                put_numbers(out, &[*attachment, *held, durable.map_or(0, |durable| durable + 1)]);
            }
            Word::AllListed | Word::Sent => {}
        }
    }
}

impl<'a> Word<'a> {
    /// Reads one complete record.
    ///
    /// # Errors
    /// It is none.
    pub fn decode(record: &'a [u8]) -> Result<(QueueId, Self), Malformed> {
        let kind = record.get(4).copied().unwrap_or(0);
        let malformed = Malformed { kind };
        let fields = record.get(RECORD_HEADER_BYTES..).ok_or(malformed)?;
        let queue = record
            .get(5..)
            .and_then(|octets| octets.first_chunk())
            .ok_or(malformed)?;
        let mut from = Fields(fields);
        let word = from.word(kind).ok_or(malformed)?;
        match from.0.is_empty() {
            true => Ok((QueueId(u64::from_le_bytes(*queue)), word)),
            false => Err(malformed),
        }
    }
}

/// What is left of a record.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn word(&mut self, kind: u8) -> Option<Word<'a>> {
        Some(match kind {
            ATTACH => Word::Attach {
                attachment: self.number()?,
                epoch: Epoch(self.number()?),
                as_of: Generation(self.number()?),
                pos: self.number()?,
                batch: u32::try_from(self.number()?).ok()?,
                pulls: self.flag()?,
            },
            BASE => Word::Base {
                first: Seq(self.number()?),
                last: Seq(self.number()?),
                runs: self.runs()?,
            },
            ALL_LISTED => Word::AllListed,
            OLD => Word::Old(self.entry()?),
            SENT => Word::Sent,
            HEARD => Word::Heard(self.heard()?),
            BASE_ENDS => Word::BaseEnds {
                is_partial: self.flag()?,
            },
            ENQUEUE => Word::Enqueue {
                pos: self.number()?,
                entry: self.entry()?,
            },
            REMOVE => Word::Remove {
                pos: self.number()?,
                runs: self.runs()?,
            },
            RETURNED => Word::Returned {
                pos: self.number()?,
                counts: self.counts()?,
            },
            DELIVERED => Word::Delivered {
                pos: self.number()?,
                levels: self.levels()?,
            },
            PULL => Word::Pull(self.flag()?),
            other => return self.word_back(other),
        })
    }

    fn word_back(&mut self, kind: u8) -> Option<Word<'a>> {
        let attachment = self.number()?;
        Some(match kind {
            REFUSED => Word::Refused { attachment },
            WANT => Word::Want {
                attachment,
                runs: self.runs()?,
            },
            WHOLE => Word::Whole { attachment },
            LACKS => Word::Lacks {
                attachment,
                count: self.number()?,
            },
            ACK => Word::Ack {
                attachment,
                held: self.number()?,
                durable: self.number()?.checked_sub(1),
            },
            _ => return None,
        })
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn part(&mut self, octets: usize) -> Option<&'a [u8]> {
        let (part, rest) = self.0.split_at_checked(octets)?;
        self.0 = rest;
        Some(part)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.take()? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    /// Ascending runs to the end of the record.
    fn runs(&mut self) -> Option<Vec<(Seq, Seq)>> {
        let mut runs = Vec::with_capacity(self.0.len() / 16);
        let mut after = None;
        while !self.0.is_empty() {
            let run = (Seq(self.number()?), Seq(self.number()?));
            if run.0 > run.1 || after.is_some_and(|last| run.0 <= last) {
                return None;
            }
            after = Some(run.1);
            runs.push(run);
        }
        Some(runs)
    }

    fn counts(&mut self) -> Option<Vec<(Seq, u32)>> {
        let mut counts = Vec::with_capacity(self.0.len() / 12);
        while !self.0.is_empty() {
            counts.push((Seq(self.number()?), u32::from_le_bytes(self.take()?)));
        }
        Some(counts)
    }

    fn levels(&mut self) -> Option<Vec<(u8, Seq)>> {
        let mut levels = Vec::with_capacity(self.0.len() / 9);
        while !self.0.is_empty() {
            let [level] = self.take()?;
            levels.push((level, Seq(self.number()?)));
        }
        Some(levels)
    }

    fn entry(&mut self) -> Option<Entry<'a>> {
        let (seq, expires) = (Seq(self.number()?), Millis(self.number()?));
        let returns = u32::from_le_bytes(self.take()?);
        let [level, flags] = self.take()?;
        let exchange_bytes = usize::from(u16::from_le_bytes(self.take()?));
        let key_bytes = usize::from(u16::from_le_bytes(self.take()?));
        let properties_bytes = u32::from_le_bytes(self.take()?) as usize;
        let origin = match flags & HAS_ORIGIN {
            0 => None,
            _ => Some(self.origin()?),
        };
        if flags & !(PERSISTENT | HAS_ORIGIN) != 0 || exchange_bytes > 255 || key_bytes > 255 {
            return None;
        }
        Some(Entry {
            seq,
            level,
            expires,
            returns,
            persistent: flags & PERSISTENT != 0,
            origin,
            exchange: self.part(exchange_bytes)?,
            routing_key: self.part(key_bytes)?,
            properties: self.part(properties_bytes)?,
            body: std::mem::take(&mut self.0),
        })
    }

    fn heard(&mut self) -> Option<Heard> {
        Some(Heard {
            node: NodeUuid(u128::from_le_bytes(self.take()?)),
            stream: self.number()?,
            incarnation: self.number()?,
            floor: self.number()?,
            seen: self
                .runs()?
                .into_iter()
                .map(|(first, last)| (first.0, last.0))
                .collect(),
        })
    }

    fn origin(&mut self) -> Option<Origin> {
        Some(Origin {
            node: NodeUuid(u128::from_le_bytes(self.take()?)),
            stream: self.number()?,
            incarnation: self.number()?,
            number: self.number()?,
            floor: self.number()?,
        })
    }
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
