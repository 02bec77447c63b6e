//! A transfer locks the account that it takes from and then the one that it gives to; two that cross
//! wait for each other.

use falconry_seam::sync::Mutex;
use falconry_seam::{always, planted, thread};

use super::lock;
use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "deadlock_by_order",
    family: Family::Concurrency,
    source: "circular wait (Coffman, Elphick and Shoshani, 1971)",
    bug: "two locks are taken in the order of the arguments and not in one order",
    faults: &[],
    body: Body::Program(program),
};

type Accounts = [Mutex<u64>; 2];

fn transfer(accounts: &Accounts, from: usize, to: usize, amount: u64) {
    if planted!("deadlock_by_order") || from < to {
        let mut source = lock(&accounts[from]);
        *lock(&accounts[to]) += amount;
        *source -= amount;
    } else {
        let mut target = lock(&accounts[to]);
        *lock(&accounts[from]) -= amount;
        *target += amount;
    }
}

fn program() {
    let accounts = [Mutex::new(100), Mutex::new(100)];
    thread::scope(|scope| {
        scope.spawn(|| transfer(&accounts, 0, 1, 30));
        scope.spawn(|| transfer(&accounts, 1, 0, 50));
    });
    let sum = *lock(&accounts[0]) + *lock(&accounts[1]);
    always!(sum == 200, "transfers keep the sum", "{sum}");
}
