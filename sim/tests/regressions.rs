//! A failure of a test is made small, kept, and run first from then on.

#![allow(clippy::disallowed_methods, reason = "a test stands outside of the run")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use falconry_seam::sync::atomic::{AtomicU32, Ordering};
use falconry_seam::thread;
use falconry_sim::Machine;
use falconry_sim::check::Sim;

/// Two tasks count; with the bug by a load and a store.
fn counts(machine: &mut Machine, is_mended: bool) {
    let count = machine.run(|_| {
        let count = AtomicU32::new(0);
        let add = || match is_mended {
            true => drop(count.fetch_add(1, Ordering::SeqCst)),
            false => count.store(count.load(Ordering::SeqCst) + 1, Ordering::SeqCst),
        };
        thread::scope(|scope| {
            scope.spawn(add);
            scope.spawn(add);
        });
        count.into_inner()
    });
    assert_eq!(count, 2, "of two increments {count} came");
}

/// What the test says when it fails.
fn outcome(folder: &Path, is_mended: bool) -> Result<(), String> {
    let sim = Sim::new("counts").seeds(0..200).regressions(folder);
    let run = || sim.run(|machine| counts(machine, is_mended));
    catch_unwind(AssertUnwindSafe(run))
        .map_err(|payload| payload.downcast_ref::<String>().cloned().unwrap_or_default())
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

fn capsules(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
}

#[test]
fn a_failure_is_kept_and_runs_first_until_it_is_mended() {
    let folder = folder("regressions");
    assert_eq!(outcome(&folder, true), Ok(()), "nothing is kept of a test that passes");
    assert!(!folder.exists());
    let first = outcome(&folder, false).unwrap_err();
    assert!(
        first.contains("nothing more can be left out\n  reproduce   FALCONRY_SEED="),
        "{first}"
    );
    let [text] = &capsules(&folder)[..] else { panic!("one capsule") };
    assert!(text.starts_with("falconry capsule 1\n# assertion `left == right` failed"), "{text}");
    assert!(text.len() < 500, "{text}");
    let second = outcome(&folder, false).unwrap_err();
    assert!(second.contains("  small case\n"), "{second}");
    assert!(!second.contains("reproduce"), "its seeds are not run any more:\n{second}");
    assert_eq!(outcome(&folder, true), Ok(()), "the bug was mended");
    assert_eq!(capsules(&folder).len(), 1, "and its capsule stays");
}

#[test]
fn a_capsule_that_cannot_be_read_fails_the_test_by_its_name() {
    let folder = folder("regressions-damaged");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("counts-7.capsule"), "falconry capsule 1\nchoices\n").unwrap();
    std::fs::write(folder.join("counts-more-7.capsule"), "of another test").unwrap();
    let told = outcome(&folder, true).unwrap_err();
    assert!(told.ends_with("counts-7.capsule: the capsule is cut short: no line 'end'"), "{told}");
}
