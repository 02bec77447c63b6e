//! Stores of records, each with one bug of the published crash-consistency literature.

mod append_size_without_data;
mod checkpoint_too_early;
mod checksum_skips_a_byte;
mod create_without_dir_sync;
mod error_swallowed;
mod goes_on_after_failed_sync;
mod lock_file_left;
mod log_tail_of_an_earlier_life;
mod misdirected_io_unnoticed;
mod no_sync_before_ack;
mod page_freed_twice;
mod record;
mod recovery_is_not_idempotent;
mod recovery_trusts_page_cache;
mod rename_before_data;
mod rename_without_dir_sync;
mod short_write_taken_for_whole;
mod torn_header;
mod two_pages_one_bitmap_number;
mod write_ahead_rule_broken;

use super::Specimen;

/// All of them.
pub(super) static ALL: &[&Specimen] = &[
    &append_size_without_data::SPECIMEN,
    &checkpoint_too_early::SPECIMEN,
    &checksum_skips_a_byte::SPECIMEN,
    &create_without_dir_sync::SPECIMEN,
    &error_swallowed::SPECIMEN,
    &goes_on_after_failed_sync::SPECIMEN,
    &lock_file_left::SPECIMEN,
    &log_tail_of_an_earlier_life::SPECIMEN,
    &misdirected_io_unnoticed::SPECIMEN,
    &no_sync_before_ack::SPECIMEN,
    &page_freed_twice::SPECIMEN,
    &recovery_is_not_idempotent::SPECIMEN,
    &recovery_trusts_page_cache::SPECIMEN,
    &rename_before_data::SPECIMEN,
    &rename_without_dir_sync::SPECIMEN,
    &short_write_taken_for_whole::SPECIMEN,
    &torn_header::SPECIMEN,
    &two_pages_one_bitmap_number::SPECIMEN,
    &write_ahead_rule_broken::SPECIMEN,
];
