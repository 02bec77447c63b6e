//! What SQLite documents about a power loss, as data.
//!
//! # Method
//!
//! [`contract`] is a table over the journal mode and `synchronous`; the rest of the settings change
//! nothing. It is taken from SQLite's own pages and says no more than they do:
//!
//! - <https://www.sqlite.org/pragma.html#pragma_synchronous>
//!   - `EXTRA` is `FULL`, and syncs the directory of a rollback journal after removing it to commit in
//!     `DELETE` mode. That gives durability when the power goes just after a commit.
//!   - `FULL` makes sure that all is safely written before going on: a power loss does not corrupt.
//!     In the modes with a rollback journal it is "very safe", but not *durable* in `DELETE` mode where
//!     a removal may be undone: the journal comes back and undoes the last commit, no more, because the
//!     next transaction syncs the directory before it touches the database.
//!   - `NORMAL` syncs at the most critical moments only. With a rollback journal a power loss at the
//!     wrong time has a very small chance to corrupt an older file system's database. With a log it is
//!     consistent always, but commits may roll back after a power loss.
//!   - `OFF` hands data to the system and goes on: the crash of the process loses nothing, the loss of
//!     power may corrupt.
//! - <https://www.sqlite.org/wal.html>: with a log and `FULL` the log is synced after each commit; with
//!   `NORMAL` only checkpoints sync, in the order log, database.
//! - <https://www.sqlite.org/pragma.html#pragma_journal_mode>: `TRUNCATE` and `PERSIST` commit by
//!   changing the content of the journal, which `FULL` syncs, not its name.
//! - <https://www.sqlite.org/atomiccommit.html>: what is assumed of a disk; the source of [`CLAIMS`].
//! - <https://www.sqlite.org/psow.html>: what a write may do to the bytes beside it.

use crate::settings::{JournalMode, Settings, Synchronous};

/// What is left of acknowledged commits when the power has gone.
///
/// A crash of the process loses none of them, under any settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contract {
    /// All of them.
    Durable,
    /// All, but the last one may be missing.
    AllButLast,
    /// A prefix of them. All that came before a complete checkpoint are in it.
    Prefix,
    /// The database may be damaged.
    Weak,
}

/// What SQLite documents about a power loss under `settings`.
pub fn contract(settings: &Settings) -> Contract {
    use JournalMode::{Delete, Persist, Truncate, Wal};
    use Synchronous::{Extra, Full, Normal, Off};
    match (settings.journal_mode, settings.synchronous) {
        (_, Off) => Contract::Weak,
        (Wal, Normal) => Contract::Prefix,
        (Delete | Truncate | Persist, Normal) => Contract::Weak,
        (Delete, Full) => Contract::AllButLast,
        (Delete, Extra) => Contract::Durable,
        (Truncate | Persist | Wal, Full | Extra) => Contract::Durable,
    }
}

/// The faults that SQLite promises to survive under durable settings on a [`crate::Device`] that is not
/// said to have powersafe overwrites.
pub const CLAIMS: &[&str] = &[
    "power_loss",
    "process_crash",
    "crash_in_recovery",
    // What a power loss does to what was not synced. A sector is what one write may damage, so
    // garbage in it is survived as old bytes are, and a part of a sector as none of it.
    "lost_write",
    "torn_write",
    "reordered_writes",
    "all_but_one",
    "size_without_data",
    "data_without_size",
    "file_extremes",
    "garbage_sector",
    "sub_sector_tear",
    "dirent_lost",
    // SQLite renames nothing.
    "rename_undone",
    // Errors end a transaction; short and interrupted calls are made again by the adapter.
    "eio_read",
    "eio_write",
    "sync_fail_dirty",
    "enospc",
    "short_read",
    "short_write",
    "eintr",
    // A larger sector than the true one makes SQLite more careful; the atomic unit is not used.
    "false_device_claim",
    "stall_op",
    "stall_file",
    "stall_device",
    "slow_device",
    // Time is asked for nothing but the answers of SQL's own date functions.
    "wall_forward",
    "wall_back",
    "wall_coarse",
    "wall_drift",
    "suspend",
    "spurious_wake",
    "weak_cas_fail",
    "starve",
];

/// Faults that SQLite does not promise to survive, each with the reason.
pub const LEFT_OUT: &[(&str, &str)] = &[
    ("eio_read_sticky", "the page is lost, and there is no second copy of it"),
    (
        "sync_fail_clean",
        "a later sync of the same pages is believed, and they never reach the platter",
    ),
    ("sync_fail_dropped", "a later sync of the same pages is believed, and they are the old ones"),
    ("sync_fail_late", "the commit is acknowledged before the loss is reported"),
    ("read_only", "nothing is lost, but a hot journal cannot be rolled back until the next boot"),
    ("device_gone", "nothing is lost, but the engine cannot go on until the next boot"),
    ("lying_sync", "durability and order rest on syncs that do what they say"),
    ("misdirected_write", "pages carry no checksum and do not name themselves"),
    ("misdirected_read", "pages carry no checksum and do not name themselves"),
    ("phantom_write", "durability rests on writes that are done once a sync has said so"),
    ("bit_rot", "pages carry no checksum"),
    ("bad_sector_run", "pages carry no checksum"),
    ("read_corruption", "pages carry no checksum"),
    ("zeroed_sector", "pages carry no checksum"),
    ("old_image", "nothing outside the file tells which state is the newest"),
    ("shorn", "a synced page is taken to be whole"),
    ("unserializable", "a synced page is taken to be the one written last"),
    ("metadata_loss", "what was synced is taken to stay"),
    ("spawn_fail", "no thread is spawned"),
];

/// [`CLAIMS`], without what only holds when a sector is known as what one write may damage.
pub fn claims(device: crate::Device) -> Vec<&'static str> {
    let harms_neighbours = |name: &&&str| matches!(**name, "garbage_sector" | "sub_sector_tear");
    CLAIMS
        .iter()
        .filter(|name| !(device.powersafe_overwrite && harms_neighbours(name)))
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_journal_mode_and_synchronous_decide() {
        let durable = ["delete extra", "truncate full", "persist full", "wal full", "wal extra"];
        for journal_mode in ["delete", "truncate", "persist", "wal"] {
            for synchronous in ["extra", "full", "normal", "off"] {
                let mut settings = Settings::default();
                settings.set("journal_mode", journal_mode).unwrap();
                settings.set("synchronous", synchronous).unwrap();
                let expected = match (journal_mode, synchronous) {
                    ("truncate" | "persist", "extra") => Contract::Durable,
                    ("delete", "full") => Contract::AllButLast,
                    ("wal", "normal") => Contract::Prefix,
                    _ if durable.contains(&&*format!("{journal_mode} {synchronous}")) => {
                        Contract::Durable
                    }
                    _ => Contract::Weak,
                };
                assert_eq!(contract(&settings), expected, "{journal_mode} {synchronous}");
            }
        }
    }

    #[test]
    fn powersafe_overwrites_are_claimed_only_where_a_sector_may_be_damaged() {
        let plain = claims(crate::Device { powersafe_overwrite: false });
        let powersafe = claims(crate::Device { powersafe_overwrite: true });
        assert_eq!(plain, CLAIMS);
        assert_eq!(plain.len(), powersafe.len() + 2);
        assert!(!powersafe.contains(&"garbage_sector"));
    }
}
