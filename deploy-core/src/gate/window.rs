//! One window as documents have it: when it holds, for whom, and why.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::recurring::{DAY, Recurring, Span, TimeOfDay, TimeOfWeek, WEEK, Weekday};
use super::scope::Scope;
use super::zone;
use crate::document::{Decode, Node, Table};
use crate::model;

/// A window: weekly, daily or once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) reason: String,
    pub(super) scope: Scope,
    pub(super) when: When,
}

/// When a window holds: from its beginning on, up to its end and not at it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum When {
    Recurring(Recurring),
    Once { from: Timestamp, until: Timestamp },
}

impl When {
    pub(super) fn holds(&self, at: Timestamp) -> bool {
        match self {
            Self::Recurring(recurring) => recurring.holds(at),
            Self::Once { from, until } => (*from..*until).contains(&at),
        }
    }

    /// Adds the moments at which it may begin or stop to hold: all that lie within so many days.
    pub(super) fn changes(&self, from: Timestamp, days: u32, changes: &mut Vec<Timestamp>) {
        match self {
            Self::Recurring(recurring) => recurring.changes(from, days, changes),
            Self::Once { from, until } => changes.extend([*from, *until]),
        }
    }
}

impl Decode for Window {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let reason = reason(&mut table);
        let zone = match table.node("zone") {
            Some(node) => zone::decode(&node).map(Some),
            None => Some(None),
        };
        let weekly = spans(&mut table, "weekly", weekly);
        let daily = spans(&mut table, "daily", daily);
        let once = table.node("once").map(|node| once(&node));
        let scope = Scope::decode(&mut table);
        let kinds = [weekly.is_some(), daily.is_some(), once.is_some()];
        if kinds.iter().filter(|there| **there).count() != 1 {
            let found = if kinds.contains(&true) { "several of them" } else { "none of them" };
            table.fault("weekly", found, "one of the keys weekly, daily and once");
        }
        let recurs = weekly.is_some() || daily.is_some();
        if recurs && zone == Some(None) {
            table.fault("zone", "nothing", "a zone, such as \"Asia/Shanghai\": whose clock it is");
        }
        if once.is_some() && !recurs && matches!(zone, Some(Some(_))) {
            table.fault("zone", "a zone", "none beside once, whose times have offsets");
        }
        table.finish();
        let when = match (weekly.or(daily), once) {
            (Some(spans), None) => recurring(zone??, spans?),
            (None, Some(once)) => once?,
            _ => return None,
        };
        Some(Self { reason: reason?, scope: scope?, when })
    }
}

fn recurring(zone: TimeZone, spans: Vec<Span>) -> When {
    When::Recurring(Recurring::new(zone, spans))
}

fn reason(table: &mut Table<'_>) -> Option<String> {
    let reason: String = table.required("reason")?;
    if reason.trim().is_empty() || reason.len() > 512 || reason.chars().any(char::is_control) {
        let allowed = "1 to 512 bytes of text on one line, without control characters";
        table.fault("reason", "another text", allowed);
        return None;
    }
    Some(reason)
}

/// Reads one kind of recurring window, where it is there.
fn spans(
    table: &mut Table<'_>,
    key: &'static str,
    read: fn(&mut Table<'_>) -> Option<Vec<Span>>,
) -> Option<Option<Vec<Span>>> {
    let node = table.node(key)?;
    Some(node.table().and_then(|mut table| {
        let spans = read(&mut table);
        table.finish();
        spans
    }))
}

fn weekly(table: &mut Table<'_>) -> Option<Vec<Span>> {
    let (from, until) = (table.required("from"), table.required("until"));
    let (TimeOfWeek(from), TimeOfWeek(until)) = (from?, until?);
    if from == until {
        table.fault("until", "the same time as from", "another time");
    }
    Some(vec![Span { start: from, length: (until + WEEK - from) % WEEK }])
}

fn daily(table: &mut Table<'_>) -> Option<Vec<Span>> {
    let (from, until) = (table.required("from"), table.required("until"));
    let days = table.or("days", (0..7).map(Weekday).collect());
    if days.as_ref().is_some_and(Vec::is_empty) {
        table.fault("days", "a list of 0", "at least one day, or no such key");
    }
    let (TimeOfDay(from), TimeOfDay(until), days) = (from?, until?, days?);
    if from == until || from == DAY {
        table.fault("until", "no time after from", "another time; a whole day is 00:00 to 24:00");
    }
    let length = if until > from { until - from } else { until + DAY - from };
    let span = |Weekday(day): &Weekday| Span { start: (day * DAY + from) % WEEK, length };
    Some(days.iter().map(span).collect())
}

fn once(node: &Node<'_>) -> Option<When> {
    let mut table = node.table()?;
    let (from, until) = (table.required("from"), table.required("until"));
    if let (Some(from), Some(until)) = (from, until)
        && until <= from
    {
        let allowed = format!("a time after from, {from}");
        table.fault("until", model::Timestamp::to_string(&until), allowed);
    }
    table.finish();
    let (from, until): (model::Timestamp, model::Timestamp) = (from?, until?);
    Some(When::Once { from: from.exact(), until: until.exact() })
}
