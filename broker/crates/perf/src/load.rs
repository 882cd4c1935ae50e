//! Publishes made beforehand: one stretch of octets from which a producer writes pieces, after stamping the time in.

use crate::options::Options;
use crate::topology::exchange_name;
use wire::{Properties, Publishing};

/// Octets that a producer likes to write at once.
const WRITE_BYTES: usize = 64 * 1024;

/// Type, channel and size before a payload.
const FRAME_HEAD_BYTES: usize = 7;

/// Encoded publishes with known places, used round and round.
pub(crate) struct Prepared {
    octets: Vec<u8>,
    /// Where each publish ends.
    ends: Vec<usize>,
    /// Where each body's stamp lies; empty if bodies are too small for one.
    stamps: Vec<usize>,
    next: usize,
    batch: usize,
}

impl Prepared {
    /// Publishes with `keys` in turn. `run` marks the bodies as ours.
    pub(crate) fn new(options: &Options, keys: &[String], run: u32, frame_max: u32) -> Self {
        let mut body = vec![b'x'; options.size];
        if options.is_stamped() {
            body[8..12].copy_from_slice(&run.to_be_bytes());
        }
        let mut prepared = Prepared {
            octets: Vec::new(),
            ends: Vec::new(),
            stamps: Vec::new(),
            next: 0,
            batch: 1,
        };
        prepared.push(options, &keys[0], &body, frame_max);
        prepared.batch = options.batch.unwrap_or((WRITE_BYTES / prepared.octets.len()).max(1));
        // A whole number of rounds through the keys, and at least one batch.
        let messages = prepared.batch.div_ceil(keys.len()) * keys.len();
        for number in 1..messages {
            prepared.push(options, &keys[number % keys.len()], &body, frame_max);
        }
        prepared
    }

    fn push(&mut self, options: &Options, key: &str, body: &[u8], frame_max: u32) {
        let delivery_mode = Some(if options.persistent { 2 } else { 1 });
        let properties = Properties {
            delivery_mode,
            ..Properties::default()
        };
        let publishing = Publishing {
            channel: 1,
            exchange: exchange_name(options).as_bytes(),
            routing_key: key.as_bytes(),
            mandatory: false,
            // One small number always fits.
            properties: &properties.encode().unwrap_or_default(),
            body,
            frame_max,
        };
        if options.is_stamped() {
            let mut without_body = Vec::new();
            wire::publish(
                &mut without_body,
                &Publishing {
                    body: &[],
                    ..publishing
                },
            );
            self.stamps
                .push(self.octets.len() + without_body.len() + FRAME_HEAD_BYTES);
        }
        wire::publish(&mut self.octets, &publishing);
        self.ends.push(self.octets.len());
    }

    /// Most publishes in one write.
    pub(crate) fn batch(&self) -> usize {
        self.batch
    }

    /// How many publishes can be taken at once, at most `wanted`: up to the batch and to the end of the round.
    pub(crate) fn available(&self, wanted: usize) -> usize {
        wanted.min(self.batch).min(self.ends.len() - self.next)
    }

    /// The octets of the next `count` publishes, as many as `available` said, stamped with `nanos`.
    pub(crate) fn take(&mut self, count: usize, nanos: u64) -> &[u8] {
        let (first, past) = (self.next, self.next + count);
        for stamp in self.stamps.get(first..past).unwrap_or_default() {
            self.octets[*stamp..*stamp + 8].copy_from_slice(&nanos.to_be_bytes());
        }
        let start = if first == 0 { 0 } else { self.ends[first - 1] };
        self.next = if past == self.ends.len() { 0 } else { past };
        &self.octets[start..self.ends[past - 1]]
    }
}

/// The time a body was sent and the run that sent it, if it is one of ours.
pub(crate) fn stamp_of(body: &[u8]) -> Option<(u64, u32)> {
    let (nanos, rest) = body.split_first_chunk::<8>()?;
    let run = rest.first_chunk::<4>()?;
    Some((u64::from_be_bytes(*nanos), u32::from_be_bytes(*run)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use wire::{Kind, Method, decode_method, next_frame};

    fn messages(mut octets: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut seen: Vec<(String, Vec<u8>)> = Vec::new();
        while let Some((frame, size)) = next_frame(octets, 4096).expect("sound") {
            match (frame.kind, seen.last_mut()) {
                (Kind::Method, _) => match decode_method(frame.payload) {
                    Ok(Method::Publish(p)) => seen.push((String::from_utf8_lossy(p.routing_key).into(), Vec::new())),
                    other => panic!("{other:?}"),
                },
                (Kind::Body, Some((_, body))) => body.extend_from_slice(frame.payload),
                _ => {}
            }
            octets = &octets[size..];
        }
        seen
    }

    #[test]
    fn publishes_come_in_rounds_of_all_keys_each_stamped_anew() {
        let options = Options::parse_from(["perf", "--size", "5000", "--batch", "2"]);
        let keys = ["a".to_owned(), "bb".to_owned(), "c".to_owned()];
        let mut prepared = Prepared::new(&options, &keys, 7, 4096);
        let mut seen = Vec::new();
        for nanos in 100..110 {
            let count = prepared.available(5);
            assert!((1..=2).contains(&count));
            seen.extend(messages(prepared.take(count, nanos)).into_iter().map(|(key, body)| {
                assert_eq!((body.len(), stamp_of(&body)), (5000, Some((nanos, 7))));
                key
            }));
        }
        let expected: Vec<_> = keys.iter().cycle().take(seen.len()).cloned().collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn bodies_too_small_for_a_stamp_have_none() {
        let options = Options::parse_from(["perf", "--size", "0"]);
        let mut prepared = Prepared::new(&options, &["q".to_owned()], 7, 4096);
        assert_eq!(prepared.available(3), 3);
        assert_eq!(messages(prepared.take(3, 1)), vec![("q".to_owned(), Vec::new()); 3]);
    }
}
