//! Lanes: many histories in one database, each of one client.
//!
//! # Method
//!
//! A transaction of the workloads names the one on whose state it stands, so that all of a history stand in
//! one line, and an engine has little to do at once. In lanes each client has a line of its own: its keys end
//! with the number of its lane, so that neighbours in the order of keys are of different clients, and what
//! it reads is what its lane has. Clients then wait for each other only where the engine lets them.
//!
//! # Invariant
//!
//! Keys of a lane are in the order of the keys that the workload knows.

use crate::engine::{Access, Database, EngineError, Pair, Promise, Transaction};
use crate::oracle::{Breach, show_key, show_value};
use crate::run::Property;

/// The number of a lane, from 0.
pub type LaneNumber = u8;

/// What ends a key of the lane. Keys of workloads are text, and no text has the first of these bytes: so a
/// key stays before those that it begins.
fn suffix(lane: LaneNumber) -> [u8; 2] {
    [0, lane]
}

fn in_lane(key: &[u8], lane: LaneNumber) -> Vec<u8> {
    [key, &suffix(lane)].concat()
}

/// The pairs of one lane, by the keys that the workload knows.
pub fn of_lane(state: &[Pair], lane: LaneNumber) -> Vec<Pair> {
    let end = suffix(lane);
    let own = |(key, value): &Pair| Some((key.strip_suffix(&end)?.to_vec(), value.clone()));
    state.iter().filter_map(own).collect()
}

/// Judges that each pair of a state is of one of so many lanes; of a single one all are.
pub fn strangers(state: &[Pair], lanes: usize) -> Option<Breach> {
    let is_known = |key: &[u8]| match key {
        [.., 0, lane] => usize::from(*lane) < lanes,
        _ => false,
    };
    let (key, value) = state.iter().find(|(key, _)| lanes > 1 && !is_known(key))?;
    let sentence = "a record is there that is of no client";
    let breach = Breach::new(Property::Atomicity, sentence, "state");
    Some(breach.row("found", format!("{} = {}", show_key(key), show_value(Some(value)))))
}

/// One lane of a database.
pub struct Lane<'a> {
    /// The whole.
    pub database: &'a dyn Database,
    /// Which lane.
    pub number: LaneNumber,
}

impl Database for Lane<'_> {
    fn begin(&self, access: Access) -> Result<Box<dyn Transaction + '_>, EngineError> {
        let transaction = self.database.begin(access)?;
        Ok(Box::new(LaneTransaction { transaction, lane: self.number }))
    }

    fn upkeep(&self) -> Result<(), EngineError> {
        self.database.upkeep()
    }

    fn close(self: Box<Self>) -> Result<Promise, EngineError> {
        Err(EngineError::Refused { what: "a lane is closed with its database".into() })
    }
}

struct LaneTransaction<'a> {
    transaction: Box<dyn Transaction + 'a>,
    lane: LaneNumber,
}

impl Transaction for LaneTransaction<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.transaction.get(&in_lane(key, self.lane))
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        self.transaction.put(&in_lane(key, self.lane), value)
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), EngineError> {
        self.transaction.delete(&in_lane(key, self.lane))
    }

    fn range(&mut self, from: &[u8], to: Option<&[u8]>) -> Result<Vec<Pair>, EngineError> {
        // A bound without suffix is before all keys of the lanes that it begins, and behind those before it.
        self.transaction.range(from, to).map(|state| of_lane(&state, self.lane))
    }

    fn commit(self: Box<Self>) -> Result<Promise, EngineError> {
        self.transaction.commit()
    }

    fn rollback(self: Box<Self>) -> Result<(), EngineError> {
        self.transaction.rollback()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_lane_keep_their_order_and_bounds_without_suffix_hold() {
        let keys: [&[u8]; 6] = [b"\0head", b"k", b"k0", b"k00", b"k1", b"setup"];
        for lane in [0, 1, 63] {
            let ours: Vec<Vec<u8>> = keys.iter().map(|key| in_lane(key, lane)).collect();
            assert!(ours.is_sorted());
            for (key, own) in keys.iter().zip(&ours) {
                for bound in keys {
                    assert_eq!(*key < bound, own.as_slice() < bound, "{key:?} {bound:?}");
                }
            }
        }
    }

    #[test]
    fn each_pair_is_of_one_lane() {
        let pair = |key: &[u8], lane| (in_lane(key, lane), vec![lane]);
        let state = vec![pair(b"a", 0), pair(b"a", 1), pair(b"b", 1), (b"x".to_vec(), vec![9])];
        assert_eq!(of_lane(&state, 0), [(b"a".to_vec(), vec![0])]);
        assert_eq!(of_lane(&state, 1), [(b"a".to_vec(), vec![1]), (b"b".to_vec(), vec![1])]);
        assert_eq!(of_lane(&state, 2), []);
        assert!(strangers(&state, 2).is_some_and(|breach| breach.what[0].1.starts_with("x = 09")));
        assert_eq!(strangers(&state[..3], 2), None);
        assert!(strangers(&state[..3], 1).is_none() && strangers(&state[1..2], 3).is_none());
        let of_none = strangers(&[pair(b"a", 2)], 2).expect("there are lanes 0 and 1");
        assert_eq!(of_none.sentence, "a record is there that is of no client");
    }
}
