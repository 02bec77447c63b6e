//! What a store of records may hold: the judge of the storage specimens.
//!
//! # Method
//!
//! A record may be what was last acknowledged or seen, or what a call wrote that came to no good end
//! since. What is found settles it: from then on only that may be there.

use super::KEYS;
use crate::oracle::Breach;
use crate::run::Property;

/// What one record may be.
#[derive(Clone, Debug, Default)]
struct Slot {
    /// Acknowledged, or seen.
    settled: Option<u64>,
    /// Written by calls that failed or were cut since.
    open: Vec<u64>,
}

/// What all records may be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    slots: [Slot; KEYS as usize],
    written: u64,
    acked: u64,
}

impl Model {
    /// A call of `put` begins; its value, which no other call has.
    pub(crate) fn begin(&mut self, key: u8) -> u64 {
        self.written += 1;
        self.slots[usize::from(key)].open.push(self.written);
        self.written
    }

    /// The call that wrote `value` was acknowledged.
    pub(crate) fn acknowledge(&mut self, key: u8, value: u64) {
        self.acked += 1;
        self.slots[usize::from(key)] = Slot { settled: Some(value), open: Vec::new() };
    }

    /// How many calls were acknowledged.
    pub(crate) fn acked(&self) -> u64 {
        self.acked
    }

    /// Whether finding this in a record decides what a call that was not answered has done.
    pub(crate) fn settles(&self, key: u8, found: Option<u64>) -> bool {
        let slot = &self.slots[usize::from(key)];
        found.is_some_and(|value| slot.open.contains(&value))
    }

    /// Judges what was found in a record, and holds to it from now on.
    ///
    /// # Errors
    ///
    /// What was lost, or never was.
    pub(crate) fn see(&mut self, key: u8, found: Option<u64>, when: &str) -> Result<(), Breach> {
        let slot = &mut self.slots[usize::from(key)];
        if found == slot.settled || found.is_some_and(|value| slot.open.contains(&value)) {
            *slot = Slot { settled: found, open: Vec::new() };
            return Ok(());
        }
        let (property, sentence) = match (found, slot.settled) {
            (None, _) => (Property::Durability, "an acknowledged record is gone"),
            (Some(value), Some(settled)) if value < settled => {
                (Property::Durability, "a record holds what it held before")
            }
            _ => (Property::Atomicity, "a record holds what nobody wrote there"),
        };
        let show = |value: Option<u64>| value.map_or("no record".into(), |v| v.to_string());
        let mut expected = show(slot.settled);
        for value in &slot.open {
            expected += &format!(" or {value}");
        }
        Err(Breach::new(property, sentence, when)
            .row("what", format!("record {key}, {when}"))
            .row("expected", expected)
            .row("found", show(found))
            .path(format!("record {key}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_acknowledged_stays_and_what_failed_may() {
        let mut model = Model::default();
        let value = model.begin(0);
        model.acknowledge(0, value);
        let later = model.begin(0);
        assert!(model.clone().see(0, Some(value), "").is_ok());
        assert!(model.clone().see(0, Some(later), "").is_ok());
        let gone = model.clone().see(0, None, "").unwrap_err();
        assert_eq!(gone.property, Property::Durability);
        assert!(model.clone().see(0, Some(99), "").is_err());
        assert!(model.clone().see(1, Some(value), "").is_err());
        // What may be there is what nobody answered for, not all that is older.
        let mut twice = model.clone();
        twice.acknowledge(0, later);
        let open = twice.begin(0);
        assert!(twice.clone().see(0, Some(open), "").is_ok());
        let back = twice.see(0, Some(value), "").unwrap_err();
        assert_eq!(back.sentence, "a record holds what it held before");
        // What was seen is settled.
        model.see(0, Some(later), "").unwrap();
        let back = model.see(0, Some(value), "").unwrap_err();
        assert_eq!(back.sentence, "a record holds what it held before");
    }
}
