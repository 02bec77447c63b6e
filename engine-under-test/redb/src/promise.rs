//! What redb documents about itself: the faults it survives, and how its clients may be interleaved.
//!
//! redb's design names its assumptions: a byte is written or not, what was synced stays, and a write
//! changes no byte outside its range. Whatever keeps to them is claimed; what breaks them is not. Each
//! fault of the simulated machine is in one of the two lists here, by its name.
//!
//! What a commit is worth: one of `Durability::Immediate` is durable when it returns, and all before it
//! are. One of `Durability::None` lives in the memory of the process until the next durable commit or
//! a clean close; before that a crash of the process or a power loss takes it, with all after it. What
//! is left is a prefix of the commits, always.

/// How clients of one database may be interleaved on a simulated machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// redb waits in locks of the standard library, whose futex calls are interposed: a client can be
    /// preempted anywhere that it waits or calls the disk.
    Futex,
    /// The caller holds a lock of the seam over each call of redb, and another from the beginning to
    /// the end of each write transaction: redb never waits, and a client is preempted between calls.
    Gated,
}

/// The ways to run redb. Without either of them the first contended lock blocks the OS thread: a write
/// transaction waits for the one before it in a condition variable, and a page is read from the disk
/// with a stripe of the cache locked.
pub const RUNS: &[Run] = &[Run::Futex, Run::Gated];

/// The faults that redb promises to survive: an error of the disk may fail a call, and the database
/// must then be opened again, but nothing acknowledged is lost and nothing wrong is read.
pub const CLAIMS: &[&str] = &[
    "power_loss",
    "process_crash",
    "crash_in_recovery",
    "lost_write",
    "torn_write",
    "reordered_writes",
    "all_but_one",
    "size_without_data",
    "data_without_size",
    "file_extremes",
    "sub_sector_tear",
    "dirent_lost",
    "rename_undone",
    "eio_read",
    "eio_write",
    "sync_fail_dirty",
    "enospc",
    "short_read",
    "short_write",
    "eintr",
    "read_only",
    "device_gone",
    "false_device_claim",
    "stall_op",
    "stall_file",
    "stall_device",
    "slow_device",
    "wall_forward",
    "wall_back",
    "wall_coarse",
    "wall_drift",
    "suspend",
    "spurious_wake",
    "weak_cas_fail",
    "starve",
];

/// The faults that redb does not promise to survive, each with the reason.
pub const LEFT_OUT: &[(&str, &str)] = &[
    (
        "garbage_sector",
        "both commit slots share the header's sector, and a byte is assumed to be written or not",
    ),
    (
        "eio_read_sticky",
        "a page that can never be read again is data that is gone; there is one copy",
    ),
    (
        "sync_fail_clean",
        "what a failed sync marks clean is trusted from the cache at the next opening",
    ),
    (
        "sync_fail_dropped",
        "pages that a failed sync drops were reported, but may have been read meanwhile",
    ),
    ("sync_fail_late", "a sync is assumed to tell the truth when it returns"),
    ("lying_sync", "what was synced is assumed to stay"),
    ("misdirected_write", "a write is assumed to change no byte outside its range"),
    ("misdirected_read", "pages are not verified when they are read"),
    ("phantom_write", "what was synced is assumed to stay"),
    ("bit_rot", "corruption from outside is found by the integrity check alone"),
    ("bad_sector_run", "a page that cannot be read is data that is gone; there is one copy"),
    ("read_corruption", "pages are not verified when they are read"),
    ("zeroed_sector", "corruption from outside is found by the integrity check alone"),
    ("old_image", "an older image of the whole file is a valid database"),
    ("shorn", "what was synced is assumed to stay"),
    ("unserializable", "what was synced is assumed to stay"),
    ("metadata_loss", "what was synced is assumed to stay"),
    ("spawn_fail", "redb starts no thread; the fault is the client's to survive"),
];
