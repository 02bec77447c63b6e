//! Calls that fail: what is left, who is told, and what the next opening makes of it.

use std::collections::BTreeMap;
use std::io;

use falcon::Error;
use falcon::cache::DoubleWriteCounters;
use falconry_seam::sync::Mutex;

use super::*;

/// Changes pages in turn with checkpoints between, and counts what each page has when one is done.
fn work(cache: &Cache, durable: &mut BTreeMap<u32, u64>) -> falcon::Result<()> {
    let mut now = BTreeMap::new();
    for value in 1..=24 {
        let number = (value * 5 % 8) as u32;
        change(cache, page(number), value)?;
        now.insert(number, value);
        if value % 6 == 0 {
            cache.checkpoint()?;
            durable.append(&mut now);
        }
    }
    Ok(())
}

/// One call fails, whichever, and all that come after it. What a checkpoint covered is there afterwards, and
/// every page is whole, after the repair of an opening that works.
#[test]
fn whichever_call_fails_the_next_opening_has_whole_pages() {
    for power_goes in [true, false] {
        let mut told = BTreeMap::new();
        for calls in 0.. {
            let disk = lay_out(8);
            let mut durable = BTreeMap::new();
            disk.fail_after(calls);
            let result = open(&disk).and_then(|cache| work(&cache, &mut durable));
            if power_goes {
                disk.cut_power();
            } else {
                disk.crash_process();
            }
            drop(open(&disk).expect("the disk works"));
            for number in 0..8 {
                let found = in_place(&disk, number).unwrap_or_else(|| panic!("page {number}"));
                let least = durable.get(&number).copied().unwrap_or(0);
                assert!(found >= least, "after {calls} calls page {number} has {found}");
            }
            match result {
                Ok(()) => {
                    assert!(calls > 100, "{calls} calls");
                    break;
                }
                Err(Error::Io { op, file, .. }) => {
                    told.insert(format!("{op} {}", file.display()), 1)
                }
                Err(Error::Stopped(why)) => {
                    let file = why.split(':').next().expect("it names the call");
                    told.insert(format!("stopped by {file}"), 1)
                }
                Err(other) => panic!("{other}"),
            };
        }
        let told: Vec<&str> = told.keys().map(String::as_str).collect();
        let expected = [
            "length double_write",
            "open double_write",
            "open user",
            "read user",
            "stopped by sync of double_write",
            "stopped by sync of user",
            "write double_write",
            "write user",
        ];
        assert_eq!(told, expected);
    }
}

/// A repair fails at any of its calls; the next one finds all that it needs.
#[test]
fn whichever_call_of_a_repair_fails_the_next_one_repairs() {
    for power_goes in [true, false] {
        for calls in 0.. {
            let disk = lay_out(8);
            put(&open(&disk).expect("the disk works"), &[(1, 10), (2, 11), (3, 12)]);
            edit_page(&disk, 2, |bytes| bytes[600] ^= 1);
            disk.fail_after(calls);
            let result = open(&disk).map(drop);
            if power_goes {
                disk.cut_power();
            } else {
                disk.crash_process();
            }
            drop(open(&disk).expect("the disk works"));
            let found = [1, 2, 3].map(|number| in_place(&disk, number));
            assert_eq!(found, [Some(10), Some(11), Some(12)], "after {calls} calls");
            match result {
                Ok(()) => {
                    assert!(calls > 30, "{calls} calls");
                    break;
                }
                Err(Error::Io { op: "open" | "length" | "read" | "write", .. }) => {}
                Err(Error::Stopped(why)) => assert!(why.starts_with("sync of"), "{why}"),
                Err(other) => panic!("{other}"),
            }
        }
    }
}

/// What a file refuses, until it is told otherwise.
#[derive(Default)]
struct Refuses {
    /// Writes at this place, whose first bytes alone are written.
    write_at: Option<u64>,
    sync: bool,
}

/// A file that refuses what it is told to.
struct Refusing {
    inner: Arc<dyn File>,
    refuses: Arc<Mutex<Refuses>>,
    aside: Aside,
}

fn refused() -> io::Error {
    io::Error::from_raw_os_error(5)
}

impl File for Refusing {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if self.refuses.lock().expect("nobody panics").write_at == Some(offset) {
            self.inner.write_all_at(&bytes[..6], offset)?;
            return Err(refused());
        }
        self.inner.write_all_at(bytes, offset)?;
        Ok(bytes.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        let refuses = self.refuses.lock().expect("nobody panics").sync;
        match refuses {
            true => Err(refused()),
            false => self.inner.sync_data().inspect(|()| step_aside(&self.aside)),
        }
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }

    pass_on!(read_at, len, set_len, allocate, try_lock, unlock);
}

/// As [`open`], but each of the files may refuse.
fn open_refusing(
    disk: &MemoryDisk,
    user: &Arc<Mutex<Refuses>>,
    own: &Arc<Mutex<Refuses>>,
) -> Cache {
    let refusing = |name, refuses: &Arc<Mutex<Refuses>>| {
        let inner = file(disk, name).expect("the disk works");
        Arc::new(Refusing { inner, refuses: Arc::clone(refuses), aside: Aside::default() })
    };
    let files = Files::new(PAGE);
    files.add(TablespaceId(0), Path::new("user"), refusing("user", user));
    let path = Path::new(COPIES);
    let copies = DoubleWrite::open(refusing(COPIES, own), path, PAGE, DATABASE, CONFIG);
    let config = CacheConfig { frame_count: 8, run_pages_max: 1 };
    let cache = Cache::new(config, files, Arc::new(Durable)).expect("in range");
    cache.with_double_write(copies.expect("the disk works")).expect("it fits")
}

fn told(result: falcon::Result<impl std::fmt::Debug>) -> String {
    result.expect_err("the file refuses").to_string()
}

/// A write in place fails after a few bytes. The page's copy must be there until the page is whole in place, also if
/// so much else is written that a new generation has to begin.
#[test]
fn a_generation_does_not_begin_while_a_page_is_torn() {
    let disk = lay_out(8);
    let user = Arc::new(Mutex::new(Refuses::default()));
    let cache = open_refusing(&disk, &user, &Arc::default());
    change(&cache, page(1), 10).expect("the disk works");
    user.lock().expect("nobody panics").write_at = Some(1024);
    for _ in 0..2 {
        let told = told(cache.checkpoint());
        assert!(told.starts_with("write of user: "), "{told}");
    }
    assert_eq!((in_place(&disk, 1), cache.dirty_count()), (None, 1), "its first bytes are new");
    // Two of four are taken. The next generation begins only if page 1 can be written before.
    for (number, value) in [(2, 20), (3, 21), (4, 22)] {
        change(&cache, page(number), value).expect("the disk works");
        let told = told(cache.checkpoint());
        assert!(told.starts_with("write of user: "), "{told}");
    }
    let counters = cache.double_write().expect("it has one").counters();
    assert_eq!((counters.full, counters.checkpoints), (0, 0), "{counters:?}");
    assert_eq!(in_place(&disk, 1), None);

    user.lock().expect("nobody panics").write_at = None;
    cache.checkpoint().expect("the disk works");
    let counters = cache.double_write().expect("it has one").counters();
    assert!(counters.full >= 1, "{counters:?}");
    let found = [1, 2, 3, 4].map(|number| in_place(&disk, number));
    assert_eq!(found, [Some(10), Some(20), Some(21), Some(22)]);
}

/// A sync that fails can take writes back, and a page that was read from its file after it was an older one, until
/// all had stopped: a client could see rows as they were before acknowledged changes. Such a page is refused now;
/// others are read as ever.
#[test]
fn a_page_that_a_failed_sync_may_have_taken_back_is_not_read() {
    let disk = lay_out(8);
    let user = Arc::new(Mutex::new(Refuses::default()));
    let inner = file(&disk, "user").expect("the disk works");
    let (refuses, aside) = (Arc::clone(&user), Aside::default());
    let files = Files::new(PAGE);
    files.add(TablespaceId(0), Path::new("user"), Arc::new(Refusing { inner, refuses, aside }));
    let mut bytes = image(page(1), PAGE, 10);
    files.write(page(1), &bytes).expect("the disk works");
    files.read(page(1), &mut bytes).expect("no sync has failed");
    files.sync().expect("the disk works");
    files.write(page(2), &image(page(2), PAGE, 20)).expect("the disk works");
    user.lock().expect("nobody panics").sync = true;
    assert!(told(files.sync()).starts_with("the engine has stopped: sync of user"));
    files.read(page(1), &mut bytes).expect("a sync has covered it");
    assert_eq!(value_of(&bytes, page(1)), Some(10));
    let told = told(files.read(page(2), &mut bytes));
    assert!(told.starts_with("the engine has stopped: sync of user"), "{told}");
}

/// The same, and then the power goes while the page is torn.
#[test]
fn a_page_whose_write_failed_is_repaired() {
    let disk = lay_out(8);
    let user = Arc::new(Mutex::new(Refuses::default()));
    let cache = open_refusing(&disk, &user, &Arc::default());
    put(&cache, &[(1, 9)]);
    user.lock().expect("nobody panics").write_at = Some(1024);
    for value in 10..18 {
        change(&cache, page(1), value).expect("only memory is changed");
        let told = told(cache.checkpoint());
        assert!(told.starts_with("write of user: "), "{told}");
    }
    assert_eq!(in_place(&disk, 1), None, "its first bytes are new");
    drop(cache);
    drop(open(&disk).expect("the disk works"));
    let found = in_place(&disk, 1).expect("it is whole");
    assert!((10..18).contains(&found), "{found}");
}

/// Something that is done in the middle of a call, once.
type Aside = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

fn step_aside(aside: &Aside) {
    let what = aside.lock().expect("nobody panics").take();
    if let Some(what) = what {
        what();
    }
}

/// A log that is durable at once, but steps aside before it says so.
struct AsideOfLog(Aside);

impl WriteAhead for AsideOfLog {
    fn make_durable(&self, _: Lsn) -> falcon::Result<()> {
        step_aside(&self.0);
        Ok(())
    }
}

/// A cache of four frames whose log steps aside, and whose file may refuse and steps aside behind a sync.
fn open_aside(disk: &MemoryDisk, refuses: &Arc<Mutex<Refuses>>, aside: [&Aside; 2]) -> Arc<Cache> {
    let files = Files::new(PAGE);
    let inner = file(disk, "user").expect("the disk works");
    let [of_log, of_sync] = aside.map(Arc::clone);
    let user = Refusing { inner, refuses: Arc::clone(refuses), aside: of_sync };
    files.add(TablespaceId(0), Path::new("user"), Arc::new(user));
    let copies = copies(disk).expect("the disk works");
    copies.repair(&files).expect("the disk works");
    let config = CacheConfig { frame_count: 4, run_pages_max: 1 };
    let cache = Cache::new(config, files, Arc::new(AsideOfLog(of_log))).expect("in range");
    Arc::new(cache.with_double_write(copies).expect("it fits"))
}

/// Changes a page and makes it the only one that can give its frame to page 7.
fn change_and_evict(cache: &Cache, number: u32, value: u64) -> falcon::Result<()> {
    change(cache, page(number), value)?;
    let guards: Vec<_> = (4..7).map(|number| cache.read(page(number))).collect();
    assert!(guards.iter().all(Result::is_ok), "the other three");
    cache.read(page(7)).map(drop)
}

/// The page is in place when the checkpoint ends, but that sync did not cover it.
#[test]
fn a_page_that_is_written_while_a_checkpoint_syncs_keeps_its_copy() {
    let disk = lay_out(8);
    let [of_log, of_sync] = [Aside::default(), Aside::default()];
    let cache = open_aside(&disk, &Arc::default(), [&of_log, &of_sync]);
    change(&cache, page(1), 10).expect("the disk works");
    let evicts = Arc::clone(&cache);
    let aside = move || change_and_evict(&evicts, 2, 20).expect("the disk works");
    *of_sync.lock().expect("nobody panics") = Some(Box::new(aside));
    cache.checkpoint().expect("the disk works");
    assert_eq!(in_place(&disk, 2), Some(20), "it was written meanwhile");
    let counters = cache.double_write().expect("it has one").counters();
    assert_eq!((counters.entries, counters.checkpoints), (2, 0), "{counters:?}");
    change(&cache, page(3), 30).expect("the disk works");
    cache.checkpoint().expect("the disk works");
    let counters = cache.double_write().expect("it has one").counters();
    assert_eq!((counters.entries, counters.checkpoints), (3, 1), "{counters:?}");
}

/// A page is changed and torn after a checkpoint has looked which pages are dirty, so it does not see it.
#[test]
fn a_page_that_is_torn_while_a_checkpoint_writes_keeps_its_copy() {
    let disk = lay_out(8);
    let [of_log, of_sync] = [Aside::default(), Aside::default()];
    let user = Arc::new(Mutex::new(Refuses::default()));
    let cache = open_aside(&disk, &user, [&of_log, &of_sync]);
    change(&cache, page(1), 10).expect("the disk works");
    let (evicts, refuses) = (Arc::clone(&cache), Arc::clone(&user));
    let aside = move || {
        refuses.lock().expect("nobody panics").write_at = Some(2 * 1024);
        // A page that is being written needs its frame too: three others would be too many.
        change(&evicts, page(2), 20).expect("only memory is changed");
        let guards = [4, 5].map(|number| evicts.read(page(number)));
        assert!(guards.iter().all(Result::is_ok), "the other two");
        let told = told(evicts.read(page(7)).map(drop));
        assert!(told.starts_with("write of user: "), "{told}");
    };
    *of_log.lock().expect("nobody panics") = Some(Box::new(aside));
    cache.checkpoint().expect("it has written what was dirty when it began");
    assert_eq!(in_place(&disk, 2), None, "its first bytes are new");
    let counters = cache.double_write().expect("it has one").counters();
    assert_eq!((counters.entries, counters.checkpoints), (2, 0), "{counters:?}");
    drop(open(&disk).expect("the disk works"));
    assert_eq!(in_place(&disk, 2), Some(20), "it is repaired");
}

#[test]
fn after_a_failed_sync_nothing_is_written_any_more() {
    for of_copies in [true, false] {
        let disk = lay_out(8);
        let (user, own) = (Arc::default(), Arc::default());
        let cache = open_refusing(&disk, &user, &own);
        change(&cache, page(1), 10).expect("only memory is changed");
        let (refuses, name) = if of_copies { (&own, COPIES) } else { (&user, "user") };
        refuses.lock().expect("nobody panics").sync = true;
        let first = told(cache.checkpoint());
        assert!(first.starts_with(&format!("the engine has stopped: sync of {name}: ")), "{first}");
        refuses.lock().expect("nobody panics").sync = false;
        let before = [bytes_of(&disk, "user"), bytes_of(&disk, COPIES)];
        change(&cache, page(2), 11).expect("only memory is changed");
        assert_eq!(told(cache.checkpoint()), first);
        assert_eq!(told(cache.files().sync()), first);
        assert_eq!(cache.files().stopped().map(|why| why.to_string()), Some(first));
        assert_eq!([bytes_of(&disk, "user"), bytes_of(&disk, COPIES)], before);
        let expected = if of_copies { Some(0) } else { Some(10) };
        assert_eq!(in_place(&disk, 1), expected);
    }
}

/// Without copies the files alone remember it.
#[test]
fn after_a_failed_sync_a_cache_without_copies_has_stopped_too() {
    let disk = lay_out(8);
    let refuses = Arc::new(Mutex::new(Refuses { sync: true, ..Refuses::default() }));
    let files = Files::new(PAGE);
    let inner = file(&disk, "user").expect("the disk works");
    files.add(
        TablespaceId(0),
        Path::new("user"),
        Arc::new(Refusing { inner, refuses, aside: Aside::default() }),
    );
    let config = CacheConfig { frame_count: 4, run_pages_max: 1 };
    let cache = Cache::new(config, files, Arc::new(Durable)).expect("in range");
    change(&cache, page(1), 10).expect("only memory is changed");
    let first = told(cache.checkpoint());
    assert!(first.starts_with("the engine has stopped: sync of user: "), "{first}");
    change(&cache, page(1), 11).expect("only memory is changed");
    assert_eq!(told(cache.checkpoint()), first);
    assert_eq!(in_place(&disk, 1), Some(10));
}

#[test]
fn a_tablespace_without_a_file_is_named() {
    let disk = lay_out(1);
    let cache = open(&disk).expect("the disk works");
    let elsewhere = PageId { tablespace: TablespaceId(9), number: PageNumber(0) };
    let mut guard = cache.create(elsewhere, Lsn(1)).expect("nothing is read");
    SequencePageMut::format(guard.change(Lsn(1)), elsewhere, 0);
    drop(guard);
    let told = told(cache.checkpoint());
    assert_eq!(told, "tablespace 9 is not open");
    let counters = cache.double_write().expect("it has one").counters();
    let expected = DoubleWriteCounters { entries: 1, pages: 1, syncs: 1, ..counters };
    assert_eq!(counters, expected);
}
