//! A simulated disk that loses, tears and lies, as real ones do.
//!
//! What follows is the contract: what the disk may do to an engine, and what it never does. An engine
//! that survives this disk survives real ones; a finding names the kind of disk that could do it.
//!
//! # Method
//!
//! The state of a file is held three times: in the page cache, which calls see; in the device's
//! cache; and on the platter, which the next boot sees after a power loss. A call is broken into
//! micro-operations: a page's sectors get new bytes, a file gets a length, a directory entry is
//! added, removed or replaced. Each is *pending* until something brings it to the platter:
//!
//! ```text
//! write --> page cache --sync of the file, or writeback--> device's cache --flush--> platter
//!           |                                              |
//!           | a killed process loses nothing of this       | any sync of any file flushes
//! direct write ------------------------------------------->+ (at once, if the cache is not volatile)
//! ```
//!
//! 1. A **write** shows at once to every reader, then takes its time; it is *completed* when it
//!    returns. A write that runs past the end also changes the length.
//! 2. A **sync** covers the writes of its file that had completed when it was submitted, and takes
//!    effect at the end of its own time, micro-operation by micro-operation, in the order of the calls;
//!    the power can go between any two of them. Then the device is flushed. `sync_data` and `sync_all`
//!    differ in nothing that is modelled: times are not.
//! 3. A **name** is pending until its directory is synced. Most file systems also keep the name of a
//!    file that is synced; the worst case does not. More than 512 pending changes of names are
//!    committed from the oldest on, as a journal does in time.
//! 4. A **direct** write is aligned to sectors or fails with `EINVAL`; it goes past the page cache, and
//!    any flush of the device keeps it. A **dsync** write is durable when it returns, with the
//!    length that shows it, and promotes no other write.
//! 5. **Writeback** brings operations to the platter without a sync, a file's oldest first and a call
//!    as a whole: of a file that is chosen above the *dirty limit*, so that what is pending, and the
//!    memory of it, is bounded; and by *time*, of each file a chosen part of what is older than the
//!    delay. Where the file system has one order for everything, so has writeback. Names go with
//!    time when all data before them has gone, but not in the worst case. The cost of a write does
//!    not depend on how many are pending.
//! 6. A **lock** is advisory and belongs to a handle; a second handle of the same process conflicts. A
//!    file that was removed lives on while it is open. Closing a file is no sync and cannot fail.
//! 7. A **process crash** takes handles, locks and files without a name. It loses nothing of the page
//!    cache, so the next boot may read bytes that were never durable and may still be lost.
//! 8. A **power loss** takes the caches too. Only then is decided what became of what was pending.
//!    Afterwards the first read of each 128 KiB of a file takes the device's time.
//! 9. A **capacity** bounds what files use, while `enospc` may come at all: a write or a reservation
//!    that needs more fails. With *late allocation* a write is taken all the same, and it is the sync
//!    of a file with new pages that fails, keeps them dirty, and goes on failing until space is made.
//!    What a power loss leaves may exceed the capacity (our choice).
//! 10. A **controller with a battery** writes through, and is as slow as its disks, in boots in which
//!     the battery charges.
//!
//! # Outcomes of a power loss
//!
//! Every pending operation survives, or does not; the write and the sync under way are pending like
//! all others. Sectors that the device does not tear share one fate, and so do blocks or whole calls
//! where the file system does not tear them. The fate of such a unit is one of: *new*; *old*, what was
//! there before it; *zeros* or *garbage*; or *the first bytes new*, for a unit of one sector.
//! Survivors are applied in the order of the calls. Bytes behind the resulting length are gone.
//!
//! A **survival policy** is drawn for each power loss; it is a style of losing that proposes the fates
//! ([`SurvivalPolicy`]). The fates are choices of their own, one a unit, and the boring one keeps it.
//! What the file system keeps in order then repairs the picture ([`FsPreset`]), and last what is
//! excluded: for the faults *at power loss* in the table below a rate is no frequency. **Rate 0
//! excludes the outcome, any other rate admits it**, and neither moves a choice:
//!
//! - `lost_write` excluded: of each write something survives, and can be seen.
//! - `torn_write` excluded: a write survives wholly or not at all.
//! - `reordered_writes` excluded: nothing survives that is newer than a write of which nothing did.
//! - `all_but_one`, `file_extremes` excluded: that policy is not drawn. Independent choices may still
//!   paint the same picture; it is then counted as lost writes alone.
//! - `size_without_data` excluded: what stands below a surviving length survives with it.
//! - `data_without_size` excluded: the length of a write that survives does too.
//! - `garbage_sector`, `sub_sector_tear` excluded: the unit is old instead.
//! - `dirent_lost`, `rename_undone` excluded: such changes of names survive.
//!
//! Where two of these ask for opposite things, keeping wins over losing.
//!
//! # What never happens
//!
//! - A sector that a successful sync covered changes at a power loss, unless one of the *silent* faults
//!   takes effect on it.
//! - A read shows anything but the last completed or begun write of each byte, unless a fault whose
//!   name says so came to that read or to the platter below it.
//! - A rename shows neither name, or both, unless `split_rename` is set.
//! - A call fails, or a fault is counted, without an event in the trace that names it.
//! - A fault with rate 0 comes. Faults held back come no more, but their choices are made.
//!
//! # Faults
//!
//! Each is counted where it takes effect, with an event of file, offset and length. A call makes one
//! draw over all faults of its kind. Those of the groups *life*, *clock* and *scheduler* are the
//! machine's.
//!
//! | name | group | meaning |
//! |---|---|---|
//! | `power_loss` | ends of a life | The power goes: what was not synced has an uncertain fate. |
//! | `process_crash` | ends of a life | The process is killed: the page cache stays. |
//! | `crash_in_recovery` | ends of a life | A boot ends while the engine is still opening. |
//! | `lost_write` | at power loss, to what was not synced | An unsynced write leaves no trace. |
//! | `torn_write` | at power loss, to what was not synced | Some sectors of an unsynced write survive, others do not. |
//! | `reordered_writes` | at power loss, to what was not synced | A later unsynced write survives, an earlier one does not. |
//! | `all_but_one` | at power loss, to what was not synced | Every unsynced write survives but one. |
//! | `size_without_data` | at power loss, to what was not synced | A file is long enough, but the bytes written there are not. |
//! | `data_without_size` | at power loss, to what was not synced | Bytes reached the device, but the file's length does not cover them. |
//! | `file_extremes` | at power loss, to what was not synced | One file keeps all its unsynced writes, another none. |
//! | `garbage_sector` | at power loss, to what was not synced | An unsynced sector holds neither old nor new bytes. |
//! | `sub_sector_tear` | at power loss, to what was not synced | Of an unsynced sector only the first bytes are new. |
//! | `dirent_lost` | at power loss, to what was not synced | A name that was created or removed without a directory sync is as before. |
//! | `rename_undone` | at power loss, to what was not synced | A rename without a directory sync did not happen. |
//! | `eio_read` | errors | A read fails once with EIO. |
//! | `eio_read_sticky` | errors | A sector, or a run of them, cannot be read until it is written again. |
//! | `eio_write` | errors | A write fails with EIO; nothing, a part or all of it was applied. |
//! | `sync_fail_dirty` | errors | A sync fails with EIO; the pages stay dirty and a later sync may write them. |
//! | `sync_fail_clean` | errors | A sync fails with EIO; the pages are marked clean, the cache shows the new bytes, the platter has the old. |
//! | `sync_fail_dropped` | errors | A sync fails with EIO; the pages are marked clean and the cache shows the old bytes again. |
//! | `sync_fail_late` | errors | A sync loses its writes and says success; the next sync reports it. |
//! | `enospc` | errors | The device is full. |
//! | `short_read` | errors | A read returns fewer bytes than asked, before the end of the file. |
//! | `short_write` | errors | A write takes fewer bytes than given. |
//! | `eintr` | errors | A read or write is interrupted and did nothing. |
//! | `read_only` | errors | The file system turns read-only. |
//! | `device_gone` | errors | Every call fails with EIO until the next boot. |
//! | `lying_sync` | silent | A sync is acknowledged, its last writes stay in the device's cache. |
//! | `misdirected_write` | silent | A write lands on another place of the device. |
//! | `misdirected_read` | silent | A read returns the bytes of another place. |
//! | `phantom_write` | silent | A write is acknowledged and never done. |
//! | `bit_rot` | silent | One bit of the platter flips. |
//! | `bad_sector_run` | silent | A run of neighbouring sectors turns into garbage. |
//! | `read_corruption` | silent | A read returns a flipped bit; the platter is sound. |
//! | `zeroed_sector` | silent | A sector of the platter turns to zeros. |
//! | `old_image` | silent | The whole device shows an earlier state, as a restored snapshot does. |
//! | `shorn` | silent | Of a synced 4 KiB write only the first eighths are there after power loss. |
//! | `unserializable` | silent | Of two synced writes of a place the older is there after power loss. |
//! | `metadata_loss` | silent | Many unrelated recent sectors revert after power loss. |
//! | `false_device_claim` | silent | The device tells a larger sector or atomic unit than it honours. |
//! | `stall_op` | slow | One call takes long; others go on. |
//! | `stall_file` | slow | Calls of one file wait. |
//! | `stall_device` | slow | All calls of the device wait. |
//! | `slow_device` | slow | The device is a hundred times slower for this boot. |
//! | `wall_forward` | clock | The wall clock steps forward. |
//! | `wall_back` | clock | The wall clock steps back. |
//! | `wall_coarse` | clock | The wall clock counts whole seconds. |
//! | `wall_drift` | clock | The wall clock runs too fast or too slow. |
//! | `suspend` | clock | The machine sleeps: the monotonic clock jumps over it, the wall clock stands still. |
//! | `spurious_wake` | scheduler | A wait on a condition variable or a park ends for no reason. |
//! | `weak_cas_fail` | scheduler | A weak compare-exchange fails for no reason. |
//! | `spawn_fail` | scheduler | A thread cannot be spawned. |
//! | `starve` | scheduler | A runnable task gets no turn for a while. |
//!
//! # Left out
//!
//! Each of these is our choice, with its reason:
//!
//! - *A late error of close*: an engine closes a file by dropping it, as with the standard library,
//!   and a drop tells nothing. The next sync tells (`sync_fail_late`).
//! - *Hard links*: the seam has none, and no engine here wants one.
//! - *A stall that never ends*: to the engine it is the power loss that follows it, and no oracle
//!   could tell it from an engine that hangs.
//! - *A battery that is empty when the power goes*: what is lost then is what `lying_sync` loses.
//! - *Times of files* but for creation, *holes that are punched* and *reservations behind the end*:
//!   the seam has none.
//!
//! # Invariants
//!
//! - Platter, then pending operations in order, gives the page cache, but for pages that a failed sync
//!   left clean and lost.
//! - A pending operation is in exactly one log.
//! - Everything that differs between two runs of a seed would be a bug: directories and files are kept
//!   in order, and every decision is a choice.

mod boot;
mod calls;
mod cold;
mod directory;
mod errors;
mod export;
mod file;
mod latency;
mod model;
mod names;
mod pages;
mod platter;
mod policy;
mod preset;
mod rules;
mod settle;
mod silent;
mod sim_disk;
mod sync;
mod sync_fault;
mod tally;
mod writeback;

pub use calls::{Begun, WriteTicket};
pub use model::{DiskModel, Handle, Pending};
pub use platter::Platter;
pub use policy::SurvivalPolicy;
pub use preset::{
    DataOrder, DevicePreset, DeviceRules, DiskConfig, FsPreset, FsRules, SizeRule, TearUnit,
};
pub use settle::Loss;
pub use sim_disk::SimDisk;
pub use sync::SyncTicket;

#[cfg(test)]
mod tests;
