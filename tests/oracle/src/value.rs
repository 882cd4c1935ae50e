//! Field tables in RabbitMQ's dialect: order kept, every type letter kept, bytes and text both ways.
//! Written apart from any broker code so that equal bytes mean equal bytes.
//! Text form: `{key: value, …}`; a value is `5` (I), `l:5`, `true`, `'text'`, `[…]`, `{…}`, `V`, `T:0`, `x:'bytes'`.

use std::fmt::{self, Write as _};

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use crate::{lex, octets};

/// Nesting that the decoder follows before it refuses.
const DEPTH_MAX: usize = 64;

/// A table with its keys in wire order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table(pub Vec<(String, Value)>);

/// One field value; the variant decides the type letter.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Integers of any width by their type letter: `b B s u I i l L T`.
    Int(u8, i128),
    /// `t`
    Bool(bool),
    /// `S`
    Text(String),
    /// `x`
    Bytes(String),
    /// `f`
    Float(f32),
    /// `d`
    Double(f64),
    /// `D`: scale and value.
    Decimal(u8, u32),
    /// `A`
    Array(Vec<Value>),
    /// `F`
    Table(Table),
    /// `V`
    Void,
}

/// Octets of an integer by its type letter, `None` for letters that are no integers.
fn int_width(letter: u8) -> Option<usize> {
    Some(match letter {
        b'b' | b'B' => 1,
        b's' | b'u' => 2,
        b'I' | b'i' => 4,
        b'l' | b'L' | b'T' => 8,
        _ => return None,
    })
}

impl Table {
    /// Wire form, including its length prefix.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (key, value) in &self.0 {
            put_short(&mut body, key);
            value.encode(&mut body);
        }
        let mut out = Vec::with_capacity(body.len() + 4);
        put_long(&mut out, &body);
        out
    }

    /// Reads a table with its length prefix and moves `bytes` past it.
    ///
    /// # Errors
    /// Truncated or unknown content, nesting deeper than 64.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self> {
        decode_table(bytes, 0)
    }

    /// Parses `{key: value, …}`.
    ///
    /// # Errors
    /// Anything that is not such text.
    pub fn parse(text: &str) -> Result<Self> {
        let mut rest = text;
        let table = parse_table(&mut rest)?;
        ensure!(rest.trim().is_empty(), "unexpected '{rest}' after table");
        Ok(table)
    }

    /// The value of `key`, if present.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
}

impl Value {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Int(letter, n) => {
                out.push(*letter);
                let width = int_width(*letter).unwrap_or(4);
                out.extend_from_slice(&n.to_be_bytes()[16 - width..]);
            }
            Self::Bool(b) => out.extend([b't', u8::from(*b)]),
            Self::Text(text) => tagged_long(out, b'S', &octets::to_bytes(text)),
            Self::Bytes(text) => tagged_long(out, b'x', &octets::to_bytes(text)),
            Self::Float(f) => tagged(out, b'f', &f.to_be_bytes()),
            Self::Double(d) => tagged(out, b'd', &d.to_be_bytes()),
            Self::Decimal(scale, n) => {
                out.extend([b'D', *scale]);
                out.extend(n.to_be_bytes());
            }
            Self::Array(values) => {
                let mut body = Vec::new();
                values.iter().for_each(|value| value.encode(&mut body));
                tagged_long(out, b'A', &body);
            }
            Self::Table(table) => tagged(out, b'F', &table.encode()),
            Self::Void => out.push(b'V'),
        }
    }
}

fn tagged(out: &mut Vec<u8>, letter: u8, bytes: &[u8]) {
    out.push(letter);
    out.extend_from_slice(bytes);
}

fn tagged_long(out: &mut Vec<u8>, letter: u8, bytes: &[u8]) {
    out.push(letter);
    put_long(out, bytes);
}

/// Appends a long string: four octets of length, then the octets.
pub(crate) fn put_long(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends a short string, cut at 255 octets.
pub(crate) fn put_short(out: &mut Vec<u8>, text: &str) {
    let bytes = octets::to_bytes(text);
    let length = bytes.len().min(255);
    out.push(length as u8);
    out.extend_from_slice(&bytes[..length]);
}

/// Takes `n` octets off the front of `bytes`.
pub(crate) fn take<'a>(bytes: &mut &'a [u8], n: usize) -> Result<&'a [u8]> {
    let (head, tail) = bytes
        .split_at_checked(n)
        .ok_or_else(|| anyhow!("{n} octets wanted, {} left", bytes.len()))?;
    *bytes = tail;
    Ok(head)
}

/// Takes an unsigned big-endian integer of `width` octets.
pub(crate) fn take_uint(bytes: &mut &[u8], width: usize) -> Result<u64> {
    Ok(take(bytes, width)?
        .iter()
        .fold(0, |n, &octet| n << 8 | u64::from(octet)))
}

/// Takes a string whose length prefix has `width` octets.
pub(crate) fn take_text(bytes: &mut &[u8], width: usize) -> Result<String> {
    let length = usize::try_from(take_uint(bytes, width)?)?;
    Ok(octets::to_text(take(bytes, length)?))
}

fn decode_table(bytes: &mut &[u8], depth: usize) -> Result<Table> {
    ensure!(depth < DEPTH_MAX, "table nested deeper than {DEPTH_MAX}");
    let length = usize::try_from(take_uint(bytes, 4)?)?;
    let mut body = take(bytes, length)?;
    let mut entries = Vec::new();
    while !body.is_empty() {
        let key = take_text(&mut body, 1)?;
        entries.push((key, decode_value(&mut body, depth + 1)?));
    }
    Ok(Table(entries))
}

fn decode_value(bytes: &mut &[u8], depth: usize) -> Result<Value> {
    let letter = take(bytes, 1)?[0];
    if let Some(width) = int_width(letter) {
        let unsigned = i128::from(take_uint(bytes, width)?);
        let negative = b"bsIl".contains(&letter) && unsigned >> (width * 8 - 1) == 1;
        return Ok(Value::Int(
            letter,
            if negative {
                unsigned - (1 << (width * 8))
            } else {
                unsigned
            },
        ));
    }
    Ok(match letter {
        b't' => Value::Bool(take(bytes, 1)?[0] != 0),
        b'S' => Value::Text(take_text(bytes, 4)?),
        b'x' => Value::Bytes(take_text(bytes, 4)?),
        b'f' => Value::Float(f32::from_bits(take_uint(bytes, 4)? as u32)),
        b'd' => Value::Double(f64::from_bits(take_uint(bytes, 8)?)),
        b'D' => Value::Decimal(take(bytes, 1)?[0], take_uint(bytes, 4)? as u32),
        b'F' => Value::Table(decode_table(bytes, depth)?),
        b'V' => Value::Void,
        b'A' => decode_array(bytes, depth)?,
        other => bail!("unknown type letter {:?}", char::from(other)),
    })
}

fn decode_array(bytes: &mut &[u8], depth: usize) -> Result<Value> {
    ensure!(depth < DEPTH_MAX, "array nested deeper than {DEPTH_MAX}");
    let length = usize::try_from(take_uint(bytes, 4)?)?;
    let mut body = take(bytes, length)?;
    let mut values = Vec::new();
    while !body.is_empty() {
        values.push(decode_value(&mut body, depth + 1)?);
    }
    Ok(Value::Array(values))
}

fn parse_table(rest: &mut &str) -> Result<Table> {
    expect(rest, '{')?;
    let mut entries = Vec::new();
    while !accept(rest, '}') {
        let key = parse_string(rest, &[':'])?;
        expect(rest, ':')?;
        entries.push((key, parse_value(rest)?));
        accept(rest, ',');
    }
    Ok(Table(entries))
}

fn parse_value(rest: &mut &str) -> Result<Value> {
    *rest = rest.trim_start();
    match rest.chars().next() {
        Some('{') => return parse_table(rest).map(Value::Table),
        Some('\'' | '"') => return parse_string(rest, &[]).map(Value::Text),
        Some('[') => return parse_array(rest),
        _ => {}
    }
    if let Some(after) = rest.strip_prefix("x:") {
        *rest = after;
        return parse_string(rest, &[',', '}', ']']).map(Value::Bytes);
    }
    let word = parse_string(rest, &[',', '}', ']'])?;
    scalar(&word).with_context(|| format!("value '{word}'"))
}

fn parse_array(rest: &mut &str) -> Result<Value> {
    expect(rest, '[')?;
    let mut values = Vec::new();
    while !accept(rest, ']') {
        values.push(parse_value(rest)?);
        accept(rest, ',');
    }
    Ok(Value::Array(values))
}

fn scalar(word: &str) -> Result<Value> {
    if let Ok(n) = word.parse::<i128>() {
        let letter = if i32::try_from(n).is_ok() { b'I' } else { b'l' };
        return Ok(Value::Int(letter, n));
    }
    match word {
        "true" | "false" => return Ok(Value::Bool(word == "true")),
        "V" => return Ok(Value::Void),
        _ => {}
    }
    match word.split_once(':') {
        Some(("f", n)) => Ok(Value::Float(n.parse()?)),
        Some(("d", n)) => Ok(Value::Double(n.parse()?)),
        Some(("D", n)) => {
            let (scale, value) = n.split_once('/').context("D:scale/value")?;
            Ok(Value::Decimal(scale.parse()?, value.parse()?))
        }
        Some((letter, n)) if letter.len() == 1 && int_width(letter.as_bytes()[0]).is_some() => {
            Ok(Value::Int(letter.as_bytes()[0], n.parse()?))
        }
        _ => Ok(Value::Text(word.to_owned())),
    }
}

/// A quoted string, or a bare one up to one of `stops`.
fn parse_string(rest: &mut &str, stops: &[char]) -> Result<String> {
    *rest = rest.trim_start();
    if let Some(quote @ ('\'' | '"')) = rest.chars().next() {
        let (word, length) = lex::quoted(rest, quote)?;
        *rest = &rest[length..];
        return Ok(word.text().to_owned());
    }
    let end = rest.find(stops).context("table ends early")?;
    let word = rest[..end].trim_end();
    *rest = &rest[end..];
    Ok(word.to_owned())
}

fn accept(rest: &mut &str, c: char) -> bool {
    *rest = rest.trim_start();
    let found = rest.starts_with(c);
    if found {
        *rest = &rest[c.len_utf8()..];
    }
    found
}

fn expect(rest: &mut &str, c: char) -> Result<()> {
    ensure!(accept(rest, c), "'{c}' expected at '{rest}'");
    Ok(())
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('{')?;
        for (i, (key, value)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{}: {value}", Key(key))?;
        }
        f.write_char('}')
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(b'I', n) => write!(f, "{n}"),
            Self::Int(letter, n) => write!(f, "{}:{n}", char::from(*letter)),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Text(text) => write!(f, "'{}'", lex::escaped(text)),
            Self::Bytes(text) => write!(f, "x:'{}'", lex::escaped(text)),
            Self::Float(n) => write!(f, "f:{n}"),
            Self::Double(n) => write!(f, "d:{n}"),
            Self::Decimal(scale, n) => write!(f, "D:{scale}/{n}"),
            Self::Table(table) => write!(f, "{table}"),
            Self::Void => f.write_char('V'),
            Self::Array(values) => {
                let list: Vec<String> = values.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", list.join(", "))
            }
        }
    }
}

/// A table key, quoted only if it could be read as something else.
struct Key<'a>(&'a str);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_alphanumeric() || "-_.$".contains(c);
        if !self.0.is_empty() && self.0.chars().all(plain) {
            f.write_str(self.0)
        } else {
            write!(f, "'{}'", self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_text_and_bytes() {
        let text = "{a: 5, b: b:-1, c: B:200, d: s:-2, e: u:9, f: i:7, g: l:-5, h: L:5, i: T:9, j: true, k: 'x', \
                    l: x:'y', m: f:1.5, n: d:2.5, o: D:2/314, p: [1, 'a', [V]], q: {r: {}}, s: V}";
        let table = Table::parse(text).unwrap();
        assert_eq!(table.to_string(), text);
        assert_eq!(Table::decode(&mut &table.encode()[..]).unwrap(), table);
    }

    #[test]
    fn a_truncated_table_is_refused() {
        let bytes = Table::parse("{a: [1, 'x']}").unwrap().encode();
        for length in 0..bytes.len() {
            assert!(Table::decode(&mut &bytes[..length]).is_err(), "{length}");
        }
    }
}
