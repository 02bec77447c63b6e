//! One engine beside others: the same calls on each, and answers that must be the same.
//!
//! # Method
//!
//! Each engine has a folder of the disk. One client at a time makes a call on all of them, one after the other;
//! the first engine's answer is passed on when the others' are no other. Settings are drawn for the first
//! engine; the others have their boring ones, at which they promise durability.
//!
//! # Invariant
//!
//! No fault is claimed, and none comes, also where a swarm goes beyond the budget: an engine that answers with
//! an error is as different from the others as one that answers wrongly.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use falconry_seam::disk::{Disk, File, Metadata, OpenOptions};
use falconry_sim::choice::Choices;
use falconry_sim::fault::FaultSet;

use super::{
    Access, Concurrency, Contract, Database, Engine, EngineError, Order, Pair, Promise, Settings,
    SettingsDraw, Transaction,
};
use crate::run::CaseError;

/// An engine beside others.
pub struct Beside<'a> {
    first: &'a dyn Engine,
    others: Vec<(&'static dyn Engine, Settings)>,
}

impl<'a> Beside<'a> {
    /// `first` beside the built-in engines of these names.
    ///
    /// # Errors
    ///
    /// [`CaseError::UnknownEngine`].
    pub fn new(first: &'a dyn Engine, others: &[String]) -> Result<Beside<'a>, CaseError> {
        let boring = |name: &String| {
            let engine = super::find(name)?;
            let mut choices = Choices::zeros();
            let mut draw = SettingsDraw::new(&mut choices, name, &[]);
            let contract = engine.draw(&mut draw)?;
            Ok((engine, Settings::new(draw.finish()?, contract, Concurrency::Single)))
        };
        Ok(Beside { first, others: others.iter().map(boring).collect::<Result<_, _>>()? })
    }

    fn any(&self, of: impl Fn(&dyn Engine) -> bool) -> bool {
        of(self.first) || self.others.iter().any(|(engine, _)| of(*engine))
    }
}

impl Engine for Beside<'_> {
    fn name(&self) -> &str {
        self.first.name()
    }

    fn open(
        &self,
        disk: Arc<dyn Disk>,
        settings: &Settings,
    ) -> Result<Box<dyn Database>, EngineError> {
        let others =
            self.others.iter().map(|(engine, settings)| (*engine as &dyn Engine, settings));
        let mut all = Vec::new();
        for (engine, settings) in std::iter::once((self.first, settings)).chain(others) {
            let folder = Folder::new(Arc::clone(&disk), engine.name())?;
            all.push((engine.name().to_string(), engine.open(Arc::new(folder), settings)?));
        }
        Ok(Box::new(All(all)))
    }

    fn claims(&self) -> FaultSet {
        FaultSet::NONE
    }

    fn concurrency(&self) -> &[Concurrency] {
        &[Concurrency::Single]
    }

    fn bugs(&self) -> &[&str] {
        self.first.bugs()
    }

    fn draw(&self, draw: &mut SettingsDraw<'_>) -> Result<Contract, CaseError> {
        self.first.draw(draw)
    }

    fn needs_fresh_thread(&self) -> bool {
        self.any(|engine| engine.needs_fresh_thread())
    }

    fn needs_process(&self) -> bool {
        self.any(|engine| engine.needs_process())
    }

    fn stack_bytes(&self) -> usize {
        let others = self.others.iter().map(|(engine, _)| engine.stack_bytes());
        others.fold(self.first.stack_bytes(), usize::max)
    }
}

/// What each of them answered must be the same.
fn agreed<T: PartialEq + fmt::Debug>(
    call: &str,
    answers: impl IntoIterator<Item = (String, T)>,
) -> Result<T, EngineError> {
    let mut answers = answers.into_iter();
    let (name, answer) = answers.next().expect("there is a first engine");
    match answers.find(|(_, other)| *other != answer) {
        None => Ok(answer),
        Some((other_name, other)) => {
            let what = format!("{call}: {name} says {answer:?}, and {other_name} {other:?}");
            Err(EngineError::Corrupt { what })
        }
    }
}

struct All(Vec<(String, Box<dyn Database>)>);

impl Database for All {
    fn begin(&self, access: Access) -> Result<Box<dyn Transaction + '_>, EngineError> {
        let mut all = Vec::new();
        for (name, database) in &self.0 {
            all.push((name.clone(), database.begin(access)?));
        }
        Ok(Box::new(AllTransactions(all)))
    }

    fn check(&mut self) -> Result<(), EngineError> {
        self.0.iter_mut().try_for_each(|(_, database)| database.check())
    }

    fn close(self: Box<Self>) -> Result<Promise, EngineError> {
        for (_, database) in self.0 {
            database.close()?;
        }
        Ok(Promise::Durable)
    }
}

struct AllTransactions<'a>(Vec<(String, Box<dyn Transaction + 'a>)>);

impl AllTransactions<'_> {
    /// Asks each of them.
    fn ask<T: PartialEq + fmt::Debug>(
        &mut self,
        call: &str,
        ask: impl Fn(&mut dyn Transaction) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let mut answers = Vec::new();
        for (name, transaction) in &mut self.0 {
            answers.push((name.clone(), ask(&mut **transaction)?));
        }
        agreed(call, answers)
    }
}

impl Transaction for AllTransactions<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.ask("get", |transaction| transaction.get(key))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        self.ask("put", |transaction| transaction.put(key, value))
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.ask("delete", |transaction| transaction.delete(key))
    }

    fn range(&mut self, from: &[u8], to: Option<&[u8]>) -> Result<Vec<Pair>, EngineError> {
        self.ask("range", |transaction| transaction.range(from, to))
    }

    fn some(
        &mut self,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Pair>, EngineError> {
        self.ask("some", |transaction| transaction.some(from, to, order, limit))
    }

    fn commit(self: Box<Self>) -> Result<Promise, EngineError> {
        for (_, transaction) in self.0 {
            transaction.commit()?;
        }
        Ok(Promise::Durable)
    }

    fn rollback(self: Box<Self>) -> Result<(), EngineError> {
        self.0.into_iter().try_for_each(|(_, transaction)| transaction.rollback())
    }
}

/// A folder of a disk as a disk of its own.
struct Folder {
    disk: Arc<dyn Disk>,
    name: PathBuf,
}

impl Folder {
    /// The folder of that name in the root; it is made if it is not there.
    fn new(disk: Arc<dyn Disk>, name: &str) -> io::Result<Folder> {
        let name = PathBuf::from(name);
        if !disk.exists(&name)? {
            disk.create_dir(&name)?;
            disk.sync_dir(Path::new(""))?;
        }
        Ok(Folder { disk, name })
    }

    fn within(&self, path: &Path) -> PathBuf {
        // The root is the empty path, which must not end with a separator.
        if path.as_os_str().is_empty() { self.name.clone() } else { self.name.join(path) }
    }
}

impl Disk for Folder {
    fn open(&self, path: &Path, options: &OpenOptions) -> io::Result<Arc<dyn File>> {
        self.disk.open(&self.within(path), options)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(&self.within(from), &self.within(to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(&self.within(path))
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.disk.metadata(&self.within(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(&self.within(dir))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(&self.within(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir(&self.within(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(&self.within(dir))
    }

    fn sector_size(&self) -> u32 {
        self.disk.sector_size()
    }

    fn atomic_unit(&self) -> u32 {
        self.disk.atomic_unit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_differ_are_told_with_who_gave_them() {
        let answers = |last: u8| [("falcon", 1), ("redb", 1), ("sqlite", last)];
        let told = |last| agreed("get", answers(last).map(|(name, said)| (name.to_string(), said)));
        assert_eq!(told(1), Ok(1));
        let what = "get: falcon says 1, and sqlite 2".to_string();
        assert_eq!(told(2), Err(EngineError::Corrupt { what }));
    }
}
