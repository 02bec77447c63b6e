//! The pages of dropped tables: all come back, in steps that a restart goes on with.

use falcon::{Database, TableSpec};

use crate::{fill, on_machine, row, small, spec, used_pages};

#[test]
fn all_pages_of_a_dropped_table_are_free() {
    on_machine(|disk| {
        let database = Database::create(disk, &small()).expect("no fault");
        let rest = database.create_table(&spec("rest")).expect("no fault");
        fill(&database, &rest, 0..40, 300);
        let before = used_pages(&database);
        // Short rows, rows of a page, and rows of several overflow pages: more than one step frees at once.
        for (round, (count, bytes)) in
            [(0, 0), (1_500, 20), (90, 900), (120, 4_000)].into_iter().enumerate()
        {
            let table = database.create_table(&spec("t")).expect("the name is free");
            fill(&database, &table, 0..count, bytes);
            let during = used_pages(&database);
            assert!(during > before + count / 16, "{during} pages, {before} before");
            let told = database.statistics();
            database.drop_table("t").expect("nobody uses it");
            assert_eq!(used_pages(&database), before, "round {round}");
            let now = database.statistics();
            let grown = |name| now.get(name).expect("so") - told.get(name).expect("so");
            assert_eq!(grown("tables_dropped"), 1);
            assert!(grown("reclaim_steps") >= 3, "the roots of three trees");
            assert!(grown("pages_reclaimed") >= (during - before) / 4, "{round}");
        }
        assert_eq!(database.verify().expect("no fault").rows, 40);
        database.close().expect("no fault");
    });
}

#[test]
fn freed_pages_are_given_away_again() {
    on_machine(|disk| {
        let database = Database::create(disk, &small()).expect("no fault");
        let mut lengths = Vec::new();
        for round in 0..6 {
            let table = database.create_table(&spec("t")).expect("the name is free");
            fill(&database, &table, 0..60, 2_000);
            used_pages(&database);
            database.checkpoint().expect("no fault");
            let file = disk.open("user.pages".as_ref(), &falconry_seam::disk::OpenOptions::READ);
            lengths.push(file.and_then(|file| file.len()).expect("no fault"));
            let mut txn = database.begin();
            txn.insert(&table, &row(1_000 + round, 10)).expect("no fault");
            txn.commit().expect("no fault");
            database.drop_table("t").expect("nobody uses it");
            used_pages(&database);
        }
        let (first, last) = (lengths[0], lengths[5]);
        assert!(last <= first + first / 4, "{lengths:?}");
        assert!(first > 100 << 10, "60 rows of two pages: {lengths:?}");
        database.close().expect("no fault");
    });
}

#[test]
fn what_is_not_free_yet_is_freed_by_the_next_opening() {
    on_machine(|disk| {
        let database = Database::create(disk, &small()).expect("no fault");
        let empty = used_pages(&database);
        let table = database.create_table(&spec("t")).expect("no fault");
        fill(&database, &table, 0..400, 1_200);
        let full = used_pages(&database);
        database.drop_table("t").expect("nobody uses it");
        // At once: the reclaimer ends after the step that it is at.
        database.close().expect("no fault");
        let mut openings = 0;
        let left = loop {
            let database = Database::open(disk, &small()).expect("it is whole");
            assert_eq!(database.table_names(), Vec::<String>::new());
            let freed = database.statistics().get("pages_reclaimed").expect("it is counted");
            openings += 1;
            if openings == 3 {
                break used_pages(&database);
            }
            assert!(freed < full, "{freed} of {full} pages at once");
            database.close().expect("no fault");
        };
        assert!(left <= empty + 3, "{left} pages are in use, {empty} in an empty database");
    });
}

#[test]
fn a_drop_of_more_pages_than_the_log_tells_of_at_once() {
    on_machine(|disk| {
        let database = Database::create(disk, &small()).expect("no fault");
        let wide = TableSpec::new("t", 3).index("id", &[0], true).index("text", &[1, 0], true);
        let table = database.create_table(&wide).expect("no fault");
        fill(&database, &table, 0..4_000, 60);
        let told = database.statistics();
        database.drop_table("t").expect("nobody uses it");
        used_pages(&database);
        let now = database.statistics();
        let freed = now.get("pages_reclaimed").expect("it is counted");
        assert!(freed > 700, "{freed} pages");
        assert_eq!(now.get("log_overruns"), told.get("log_overruns"), "room is reserved before");
        database.close().expect("no fault");
    });
}
