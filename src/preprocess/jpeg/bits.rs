//! The bits of entropy-coded data, without the bytes that JPEG stuffs in between.

/// Reads a scan from its first bit on; it stops at markers and gives zeros from there.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next bits, the first one highest. Below the `held` highest may lie bits of the byte that comes next, never others.
    window: u64,
    held: u32,
    /// How many of those held are zeros that no file gave.
    made_up: u32,
}

impl<'a> Bits<'a> {
    /// The longest code and the longest number after it.
    const ENOUGH: u32 = 32;

    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, window: 0, held: 0, made_up: 0 }
    }

    /// Makes the window hold enough for a code and its number.
    #[inline]
    pub fn refill(&mut self) {
        if self.held < Self::ENOUGH {
            self.fill();
        }
    }

    /// Makes the window hold as much as it can take in whole bytes: 56 to 63 bits.
    #[inline]
    pub fn fill(&mut self) {
        if let Some(&eight) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_be_bytes(eight);
            if !has_byte_ff(word) {
                self.window |= word >> self.held;
                self.at += (63 - self.held as usize) / 8;
                self.held |= 56;
                return;
            }
        }
        self.fill_by_bytes();
    }

    fn fill_by_bytes(&mut self) {
        while self.held < 56 {
            let byte = match self.bytes.get(self.at..) {
                Some([0xFF, 0x00, ..]) => {
                    self.at += 2;
                    0xFF
                }
                None | Some([] | [0xFF, ..]) => {
                    self.made_up += 8;
                    0
                }
                Some([byte, ..]) => {
                    self.at += 1;
                    *byte
                }
            };
            self.window |= u64::from(byte) << (56 - self.held);
            self.held += 8;
        }
    }

    /// The next bits, none to 32 of those held, as a number.
    #[inline]
    pub fn peek(&self, count: u32) -> usize {
        (self.window >> 1 >> (63 - count)) as usize
    }

    /// Goes on by so many of the bits held, fewer than 64.
    #[inline]
    pub fn skip(&mut self, count: u32) {
        self.window <<= count;
        self.held -= count;
    }

    /// Whether more was read than there is.
    pub fn overrun(&self) -> bool {
        self.held < self.made_up
    }

    /// Goes on behind the restart marker of this number, 0 to 7, which must come next, behind less than a byte of filling; false where
    /// something else does.
    pub fn restart(&mut self, number: u8) -> bool {
        let comes_next =
            self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(&[0xFF, 0xD0 | number]));
        if !comes_next || !(self.made_up..self.made_up + 8).contains(&self.held) {
            return false;
        }
        *self = Self { at: self.at + 2, ..Self::new(self.bytes) };
        true
    }
}

/// A byte of `word` is FF where one of its complement is zero (Mycroft's test).
fn has_byte_ff(word: u64) -> bool {
    const LOW: u64 = 0x0101_0101_0101_0101;
    (!word).wrapping_sub(LOW) & word & (LOW << 7) != 0
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn what_was_stuffed_is_read_as_it_was_before(
            // Every fourth byte or so is the one that is stuffed.
            bytes in vec(prop_oneof![3 => any::<u8>(), 1 => Just(0xFF)], 0..60),
            counts in vec((0..=31_u32, any::<bool>()), 0..40),
            filling in 0..=9_usize,
        ) {
            let stuffed: Vec<u8> =
                bytes.iter().flat_map(|&byte| [byte, 0].into_iter().take(1 + usize::from(byte == 0xFF))).collect();
            let marked = [&stuffed[..], &[0xFF, 0xD3, 1, 2, 3]].concat();
            let all: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
            let (mut bits, mut at) = (Bits::new(&marked), 0);
            for (count, full) in counts {
                if full { bits.fill() } else { bits.refill() }
                let expected: String = all.chars().skip(at).chain(std::iter::repeat('0')).take(count as usize).collect();
                prop_assert_eq!(bits.peek(count), usize::from_str_radix(&expected, 2).unwrap_or(0));
                bits.skip(count);
                at += count as usize;
                prop_assert_eq!(bits.overrun(), at > all.len());
            }
            let left = all.len().saturating_sub(at);
            if left > 16 || bits.overrun() {
                prop_assert!(!bits.restart(3));
                return Ok(());
            }
            bits.fill();
            bits.skip(left.saturating_sub(filling) as u32);
            prop_assert!(!bits.restart(4));
            if filling.min(left) >= 8 {
                prop_assert!(!bits.restart(3));
                return Ok(());
            }
            prop_assert!(bits.restart(3));
            bits.fill();
            prop_assert_eq!(bits.peek(24), 0x01_02_03);
        }
    }
}
