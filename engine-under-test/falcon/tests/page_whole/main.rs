//! Pages of all kinds: what is sealed is recognised, what is damaged is refused, what is accepted holds.
//!
//! # Method
//!
//! One page of each kind and size, with something in it ([`samples`]), is read back, written out, damaged under its
//! seal and without one ([`damage`]), and changed field by field for the errors that each view can return
//! ([`refusals`]).
//!
//! # Invariant
//!
//! Whatever the bytes are, a view returns an error or a page that can be read and changed.

mod damage;
mod refusals;
mod samples;

use falcon::page::{
    Creation, DatabaseId, FileHeader, FileHeaderMut, FileIdentity, Header, PageError, PageKind,
    PageSize, check, check_content, dump,
};
use falcon::{Error, Lsn};

use samples::{SPACE, id_of, sample, use_page};

#[test]
fn every_kind_of_every_size_is_read_as_it_was_sealed() {
    for size in PageSize::all() {
        for kind in PageKind::ALL {
            let mut bytes = sample(kind, size);
            let header = Header { id: id_of(kind), kind, lsn: Lsn(4711), size };
            assert_eq!(check(&bytes, id_of(kind)), Ok(header));
            assert_eq!(check_content(&bytes), Ok(header));
            use_page(&mut bytes);
        }
    }
}

#[test]
fn the_header_of_a_file_says_whose_it_is_before_its_page_size_is_known() {
    for size in PageSize::all() {
        let mut bytes = vec![0; size.bytes()];
        let database = DatabaseId(u128::MAX - 5);
        let identity = FileIdentity { database, tablespace: SPACE, created_ns: u64::MAX };
        let mut header = FileHeaderMut::format(&mut bytes, identity);
        assert_eq!(header.read().creation(), Creation::Begun);
        header.complete();
        assert_eq!(header.read().creation(), Creation::Complete);
        assert_eq!(FileHeader::page_size(&bytes[..1024]), Ok(size));
        let header = FileHeader::view(&bytes).unwrap();
        assert_eq!((header.identity(), header.format_version()), (identity, 1));
    }
    assert_eq!(FileHeader::page_size(&[0; 1023]), Err(PageError::Size { bytes: 1023 }));
}

#[test]
fn page_sizes_are_powers_of_two_from_1_to_32_kib() {
    let sizes: Vec<u64> = (0..100_000).filter(|bytes| PageSize::new(*bytes).is_ok()).collect();
    assert_eq!(sizes, [1024, 2048, 4096, 8192, 16384, 32768]);
    let refused = PageSize::new(u64::MAX).unwrap_err();
    assert!(matches!(refused, Error::Setting { name: "page_bytes", value: u64::MAX, .. }));
}

#[test]
fn pages_of_each_kind_are_written_out_by_field() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    for kind in PageKind::ALL {
        let name = format!("page_{}", kind.to_string().replace(' ', "_"));
        let text = dump(&sample(kind, PageSize::MIN)).unwrap();
        settings.bind(|| insta::assert_snapshot!(name, text));
    }
    assert_eq!(dump(&[0; 7]), Err(PageError::Size { bytes: 7 }));
}
