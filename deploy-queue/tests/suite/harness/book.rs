//! What must be in a store, by what a child said before and after each call.

use std::collections::{BTreeMap, BTreeSet};

/// Where a task of a closed store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Absent,
    Queued,
    /// Queued, and due at another time than at first.
    Moved,
    Dead,
}

/// Where a task, or the end of a journal, may be.
#[derive(Clone, Debug)]
pub(super) struct Story<P> {
    pub(super) may: BTreeSet<P>,
    /// What was said of it last.
    word: String,
}

/// What must be in a store. It goes on over any number of children.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    pub(super) tasks: BTreeMap<String, Story<Place>>,
    /// The number of the last event of each journal.
    pub(super) journals: BTreeMap<String, Story<u64>>,
    /// The journals that were spoken of since the last check.
    pub(super) touched: BTreeSet<String>,
    /// How many calls were acknowledged.
    pub(crate) acknowledged: u64,
    /// What a child said that can never be true.
    pub(super) faults: Vec<String>,
    /// Why stores were not opened.
    pub(crate) refusals: Vec<String>,
    /// How often each word was said that belongs to no call: `open`, `end` and such.
    pub(super) marks: BTreeMap<String, u64>,
}

impl<P: Ord + Copy> Story<P> {
    fn new(place: P) -> Self {
        Self { may: BTreeSet::from([place]), word: String::new() }
    }

    /// A call was begun: what it makes of the thing may be so from now on.
    fn begun(&mut self, place: P, call: &str) {
        self.may.insert(place);
        call.clone_into(&mut self.word);
    }

    /// A call was acknowledged. When another was begun since, that one has seen its work.
    fn acknowledged(&mut self, place: P, call: &str) {
        if self.word == call {
            self.may = BTreeSet::from([place]);
        }
    }
}

impl Book {
    /// Takes down what a child said.
    pub(crate) fn note(&mut self, line: &str) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["try", call, id, number] => self.call(call, id, number, false),
            ["ok", call, id, number] => {
                self.acknowledged += 1;
                self.call(call, id, number, true);
            }
            ["claimed", id] => self.claimed(id),
            ["wrong", ..] => self.faults.push(line.to_owned()),
            ["refused", ..] => {
                self.refusals.push(line.to_owned());
                *self.marks.entry("refused".to_owned()).or_default() += 1;
            }
            [mark, ..] => *self.marks.entry(mark.to_owned()).or_default() += 1,
            [] => {}
        }
    }

    /// How often a child said a word that belongs to no call.
    pub(crate) fn said(&self, mark: &str) -> u64 {
        self.marks.get(mark).copied().unwrap_or(0)
    }

    fn call(&mut self, call: &str, id: &str, number: &str, done: bool) {
        let place = match call {
            "append" | "remove" => {
                let last = if call == "remove" { 0 } else { number.parse().unwrap() };
                return self.journal(id, last, &format!("{call} {number}"), done);
            }
            "push" | "replay" | "retry" | "defer" => Place::Queued,
            "move" => Place::Moved,
            "dead" => Place::Dead,
            "done" | "withdraw" => Place::Absent,
            "both" => {
                self.journal(id, 2, call, done);
                Place::Absent
            }
            call => panic!("no such call: {call}"),
        };
        let story = self.tasks.entry(id.to_owned());
        let story = story.or_insert_with(|| Story::new(Place::Absent));
        // The number tells a call of one claim from the same call of the next.
        let word = format!("{call} {number}");
        if done {
            story.acknowledged(place, &word);
        } else {
            story.begun(place, &word);
        }
    }

    fn journal(&mut self, id: &str, last: u64, word: &str, done: bool) {
        self.touched.insert(id.to_owned());
        let story = self.journals.entry(id.to_owned()).or_insert_with(|| Story::new(0));
        if done {
            story.acknowledged(last, word);
        } else {
            story.begun(last, word);
        }
    }

    fn claimed(&mut self, id: &str) {
        match self.tasks.get_mut(id) {
            Some(story) if story.may.contains(&Place::Queued) => {
                story.may = BTreeSet::from([Place::Queued]);
                "claimed".clone_into(&mut story.word);
            }
            _ => self.faults.push(format!("{id} was claimed and could not be")),
        }
    }
}
