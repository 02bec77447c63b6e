//! The assertions off any machine: what holds in production.

use falconry_seam::assert::sites;
use falconry_seam::{always, buggify, catch_unwind, planted, reachable, sometimes};

fn message(f: impl FnOnce() + std::panic::UnwindSafe) -> String {
    match catch_unwind(f).unwrap_err().downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast_ref::<&str>().unwrap()).to_owned(),
    }
}

#[test]
fn a_broken_invariant_panics_with_its_name_and_message() {
    always!(1 + 1 == 2, "arithmetic holds");
    always!(true, "not formatted", "{}", "never seen");
    let bare = message(|| always!(1 > 2, "broken bare"));
    assert_eq!(bare, "always \"broken bare\" does not hold");
    let (page, lsn) = (4, 17);
    let detailed = message(move || always!(page > lsn, "broken", "page {page}, log {}", lsn));
    assert_eq!(detailed, "always \"broken\" does not hold: page 4, log 17");
}

#[test]
fn reaching_the_unreachable_panics() {
    fn branch(n: u32) -> u32 {
        match n {
            0 => 1,
            1 => falconry_seam::unreachable!("one"),
            _ => falconry_seam::unreachable!("more", "{n} of {}", 2),
        }
    }
    assert_eq!(branch(0), 1);
    assert_eq!(message(|| assert_eq!(branch(1), 0)), "unreachable \"one\" is reached");
    assert_eq!(message(|| assert_eq!(branch(7), 0)), "unreachable \"more\" is reached: 7 of 2");
}

#[test]
fn marks_and_rare_paths_change_nothing() {
    const BUG: &str = "from a table";
    sometimes!(false, "never in production");
    reachable!("a place");
    assert!(!buggify!("rare", 1_000_000));
    assert!(!planted!("bug") && !planted!(BUG));
}

#[test]
fn sites_are_listed_whether_reached_or_not() {
    fn never_called() {
        reachable!("zz a place in a function that is never called");
    }
    let _ = never_called as fn();
    let names: Vec<_> = sites().iter().map(|site| site.name).collect();
    if cfg!(feature = "simulate") {
        assert!(names.contains(&"broken bare") && names.contains(&"rare"), "{names:?}");
        assert!(names.contains(&"zz a place in a function that is never called"), "{names:?}");
        assert!(names.is_sorted());
        let site = *sites().iter().find(|site| site.name == "one").unwrap();
        assert!(site.file.ends_with("assertions.rs") && site.line > 1, "{site:?}");
        assert_eq!(site.kind, falconry_seam::assert::SiteKind::Unreachable);
    } else {
        assert!(names.is_empty(), "{names:?}");
    }
}
