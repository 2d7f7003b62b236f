//! The words that the program on the host says to the node, one a line.

use serde::de::IntoDeserializer;
use serde::de::value::{Error as Undefined, StrDeserializer};

use crate::failure::FailureCode;
use crate::model::{FoundRelease, ReleaseId};
use crate::release_step::Step;

/// One word of the program on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    /// A step began.
    Begin(Step),
    /// A step ended well; what it found or did.
    End(Step, Option<String>),
    /// The program waits for the package.
    NeedPackage,
    /// The program waits to hear whether the release is healthy.
    NeedVerdict,
    /// So many bytes of a hook's output follow.
    Output(Step, u64),
    /// More of a step's output is in a file on the host and is not passed on.
    More(Step, String),
    /// Something does not work yet, and is tried again.
    Again(Reason, Step, String),
    /// The release failed; the host is being put back.
    Failed(Reason, Step, String),
    /// Something failed while the host was being put back.
    Further(Reason, Step, String),
    /// So many bytes follow: the end of the output of the hook that failed.
    Tail(u64),
    /// What `current` points to in the end.
    Serves(Option<ReleaseId>),
    /// A release that is there, and its place in their order.
    Release(FoundRelease, u64),
    /// So many KiB are free.
    Free(u64),
    /// Who holds the lock, in words.
    Locked(String),
    /// The last word, with the status that the program ends with.
    Ended(i32, Ending),
}

/// How the program says that the host was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The release is served.
    Succeeded,
    /// It is not, or rollback is off.
    Failed,
    /// The release before is served again.
    RolledBack,
    /// It was looked at, and not changed.
    Checked,
}

/// Why it failed, as the host says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// One of the codes that everybody knows.
    Code(FailureCode),
    /// A newer attempt or deployment was there. Told apart from a lock, which is worth waiting for.
    Fenced,
}

impl Marker {
    /// Reads a line without its mark and nonce; `None` when it says nothing known.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        Some(match word {
            "step" => {
                let (step, rest) = rest.split_once(' ')?;
                let (edge, note) = rest.split_once(' ').unwrap_or((rest, ""));
                match edge {
                    "begin" => Self::Begin(defined(step)?),
                    "end" => Self::End(defined(step)?, (!note.is_empty()).then(|| note.to_owned())),
                    _ => return None,
                }
            }
            "need" => match rest {
                "package" => Self::NeedPackage,
                "verdict" => Self::NeedVerdict,
                _ => return None,
            },
            "out" => {
                let (step, bytes) = rest.split_once(' ')?;
                Self::Output(defined(step)?, bytes.parse().ok()?)
            }
            "more" => {
                let (step, path) = rest.split_once(' ')?;
                Self::More(defined(step)?, path.to_owned())
            }
            "fail" | "further" | "again" => {
                let (code, rest) = rest.split_once(' ')?;
                let (step, message) = rest.split_once(' ')?;
                let reason = match code {
                    "host_fenced" => Reason::Fenced,
                    code => Reason::Code(defined(code)?),
                };
                let step = defined(step)?;
                let of = match word {
                    "fail" => Self::Failed,
                    "further" => Self::Further,
                    _ => Self::Again,
                };
                of(reason, step, message.to_owned())
            }
            "tail" => Self::Tail(rest.parse().ok()?),
            "serves" if rest.is_empty() => Self::Serves(None),
            "serves" => Self::Serves(Some(ReleaseId::new(rest).ok()?)),
            "release" => {
                let words: Vec<&str> = rest.split(' ').collect();
                let [release, state, order, sha256, previous] = words[..] else { return None };
                let mut found = FoundRelease::new(ReleaseId::new(release).ok()?, defined(state)?);
                found.sha256 = sha256.parse().ok();
                found.previous = ReleaseId::new(previous).ok();
                Self::Release(found, order.parse().ok()?)
            }
            "free" => Self::Free(rest.parse().ok()?),
            "locked" => Self::Locked(rest.to_owned()),
            "end" => {
                let (status, ending) = rest.split_once(' ')?;
                let ending = match ending {
                    "succeeded" => Ending::Succeeded,
                    "failed" => Ending::Failed,
                    "rolled_back" => Ending::RolledBack,
                    "checked" => Ending::Checked,
                    _ => return None,
                };
                Self::Ended(status.parse().ok()?, ending)
            }
            _ => return None,
        })
    }
}

/// A word of a closed set, by the name that documents have for it.
fn defined<'a, T: serde::Deserialize<'a>>(word: &'a str) -> Option<T> {
    let word: StrDeserializer<'a, Undefined> = word.into_deserializer();
    T::deserialize(word).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ReleaseState;

    #[test]
    fn every_word_is_read() {
        use Marker::*;
        let release = ReleaseId::new("r-1").unwrap();
        let bare = FoundRelease::new(release.clone(), ReleaseState::Complete);
        let mut found = FoundRelease::new(ReleaseId::new("r-2").unwrap(), ReleaseState::Good);
        found.previous = Some(release.clone());
        for (line, marker) in [
            ("step lock begin", Begin(Step::Lock)),
            ("step before_switch end", End(Step::BeforeSwitch, None)),
            ("step prune end removed 2", End(Step::Prune, Some("removed 2".to_owned()))),
            ("need package", NeedPackage),
            ("need verdict", NeedVerdict),
            ("out after_switch 12", Output(Step::AfterSwitch, 12)),
            ("more rollback /x y", More(Step::Rollback, "/x y".to_owned())),
            (
                "fail host_full lock too small",
                Failed(Reason::Code(FailureCode::HostFull), Step::Lock, "too small".to_owned()),
            ),
            (
                "further host_fenced switch lost",
                Further(Reason::Fenced, Step::Switch, "lost".to_owned()),
            ),
            (
                "again host_locked lock by anna",
                Again(Reason::Code(FailureCode::HostLocked), Step::Lock, "by anna".to_owned()),
            ),
            ("tail 2048", Tail(2048)),
            ("serves r-1", Serves(Some(release))),
            ("serves ", Serves(None)),
            ("end 1 rolled_back", Ended(1, Ending::RolledBack)),
            ("end 0 checked", Ended(0, Ending::Checked)),
            ("release r-2 good 7 - r-1", Release(found, 7)),
            ("release r-1 complete 3 not-a-digest -", Release(bare, 3)),
            ("free 1024", Free(1024)),
            ("locked by anna", Locked("by anna".to_owned())),
        ] {
            assert_eq!(Marker::parse(line), Some(marker), "{line}");
        }
    }

    #[test]
    fn what_is_not_known_says_nothing() {
        for line in [
            "",
            "step",
            "step lock",
            "step dance begin",
            "out lock x",
            "out lock -1",
            "fail oops lock x",
            "serves ../x",
            "end 0",
            "end x failed",
            "need",
            "release r-1 good",
            "release ../x good 1 - -",
            "release r-1 splendid 1 - -",
            "release r-1 good -1 - -",
            "free much",
        ] {
            assert_eq!(Marker::parse(line), None, "{line:?}");
        }
    }
}
