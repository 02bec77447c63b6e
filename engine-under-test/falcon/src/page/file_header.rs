//! Page 0 of every file: whose file it is, and whether its creation was completed.
//!
//! # Method
//!
//! ```text
//!  24       32       34      35   36          40          56              64
//! +--------+--------+-------+----+-----------+-----------+---------------+---- - -
//! | magic  | format | state | 0  | page size | database  | creation time | 0
//! | 8      | u16    | u8    | u8 | u32       | u128      | u64 ns        |
//! +--------+--------+-------+----+-----------+-----------+---------------+---- - -
//! ```
//!
//! A file is made with state 0. Once all its fixed pages are durable the state becomes 1. A file with state 0
//! is the rest of a creation that was cut off: it holds nothing and may be made again.
//!
//! # Invariant
//!
//! The magic, the format and the page size lie at the same place in every format, and within the smallest
//! page: [`FileHeader::page_size`] reads them before the size of a page is known.

use super::bytes::{array_at, put, put_u16, put_u32, put_u64, u16_at, u32_at, u64_at};
use super::error::PageError;
use super::header::{self, Header, PageKind, assert_kind, id_of};
use super::size::PageSize;
use crate::ids::{PageId, PageNumber, TablespaceId};

const MAGIC: usize = 24;
const FORMAT: usize = 32;
const STATE: usize = 34;
const UNUSED: usize = 35;
const PAGE_SIZE: usize = 36;
const DATABASE: usize = 40;
const CREATED: usize = 56;
const END: usize = 64;

const MAGIC_BYTES: [u8; 8] = *b"FALCON\r\n";
/// The newest format of files.
const FORMAT_KNOWN: u16 = 1;

/// Tells the files of one database from those of all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatabaseId(pub u128);

/// How far the creation of a file went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// It was begun, and nothing in the file counts.
    Begun,
    /// All fixed pages are there.
    Complete,
}

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    /// The database it belongs to.
    pub database: DatabaseId,
    /// The tablespace that it holds.
    pub tablespace: TablespaceId,
    /// When it was made, in nanoseconds since 1970, by the clock of the wall. It tells nothing but that.
    pub created_ns: u64,
}

/// The header of a file, for reading.
#[derive(Clone, Copy, Debug)]
pub struct FileHeader<'a> {
    bytes: &'a [u8],
}

impl<'a> FileHeader<'a> {
    /// Checks a page that came from the disk.
    pub fn view(bytes: &'a [u8]) -> Result<FileHeader<'a>, PageError> {
        let header = Header::read_kind(bytes, PageKind::FileHeader)?;
        let checker = header.checker();
        let number = header.id.number.0;
        checker.ensure(number == 0, 16, "page number", number, || "0".to_string())?;
        let size = FileHeader::page_size(bytes)?;
        checker.ensure(size == header.size, PAGE_SIZE, "page size", size.bytes() as u64, || {
            format!("{}, the page's own", header.size.bytes())
        })?;
        let state = bytes[STATE];
        checker.ensure(state <= 1, STATE, "state", state, || "0 or 1".to_string())?;
        checker.zero(bytes, UNUSED..PAGE_SIZE)?;
        checker.zero(bytes, END..bytes.len())?;
        Ok(FileHeader { bytes })
    }

    /// Takes a page that has passed [`FileHeader::view`].
    pub fn of_checked(bytes: &'a [u8]) -> FileHeader<'a> {
        assert_kind(bytes, PageKind::FileHeader);
        FileHeader { bytes }
    }

    /// The size of the file's pages, from at least the first 1,024 bytes of the file. It is a claim: the page
    /// of that size must still pass [`check`](super::check).
    pub fn page_size(start: &[u8]) -> Result<PageSize, PageError> {
        if start.len() < PageSize::MIN.bytes() {
            return Err(PageError::Size { bytes: start.len() });
        }
        let page = id_of(start);
        if array_at(start, MAGIC) != MAGIC_BYTES {
            return Err(PageError::Magic { page });
        }
        let found = u16_at(start, FORMAT);
        if found > FORMAT_KNOWN {
            return Err(PageError::Newer { page, found, known: FORMAT_KNOWN });
        }
        let refused = |at, field, found: u64, expected: &str| PageError::Field {
            page,
            at,
            field,
            found,
            expected: expected.to_string(),
        };
        if found == 0 {
            return Err(refused(FORMAT, "format", 0, "from 1"));
        }
        let size = u32_at(start, PAGE_SIZE);
        usize::try_from(size).ok().and_then(PageSize::of_length).ok_or_else(|| {
            refused(PAGE_SIZE, "page size", size.into(), "a power of two from 1024 to 32768")
        })
    }

    /// Whose file it is.
    pub fn identity(&self) -> FileIdentity {
        FileIdentity {
            database: DatabaseId(u128::from_le_bytes(array_at(self.bytes, DATABASE))),
            tablespace: id_of(self.bytes).tablespace,
            created_ns: u64_at(self.bytes, CREATED),
        }
    }

    /// The format of the file.
    pub fn format_version(&self) -> u16 {
        u16_at(self.bytes, FORMAT)
    }

    /// How far its creation went.
    pub fn creation(&self) -> Creation {
        if self.bytes[STATE] == 0 { Creation::Begun } else { Creation::Complete }
    }
}

/// The header of a file, for changing.
#[derive(Debug)]
pub struct FileHeaderMut<'a> {
    bytes: &'a mut [u8],
}

impl<'a> FileHeaderMut<'a> {
    /// Makes the header of a file whose creation begins.
    pub fn format(bytes: &'a mut [u8], identity: FileIdentity) -> FileHeaderMut<'a> {
        let id = PageId { tablespace: identity.tablespace, number: PageNumber(0) };
        let size = header::format(bytes, id, PageKind::FileHeader);
        put(bytes, MAGIC, &MAGIC_BYTES);
        put_u16(bytes, FORMAT, FORMAT_KNOWN);
        put_u32(bytes, PAGE_SIZE, size.bytes() as u32);
        put(bytes, DATABASE, &identity.database.0.to_le_bytes());
        put_u64(bytes, CREATED, identity.created_ns);
        FileHeaderMut { bytes }
    }

    /// Checks a page that came from the disk.
    pub fn view(bytes: &'a mut [u8]) -> Result<FileHeaderMut<'a>, PageError> {
        FileHeader::view(bytes)?;
        Ok(FileHeaderMut { bytes })
    }

    /// Says that all fixed pages of the file are durable.
    pub fn complete(&mut self) {
        self.bytes[STATE] = 1;
    }

    /// The same page, for reading.
    pub fn read(&self) -> FileHeader<'_> {
        FileHeader { bytes: self.bytes }
    }
}
