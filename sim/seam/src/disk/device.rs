//! What a device says of itself: the unit of direct writes, and what it does not tear.
//!
//! # Method
//!
//! The unit of direct writes is the file system's word for a file of it (`statx`, Linux 6.1 and later),
//! else the block device's logical block. What is not torn is the device's physical block, which the
//! kernel documents as the smallest unit that the device writes atomically; it counts only as far as the
//! file system keeps files aligned to it. Where nobody tells, both are 512.

use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What every disk since the first has kept.
const SECTOR_BYTES_USUAL: u32 = 512;

/// Sizes of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) sector_size: u32,
    pub(super) atomic_unit: u32,
}

impl Geometry {
    /// Of the device below the directory `root`, which is open as `directory`.
    pub(super) fn of(root: &Path, directory: &fs::File) -> Geometry {
        let queue = Queue::of(directory);
        let logical = queue.as_ref().and_then(|queue| queue.read("logical_block_size"));
        let sector_size = power_of_two(direct_alignment(root).ok())
            .or(power_of_two(logical))
            .unwrap_or(SECTOR_BYTES_USUAL);

        let physical = queue.as_ref().and_then(Queue::aligned_physical_block);
        let file_block = directory.metadata().ok().and_then(|m| u32::try_from(m.blksize()).ok());
        let kept_aligned = power_of_two(file_block).unwrap_or(SECTOR_BYTES_USUAL);
        let atomic_unit =
            power_of_two(physical).map_or(SECTOR_BYTES_USUAL, |bytes| bytes.min(kept_aligned));
        Geometry { sector_size, atomic_unit }
    }
}

fn power_of_two(bytes: Option<u32>) -> Option<u32> {
    bytes.filter(|bytes| bytes.is_power_of_two())
}

/// Alignment that a direct read or write of a file in `root` needs, of offsets and of memory.
///
/// Only a regular file can be asked, so a nameless one is made for it.
fn direct_alignment(root: &Path) -> io::Result<u32> {
    let probe =
        fs::OpenOptions::new().read(true).write(true).custom_flags(libc::O_TMPFILE).open(root)?;
    let mut answer = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the descriptor is open, the path is an empty C string, and the answer has room for all
    // that the kernel writes.
    let result = unsafe {
        libc::statx(
            probe.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            libc::STATX_DIOALIGN,
            answer.as_mut_ptr(),
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeros are a value of this type of plain numbers, and the kernel has filled it.
    let answer = unsafe { answer.assume_init() };
    if answer.stx_mask & libc::STATX_DIOALIGN == 0 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // 0 says that the file system knows no direct access; the caller falls back.
    Ok(answer.stx_dio_offset_align.max(answer.stx_dio_mem_align))
}

/// The block device's own description, in sysfs.
struct Queue {
    device: PathBuf,
    queue: PathBuf,
}

impl Queue {
    /// Of the block device that holds `directory`; `None` for a file system without one of its own.
    fn of(directory: &fs::File) -> Option<Queue> {
        let device = directory.metadata().ok()?.dev();
        let (major, minor) = (libc::major(device), libc::minor(device));
        let device = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
        // A partition has no queue; its disk, the folder above, has.
        let whole = [device.clone(), device.parent()?.to_owned()];
        let queue =
            whole.into_iter().map(|disk| disk.join("queue")).find(|queue| queue.is_dir())?;
        Some(Queue { device, queue })
    }

    fn read(&self, name: &str) -> Option<u32> {
        read_number(&self.queue.join(name))
    }

    /// Bytes of the physical block, if the device (or partition) begins on a boundary of one.
    fn aligned_physical_block(&self) -> Option<u32> {
        let offset = read_number(&self.device.join("alignment_offset")).unwrap_or(0);
        self.read("physical_block_size").filter(|_| offset == 0)
    }
}

fn read_number(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
