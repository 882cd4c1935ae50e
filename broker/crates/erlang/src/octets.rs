//! Terms as the octets of Erlang's external format, as far as the terms are such as configurations and definitions hold.
//!
//! What is read may come from anybody: depth and lengths are bounded by the octets that are there, and what is compressed by a bound of
//! its own.

use crate::term::Erlang;
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use std::io::{Read, Write};

/// What all octets of a term begin with.
const VERSION: u8 = 131;
/// Most terms within terms.
const DEPTH_MAX: usize = 32;
/// Most octets of a string; a longer one is a list of its characters.
const STRING_MAX: usize = 0xffff;

/// Most octets of a term that is compressed.
const COMPRESSED_MAX: usize = 1 << 30;

mod tag {
    pub(super) const COMPRESSED: u8 = 80;
    pub(super) const FLOAT: u8 = 70;
    pub(super) const SMALL_INTEGER: u8 = 97;
    pub(super) const INTEGER: u8 = 98;
    pub(super) const ATOM: u8 = 100;
    pub(super) const SMALL_TUPLE: u8 = 104;
    pub(super) const NIL: u8 = 106;
    pub(super) const STRING: u8 = 107;
    pub(super) const LIST: u8 = 108;
    pub(super) const BINARY: u8 = 109;
    pub(super) const SMALL_BIG: u8 = 110;
    pub(super) const MAP: u8 = 116;
    pub(super) const SMALL_ATOM: u8 = 115;
    pub(super) const ATOM_UTF8: u8 = 118;
    pub(super) const SMALL_ATOM_UTF8: u8 = 119;
}

/// Octets that are no term of those that are known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these octets are no atom, number, text, list, tuple or map of Erlang")]
pub struct NoOctets;

/// The octets of a term, which begin with the format's version.
pub fn to_octets(term: &Erlang) -> Vec<u8> {
    let mut out = vec![VERSION];
    put(&mut out, term);
    out
}

/// The same compressed, as Erlang writes long terms.
pub fn to_octets_compressed(term: &Erlang) -> Vec<u8> {
    let mut plain = Vec::new();
    put(&mut plain, term);
    let mut out = vec![VERSION, tag::COMPRESSED];
    out.extend(length(plain.len()));
    let mut encoder = ZlibEncoder::new(out, Compression::default());
    // Writing into memory cannot fail; if it does, what is not compressed says the same.
    match encoder.write_all(&plain).and_then(|()| encoder.finish()) {
        Ok(out) => out,
        Err(_) => [vec![VERSION], plain].concat(),
    }
}

fn put(out: &mut Vec<u8>, term: &Erlang) {
    match term {
        Erlang::Atom(word) => put_atom(out, word),
        Erlang::Integer(number) => put_integer(out, *number),
        Erlang::Float(number) => {
            out.push(tag::FLOAT);
            out.extend(number.to_be_bytes());
        }
        Erlang::Text(text) => put_string(out, text),
        Erlang::Binary(text) => {
            out.push(tag::BINARY);
            out.extend(length(text.len()));
            out.extend(text.bytes());
        }
        Erlang::List(items) => put_list(out, items),
        Erlang::Tuple(items) => {
            // A tuple of a configuration has a handful.
            out.extend([tag::SMALL_TUPLE, items.len().min(255) as u8]);
            items.iter().take(255).for_each(|item| put(out, item));
        }
        Erlang::Map(pairs) => {
            out.push(tag::MAP);
            out.extend(length(pairs.len()));
            for (key, value) in pairs {
                put(out, key);
                put(out, value);
            }
        }
    }
}

/// A length as four octets; nothing that is longer than that fits in memory with its text.
fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

fn put_atom(out: &mut Vec<u8>, word: &str) {
    match u8::try_from(word.len()) {
        // Words of the Latin alphabet as all releases of Erlang write them.
        Ok(short) if word.is_ascii() => out.extend([tag::ATOM, 0, short]),
        Ok(short) => out.extend([tag::SMALL_ATOM_UTF8, short]),
        Err(_) => {
            out.push(tag::ATOM_UTF8);
            out.extend(u16::try_from(word.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    out.extend(word.bytes());
}

fn put_integer(out: &mut Vec<u8>, number: i64) {
    if let Ok(small) = u8::try_from(number) {
        out.extend([tag::SMALL_INTEGER, small]);
    } else if let Ok(number) = i32::try_from(number) {
        out.push(tag::INTEGER);
        out.extend(number.to_be_bytes());
    } else {
        out.extend([tag::SMALL_BIG, 8, u8::from(number < 0)]);
        out.extend(number.unsigned_abs().to_le_bytes());
    }
}

/// A string is a list of characters, shorter if each of them is one octet.
fn put_string(out: &mut Vec<u8>, text: &str) {
    let latin: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    match latin {
        Some(octets) if octets.is_empty() => out.push(tag::NIL),
        Some(octets) if octets.len() <= STRING_MAX => {
            out.push(tag::STRING);
            out.extend((octets.len() as u16).to_be_bytes());
            out.extend(octets);
        }
        _ => {
            let characters = text.chars().map(|c| Erlang::Integer(i64::from(u32::from(c))));
            put_list(out, &characters.collect::<Vec<_>>());
        }
    }
}

fn put_list(out: &mut Vec<u8>, items: &[Erlang]) {
    if !items.is_empty() {
        out.push(tag::LIST);
        out.extend(length(items.len()));
        items.iter().for_each(|item| put(out, item));
    }
    out.push(tag::NIL);
}

/// The term of these octets, all of them.
///
/// # Errors
/// They are none, or hold more than a configuration has.
pub fn from_octets(octets: &[u8]) -> Result<Erlang, NoOctets> {
    match octets {
        [VERSION, tag::COMPRESSED, rest @ ..] => whole(&decompressed(rest)?),
        [VERSION, rest @ ..] => whole(rest),
        _ => Err(NoOctets),
    }
}

fn whole(octets: &[u8]) -> Result<Erlang, NoOctets> {
    let mut reader = Reader(octets);
    let term = reader.term(0)?;
    reader.0.is_empty().then_some(term).ok_or(NoOctets)
}

/// Behind the length of what it comes to.
fn decompressed(octets: &[u8]) -> Result<Vec<u8>, NoOctets> {
    let mut reader = Reader(octets);
    let count = reader.long()?;
    let mut plain = Vec::new();
    let bound = count.min(COMPRESSED_MAX) as u64 + 1;
    let read = ZlibDecoder::new(reader.0).take(bound).read_to_end(&mut plain);
    match read {
        Ok(read) if read == count => Ok(plain),
        _ => Err(NoOctets),
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], NoOctets> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(NoOctets)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], NoOctets> {
        self.take(N)?.try_into().map_err(|_| NoOctets)
    }

    fn octet(&mut self) -> Result<u8, NoOctets> {
        self.array::<1>().map(|[octet]| octet)
    }

    fn short(&mut self) -> Result<usize, NoOctets> {
        self.array().map(|octets| u16::from_be_bytes(octets).into())
    }

    fn long(&mut self) -> Result<usize, NoOctets> {
        let count = u32::from_be_bytes(self.array()?);
        usize::try_from(count).map_err(|_| NoOctets)
    }

    fn term(&mut self, depth: usize) -> Result<Erlang, NoOctets> {
        if depth > DEPTH_MAX {
            return Err(NoOctets);
        }
        match self.octet()? {
            tag::FLOAT => Ok(Erlang::Float(f64::from_be_bytes(self.array()?))),
            tag::SMALL_INTEGER => Ok(Erlang::Integer(self.octet()?.into())),
            tag::INTEGER => Ok(Erlang::Integer(i32::from_be_bytes(self.array()?).into())),
            tag::SMALL_BIG => self.big(),
            tag::ATOM | tag::ATOM_UTF8 => {
                let count = self.short()?;
                self.text(count).map(Erlang::Atom)
            }
            tag::SMALL_ATOM | tag::SMALL_ATOM_UTF8 => {
                let count = self.octet()?.into();
                self.text(count).map(Erlang::Atom)
            }
            tag::SMALL_TUPLE => {
                let count = self.octet()?.into();
                self.terms(count, depth).map(Erlang::Tuple)
            }
            tag::NIL => Ok(Erlang::List(Vec::new())),
            tag::STRING => {
                let count = self.short()?;
                let latin = self.take(count)?.iter().map(|octet| char::from(*octet));
                Ok(Erlang::Text(latin.collect()))
            }
            tag::LIST => self.list(depth),
            tag::MAP => self.map(depth),
            tag::BINARY => {
                let count = self.long()?;
                self.text(count).map(Erlang::Binary)
            }
            _ => Err(NoOctets),
        }
    }

    fn text(&mut self, count: usize) -> Result<String, NoOctets> {
        String::from_utf8(self.take(count)?.to_vec()).map_err(|_| NoOctets)
    }

    fn terms(&mut self, count: usize, depth: usize) -> Result<Vec<Erlang>, NoOctets> {
        // Every term has an octet at least.
        if count > self.0.len() {
            return Err(NoOctets);
        }
        (0..count).map(|_| self.term(depth + 1)).collect()
    }

    fn map(&mut self, depth: usize) -> Result<Erlang, NoOctets> {
        let count = self.long()?;
        let halves = self.terms(count.checked_mul(2).ok_or(NoOctets)?, depth)?;
        let mut halves = halves.into_iter();
        let pairs = std::iter::from_fn(|| halves.next().zip(halves.next()));
        Ok(Erlang::Map(pairs.collect()))
    }

    /// A list with an end; one of characters is a string.
    fn list(&mut self, depth: usize) -> Result<Erlang, NoOctets> {
        let count = self.long()?;
        let items = self.terms(count, depth)?;
        if self.octet()? != tag::NIL {
            return Err(NoOctets);
        }
        let character = |item: &Erlang| match item {
            Erlang::Integer(number) => u32::try_from(*number).ok().and_then(char::from_u32),
            _ => None,
        };
        let printable = |c: char| !c.is_control() || c.is_ascii_whitespace();
        let text: Option<String> = items
            .iter()
            .map(|item| character(item).filter(|c| printable(*c)))
            .collect();
        Ok(text.map_or(Erlang::List(items), Erlang::Text))
    }

    fn big(&mut self) -> Result<Erlang, NoOctets> {
        let (count, is_negative) = (self.octet()?, self.octet()? != 0);
        let mut octets = [0; 8];
        let taken = self.take(count.into())?;
        octets.get_mut(..taken.len()).ok_or(NoOctets)?.copy_from_slice(taken);
        let amount = i128::from(u64::from_le_bytes(octets));
        let number = if is_negative { -amount } else { amount };
        i64::try_from(number).map(Erlang::Integer).map_err(|_| NoOctets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn octets_are_those_that_erlang_writes() {
        for (text, octets) in [
            ("\"abc\"", &b"\x83k\x00\x03abc"[..]),
            ("<<\"abc\">>", b"\x83m\x00\x00\x00\x03abc"),
            ("abc", b"\x83d\x00\x03abc"),
            ("{a,1,[x]}", b"\x83h\x03d\x00\x01aa\x01l\x00\x00\x00\x01d\x00\x01xj"),
            ("-1", b"\x83b\xff\xff\xff\xff"),
            ("5000000000", b"\x83n\x08\x00\x00\xf2\x05\x2a\x01\x00\x00\x00"),
            ("[]", b"\x83j"),
            ("1.5", b"\x83F\x3f\xf8\x00\x00\x00\x00\x00\x00"),
        ] {
            let term = crate::expression(text).unwrap();
            assert_eq!(to_octets(&term), octets, "{text}");
            assert_eq!(from_octets(octets), Ok(term), "{text}");
        }
    }

    #[test]
    fn what_newer_releases_write_is_read_as_well() {
        assert_eq!(from_octets(b"\x83w\x01a"), Ok(Erlang::Atom("a".to_owned())));
        assert_eq!(from_octets(b"\x83n\x01\x00\x05"), Ok(Erlang::Integer(5)));
    }

    #[test]
    fn maps_are_written_and_read_and_long_terms_may_be_compressed() {
        let pair = |key: &str, value| (Erlang::Binary(key.to_owned()), value);
        let many = Erlang::List(vec![Erlang::Binary("again".to_owned()); 1000]);
        let map = Erlang::Map(vec![pair("a", Erlang::Integer(1)), pair("b", many)]);
        assert_eq!(map.to_string().get(..24), Some("#{<<\"a\">> => 1,<<\"b\">> ="));
        let (plain, compressed) = (to_octets(&map), to_octets_compressed(&map));
        assert!(compressed.len() * 10 < plain.len());
        assert_eq!(from_octets(&plain), Ok(map.clone()));
        assert_eq!(from_octets(&compressed), Ok(map));
        // `term_to_binary(#{a => 1}, [compressed])` of OTP 25 is too short to be compressed.
        let short = from_octets(b"\x83t\x00\x00\x00\x01d\x00\x01aa\x01").unwrap();
        assert_eq!(short.to_string(), "#{a => 1}");
    }

    #[test]
    fn what_is_compressed_and_longer_or_shorter_than_it_says_is_refused() {
        let right = to_octets_compressed(&Erlang::List(vec![Erlang::Integer(7); 100]));
        for length in [0_u32, 1, u32::MAX] {
            let mut wrong = right.clone();
            wrong[2..6].copy_from_slice(&length.to_be_bytes());
            assert_eq!(from_octets(&wrong), Err(NoOctets), "{length}");
        }
        assert_eq!(from_octets(&right[..right.len() / 2]), Err(NoOctets));
        assert_eq!(from_octets(b"\x83t\xff\xff\xff\xff"), Err(NoOctets));
    }

    #[test]
    fn terms_within_terms_and_counts_of_nothing_are_refused() {
        let deep = [&[131][..], &[104, 1].repeat(10_000)].concat();
        assert_eq!(from_octets(&deep), Err(NoOctets));
        assert_eq!(from_octets(b"\x83l\xff\xff\xff\xff"), Err(NoOctets));
        assert_eq!(from_octets(b"\x83m\xff\xff\xff\xff"), Err(NoOctets));
        assert_eq!(from_octets(b"\x83jj"), Err(NoOctets), "something follows");
    }

    proptest! {
        #[test]
        fn any_octets_are_a_term_or_refused(octets: Vec<u8>) {
            let octets = [&[131][..], &octets].concat();
            if let Ok(term) = from_octets(&octets) {
                // What was read can be written, and is read again as what it was, unless it is no number.
                let again = from_octets(&to_octets(&term));
                prop_assert!(again.is_ok());
            }
        }
    }
}
