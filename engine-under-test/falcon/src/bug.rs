//! Bugs of the historic Falcon, and others of their kinds, that can be planted here.
//!
//! # Method
//!
//! Each bug is a switch in the code, `planted!("name")`, at the place where it would be made: the engine is
//! whole unless a simulated machine was told to plant it. Numbers are those of the list of Falcon's bug classes
//! that this engine was designed by; sources are of its public bug tracker and its log of changes, or *seen*
//! when the last tree has the flaw and nobody reported it; *kind of* one says that ours is another of its kind.
//!
//! # Invariant
//!
//! Every switch in the code has a bug here, and every bug here at least one switch.

use std::fmt;

macro_rules! bugs {
    ($($(#[$told:meta])* $bug:ident, $name:literal, $number:literal, $source:literal, $story:literal;)*) => {
        /// A bug that can be planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Bug {
            $($(#[$told])* $bug,)*
        }

        impl Bug {
            /// All of them, by their numbers.
            pub const ALL: &[Bug] = &[$(Bug::$bug,)*];
            /// Their names, in the same order.
            pub const NAMES: &[&str] = &[$($name,)*];

            /// The name by which it is planted.
            pub fn name(self) -> &'static str {
                match self {
                    $(Bug::$bug => $name,)*
                }
            }

            /// The number of its class in the list of Falcon's bug classes.
            pub fn number(self) -> u8 {
                match self {
                    $(Bug::$bug => $number,)*
                }
            }

            /// Where its class was described.
            pub fn source(self) -> &'static str {
                match self {
                    $(Bug::$bug => $source,)*
                }
            }

            /// What is wrong, in one line.
            pub fn story(self) -> &'static str {
                match self {
                    $(Bug::$bug => $story,)*
                }
            }
        }
    };
}

bugs! {
    /// A checkpoint remembered the pages to be written by number alone, although every tablespace has a page
    /// of that number. One of two such pages was written, and both were taken for durable. Broken: what was
    /// dirty when a checkpoint began is durable when it ends.
    DirtyListWithoutTablespace, "dirty_list_without_tablespace", 1, "WL#4479, Bug#39706",
        "a checkpoint tells dirty pages apart by number, not by tablespace";
    /// Whether a page was dirty, listed and being written were parts of one word that threads changed without
    /// care, so that a mark made during a write of the page got lost. Here a page that is being written counts
    /// as marked already. Broken: a dirty page is on the list, and is written.
    MarkLostWhileWritten, "mark_lost_while_written", 2, "Bug#36294, Bug#36367",
        "a change of a page that is being written does not make it dirty again";
    /// The checkpoint was over when the list of pages was empty, while another thread still wrote the last run.
    /// The log that described these pages was given up, and a crash then lost them. Broken: what was dirty
    /// when a checkpoint began is durable when it ends.
    CheckpointWithWriteInFlight, "checkpoint_with_write_in_flight", 3, "seen",
        "a checkpoint does not wait for the runs that I/O threads still write";
    /// Recovery started the write of all pages and returned, and the log was used anew before that write had
    /// ended. A second crash then found neither pages nor log. Broken: what recovery redid is redone again
    /// until its pages are durable.
    RecoveryEndsBeforeItsFlush, "recovery_ends_before_its_flush", 4, "log of 2008-01-19",
        "after recovery the log is given up before the pages are written";
    /// A tablespace's first inventory page came without the bits of its reserved pages, so that these were
    /// given away like any other. Broken: the fixed pages of a file are never allocated.
    ReservedPagesNotMarked, "reserved_pages_not_marked", 6, "Bug#42392",
        "the first inventory page of a new file calls the reserved pages free";
    /// A page that joins a section was made on one path without a record of the log; only the link to it was
    /// logged. After a crash the link led to a page that never was. Broken: every page that can be
    /// reached is durable or in the log.
    LocatorPageNotLogged, "locator_page_not_logged", 7, "Bug#40946",
        "a new locator page is linked in the log, and not made there";
    /// The same for the value of a sequence: numbers were given out of memory, and the page learned of them later
    /// or never. Here a sequence is raised in memory alone. Broken: a number that was given out is not given out
    /// again.
    SequenceRaisedInMemory, "sequence_raised_in_memory", 7, "kind of Bug#40946",
        "a sequence gives out numbers above the value that is durable";
    /// In a record of the log page 0 meant that there is no page, and redo took it for one. So it built links
    /// to the header of the file. Broken: nothing leads to the header.
    PageZeroRedone, "page_zero_redone", 8, "Bug#42448",
        "redo takes the number 0, which says that there is no page, for page 0";
    /// The creation of an index logged its place among the roots, and not the root itself. Broken: an index that
    /// is known has a root that is valid.
    IndexRootNotLogged, "index_root_not_logged", 9, "Bug#42560",
        "the root page of a new index is not logged";
    /// A tree was rebuilt image by image, and what a crash within recovery left of that passed for the whole. Here
    /// the first change that redo makes to a page stamps it with the end of the log. Broken: a page says no
    /// more than what was redone.
    RedoStampsLogEnd, "redo_stamps_log_end", 11, "Bug#39025",
        "redo stamps a page with the end of the log, not of the record";
    /// An insertion found its leaf, let it go to latch it exclusively, and did not look again. Another thread
    /// had split it meanwhile, and a row's entry went where nobody looks for it; into a branch, if the leaf was
    /// the root. Broken: an entry is in the leaf whose range it is in.
    NodeLatchedWithoutLook, "node_latched_without_look", 12, "Bug#43765",
        "an insertion does not look again at the node that it has latched";
    /// Recovery counts how often a page was freed and made anew, in two passes, and redoes only what came
    /// after the last time. One pass left out what the other counted, so that the last life of a page was taken
    /// for an earlier one. Broken: both passes come to the same count.
    FreedCountedInOnePass, "freed_counted_in_one_pass", 13, "Bug#41840",
        "the second pass of recovery does not count that a page was freed";
    /// Redo changed pages that had the change already, for they were written after it. Broken: redo
    /// changes a page only if its place in the log is older than the record.
    RedoIgnoresPageLsn, "redo_ignores_page_lsn", 14, "Bug#43106",
        "redo does not compare the page's place in the log";
    /// A long record that was replaced left the pages of its old tail in use. Broken: every page that is in use
    /// belongs to something.
    OldOverflowNotFreed, "old_overflow_not_freed", 15, "Bug#41840",
        "a record that is replaced or deleted leaves its overflow pages behind";
    /// Pages of something that was dropped stayed in use for ever when a crash came between. Here the row of a dropped
    /// table goes from the catalogue first, and nothing tells of its pages then. Broken: every page that is in
    /// use belongs to something.
    RowGoesBeforePages, "row_goes_before_pages", 15, "kind of Bug#41840",
        "the catalogue forgets a dropped table before its pages are free";
    /// The same within one step: the page that leads to others learns in one record of the log that they are gone, and
    /// the inventory in the next, when that one is durable.
    UnlinkedBeforeFreed, "unlinked_before_freed", 15, "kind of Bug#41840",
        "pages of a dropped table are unlinked by one record and freed by another";
    /// Recovery left out records that were older than the checkpoint, also those whose effect the checkpoint
    /// did not cover. Here the place is taken when the pages have been written, and covers what changed
    /// meanwhile. Broken: recovery skips only what a checkpoint made durable.
    CheckpointBoundTakenLate, "checkpoint_bound_taken_late", 16, "Bug#42745",
        "a checkpoint says that it covers what changed while it ran";
    /// The same for what is not on pages at all: a transaction that is committed, and that no gopher has
    /// applied yet, lies in the log alone.
    UnappliedForgotten, "unapplied_forgotten", 16, "Bug#42745",
        "a checkpoint gives up the log of transactions that are not on pages yet";
    /// A gopher said that its transaction was done when it took it up. A crash before the end left the
    /// transaction half on pages, and recovery passed it by. Broken: what the log calls applied is on
    /// pages, or in the log as changes of pages.
    AppliedBeforePages, "applied_before_pages", 16, "Bug#42745",
        "the log calls a transaction applied before its rows are on pages";
    /// Recovery read the catalogue of tablespaces once, before all of it was recovered, and later worked with
    /// what it had read. Broken: recovery needs nothing that it has not recovered.
    CatalogueNotReadAgain, "catalogue_not_read_again", 17, "Bug#42745, Bug#41837",
        "recovery makes a table, and does not read the catalogue again";
    /// Recovery repeated a drop, and what it removed was newer than that: it had the place of what was dropped. Here
    /// every drop in the log is applied again, also those that were applied. Broken: what is dropped is what was
    /// named at that time.
    DropRedoneOnNewer, "drop_redone_on_newer", 18, "Bug#39789",
        "recovery repeats a drop that was done, on what has its place by now";
    /// An opening that failed was taken to mean that there is no database, and a new one was made over the
    /// old one. Here the mark of a creation that was cut off is believed although the creation was complete,
    /// and its removal is not made durable. Broken: a database is never made over another.
    RecreatedOverItself, "recreated_over_itself", 19, "Bug#39138, Bug#34086",
        "a mark that outlived the creation makes the next opening create the database anew";
    /// An update of an index whose first part was empty was taken to be empty as a whole, and was not logged.
    /// Broken: every row has its entries.
    EntryOfEmptyLeafNotLogged, "entry_of_empty_leaf_not_logged", 28, "Bug#40112",
        "the first entry of an empty leaf is not logged";
    /// With several gophers a small transaction came to pages before a large one that had committed earlier,
    /// and the older row won. Here the locks are given back when a gopher takes the transaction up. Broken: a
    /// page has what was committed last.
    LocksReleasedBeforeApply, "locks_released_before_apply", 29, "log of 2008-01-19",
        "locks are given back before the transaction is on pages";
    /// The same for a sequence, whose raises hold no lock: the earlier one came to the page last, and took back what
    /// the later one had said. Broken: the value of a sequence only rises.
    SequenceLowered, "sequence_lowered", 29, "kind of the log of 2008-01-19",
        "of two raises of a sequence the one that comes to the page last counts";
    /// A drop overtook what was committed before it, and gophers then worked on what was gone. Here a drop
    /// does not lock its table. Broken: what a transaction has changed is there until it is applied.
    DropWaitsForNobody, "drop_waits_for_nobody", 31, "Bug#36396, Bug#37587",
        "a table is dropped without its lock, while transactions use it";
    /// Those who waited for a transaction were woken first, and its state was changed after that. Whoever was
    /// quick looked, saw no change, and slept for ever. Broken: a wait ends when its reason has ended.
    WaiterWokenBeforeChange, "waiter_woken_before_change", 32, "Bug#38947",
        "those who wait for a transaction are woken before it counts as applied";
    /// A wait that took too long was given up, and the transaction still stood in the queue. Broken: who
    /// does not wait is not waited for.
    TimeOutLeavesItsWait, "time_out_leaves_its_wait", 32, "Bug#37725",
        "a wait for a lock that timed out stays in the queue";
    /// The record of who waits for whom outlived the wait of a transaction that was refused because of a
    /// deadlock. Broken: who does not wait is not waited for.
    DeadlockLeavesItsWait, "deadlock_leaves_its_wait", 33, "Bug#41665",
        "a request that is refused because of a deadlock stays in the queue";
    /// A reader met a row that another transaction was just putting in, and took it or left it by chance. Here
    /// who reads a row does not lock it. Broken: a reader sees the whole of a transaction or nothing.
    ReadWithoutItsLock, "read_without_its_lock", 37, "Bug#41742, Bug#39431",
        "rows that are read are not locked";
    /// Two insertions of one key both found it free. The check and the insertion were two steps, with nothing
    /// that held the key in between. Broken: there are no two rows with one unique key.
    UniqueKeyNotLocked, "unique_key_not_locked", 39, "Bug#35322, Bug#42828",
        "keys of unique indexes are looked up and not locked";
    /// What was dropped had numbers that others went on to use. Here a transaction that waited for a table while it was
    /// dropped does not look whether it is there still. Broken: a table that is used is there.
    LockGrantedWithoutLook, "lock_granted_without_look", 40, "kind of Bug#39845",
        "who waited for the lock of a table does not look whether it was dropped";
    /// A row's old key stayed in an index beside the new one, and a scan met the row twice. Here the keys of a
    /// row that is deleted stay. Broken: an index leads to rows that have the key.
    OldKeyLeftInIndex, "old_key_left_in_index", 41, "Bug#43452, Bug#42405",
        "keys of deleted rows stay in the indexes";
    /// When a write of the log failed, some who waited for it were told that it had succeeded. Here a commit
    /// waits for the block before its own. Broken: a commit that was acknowledged is durable.
    CommitWaitsForEarlierBlock, "commit_waits_for_earlier_block", 42, "Bug#39912",
        "a commit waits for the block of the log before its own";
    /// A shutdown waited for threads that nobody had told. Here one gopher is told, whatever their number.
    /// Broken: a shutdown ends.
    ShutdownWakesOneGopher, "shutdown_wakes_one_gopher", 44, "Bug#40633",
        "a shutdown wakes one gopher of several";
    /// A page went to the disk before the log that describes it. After a crash it was ahead of the log, and what
    /// the log said next of it was taken for done. Broken: no page is written before its log is durable.
    PageBeforeLog, "page_before_log", 47, "seen",
        "pages are written without waiting for the log";
    /// A page that a crash had torn was fatal, although there could have been a copy. Here no copies are made
    /// where the disk cannot write a page at once, unless the user asks for them. Broken: a database
    /// survives a write that is cut off.
    TornPageGivenUp, "torn_page_given_up", 48, "seen",
        "pages that a crash can tear are not copied";
    /// The same with copies that are made, and not durable when the page itself is written: the crash that
    /// tears the page takes the copy too.
    CopyNotDurable, "copy_not_durable", 48, "seen",
        "a page is written before its copy is durable";
    /// Pages of long records were written apart from the log, and the commit did not make sure of them. Here the
    /// pages of a record's tail are linked in the log and not made there. Broken: what was committed
    /// can be read.
    OverflowPageNotLogged, "overflow_page_not_logged", 49, "seen",
        "overflow pages are not logged";
    /// A wait for pages was over when they had been handed to the system. Here a checkpoint does not sync them.
    /// Broken: what the log gives up is durable.
    CheckpointWithoutSync, "checkpoint_without_sync", 49, "seen",
        "a checkpoint writes pages and does not sync them";
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_words_in_lower_case_and_no_two_are_equal() {
        let names: BTreeSet<&str> = Bug::NAMES.iter().copied().collect();
        assert_eq!(names.len(), Bug::ALL.len());
        for (bug, name) in Bug::ALL.iter().zip(Bug::NAMES) {
            assert_eq!((bug.name(), bug.to_string().as_str()), (*name, *name));
            let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            assert!(name.bytes().all(is_word), "{name}");
        }
    }

    #[test]
    fn each_has_a_number_and_a_story_of_one_line() {
        assert!(Bug::ALL.is_sorted_by_key(|bug| bug.number()));
        for bug in Bug::ALL {
            assert!((1..=50).contains(&bug.number()), "{bug}: {}", bug.number());
            assert!(!bug.source().is_empty() && bug.story().len() > 20, "{bug}");
            assert!(!bug.story().contains('\n') && !bug.story().ends_with('.'), "{bug}");
        }
    }
}
