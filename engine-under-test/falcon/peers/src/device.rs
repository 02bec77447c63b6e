//! What the system tells of a directory, and of what this process has written.
//!
//! # Method
//!
//! The sync latency is the median of `fdatasync` after a write over bytes that are there already, which is what
//! a commit costs at least. Files are cold when the system's page cache has none of their pages: they are
//! synced, and then given up by `posix_fadvise(POSIX_FADV_DONTNEED)`. On tmpfs that does nothing.
//!
//! # Invariant
//!
//! Nothing here changes what a file holds, but for the file that the latency is measured with.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

const SYNCS: usize = 201;

/// The median time of a write of so many bytes and its `fdatasync`, in a file that is as long already.
///
/// # Errors
///
/// Those of the system.
pub fn sync_latency(dir: &Path, bytes: usize) -> io::Result<Duration> {
    let path = dir.join("latency");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    file.write_all_at(&vec![0; bytes * SYNCS], 0)?;
    file.sync_all()?;
    let block = vec![1; bytes];
    let mut times = Vec::new();
    for number in 0..SYNCS {
        let begin = Instant::now();
        file.write_all_at(&block, (number * bytes) as u64)?;
        file.sync_data()?;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    fs::remove_file(&path)?;
    Ok(times[SYNCS / 2])
}

/// The file system that a directory is on.
///
/// # Errors
///
/// Those of the system.
pub fn file_system(dir: &Path) -> io::Result<String> {
    let path = CString::new(dir.as_os_str().as_bytes())?;
    // SAFETY: the struct is plain numbers, for which zeros are a value.
    let mut told: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends with a zero, and both pointers live through the call.
    let result = unsafe { libc::statfs(path.as_ptr(), &mut told) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(match told.f_type as u64 {
        0xEF53 => "ext4".into(),
        0x0102_1994 => "tmpfs".into(),
        0x5846_5342 => "xfs".into(),
        0x9123_683E => "btrfs".into(),
        0x794C_7630 => "overlayfs".into(),
        other => format!("file system {other:#x}"),
    })
}

/// Takes all files below a directory out of the system's page cache.
///
/// # Errors
///
/// Those of the system.
pub fn make_cold(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_cold(&entry.path())?;
            continue;
        }
        let file = File::open(entry.path())?;
        // A page that waits to be written cannot be given up.
        file.sync_all()?;
        // SAFETY: the descriptor is open, and the call takes plain numbers.
        let result =
            unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
        if result != 0 {
            return Err(io::Error::from_raw_os_error(result));
        }
    }
    Ok(())
}

/// How many processors this process may use, and of which kind the system says that they are.
pub fn processors() -> String {
    let count = std::thread::available_parallelism().map_or(1, |count| count.get());
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let kind = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!("{count} x {}", kind.map_or("a processor of an unknown kind", |(_, name)| name))
}

/// How long this thread has run on a processor, which no other process of the machine adds to.
///
/// # Errors
///
/// Those of the system.
pub fn processor_time() -> io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a struct that lives through the call.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// Bytes that this process has caused to be written to a device, in whole pages of the page cache.
///
/// # Errors
///
/// Those of the system, or a system that does not tell.
pub fn written_bytes() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/self/io")?;
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    let bytes = line.and_then(|count| count.parse().ok());
    bytes.ok_or_else(|| io::Error::other("/proc/self/io has no write_bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_measured_and_made_cold() {
        let dir = crate::test_folder("device");
        let inner = dir.join("inner");
        fs::create_dir_all(&inner).expect("there is room");
        let before = written_bytes().expect("Linux tells it");
        fs::write(inner.join("file"), [7; 4_096]).expect("there is room");
        make_cold(&dir).expect("every file takes it");
        assert_eq!(fs::read(inner.join("file")).expect("it is there"), [7; 4_096]);
        assert!(sync_latency(&dir, 512).expect("there is room") > Duration::ZERO);
        assert!(!file_system(&dir).expect("it is there").is_empty());
        assert!(written_bytes().expect("as before") >= before);
        assert!(processors().contains(" x "));
        assert!(processor_time().expect("Linux tells it") > Duration::ZERO);
        fs::remove_dir_all(&dir).expect("it is ours");
    }
}
