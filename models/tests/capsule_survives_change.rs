//! A capsule that one build wrote replays on another.
//!
//! The engine is a log whose commits share their syncs, with a bug: who finds a sync under way takes it
//! for its own, though it may have begun before. The later build has the same bug; in it an operation
//! that has nothing to do with it, a line of a log file, an atomic and a place that offers a rare path were
//! added, and a sync was removed.

#![allow(clippy::disallowed_methods, reason = "a test stands outside of the run")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use falconry::engine::{
    Access, Database, Engine, EngineError, Pair, Promise, Settings, Transaction,
};
use falconry::run::{Case, CaseError, Outcome, Wishes, properties, run_with};
use falconry::scenario;
use falconry::shrink::{Alignment, Budget, case_of, fit, shrink_with};
use falconry_seam::disk::{Disk, File, OpenOptions};
use falconry_seam::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use falconry_seam::sync::{Mutex, MutexGuard};
use falconry_seam::{buggify, thread};
use falconry_sim::choice::{Capsule, Exception};

type Content = BTreeMap<Vec<u8>, Vec<u8>>;

/// One of the two builds.
struct Build {
    is_later: bool,
}

const EARLIER: Build = Build { is_later: false };
const LATER: Build = Build { is_later: true };

struct Store {
    is_later: bool,
    log: Arc<dyn File>,
    /// What the log holds, and its length.
    state: Mutex<(Content, u64)>,
    syncs: AtomicBool,
    reads: AtomicU64,
}

fn load(log: &dyn File) -> std::io::Result<(Content, u64)> {
    let mut bytes = vec![0; log.len()? as usize];
    log.read_exact_at(&mut bytes, 0)?;
    let (mut content, mut length) = (Content::new(), 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Ok(pairs) = serde_json::from_slice::<Vec<Pair>>(line) else { break };
        content = pairs.into_iter().collect();
        length += line.len() as u64;
    }
    Ok((content, length))
}

impl Engine for Build {
    fn name(&self) -> &str {
        "store"
    }

    fn open(&self, disk: Arc<dyn Disk>, _: &Settings) -> Result<Box<dyn Database>, EngineError> {
        let log = disk.open(Path::new("log"), &OpenOptions::CREATE)?;
        disk.sync_dir(Path::new(""))?;
        if self.is_later {
            let events = disk.open(Path::new("events"), &OpenOptions::CREATE)?;
            let at = events.len()?;
            events.write_all_at(b"opened\n", at)?;
        } else {
            // Nothing was written yet.
            log.sync_all()?;
        }
        let (content, length) = load(&*log)?;
        log.set_len(length)?;
        log.sync_all()?;
        Ok(Box::new(Store {
            is_later: self.is_later,
            log,
            state: Mutex::new((content, length)),
            syncs: AtomicBool::new(false),
            reads: AtomicU64::new(0),
        }))
    }
}

impl Database for Store {
    fn begin(&self, _: Access) -> Result<Box<dyn Transaction + '_>, EngineError> {
        let state = self.state.lock().map_err(|_| EngineError::Busy)?;
        if self.is_later {
            self.log.len()?;
        }
        let own = state.0.clone();
        Ok(Box::new(Hand { store: self, state, own }))
    }

    fn close(self: Box<Self>) -> Result<Promise, EngineError> {
        self.log.sync_data()?;
        Ok(Promise::Durable)
    }
}

struct Hand<'a> {
    store: &'a Store,
    state: MutexGuard<'a, (Content, u64)>,
    own: Content,
}

impl Transaction for Hand<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        if self.store.is_later {
            self.store.reads.fetch_add(1, Ordering::Relaxed);
        }
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

    fn commit(self: Box<Self>) -> Result<Promise, EngineError> {
        let Hand { store, mut state, own } = *self;
        if own == state.0 {
            return Ok(Promise::Durable);
        }
        let mut line = serde_json::to_vec(&own.iter().collect::<Vec<_>>()).expect("plain pairs");
        line.push(b'\n');
        store.log.write_all_at(&line, state.1)?;
        *state = (own, state.1 + line.len() as u64);
        drop(state);
        if store.is_later && buggify!("store/late_sync", 100_000) {
            thread::yield_now();
        }
        // The bug: another one's sync may have begun before this one's write.
        if !store.syncs.swap(true, Ordering::SeqCst) {
            let synced = store.log.sync_data();
            store.syncs.store(false, Ordering::SeqCst);
            synced?;
        }
        Ok(Promise::Durable)
    }

    fn rollback(self: Box<Self>) -> Result<(), EngineError> {
        Ok(())
    }
}

fn run(build: &Build, case: &Case, wishes: &Wishes) -> Result<Outcome, CaseError> {
    run_with(build, &scenario::find("kv/ledger")?, case, wishes)
}

fn by(build: &Build, case: &Case, exceptions: &[Exception]) -> Result<Outcome, CaseError> {
    run(build, case, &Wishes { exceptions: Some(exceptions.to_vec()), ..Wishes::default() })
}

/// The first failures of a build, from their seeds, as capsules.
fn capsules(build: &Build, count: usize) -> Vec<Capsule> {
    let fails = |seed: &u64| {
        let case = properties::plain("store", "kv/ledger", *seed);
        let outcome = run(build, &case, &Wishes::default()).unwrap();
        outcome.findings.first().is_some_and(|found| found.property.name() == "durability")
    };
    let small = |seed: u64| {
        let case = properties::plain("store", "kv/ledger", seed);
        let budget = Budget::for_time(Duration::from_secs(60), 2);
        let runner = |case: &Case, wishes: &Wishes| run(build, case, wishes);
        let shrunk = shrink_with(&runner, &case, "earlier", None, budget).unwrap();
        let shrunk = shrunk.expect("it fails by its exceptions as well");
        assert!(shrunk.control.passes, "seed {seed}");
        Capsule::from_text(&shrunk.capsule).unwrap()
    };
    (0..).filter(fails).take(count).map(small).collect()
}

#[test]
fn a_capsule_of_the_earlier_build_fails_on_the_later_one() {
    for capsule in capsules(&EARLIER, 6) {
        let case = case_of(&capsule).unwrap();
        let (same, _) = fit(&capsule, |exceptions| by(&EARLIER, &case, exceptions)).unwrap();
        assert_eq!(same.alignment, Alignment::Exact);
        let (fitted, moved) = fit(&capsule, |exceptions| by(&LATER, &case, exceptions)).unwrap();
        let outcome = by(&LATER, &case, &moved).unwrap();
        let signature = outcome.findings.first().map(|found| found.signature());
        let text = capsule.to_text();
        assert_eq!(signature.as_deref(), capsule.property("signature"), "{fitted}\n{text}");
        let Alignment::Aligned { met, moved, of } = fitted.alignment else {
            panic!("{fitted}\n{text}");
        };
        assert_eq!((met + moved, of), (of, capsule.exceptions.len()), "{fitted}\n{text}");
    }
}

#[test]
fn a_capsule_whose_task_is_gone_is_lost() {
    let capsule = capsules(&EARLIER, 1).remove(0);
    let case = case_of(&capsule).unwrap();
    let mut other = capsule.clone();
    for exception in &mut other.exceptions {
        exception.anchor.task = exception.anchor.task.replace("client 1", "nobody");
    }
    let (fitted, _) = fit(&other, |exceptions| by(&EARLIER, &case, exceptions)).unwrap();
    assert!(matches!(fitted.alignment, Alignment::Lost { met, of } if met < of), "{fitted}");
}
