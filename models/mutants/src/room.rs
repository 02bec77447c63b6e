//! A room of its own: a copy of the project's tracked files, in which one file at a time is changed.
//!
//! # Method
//!
//! The files that git tracks are copied as they lie in the working tree, those alone that differ, so
//! that what was built before is built no second time. What is no longer tracked goes.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::list::Mutant;

/// The copy.
pub struct Room {
    /// Its root.
    pub folder: PathBuf,
}

/// A file of the room that is changed as long as this lives.
pub struct Changed {
    path: PathBuf,
    was: String,
}

impl Room {
    /// Makes `folder` a copy of the tracked files of `project`.
    ///
    /// # Errors
    ///
    /// When git does not answer, or a file cannot be read or written.
    pub fn new(project: &Path, folder: PathBuf) -> io::Result<Room> {
        let tracked = tracked(project)?;
        if folder.exists() {
            remove_others(&folder, Path::new(""), &tracked)?;
        }
        for path in &tracked {
            // A file that was removed and not committed is tracked still.
            let Ok(bytes) = std::fs::read(project.join(path)) else { continue };
            let copy = folder.join(path);
            if std::fs::read(&copy).is_ok_and(|old| old == bytes) {
                continue;
            }
            std::fs::create_dir_all(copy.parent().unwrap_or(&folder))?;
            std::fs::copy(project.join(path), &copy)?;
            // The copy is as old as the original, which may be older than what was built of another.
            std::fs::File::options()
                .append(true)
                .open(&copy)?
                .set_modified(std::time::SystemTime::now())?;
        }
        Ok(Room { folder })
    }

    /// Applies a mutant until the result is dropped.
    ///
    /// # Errors
    ///
    /// When it does not apply, or its file cannot be written.
    pub fn change(&self, mutant: &Mutant) -> Result<Changed, String> {
        let path = self.folder.join(&mutant.file);
        let told = |error: io::Error| format!("{}: {}: {error}", mutant.name, mutant.file);
        let was = std::fs::read_to_string(&path).map_err(told)?;
        let text = mutant.apply(&was)?;
        std::fs::write(&path, text).map_err(told)?;
        Ok(Changed { path, was })
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        if let Err(error) = std::fs::write(&self.path, &self.was) {
            eprintln!("{} stays changed: {error}", self.path.display());
        }
    }
}

fn tracked(project: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(project).output()?;
    if !listed.status.success() {
        let what = String::from_utf8_lossy(&listed.stderr).into_owned();
        return Err(io::Error::other(format!("git ls-files: {what}")));
    }
    let text = String::from_utf8(listed.stdout).map_err(io::Error::other)?;
    Ok(text.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from).collect())
}

/// Removes every file below `folder/at` that is not tracked.
fn remove_others(folder: &Path, at: &Path, tracked: &BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder.join(at))? {
        let entry = entry?;
        let path = at.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            remove_others(folder, &path, tracked)?;
        } else if !tracked.contains(&path) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
