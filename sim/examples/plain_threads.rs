//! How to use the machine for a plain concurrent program: no engine, no disk, only threads and locks.
//!
//! A shelf holds one parcel. Whoever puts one down or takes one away wakes *one* of those who wait,
//! as it often stands in real code. With two putters and two takers the one who is woken can be of the
//! wrong kind; then all wait for ever. On real threads that takes luck to see. Here a seed shows it,
//! and the same seed shows it again.
//!
//! Run it with `cargo run -p falconry-sim --example plain_threads`.

use falconry_seam::sync::{Condvar, Mutex};
use falconry_seam::thread;
use falconry_sim::check::Sim;
use falconry_sim::choice::Choices;
use falconry_sim::{End, Ending, Machine, MachineConfig, Verdict};

const PARCELS: u32 = 6;

/// The program names the seam where it would name `std`; nothing else in it knows of simulation.
struct Shelf {
    parcel: Mutex<Option<u32>>,
    changed: Condvar,
    wakes_all: bool,
}

impl Shelf {
    fn put(&self, parcel: u32) {
        let mut place = self.parcel.lock().expect("nobody panics");
        while place.is_some() {
            place = self.changed.wait(place).expect("nobody panics");
        }
        *place = Some(parcel);
        self.wake();
    }

    fn take(&self) -> u32 {
        let mut place = self.parcel.lock().expect("nobody panics");
        loop {
            if let Some(parcel) = place.take() {
                self.wake();
                return parcel;
            }
            place = self.changed.wait(place).expect("nobody panics");
        }
    }

    fn wake(&self) {
        if self.wakes_all { self.changed.notify_all() } else { self.changed.notify_one() }
    }
}

/// Two putters, two takers; returns the sum of what was taken.
fn deliver(wakes_all: bool) -> u32 {
    let shelf = Shelf { parcel: Mutex::new(None), changed: Condvar::new(), wakes_all };
    thread::scope(|scope| {
        let put = || (0..PARCELS).for_each(|parcel| shelf.put(parcel));
        let take = || (0..PARCELS).map(|_| shelf.take()).sum::<u32>();
        scope.spawn(put);
        scope.spawn(put);
        let takers = [scope.spawn(take), scope.spawn(take)];
        takers.into_iter().map(|taker| taker.join().expect("nobody panics")).sum()
    })
}

/// The first seed on which the shelf gets stuck, with what the machine says of it.
fn first_stuck(wakes_all: bool, seeds: u64) -> Option<(u64, Verdict)> {
    (0..seeds).find_map(|seed| {
        let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(seed));
        match machine.boot(Ending::Never, |_| deliver(wakes_all)).end {
            End::Verdict(verdict) => Some((seed, verdict)),
            _ => None,
        }
    })
}

fn main() {
    match first_stuck(false, 1_000) {
        Some((seed, verdict)) => println!("waking one, seed {seed}:\n{verdict}\n"),
        None => println!("waking one: nothing found, which is a finding about this example"),
    }
    // In a test of your own this is all: on a failure it prints the line that runs the seed again.
    Sim::new("parcels").seeds(0..1_000).run(|machine| {
        let taken = machine.run(|_| deliver(true));
        assert_eq!(taken, 2 * (0..PARCELS).sum::<u32>(), "a parcel was lost or came twice");
    });
    println!("waking all: 1000 seeds, every parcel arrived");
}

#[cfg(test)]
mod tests {
    use super::*;
    use falconry_sim::VerdictKind;

    #[test]
    fn waking_one_gets_stuck_and_the_seed_shows_it_again() {
        let (seed, verdict) = first_stuck(false, 1_000).expect("a seed that gets stuck");
        assert_eq!(verdict.kind, VerdictKind::Deadlock);
        let mut machine = Machine::new(MachineConfig::default(), Choices::from_seed(seed));
        let again = machine.boot(Ending::Never, |_| deliver(false)).end;
        assert!(matches!(again, End::Verdict(again) if again == verdict), "seed {seed} differs");
    }

    #[test]
    fn waking_all_delivers_every_parcel() {
        assert!(first_stuck(true, 300).is_none());
        main();
    }
}
