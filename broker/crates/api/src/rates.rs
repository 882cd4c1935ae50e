//! Numbers with their rate of change: `messages` stands beside `messages_details: {"rate": …}`.
//!
//! A number that never happened is left out, and clients take it as zero.

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// How fast a number changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Per second.
    pub rate: f64,
}

/// A number, and how fast it changes when that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counted {
    /// The number.
    pub total: u64,
    /// Its change per second.
    pub rate: Option<f64>,
}

/// Numbers by name, such as `publish` or `messages_ready`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rates(pub BTreeMap<String, Counted>);

const DETAILS: &str = "_details";

impl Rates {
    /// The number of this name; zero when it is left out.
    pub fn total(&self, name: &str) -> u64 {
        self.0.get(name).map_or(0, |counted| counted.total)
    }

    /// Sets a number without its rate.
    pub fn set(&mut self, name: &str, total: u64) {
        self.0.insert(name.to_owned(), Counted { total, rate: None });
    }

    /// Sets a number with its rate per second.
    pub fn set_with_rate(&mut self, name: &str, total: u64, rate: f64) {
        self.0.insert(
            name.to_owned(),
            Counted {
                total,
                rate: Some(rate),
            },
        );
    }

    /// Whether no number is there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Rates {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, counted) in &self.0 {
            map.serialize_entry(name, &counted.total)?;
            if let Some(rate) = counted.rate {
                map.serialize_entry(&format!("{name}{DETAILS}"), &Rate { rate })?;
            }
        }
        map.end()
    }
}

/// A value beside a name: a number, its details, or something that is neither.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Total(u64),
    Details(Rate),
    Other(serde::de::IgnoredAny),
}

struct RatesVisitor;

impl<'de> Visitor<'de> for RatesVisitor {
    type Value = Rates;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of numbers and their rates")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Rates, M::Error> {
        let (mut totals, mut rates) = (BTreeMap::new(), BTreeMap::new());
        while let Some((name, entry)) = map.next_entry::<String, Entry>()? {
            match (entry, name.strip_suffix(DETAILS)) {
                (Entry::Total(total), _) => drop(totals.insert(name, Counted { total, rate: None })),
                (Entry::Details(rate), Some(of)) => drop(rates.insert(of.to_owned(), rate.rate)),
                (Entry::Details(_) | Entry::Other(_), _) => {}
            }
        }
        for (name, counted) in &mut totals {
            counted.rate = rates.get(name).copied();
        }
        Ok(Rates(totals))
    }
}

impl<'de> Deserialize<'de> for Rates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RatesVisitor)
    }
}
