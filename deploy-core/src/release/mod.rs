//! Releases on hosts: the executor that installs them, the program that runs there, and this machine
//! as a host.
//!
//! # A release on a host
//!
//! ```text
//! <root>/releases/<release-id>/    one directory per release
//! <root>/shared/…                  paths linked into each release
//! <root>/current -> releases/<id>  switched by one rename
//! <root>/.deploy/lock.<n>          the lock: the highest number counts; with its holder's fencing number
//! <root>/.deploy/marks/<id>        unfinished, complete, good or failed; digest, task, the one before
//! <root>/.deploy/logs/<id>/…       what hooks wrote, whole
//! <root>/.deploy/packages/<sha256> the packages of the newest good releases, when they were sent
//! <root>/.deploy/undo              the rollback that is under way, or did not come to its end
//! <root>/.deploy/history.jsonl     who, what, why, when, how it ended: one line a release or rollback
//! ```
//!
//! One run of one POSIX shell program over one session does it all: lock, transfer, verify, unpack,
//! link, before-switch hooks, switch, after-switch hooks, probe, prune, unlock. The program talks to
//! the node over its standard streams:
//!
//! ```text
//! host → node   @deploy <nonce> step <step> begin | step <step> end <note> | need package | need verdict
//!               out <step> <bytes>, then the bytes | more <step> <file> | serves <release>
//!               fail <code> <step> <message> | further … | tail <bytes>, then the bytes | end <status> <how>
//!               release <id> <state> <order> <sha256> <previous> | free <KiB> | locked <by whom>
//! node → host   package <size>, then the bytes | placed | commit | rollback | stop
//! ```
//!
//! - **The end of its standard input means that nobody is there**: the node died, the connection
//!   broke, the work was cancelled. At any step the program then stops, puts the host back, gives
//!   the lock back and ends. Before the switch the unfinished release goes; after it the release
//!   before becomes current again, unless rollback is off.
//! - **Success needs proof**: the last word with status 0 in band *and* the exit status 0. All else is
//!   [`Unknown`](crate::model::HostStatus::Unknown), and the same task again finds out.
//! - **A release has its final path before its hooks run**, because hooks may write absolute paths.
//!   Until it is complete, and durable, its mark says `unfinished`, and nothing switches to it.
//! - **It waits for the disk four times**: for the lock with the fencing number and the first mark, before anything
//!   is done; for the release, whole, before the switch; for the switch with the mark that says `complete`;
//!   for the mark that says `good` with the line of history. Marks and locks grow by lines, of which the last whole one
//!   counts, so nothing has to be put in their place.
//! - **Going back** runs the `after_switch` hooks of the request once more, in the release that is
//!   current again and with `DEPLOY_ROLLBACK=1`, so that services start from it.
//! - **Hooks** run by `sh -c` in a process group of their own, with a log file as their output. What
//!   comes live is cut at 64 KiB a step. A daemon that a hook starts lives on and holds nothing.
//! - **Hooks have a watcher**, a process in a group of its own: it passes the log of each on, and ends one when its
//!   time is over, or when the program was killed and can do it no more.
//! - **A hook's log is bounded** by the watcher: found with more than 16 MiB, it is emptied; its
//!   first MiB stays beside it in `….log.head`, its last in `….log.cut`. The hook is neither stopped nor slowed, so
//!   between two looks, at most half a second apart, it may write more. A daemon's later output is not ours
//!   to follow.
//! - **A hook of another user** is started by `sudo -n -H -u <user> -- sh -c …`, or by `su` as root on a host
//!   without sudo, and signalled in the same way: `ALL=(app) NOPASSWD: /bin/sh` in sudoers is enough. Its text
//!   and its `DEPLOY_…` go through a file that only we may read, its standard input at first. The release
//!   has to be readable for that user; its log stays ours.
//! - **A package that was here is not sent again**: the packages of the newest good releases are kept, and
//!   one is used again when its SHA-256 is right. So the node waits for the host once, to hear whether it
//!   needs the package, and once more for a verdict when there is a monitoring address.
//!
//! # Undoing a release
//!
//! A task whose action is [`Rollback`](crate::model::ReleaseAction::Rollback) makes a release current again
//! that the host has: lock, switch, after-switch hooks in it with `DEPLOY_ROLLBACK=1`, verdict, unlock.
//! Nothing is fetched or sent.
//!
//! - **To which one**: the newest good one from before the one that is undone, by the order in which they
//!   came; or the one that was served right before it, proven or not; or one that is named. It has to be
//!   there as a whole. One that has failed, or was undone, is never gone back to, so there is no loop.
//!   With none, the failure `release_missing` names what was wanted and what there is.
//! - **A host that serves something else** is left as it is, and counts as rolled back.
//! - **It is not stopped by a node that has gone.** Before the switch the end of the input ends it; after it
//!   the host goes on to its end, since half way is no place to be. Only `stop` and signals end it then.
//! - **What is interrupted or fails is taken up** by the next attempt to undo the same release, whatever
//!   happened to the program: a note, `.deploy/undo`, is on the disk before the switch, and goes when the
//!   release that is current again has proven itself. All hooks run again then. A new release that is
//!   switched to ends it, too.
//! - **What fails is no rollback**: after a hook that fails, or an unhealthy answer, the host still serves
//!   what it went back to, and says so. Nothing goes forward again.
//!
//! [`Inspect`](crate::model::ReleaseAction::Inspect) takes no lock and changes nothing: it reads what `current`
//! points to, the marks, the lock, and what is free.
//!
//! # Confirm, or go back
//!
//! With [`confirm`](crate::model::ReleaseSpec::confirm) the program waits, after the verdict, for a word that
//! the node leaves over a **new** session, and that only this run can know. Without it in time, the host
//! goes back by itself, with the code `unconfirmed`. Meanwhile neither the end of the input nor a signal counts, which
//! come from connections that die; a node that wants it to stop says `stop`. When the first connection is
//! lost, what the new one tells of the end is the proof. A program that is killed, or a host that restarts,
//! within the time stays with the new release until the next attempt of the task.
//!
//! # Environment of hooks
//!
//! `DEPLOY_ID`, `DEPLOY_TASK`, `DEPLOY_BUSINESS`, `DEPLOY_PROJECT`, `DEPLOY_WORK_ORDER`,
//! `DEPLOY_REQUIREMENT_ID`, `DEPLOY_REQUIREMENT_NAME`, `DEPLOY_HOST`, `DEPLOY_HOST_ADDRESS`,
//! `DEPLOY_ROOT`, `DEPLOY_RELEASE` and `DEPLOY_RELEASE_PATH` (the release that the hook runs in),
//! `DEPLOY_PREVIOUS_RELEASE` and `DEPLOY_PREVIOUS_PATH` (the one that was current before it),
//! `DEPLOY_PACKAGE_URL` (without its query), `DEPLOY_PACKAGE_MD5`, `DEPLOY_PACKAGE_SHA256`,
//! `DEPLOY_HOOK` (`before_switch`, `after_switch`, `on_failure`), `DEPLOY_ROLLBACK` (1 when going
//! back) and `DEPLOY_MONITOR_URL`. What there is not is empty.
//!
//! # What a host needs
//!
//! A POSIX shell (checked with dash, bash and busybox sh), the tools of coreutils or busybox with
//! `setsid`, and, where our own code does not run on the host, `tar`, the decompressor of the
//! package's format, and one of `sha256sum`, `shasum`, `openssl` and `busybox`. With nothing but
//! `md5sum` there, MD5 and size are compared on the host, which the step's note says, and no package is
//! kept: its SHA-256 was checked before it was sent. What is missing is named.

mod ask;
mod check;
mod child;
mod confirm;
mod drive;
mod executor;
mod found;
mod health;
mod host_answer;
mod hosts;
mod job;
mod local;
mod marker;
mod output;
mod place;
mod probe;
mod quote;
mod reader;
mod report;
mod script;
mod send;
mod state;
mod visit;

pub use executor::{ReleaseExecutor, ReleaseExecutorBuilder};
pub use local::{LocalConnector, LocalSession};
