//! Reading a config and what it includes into one list of settings, each with its conditions.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::expand::tilde;
use super::setting::Setting;
use super::{LocalUser, words};
use crate::pattern::{Listed, listed};
use crate::place::{LineFault, Place};

/// How deep files may include each other: as deep as OpenSSH allows.
const DEEPEST: usize = 16;
/// How many files are read in all: more is a circle.
const MOST_FILES: usize = 512;
/// The largest file that is read, in bytes.
const LARGEST: u64 = 4 << 20;

/// A setting, where it stands, and the `Host` lines that must all select the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) setting: Setting,
    conditions: Vec<Arc<[String]>>,
}

impl Entry {
    pub(super) fn applies_to(&self, alias: &str) -> bool {
        let selects = |patterns: &Arc<[String]>| {
            listed(patterns.iter().map(String::as_str), alias) == Listed::Yes
        };
        self.conditions.iter().all(selects)
    }
}

/// Collects entries and faults over all files.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) entries: Vec<Entry>,
    pub(super) faults: Vec<LineFault>,
    files: usize,
    /// What included files are relative to.
    directory: PathBuf,
    local: &'a LocalUser,
}

impl<'a> Reader<'a> {
    pub(super) fn new(directory: PathBuf, local: &'a LocalUser) -> Self {
        Self { entries: Vec::new(), faults: Vec::new(), files: 0, directory, local }
    }

    /// Reads a text, under the conditions of whoever includes it.
    pub(super) fn read(
        &mut self,
        file: Option<&Arc<Path>>,
        text: &[u8],
        outer: &[Arc<[String]>],
        depth: usize,
    ) {
        let mut conditions = outer.to_vec();
        for (index, line) in text.split(|c| *c == b'\n').enumerate() {
            let place = Place { file: file.cloned(), line: index + 1 };
            if let Err(reason) = self.line(&place, line, outer, &mut conditions, depth) {
                self.faults.push(LineFault { place, reason });
            }
        }
    }

    fn line(
        &mut self,
        place: &Place,
        line: &[u8],
        outer: &[Arc<[String]>],
        conditions: &mut Vec<Arc<[String]>>,
        depth: usize,
    ) -> Result<(), String> {
        if line.trim_ascii_start().starts_with(b"#") {
            return Ok(());
        }
        let line = std::str::from_utf8(line).map_err(|_| "a line that is not UTF-8".to_owned())?;
        let Some((keyword, arguments)) = words::split(line)? else {
            return Ok(());
        };
        match keyword.as_str() {
            "host" if arguments.is_empty() => return Err("Host takes patterns".to_owned()),
            "host" => {
                *conditions = outer.to_vec();
                conditions.push(arguments.into());
            }
            "match" if arguments.len() == 1 && arguments[0].eq_ignore_ascii_case("all") => {
                *conditions = outer.to_vec();
            }
            "match" => {
                // What follows is about no host, so that only this line is at fault.
                *conditions = vec![Arc::from([])];
                return Err("Match is supported as \"Match all\" alone: use Host".to_owned());
            }
            "include" if arguments.is_empty() => return Err("Include takes files".to_owned()),
            "include" => {
                for argument in arguments {
                    self.include(&argument, conditions, depth + 1)?;
                }
            }
            _ => {
                if let Some(setting) = Setting::parse(&keyword, &arguments)? {
                    let conditions = conditions.clone();
                    self.entries.push(Entry { place: place.clone(), setting, conditions });
                }
            }
        }
        Ok(())
    }

    fn include(
        &mut self,
        argument: &str,
        conditions: &[Arc<[String]>],
        depth: usize,
    ) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!("Include nests deeper than {DEEPEST} files"));
        }
        let path = self.directory.join(tilde(argument, self.local)?);
        for path in named(&path)? {
            let text = match contents(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(format!("{} is not read: {error}", path.display())),
            };
            self.files += 1;
            if self.files > MOST_FILES {
                return Err(format!("more than {MOST_FILES} files are included"));
            }
            self.read(Some(&Arc::from(path)), &text, conditions, depth);
        }
        Ok(())
    }
}

/// The contents of a file, of 4 MiB at most.
pub(super) fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other("it is larger than 4 MiB"));
    }
    Ok(bytes)
}

/// The files that a path names, which may have wildcards in its last part, by name.
fn named(path: &Path) -> Result<Vec<PathBuf>, String> {
    let wild = |text: &str| text.contains(['*', '?', '[']);
    let parent = path.parent().unwrap_or(Path::new(""));
    let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| wild(name))
    else {
        return Ok(vec![path.to_owned()]);
    };
    if name.contains('[') || wild(&parent.to_string_lossy()) {
        let shown = path.display();
        return Err(format!("{shown}: * and ? stand in the last part alone, and [ nowhere"));
    }
    let Ok(directory) = parent.read_dir() else {
        return Ok(Vec::new());
    };
    let selected = |path: &PathBuf| {
        let own = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let shown = !own.starts_with('.') || name.starts_with('.');
        shown && listed([name], own) == Listed::Yes && path.is_file()
    };
    let mut found: Vec<_> =
        directory.flatten().map(|entry| entry.path()).filter(selected).collect();
    found.sort();
    Ok(found)
}
