//! Calls on names: open, rename, remove, look; and handles with their advisory locks.

use std::io;
use std::path::Path;

use falconry_seam::disk::{LockKind, Metadata, OpenOptions};

use super::calls::Begun;
use super::errors::{CHANGE, LOOK, errno};
use super::file::Node;
use super::latency::Kind;
use super::model::{DiskModel, Handle, OpenFile, delivered, traced};
use super::names::{Change, PendingName};
use super::platter::FileId;
use crate::env::Env;
use crate::fault::Fault;
use crate::trace::{DiskOp, What};

/// Changes of names that may be pending before the oldest are committed, as a journal does every few
/// seconds.
const NAMES_PENDING_MAX: usize = 512;

impl DiskModel {
    /// Opens a file; `wall_ns` is the wall clock, for a file that is created.
    pub fn open(
        &mut self,
        env: &mut Env<'_>,
        path: &Path,
        options: &OpenOptions,
        wall_ns: u64,
    ) -> io::Result<Begun<Handle>> {
        let known = self.tree.find(path).unwrap_or(0);
        let result = self.open_inner(env, path, options, wall_ns);
        let file = match &result {
            Ok(begun) => self.handles[begun.value.index as usize].file,
            Err(_) => known,
        };
        traced(env, DiskOp::Open, file, 0, 0, result)
    }

    fn open_inner(
        &mut self,
        env: &mut Env<'_>,
        path: &Path,
        options: &OpenOptions,
        wall_ns: u64,
    ) -> io::Result<Begun<Handle>> {
        let (dir, name) = self.tree.parent(path)?;
        let found = self.tree.entries(dir).and_then(|entries| entries.get(name)).copied();
        let fault = self.draw_fault(env, CHANGE, found.unwrap_or(0))?;
        let file = match found {
            Some(_) if options.create_new => return Err(errno(libc::EEXIST)),
            Some(node) if self.tree.is_dir(node) => return Err(errno(libc::EISDIR)),
            Some(file) => file,
            None if options.create || options.create_new => {
                self.writable()?;
                self.full(env, fault, 0)?;
                self.create(env, path, (dir, name), wall_ns)
            }
            None => return Err(errno(libc::ENOENT)),
        };
        if options.write || options.truncate {
            self.writable()?;
        }
        if options.truncate && options.write {
            self.cut(env, file, 0);
        }
        let latency_ns = self.latency(env, fault, file, Kind::Memory);
        Ok(Begun { value: self.new_handle(file, options), latency_ns })
    }

    fn create(
        &mut self,
        env: &mut Env<'_>,
        path: &Path,
        (dir, name): (FileId, &str),
        wall_ns: u64,
    ) -> FileId {
        let file = self.number(env, path);
        let node = Node { linked: true, created_ns: wall_ns, ..Node::default() };
        self.nodes.insert(file, node);
        self.platter.file(file).created_ns = wall_ns;
        self.change(Change::Add { dir, name: name.into(), node: file, is_dir: false });
        file
    }

    /// A new number for a file or directory.
    fn number(&mut self, env: &mut Env<'_>, path: &Path) -> FileId {
        let number = self.next_file;
        self.next_file += 1;
        let path = path.to_string_lossy().into_owned();
        env.trace.event(None, What::File { file: number, path });
        number
    }

    fn full(&self, env: &mut Env<'_>, fault: Option<Fault>, file: FileId) -> io::Result<()> {
        if fault == Some(Fault::Enospc) {
            delivered(env, Fault::Enospc, file, 0, 0);
            return Err(errno(libc::ENOSPC));
        }
        Ok(())
    }

    /// A change of names shows at once and is durable later.
    fn change(&mut self, change: Change) {
        self.tree.apply(&change);
        self.pending_names.push_back(PendingName { seq: self.next_seq, change });
        self.next_seq += 1;
        if self.pending_names.len() > NAMES_PENDING_MAX {
            self.commit_names(|index, _| index < NAMES_PENDING_MAX / 4);
        }
    }

    fn new_handle(&mut self, file: FileId, options: &OpenOptions) -> Handle {
        let index = self.free_handles.pop().unwrap_or_else(|| {
            let fresh = OpenFile { generation: 0, file: 0, options: *options, open: false };
            self.handles.push(fresh);
            self.handles.len() as u32 - 1
        });
        let slot = &mut self.handles[index as usize];
        *slot = OpenFile { file, options: *options, open: true, ..*slot };
        self.nodes.get_mut(&file).expect("a file that is opened has a node").handles += 1;
        Handle { index, generation: self.handles[index as usize].generation }
    }

    /// Closes a handle; its lock goes with it. A handle from before a crash is nothing.
    pub fn close(&mut self, handle: Handle) {
        let Ok(open) = self.opened(handle) else { return };
        let file = open.file;
        let slot = &mut self.handles[handle.index as usize];
        slot.open = false;
        slot.generation += 1;
        self.free_handles.push(handle.index);
        let node = self.nodes.get_mut(&file).expect("an open file has a node");
        node.handles -= 1;
        node.locks.retain(|(holder, _)| *holder != handle.key());
        if node.handles == 0 && !node.linked {
            node.pages_used = 0;
        }
    }

    /// Gives a name to what has another, replacing what had it.
    pub fn rename(&mut self, env: &mut Env<'_>, from: &Path, to: &Path) -> io::Result<Begun<()>> {
        let node = self.tree.find(from).unwrap_or(0);
        let result = self.rename_inner(env, from, to);
        traced(env, DiskOp::Rename, node, 0, 0, result)
    }

    fn rename_inner(&mut self, env: &mut Env<'_>, from: &Path, to: &Path) -> io::Result<Begun<()>> {
        let (from_dir, from_name) = self.tree.parent(from)?;
        let (to_dir, to_name) = self.tree.parent(to)?;
        let node = self.tree.find(from)?;
        let fault = self.draw_fault(env, CHANGE, node)?;
        self.writable()?;
        self.full(env, fault, node)?;
        let replaced = self.tree.entries(to_dir).and_then(|dir| dir.get(to_name)).copied();
        self.check_rename(node, to_dir, replaced)?;
        let latency_ns = self.latency(env, fault, node, Kind::Memory);
        if replaced == Some(node) {
            return Ok(Begun { value: (), latency_ns });
        }
        let is_dir = self.tree.is_dir(node);
        if self.config.split_rename {
            self.change(Change::Add { dir: to_dir, name: to_name.into(), node, is_dir });
            self.change(Change::Remove { dir: from_dir, name: from_name.into(), node });
        } else {
            let from = (from_dir, from_name.to_string());
            let to = (to_dir, to_name.to_string());
            self.change(Change::Rename { from, to, node, over: replaced.is_some() });
        }
        if let Some(replaced) = replaced {
            self.unlink(replaced);
        }
        Ok(Begun { value: (), latency_ns })
    }

    fn check_rename(
        &self,
        node: FileId,
        to_dir: FileId,
        replaced: Option<FileId>,
    ) -> io::Result<()> {
        let is_dir = self.tree.is_dir(node);
        if let Some(replaced) = replaced.filter(|replaced| *replaced != node) {
            match (is_dir, self.tree.entries(replaced)) {
                (true, None) => return Err(errno(libc::ENOTDIR)),
                (false, Some(_)) => return Err(errno(libc::EISDIR)),
                (true, Some(entries)) if !entries.is_empty() => {
                    return Err(errno(libc::ENOTEMPTY));
                }
                _ => {}
            }
        }
        // A directory cannot move into itself.
        let mut below = vec![node];
        while let Some(dir) = below.pop().filter(|_| is_dir) {
            if dir == to_dir {
                return Err(errno(libc::EINVAL));
            }
            below.extend(self.tree.entries(dir).into_iter().flat_map(|dir| dir.values().copied()));
        }
        Ok(())
    }

    fn unlink(&mut self, file: FileId) {
        if let Some(node) = self.nodes.get_mut(&file) {
            node.linked = false;
            if node.handles == 0 {
                node.pages_used = 0;
            }
        }
    }

    /// Removes the name of a file.
    pub fn remove(&mut self, env: &mut Env<'_>, path: &Path) -> io::Result<Begun<()>> {
        self.remove_node(env, path, DiskOp::Remove)
    }

    /// Removes an empty directory.
    pub fn remove_dir(&mut self, env: &mut Env<'_>, path: &Path) -> io::Result<Begun<()>> {
        self.remove_node(env, path, DiskOp::RemoveDir)
    }

    fn remove_node(&mut self, env: &mut Env<'_>, path: &Path, op: DiskOp) -> io::Result<Begun<()>> {
        let node = self.tree.find(path).unwrap_or(0);
        let result = self.remove_inner(env, path, op);
        traced(env, op, node, 0, 0, result)
    }

    fn remove_inner(
        &mut self,
        env: &mut Env<'_>,
        path: &Path,
        op: DiskOp,
    ) -> io::Result<Begun<()>> {
        let (dir, name) = self.tree.parent(path)?;
        let node = self.tree.find(path)?;
        let fault = self.draw_fault(env, CHANGE, node)?;
        self.writable()?;
        match (op, self.tree.entries(node)) {
            (DiskOp::Remove, Some(_)) => return Err(errno(libc::EISDIR)),
            (DiskOp::RemoveDir, None) => return Err(errno(libc::ENOTDIR)),
            (DiskOp::RemoveDir, Some(entries)) if !entries.is_empty() => {
                return Err(errno(libc::ENOTEMPTY));
            }
            _ => {}
        }
        self.change(Change::Remove { dir, name: name.into(), node });
        self.unlink(node);
        Ok(Begun { value: (), latency_ns: self.latency(env, fault, node, Kind::Memory) })
    }

    /// Creates a directory.
    pub fn create_dir(&mut self, env: &mut Env<'_>, path: &Path) -> io::Result<Begun<()>> {
        let result = self.create_dir_inner(env, path);
        let node = self.tree.find(path).unwrap_or(0);
        traced(env, DiskOp::CreateDir, node, 0, 0, result)
    }

    fn create_dir_inner(&mut self, env: &mut Env<'_>, path: &Path) -> io::Result<Begun<()>> {
        let (dir, name) = self.tree.parent(path)?;
        if self.tree.find(path).is_ok() {
            return Err(errno(libc::EEXIST));
        }
        let fault = self.draw_fault(env, CHANGE, dir)?;
        self.writable()?;
        self.full(env, fault, dir)?;
        let node = self.number(env, path);
        self.change(Change::Add { dir, name: name.into(), node, is_dir: true });
        Ok(Begun { value: (), latency_ns: self.latency(env, fault, dir, Kind::Memory) })
    }

    /// Length and kind of a name.
    pub fn metadata(&mut self, env: &mut Env<'_>, path: &Path) -> io::Result<Begun<Metadata>> {
        let found = self.tree.find(path);
        let node = *found.as_ref().unwrap_or(&0);
        let result = self.draw_fault(env, LOOK, node).and_then(|fault| {
            let node = found?;
            let metadata = match self.nodes.get(&node) {
                Some(file) => {
                    Metadata { len: file.len, is_dir: false, created_ns: file.created_ns }
                }
                None => Metadata { len: 0, is_dir: true, created_ns: 0 },
            };
            let latency_ns = self.latency(env, fault, node, Kind::Memory);
            Ok(Begun { value: metadata, latency_ns })
        });
        traced(env, DiskOp::Metadata, node, 0, 0, result)
    }

    /// The names in a directory, sorted by their bytes.
    pub fn list(&mut self, env: &mut Env<'_>, dir: &Path) -> io::Result<Begun<Vec<String>>> {
        let found = self.tree.find(dir);
        let node = *found.as_ref().unwrap_or(&0);
        let result = self.draw_fault(env, LOOK, node).and_then(|fault| {
            let entries = self.tree.entries(found?).ok_or_else(|| errno(libc::ENOTDIR))?;
            let names = entries.keys().cloned().collect();
            Ok(Begun { value: names, latency_ns: self.latency(env, fault, node, Kind::Memory) })
        });
        traced(env, DiskOp::List, node, 0, 0, result)
    }

    /// Tries to take a file's advisory lock, or changes the one that is held.
    pub fn try_lock(
        &mut self,
        env: &mut Env<'_>,
        handle: Handle,
        kind: LockKind,
    ) -> io::Result<Begun<bool>> {
        let file = self.opened(handle)?.file;
        let node = self.nodes.get_mut(&file).expect("an open file has a node");
        let key = handle.key();
        let conflict = node.locks.iter().any(|(holder, held)| {
            *holder != key && (kind == LockKind::Exclusive || *held == LockKind::Exclusive)
        });
        if !conflict {
            node.locks.retain(|(holder, _)| *holder != key);
            node.locks.push((key, kind));
        }
        let taken = Begun { value: !conflict, latency_ns: 0 };
        traced(env, DiskOp::Lock, file, 0, u64::from(!conflict), Ok(taken))
    }

    /// Gives a file's advisory lock back.
    pub fn unlock(&mut self, env: &mut Env<'_>, handle: Handle) -> io::Result<Begun<()>> {
        let file = self.opened(handle)?.file;
        let node = self.nodes.get_mut(&file).expect("an open file has a node");
        node.locks.retain(|(holder, _)| *holder != handle.key());
        traced(env, DiskOp::Unlock, file, 0, 0, Ok(Begun { value: (), latency_ns: 0 }))
    }
}
