//! Engines that end or block their process, litter it, or do not obey their seed: what a swarm must
//! survive. They are asked for by name in the tests of the swarm, and only when
//! `FALCONRY_TEST_ENGINES` is set; no list shows them.
//!
//! # Method
//!
//! Each behaves like a canary without its bug, but for one open in 32, where it falls ill; the one that
//! litters does so at every open.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use falconry_seam::disk::Disk;

use crate::engine::{self, Contract, Database, Engine, EngineError, Settings, SettingsDraw};
use crate::run::CaseError;

/// Opens for each one that falls ill.
const WELL: u64 = 32;

/// Frames of the overflow; each holds a page, so that no stack is large enough.
const FRAMES: u64 = 1 << 20;

/// What befalls it.
enum Illness {
    /// The process ends itself.
    Abort,
    /// The OS thread waits in a lock that the scheduler does not see.
    Hang,
    /// The task's stack is too small.
    Overflow,
    /// A task of each boot cannot be ended.
    Litter,
    /// What it does depends on how often it was ill before.
    Drift,
}

struct Ill {
    name: &'static str,
    illness: Illness,
}

/// How often this process has drifted: state that outlives a run.
static TIMES: AtomicU64 = AtomicU64::new(0);

static ILL: [Ill; 5] = [
    Ill { name: "test-abort", illness: Illness::Abort },
    Ill { name: "test-hang", illness: Illness::Hang },
    Ill { name: "test-overflow", illness: Illness::Overflow },
    Ill { name: "test-litter", illness: Illness::Litter },
    Ill { name: "test-drift", illness: Illness::Drift },
];

/// The engine of that name, if such engines are wanted at all.
pub fn find(name: &str) -> Option<&'static dyn Engine> {
    std::env::var_os("FALCONRY_TEST_ENGINES")?;
    ILL.iter().find(|ill| ill.name == name).map(|ill| ill as &dyn Engine)
}

impl Engine for Ill {
    fn name(&self) -> &str {
        self.name
    }

    fn open(
        &self,
        disk: Arc<dyn Disk>,
        settings: &Settings,
    ) -> Result<Box<dyn Database>, EngineError> {
        falconry_sim::enter_call(&"open");
        if let Illness::Litter = self.illness {
            litter();
        }
        if falconry_sim::choose("test/illness", WELL) == 1 {
            match self.illness {
                Illness::Litter => {}
                Illness::Abort => std::process::abort(),
                Illness::Hang => hang(),
                Illness::Drift => {
                    let times = TIMES.fetch_add(1, Ordering::Relaxed);
                    falconry_sim::note("drift", &format!("ill, {times} times before"));
                }
                Illness::Overflow => assert!(overflow(FRAMES) > 0, "the frames are not empty"),
            }
        }
        let canary = engine::find("canary").expect("the canary is built in");
        canary.open(disk, settings)
    }

    fn draw(&self, draw: &mut SettingsDraw<'_>) -> Result<Contract, CaseError> {
        draw.word("sync_every", &[("1", 1)])?;
        Ok(Contract::Durable)
    }
}

/// Leaves a task that swallows whatever it is thrown.
fn litter() {
    falconry_seam::thread::spawn(|| {
        loop {
            let _ = std::panic::catch_unwind(falconry_seam::thread::park);
        }
    });
}

/// Locks a lock that this thread holds already.
fn hang() {
    let mut lock = libc::PTHREAD_MUTEX_INITIALIZER;
    for _ in 0..2 {
        // SAFETY: the lock is initialised, is not moved meanwhile and is used by this thread alone. A
        // default lock that is locked twice by its holder blocks for ever, which is what is wanted.
        unsafe { libc::pthread_mutex_lock(&raw mut lock) };
    }
}

fn overflow(frames: u64) -> u64 {
    let page = std::hint::black_box([frames; 512]);
    if frames == 0 { 1 } else { overflow(frames - 1) + page[0].min(1) }
}
