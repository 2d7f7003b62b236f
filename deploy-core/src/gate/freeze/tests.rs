//! Windows against a walk through the minutes, and the faults of their documents.

use proptest::prelude::*;

use super::super::GatePolicy;
use super::super::recurring::{Recurring, Span, WEEK};
use super::super::window::When;
use super::*;
use crate::parser::{Format, ParseError};

/// Zones with shifts of an hour, half an hour and two hours, with none, and with a day left out.
const ZONES: [&str; 8] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Asia/Shanghai",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/St_Johns",
];

fn zone(name: &str) -> jiff::tz::TimeZone {
    jiff::tz::TimeZoneDatabase::bundled().get(name).unwrap()
}

/// The minutes of the week that a window holds, by walking from its beginning to its end.
fn minutes_of(spans: &[Span]) -> Vec<bool> {
    let mut held = vec![false; WEEK as usize];
    for span in spans {
        let mut minute = span.start;
        for _ in 0..span.length {
            held[minute as usize] = true;
            minute = if minute + 1 == WEEK { 0 } else { minute + 1 };
        }
    }
    held
}

#[derive(Clone, Debug)]
struct Case {
    zone: &'static str,
    spans: Vec<Span>,
    allow: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let span = (0..WEEK, prop_oneof![1..90u32, 1..WEEK])
        .prop_map(|(start, length)| Span { start, length });
    (proptest::sample::select(&ZONES[..]), proptest::collection::vec(span, 1..4), any::<bool>())
        .prop_map(|(zone, spans, allow)| Case { zone, spans, allow })
}

/// Says for a moment whether it is closed, as somebody would who looks at the clocks on the walls.
fn closed(cases: &[(Case, jiff::tz::TimeZone, Vec<bool>)], at: Timestamp) -> bool {
    let shown = |zone: &jiff::tz::TimeZone| {
        let wall = at.to_zoned(zone.clone()).strftime("%u %H %M").to_string();
        let parts: Vec<usize> = wall.split(' ').map(|part| part.parse().unwrap()).collect();
        (parts[0] - 1) * 1440 + parts[1] * 60 + parts[2]
    };
    let holds = |(_, zone, minutes): &(Case, jiff::tz::TimeZone, Vec<bool>)| minutes[shown(zone)];
    let frozen = cases.iter().filter(|(case, ..)| !case.allow).any(holds);
    let mut allows = cases.iter().filter(|(case, ..)| case.allow).peekable();
    frozen || (allows.peek().is_some() && !allows.any(holds))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_freeze_ends_when_a_walk_through_the_minutes_says_so(
        cases in proptest::collection::vec(case(), 1..3),
        begin in 1_300_000_000..1_800_000_000i64,
        // Up to three days before the clock is set, and up to one after.
        minutes_before in -1440..4320i64,
    ) {
        let begin = Timestamp::from_second(begin / 60 * 60).unwrap();
        let set = zone(cases[0].zone).following(begin).next().map_or(begin, |t| t.timestamp());
        let now = set - SignedDuration::from_mins(minutes_before);
        let window = |case: &Case| Window {
            reason: "r".to_owned(),
            scope: Default::default(),
            when: When::Recurring(Recurring::new(zone(case.zone), case.spans.clone())),
        };
        let rules = Rules {
            freezes: cases.iter().filter(|case| !case.allow).map(window).collect(),
            allows: cases.iter().filter(|case| case.allow).map(window).collect(),
        };
        let walked: Vec<_> =
            cases.iter().map(|case| (case.clone(), zone(case.zone), minutes_of(&case.spans))).collect();
        prop_assert_eq!(rules.closed(now).is_some(), closed(&walked, now));
        // Only a freeze has an end: the next one, where there is none now.
        let mut minutes = (0..8 * 1440).map(|minute| now + SignedDuration::from_mins(minute));
        let Some(now) = minutes.find(|at| closed(&walked, *at)) else { return Ok(()) };
        let found = rules.open_after(now);
        let mut at = now;
        for _ in 0..10 * 1440 {
            at += SignedDuration::from_mins(1);
            if at >= found || !closed(&walked, at) {
                break;
            }
        }
        // Nothing is open before, and that moment is, unless it lies behind the walk.
        prop_assert!(at >= found && !closed(&walked, found) || closed(&walked, at) && found > at,
            "at {} found {}", at, found);
    }
}

fn policy(document: &str) -> Result<GatePolicy, ParseError> {
    GatePolicy::parse(Format::Json, document.as_bytes())
}

#[test]
fn a_weekend_ends_on_monday_also_when_the_clock_is_set_in_between() {
    let windows: FreezeWindows = Format::Json
        .read(
            br#"{"freeze": [{"reason": "weekend", "zone": "Europe/Berlin",
            "weekly": {"from": "fri 18:00", "until": "monday 08:00"}}]}"#,
        )
        .unwrap();
    let rules = Rules { freezes: windows.freezes, allows: windows.allows };
    // On Sunday, 2026-10-25, the clock is set from UTC+2 to UTC+1.
    let friday: Timestamp = "2026-10-23T18:00:00+02:00".parse().unwrap();
    let monday: Timestamp = "2026-10-26T08:00:00+01:00".parse().unwrap();
    assert_eq!(rules.closed(friday).as_deref(), Some("frozen: weekend"));
    assert_eq!(rules.open_after(friday), monday);
    assert_eq!(rules.closed(monday), None);
    assert_eq!(rules.closed(friday - SignedDuration::from_secs(1)), None);
}

#[test]
fn a_window_that_never_ends_is_asked_about_again_in_a_year() {
    let windows: FreezeWindows = Format::Json
        .read(
            br#"{"freeze": [{"reason": "always", "zone": "UTC",
            "daily": {"from": "00:00", "until": "24:00"}}]}"#,
        )
        .unwrap();
    let rules = Rules { freezes: windows.freezes, allows: windows.allows };
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    assert!(rules.closed(now).is_some());
    assert_eq!(rules.open_after(now).duration_since(now), SignedDuration::from_hours(400 * 24));
}

#[test]
fn all_faults_of_a_document_come_at_once() {
    let document = r#"{
        "freeze": [
            {"reason": "a", "zone": "Europe/Berln", "weekly": {"from": "fri 18:00", "until": "fri 18:00"}},
            {"reason": "b", "zone": "Shanghai", "daily": {"from": "25:00", "until": "06:00", "days": ["mon", "someday"]}},
            {"reason": "", "zone": "UTC", "once": {"from": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}},
            {"reason": "d", "daily": {"from": "01:00", "until": "02:00"}, "projects": ["checkout"]},
            {"reason": "e", "zone": "UTC"}
        ],
        "approval": [{"need": 3, "of": ["alice", "bob"]}, {"need": 1, "of": []}],
        "frezee": []
    }"#;
    let Err(ParseError::Invalid(faults)) = policy(document) else { panic!("it was taken") };
    let paths: Vec<_> = faults.as_slice().iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "freeze[0].zone",
            "freeze[0].weekly.until",
            "freeze[1].zone",
            "freeze[1].daily.from",
            "freeze[1].daily.days[1]",
            "freeze[2].reason",
            "freeze[2].once.until",
            "freeze[2].zone",
            "freeze[3].projects[0]",
            "freeze[3].zone",
            "freeze[4].weekly",
            "approval[0].need",
            "approval[1].of",
            "frezee",
        ]
    );
    let allowed = |index: usize| &faults.as_slice()[index].allowed;
    assert!(allowed(0).ends_with("the nearest is \"Europe/Berlin\""), "{}", allowed(0));
    assert!(allowed(2).ends_with("the nearest is \"Asia/Shanghai\""), "{}", allowed(2));
}
