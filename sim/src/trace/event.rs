//! The events of a trace.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Digest;
use crate::fault::Fault;

/// Number of an event within its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub u64);

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number.
    pub id: EventId,
    /// The scheduling decision after which it came.
    pub step: u64,
    /// Virtual time in nanoseconds.
    pub time_ns: u64,
    /// The task that did it.
    pub task: u32,
    /// The event that led to it, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<EventId>,
    /// What it was.
    #[serde(flatten)]
    pub what: What,
}

/// A call of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the call of that name")]
pub enum DiskOp {
    Open,
    Read,
    Write,
    SyncData,
    SyncAll,
    SyncDir,
    SetLen,
    Allocate,
    Len,
    Rename,
    Remove,
    Metadata,
    List,
    CreateDir,
    RemoveDir,
    Lock,
    Unlock,
    Close,
}

impl fmt::Display for DiskOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{self:?}");
        for (index, letter) in name.char_indices() {
            let separator = if index > 0 && letter.is_uppercase() { "_" } else { "" };
            write!(f, "{separator}{}", letter.to_ascii_lowercase())?;
        }
        Ok(())
    }
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskExit {
    /// Its body returned.
    Returned,
    /// Its body panicked.
    Panicked,
    /// The power went, and it was unwound.
    PowerOff,
}

impl fmt::Display for TaskExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TaskExit::Returned => "returned",
            TaskExit::Panicked => "panicked",
            TaskExit::PowerOff => "power_off",
        })
    }
}

/// What an event tells. Files are numbered in the order in which the run met them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[non_exhaustive]
pub enum What {
    /// The machine starts for the `number`-th time, from 1.
    Boot {
        /// Which boot.
        number: u32,
    },
    /// A boot is over.
    Down {
        /// How: `returned`, `power_loss`, `process_crash`, or a verdict.
        how: Cow<'static, str>,
    },
    /// A task was started.
    Spawn {
        /// Its number.
        child: u32,
        /// Its name.
        name: String,
    },
    /// A task ended.
    Exit {
        /// How.
        how: TaskExit,
    },
    /// The scheduler gave the turn to another task although this one could have gone on.
    Preempt {
        /// Who runs now.
        to: u32,
        /// Before which call of the seam, as `file:line`; empty where that is not known. No part of the
        /// digest, which does not depend on the layout of a source file.
        #[serde(skip_serializing_if = "str::is_empty", default)]
        at: Cow<'static, str>,
    },
    /// This task cannot go on; another one runs.
    Wait {
        /// For what.
        on: Cow<'static, str>,
        /// Which object.
        object: u64,
    },
    /// A file got a number.
    File {
        /// The number.
        file: u32,
        /// Its name at that time.
        path: String,
    },
    /// A call of the disk was made.
    Disk {
        /// Which.
        op: DiskOp,
        /// On which file or directory.
        file: u32,
        /// At which byte, or 0.
        offset: u64,
        /// How many bytes, or the new length.
        len: u64,
        /// Errno of a failure, 0 for success.
        errno: i32,
    },
    /// A fault was delivered.
    Fault {
        /// Which.
        fault: Fault,
        /// To which file, or 0.
        file: u32,
        /// At which byte, or an amount in the fault's own unit.
        offset: u64,
        /// How many bytes, or 0.
        len: u64,
    },
    /// What the power loss left of one file's unsynced writes, counted in sectors.
    Settled {
        /// Which file.
        file: u32,
        /// Sectors that show the new bytes.
        kept: u64,
        /// Sectors that show older ones.
        lost: u64,
    },
    /// A named assertion of the engine was met for the first time in this run.
    Site {
        /// Its name.
        name: String,
    },
    /// Something that a workload, an oracle or an adapter says.
    Note {
        /// Who says it: `op`, `ack`, `oracle`, `recovery` ….
        lane: String,
        /// What.
        text: String,
    },
}

impl What {
    /// Whether dropping it frees no memory, and so need not be done.
    #[inline(always)]
    pub(super) fn owns_nothing(&self) -> bool {
        match self {
            What::Down { how: text } | What::Wait { on: text, .. } => {
                matches!(text, Cow::Borrowed(_))
            }
            What::Preempt { at, .. } => matches!(at, Cow::Borrowed(_)),
            What::Boot { .. } | What::Exit { .. } | What::Disk { .. } => true,
            What::Fault { .. } | What::Settled { .. } => true,
            What::Spawn { .. } | What::File { .. } | What::Site { .. } | What::Note { .. } => false,
        }
    }

    /// Folds the event, with two words of its own (when it was, and who did it), into a digest.
    #[inline(always)]
    pub(super) fn fold(&self, digest: &mut Digest, when: u64, who: u64) {
        let mut head = |code, a, b| fold_head(digest, when, who, code, a, b);
        match self {
            What::Preempt { to, .. } => head(5, u64::from(*to), 0),
            What::Boot { number } => head(1, u64::from(*number), 0),
            What::Down { how } => fold_text(digest, when, who ^ 2 << 56, how),
            What::Spawn { child, name } => fold_spawn(digest, when, who, *child, name),
            What::Exit { how } => head(4, *how as u64, 0),
            What::Wait { on, object } => head(6, *object, on.len() as u64),
            What::File { file, path } => {
                head(7, u64::from(*file), 0);
                digest.fold_bytes(path.as_bytes());
            }
            What::Disk { op, file, offset, len, errno } => {
                head(8, *op as u64, u64::from(*file));
                digest.fold(*offset, *len ^ (*errno as u64) << 48);
            }
            What::Fault { fault, file, offset, len } => {
                head(9, *fault as u64, u64::from(*file));
                digest.fold(*offset, *len);
            }
            What::Settled { file, kept, lost } => {
                head(10, u64::from(*file), 0);
                digest.fold(*kept, *lost);
            }
            What::Site { name } => fold_text(digest, when, who ^ 11 << 56, name),
            What::Note { lane, text } => {
                fold_text(digest, when, who ^ 12 << 56, lane);
                digest.fold_bytes(text.as_bytes());
            }
        }
    }
}

/// What [`What::fold`] does with [`What::Spawn`].
#[inline(always)]
pub(super) fn fold_spawn(digest: &mut Digest, when: u64, who: u64, child: u32, name: &str) {
    fold_head(digest, when, who, 3, u64::from(child), name.len() as u64);
    if !name.is_empty() {
        digest.fold_bytes(name.as_bytes());
    }
}

#[inline(always)]
fn fold_head(digest: &mut Digest, when: u64, who: u64, code: u64, a: u64, b: u64) {
    digest.fold(when ^ (code << 56), who ^ a.rotate_left(20) ^ b.rotate_left(44));
}

fn fold_text(digest: &mut Digest, when: u64, who: u64, text: &str) {
    digest.fold(when, who);
    digest.fold_bytes(text.as_bytes());
}
