//! Memory that models, and an index that was built, leave behind. Elsewhere than on glibc nothing here does anything.
//!
//! ONNX Runtime takes a model's weights, a hundred megabytes or two, from the C library, in blocks of up to some ten megabytes. Left to
//! itself, glibc learns from the first of them that is freed to keep blocks of that size on its heaps, where small ones that live
//! longer settle between them: after ten reloads 795 MB were resident where 316 MB were in use, and with [`give_back`]
//! alone the figure still moved by 30 MB from one reload to the next.

/// Blocks of this many bytes are mapped one by one and leave with what they held. More than the photo of an upload takes, so
/// that a request maps nothing; less than nearly all weights.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_FROM: libc::c_int = 1 << 20;

/// Free memory that a heap keeps at its end. A photo's pixels and a request's body come and go there, and would be taken from the
/// system, page by page, each time: with the 128 KiB that glibc keeps otherwise, a photo of 12 megapixels took 20.1 ms instead of 19.0.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_FREE: libc::c_int = 16 << 20;

/// Keeps large blocks off the heaps, whatever was freed before: resident memory then stays within 1 % from the twelfth reload on.
/// To be called before the first model is opened.
pub fn keep_large_blocks_apart() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes no pointer, and sets numbers that the allocator reads under no assumption (mallopt(3)).
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_FREE);
    }
}

/// Gives memory that is free back to the system.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes no pointer, may be called at any time from any thread, and touches only memory that is free
    // (malloc_trim(3)).
    unsafe {
        libc::malloc_trim(0);
    }
}
