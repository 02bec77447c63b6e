//! What runs without a finding tell.
//!
//! # Method
//!
//! A bug that shows in a run with probability `p` stays hidden in `n` runs with `(1 - p)^n`. After `n`
//! runs without a finding, `p` is below `1 - 0.05^(1/n)` at 95 %: the exact form of the "rule of three"
//! (Hanley and Lippman-Hand, JAMA 1983).
//!
//! A bug that was seen in `k` of `n` runs, and in none of `m` later ones: were its rate the same, all `k`
//! would fall into the first `n` with `(n / (n + m))^k`, the conditional test of two rates (Przyborowski
//! and Wilenski, Biometrika 1940). From the `m` at which that is below 5 % on, a fix can be believed.

/// What is left to chance.
const DOUBT: f64 = 0.05;

/// The probability of showing in a run, in percent, above which a bug would have been seen in `runs`
/// runs at 95 %. With no run it is 100.
pub fn missed_below_percent(runs: u64) -> f64 {
    match runs {
        0 => 100.0,
        runs => -(DOUBT.ln() / runs as f64).exp_m1() * 100.0,
    }
}

/// Runs without the bug after which its fix can be believed at 95 %, when it was seen in `count` of
/// `runs`. With `count` 0 nothing can be said.
pub fn believed_after(count: u64, runs: u64) -> Option<u64> {
    let factor = DOUBT.powf(-1.0 / count.min(runs) as f64) - 1.0;
    (count > 0 && runs > 0).then(|| (runs as f64 * factor).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_worth_about_three_over_n() {
        assert!((missed_below_percent(1) - 95.0).abs() < 1e-9);
        assert!((missed_below_percent(1_000) - 0.299).abs() < 0.001);
        assert!((missed_below_percent(3_000_000) - 0.0001).abs() < 1e-6);
        assert_eq!(missed_below_percent(0), 100.0);
    }

    #[test]
    fn a_rare_bug_needs_more_silence_than_a_frequent_one() {
        assert_eq!(believed_after(0, 100), None);
        assert_eq!(believed_after(1, 1_000), Some(19_000));
        assert_eq!(believed_after(2, 1_000), Some(3_473));
        // Seen in every second run: a handful, as 0.5^m says.
        assert_eq!(believed_after(500, 1_000), Some(7));
        for (count, runs) in [(1, 10), (3, 50), (40, 90)] {
            let after = believed_after(count, runs).unwrap();
            let chance = |m: u64| (runs as f64 / (runs + m) as f64).powi(count as i32);
            assert!(chance(after) <= DOUBT && chance(after - 1) > DOUBT, "{count} of {runs}");
        }
    }
}
