//! One transaction of a client, every answer of which is compared with the history.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::remark;
use super::witness::Witness;
use crate::engine::{Access, Database, EngineError, Order, Pair, Transaction};
use crate::oracle::history::{HEAD_KEY, History, VersionId, Write};
use crate::oracle::{Breach, invariant, read};

/// Why a transaction went no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The engine returned an error from that call; the witness has judged it.
    Engine(&'static str, EngineError),
    /// A promise was broken; the witness has it.
    Breach,
    /// The power has gone: what calls return now counts for nothing.
    Off,
}

/// One transaction.
pub struct Attempt<'a> {
    transaction: Box<dyn Transaction + 'a>,
    witness: &'a Witness,
    client: u32,
    head: VersionId,
    writes: BTreeMap<Vec<u8>, Write>,
}

impl<'a> Attempt<'a> {
    /// Begins a transaction, and learns on which state it stands.
    ///
    /// # Errors
    ///
    /// When the engine failed, or the state is not a recent one.
    pub fn begin(
        database: &'a dyn Database,
        witness: &'a Witness,
        access: Access,
        client: u32,
    ) -> Result<Self, Stop> {
        let acked = witness.history(History::acked);
        let begun = checked(witness, "begin", database.begin(access));
        let mut transaction = begun?;
        let head = checked(witness, "get", transaction.get(HEAD_KEY))?;
        let judged = witness.history(|history| read::judge_head(history, head.as_deref(), acked));
        let head = held(witness, judged)?;
        Ok(Attempt { transaction, witness, client, head, writes: BTreeMap::new() })
    }

    /// The client whose transaction it is, from 0.
    pub fn client(&self) -> u32 {
        self.client
    }

    /// The version on whose state it stands.
    pub fn head(&self) -> VersionId {
        self.head
    }

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// When the engine failed, or the value is not that of the state.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Stop> {
        let found = checked(self.witness, "get", self.transaction.get(key))?;
        let judged = self.witness.history(|history| {
            read::judge_get(history, self.head, &self.writes, key, found.as_deref())
        });
        held(self.witness, judged)?;
        Ok(found)
    }

    /// The number that a key holds, 0 when it is absent.
    ///
    /// # Errors
    ///
    /// As for [`Attempt::get`], and when it is no number.
    pub fn number(&mut self, key: &[u8]) -> Result<u64, Stop> {
        match self.get(key)? {
            None => Ok(0),
            Some(value) => held(self.witness, invariant::number(key, &value)),
        }
    }

    /// Sets a key.
    ///
    /// # Errors
    ///
    /// When the engine failed.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), Stop> {
        checked(self.witness, "put", self.transaction.put(key, value))?;
        self.writes.insert(key.to_vec(), Some(Arc::from(value)));
        Ok(())
    }

    /// Sets a key to a number.
    ///
    /// # Errors
    ///
    /// When the engine failed.
    pub fn put_number(&mut self, key: &[u8], number: u64) -> Result<(), Stop> {
        self.put(key, &number.to_le_bytes())
    }

    /// Removes a key.
    ///
    /// # Errors
    ///
    /// When the engine failed.
    pub fn delete(&mut self, key: &[u8]) -> Result<(), Stop> {
        checked(self.witness, "delete", self.transaction.delete(key))?;
        self.writes.insert(key.to_vec(), None);
        Ok(())
    }

    /// The pairs from `from` and below `to`.
    ///
    /// # Errors
    ///
    /// When the engine failed, or a pair is not that of the state.
    pub fn range(&mut self, from: &[u8], to: Option<&[u8]>) -> Result<Vec<Pair>, Stop> {
        let found = checked(self.witness, "range", self.transaction.range(from, to))?;
        let judged = self.witness.history(|history| {
            read::judge_range(history, self.head, &self.writes, (from, to), &found)
        });
        held(self.witness, judged)?;
        Ok(found)
    }

    /// The first `limit` pairs from `from` and below `to`, in an order.
    ///
    /// # Errors
    ///
    /// When the engine failed, or a pair is not that of the state.
    pub fn some(
        &mut self,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<Pair>, Stop> {
        let some = self.transaction.some(from, to, order, limit);
        let found = checked(self.witness, "some", some)?;
        let judged = self.witness.history(|history| {
            read::judge_some(history, self.head, &self.writes, (from, to), (order, limit), &found)
        });
        held(self.witness, judged)?;
        Ok(found)
    }

    /// Hands the verdict of a judge to the witness.
    ///
    /// # Errors
    ///
    /// When a promise was broken.
    pub fn hold(&self, judged: Result<(), Breach>) -> Result<(), Stop> {
        held(self.witness, judged)
    }

    /// Commits its writes, if there are any.
    ///
    /// # Errors
    ///
    /// When the engine failed, or acknowledged what cannot be.
    pub fn commit(self) -> Result<(), Stop> {
        let Attempt { mut transaction, witness, client, head, writes } = self;
        if writes.is_empty() {
            return checked(witness, "commit", transaction.commit()).map(|_| ());
        }
        let count = writes.len();
        let noun = if count == 1 { "write" } else { "writes" };
        let id = witness.enter(head, client, writes);
        remark("txn", || format!("txn {} on txn {}: {count} {noun}", id.0, head.0));
        let put = transaction.put(HEAD_KEY, &History::head_value(id));
        if let Err(stop) = checked(witness, "put", put) {
            witness.fail(id, false);
            return Err(stop);
        }
        let committed = transaction.commit();
        if falconry_sim::is_off() {
            return Err(Stop::Off);
        }
        match committed {
            Ok(promise) => {
                remark("ack", || format!("txn {} acknowledged, {promise:?}", id.0));
                held(witness, witness.acknowledge(id, promise))
            }
            Err(error) => {
                remark("ack", || format!("txn {} failed: {error}", id.0));
                witness.fail(id, !error.is_transient());
                witness.error("commit", &error);
                Err(Stop::Engine("commit", error))
            }
        }
    }

    /// Rolls back.
    ///
    /// # Errors
    ///
    /// When the engine failed.
    pub fn roll_back(self) -> Result<(), Stop> {
        checked(self.witness, "rollback", self.transaction.rollback())
    }
}

/// What a call of the engine returned, with its error judged.
pub(super) fn checked<T>(
    witness: &Witness,
    call: &'static str,
    result: Result<T, EngineError>,
) -> Result<T, Stop> {
    if falconry_sim::is_off() {
        return Err(Stop::Off);
    }
    result.map_err(|error| {
        witness.error(call, &error);
        Stop::Engine(call, error)
    })
}

/// A verdict, handed to the witness.
fn held<T>(witness: &Witness, judged: Result<T, Breach>) -> Result<T, Stop> {
    if falconry_sim::is_off() {
        return Err(Stop::Off);
    }
    judged.map_err(|breach| {
        witness.breach(breach);
        Stop::Breach
    })
}
