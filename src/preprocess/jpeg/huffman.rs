//! Huffman codes of baseline JPEG (ITU T.81, annexes C and F), read as far as the mean of a block needs.

use super::bits::Bits;

/// Bits that a table is looked up by. Nearly all codes are shorter, and the two tables of [`Others`] fit into a core's nearest cache.
const WINDOW: u32 = 12;
/// Longest code.
const LONGEST: u32 = 16;

/// A code's table: from the next bits to a symbol.
pub(super) struct Codes {
    /// By the next [`WINDOW`] bits: length of the code (0: it is longer) and symbol.
    short: Box<[(u8, u8); 1 << WINDOW]>,
    /// By length: the first number that is no code of it or a shorter one, its place aligned to [`LONGEST`] bits.
    end: [u32; LONGEST as usize + 1],
    /// By length: what a code of it is from its symbol's place.
    offset: [i32; LONGEST as usize + 1],
    symbols: Vec<u8>,
}

impl Codes {
    /// From how many codes there are of each length, 1 to 16, and their symbols. None where these make no code.
    pub fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut codes = Self {
            short: Box::new([(0, 0); 1 << WINDOW]),
            end: [0; LONGEST as usize + 1],
            offset: [0; LONGEST as usize + 1],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut place) = (0_u32, 0_usize);
        for (length, &count) in (1..).zip(counts) {
            codes.offset[length as usize] = place as i32 - code as i32;
            for _ in 0..count {
                let symbol = *symbols.get(place)?;
                if length <= WINDOW {
                    let first = (code << (WINDOW - length)) as usize;
                    codes
                        .short
                        .get_mut(first..first + (1 << (WINDOW - length)))?
                        .fill((length as u8, symbol));
                }
                (code, place) = (code + 1, place + 1);
            }
            if code > 1 << length {
                return None;
            }
            codes.end[length as usize] = code << (LONGEST - length);
            code <<= 1;
        }
        Some(codes)
    }

    /// Length of the code that comes next, in what `bits` holds, and its symbol. None where no code begins so.
    #[inline]
    fn next(&self, bits: &Bits<'_>) -> Option<(u32, u8)> {
        match self.short[bits.peek(WINDOW)] {
            (0, _) => self.next_long(bits.peek(LONGEST) as u32),
            (length, symbol) => Some((u32::from(length), symbol)),
        }
    }

    fn next_long(&self, bits: u32) -> Option<(u32, u8)> {
        let length = (WINDOW + 1..=LONGEST).find(|&length| bits < self.end[length as usize])?;
        let place = (bits >> (LONGEST - length)) as i32 + self.offset[length as usize];
        Some((length, *self.symbols.get(usize::try_from(place).ok()?)?))
    }
}

/// Codes of the differences between the means of successive blocks.
pub(super) struct Differences(Codes);

impl Differences {
    /// Longest difference of 8-bit samples, in bits.
    const LARGEST: u8 = 11;

    pub fn new(codes: Codes) -> Option<Self> {
        codes.symbols.iter().all(|&size| size <= Self::LARGEST).then_some(Self(codes))
    }

    /// The next difference. Leaves `bits` holding as many as a step of [`Others`] takes.
    #[inline]
    pub fn read(&self, bits: &mut Bits<'_>) -> Option<i32> {
        bits.fill();
        let (length, size) = self.0.next(bits)?;
        bits.skip(length);
        let (size, number) = (u32::from(size), bits.peek(u32::from(size)) as i32);
        bits.skip(size);
        // The lower half stands for the negative ones (F.2.2.1). Which it is cannot be foretold, so nothing depends on a branch.
        let negative = i32::from(number < (1 << size) >> 1);
        Some(number + negative * (1 - (1 << size)))
    }
}

/// Codes of the other 63 coefficients of a block, for skipping them: as many as the next bits hold at once.
pub(super) struct Others {
    codes: Codes,
    steps: Box<[Step; 1 << WINDOW]>,
}

/// What the next bits skip.
#[derive(Clone, Copy, Default)]
struct Step {
    /// None where the first code is longer than what was looked up by.
    bits: u8,
    coefficients: u8,
    /// Whether the last code says that the block's other coefficients are zero.
    ends: bool,
}

impl Step {
    /// One code and the number after it. A symbol's lower half is the number's length, its upper half how many zeros come before;
    /// 0 in the lower half are 16 zeros with 15 in the upper, and the end with anything else.
    #[inline]
    fn of(length: u32, symbol: u8) -> Self {
        let (zeros, size) = (symbol >> 4, symbol & 15);
        Self { bits: length as u8 + size, coefficients: zeros + 1, ends: size == 0 && zeros != 15 }
    }
}

impl Others {
    /// Coefficients of a block beside its mean.
    const IN_BLOCK: u32 = 63;

    pub fn new(codes: Codes) -> Self {
        let mut steps = Box::new([Step::default(); 1 << WINDOW]);
        steps.iter_mut().enumerate().for_each(|(bits, step)| *step = Self::step(&codes, bits));
        Self { codes, steps }
    }

    /// All that whole codes in these bits skip. The number after the last code may reach beyond them.
    fn step(codes: &Codes, bits: usize) -> Step {
        let mut all = Step::default();
        while u32::from(all.bits) < WINDOW && !all.ends {
            let left = WINDOW - u32::from(all.bits);
            let (length, symbol) = codes.short[(bits << all.bits) & ((1 << WINDOW) - 1)];
            if length == 0 || u32::from(length) > left {
                break;
            }
            let one = Step::of(u32::from(length), symbol);
            all = Step {
                bits: all.bits + one.bits,
                coefficients: all.coefficients + one.coefficients,
                ends: one.ends,
            };
        }
        all
    }

    /// Goes on behind the block, whose difference has been read. None where no code comes next.
    #[inline]
    pub fn skip(&self, bits: &mut Bits<'_>) -> Option<()> {
        let mut passed = 0;
        while passed < Self::IN_BLOCK {
            let mut step = self.steps[bits.peek(WINDOW)];
            // The end may come before the last of several codes, without a code that says so.
            if step.bits == 0 || passed + u32::from(step.coefficients) >= Self::IN_BLOCK {
                bits.refill();
                let (length, symbol) = self.codes.next(bits)?;
                step = Step::of(length, symbol);
            }
            bits.skip(u32::from(step.bits));
            if step.ends {
                break;
            }
            passed += u32::from(step.coefficients);
            bits.refill();
        }
        Some(())
    }
}
