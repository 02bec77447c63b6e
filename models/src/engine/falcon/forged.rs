//! A database whose pages are sealed well, and say what is not so.
//!
//! # Method
//!
//! A page of a picture is changed and sealed anew, as if the engine had written it. No checksum tells; whoever
//! follows the pages must: by an error that names the place, or, when the structure is looked at, by a finding.
//! For changes of which it is known what they come to, that is demanded; a byte of any page that is another may
//! come to anything but a panic or an error that names nothing.
//!
//! # Invariant
//!
//! Where the outcome is known the picture is that of a database that was closed: no log makes good what was changed.
//! It is from before the file of versions, which would tell of a new seal before anything else.

use std::path::Path;

use falcon::page::index::{IndexId, IndexKey, IndexPage, IndexPageMut};
use falcon::page::key::KeyValue;
use falcon::page::{
    self, DataPage, DataPageMut, InventoryPageMut, Locator, LocatorPageMut, OverflowPage, PageKind,
    Record, RecordNumber, SectionPageMut, SequencePageMut,
};
use falcon::store::format::{INDEX_ROOTS, SECTION_ROOTS};
use falcon::store::record;
use falcon::{Database as Falcon, Error, PageId, PageNumber, TablespaceId, row};

use super::damaged::{corrupt, placed};
use super::picture::{
    CLOSED, Files, LOG, PAGE_BYTES, PAGES, Picture, PictureDisk, answer, options,
};
use super::{blocks, parts, pick};
use crate::engine::EngineError;

/// The first page behind those that every file has, and where an overflow or index page has its link.
const FIRST: u32 = 4;
const LINK: usize = 28;
/// Where section, data, locator and overflow pages say whose they are.
const SECTION: usize = 24;
/// Where a locator page says which one of its section it is, and a section page its level.
const SEQUENCE: usize = 28;
const LEVEL: usize = 32;
/// A section and an index that no picture has.
const NOBODY: u32 = 9;

/// A forgery whose outcome is known.
pub(super) fn upkeep() -> Result<(), EngineError> {
    let (forge, words) = FORGERIES[pick("falcon/forged", FORGERIES.len() as u64) as usize];
    let mut files = CLOSED.files();
    forge(&mut files);
    let told = match looked(&files, &CLOSED) {
        Ok(problems) => problems,
        Err(error) if is_named(&error) => vec![error.to_string()],
        Err(error) => return corrupt(format!("forged, {words:?}: {error}")),
    };
    match told.iter().any(|what| what.contains(words)) {
        true => Ok(()),
        false => corrupt(format!("forged, {words:?} was to be told, and is not: {told:?}")),
    }
}

/// A byte of any page, or of a record of the log, is another.
pub(super) fn at_random() -> Result<(), EngineError> {
    let picture = parts::picked();
    let mut files = picture.files();
    let what = match pick("falcon/forged_in", 4) {
        3 => forge_record(&mut files),
        _ => forge_page(&mut files, picture),
    };
    let done = match pick("falcon/changed", 2) {
        0 => looked(&files, picture).map(drop),
        _ => changed(&files),
    };
    match done {
        Ok(()) => Ok(()),
        Err(error) if is_named(&error) => Ok(()),
        // What a change of pages meets stops the engine, which tells the first call alone why.
        Err(Error::Stopped(why) | Error::OutcomeUnknown { why, .. })
            if why.contains("damaged") || why.contains("cut off by an error") =>
        {
            Ok(())
        }
        Err(error) => corrupt(format!("{what}: {error}")),
    }
}

/// Changes rows of it and drops a table, as if nothing were.
fn changed(files: &Files) -> falcon::Result<()> {
    let falcon = Falcon::open(&PictureDisk::shared(files.clone()), &options())?;
    let Some(people) = falcon.table("people") else { return falcon.close() };
    let mut txn = falcon.begin();
    let from = RecordNumber(pick("falcon/changed_at", 12));
    for number in 0..4 {
        let name = "a name that is as long as others are".repeat(2);
        let row = [KeyValue::U64(100 + number), KeyValue::Text(name.into()), KeyValue::Null];
        let done = match pick("falcon/changing", 3) {
            0 => txn.insert(&people, &row).map(drop),
            1 => txn.update(&people, RecordNumber(from.0 + number), &row).map(drop),
            _ => txn.delete(&people, RecordNumber(from.0 + number)).map(drop),
        };
        match done {
            // Another row may be forged to be as this one.
            Err(Error::Duplicate { .. } | Error::ColumnCount { .. }) => {}
            done => done?,
        }
    }
    txn.commit()?;
    if falcon.table("letters").is_some() {
        falcon.drop_table("letters")?;
    }
    falcon.verify()?;
    falcon.close()
}

fn forge_page(files: &mut Files, picture: &Picture) -> String {
    let (id, name, mut bytes) = parts::page_of(picture);
    let at = parts::place(bytes.len());
    // Not what a page is, where it is and how new, which the seal alone protects.
    if at >= page::HEADER_BYTES {
        bytes[at] = parts::another(bytes[at]);
        page::seal(&mut bytes, id);
    }
    let from = id.number.0 as usize * PAGE_BYTES;
    files.get_mut(name).expect("it is there")[from..from + PAGE_BYTES].copy_from_slice(&bytes);
    format!("byte {at} of {id} is forged")
}

/// A record of the log says something else, and its block is sealed anew. What is changed is so that pages which a
/// change names are behind all that there are: a page that leads to itself is no log's.
fn forge_record(files: &mut Files) -> String {
    let blocks = blocks::all(files);
    let ordinal = pick("falcon/block", blocks.len() as u64) as usize;
    let block = &blocks[ordinal];
    let records = block.records(files);
    if records.is_empty() {
        return "nothing".into();
    }
    let (kind, range) = records[pick("falcon/record", records.len() as u64) as usize].clone();
    let (at, byte) = match (kind, pick("falcon/field", 4)) {
        // The page, which is no other's then; how many operations; the first one.
        (record::PAGE_CHANGE, 1) => (range.start + 4, 100 + pick("falcon/far", 100) as u8),
        (record::PAGE_CHANGE, 2) => (range.start + 8, u8::MAX),
        (record::PAGE_CHANGE, 3) => (range.start + 10, 20 + pick("falcon/kind", 200) as u8),
        // The table, what happens to the row, and the row's length.
        (record::ROWS | record::COMMIT, 1) => (range.start + 8, 50 + pick("falcon/far", 100) as u8),
        (record::ROWS | record::COMMIT, 2) => (range.start + 20, 3 + pick("falcon/small", 4) as u8),
        (record::ROWS | record::COMMIT, 3) => (range.start + 21, pick("falcon/length", 256) as u8),
        _ => (blocks::Block::kind_at(&range), 6 + pick("falcon/kind", 200) as u8),
    };
    if at < range.end {
        files.get_mut(LOG[block.file]).expect("it is there")[at] = byte;
        blocks::seal(files, &blocks, ordinal);
    }
    format!("byte {at} of {} is {byte}, in a record of kind {}", LOG[block.file], kind.0)
}

/// Opens, looks at the structure and reads it all.
fn looked(files: &Files, picture: &Picture) -> falcon::Result<Vec<String>> {
    let falcon = Falcon::open(&PictureDisk::shared(files.clone()), &options())?;
    let problems = falcon.verify();
    let read = answer(&falcon, picture.answer);
    match (problems, read) {
        (Ok(problems), Ok(_)) => {
            falcon.close()?;
            Ok(problems.problems)
        }
        (Ok(problems), Err(error)) if is_named(&error) => Ok(problems.problems),
        (_, Err(error)) | (Err(error), _) => Err(error),
    }
}

/// An error of what is damaged names a file of the database, or its log, and a place.
fn is_named(error: &Error) -> bool {
    // A number on a page is of nobody.
    if matches!(error, Error::NoIndex { .. } | Error::TooManyIndexes { .. }) {
        return true;
    }
    let Some((file, place)) = placed(error) else { return false };
    let is_of = |name: &&str| file == Path::new(name);
    !place.is_empty() && (PAGES.iter().chain(&LOG).any(is_of) || is_of(&"log"))
}

type Forge = fn(&mut Files);

const FORGERIES: &[(Forge, &str)] = &[
    (|files| inventory(files, |page, free| page.mark_used(free)), "is in use, and nothing leads"),
    (
        |files| {
            let used = drawn(files, &[PageKind::Data, PageKind::Index, PageKind::Overflow]);
            inventory(files, |page, _| page.mark_free(PageNumber(used)));
        },
        "is free, and is of",
    ),
    (|files| slots(files, |page, real, _| page.set(real, Locator::Stub)), "is a stub"),
    (
        |files| {
            slots(files, |page, real, free| {
                let same = page.read().locator(real);
                page.set(free, same);
            });
        },
        "has two records of",
    ),
    (
        |files| slots(files, |page, real, _| page.set(real, Locator::Free)),
        "has a record that nothing leads to",
    ),
    (|files| rows(files, &row::encode(&[KeyValue::Null])), "has 1 columns"),
    (|files| rows(files, &[1, 200]), "byte 1 of the row"),
    (|files| rows(files, &[5]), "byte 0 of the row"),
    (
        |files| {
            leaf(files, |page| {
                let key = page.read().entries().advance().map(|entry| entry.key.to_buf());
                assert!(page.delete(key.expect("no leaf is empty").borrow()));
            });
        },
        "has no entry for record",
    ),
    (
        |files| {
            leaf(files, |page| {
                let high = page.read().high().is_none();
                let key: &[u8] = if high { &[u8::MAX; 3] } else { &[1] };
                let key = IndexKey { key, record: RecordNumber(3) };
                page.insert(key, None).expect("a leaf of a picture has room");
            });
        },
        "has a key that record",
    ),
    (
        |files| {
            let child = drawn(files, &[PageKind::Locator]);
            roots(files, SECTION_ROOTS, child);
        },
        "section 9 of tablespace 1 is of no table",
    ),
    (
        |files| {
            let child = drawn(files, &[PageKind::Index]);
            roots(files, INDEX_ROOTS, child);
        },
        "index 9 of tablespace 1 is of no table",
    ),
    (|files| link_back(files), "its overflow chain leads back to it"),
    (|files| whose(files, &[PageKind::Locator]), "of section 9, expected"),
    (|files| whose(files, &[PageKind::Data]), "of section 9, expected"),
    (|files| whose(files, &[PageKind::Overflow]), "of section 9, expected"),
    (
        |files| {
            let number = drawn(files, &[PageKind::Locator]);
            edit(files, USER, number, |bytes, _| bytes[SEQUENCE] = 7);
        },
        "locator 7, expected 0",
    ),
    (
        |files| {
            let number = drawn(files, &[PageKind::Data, PageKind::Locator, PageKind::Overflow]);
            edit(files, USER, number, |bytes, id| {
                IndexPageMut::format_leaf(bytes, id, IndexId(0));
            });
        },
        ", got index",
    ),
    (
        |files| {
            let number = drawn(files, &[PageKind::Index]);
            edit(files, USER, number, |bytes, id| {
                IndexPageMut::format_leaf(bytes, id, IndexId(NOBODY));
            });
        },
        "a node of index 9",
    ),
    (
        |files| {
            let (_, leaf, other) = branch(files);
            edit(files, USER, leaf, |bytes, id| {
                let index = IndexPage::of_checked(bytes).index();
                IndexPageMut::format_branch(bytes, id, index, 1, PageNumber(other));
            });
        },
        "a node of level 1, expected 0..=0",
    ),
    (
        |files| {
            let (root, leaf, _) = branch(files);
            edit(files, USER, leaf, |bytes, _| link(bytes, root));
        },
        "is the root",
    ),
    (
        |files| {
            let (_, leaf, other) = branch(files);
            edit(files, USER, other, |bytes, _| {
                let page = IndexPage::of_checked(bytes);
                if page.right().is_some() {
                    link(bytes, leaf);
                }
            });
            edit(files, USER, leaf, |bytes, _| link(bytes, 60_000));
        },
        "page 60000",
    ),
    (
        |files| {
            let number = drawn(files, &[PageKind::Section]);
            edit(files, USER, number, |bytes, _| bytes[LEVEL] = 1);
        },
        "wrong page type, expected section, got locator",
    ),
    (
        |files| {
            // The parent says that a leaf begins a little behind where the one before it ends.
            second_entry(files, |page, key, record, child, _| {
                let key = [key, &[0]].concat();
                let key = IndexKey { key: &key, record };
                page.insert(key, Some(child)).expect("it has room");
            });
        },
        "by its parent it begins at",
    ),
    (
        |files| {
            second_entry(files, |page, key, record, _, first| {
                page.insert(IndexKey { key, record }, Some(first)).expect("it has room");
            });
        },
        "a second link leads to it",
    ),
    (
        |files| {
            let (_, leaf, _) = branch(files);
            edit(files, USER, leaf, |bytes, id| {
                // Without its link.
                let (index, entries) = entries(bytes);
                let mut page = IndexPageMut::format_leaf(bytes, id, index);
                for (key, record) in entries {
                    page.insert(IndexKey { key: &key, record }, None).expect("they had room");
                }
            });
        },
        "no link leads on to",
    ),
    (
        |files| {
            let (_, _, second) = branch(files);
            edit(files, USER, second, |bytes, _| {
                let key = IndexKey { key: &[], record: RecordNumber(1) };
                IndexPageMut::of_checked(bytes).insert(key, None).expect("a leaf has room");
            });
        },
        "it begins at",
    ),
    (
        |files| {
            let (root, _, _) = branch(files);
            edit(files, USER, root, |bytes, _| {
                let mut page = IndexPageMut::of_checked(bytes);
                let first = page.read().entries().advance().map(|entry| entry.key.to_buf());
                assert!(page.delete(first.expect("a branch has entries").borrow()));
            });
        },
        "and leads from",
    ),
    (|files| numbers(files, 1), "the next number is"),
    (|files| numbers(files, 0), "the next number is"),
    (|files| catalogue(files, |row| row[0] = KeyValue::U64(7)), "the catalogue"),
    (|files| catalogue(files, |row| row[1] = KeyValue::Null), "the catalogue"),
];

const USER: usize = 1;

/// Changes a page and seals it.
fn edit(files: &mut Files, tablespace: usize, number: u32, change: impl FnOnce(&mut [u8], PageId)) {
    let id = PageId { tablespace: TablespaceId(tablespace as u32), number: PageNumber(number) };
    let from = number as usize * PAGE_BYTES;
    let file = files.get_mut(PAGES[tablespace]).expect("every picture has it");
    let bytes = &mut file[from..from + PAGE_BYTES];
    change(bytes, id);
    page::seal(bytes, id);
}

/// The pages of these kinds that a file has.
fn pages(files: &Files, tablespace: usize, kinds: &[PageKind]) -> Vec<u32> {
    let pages = files[PAGES[tablespace]].chunks_exact(PAGE_BYTES).enumerate();
    let is_of = |bytes: &[u8]| page::check_content(bytes).is_ok_and(|at| kinds.contains(&at.kind));
    let found = pages.skip(FIRST as usize).filter(|(_, bytes)| is_of(bytes));
    found.map(|(number, _)| number as u32).collect()
}

/// One of the pages of these kinds that tables have.
fn drawn(files: &Files, kinds: &[PageKind]) -> u32 {
    let pages = pages(files, USER, kinds);
    pages[pick("falcon/page", pages.len() as u64) as usize]
}

fn bytes_of(files: &Files, tablespace: usize, number: u32) -> &[u8] {
    &files[PAGES[tablespace]][number as usize * PAGE_BYTES..][..PAGE_BYTES]
}

/// Changes what is free, by the first page that is.
fn inventory(
    files: &mut Files,
    change: impl FnOnce(&mut InventoryPageMut<'_>, PageNumber) -> bool,
) {
    edit(files, USER, 1, |bytes, _| {
        let mut page = InventoryPageMut::of_checked(bytes);
        let free = page.read().first_free(PageNumber(0)).expect("a picture is small");
        assert!(change(&mut page, free), "it was as it is to be");
    });
}

/// Changes a locator page, by a slot that has a record and one that has none.
fn slots(files: &mut Files, change: impl FnOnce(&mut LocatorPageMut<'_>, u16, u16)) {
    let number = drawn(files, &[PageKind::Locator]);
    edit(files, USER, number, |bytes, _| {
        let mut page = LocatorPageMut::of_checked(bytes);
        let is_real = |slot: &u16| matches!(page.read().locator(*slot), Locator::Real { .. });
        let real: Vec<u16> = (0..page.read().slot_count()).filter(is_real).collect();
        let real = real[pick("falcon/slot", real.len() as u64) as usize];
        let free = page.read().first_free(0).expect("a picture is small");
        change(&mut page, real, free);
    });
}

/// Puts another row in the place of a drawn one that lies in one page.
fn rows(files: &mut Files, row: &[u8]) {
    let mut whole = Vec::new();
    for number in pages(files, USER, &[PageKind::Data]) {
        let page = DataPage::of_checked(bytes_of(files, USER, number));
        let lines = page.records().filter(|(_, record)| record.tail.is_none());
        whole.extend(lines.map(|(line, _)| (number, line)));
    }
    let (number, line) = whole[pick("falcon/line", whole.len() as u64) as usize];
    edit(files, USER, number, |bytes, _| {
        let mut page = DataPageMut::of_checked(bytes);
        page.put(line, Record::whole(row)).expect("it is shorter than the row that was there");
    });
}

/// Changes a drawn leaf that has entries.
fn leaf(files: &mut Files, change: impl FnOnce(&mut IndexPageMut<'_>)) {
    let mut leaves = pages(files, USER, &[PageKind::Index]);
    leaves.retain(|number| {
        let page = IndexPage::of_checked(bytes_of(files, USER, *number));
        page.level() == 0 && page.entry_count() > 0
    });
    let number = leaves[pick("falcon/leaf", leaves.len() as u64) as usize];
    edit(files, USER, number, |bytes, _| change(&mut IndexPageMut::of_checked(bytes)));
}

/// Has the roots of sections or of indexes lead somewhere for nobody.
fn roots(files: &mut Files, roots: PageNumber, child: u32) {
    edit(files, USER, roots.0, |bytes, _| {
        let mut page = SectionPageMut::of_checked(bytes);
        page.set_child(NOBODY as u16, Some(PageNumber(child)));
    });
}

/// Has the end of an overflow chain lead to its beginning.
fn link_back(files: &mut Files) {
    let chain = pages(files, USER, &[PageKind::Overflow]);
    let next = |number: u32| OverflowPage::of_checked(bytes_of(files, USER, number)).next();
    let last = chain.iter().copied().find(|number| next(*number).is_none());
    let before = chain.iter().copied().find(|number| next(*number).map(|next| next.0) == last);
    let (last, before) = (last.expect("a chain ends"), before.expect("it has two pages"));
    edit(files, USER, last, |bytes, _| link(bytes, before));
}

fn link(bytes: &mut [u8], to: u32) {
    bytes[LINK..LINK + 4].copy_from_slice(&to.to_le_bytes());
}

/// Gives a page of these kinds to a section that is nobody's.
fn whose(files: &mut Files, kinds: &[PageKind]) {
    let number = drawn(files, kinds);
    edit(files, USER, number, |bytes, _| {
        bytes[SECTION..SECTION + 4].copy_from_slice(&NOBODY.to_le_bytes());
    });
}

/// The root of an index of two levels, its first leaf and its second.
fn branch(files: &Files) -> (u32, u32, u32) {
    let numbers = pages(files, USER, &[PageKind::Index]).into_iter();
    let mut branches = numbers.filter_map(|number| {
        let mut entries = IndexPage::of_checked(bytes_of(files, USER, number)).entries();
        let first = entries.advance()?.child?.0;
        Some((number, first, entries.advance()?.child?.0))
    });
    branches.next().expect("an index of a picture has two levels")
}

/// Takes the second entry out of a branch, and lets another come: by its key and record, its child, and the child
/// of the first.
fn second_entry(
    files: &mut Files,
    change: impl FnOnce(&mut IndexPageMut<'_>, &[u8], RecordNumber, PageNumber, PageNumber),
) {
    let (root, first, second) = branch(files);
    edit(files, USER, root, |bytes, _| {
        let mut page = IndexPageMut::of_checked(bytes);
        let mut entries = page.read().entries();
        entries.advance();
        let entry = entries.advance().map(|entry| entry.key.to_buf()).expect("it has two");
        assert!(page.delete(entry.borrow()));
        change(&mut page, &entry.key, entry.record, PageNumber(second), PageNumber(first));
    });
}

/// The index of a leaf, and its entries.
fn entries(bytes: &[u8]) -> (IndexId, Vec<(Vec<u8>, RecordNumber)>) {
    let page = IndexPage::of_checked(bytes);
    let (mut cursor, mut found) = (page.entries(), Vec::new());
    while let Some(entry) = cursor.advance() {
        found.push((entry.key.key.to_vec(), entry.key.record));
    }
    (page.index(), found)
}

/// Changes the row of the catalogue that tells of a table.
fn catalogue(files: &mut Files, change: impl FnOnce(&mut Vec<KeyValue<'static>>)) {
    described(files, 1, change);
}

/// Changes the row of the catalogue that tells the next number.
pub(super) fn numbers(files: &mut Files, next: u64) {
    described(files, 0, |row| row[1] = KeyValue::U64(next));
}

/// Sets the first sequence to a number.
pub(super) fn count(files: &mut Files, number: i64) {
    let page = pages(files, 0, &[PageKind::Sequence]);
    edit(files, 0, page[0], |bytes, _| SequencePageMut::of_checked(bytes).set(0, number));
}

/// Marks all pages of tables that are free as used. Returns how many these are, and how long a file is whose pages
/// all have their bits in the first inventory page.
pub(super) fn use_all(files: &mut Files) -> (usize, usize) {
    let (mut marked, mut length) = (0, 0);
    edit(files, USER, 1, |bytes, _| {
        let mut page = InventoryPageMut::of_checked(bytes);
        length = (page.read().range().1.0 as usize + 1) * PAGE_BYTES;
        while let Some(free) = page.read().first_free(PageNumber(0)) {
            page.mark_used(free);
            marked += 1;
        }
    });
    (marked, length)
}

/// Changes the first row of the catalogue that begins with this tag.
fn described(files: &mut Files, tag: u64, change: impl FnOnce(&mut Vec<KeyValue<'static>>)) {
    for number in pages(files, 0, &[PageKind::Data]) {
        let page = DataPage::of_checked(bytes_of(files, 0, number));
        let found = page.records().find_map(|(line, record)| {
            let row = row::decode(record.head).ok()?;
            (row.first() == Some(&KeyValue::U64(tag))).then_some((line, row))
        });
        let Some((line, mut row)) = found else { continue };
        change(&mut row);
        return edit(files, 0, number, |bytes, _| {
            let mut page = DataPageMut::of_checked(bytes);
            page.put(line, Record::whole(&row::encode(&row))).expect("it is no longer");
        });
    }
    panic!("no row of the catalogue begins with {tag}");
}

#[cfg(test)]
mod tests {
    use super::super::tests::on_machines;
    use super::*;

    #[test]
    fn what_is_forged_is_told() {
        on_machines("what_is_forged_is_told", 200, upkeep);
    }

    #[test]
    fn whatever_is_forged_ends_nothing() {
        on_machines("whatever_is_forged_ends_nothing", 200, at_random);
    }
}
