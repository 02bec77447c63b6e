//! Directories: names, their pending changes, and paths.
//!
//! # Method
//!
//! A tree maps directories to their entries. There are two of them: the one that calls see, changed
//! at once, and the durable one on the platter, changed when a directory sync, a journal commit or a
//! power loss says so. What lies between is an ordered list of changes.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;

use super::errors::errno;
use super::platter::FileId;

/// The root directory.
pub(super) const ROOT: FileId = 0;

/// One micro-operation on names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Add { dir: FileId, name: String, node: FileId, is_dir: bool },
    Remove { dir: FileId, name: String, node: FileId },
    Rename { from: (FileId, String), to: (FileId, String), node: FileId, over: bool },
}

impl Change {
    /// The file or directory whose name changes.
    pub(super) fn node(&self) -> FileId {
        match self {
            Change::Add { node, .. }
            | Change::Remove { node, .. }
            | Change::Rename { node, .. } => *node,
        }
    }

    /// Whether an entry of `dir` changes.
    pub(super) fn touches(&self, dir: FileId) -> bool {
        match self {
            Change::Add { dir: at, .. } | Change::Remove { dir: at, .. } => *at == dir,
            Change::Rename { from, to, .. } => from.0 == dir || to.0 == dir,
        }
    }

    /// Whether both change one and the same entry.
    pub(super) fn conflicts(&self, other: &Change) -> bool {
        self.entries()
            .iter()
            .flatten()
            .any(|mine| other.entries().iter().flatten().any(|theirs| mine == theirs))
    }

    fn entries(&self) -> [Option<(FileId, &str)>; 2] {
        match self {
            Change::Add { dir, name, .. } | Change::Remove { dir, name, .. } => {
                [Some((*dir, name)), None]
            }
            Change::Rename { from, to, .. } => [Some((from.0, &from.1)), Some((to.0, &to.1))],
        }
    }
}

/// A change that is not durable yet.
#[derive(Clone, Debug)]
pub(super) struct PendingName {
    pub(super) seq: u64,
    pub(super) change: Change,
}

/// The changes that are not durable yet, oldest first.
pub(super) type PendingNames = VecDeque<PendingName>;

/// Directories and their entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tree {
    dirs: BTreeMap<FileId, BTreeMap<String, FileId>>,
}

impl Tree {
    pub(super) fn new() -> Self {
        let mut dirs = BTreeMap::new();
        dirs.insert(ROOT, BTreeMap::new());
        Tree { dirs }
    }

    /// The entries of a directory; `None` if it is none.
    pub(super) fn entries(&self, dir: FileId) -> Option<&BTreeMap<String, FileId>> {
        self.dirs.get(&dir)
    }

    pub(super) fn is_dir(&self, node: FileId) -> bool {
        self.dirs.contains_key(&node)
    }

    /// Where a change leads. A change whose ground is missing (its directory, or the name it moves)
    /// still has its effect: the platter may hold a later change without an earlier one.
    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Add { dir, name, node, is_dir } => {
                self.dirs.entry(*dir).or_default().insert(name.clone(), *node);
                if *is_dir {
                    self.dirs.entry(*node).or_default();
                }
            }
            Change::Remove { dir, name, .. } => {
                self.dirs.entry(*dir).or_default().remove(name);
            }
            Change::Rename { from, to, node, .. } => {
                self.dirs.entry(from.0).or_default().remove(&from.1);
                self.dirs.entry(to.0).or_default().insert(to.1.clone(), *node);
            }
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(FileId) -> bool) {
        self.dirs.retain(|dir, _| keep(*dir));
    }

    /// All files and directories that have a name.
    pub(super) fn nodes(&self) -> impl Iterator<Item = FileId> {
        self.dirs.values().flat_map(|entries| entries.values().copied())
    }

    /// The file or directory that a path names.
    pub(super) fn lookup(&self, path: &str) -> Option<FileId> {
        let mut node = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            node = *self.dirs.get(&node)?.get(name)?;
        }
        Some(node)
    }

    /// The file or directory that a path names, with the errors of a real one.
    pub(super) fn find(&self, path: &Path) -> io::Result<FileId> {
        let mut node = ROOT;
        for name in names(path)? {
            let entries = self.dirs.get(&node).ok_or_else(|| errno(libc::ENOTDIR))?;
            node = *entries.get(name).ok_or_else(|| errno(libc::ENOENT))?;
        }
        Ok(node)
    }

    /// The directory of a path's last name, and that name.
    pub(super) fn parent<'a>(&self, path: &'a Path) -> io::Result<(FileId, &'a str)> {
        let names = names(path)?;
        let (last, dirs) = names.split_last().ok_or_else(|| errno(libc::EINVAL))?;
        let mut node = ROOT;
        for name in dirs {
            let entries = self.dirs.get(&node).ok_or_else(|| errno(libc::ENOTDIR))?;
            node = *entries.get(*name).ok_or_else(|| errno(libc::ENOENT))?;
        }
        if !self.is_dir(node) {
            return Err(errno(libc::ENOTDIR));
        }
        Ok((node, last))
    }
}

/// The names of a path: relative, in UTF-8, without a parent. A leading `./` is nothing.
fn names(path: &Path) -> io::Result<Vec<&str>> {
    const NAME_BYTES_MAX: usize = 255;
    let text = path.to_str().ok_or_else(|| errno(libc::EINVAL))?;
    if text.starts_with('/') || text.contains('\0') {
        return Err(errno(libc::EINVAL));
    }
    let names: Vec<&str> = text.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    if names.contains(&"..") {
        return Err(errno(libc::EINVAL));
    }
    if names.iter().any(|name| name.len() > NAME_BYTES_MAX) {
        return Err(errno(libc::ENAMETOOLONG));
    }
    Ok(names)
}
