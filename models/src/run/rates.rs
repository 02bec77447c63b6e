//! Which faults a run meets, and how often: drawn for each run, not fixed.
//!
//! # Method
//!
//! Each fault is on in a part of all runs, and then has a rate between two bounds: the columns of the
//! table of knobs. A fault that the engine does not claim is off, but for one class a run that is
//! beyond the budget, for two that cannot be survived tell no more than one. Both draws are made for
//! every fault, whatever is admitted, so that admitting one moves no other.
//!
//! # Invariant
//!
//! A rate that was set by hand wins over all this.

use falconry_sim::Machine;
use falconry_sim::choice::{Choices, PPM};
use falconry_sim::fault::{FAULT_COUNT, Fault, FaultSet, When};

use crate::run::Profile;

/// What a run may meet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admission<'a> {
    pub(crate) profile: Profile,
    /// What the engine claims to survive.
    pub(crate) claims: FaultSet,
    /// One class besides.
    pub(crate) beyond_budget: bool,
    /// The device has a bound, which is `enospc` by another way: where it is claimed it may come.
    pub(crate) is_bounded: bool,
    /// Rates of the scenario, then those of the user.
    pub(crate) fixed: &'a [(Fault, u32)],
}

/// How many of a million runs have a fault, and its rate in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Knob {
    on_ppm: u32,
    low_ppm: u32,
    high_ppm: u32,
}

const OFF: Knob = knob(0, 0, 0);

const fn knob(on_ppm: u32, low_ppm: u32, high_ppm: u32) -> Knob {
    Knob { on_ppm, low_ppm, high_ppm }
}

/// The rate of every fault in one run.
pub(crate) fn draw(choices: &mut Choices, admission: Admission<'_>) -> [u32; FAULT_COUNT] {
    let mut rates = [0; FAULT_COUNT];
    let unclaimed: Vec<Fault> =
        FaultSet::ALL.minus(admission.claims).iter().filter(|f| f.when() != When::Life).collect();
    let pick = choices.choose("faults/beyond", FAULT_COUNT as u64) as usize;
    let extra = (admission.beyond_budget && !unclaimed.is_empty())
        .then(|| unclaimed[pick % unclaimed.len()]);
    for fault in Fault::ALL {
        let knob = knob_of(*fault, admission.profile);
        let is_on = choices.chance("faults/on", knob.on_ppm);
        let beyond = knob_beyond(*fault);
        let rate = choices.log_uniform("faults/rate", 0, u64::from(knob.high_ppm - knob.low_ppm));
        let rate_ppm = knob.low_ppm + rate as u32;
        let more = choices.log_uniform(
            "faults/beyond_rate",
            0,
            u64::from(beyond.high_ppm - beyond.low_ppm),
        );
        rates[*fault as usize] = if Some(*fault) == extra {
            beyond.low_ppm + more as u32
        } else if is_on && admission.claims.contains(*fault) {
            rate_ppm
        } else if *fault == Fault::Enospc
            && admission.is_bounded
            && knob.on_ppm > 0
            && admission.claims.contains(*fault)
        {
            1
        } else {
            0
        };
    }
    for (fault, ppm) in admission.fixed {
        rates[*fault as usize] = *ppm;
    }
    rates
}

/// Gives a machine its rates.
pub(crate) fn set(machine: &mut Machine, rates: &[u32; FAULT_COUNT]) {
    for fault in Fault::ALL {
        machine.faults().set_rate(*fault, rates[*fault as usize]);
    }
}

/// The ends of a boot that a rate of 0 switches off.
pub(crate) fn ends_off(fixed: &[(Fault, u32)]) -> FaultSet {
    let ends = Fault::ALL.iter().copied().filter(|fault| fault.when() == When::Life);
    ends.filter(|end| {
        fixed.iter().rfind(|(fault, _)| fault == end).is_some_and(|(_, ppm)| *ppm == 0)
    })
    .collect()
}

fn knob_of(fault: Fault, profile: Profile) -> Knob {
    if profile == Profile::None {
        return OFF;
    }
    let column = profile as usize - Profile::Realistic as usize;
    match fault.when() {
        When::Life | When::Silent => OFF,
        // At power loss a rate above 0 admits an outcome; how often it comes is the crash's policy.
        When::PowerLoss => match fault {
            Fault::SubSectorTear | Fault::GarbageSector => {
                [OFF, knob(50_000, PPM, PPM), knob(PPM, PPM, PPM)][column]
            }
            _ => [knob(PPM, PPM, PPM), knob(900_000, PPM, PPM), knob(PPM, PPM, PPM)][column],
        },
        When::Error => match fault {
            Fault::ShortRead | Fault::ShortWrite | Fault::Eintr => {
                [OFF, knob(300_000, 200, 5_000), knob(800_000, 5_000, 100_000)][column]
            }
            Fault::DeviceGone | Fault::ReadOnly => {
                [OFF, knob(20_000, 50, 1_000), knob(100_000, 500, 5_000)][column]
            }
            _ => [OFF, knob(80_000, 200, 5_000), knob(400_000, 1_000, 20_000)][column],
        },
        When::Slow => match fault {
            Fault::SlowDevice => [OFF, knob(20_000, PPM, PPM), knob(100_000, PPM, PPM)][column],
            _ => [knob(10_000, 1, 10), knob(100_000, 100, 2_000), knob(400_000, 1_000, 20_000)]
                [column],
        },
        When::Clock => {
            [knob(10_000, 10, 1_000), knob(200_000, 500, 20_000), knob(500_000, 5_000, 200_000)]
                [column]
        }
        When::Scheduler => match fault {
            // An engine may treat it as fatal; a scenario that wants it asks for it.
            Fault::SpawnFail => [OFF, OFF, knob(50_000, 1_000, 50_000)][column],
            _ => [
                knob(100_000, 10, 1_000),
                knob(300_000, 100, 20_000),
                knob(700_000, 1_000, 100_000),
            ][column],
        },
    }
}

/// Rates at which a single class is met in a short run.
fn knob_beyond(fault: Fault) -> Knob {
    match fault.when() {
        When::Life => OFF,
        When::PowerLoss | When::Slow => knob(PPM, PPM, PPM),
        When::Error => knob(PPM, 2_000, 50_000),
        When::Silent => match fault {
            Fault::LyingSync
            | Fault::Shorn
            | Fault::Unserializable
            | Fault::MetadataLoss
            | Fault::OldImage
            | Fault::FalseDeviceClaim => knob(PPM, 200_000, PPM),
            _ => knob(PPM, 1_000, 50_000),
        },
        When::Clock | When::Scheduler => knob(PPM, 5_000, 200_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(profile: Profile, claims: FaultSet, beyond_budget: bool) -> Admission<'static> {
        Admission { profile, claims, beyond_budget, is_bounded: false, fixed: &[] }
    }

    #[test]
    fn a_bounded_device_is_full_only_where_that_is_claimed_and_admitted() {
        let bounded = |profile, claims| {
            let admission = Admission { is_bounded: true, ..admission(profile, claims, false) };
            let draw = |seed| draw(&mut Choices::from_seed(seed), admission);
            (0..100).filter(|seed| draw(*seed)[Fault::Enospc as usize] > 0).count()
        };
        let claims = FaultSet::of(&[Fault::Enospc]);
        assert_eq!(bounded(Profile::Accelerated, claims), 100);
        assert_eq!(bounded(Profile::Accelerated, FaultSet::NONE), 0);
        assert_eq!(bounded(Profile::Realistic, claims), 0);
        assert_eq!(bounded(Profile::None, claims), 0);
    }

    #[test]
    fn what_is_not_claimed_is_off_but_for_one_class_beyond_the_budget() {
        let claims = FaultSet::of(&[Fault::EioRead, Fault::TornWrite]);
        for seed in 0..200 {
            let mut choices = Choices::from_seed(seed);
            let rates = draw(&mut choices, admission(Profile::Hostile, claims, true));
            let unclaimed = FaultSet::ALL.minus(claims);
            let on = unclaimed.iter().filter(|fault| rates[*fault as usize] > 0).count();
            assert_eq!(on, 1, "seed {seed}");
            let mut choices = Choices::from_seed(seed);
            let within = draw(&mut choices, admission(Profile::Hostile, claims, false));
            assert!(unclaimed.iter().all(|fault| within[fault as usize] == 0), "seed {seed}");
            for fault in claims.iter() {
                assert_eq!(rates[fault as usize], within[fault as usize], "seed {seed}, {fault}");
            }
        }
    }

    #[test]
    fn every_fault_comes_on_in_some_run_beyond_the_budget() {
        let mut seen = [false; FAULT_COUNT];
        for seed in 0..2_000 {
            let mut choices = Choices::from_seed(seed);
            let rates = draw(&mut choices, admission(Profile::Accelerated, FaultSet::NONE, true));
            for fault in Fault::ALL {
                seen[*fault as usize] |= rates[*fault as usize] > 0;
            }
        }
        for fault in Fault::ALL.iter().filter(|fault| fault.when() != When::Life) {
            assert!(seen[*fault as usize], "{fault}");
        }
    }

    #[test]
    fn without_a_profile_only_what_is_fixed_comes() {
        let fixed = [(Fault::Eintr, 7)];
        let mut choices = Choices::from_seed(1);
        let none = Admission { fixed: &fixed, ..admission(Profile::None, FaultSet::ALL, false) };
        let rates = draw(&mut choices, none);
        for fault in Fault::ALL {
            let expected = if *fault == Fault::Eintr { 7 } else { 0 };
            assert_eq!(rates[*fault as usize], expected, "{fault}");
        }
    }
}
