//! Which deployments are wanted, as a query string says it.

use std::collections::BTreeSet;

use deploy_core::document::{Fault, Faults, Invalid};
use deploy_core::model::{Outcome, TaskId, Timestamp};
use deploy_core::{JournalQuery, Phase};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as Undefined, StrDeserializer};
use url::form_urlencoded;

use super::response::invalid;
use crate::wire::problem::Problem;

/// How many deployments one answer has at most.
const MOST: usize = 1_000;

const KEYS: &str =
    "business, project, work_order, phase, outcome, finished, since, until, after or limit";
const PHASES: &str =
    "preparing, in_line, waiting, held, rolling_out, rolling_back, paused or finished";
const OUTCOMES: &str = "succeeded, failed, cancelled or rolled_back";

/// Reads a query string, and finds all that is wrong with it.
pub(super) fn read(query: Option<&str>) -> Result<JournalQuery, Box<Problem>> {
    let mut wanted = JournalQuery::new();
    let mut faults = Faults::default();
    let mut seen = BTreeSet::new();
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if !seen.insert(key.to_string()) {
            faults.push(Fault::new(key, "a second value", "one"));
            continue;
        }
        let taken = match &*key {
            "business" => set(&mut wanted.business, value.parse()),
            "project" => set(&mut wanted.project, value.parse()),
            "work_order" => set(&mut wanted.work_order, value.parse()),
            "phase" => set(&mut wanted.phase, defined::<Phase>(&value, PHASES)),
            "outcome" => set(&mut wanted.outcome, defined::<Outcome>(&value, OUTCOMES)),
            "finished" => set(&mut wanted.finished, plain(&value, "true or false")),
            "since" => set(&mut wanted.since, value.parse::<Timestamp>()),
            "until" => set(&mut wanted.until, value.parse::<Timestamp>()),
            "after" => set(&mut wanted.after, TaskId::new(&*value)),
            "limit" => set(&mut wanted.limit, limit(&value)),
            _ => Err(Invalid::new(&key, KEYS)),
        };
        if let Err(Invalid { found, allowed, .. }) = taken {
            faults.push(Fault::new(key, found, allowed));
        }
    }
    if faults.is_empty() { Ok(wanted) } else { Err(invalid(faults)) }
}

fn set<T>(slot: &mut Option<T>, value: Result<T, Invalid>) -> Result<(), Invalid> {
    *slot = Some(value?);
    Ok(())
}

fn limit(text: &str) -> Result<usize, Invalid> {
    let allowed = format!("a number from 1 to {MOST}");
    let limit = plain(text, &allowed)?;
    if (1..=MOST).contains(&limit) { Ok(limit) } else { Err(Invalid::new(text, allowed)) }
}

fn plain<T: std::str::FromStr>(text: &str, allowed: &str) -> Result<T, Invalid> {
    text.parse().map_err(|_| Invalid::new(text, allowed))
}

/// A word of a closed set, by the name that documents have for it.
fn defined<'a, T: Deserialize<'a>>(text: &'a str, allowed: &str) -> Result<T, Invalid> {
    let word: StrDeserializer<'a, Undefined> = text.into_deserializer();
    T::deserialize(word).map_err(|_| Invalid::new(text, allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read() {
        let wanted = read(Some(
            "business=shop&project=checkout&work_order=WO-7&phase=rolling_out&outcome=failed\
             &finished=false&since=2026-11-01T00%3A00%3A00Z&until=2026-12-01T00:00:00%2B08:00\
             &after=d7&limit=20",
        ))
        .unwrap();
        let mut expected = JournalQuery::new()
            .with_project("shop".parse().unwrap(), "checkout".parse().unwrap())
            .with_work_order("WO-7".parse().unwrap())
            .with_phase(Phase::RollingOut)
            .with_outcome(Outcome::Failed)
            .with_finished(false)
            .with_after("d7".parse().unwrap())
            .with_limit(20);
        expected.since = Some("2026-11-01T00:00:00Z".parse().unwrap());
        expected.until = Some("2026-11-30T16:00:00Z".parse().unwrap());
        assert_eq!(wanted, expected);
        assert_eq!(read(None).unwrap(), JournalQuery::new());
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let problem = read(Some(
            "business=No&phase=dancing&outcome=&finished=maybe&since=soon&limit=0&limit=5&color=red&after=%2e%2e",
        ))
        .unwrap_err();
        let paths: Vec<_> = problem.faults.as_slice().iter().map(|f| f.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "business", "phase", "outcome", "finished", "since", "limit", "limit", "color",
                "after"
            ]
        );
        let twice = read(Some("limit=5&limit=6")).unwrap_err();
        assert_eq!(twice.faults.to_string(), "limit: found a second value, allowed is one");
    }

    #[test]
    fn every_phase_and_outcome_is_named_as_allowed() {
        for (names, allowed) in [
            (PHASES, |word: &str| defined::<Phase>(word, "").is_ok()),
            (OUTCOMES, |word: &str| defined::<Outcome>(word, "").is_ok()),
        ] as [(&str, fn(&str) -> bool); 2]
        {
            for word in names.replace(" or ", ", ").split(", ") {
                assert!(allowed(word), "{word}");
            }
        }
    }
}
