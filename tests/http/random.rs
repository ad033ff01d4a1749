//! Random numbers and damage.

/// SplitMix64 (Steele, Lea & Flood 2014): the same numbers for the same seed, so that a failure can be repeated.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    pub fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// A few bytes changed, cut out, doubled or put in.
    pub fn mutate(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len());
            let length = self.below(32).min(bytes.len() - at);
            match self.below(5) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                1 => drop(bytes.drain(at..at + length)),
                2 => {
                    let piece = bytes[at..at + length].to_vec();
                    bytes.splice(at..at, piece);
                }
                3 => {
                    let piece = self.bytes(length);
                    bytes.splice(at..at, piece);
                }
                _ => {
                    let odd = self.pick(&[
                        "-1",
                        "1e999",
                        "null",
                        "\\u0000",
                        "\"",
                        "9223372036854775808",
                        "[",
                        "{",
                        "NaN",
                    ]);
                    bytes.splice(at..at, odd.bytes());
                }
            }
        }
        bytes
    }
}
