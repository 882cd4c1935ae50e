//! Numbers with their rate of change: `messages` stands beside `messages_details: {"rate": …}`.
//!
//! A number that never happened is left out, and clients take it as zero.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// How fast a number changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rate {
    /// Per second.
    pub rate: f64,
    /// What it was, when the request asked for its past.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub series: Option<Series>,
}

/// What a number was, the newest value first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    /// Equally far apart.
    pub samples: Vec<Sample>,
    /// Change per second over all of them.
    pub avg_rate: f64,
    /// Mean of all of them.
    pub avg: f64,
}

/// A value and its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// The value.
    pub sample: u64,
    /// Milliseconds since 1970.
    pub timestamp: u64,
}

/// How long something takes in the mean: milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeanTime {
    /// In the last seconds; since the start when its past is told.
    pub rate: f64,
    /// What it was, when the request asked for its past.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub series: Option<MeanTimes>,
}

/// What a mean time since the start was, the newest value first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeanTimes {
    /// Equally far apart.
    pub samples: Vec<TimeSample>,
    /// The newest.
    pub avg_rate: f64,
    /// The newest.
    pub avg: f64,
}

/// A mean time and when it was so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimeSample {
    /// Milliseconds that one took.
    pub sample: f64,
    /// Milliseconds since 1970.
    pub timestamp: u64,
}

impl MeanTime {
    /// Told with its past, the newest value first.
    pub fn of(samples: Vec<TimeSample>) -> Self {
        let newest = samples.first().map_or(0.0, |sample| sample.sample);
        MeanTime {
            rate: newest,
            series: Some(MeanTimes {
                samples,
                avg_rate: newest,
                avg: newest,
            }),
        }
    }
}

/// A number, and how fast it changes when that is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    /// The number.
    pub total: u64,
    /// Its change.
    pub details: Option<Rate>,
}

impl Series {
    /// Both together, the newest beside the newest; before the younger one began it was nothing.
    fn and(&self, other: &Series) -> Series {
        let (longer, shorter) = match self.samples.len() >= other.samples.len() {
            true => (&self.samples, &other.samples),
            false => (&other.samples, &self.samples),
        };
        let sum = |(at, one): (usize, &Sample)| Sample {
            sample: one.sample + shorter.get(at).map_or(0, |two| two.sample),
            timestamp: one.timestamp,
        };
        Series {
            samples: longer.iter().enumerate().map(sum).collect(),
            avg_rate: self.avg_rate + other.avg_rate,
            avg: self.avg + other.avg,
        }
    }

    /// The series of these samples, the newest first.
    pub fn of(samples: Vec<Sample>) -> Self {
        let (Some(newest), Some(oldest)) = (samples.first(), samples.last()) else {
            return Series::default();
        };
        let seconds = newest.timestamp.saturating_sub(oldest.timestamp) as f64 / 1000.0;
        let change = newest.sample as f64 - oldest.sample as f64;
        let sum: f64 = samples.iter().map(|sample| sample.sample as f64).sum();
        Series {
            avg_rate: if seconds > 0.0 { change / seconds } else { 0.0 },
            avg: sum / samples.len() as f64,
            samples,
        }
    }
}

impl Rate {
    /// Both together.
    fn and(&self, other: &Rate) -> Rate {
        let series = match (&self.series, &other.series) {
            (Some(one), Some(two)) => Some(one.and(two)),
            (one, two) => one.as_ref().or(two.as_ref()).cloned(),
        };
        Rate {
            rate: self.rate + other.rate,
            series,
        }
    }
}

impl From<f64> for Rate {
    fn from(rate: f64) -> Self {
        Rate { rate, series: None }
    }
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
        self.0.insert(name.to_owned(), Counted { total, details: None });
    }

    /// How fast the number of this name changes; zero when that is not known.
    pub fn rate(&self, name: &str) -> f64 {
        let details = self.0.get(name).and_then(|counted| counted.details.as_ref());
        details.map_or(0.0, |details| details.rate)
    }

    /// Sets a number with how it changes.
    pub fn set_with_rate(&mut self, name: &str, total: u64, rate: impl Into<Rate>) {
        let details = Some(rate.into());
        self.0.insert(name.to_owned(), Counted { total, details });
    }

    /// Adds these numbers of another node.
    pub fn add<'a>(&mut self, other: &Rates, names: impl Iterator<Item = &'a str>) {
        for name in names {
            let Some(theirs) = other.0.get(name) else { continue };
            let own = self.0.entry(name.to_owned()).or_default();
            own.total += theirs.total;
            own.details = match (&own.details, &theirs.details) {
                (Some(one), Some(two)) => Some(one.and(two)),
                (one, two) => one.clone().or_else(|| two.clone()),
            };
        }
    }

    /// Adds how fast these numbers change on another node, but not the numbers.
    pub fn add_changes<'a>(&mut self, other: &Rates, names: impl Iterator<Item = &'a str>) {
        for name in names {
            let Some(theirs) = other.0.get(name).and_then(|counted| counted.details.as_ref()) else {
                continue;
            };
            let own = self.0.entry(name.to_owned()).or_default();
            own.details = Some(
                own.details
                    .as_ref()
                    .map_or_else(|| theirs.clone(), |own| own.and(theirs)),
            );
        }
    }

    /// Whether no number is there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Any numbers by their names, and their changes beside them.
impl JsonSchema for Rates {
    fn schema_name() -> Cow<'static, str> {
        "Rates".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let change = generator.subschema_for::<Rate>();
        json_schema!({
            "type": "object",
            "description": "Numbers by name, and the change of each under its name with _details",
            "additionalProperties": {"anyOf": [{"type": "integer"}, change]},
        })
    }
}

impl Serialize for Rates {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, counted) in &self.0 {
            map.serialize_entry(name, &counted.total)?;
            if let Some(details) = &counted.details {
                map.serialize_entry(&format!("{name}{DETAILS}"), details)?;
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
                (Entry::Total(total), _) => drop(totals.insert(name, Counted { total, details: None })),
                (Entry::Details(rate), Some(of)) => drop(rates.insert(of.to_owned(), rate)),
                (Entry::Details(_) | Entry::Other(_), _) => {}
            }
        }
        for (name, counted) in &mut totals {
            counted.details = rates.remove(name);
        }
        Ok(Rates(totals))
    }
}

impl<'de> Deserialize<'de> for Rates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RatesVisitor)
    }
}
