//! Money moves between accounts; the sum is constant.

use super::{Attempt, Stop, Workload, pick, records};
use crate::engine::Pair;
use crate::oracle::Breach;
use crate::oracle::invariant::{Tally, constant_sum};

const OPENING_BALANCE: u64 = 1_000;

/// The bank.
pub(super) struct Bank {
    /// How many accounts there are.
    pub(super) accounts: u64,
}

impl Workload for Bank {
    fn set_up(&self, attempt: &mut Attempt<'_>) -> Result<(), Stop> {
        (0..self.accounts)
            .try_for_each(|index| attempt.put_number(&account(index), OPENING_BALANCE))
    }

    fn write(&self, attempt: &mut Attempt<'_>) -> Result<(), Stop> {
        let payer = pick("workload/payer", self.accounts);
        let distance = 1 + pick("workload/payee", self.accounts - 1);
        let payee = (payer + distance) % self.accounts;
        let from = attempt.number(&account(payer))?;
        let to = attempt.number(&account(payee))?;
        let amount = pick("workload/amount", from + 1);
        attempt.put_number(&account(payer), from - amount)?;
        attempt.put_number(&account(payee), to + amount)
    }

    fn read(&self, attempt: &mut Attempt<'_>) -> Result<(), Stop> {
        let all = attempt.range(b"a", Some(b"b"))?;
        attempt.hold(self.invariant(&all, None))
    }

    fn invariant(&self, state: &[Pair], _tally: Option<Tally>) -> Result<(), Breach> {
        let sum = self.accounts * OPENING_BALANCE;
        constant_sum(records(state, "a"), self.accounts, sum)
    }
}

fn account(index: u64) -> Vec<u8> {
    format!("a{index:06}").into_bytes()
}
