//! Whether the files of an open store still have their names.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use super::error::StoreError;

/// The files of an open store, by the names that they were opened under.
///
/// What is written to a file that was removed is gone when the store is closed. So nobody is told
/// that it is kept. A directory that gets another name takes its files along, and is none of this.
#[derive(Debug)]
pub(super) struct Names(Vec<(&'static str, File)>);

impl Names {
    /// Takes files that have just been opened.
    pub(super) fn new(mut files: Vec<(&'static str, File)>) -> Self {
        // On a file system that does not count names nobody can tell.
        files.retain(|(_, file)| has_name(file).unwrap_or(true));
        Self(files)
    }

    /// Says which file was removed, if any.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        for (name, file) in &self.0 {
            if !has_name(file).map_err(StoreError::disk)? {
                let what = format!("the file {name} was removed while the store was open");
                return Err(StoreError::disk(what));
            }
        }
        Ok(())
    }
}

fn has_name(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.nlink() > 0)
}
