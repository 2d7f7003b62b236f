//! Windows that come again every week, by the clock on the wall of a zone.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::document::{Decode, Invalid, Node, decode_text};

pub(super) const DAY: u32 = 24 * 60;
pub(super) const WEEK: u32 = 7 * DAY;

/// Windows that come again every week. One holds whenever a clock on the wall of its zone shows a
/// minute within it: when the clock is set back, an hour that comes twice is held twice; when it is
/// set forward, a time that does not come holds nothing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Recurring {
    zone: TimeZone,
    spans: Vec<Span>,
}

/// A part of the week, in minutes since the Monday; it may reach over the Sunday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) length: u32,
}

impl Recurring {
    pub(super) fn new(zone: TimeZone, spans: Vec<Span>) -> Self {
        Self { zone, spans }
    }

    pub(super) fn holds(&self, at: Timestamp) -> bool {
        let wall = self.zone.to_datetime(at);
        let day = u32::from(wall.weekday().to_monday_zero_offset().unsigned_abs());
        let (hour, minute) = (wall.hour().unsigned_abs(), wall.minute().unsigned_abs());
        let minute = day * DAY + u32::from(hour) * 60 + u32::from(minute);
        self.spans.iter().any(|span| (minute + WEEK - span.start) % WEEK < span.length)
    }

    /// Adds the moments of `days` days around and after `from` at which it may begin or stop to hold.
    pub(super) fn changes(&self, from: Timestamp, days: u32, changes: &mut Vec<Timestamp>) {
        let mut date = self.zone.to_datetime(from).date();
        date = date.yesterday().unwrap_or(date);
        for _ in 0..days + 2 {
            self.changes_of(date, changes);
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
        // A clock that is set may jump into a window or out of it.
        let end = changes.iter().max().copied().unwrap_or(from);
        let set = self.zone.following(from).map(|transition| transition.timestamp());
        changes.extend(set.take_while(|at| *at <= end));
    }

    fn changes_of(&self, date: Date, changes: &mut Vec<Timestamp>) {
        let day = u32::from(date.weekday().to_monday_zero_offset().unsigned_abs());
        let ends = self.spans.iter().flat_map(|s| [s.start, (s.start + s.length) % WEEK]);
        for minute in ends.filter(|minute| minute / DAY == day).map(|minute| minute % DAY) {
            let (Ok(hour), Ok(minute)) = (i8::try_from(minute / 60), i8::try_from(minute % 60))
            else {
                continue;
            };
            let moment = self.zone.to_ambiguous_timestamp(date.at(hour, minute, 0, 0));
            changes.extend(moment.earlier());
            changes.extend(moment.later());
        }
    }
}

/// A day of the week, as `mon` or `monday`: how many days after Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weekday(pub(super) u32);

impl FromStr for Weekday {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const NAMES: [&str; 7] =
            ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        let names = (0..).zip(NAMES);
        let mut found = names.filter(|(_, name)| *name == text || name[..3] == *text);
        let day = found.next().map(|(day, _)| Self(day));
        day.ok_or_else(|| {
            Invalid::new(text, "a day of the week: mon, tue, wed, thu, fri, sat or sun")
        })
    }
}

/// A time of the day, as `18:00`, up to `24:00`: minutes since midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeOfDay(pub(super) u32);

impl FromStr for TimeOfDay {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let two = |text: &str| {
            let plain = text.len() == 2 && text.bytes().all(|c| c.is_ascii_digit());
            plain.then(|| text.parse::<u32>().ok()).flatten()
        };
        let parts =
            text.split_once(':').and_then(|(hour, minute)| Some((two(hour)?, two(minute)?)));
        match parts {
            Some((hour @ 0..=23, minute @ 0..=59)) => Ok(Self(hour * 60 + minute)),
            Some((24, 0)) => Ok(Self(DAY)),
            _ => Err(Invalid::new(text, "a time of the day from \"00:00\" to \"24:00\"")),
        }
    }
}

/// A time of the week, as `fri 18:00`: minutes since the Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeOfWeek(pub(super) u32);

impl FromStr for TimeOfWeek {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parts = text.split_once(' ').and_then(|(day, time)| {
            Some((day.parse::<Weekday>().ok()?, time.trim().parse::<TimeOfDay>().ok()?))
        });
        let allowed = "a day and a time such as \"fri 18:00\"";
        let (Weekday(day), TimeOfDay(time)) = parts.ok_or_else(|| Invalid::new(text, allowed))?;
        Ok(Self((day * DAY + time) % WEEK))
    }
}

macro_rules! decode_from_text {
    ($($name:ty),*) => {$(
        impl Decode for $name {
            fn decode(node: &Node<'_>) -> Option<Self> {
                decode_text(node)
            }
        }
    )*};
}
decode_from_text!(Weekday, TimeOfDay, TimeOfWeek);
