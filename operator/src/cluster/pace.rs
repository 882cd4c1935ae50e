//! When the user lets nodes that are well be replaced: by whom, in which hours, and how long the first of them are watched before the others
//! follow. What is broken, and what has begun, waits for none of this. Pure: the time comes in.

use k8s_openapi::jiff::Timestamp;
use k8s_openapi::jiff::civil::Weekday;
use k8s_openapi::jiff::tz::TimeZone;

use super::plan::Wanted;
use super::situation::PodSeen;
use crate::crd::{Day, MaintenanceWindow, UpdateStrategy};

/// Whose word or which time is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The user deletes pods.
    OnDelete,
    /// The user says when the last node goes.
    Supervised,
    /// A maintenance window opens.
    Window,
    /// The first nodes are watched.
    Canary,
    /// Other clusters are rolled.
    Queued,
}

/// What holds the next node, of these that there are, `new` of the newest template.
pub fn holds(wanted: &Wanted, new: &[&PodSeen], old: &[&PodSeen]) -> Option<(Pace, String)> {
    let update = &wanted.update;
    if update.strategy == UpdateStrategy::OnDelete {
        let told = "update.strategy is OnDelete: delete these pods when it suits you";
        return Some((Pace::OnDelete, told.into()));
    }
    if let Some(closed) = &wanted.closed {
        return Some((Pace::Window, closed.clone()));
    }
    if let Some(queued) = &wanted.queued {
        return Some((Pace::Queued, queued.clone()));
    }
    if let (UpdateStrategy::Supervised, [last]) = (update.strategy, old) {
        let told = format!(
            "update.strategy is Supervised, and {} is the last one: delete it when the others have shown that they work, or set the strategy to Automatic",
            last.name
        );
        return Some((Pace::Supervised, told));
    }
    let canary = update.canary.as_ref()?;
    let watched = usize::try_from(canary.nodes).is_ok_and(|nodes| nodes == new.len());
    let young = new
        .iter()
        .find(|pod| pod.ready_seconds < i64::from(canary.pause_seconds));
    young.filter(|_| watched).map(|pod| {
        let told = format!(
            "update.canary: {} is watched until it has taken clients for {} s",
            pod.name, canary.pause_seconds
        );
        (Pace::Canary, told)
    })
}

/// Why no window is open now, if there are any.
pub fn closed(windows: &[MaintenanceWindow], at: Timestamp) -> Option<String> {
    let open = windows.iter().any(|window| is_open(window, at));
    (!windows.is_empty() && !open).then(|| "none of update.maintenanceWindows is open".into())
}

fn is_open(window: &MaintenanceWindow, at: Timestamp) -> bool {
    let Some(start) = minutes(&window.start) else {
        return false;
    };
    let now = at.to_zoned(TimeZone::UTC);
    let minute = i64::from(now.hour()) * 60 + i64::from(now.minute());
    let length = i64::from(window.duration_minutes);
    // The window of today, or that of yesterday, which may last beyond midnight.
    let days = [
        (now.weekday(), minute - start),
        (now.weekday().previous(), minute + 24 * 60 - start),
    ];
    days.into_iter()
        .any(|(day, since)| is_of(window, day) && (0..length).contains(&since))
}

fn is_of(window: &MaintenanceWindow, day: Weekday) -> bool {
    window.days.is_empty() || window.days.iter().any(|wanted| weekday(*wanted) == day)
}

fn weekday(day: Day) -> Weekday {
    match day {
        Day::Monday => Weekday::Monday,
        Day::Tuesday => Weekday::Tuesday,
        Day::Wednesday => Weekday::Wednesday,
        Day::Thursday => Weekday::Thursday,
        Day::Friday => Weekday::Friday,
        Day::Saturday => Weekday::Saturday,
        Day::Sunday => Weekday::Sunday,
    }
}

/// Minutes since midnight of a time such as 02:30.
pub fn minutes(time: &str) -> Option<i64> {
    let (hours, minutes) = time.split_once(':')?;
    let number = |text: &str, below: i64| -> Option<i64> {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| digits && *number < below)
    };
    Some(number(hours, 24)? * 60 + number(minutes, 60)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(text: &str) -> MaintenanceWindow {
        serde_yaml::from_str(text).unwrap()
    }

    #[test]
    fn a_window_is_open_on_its_days_from_its_start_and_beyond_midnight_if_it_lasts_so_long() {
        let weekend = [window(
            "{days: [Saturday, Sunday], start: '23:00', durationMinutes: 120}",
        )];
        let open = |at: &str| closed(&weekend, at.parse().unwrap()).is_none();
        // The 3rd of January 2026 is a Saturday.
        for (at, expected) in [
            ("2026-01-02T23:30:00Z", false),
            ("2026-01-03T00:30:00Z", false),
            ("2026-01-03T22:59:59Z", false),
            ("2026-01-03T23:00:00Z", true),
            ("2026-01-04T00:59:59Z", true),
            ("2026-01-04T01:00:00Z", false),
            ("2026-01-05T00:59:00Z", true),
            ("2026-01-05T23:30:00Z", false),
        ] {
            assert_eq!(open(at), expected, "{at}");
        }
        let daily = [window("{start: '02:00'}")];
        assert!(closed(&daily, "2026-01-06T02:59:00Z".parse().unwrap()).is_none());
        assert!(closed(&daily, "2026-01-06T03:00:00Z".parse().unwrap()).is_some());
        assert_eq!(
            closed(&[], Timestamp::UNIX_EPOCH),
            None,
            "without windows it is always open"
        );
    }

    #[test]
    fn a_time_has_two_digits_of_hours_and_two_of_minutes() {
        assert_eq!((minutes("00:00"), minutes("23:59")), (Some(0), Some(1439)));
        for wrong in ["", "24:00", "12:60", "1:00", "+1:00", "12", "12:00:00"] {
            assert_eq!(minutes(wrong), None, "{wrong}");
        }
    }
}
