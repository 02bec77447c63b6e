//! The history of a run: which transaction stood on which state, and what became of it.
//!
//! # Method
//!
//! A [`Version`] is the state after one write transaction: its parent's state and its own writes. It
//! is entered before the engine is asked to commit, with the parent that the transaction read. What
//! the engine answers, and what is seen after a crash, decides its [`Fate`]. The history lives outside
//! of the machine and survives its power losses.
//!
//! # Invariant
//!
//! The floors are ancestors of every state that may be found: `acked` by a transaction, `kept` after a
//! crash of the process, `durable` after a power loss; each is an ancestor of the one before.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::engine::{Contract, Promise};
use crate::oracle::Breach;
use crate::run::Property;

/// The key of the record that names the version of a state.
pub const HEAD_KEY: &[u8] = b"\0head";

/// One write of a transaction: the new value, or `None` for a key that it removed.
pub type Write = Option<Arc<[u8]>>;

/// A version by its number; 0 is the empty database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId(pub u32);

impl VersionId {
    /// The empty database.
    pub const ROOT: VersionId = VersionId(0);

    fn index(self) -> usize {
        self.0 as usize
    }
}

/// What is known of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The engine has not answered.
    InFlight,
    /// The engine acknowledged it, with this worth.
    Acked(Promise),
    /// The engine answered with an error: it may be there or not.
    Unknown,
    /// The engine said that nothing of it happened.
    Never,
    /// It was not acknowledged, and a later state holds it.
    Seen,
    /// A state that was found after a crash does not hold it.
    Lost,
}

/// The state after one write transaction.
#[derive(Clone, Debug)]
pub struct Version {
    /// The state on which it stands.
    pub parent: VersionId,
    /// How many transactions led to it.
    pub depth: u32,
    /// Who made it.
    pub client: u32,
    /// In which boot.
    pub boot: u32,
    /// At which step it was acknowledged, or else entered.
    pub step: u64,
    /// What became of it.
    pub fate: Fate,
    /// Its writes in the order of their keys, that of the head among them.
    pub writes: Vec<(Vec<u8>, Write)>,
}

/// All versions of a run.
#[derive(Debug)]
pub struct History {
    contract: Contract,
    versions: Vec<Version>,
    /// The path from the root to the newest version that is known to be there, by depth.
    line: Vec<VersionId>,
    /// Who wrote each key, in the order of the versions, and as which of its writes.
    writers: BTreeMap<Vec<u8>, Vec<(VersionId, u32)>>,
    durable: VersionId,
    kept: VersionId,
    acked: VersionId,
    acked_count: u64,
    resurrected_count: u64,
    in_flight_may_return: bool,
    seen_may_be_lost: bool,
}

impl History {
    /// An empty one, to be judged by `contract`.
    pub fn new(contract: Contract) -> Self {
        let root = Version {
            parent: VersionId::ROOT,
            depth: 0,
            client: 0,
            boot: 0,
            step: 0,
            fate: Fate::Seen,
            writes: Vec::new(),
        };
        History {
            contract,
            versions: vec![root],
            line: vec![VersionId::ROOT],
            writers: BTreeMap::new(),
            durable: VersionId::ROOT,
            kept: VersionId::ROOT,
            acked: VersionId::ROOT,
            acked_count: 0,
            resurrected_count: 0,
            in_flight_may_return: false,
            seen_may_be_lost: false,
        }
    }

    /// From now on a transaction that was never acknowledged may be found lost and come back.
    pub fn let_in_flight_return(&mut self) {
        self.in_flight_may_return = true;
    }

    /// From now on the newest transaction that was found, if it was never acknowledged, may be lost by a
    /// power loss although it was seen.
    pub fn let_seen_be_lost(&mut self) {
        self.seen_may_be_lost = true;
    }

    /// Whether it may.
    pub fn in_flight_may_return(&self) -> bool {
        self.in_flight_may_return
    }

    /// By which contract it is judged.
    pub fn contract(&self) -> Contract {
        self.contract
    }

    /// The newest version that a power loss must leave.
    pub fn durable(&self) -> VersionId {
        self.durable
    }

    /// The newest version that a crash of the process must leave.
    pub fn kept(&self) -> VersionId {
        self.kept
    }

    /// The newest version that was acknowledged.
    pub fn acked(&self) -> VersionId {
        self.acked
    }

    /// How many commits were acknowledged.
    pub fn acked_count(&self) -> u64 {
        self.acked_count
    }

    /// How many commits were lost, as they may be, and came back.
    pub fn resurrected_count(&self) -> u64 {
        self.resurrected_count
    }

    /// A version, if there is one of that number.
    pub fn get(&self, id: VersionId) -> Option<&Version> {
        self.versions.get(id.index())
    }

    /// The number that the next version will have: what a transaction writes as the head.
    pub fn next_id(&self) -> VersionId {
        VersionId(self.versions.len() as u32)
    }

    /// What a head record holds.
    pub fn head_value(id: VersionId) -> [u8; 8] {
        // The number twice, so that a head that is torn or made of other bytes names no version.
        let mut value = [0; 8];
        value[..4].copy_from_slice(&id.0.to_le_bytes());
        value[4..].copy_from_slice(&(!id.0).to_le_bytes());
        value
    }

    /// The version that a head record names; `None` when it names none.
    pub fn head_of(&self, value: Option<&[u8]>) -> Option<VersionId> {
        let Some(value) = value else { return Some(VersionId::ROOT) };
        let bytes: [u8; 8] = value.try_into().ok()?;
        let id = VersionId(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
        (Self::head_value(id) == bytes && id.index() < self.versions.len()).then_some(id)
    }

    /// Enters a transaction that is about to commit. `writes` holds the head, which names the number
    /// that is returned.
    pub fn enter(
        &mut self,
        parent: VersionId,
        client: u32,
        boot: u32,
        step: u64,
        writes: BTreeMap<Vec<u8>, Write>,
    ) -> VersionId {
        let id = self.next_id();
        for (index, key) in writes.keys().enumerate() {
            let writer = (id, index as u32);
            match self.writers.get_mut(key) {
                Some(writers) => writers.push(writer),
                None => {
                    self.writers.insert(key.clone(), vec![writer]);
                }
            }
        }
        let depth = self.versions[parent.index()].depth + 1;
        let writes = writes.into_iter().collect();
        let fate = Fate::InFlight;
        self.versions.push(Version { parent, depth, client, boot, step, fate, writes });
        id
    }

    /// The engine acknowledged a transaction.
    ///
    /// # Errors
    ///
    /// When another acknowledged transaction stands on a state without this one, and this one on a
    /// state without the other.
    pub fn acknowledge(
        &mut self,
        id: VersionId,
        promise: Promise,
        step: u64,
    ) -> Result<(), Breach> {
        self.acked_count += 1;
        let version = &mut self.versions[id.index()];
        version.fate = Fate::Acked(promise);
        version.step = step;
        let parent = version.parent;
        if self.is_ancestor(self.acked, id) {
            self.acked = id;
            self.relink(id);
        } else if !self.is_ancestor(id, self.acked) {
            return Err(self.forked(id));
        }
        let durable = match (self.contract, promise) {
            (Contract::Durable | Contract::Prefix, Promise::Durable) => Some(id),
            (Contract::AllButLast, _) => Some(parent),
            (Contract::Weak, _) | (_, Promise::Later | Promise::Memory) => None,
        };
        if promise != Promise::Memory && self.is_ancestor(self.kept, id) {
            self.kept = id;
        }
        if let Some(durable) = durable
            && self.is_ancestor(self.durable, durable)
        {
            self.durable = durable;
        }
        Ok(())
    }

    /// The engine answered a commit with an error, after which it may have happened, or did not.
    pub fn fail(&mut self, id: VersionId, may_have_happened: bool) {
        let fate = if may_have_happened { Fate::Unknown } else { Fate::Never };
        self.versions[id.index()].fate = fate;
    }

    /// A clean shutdown made this of everything that was acknowledged.
    pub fn shut_down(&mut self, promise: Promise) {
        match promise {
            Promise::Durable => (self.kept, self.durable) = (self.acked, self.acked),
            Promise::Later => self.kept = self.acked,
            Promise::Memory => {}
        }
    }

    /// The database was thrown away: everything is lost, and that is no breach.
    pub fn forget(&mut self) {
        self.observe(VersionId::ROOT, true);
    }

    /// After a crash the state of `id` was found. What does not lead to it is lost.
    pub fn observe(&mut self, id: VersionId, after_power_loss: bool) {
        let newest = &self.versions[id.index()];
        let was_acknowledged = matches!(newest.fate, Fate::Acked(_));
        let sure = if self.seen_may_be_lost && !was_acknowledged { newest.parent } else { id };
        let mut at = id;
        while at != VersionId::ROOT {
            let version = &mut self.versions[at.index()];
            match version.fate {
                Fate::Lost => {
                    self.resurrected_count += 1;
                    version.fate = Fate::Seen;
                }
                Fate::InFlight | Fate::Unknown => version.fate = Fate::Seen,
                Fate::Acked(_) | Fate::Seen | Fate::Never => {}
            }
            at = version.parent;
        }
        self.relink(id);
        for index in 1..self.versions.len() {
            let other = VersionId(index as u32);
            let there = self.on_line(other);
            let fate = &mut self.versions[index].fate;
            if !there && *fate != Fate::Never {
                *fate = Fate::Lost;
            }
        }
        (self.acked, self.kept) = (id, id);
        let is_on_disk = after_power_loss && self.is_ancestor(self.durable, sure);
        if is_on_disk || !self.is_ancestor(self.durable, id) {
            self.durable = sure;
        }
    }

    /// A transaction that led to `id` and was found lost before.
    pub fn came_back(&self, id: VersionId) -> Option<VersionId> {
        let mut at = id;
        while !self.on_line(at) {
            if self.versions[at.index()].fate == Fate::Lost {
                return Some(at);
            }
            at = self.versions[at.index()].parent;
        }
        None
    }

    /// Whether the state of `newer` holds everything that led to `older`.
    pub fn is_ancestor(&self, older: VersionId, newer: VersionId) -> bool {
        let depth = self.versions[older.index()].depth;
        let mut at = newer;
        // Down from a branch to the line, where the answer is one look.
        while !self.on_line(at) {
            if at == older {
                return true;
            }
            at = self.versions[at.index()].parent;
        }
        self.on_line(older) && depth <= self.versions[at.index()].depth
    }

    /// What the state of `id` has for `key`.
    pub fn value_at(&self, key: &[u8], id: VersionId) -> Option<&[u8]> {
        self.value_of(self.writers.get(key)?, id)
    }

    /// The transaction that last wrote `key` in the state of `id`.
    pub fn writer_at(&self, key: &[u8], id: VersionId) -> Option<VersionId> {
        self.last_of(self.writers.get(key)?, id).map(|(writer, _)| writer)
    }

    /// The last of the writers of a key that led to the state of `id`.
    fn last_of(&self, writers: &[(VersionId, u32)], id: VersionId) -> Option<(VersionId, u32)> {
        writers.iter().rev().copied().find(|(writer, _)| self.is_ancestor(*writer, id))
    }

    fn value_of(&self, writers: &[(VersionId, u32)], id: VersionId) -> Option<&[u8]> {
        let (writer, index) = self.last_of(writers, id)?;
        self.versions[writer.index()].writes[index as usize].1.as_deref()
    }

    /// The state of `id` in the order of its keys, from `from` and below `to`.
    pub fn range_at<'a>(
        &'a self,
        id: VersionId,
        from: &[u8],
        to: Option<&'a [u8]>,
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.writers
            .range::<[u8], _>((Bound::Included(from), Bound::Unbounded))
            .take_while(move |(key, _)| to.is_none_or(|to| key.as_slice() < to))
            .filter_map(move |(key, writers)| Some((key.as_slice(), self.value_of(writers, id)?)))
    }

    /// The first transaction on the way from `older` to its descendant `newer`.
    pub fn first_after(&self, older: VersionId, newer: VersionId) -> VersionId {
        let mut at = newer;
        while self.versions[at.index()].parent != older && at != VersionId::ROOT {
            at = self.versions[at.index()].parent;
        }
        at
    }

    /// The newest version that both descend from.
    pub fn fork_of(&self, one: VersionId, other: VersionId) -> VersionId {
        let mut at = one;
        while !self.is_ancestor(at, other) {
            at = self.versions[at.index()].parent;
        }
        at
    }

    /// A version in words.
    pub fn describe(&self, id: VersionId) -> String {
        if id == VersionId::ROOT {
            return "the empty database".into();
        }
        let version = &self.versions[id.index()];
        let fate = match version.fate {
            Fate::InFlight => "not answered".into(),
            Fate::Acked(Promise::Durable) => format!("acknowledged at step {}", version.step),
            Fate::Acked(Promise::Later | Promise::Memory) => {
                format!("acknowledged at step {}, durable later", version.step)
            }
            Fate::Unknown => "answered with an error".into(),
            Fate::Never => "rolled back".into(),
            Fate::Seen => "seen since".into(),
            Fate::Lost => "lost since".into(),
        };
        format!("txn {} of client {} in boot {}, {fate}", id.0, version.client, version.boot)
    }

    fn on_line(&self, id: VersionId) -> bool {
        let depth = self.versions[id.index()].depth as usize;
        self.line.get(depth) == Some(&id)
    }

    /// Makes the path to `id` the line.
    fn relink(&mut self, id: VersionId) {
        let mut path = vec![id];
        let mut at = id;
        while !self.on_line(at) {
            at = self.versions[at.index()].parent;
            path.push(at);
        }
        self.line.truncate(self.versions[at.index()].depth as usize);
        self.line.extend(path.into_iter().rev());
    }

    fn forked(&self, id: VersionId) -> Breach {
        let sentence = "two transactions were committed on one state";
        Breach::new(Property::Model, sentence, "commit")
            .row("one", self.describe(self.acked))
            .row("other", self.describe(id))
            .row("both on", self.describe(self.fork_of(id, self.acked)))
            .path(format!("txn {}", id.0))
            .path(format!("txn {}", self.acked.0))
    }
}
