//! Copying and comparing bytes, in the static binary.
//!
//! musl copies with `rep movsq`, whatever the length, and the processor gets ready for that as long as it takes
//! to copy some hundred bytes; it compares byte by byte. What a run copies and compares is names, values and
//! hashes: short, and thousands of them. Whoever calls these functions of the C library, as the compiler does by
//! itself, finds those of this file first.
#![expect(unsafe_code, reason = "copies through raw pointers")]

use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_storeu_si128};
use std::cmp::Ordering;

/// The functions by the names that are called.
///
/// Without optimisation the code of this file would call them itself, without end. Debug assertions stand for such
/// a build, which is left to the C library.
#[cfg(all(target_env = "musl", not(debug_assertions)))]
mod named {
    use std::cmp::Ordering;

    type Copy = unsafe extern "C" fn(*mut u8, *const u8, usize) -> *mut u8;
    type Compare = unsafe extern "C" fn(*const u8, *const u8, usize) -> i32;

    /// memcpy(3).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
        // SAFETY: the caller keeps the contract of memcpy(3).
        unsafe { super::copy(to, from, length) };
        to
    }

    /// memmove(3).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
        // SAFETY: the caller keeps the contract of memmove(3).
        unsafe { super::copy(to, from, length) };
        to
    }

    /// memcmp(3).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, length: usize) -> i32 {
        // SAFETY: the caller keeps the contract of memcmp(3).
        match unsafe { super::compare(one, other, length) } {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }
    }

    /// bcmp(3).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, length: usize) -> i32 {
        // SAFETY: the caller keeps the contract of bcmp(3).
        i32::from(unsafe { super::compare(one, other, length) }.is_ne())
    }

    /// The linker would leave out what nobody names.
    #[used]
    static NAMED: ([Copy; 2], [Compare; 2]) = ([memcpy, memmove], [memcmp, bcmp]);
}

/// Copies `length` bytes, as if by way of a third place. Up to 128 all are read before any is written.
///
/// # Safety
///
/// `from` can be read and `to` written for `length` bytes.
unsafe fn copy(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: each part lies inside of the caller's memory. Those of a length range are as long together as the
    // longest of it, and none is longer than the shortest: the last ones end where the memory ends.
    unsafe {
        match length {
            0 => {}
            1..4 => {
                let middle = length / 2;
                let parts = (from.read(), from.add(middle).read(), from.add(length - 1).read());
                to.write(parts.0);
                to.add(middle).write(parts.1);
                to.add(length - 1).write(parts.2);
            }
            4..8 => both_ends::<4>(to, from, length),
            8..16 => both_ends::<8>(to, from, length),
            16..33 => both_ends_of_blocks::<1>(to, from, length),
            33..65 => both_ends_of_blocks::<2>(to, from, length),
            65..129 => both_ends_of_blocks::<4>(to, from, length),
            _ if to.addr().wrapping_sub(from.addr()) >= length => forwards(to, from, length),
            _ => backwards(to, from, length),
        }
    }
}

/// Copies the first N bytes and the last N, all read before any is written.
///
/// # Safety
///
/// `from` can be read and `to` written for `length` bytes, which are at least N.
unsafe fn both_ends<const N: usize>(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: the caller's; an array of bytes has no alignment.
    unsafe {
        let (from, to, last) = (from.cast::<[u8; N]>(), to.cast::<[u8; N]>(), length - N);
        let parts = (from.read(), from.byte_add(last).read());
        to.write(parts.0);
        to.byte_add(last).write(parts.1);
    }
}

/// Copies the first N blocks of 16 bytes and the last N, all read before any is written.
///
/// # Safety
///
/// `from` can be read and `to` written for `length` bytes, which are at least 16 times N.
unsafe fn both_ends_of_blocks<const N: usize>(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: the caller's.
    unsafe {
        let last = length - 16 * N;
        let parts = (read::<N>(from), read::<N>(from.add(last)));
        write(to, parts.0);
        write(to.add(last), parts.1);
    }
}

/// The first N blocks of 16 bytes.
///
/// # Safety
///
/// `from` can be read for so many bytes.
unsafe fn read<const N: usize>(from: *const u8) -> [__m128i; N] {
    // SAFETY: the caller's; the place doesn't have to be aligned.
    std::array::from_fn(|block| unsafe { _mm_loadu_si128(from.add(16 * block).cast()) })
}

/// Writes N blocks of 16 bytes.
///
/// # Safety
///
/// `to` can be written for so many bytes.
unsafe fn write<const N: usize>(to: *mut u8, blocks: [__m128i; N]) {
    for (at, block) in blocks.into_iter().enumerate() {
        // SAFETY: the caller's; the place doesn't have to be aligned.
        unsafe { _mm_storeu_si128(to.add(16 * at).cast(), block) };
    }
}

/// Copies from the first byte to the last, which is good unless `to` begins inside of what is copied.
///
/// # Safety
///
/// `from` can be read and `to` written for `length` bytes, which are more than 64.
unsafe fn forwards(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: the caller's. The last bytes are read before the loop may have written over them.
    unsafe {
        let end = length - 64;
        let last = read::<4>(from.add(end));
        for done in (0..end).step_by(64) {
            write(to.add(done), read::<4>(from.add(done)));
        }
        write(to.add(end), last);
    }
}

/// Copies from the last byte to the first, which is good unless `to` ends inside of what is copied.
///
/// # Safety
///
/// `from` can be read and `to` written for `length` bytes, which are more than 64.
unsafe fn backwards(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: the caller's. The first bytes are read before the loop may have written over them.
    unsafe {
        let first = read::<4>(from);
        let mut left = length;
        while left > 64 {
            left -= 64;
            write(to.add(left), read::<4>(from.add(left)));
        }
        write(to, first);
    }
}

/// Which of two texts of `length` bytes is before the other, bytewise.
///
/// # Safety
///
/// Both can be read for `length` bytes.
unsafe fn compare(one: *const u8, other: *const u8, length: usize) -> Ordering {
    // SAFETY: each part lies inside of the caller's memory: the last one ends where that ends.
    unsafe {
        match length {
            0 => Ordering::Equal,
            1..4 => {
                let part = |text: *const u8| {
                    let ends =
                        [text.read(), text.add(length / 2).read(), text.add(length - 1).read()];
                    u32::from_be_bytes([0, ends[0], ends[1], ends[2]])
                };
                part(one).cmp(&part(other))
            }
            4..8 => {
                let at =
                    |text: *const u8, at| u32::from_be_bytes(text.add(at).cast::<[u8; 4]>().read());
                let part = |text| (at(text, 0), at(text, length - 4));
                part(one).cmp(&part(other))
            }
            _ => {
                let part =
                    |text: *const u8, at| u64::from_be_bytes(text.add(at).cast::<[u8; 8]>().read());
                let last = length - 8;
                for at in (0..last).step_by(8) {
                    let order = part(one, at).cmp(&part(other, at));
                    if order.is_ne() {
                        return order;
                    }
                }
                part(one, last).cmp(&part(other, last))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_length_is_copied_to_each_distance() {
        const ROOM: usize = 1100;
        let before: Vec<u8> = (0..ROOM).map(|at| (at * 31 % 251).try_into().unwrap()).collect();
        for length in (0..=200).chain([255, 256, 257, 511, 512, 513]) {
            for distance in 0..=length + 2 {
                for (from, to) in [(5, 5 + distance), (5 + distance, 5)] {
                    let mut expected = before.clone();
                    expected.copy_within(from..from + length, to);
                    let mut copied = before.clone();
                    let start = copied.as_mut_ptr();
                    // SAFETY: both ranges lie inside of the buffer, which is used through its pointer alone.
                    unsafe { copy(start.add(to), start.add(from), length) };
                    assert!(copied == expected, "{length} bytes from {from} to {to}");
                }
            }
        }
    }

    fn compared(one: &[u8], other: &[u8]) -> Ordering {
        assert_eq!(one.len(), other.len());
        // SAFETY: both have that length.
        unsafe { compare(one.as_ptr(), other.as_ptr(), one.len()) }
    }

    #[test]
    fn a_difference_at_each_place_of_each_length_counts() {
        for length in 0..70 {
            let text: Vec<u8> = (0..length).map(|at| 100 + at).collect();
            assert_eq!(compared(&text, &text.clone()), Ordering::Equal);
            for at in 0..text.len() {
                let (mut later, mut earlier) = (text.clone(), text.clone());
                later[at] = 255;
                earlier[at] = 0;
                // What comes behind it counts for nothing.
                later[at + 1..].fill(0);
                assert_eq!(compared(&text, &later), Ordering::Less, "{at} of {length}");
                assert_eq!(compared(&text, &earlier), Ordering::Greater, "{at} of {length}");
            }
        }
    }

    proptest! {
        #[test]
        fn texts_are_ordered_as_slices_are(
            pairs in prop::collection::vec((prop::sample::select(vec![0_u8, 1, 127, 128, 255]), 0..9_u8), 0..40),
        ) {
            let one: Vec<u8> = pairs.iter().map(|(byte, _)| *byte).collect();
            let other: Vec<u8> = pairs.iter().map(|(byte, more)| byte ^ u8::from(*more == 0)).collect();
            prop_assert_eq!(compared(&one, &other), one.cmp(&other));
        }
    }
}
