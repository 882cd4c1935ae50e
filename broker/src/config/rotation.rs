//! When a log file is put aside: at a size, or at times written as RabbitMQ has them.
//!
//! Says when alone; `observe` does it.

/// When a log file is put aside, and how many are kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rotation {
    /// At this size.
    pub octets: Option<u64>,
    /// At these times.
    pub date: Option<RotationDate>,
    /// Files kept; with none the file is begun anew.
    pub count: u32,
    /// Those are compressed.
    pub compress: bool,
}

/// When a log file is rotated by date, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationDate {
    /// `$H30`.
    Hourly {
        /// At this minute.
        minute: u8,
    },
    /// `$D0`.
    Daily {
        /// At this hour.
        hour: u8,
    },
    /// `$W0D23`; 0 is Sunday.
    Weekly {
        /// On this day.
        day: u8,
        /// At this hour.
        hour: u8,
    },
    /// `$M1D0`.
    Monthly {
        /// On this day.
        day: u8,
        /// At this hour.
        hour: u8,
    },
}

impl std::str::FromStr for RotationDate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "must be one of $D0 (daily, at an hour), $W0D23, $M1D0 or $H30, or empty for never".to_owned();
        let number = |text: &str, least: u8, most: u8| {
            let found = text.parse().ok().filter(|number| (least..=most).contains(number));
            found.ok_or_else(wrong)
        };
        let hour = |text: &str| number(if text.is_empty() { "0" } else { text }, 0, 23);
        if let Some(rest) = text.strip_prefix("$D") {
            return hour(rest).map(|hour| RotationDate::Daily { hour });
        }
        if let Some(rest) = text.strip_prefix("$H") {
            let minute = number(rest, 0, 59)?;
            return Ok(RotationDate::Hourly { minute });
        }
        let (is_weekly, rest) = match (text.strip_prefix("$W"), text.strip_prefix("$M")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(wrong()),
        };
        let (day, at) = rest.split_once('D').unwrap_or((rest, ""));
        let hour = hour(at)?;
        Ok(match is_weekly {
            true => RotationDate::Weekly {
                day: number(day, 0, 6)?,
                hour,
            },
            false => RotationDate::Monthly {
                day: number(day, 1, 31)?,
                hour,
            },
        })
    }
}
