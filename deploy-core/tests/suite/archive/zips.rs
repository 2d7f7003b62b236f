//! Zips that say two things at once, and kinds no package may hold.

use super::jail::Package;
use super::zip_builder::{End, Entry, Zip, end64, zip64};

fn file() -> Entry {
    Entry::stored("f", "hello")
}

fn one(entry: Entry) -> Package {
    Zip::of([entry]).package()
}

fn named(name: impl AsRef<[u8]>) -> Package {
    one(Entry::stored(name, "x"))
}

fn of_mode(name: &str, mode: u32, content: &str) -> Package {
    one(Entry::of_mode(name, mode, content))
}

fn ended(change: impl FnOnce(&mut End)) -> Package {
    Zip::of([file()]).package_with(change)
}

fn with_gap(gap: &[u8]) -> Package {
    let mut zip = Zip::of([file()]);
    zip.gap = gap.to_vec();
    zip.package()
}

fn at(mut entry: Entry, offset: u32) -> Entry {
    entry.offset = Some(offset);
    entry
}

fn on(host: u8, mut entry: Entry) -> Entry {
    entry.host = host;
    entry
}

fn with_attributes(attributes: u32, mut entry: Entry) -> Entry {
    entry.attributes = attributes;
    entry
}

/// Sizes in a zip64 field, as tools write them when they do not know the size beforehand.
fn large(values: &[u64]) -> Entry {
    file().both(|record| {
        (record.packed, record.size) = (u32::MAX, u32::MAX);
        record.extra = zip64(values);
    })
}

/// An end record that leaves everything to the zip64 one, which says this.
fn ended64(entries: u64, wrong: u64) -> Package {
    ended(|end| {
        let at = u64::from(end.start + end.bytes);
        end.before = end64(at, entries, end.bytes.into(), u64::from(end.start) + wrong);
        (end.here, end.all, end.bytes, end.start) = (u16::MAX, u16::MAX, u32::MAX, u32::MAX);
    })
}

/// Two central records for the bytes of one local entry.
fn overlapping() -> Package {
    Zip::of([file(), at(file().central(|record| record.name = b"g".into()), 0)]).package()
}

/// An entry whose content is the next entry, as in the bombs that quote local headers.
fn quoting() -> Package {
    let inner = Zip::of([Entry::stored("b", "x")]).build();
    let outer = Entry::stored("a", &inner[..32]);
    // Local header, name `a`: 31 bytes, then the quoted one.
    Zip::of([outer, at(Entry::stored("b", "x"), 31)]).package()
}

fn with_prefix(prefix: &[u8]) -> Package {
    let bytes = Zip::of([file()]).build();
    Package::new("app.zip", [prefix, &bytes].concat())
}

fn truncated(by: usize) -> Package {
    let mut package = one(file());
    package.bytes.truncate(package.bytes.len() - by);
    package
}

refused! {
    sec_c03_an_absolute_zip_path_is_refused: named("/etc/passwd") => "escapes";
    sec_c03_a_zip_path_with_dot_dot_is_refused: named("../secret") => "escapes";
    sec_c03_a_zip_path_with_dot_dot_inside_is_refused: named("a/../../secret") => "escapes";
    sec_c03_a_zip_path_with_a_backslash_is_refused: named("..\\secret") => "escapes";
    sec_c03_a_zip_path_with_a_drive_letter_is_refused: named("C:/x") => "escapes";
    sec_c03_a_zip_path_with_nul_is_refused: named("a\0.txt") => "forbidden";
    sec_c03_an_empty_zip_path_is_refused: named("") => "forbidden";
    sec_c03_a_zip_path_in_another_encoding_is_refused: named(b"\x81.txt") => "forbidden";
    sec_c03_a_zip_file_twice_is_refused: Zip::of([file(), file()]).package() => "duplicate";
    sec_c03_a_zip_directory_in_place_of_a_file_is_refused:
        Zip::of([file(), Entry::stored("f/", "")]).package() => "duplicate";
    sec_c03_a_zip_link_out_is_refused: of_mode("l", 0o120_777, "../../secret") => "escapes";
    sec_c03_an_absolute_zip_link_is_refused: of_mode("l", 0o120_777, "/etc/passwd") => "escapes";
    sec_c03_a_zip_file_through_a_link_is_refused:
        Zip::of([Entry::of_mode("l", 0o120_777, "d"), Entry::stored("d/f", "x"), Entry::stored("l/g", "x")]).package()
        => "escapes";
    sec_c06_a_zip_link_of_a_mib_is_refused: of_mode("l", 0o120_777, &"a".repeat(1 << 20)) => "too many bytes in one path";
    sec_c03_a_zip_link_from_a_system_without_links_is_refused:
        one(on(0, Entry::of_mode("l", 0o120_777, "f"))) => "forbidden";
    sec_c03_a_zip_fifo_is_refused: of_mode("e", 0o010_644, "") => "forbidden";
    sec_c03_a_zip_device_is_refused: of_mode("e", 0o020_644, "") => "forbidden";
    sec_c03_a_zip_block_device_is_refused: of_mode("e", 0o060_644, "") => "forbidden";
    sec_c03_a_zip_socket_is_refused: of_mode("e", 0o140_644, "") => "forbidden";
    sec_c03_a_zip_file_that_is_a_directory_by_its_mode_is_refused: of_mode("d", 0o040_755, "") => "damaged";
    sec_c03_a_zip_directory_that_is_a_file_by_its_mode_is_refused: of_mode("d/", 0o100_644, "") => "damaged";
    sec_c03_a_zip_file_that_is_a_directory_to_dos_is_refused: one(with_attributes(0x10, on(0, file()))) => "damaged";
    sec_c03_a_zip_directory_with_content_is_refused: named("d/") => "damaged";
    sec_c03_an_encrypted_zip_entry_is_refused: one(file().both(|r| r.flags |= 1)) => "forbidden";
    sec_c03_a_strongly_encrypted_zip_entry_is_refused: one(file().both(|r| r.flags |= 1 << 6)) => "forbidden";
    sec_c03_a_zip_with_a_masked_directory_is_refused: one(file().both(|r| r.flags |= 1 << 13)) => "forbidden";
    sec_c03_a_zip_entry_encrypted_in_one_record_only_is_refused: one(file().local(|r| r.flags |= 1)) => "damaged";
    sec_c03_a_zip_patch_is_refused: one(file().both(|r| r.flags |= 1 << 5)) => "forbidden";
    sec_c03_an_unknown_compression_is_refused: one(file().both(|r| r.method = 9)) => "forbidden";
    sec_c03_a_local_name_that_differs_is_refused: one(file().local(|r| r.name = b"g".into())) => "damaged";
    sec_c03_a_local_name_that_escapes_is_refused: one(file().local(|r| r.name = b"../f".into())) => "damaged";
    sec_c03_a_local_size_that_differs_is_refused: one(file().local(|r| r.size = 6)) => "damaged";
    sec_c03_a_local_packed_size_that_differs_is_refused: one(file().local(|r| r.packed = 4)) => "damaged";
    sec_c03_a_local_checksum_that_differs_is_refused: one(file().local(|r| r.checksum ^= 1)) => "damaged";
    sec_c03_a_local_method_that_differs_is_refused: one(file().local(|r| r.method = 8)) => "damaged";
    sec_c03_a_local_utf8_flag_that_differs_is_refused: one(file().local(|r| r.flags |= 1 << 11)) => "damaged";
    sec_c03_a_second_name_in_an_extra_field_is_refused:
        one(file().central(|r| r.extra = [&[0x75, 0x70, 6, 0, 1, 0, 0, 0, 0][..], b"g"].concat())) => "damaged";
    sec_c03_a_malformed_extra_field_is_refused: one(file().central(|r| r.extra = vec![1, 0, 9, 0])) => "damaged";
    sec_c02_a_wrong_zip_checksum_is_refused: one(file().both(|r| r.checksum ^= 1)) => "damaged";
    sec_c02_a_zip_entry_longer_than_it_says_is_refused:
        one(Entry::deflated("f", [b'x'; 1000]).both(|r| r.size = 999)) => "damaged";
    sec_c02_a_zip_entry_shorter_than_it_says_is_refused:
        one(Entry::deflated("f", [b'x'; 1000]).both(|r| r.size = 1001)) => "damaged";
    sec_c02_a_zip_entry_of_eight_gib_that_is_short_is_refused:
        one(Entry::deflated("f", "x").both(|r| { r.size = u32::MAX; r.extra = zip64(&[8 << 30]); })) => "damaged";
    sec_c02_a_zip_entry_with_bytes_behind_its_stream_is_refused: {
        let mut entry = Entry::deflated("f", "hello").both(|r| r.packed += 3);
        entry.content.extend(b"abc");
        one(entry)
    } => "damaged";
    sec_c02_a_broken_deflate_stream_is_refused: one(file().both(|r| r.method = 8)) => "damaged";
    sec_c02_a_data_descriptor_with_a_wrong_size_is_refused:
        one(file().described_after(|after| after.size += 1)) => "damaged";
    sec_c02_a_data_descriptor_with_a_wrong_checksum_is_refused:
        one(file().described_after(|after| after.checksum ^= 1)) => "damaged";
    sec_c02_a_missing_data_descriptor_is_refused: one(file().both(|r| r.flags |= 1 << 3)) => "damaged";
    sec_c06_overlapping_zip_entries_are_refused: overlapping() => "damaged";
    sec_c06_zip_entries_that_quote_each_other_are_refused: quoting() => "damaged";
    sec_c06_zip_entries_out_of_order_are_refused:
        Zip::of([at(file(), 36), at(Entry::stored("g", "hello"), 0)]).package() => "damaged";
    sec_c06_a_zip_entry_beyond_the_end_is_refused: one(at(file(), 1 << 30)) => "damaged";
    sec_c03_bytes_between_entries_and_directory_are_refused: with_gap(b"hidden") => "damaged";
    sec_c03_junk_before_a_zip_is_refused: with_prefix(b"#!/bin/sh\n") => "damaged";
    sec_c03_a_zip_before_a_zip_is_refused: with_prefix(&Zip::of([file()]).build()) => "damaged";
    sec_c03_junk_behind_a_zip_is_refused:
        Package::new("app.zip", [Zip::of([file()]).build(), b"junk".to_vec()].concat()) => "damaged";
    sec_c03_a_comment_with_an_end_record_is_refused: ended(|end| end.comment = Zip::of([]).build()) => "damaged";
    sec_c03_a_comment_with_a_whole_zip_is_refused:
        ended(|end| end.comment = Zip::of([Entry::stored("evil", "x")]).build()) => "damaged";
    sec_c03_a_zip_on_several_disks_is_refused: ended(|end| end.disk = 1) => "damaged";
    sec_c03_a_zip_with_entries_on_other_disks_is_refused: ended(|end| end.all = 2) => "damaged";
    sec_c06_an_end_record_with_fewer_entries_is_refused: ended(|end| (end.here, end.all) = (0, 0)) => "damaged";
    sec_c06_an_end_record_with_more_entries_is_refused: ended(|end| (end.here, end.all) = (2, 2)) => "damaged";
    sec_c06_an_end_record_with_a_wrong_place_is_refused: ended(|end| end.start += 1) => "damaged";
    sec_c06_an_end_record_with_a_wrong_length_is_refused: ended(|end| end.bytes -= 1) => "damaged";
    sec_c06_an_end_record_that_begins_earlier_is_refused:
        ended(|end| { end.start -= 1; end.bytes += 1; }) => "damaged";
    sec_c06_a_zip64_end_of_ten_to_the_eighteen_entries_is_refused: ended64(1_000_000_000_000_000_000, 0) => "too many entries";
    sec_c06_a_zip64_end_with_a_wrong_place_is_refused: ended64(1, 1) => "damaged";
    sec_c06_a_zip64_end_whose_sum_overflows_is_refused: ended64(1, u64::MAX - 36) => "damaged";
    sec_c06_an_end_record_without_its_zip64_record_is_refused: ended(|end| end.start = u32::MAX) => "damaged";
    sec_c06_two_end_records_that_differ_are_refused:
        ended(|end| end.before = end64(u64::from(end.start + end.bytes), 2, end.bytes.into(), end.start.into())) => "damaged";
    sec_c06_a_zip64_size_without_its_field_is_refused: one(file().both(|r| r.size = u32::MAX)) => "damaged";
    sec_c06_a_zip64_field_with_a_missing_size_is_refused: one(large(&[5])) => "damaged";
    sec_c06_a_zip64_size_that_lies_is_refused: one(large(&[1 << 40, 5])) => "too many bytes in one file";
    sec_c06_a_zip64_packed_size_that_lies_is_refused: one(large(&[5, 1 << 40])) => "damaged";
    sec_c06_a_zip64_field_that_nobody_asked_for_and_that_differs_is_refused:
        one(file().both(|r| r.extra = zip64(&[6, 5]))) => "damaged";
    sec_c02_a_zip_without_its_last_byte_is_refused: truncated(1) => "damaged";
    sec_c02_a_zip_without_its_end_record_is_refused: truncated(22) => "damaged";
    sec_c02_a_zip_without_its_directory_is_refused: truncated(60) => "damaged";
}

accepted! {
    a_zip_is_laid_down:
        Zip::of([
            Entry::stored("d/", ""),
            Entry::deflated("d/f", "hello"),
            Entry::of_mode("run", 0o100_755, "x"),
            Entry::of_mode("l", 0o120_777, "d/f"),
        ]).package() =>
        ["d 755 d", "f 644 d/f hello", "l l -> d/f", "f 755 run x"];
    sec_c07_setuid_in_a_zip_is_dropped: of_mode("f", 0o106_777, "x") => ["f 755 f x"];
    sec_c07_a_mode_of_zero_in_a_zip_stays_readable_for_its_owner: of_mode("f", 0o100_000, "x") => ["f 600 f x"];
    a_zip_without_modes_gets_plain_ones: one(with_attributes(0, on(0, file()))) => ["f 644 f hello"];
    a_zip_comment_is_passed_over: ended(|end| end.comment = b"made by hand".to_vec()) => ["f 644 f hello"];
    a_data_descriptor_is_read: one(file().described_after(|_| {})) => ["f 644 f hello"];
    a_data_descriptor_without_its_signature_is_read: {
        let mut entry = Entry::deflated("f", "hello").described_after(|_| {});
        entry.descriptor.drain(..4);
        one(entry)
    } => ["f 644 f hello"];
    a_zip64_size_is_read: one(large(&[5, 5])) => ["f 644 f hello"];
    a_zip64_end_is_read: ended64(1, 0) => ["f 644 f hello"];
    a_zip64_field_that_repeats_the_record_is_read: one(file().both(|r| r.extra = zip64(&[5, 5]))) => ["f 644 f hello"];
    a_deflated_directory_of_nothing_is_laid_down: one(Entry::deflated("d/", "")) => ["d 755 d"];
    a_nested_zip_is_a_file:
        Zip::of([Entry::stored("f.zip", Zip::of([]).build())]).package() =>
        ["f 644 f.zip PK\u{5}\u{6}\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"];
}
