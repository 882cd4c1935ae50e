//! Types of configuration values, each read from its text once. A value that does not read says what would be right.
//!
//! No key is known here, and no default.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// A type that a setting can have.
pub trait Value: Sized {
    /// What the reference page calls the type.
    const KIND: &'static str;
    /// Whether values must never be shown.
    const SECRET: bool = false;
    /// The value of this text.
    ///
    /// # Errors
    /// Says what would be right, as a clause that follows the value.
    fn read(text: &str) -> Result<Self, String>;
}

/// A number of octets. Units: `k kB kiB M MB MiB G GB GiB T TB TiB`; `kB MB GB TB` are powers of 1000, the others of 1024.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const UNITS: [(&str, u64); 13] = [
    ("", 1),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("kb", 1_000),
    ("m", 1 << 20),
    ("mib", 1 << 20),
    ("mb", 1_000_000),
    ("g", 1 << 30),
    ("gib", 1 << 30),
    ("gb", 1_000_000_000),
    ("t", 1 << 40),
    ("tib", 1 << 40),
    ("tb", 1_000_000_000_000),
];

impl Value for ByteSize {
    const KIND: &'static str = "size in bytes";
    fn read(text: &str) -> Result<Self, String> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(end);
        let unit = unit.trim().to_ascii_lowercase();
        let scale = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale);
        let count = digits.parse::<u64>().ok();
        let bytes = count.zip(scale).and_then(|(count, scale)| count.checked_mul(scale));
        bytes
            .map(ByteSize)
            .ok_or_else(|| "must be a number of bytes such as 1048576, 512MB or 1GiB".to_owned())
    }
}

/// A time span written as a whole number of milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Milliseconds(pub u64);

impl Milliseconds {
    /// The same span for the host's timers.
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl Value for Milliseconds {
    const KIND: &'static str = "milliseconds";
    fn read(text: &str) -> Result<Self, String> {
        whole(text, 0, u64::MAX).map(Milliseconds)
    }
}

/// A limit that may be absent, written `infinity`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limit<T> {
    /// No limit.
    #[default]
    Infinity,
    /// At most this.
    Max(T),
}

impl<T: Copy> Limit<T> {
    /// The limit, when there is one.
    pub fn max(self) -> Option<T> {
        match self {
            Limit::Infinity => None,
            Limit::Max(value) => Some(value),
        }
    }
}

impl Value for Limit<u64> {
    const KIND: &'static str = "whole number or infinity";
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "infinity" => Ok(Limit::Infinity),
            text => whole(text, 0, u64::MAX)
                .map(Limit::Max)
                .map_err(|right| format!("{right}, or infinity")),
        }
    }
}

impl Value for Limit<Milliseconds> {
    const KIND: &'static str = "milliseconds or infinity";
    fn read(text: &str) -> Result<Self, String> {
        match Limit::<u64>::read(text)? {
            Limit::Infinity => Ok(Limit::Infinity),
            Limit::Max(value) => Ok(Limit::Max(Milliseconds(value))),
        }
    }
}

/// A level of a resource: a share of the machine's memory, or a number of octets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Watermark {
    /// This share of the memory that the node may use.
    Relative(f64),
    /// This many octets.
    Absolute(ByteSize),
}

impl Watermark {
    /// The level in octets when `memory` octets are available.
    pub fn bytes(self, memory: u64) -> u64 {
        match self {
            Watermark::Absolute(ByteSize(bytes)) => bytes,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a share of the memory is an estimate, and reading it refuses negative numbers"
            )]
            Watermark::Relative(share) => (memory as f64 * share) as u64,
        }
    }
}

/// A positive share such as 0.4.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share(pub f64);

impl Value for Share {
    const KIND: &'static str = "fraction";
    fn read(text: &str) -> Result<Self, String> {
        let share = text
            .parse::<f64>()
            .ok()
            .filter(|share| share.is_finite() && *share >= 0.0);
        share
            .map(Share)
            .ok_or_else(|| "must be a fraction such as 0.4".to_owned())
    }
}

/// Where a listener listens: a port, or an address with a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListenAddress {
    /// The interface; none is every interface, of IPv6 and IPv4.
    pub ip: Option<IpAddr>,
    /// The port; 0 lets the system choose.
    pub port: u16,
}

impl ListenAddress {
    /// On every interface.
    pub fn any(port: u16) -> Self {
        ListenAddress { ip: None, port }
    }

    /// The address to bind; every interface is `[::]`, which takes IPv4 as well where the system has both.
    pub fn socket(self) -> SocketAddr {
        SocketAddr::new(self.ip.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)), self.port)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket().fmt(f)
    }
}

impl Value for ListenAddress {
    const KIND: &'static str = "port or address:port";
    fn read(text: &str) -> Result<Self, String> {
        let wrong =
            || "must be a port such as 5672, or an address and port such as 127.0.0.1:5672 or ::1:5672".to_owned();
        if let Ok(port) = text.parse::<u16>() {
            return Ok(ListenAddress::any(port));
        }
        let (ip, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let ip = ip
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse()
            .map_err(|_| wrong())?;
        let port = port.parse().map_err(|_| wrong())?;
        Ok(ListenAddress { ip: Some(ip), port })
    }
}

/// Text that is never shown or logged.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides this text.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text itself, for the one who checks or hashes it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl Value for Secret {
    const KIND: &'static str = "text, kept secret";
    const SECRET: bool = true;
    fn read(text: &str) -> Result<Self, String> {
        Ok(Secret(text.to_owned()))
    }
}

/// The one word `none`, which empties a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoneWord;

impl Value for NoneWord {
    const KIND: &'static str = "none";
    fn read(text: &str) -> Result<Self, String> {
        (text == "none")
            .then_some(NoneWord)
            .ok_or_else(|| "only none can stand here; entries have a name behind the key, as in key.1".to_owned())
    }
}

impl Value for bool {
    const KIND: &'static str = "true or false";
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "true" | "on" => Ok(true),
            "false" | "off" => Ok(false),
            _ => Err("must be true or false".to_owned()),
        }
    }
}

impl Value for String {
    const KIND: &'static str = "text";
    fn read(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Value for PathBuf {
    const KIND: &'static str = "path";
    fn read(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }
}

impl Value for IpAddr {
    const KIND: &'static str = "IP address";
    fn read(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| "must be an IP address such as 127.0.0.1 or ::1".to_owned())
    }
}

/// A regular expression that was checked; kept as text because the catalogue stores text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern(pub String);

impl Value for Pattern {
    const KIND: &'static str = "regular expression";
    fn read(text: &str) -> Result<Self, String> {
        let checked = regex::Regex::new(text).map(|_| Pattern(text.to_owned()));
        checked.map_err(|why| format!("must be a regular expression: {why}"))
    }
}

macro_rules! whole_numbers {
    ($($type:ty)*) => {$(
        impl Value for $type {
            const KIND: &'static str = "whole number";
            fn read(text: &str) -> Result<Self, String> {
                let max = u64::try_from(<$type>::MAX).unwrap_or(u64::MAX);
                let value = whole(text, 0, max)?;
                <$type>::try_from(value).map_err(|_| format!("must be at most {max}"))
            }
        }
    )*};
}
whole_numbers!(u16 u32 u64 i32);

fn whole(text: &str, min: u64, max: u64) -> Result<u64, String> {
    let value = text.parse::<u64>().ok().filter(|value| (min..=max).contains(value));
    value.ok_or_else(|| match max {
        u64::MAX => format!("must be a whole number from {min}"),
        max => format!("must be a whole number from {min} to {max}"),
    })
}

/// Declares an enum whose variants are the words of the file.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl Default for $name {
            /// The first word, until the table of keys sets its own default.
            fn default() -> Self {
                [$($name::$variant),*][0]
            }
        }

        impl $name {
            /// The word in the file.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }

        impl $crate::config::value::Value for $name {
            const KIND: &'static str = concat!("one of", $(" ", $word),*);
            fn read(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($name::$variant),)*
                    _ => Err(format!("must be {}", Self::KIND)),
                }
            }
        }
    };
}
pub(crate) use words;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        let cases = [
            ("4096", 4096),
            ("1MB", 1_000_000),
            ("1MiB", 1 << 20),
            ("2 GiB", 2 << 30),
            ("1k", 1024),
            ("0", 0),
        ];
        for (text, bytes) in cases {
            assert_eq!(ByteSize::read(text), Ok(ByteSize(bytes)), "{text}");
        }
        for bad in ["", "MB", "-1", "1.5GB", "1XB", "99999999999TB"] {
            assert!(ByteSize::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_listener_is_a_port_or_an_address_with_a_port() {
        let cases = [
            ("5672", "[::]:5672"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("::1:5672", "[::1]:5672"),
            ("[::1]:2", "[::1]:2"),
        ];
        for (text, shown) in cases {
            assert_eq!(ListenAddress::read(text).unwrap().to_string(), shown);
        }
        for bad in ["", "70000", "localhost:1", "1.2.3.4", "1.2.3.4:x"] {
            assert!(ListenAddress::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_relative_watermark_is_a_share_of_the_memory() {
        assert_eq!(Watermark::Relative(0.5).bytes(1000), 500);
        assert_eq!(Watermark::Absolute(ByteSize(7)).bytes(1000), 7);
        for bad in ["-0.1", "x", "NaN", "inf"] {
            assert!(Share::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret::new("s3cret")), "[hidden]");
    }
}
