//! Files that were forged: every page has a good seal, and the tree is wrong.
//!
//! # Method
//!
//! A good tree is written out. Then a page of it is changed in the file and sealed again, and the file is
//! opened anew.
//!
//! # Invariant
//!
//! Each call that meets the damage names it, as does going through the tree, and none panics or goes round for
//! ever.

use falcon::page::index::{INDEX_LEVEL_MAX, IndexId, IndexKey, IndexPage, IndexPageMut};
use falcon::page::{
    InventoryPageMut, RecordNumber, SectionId, SectionPageMut, SequencePageMut, seal,
};
use falcon::tree::{self, Direction, Tree};
use falcon::{Error, PageId, PageNumber, Result};
use falconry_seam::disk::{Disk, OpenOptions};
use falconry_sim::check::Sim;

use super::{INDEX, PAGE, TABLESPACE, all, assert_good, fresh, key, open, path};

/// Where an index page has its right link.
const RIGHT: usize = 28;

fn id(number: PageNumber) -> PageId {
    PageId { tablespace: TABLESPACE, number }
}

/// Changes a page in the file.
fn forge(disk: &dyn Disk, number: PageNumber, change: impl FnOnce(&mut [u8])) {
    let file = disk.open(path(), &OpenOptions::READ_WRITE).expect("it is there");
    let offset = u64::from(number.0) * PAGE.bytes() as u64;
    let mut bytes = vec![0; PAGE.bytes()];
    file.read_exact_at(&mut bytes, offset).or_else(|_| file.set_len(offset + 1024)).expect("good");
    change(&mut bytes);
    seal(&mut bytes, id(number));
    file.write_all_at(&bytes, offset).expect("no fault is on");
}

fn bytes_of(disk: &dyn Disk, number: PageNumber) -> Vec<u8> {
    let mut found = Vec::new();
    forge(disk, number, |bytes| found = bytes.to_vec());
    found
}

/// A tree of two levels in the file, with its root and its leaves from the left.
fn good(disk: &dyn Disk) -> (PageNumber, Vec<PageNumber>) {
    let (store, tree) = fresh(disk, 8);
    for number in 0..600_u32 {
        tree.insert(&(number * 7 % 600).to_be_bytes(), RecordNumber(1)).expect("no fault is on");
    }
    assert_eq!(assert_good(&tree).height, 2);
    store.cache().checkpoint().expect("no fault is on");
    let roots = bytes_of(disk, PageNumber(3));
    let root = falcon::page::SectionPage::of_checked(&roots).child(INDEX.0 as u16);
    let root = root.expect("it was created");
    let bytes = bytes_of(disk, root);
    let mut cursor = IndexPage::of_checked(&bytes).entries();
    let mut leaves = Vec::new();
    while let Some(entry) = cursor.advance() {
        leaves.extend(entry.child);
    }
    assert!(leaves.len() >= 4, "{} leaves", leaves.len());
    (root, leaves)
}

fn reopen(disk: &dyn Disk) -> Result<Tree> {
    Tree::open(open(disk, 8), TABLESPACE, INDEX)
}

/// The result is damage of that page, and `what` of it is told.
fn assert_damaged<T: std::fmt::Debug>(result: Result<T>, number: PageNumber, what: &str) {
    match result {
        Err(Error::Damaged { file, place, what: found }) => {
            assert_eq!(file, path());
            assert!(place.starts_with(&number.to_string()), "{place}, expected {number}");
            assert!(found.contains(what), "{found:?}, expected {what:?}");
        }
        other => panic!("expected that {number} is damaged, {what:?}: {other:?}"),
    }
}

/// A scan each way, and going through the tree, end; the latter tells of `what`.
fn assert_told(tree: &Tree, what: &str) {
    for direction in [Direction::Forward, Direction::Backward] {
        match all(tree, direction) {
            Ok(_) | Err(Error::Damaged { .. }) => {}
            Err(other) => panic!("{direction:?}: {other}"),
        }
    }
    let problems = tree.verify().expect("no fault is on").problems;
    assert!(problems.iter().any(|problem| problem.contains(what)), "{problems:?}, not {what:?}");
}

fn run(name: &str, body: impl Fn(&dyn Disk) + Sync) {
    Sim::new(name).seeds(0..1).run(|machine| machine.run(|ctx| body(&*ctx.disk())));
}

/// Makes a page of a kind.
type Format = fn(&mut [u8], PageId);

#[test]
fn a_link_must_lead_to_a_node_of_the_index_and_of_its_level() {
    let section = |bytes: &mut [u8], id| {
        SectionPageMut::format(bytes, id, SectionId(1), 0, 0);
    };
    let other = |bytes: &mut [u8], id| {
        IndexPageMut::format_leaf(bytes, id, IndexId(9));
    };
    let branch = |bytes: &mut [u8], id| {
        IndexPageMut::format_branch(bytes, id, INDEX, 1, PageNumber(9));
    };
    let rows: [(Format, &str); 3] = [
        (section, "expected index, got section"),
        (other, "a node of index 9"),
        (branch, "a node of level 1, expected 0..=0"),
    ];
    for (format, what) in rows {
        run("a_link_must_lead_to_a_node", |disk| {
            let (root, leaves) = good(disk);
            let leaf = leaves[0];
            forge(disk, leaf, |bytes| format(bytes, id(leaf)));
            let tree = reopen(disk).expect("its root is good");
            assert_damaged(tree.find(&[0; 4]), leaf, what);
            assert_damaged(tree.insert(&[0; 4], RecordNumber(2)), leaf, what);
            assert_damaged(tree.delete(&[0; 4], RecordNumber(2)), leaf, what);
            assert_damaged(all(&tree, Direction::Forward), leaf, what);
            assert_damaged(all(&tree, Direction::Backward), leaf, what);
            assert_told(&tree, what);
            if what != "a node of level 1, expected 0..=0" {
                forge(disk, root, |bytes| format(bytes, id(root)));
                assert_damaged(reopen(disk).map(drop), root, what);
            }
        });
    }
}

#[test]
fn the_root_is_nobodys_child_and_nobodys_sibling() {
    run("the_root_is_nobodys_child", |disk| {
        let (root, leaves) = good(disk);
        let last = leaves[leaves.len() - 2];
        forge(disk, last, |bytes| bytes[RIGHT..RIGHT + 4].copy_from_slice(&root.0.to_le_bytes()));
        let tree = reopen(disk).expect("its root is good");
        assert_damaged(all(&tree, Direction::Forward), last, "is the root");
        assert_told(&tree, "is the root");
    });
    run("the_root_is_nobodys_child", |disk| {
        let (root, leaves) = good(disk);
        // The right half of a split root, so that it has a sibling.
        let mut right = vec![0; PAGE.bytes()];
        forge(disk, root, |bytes| {
            let entry = IndexKey { key: &[9], record: RecordNumber(9) };
            let mut page = IndexPageMut::of_checked(bytes);
            page.split_insert(&mut right, id(PageNumber(900)), entry, Some(leaves[0]))
                .expect("fits");
        });
        assert_damaged(reopen(disk).map(drop), root, "is the root");
    });
    run("the_root_is_nobodys_child", |disk| {
        let (root, leaves) = good(disk);
        let middle = PageNumber(900);
        // A root of level 2, whose child of level 1 leads to the root.
        forge(disk, middle, |bytes| {
            let mut page = IndexPageMut::format_branch(bytes, id(middle), INDEX, 1, leaves[0]);
            let entry = IndexKey { key: &[0, 0, 1], record: RecordNumber(0) };
            page.insert(entry, Some(root)).expect("it fits");
        });
        forge(disk, root, |bytes| {
            IndexPageMut::format_branch(bytes, id(root), INDEX, 2, middle);
        });
        let tree = reopen(disk).expect("its root is good");
        for key in [&[0, 0, 1][..], &[0, 0, 2], &[255]] {
            assert_damaged(tree.find(key), middle, "it has the root as a child");
            assert_damaged(tree.insert(key, RecordNumber(3)), middle, "it has the root as a child");
        }
        assert_told(&tree, "a second link leads to it");
    });
}

#[test]
fn a_ring_of_links_is_noticed() {
    run("a_ring_of_links", |disk| {
        let (_, leaves) = good(disk);
        let (first, third) = (leaves[0], leaves[2]);
        forge(disk, third, |bytes| bytes[RIGHT..RIGHT + 4].copy_from_slice(&first.0.to_le_bytes()));
        let tree = reopen(disk).expect("its root is good");
        assert_damaged(all(&tree, Direction::Forward), first, "it ends at");
        assert_told(&tree, "a second link leads to it");
    });
}

#[test]
fn a_node_that_does_not_begin_where_its_parent_says_is_told() {
    run("a_node_that_does_not_begin", |disk| {
        let (root, leaves) = good(disk);
        // The root leads to its second leaf from a lower key than the first one ends at.
        forge(disk, root, |bytes| {
            let mut page = IndexPageMut::of_checked(bytes);
            let second = {
                let page = page.read();
                let mut cursor = page.entries();
                cursor.advance().expect("the first");
                cursor.advance().expect("the second").key.to_buf()
            };
            assert!(page.delete(second.borrow()));
            page.insert(key(&[0, 0, 0, 1], 0).borrow(), Some(leaves[1])).expect("it fits");
        });
        let tree = reopen(disk).expect("its root is good");
        assert_told(&tree, "by its parent it begins at");
    });
    run("a_node_that_does_not_begin", |disk| {
        let (root, leaves) = good(disk);
        // The first of the root's entries is above the least key.
        forge(disk, root, |bytes| {
            let mut page = IndexPageMut::of_checked(bytes);
            assert!(page.delete(IndexKey::MIN));
            page.insert(key(&[0], 7).borrow(), Some(leaves[0])).expect("it fits");
        });
        let tree = reopen(disk).expect("its root is good");
        assert_told(&tree, "and leads from");
    });
    run("a_node_that_does_not_begin", |disk| {
        let (_, leaves) = good(disk);
        forge(disk, leaves[1], |bytes| {
            // Without a high key, as the last node of a level is, and with an entry of the first leaf.
            let mut page = IndexPageMut::format_leaf(bytes, id(leaves[1]), INDEX);
            page.insert(key(&[0, 0, 0, 0], 0).borrow(), None).expect("it fits");
        });
        let tree = reopen(disk).expect("its root is good");
        assert_told(&tree, "no link leads on to");
        assert_told(&tree, "and has IndexKey");
    });
}

#[test]
fn a_backward_scan_ends_in_a_tree_whose_first_entry_is_too_high() {
    run("a_backward_scan_ends", |disk| {
        let (root, leaves) = good(disk);
        forge(disk, root, |bytes| {
            IndexPageMut::format_branch(bytes, id(root), INDEX, 1, leaves[0]);
            let mut page = IndexPageMut::of_checked(bytes);
            page.insert(key(&[9], 0).borrow(), Some(leaves[1])).expect("it fits");
            assert!(page.delete(IndexKey::MIN));
        });
        let tree = reopen(disk).expect("its root is good");
        let entries = tree.scan(
            std::ops::Bound::Unbounded,
            std::ops::Bound::Excluded(&[0, 0, 0, 9]),
            Direction::Backward,
        );
        let mut entries = entries;
        assert_damaged(entries.next(), leaves[1], "and was found below");
        assert_damaged(entries.next(), leaves[1], "and was found below");
    });
}

/// A crash between a split and the word to the parent leaves such a tree.
#[test]
fn a_node_that_its_parent_does_not_know_is_no_damage_and_is_told_by_an_insertion() {
    run("a_node_that_its_parent_does_not_know", |disk| {
        let (root, _) = good(disk);
        let mut lower = None;
        forge(disk, root, |bytes| {
            let mut page = IndexPageMut::of_checked(bytes);
            let mut cursor = page.read().entries();
            cursor.advance().expect("the first");
            let second = cursor.advance().expect("the second").key.to_buf();
            assert!(page.delete(second.borrow()));
            lower = Some(second);
        });
        let tree = reopen(disk).expect("its root is good");
        assert_eq!(assert_good(&tree).untold_count, 1);
        for direction in [Direction::Forward, Direction::Backward] {
            assert_eq!(all(&tree, direction).expect("it is good").len(), 600);
        }
        let lower = lower.expect("it was set");
        assert!(tree.insert(&lower.key, RecordNumber(9)).expect("it is good"));
        assert_eq!(assert_good(&tree).untold_count, 0);
        assert!(tree.delete(&lower.key, RecordNumber(9)).expect("it is good"));
    });
}

#[test]
fn a_page_of_roots_must_be_one() {
    run("a_page_of_roots", |disk| {
        good(disk);
        let roots = PageNumber(3);
        for (section, level) in [(SectionId(1), 0), (falcon::store::format::INDEXES, 1)] {
            forge(disk, roots, |bytes| {
                SectionPageMut::format(bytes, id(roots), section, 0, level);
            });
            let store = open(disk, 8);
            assert_damaged(tree::create(&store, TABLESPACE, INDEX), roots, "the roots of indexes");
            assert_damaged(reopen(disk).map(drop), roots, "the roots of indexes");
        }
        forge(disk, roots, |bytes| {
            SequencePageMut::format(bytes, id(roots), 0);
        });
        let store = open(disk, 8);
        assert_damaged(tree::create(&store, TABLESPACE, INDEX), roots, "sequence");
        assert_damaged(Tree::open(store, TABLESPACE, INDEX).map(drop), roots, "sequence");
    });
}

#[test]
fn a_node_that_is_free_by_its_inventory_is_not_given_away() {
    run("a_node_that_is_free", |disk| {
        let (root, leaves) = good(disk);
        for victim in [root, leaves[0]] {
            forge(disk, PageNumber(1), |bytes| {
                assert!(InventoryPageMut::of_checked(bytes).mark_free(victim));
            });
            let tree = reopen(disk).expect("its root is good");
            let result = (1..200).try_for_each(|record| {
                tree.insert(&[0, 0, 0, 0], RecordNumber(record << 40)).map(drop)
            });
            assert_damaged(result, victim, "free by its inventory");
            match tree.insert(&[0, 0, 0, 0], RecordNumber(0)) {
                Err(Error::Stopped(why)) => {
                    assert!(why.starts_with("a change of pages was cut off: "), "{why}");
                    assert!(why.contains("free by its inventory"), "{why}");
                }
                other => panic!("the change was cut off, and then {other:?}"),
            }
            forge(disk, PageNumber(1), |bytes| {
                assert!(InventoryPageMut::of_checked(bytes).mark_used(victim));
            });
        }
    });
}

/// A split tells the parent of a bound that leads elsewhere there.
#[test]
fn an_entry_of_a_parent_that_leads_elsewhere_is_told() {
    run("an_entry_of_a_parent", |disk| {
        let (root, leaves) = good(disk);
        let (leaf, next) = (leaves[0], leaves[1]);
        let added: Vec<_> = (1..400).map(|record| key(&[0, 0, 0, 0], record << 40)).collect();
        let mut bytes = bytes_of(disk, leaf);
        let mut right = vec![0; PAGE.bytes()];
        let mut page = IndexPageMut::of_checked(&mut bytes);
        let full = added.iter().find(|entry| page.insert(entry.borrow(), None).is_err());
        let full = full.expect("it becomes full").borrow();
        let bound =
            page.split_insert(&mut right, id(PageNumber(900)), full, None).expect("it fits");
        forge(disk, root, |bytes| {
            let mut page = IndexPageMut::of_checked(bytes);
            page.insert(bound.borrow(), Some(next)).expect("it fits");
        });
        let tree = reopen(disk).expect("its root is good");
        // Those beyond the bound would go elsewhere: the parent leads there.
        let mut below = added.iter().filter(|entry| **entry < bound);
        let result = below.try_for_each(|entry| super::insert(&tree, entry).map(drop));
        match result {
            Ok(()) => assert_told(&tree, "by its parent it begins at"),
            Err(_) => assert_damaged(result, root, "and the entry leads to"),
        }
    });
}

/// Every node on the way is full, up to a root of the highest level.
#[test]
fn a_tree_cannot_grow_beyond_its_highest_level() {
    run("a_tree_cannot_grow", |disk| {
        let (root, _) = good(disk);
        let number = |level: u8| {
            if level == INDEX_LEVEL_MAX { root } else { PageNumber(900 + u32::from(level)) }
        };
        for level in 0..=INDEX_LEVEL_MAX {
            forge(disk, number(level), |bytes| {
                let page = id(number(level));
                let mut page = if level == 0 {
                    IndexPageMut::format_leaf(bytes, page, INDEX)
                } else {
                    IndexPageMut::format_branch(bytes, page, INDEX, level, number(level - 1))
                };
                let child = (level > 0).then_some(PageNumber(899));
                // What divides a level is below all that the levels above it lead to.
                let from = u32::from(level) << 16;
                let is_full = (from..).find(|at: &u32| {
                    let key = [&at.to_be_bytes()[..], &[level; 60]].concat();
                    page.insert(super::key(&key, 1).borrow(), child).is_err()
                });
                assert!(is_full.is_some());
            });
        }
        forge(disk, PageNumber(1), |bytes| {
            let mut page = InventoryPageMut::of_checked(bytes);
            (899..960).for_each(|number| assert!(page.mark_used(PageNumber(number))));
        });
        let tree = reopen(disk).expect("its root is good");
        let result = (0..20).try_for_each(|record| {
            tree.insert(&[&[0; 4][..], &[record; 90]].concat(), RecordNumber(1)).map(drop)
        });
        assert_damaged(result, root, "the highest");
    });
}
