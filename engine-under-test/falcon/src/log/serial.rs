//! The log as its users see it: append, flush, stop.
//!
//! # Method
//!
//! Appends copy a record into the open block, under a lock. Who needs one durable waits for its block,
//! or becomes the writer: it seals the open block, lets others append to the next one, writes and syncs
//! alone, and hands on. Where others are flushing too, one lets them run once before it does so: on a fast
//! disk a write is over before anybody else has come, and every record would have a block of its own, while
//! so they share one, and most of them find it written and never sleep. A block that is full is written by
//! whoever finds it full. Where the files have
//! all the size that they may have, appends sleep until the start of recovery moves on; the first of
//! them that sees it has moved writes a block that names it, and with that the other file is free.
//!
//! # Invariant
//!
//! One block is written at a time, and begun only when the one before it is durable. After an error of
//! the disk nothing is written any more, nor is a sync tried again.

use std::collections::VecDeque;

use falconry_seam::sync::atomic::{AtomicUsize, Ordering};
use falconry_seam::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use falconry_seam::{planted, thread};

use super::LogConfig;
use super::block::BlockNumber;
use super::files::Files;
use super::record::RecordKind;
use super::state::{Block, LogCounters, Room, Sealed, State};
use crate::lockfree::hand_over::{HandOver, Turn, Writer};
use crate::{Error, Lsn, Result, StopReason};

/// What an append does where the files are full and recovery needs all that is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// It waits until recovery needs less.
    Stalls,
    /// It goes beyond the bound.
    Overruns,
}

/// One of the threads that make something durable, for as long as it does.
struct Flushing<'a>(&'a AtomicUsize);

impl<'a> Flushing<'a> {
    /// Counts one more, and lets the others run if there are any.
    fn of(count: &'a AtomicUsize) -> Self {
        // Relaxed: it only tells whether company is likely.
        let others = count.fetch_add(1, Ordering::Relaxed);
        let flushing = Flushing(count);
        if others > 0 {
            thread::yield_now();
        }
        flushing
    }
}

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The serial log. Threads share it.
pub struct Log {
    pub(super) files: Files,
    config: LogConfig,
    state: Mutex<State>,
    /// Appends that found the files full sleep here.
    room: Condvar,
    /// Its places are numbers of blocks.
    hand_over: HandOver<Error>,
    /// Threads that make something durable.
    flushing: AtomicUsize,
    /// What everybody gets if a writer leaves without a word.
    abandoned: Error,
}

impl Log {
    /// A log that ends with `blocks`, the last of which has the bytes `image`.
    pub(super) fn at(
        files: Files,
        config: LogConfig,
        blocks: VecDeque<Block>,
        image: Arc<Vec<u8>>,
    ) -> Log {
        let last = blocks.back().expect("a log has a block").header.number;
        Log {
            files,
            config,
            state: Mutex::new(State::new(config, blocks, image)),
            room: Condvar::new(),
            hand_over: HandOver::new(last.0),
            flushing: AtomicUsize::new(0),
            abandoned: Error::Stopped("a thread ended while it wrote the log".into()),
        }
    }

    /// Appends one record, made of all the parts, and returns the place after it: once the log is
    /// durable up to there, the record is. Waits while the files have no room.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] for a record beyond [`LogConfig::record_bytes_max`], and [`Error::Stopped`].
    /// Nothing was appended.
    pub fn append(&self, kind: RecordKind, parts: &[&[u8]]) -> Result<Lsn> {
        self.append_as(Patience::Stalls, kind, parts)
    }

    /// As [`Log::append`], but never waits for the start of recovery to move on: where the files are full
    /// they grow beyond [`LogConfig::file_bytes_max`]. It is for whoever holds what the start of recovery
    /// would have to wait for, latches of pages say, and has made sure before that the log does not grow
    /// without bound, by [`Log::used_bytes`] and [`Log::capacity_bytes`]. It still waits while the open
    /// block is full.
    ///
    /// # Errors
    ///
    /// As [`Log::append`].
    pub fn append_urgent(&self, kind: RecordKind, parts: &[&[u8]]) -> Result<Lsn> {
        self.append_as(Patience::Overruns, kind, parts)
    }

    fn append_as(&self, patience: Patience, kind: RecordKind, parts: &[&[u8]]) -> Result<Lsn> {
        let bytes = parts.iter().map(|part| part.len()).sum();
        let bytes_max = self.config.record_bytes_max();
        if bytes > bytes_max {
            return Err(Error::TooLong { bytes, bytes_max });
        }
        let mut has_stalled = false;
        let mut state = self.lock();
        loop {
            if let Some(why) = self.hand_over.stopped() {
                return Err(why);
            }
            match state.room(bytes) {
                Room::Here => return Ok(state.append(kind, parts, bytes)),
                Room::After(number) => {
                    drop(state);
                    self.wait(number)?;
                    state = self.lock();
                }
                Room::Stalled if patience == Patience::Overruns => {
                    state.counters.overruns += 1;
                    return Ok(state.append(kind, parts, bytes));
                }
                Room::Stalled => {
                    state.counters.stalls += u64::from(!has_stalled);
                    has_stalled = true;
                    // The log cannot stop unseen: who stops it takes this lock before it wakes us.
                    state.stalled += 1;
                    state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
                    state.stalled -= 1;
                }
            }
        }
    }

    /// Waits until all before `upto` is durable, a place that an append has returned.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`]. What of the records before `upto` is durable is told by the next opening.
    pub fn flush(&self, upto: Lsn) -> Result<()> {
        let number = {
            let mut state = self.lock();
            if upto <= state.durable {
                return Ok(());
            }
            let end = state.end();
            assert!(upto <= end, "a flush up to {upto}, and the log ends at {end}");
            state.counters.flushes_waited += 1;
            match upto <= state.open_first || planted!("commit_waits_for_earlier_block") {
                true => BlockNumber(state.open_number.0 - 1),
                false => state.open_number,
            }
        };
        let _flushing = Flushing::of(&self.flushing);
        self.wait(number)
    }

    /// Says that recovery needs nothing before `lsn`, where a record begins or the log ends. What is
    /// before can be read until a block that says so is durable, and not any more then. A place before
    /// the present one changes nothing. Returns whether it has moved on.
    pub fn set_recovery_start(&self, lsn: Lsn) -> bool {
        let moves = self.lock().set_recovery_start(lsn);
        self.room.notify_all();
        moves
    }

    /// Stops the log for good: whoever waits or comes later gets [`Error::Stopped`], unless what it asks
    /// for is durable. The first reason stands.
    pub fn stop(&self, why: impl Into<StopReason>) {
        self.hand_over.stop(Error::Stopped(why.into()));
        self.wake_stalled();
    }

    /// The place after the last record that was appended.
    pub fn end(&self) -> Lsn {
        self.lock().end()
    }

    /// All before this place is durable.
    pub fn durable(&self) -> Lsn {
        self.lock().durable
    }

    /// Where the oldest record is that can be read: where recovery would start.
    pub fn retained_from(&self) -> Lsn {
        self.lock().from()
    }

    /// Bytes of the files that recovery would have to read if it came now: from the block with the durable
    /// start of recovery to the end of the open block, padding and superseded blocks between them included.
    /// They become fewer when a block is durable that names a later start, not before: see
    /// [`Log::set_recovery_start`].
    pub fn used_bytes(&self) -> u64 {
        self.lock().used_bytes()
    }

    /// How far [`Log::used_bytes`] can grow with no [`Log::append`] ever waiting for the start of recovery.
    /// It is the bound of one file without its header and the largest block: what is in the other file is
    /// room on top that is not promised.
    pub fn capacity_bytes(&self) -> u64 {
        let LogConfig { file_bytes_max, window_bytes, block_bytes, .. } = self.config;
        file_bytes_max - u64::from(window_bytes) - u64::from(block_bytes)
    }

    /// Why the log has stopped, if it has: nothing that is not durable will be any more.
    pub fn is_stopped(&self) -> Option<Error> {
        self.hand_over.stopped()
    }

    /// The most bytes that one record may have.
    pub fn record_bytes_max(&self) -> usize {
        self.config.record_bytes_max()
    }

    /// What was counted since the log was opened.
    pub fn counters(&self) -> LogCounters {
        self.lock().counters
    }

    /// Waits until a block is durable, and writes it if nobody else does.
    fn wait(&self, number: BlockNumber) -> Result<()> {
        match self.hand_over.wait(number.0, self.abandoned.clone()) {
            Turn::Durable => Ok(()),
            Turn::Stopped(why) => Err(why),
            Turn::Writer(writer) => self.write(writer, number),
        }
    }

    /// Writes the open block, as the only writer.
    fn write(&self, writer: Writer<'_, Error>, number: BlockNumber) -> Result<()> {
        /// Wakes those who wait for room however the write ends: also when the writer panics.
        struct Wake<'a>(&'a Log);
        impl Drop for Wake<'_> {
            fn drop(&mut self) {
                self.0.wake_stalled();
            }
        }
        let _wake = Wake(self);
        // What is dropped last is declared first: the log has stopped before anybody is woken.
        let writer = writer;
        let sealed = self.lock().seal();
        let sealed_number = sealed.block.header.number;
        assert_eq!(sealed_number, number, "the writer was chosen for another block");
        let durable = BlockNumber(self.hand_over.durable());
        assert_eq!(durable.0 + 1, number.0, "the block before this one is not durable");
        if let Err(error) = self.put_down(&sealed) {
            let why = Error::Stopped(StopReason::from(&error));
            writer.finish(Err(why.clone()));
            // Somebody may have stopped it before for another reason, which is the one that stands.
            return Err(self.hand_over.stopped().unwrap_or(why));
        }
        self.lock().written();
        writer.finish(Ok(number.0));
        Ok(())
    }

    fn put_down(&self, sealed: &Sealed) -> Result<()> {
        let place = sealed.block.place;
        if sealed.switches {
            self.files.cut(place.file, self.config.file_bytes)?;
        }
        self.files.write(place, &sealed.image)?;
        self.files.sync(place.file)
    }

    fn wake_stalled(&self) {
        // Taken so that nobody is between looking and falling asleep.
        let has_stalled = self.lock().stalled > 0;
        if has_stalled {
            self.room.notify_all();
        }
    }

    /// Locks, whoever panicked before: every change of the state is whole before anything can panic.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use falconry_sim::choice::Choices;
    use falconry_sim::{Machine, MachineConfig};

    use super::*;

    #[test]
    fn a_writer_that_leaves_without_a_word_stops_the_log() {
        let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
        machine.run(|ctx| {
            let names = [Path::new("log1"), Path::new("log2")];
            let disk = ctx.disk();
            let log = Log::create(&*disk, names, LogConfig::default(), 7).expect("no fault");
            let end = log.append(RecordKind(0), &[b"x"]).expect("there is room");
            drop(log.hand_over.wait(2, log.abandoned.clone()));
            let told = log.flush(end).expect_err("it has stopped").to_string();
            assert_eq!(told, "the engine has stopped: a thread ended while it wrote the log");
            let later = log.append(RecordKind(0), &[b"y"]).expect_err("it has stopped");
            assert_eq!(later.to_string(), told);
        });
    }

    #[test]
    #[should_panic(expected = "a flush up to 9, and the log ends at 0")]
    fn a_flush_of_what_was_not_appended_is_a_mistake() {
        let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(0));
        machine.run(|ctx| {
            let names = [Path::new("log1"), Path::new("log2")];
            let disk = ctx.disk();
            let log = Log::create(&*disk, names, LogConfig::default(), 7).expect("no fault");
            let _ = log.flush(Lsn(9));
        });
    }
}
