//! Dates of the Gregorian calendar, in UTC: of log lines and answers, and of the next time at which a log file is rotated.

use model::Millis;

use crate::config::RotationDate;

const DAY_S: u64 = 86_400;
const HOUR_S: u64 = 3_600;

/// Year, month and day of a day since 1970-01-01, counted in eras of 400 years that begin in March.
pub(super) fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, is_next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + is_next, month, day)
}

/// `2026-11-26` and `03:47:41` of a second since the epoch.
pub(super) fn shown(seconds: u64) -> (String, String) {
    let (year, month, day) = date(seconds / DAY_S);
    let of_day = seconds % DAY_S;
    let (hour, minute, second) = (of_day / HOUR_S, of_day / 60 % 60, of_day % 60);
    (
        format!("{year:04}-{month:02}-{day:02}"),
        format!("{hour:02}:{minute:02}:{second:02}"),
    )
}

/// A time as the management API writes it: `2026-11-26T03:47:41.315+00:00`.
pub fn timestamp(at: Millis) -> String {
    let (date, time) = shown(at.0 / 1000);
    format!("{date}T{time}.{:03}+00:00", at.0 % 1000)
}

/// The first second after `since` at which a file is to be rotated.
pub(super) fn next_rotation(rule: RotationDate, since: u64) -> u64 {
    let (days, of_hour) = (since / DAY_S, since / HOUR_S * HOUR_S);
    let hour_of = |day: u64, hour: u8| day * DAY_S + u64::from(hour) * HOUR_S;
    // 1970-01-01 was a Thursday, and weeks begin on Sunday.
    let weekday = |day: u64| (day + 4) % 7;
    match rule {
        RotationDate::Hourly { minute } => {
            let at = of_hour + u64::from(minute) * 60;
            if at > since { at } else { at + HOUR_S }
        }
        RotationDate::Daily { hour } => first(days, 2, since, |day| Some(hour_of(day, hour))),
        RotationDate::Weekly { day: wanted, hour } => first(days, 8, since, |day| {
            (weekday(day) == u64::from(wanted)).then(|| hour_of(day, hour))
        }),
        RotationDate::Monthly { day: wanted, hour } => first(days, 64, since, |day| {
            (date(day).2 == u64::from(wanted)).then(|| hour_of(day, hour))
        }),
    }
}

/// The first of the points that some of the next days have, behind `since`.
fn first(from: u64, days: u64, since: u64, at: impl Fn(u64) -> Option<u64>) -> u64 {
    (from..=from + days)
        .filter_map(at)
        .find(|at| *at > since)
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_shown_as_dates() {
        assert_eq!(shown(0), ("1970-01-01".to_owned(), "00:00:00".to_owned()));
        assert_eq!(shown(1_795_664_861), ("2026-11-26".to_owned(), "03:47:41".to_owned()));
        assert_eq!(shown(951_782_399).0, "2000-02-28");
        assert_eq!(shown(951_782_400).0, "2000-02-29");
        assert_eq!(shown(4_107_542_400).0, "2100-03-01");
        assert_eq!(timestamp(Millis(1_795_664_861_007)), "2026-11-26T03:47:41.007+00:00");
    }

    #[test]
    fn the_next_rotation_is_the_first_behind_now() {
        // Thursday, 2026-11-26 03:47:41.
        let now = 1_795_664_861;
        let cases = [
            ("$D0", "2026-11-27 00:00:00"),
            ("$D23", "2026-11-26 23:00:00"),
            ("$D3", "2026-11-27 03:00:00"),
            ("$W0D23", "2026-11-29 23:00:00"),
            ("$W4D4", "2026-11-26 04:00:00"),
            ("$W4D3", "2026-12-03 03:00:00"),
            ("$M1D0", "2026-12-01 00:00:00"),
            ("$M31D6", "2026-12-31 06:00:00"),
            ("$H30", "2026-11-26 04:30:00"),
            ("$H50", "2026-11-26 03:50:00"),
        ];
        for (rule, expected) in cases {
            let next = next_rotation(rule.parse().unwrap(), now);
            let (date, time) = shown(next);
            assert_eq!(format!("{date} {time}"), expected, "{rule}");
        }
    }
}
