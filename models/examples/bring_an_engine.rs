//! How to bring an engine of your own: a shelf that writes all it holds at each commit.
//!
//! Run it with `cargo run --release --example bring_an_engine`. It puts 200 seeds of two scenarios on
//! the engine below, then breaks its syncs and shows that this is found.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use falconry::engine::{
    Access, Database, Engine, EngineError, Pair, Promise, Settings, Transaction,
};
use falconry::run::{Finding, Wishes, properties, run_with};
use falconry::scenario;
use falconry_seam::disk::{Disk, OpenOptions};
use falconry_seam::sync::{Mutex, MutexGuard};

// ---- The engine: 30 lines, on the seam's disk and locks. ----

type Content = BTreeMap<Vec<u8>, Vec<u8>>;

fn load(disk: &dyn Disk) -> std::io::Result<Content> {
    if !disk.exists(Path::new("shelf"))? {
        return Ok(Content::new());
    }
    let file = disk.open(Path::new("shelf"), &OpenOptions::READ)?;
    let mut bytes = vec![0; file.len()? as usize];
    file.read_exact_at(&mut bytes, 0)?;
    serde_json::from_slice::<Vec<Pair>>(&bytes)
        .map(|pairs| pairs.into_iter().collect())
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}

fn store(disk: &dyn Disk, content: &Content) -> std::io::Result<()> {
    let bytes = serde_json::to_vec(&content.iter().collect::<Vec<_>>())?;
    let options = OpenOptions { truncate: true, ..OpenOptions::CREATE };
    let file = disk.open(Path::new("shelf.new"), &options)?;
    file.write_all_at(&bytes, 0)?;
    file.sync_data()?;
    disk.rename(Path::new("shelf.new"), Path::new("shelf"))?;
    disk.sync_dir(Path::new(""))
}

// ---- The adapter: what the testbed asks of it. ----

struct Shelf;

struct Open {
    disk: Arc<dyn Disk>,
    content: Mutex<Content>,
}

struct Hand<'a> {
    disk: &'a dyn Disk,
    shared: MutexGuard<'a, Content>,
    own: Content,
}

impl Engine for Shelf {
    fn name(&self) -> &str {
        "shelf"
    }

    fn open(&self, disk: Arc<dyn Disk>, _: &Settings) -> Result<Box<dyn Database>, EngineError> {
        let content = Mutex::new(load(&*disk)?);
        Ok(Box::new(Open { disk, content }))
    }
}

impl Database for Open {
    fn begin(&self, _access: Access) -> Result<Box<dyn Transaction + '_>, EngineError> {
        let shared = self.content.lock().map_err(|_| EngineError::Busy)?;
        let own = shared.clone();
        Ok(Box::new(Hand { disk: &*self.disk, shared, own }))
    }

    fn close(self: Box<Self>) -> Result<Promise, EngineError> {
        Ok(Promise::Durable)
    }
}

impl Transaction for Hand<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.own.get(key).cloned())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        self.own.insert(key.into(), value.into());
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.own.remove(key);
        Ok(())
    }

    fn range(&mut self, from: &[u8], to: Option<&[u8]>) -> Result<Vec<Pair>, EngineError> {
        let all = self.own.range(from.to_vec()..).map(|(key, value)| (key.clone(), value.clone()));
        Ok(all.take_while(|(key, _)| to.is_none_or(|to| key.as_slice() < to)).collect())
    }

    fn commit(mut self: Box<Self>) -> Result<Promise, EngineError> {
        if *self.shared != self.own {
            store(self.disk, &self.own)?;
            *self.shared = std::mem::take(&mut self.own);
        }
        Ok(Promise::Durable)
    }

    fn rollback(self: Box<Self>) -> Result<(), EngineError> {
        Ok(())
    }
}

// ---- The swarm. ----

/// Runs seeds of a scenario, and returns the first finding with its seed.
fn swarm(name: &str, seeds: std::ops::Range<u64>, break_sync: bool) -> Option<(u64, Finding)> {
    let scenario = scenario::find(name).expect("a scenario that is built in");
    seeds.into_iter().find_map(|seed| {
        let mut case = properties::plain("shelf", name, seed);
        case.break_sync = break_sync;
        let outcome = run_with(&Shelf, &scenario, &case, &Wishes::default()).expect("a case");
        outcome.findings.into_iter().next().map(|finding| (seed, finding))
    })
}

fn main() {
    for name in ["kv/bank", "kv/ledger"] {
        match swarm(name, 0..200, false) {
            None => println!("{name}: 200 seeds, nothing found"),
            Some((seed, finding)) => {
                println!("{name}: seed {seed}, {}: {}", finding.property.name(), finding.sentence);
                finding.what.iter().for_each(|(label, text)| println!("  {label:10}{text}"));
                std::process::exit(1);
            }
        }
    }
    let (seed, finding) = swarm("kv/ledger", 0..200, true).expect("broken syncs must be found");
    println!("without syncs: seed {seed}, {}: {}", finding.property.name(), finding.sentence);
}

#[test]
fn the_shelf_survives_and_a_broken_one_does_not() {
    assert_eq!(swarm("kv/bank", 0..100, false), None);
    assert_eq!(swarm("kv/ledger", 0..100, false), None);
    assert!(swarm("kv/ledger", 0..200, true).is_some());
}
