//! Sequences as clients see them.
//!
//! # Method
//!
//! All callers of a sequence share its state: what was given out last, and up to where it may go on without a
//! raise. Who finds the batch used up raises the value while the others wait, for they need it as well. The
//! value on the page is looked at when the first number is asked for: recovery has brought all raises there.
//!
//! # Invariant
//!
//! What is given out never goes beyond the last raise that is durable.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use falconry_seam::planted;
use falconry_seam::sync::{Mutex, MutexGuard, PoisonError};

use super::pages;
use crate::db::{Engine, RowChange, What};
use crate::page::RecordNumber;
use crate::page::key::KeyValue;
use crate::{Error, Result, SequenceId, TableId, TxnId, row, txn};

/// Raises of a sequence that may wait for gophers.
const UNAPPLIED_MAX: usize = 16;

/// What an open database knows of a sequence.
pub(crate) struct SequenceInfo {
    pub(crate) id: SequenceId,
    /// Its row in the catalogue.
    pub(crate) record: RecordNumber,
    /// Which value of those on sequence pages is its.
    pub(crate) place: u32,
    pub(crate) name: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The number that was given out last.
    given: i64,
    /// Up to where numbers may be given out; unknown until the first is asked for.
    durable: Option<i64>,
    /// The transactions that raised it, as far as they may not be on pages yet.
    raised_by: VecDeque<TxnId>,
    is_dropped: bool,
}

/// A sequence of an open database: 1, 2, 3 and so on, each number once, however many threads ask and whatever
/// crashes come between. A crash may leave numbers out. Clones are the same sequence.
#[derive(Clone)]
pub struct Sequence<'d> {
    engine: &'d Engine,
    info: Arc<SequenceInfo>,
}

impl SequenceInfo {
    pub(crate) fn new(
        id: SequenceId,
        record: RecordNumber,
        place: u32,
        name: String,
    ) -> SequenceInfo {
        SequenceInfo { id, record, place, name, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_there(&self, state: &State) -> Result<()> {
        match state.is_dropped {
            true => Err(Error::Dropped { what: "sequence", name: self.name.clone() }),
            false => Ok(()),
        }
    }

    /// Makes a value durable that is higher than all before.
    fn raise(&self, engine: &Engine, state: &mut State, value: i64) -> Result<()> {
        if planted!("sequence_raised_in_memory") {
            return Ok(());
        }
        let txn = engine.new_txn();
        let change = RowChange {
            table: TableId(self.id.0),
            record: RecordNumber(0),
            what: What::Raise,
            row: row::encode(&[KeyValue::I64(value)]),
            old_keys: Vec::new(),
        };
        if state.raised_by.len() == UNAPPLIED_MAX
            && let Some(first) = state.raised_by.pop_front()
        {
            engine.pending.wait_for(first);
        }
        txn::commit_changes(engine, txn, vec![change])?;
        engine.counters.sequence_raises.add(1);
        state.raised_by.push_back(txn);
        Ok(())
    }
}

impl<'d> Sequence<'d> {
    /// The handle of an open sequence.
    pub(crate) fn new(engine: &'d Engine, info: Arc<SequenceInfo>) -> Sequence<'d> {
        Sequence { engine, info }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// The next number, which nobody was given before. The first is 1. One of each
    /// [batch](crate::Options::sequence_batch) takes as long as a commit.
    ///
    /// # Errors
    ///
    /// [`Error::Dropped`]; [`Error::TooMany`] after `i64::MAX`; [`Error::Damaged`] and [`Error::Io`] for the
    /// first number since the opening; [`Error::OutcomeUnknown`] and [`Error::Stopped`]. No number was given
    /// out.
    pub fn next(&self) -> Result<i64> {
        let Sequence { engine, info } = self;
        engine.check_running()?;
        let mut state = info.state();
        info.check_there(&state)?;
        let durable = match state.durable {
            Some(durable) => durable,
            None => {
                state.given = pages::value(&engine.store, info.place)?;
                state.given
            }
        };
        state.durable = Some(durable);
        if state.given == durable {
            if durable == i64::MAX {
                let limit = i64::MAX.cast_unsigned();
                return Err(Error::TooMany { what: "numbers of a sequence", limit });
            }
            let raised = durable.saturating_add(engine.sequence_batch.into());
            info.raise(engine, &mut state, raised)?;
            state.durable = Some(raised);
        }
        state.given += 1;
        engine.counters.sequence_numbers.add(1);
        Ok(state.given)
    }
}

/// Ends a sequence for all who have it, if `drop` succeeds: that is called when no raise of it is under way.
///
/// # Errors
///
/// [`Error::Dropped`], or that of `drop`: the sequence goes on.
pub(crate) fn end(
    engine: &Engine,
    info: &SequenceInfo,
    drop: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let mut state = info.state();
    info.check_there(&state)?;
    // A raise that is applied behind the end would be of nothing that anybody knows.
    state.raised_by.iter().for_each(|txn| engine.pending.wait_for(*txn));
    drop()?;
    state.is_dropped = true;
    Ok(())
}

impl fmt::Debug for Sequence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sequence").field(&self.name()).finish()
    }
}
