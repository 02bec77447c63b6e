//! One round of the example `kill9`, in small.
//!
//! # Method
//!
//! Its program is its own: a process that is started has, until it becomes another program, the files of the one
//! that starts it, and so its locks. The two tests that open databases take turns for the same reason.
//!
//! # Invariant
//!
//! Nothing that was acknowledged is lost.

#![allow(
    clippy::disallowed_methods,
    reason = "these tests are of a real machine, which no run is in"
)]

#[path = "../folder/mod.rs"]
mod folder;
#[path = "../../examples/kill9/history.rs"]
mod history;
#[path = "../../examples/kill9/load.rs"]
mod load;
#[path = "../../examples/kill9/victim.rs"]
mod victim;

use std::process::Command;
use std::time::Duration;

use falconry_seam::sync::Mutex;

use folder::Folder;
use history::{Changes, History, Rows};
use victim::{Job, Look};

/// The test that becomes the process which is killed.
const LOAD: &str = "all_that_a_load_tells_of_is_there";

/// Held by the test that has a database or starts a process.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn a_process_that_is_killed_loses_nothing_that_it_acknowledged() {
    let _turn = TURN.lock();
    let folder = Folder::new("kill");
    let mut history = History::default();
    for time in [150, 300] {
        let mut job = Job { dir: folder.path().into(), threads: 2, first_id: history.next_id };
        job.kill_after(this_test(), Duration::from_millis(time), &mut history).expect("it works");
        // Nor does one that is killed while it recovers.
        job.threads = 0;
        job.kill_after(this_test(), Duration::from_millis(time / 10), &mut history)
            .expect("it recovers");
        let look = Look::at(folder.path(), &mut history).expect("what is left can be opened");
        assert_eq!(look.complaints, Vec::<String>::new(), "{:?}", look.recovery);
        assert_eq!(look.verify.problems, Vec::<String>::new());
        look.close().expect("the disk works");
    }
}

fn this_test() -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the system knows it"));
    command.args(["--exact", LOAD, "--nocapture", "--test-threads", "1"]);
    command
}

#[test]
fn all_that_a_load_tells_of_is_there() {
    if let Some(job) = Job::of_this_process() {
        job.run().expect("it works until it is killed");
    }
    let _turn = TURN.lock();
    let folder = Folder::new("load");
    let history = Mutex::new(History::default());
    let is_over = || history.lock().expect("nobody panics").acknowledged >= 100;
    let tell = |line: &str| {
        history.lock().expect("nobody panics").take(line).expect("the line is ours");
        Ok(())
    };
    let database = load::open(folder.path()).expect("there is none");
    load::run(&database, 2, 0, &is_over, &tell).expect("the disk works");
    database.close().expect("the disk works");
    let mut history = history.into_inner().expect("nobody panics");
    let look = Look::at(folder.path(), &mut history).expect("it was closed");
    assert_eq!(look.complaints, Vec::<String>::new());
    assert_eq!((history.kept_unasked, history.gone), (0, 0));
    assert!(history.acknowledged >= 100 && look.verify.rows > 0);
}

/// A history in which row 1 was there, 2 was committed, and 2 and 3 are being changed.
fn history() -> History {
    let mut history = History::of(Rows::from([(1, 1)]));
    assert_eq!(history.next_id, 2);
    let tried = history::try_line(0, &Changes::from([(2, Some(1))]));
    let in_flight = history::try_line(1, &Changes::from([(2, None), (3, Some(1))]));
    for line in
        ["running 1 test", &history::open_line(), &tried, &history::done_line(0), &in_flight]
    {
        history.take(line).expect("the line is ours");
    }
    assert!(history.has_opened && history.next_id == 4 && history.acknowledged == 1);
    history
}

/// Rows that are found, and what is wrong with them.
type Case = (&'static [(u64, u64)], &'static [&'static str]);

#[test]
fn a_history_sees_what_is_lost_and_what_nobody_committed() {
    let all: [Case; 6] = [
        (&[(1, 1), (2, 1)], &[]),
        (&[(1, 1), (3, 1)], &[]),
        (&[(2, 1)], &["row 1 of version 1 is lost"]),
        (&[(1, 2), (2, 1)], &["row 1 has version 2, not 1"]),
        (&[(1, 1)], &["row 2 of version 1 is lost"]),
        (
            &[(1, 1), (2, 1), (3, 1)],
            &["row 3 of version 1 is there, and was deleted or never committed"],
        ),
    ];
    for (found, expected) in all {
        let found: Rows = found.iter().copied().collect();
        let mut history = history();
        assert_eq!(history.settle(&found), expected, "{found:?}");
        assert_eq!(history.settle(&found), Vec::<String>::new(), "what is there is known then");
    }
    let many: Rows = (10..30).map(|id| (id, 1)).collect();
    let told = history().settle(&many);
    assert_eq!(told.last().map(String::as_str), Some("and 12 more"), "{told:?}");
    let wrong = history().take("kill9 done 5").expect_err("it never tried");
    assert_eq!(wrong, "the process wrote \"done 5\"");
}
