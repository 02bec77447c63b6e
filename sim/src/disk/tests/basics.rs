//! What holds without any fault.

use super::*;

#[test]
fn what_was_written_is_read() {
    let mut world = World::new(DiskConfig::default());
    let file = world.create("a");
    assert_eq!(world.write(file, b"hello", 4094).unwrap(), 5);
    assert_eq!(world.read(file, 10, 4092).unwrap(), b"\0\0hello");
    assert_eq!(world.disk.pending().ops, 3, "two pages and a length");
}

#[test]
fn what_was_synced_survives_and_the_rest_is_lost() {
    let policy = Some(SurvivalPolicy::None);
    let mut world =
        World::with(DiskConfig { policy, ..DiskConfig::default() }, Choices::from_seed(1));
    world.admit_losses();
    let file = world.create("a");
    world.write(file, &[1; 8192], 0).unwrap();
    world.sync(file).unwrap();
    world.write(file, &[2; 4096], 4096).unwrap();
    world.write(file, &[3; 100], 8192).unwrap();
    let loss = world.power_loss();
    assert_eq!(world.disk.durable("a").unwrap(), vec![1; 8192]);
    assert_eq!(world.disk.cached("a").unwrap(), vec![1; 8192]);
    assert_eq!((loss.survived_writes, loss.lost_writes), (0, 2));
    assert_eq!(world.read(file, 1, 0).unwrap_err().raw_os_error(), Some(libc::EBADF));
}

#[test]
fn a_crash_of_the_process_keeps_the_page_cache() {
    let mut world = World::new(DiskConfig::default());
    world.admit_losses();
    let file = world.create("a");
    world.write(file, &[1; 100], 0).unwrap();
    world.call(|disk, env| disk.process_crash(env));
    assert_eq!(world.disk.durable("a"), None);
    let file = world.open("a", OpenOptions::READ).unwrap();
    assert_eq!(world.read(file, 100, 0).unwrap(), [1; 100]);
    assert_eq!(world.disk.pending().ops, 2);
}
