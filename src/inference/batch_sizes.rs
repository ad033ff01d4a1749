//! How many examples a model runs at once.

/// Which sizes the batches of a model that reads photos have.
///
/// cuDNN chooses the algorithms of the convolutions anew for each size it meets, and a request would wait for that: 0.5 to 3 s
/// for every new size were seen on an H200 before batches were filled up. So there only a few sizes occur, and each has been
/// run before the first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BatchSizes {
    /// As many as there are examples.
    #[default]
    Any,
    /// Filled up with blank examples to a power of two, or to the largest batch where that is less.
    PowersOfTwo,
}

impl BatchSizes {
    /// Powers of two on CUDA; any size on the CPU, where each costs what its examples cost.
    pub fn suited_to(on_cuda: bool) -> Self {
        if on_cuda { Self::PowersOfTwo } else { Self::Any }
    }

    /// The size that this many examples are run at, where a batch has at most `largest`.
    pub fn filled(self, examples: usize, largest: usize) -> usize {
        match self {
            Self::Any => examples,
            Self::PowersOfTwo => examples.next_power_of_two().min(largest).max(examples),
        }
    }

    /// The sizes that are run before the first request, smallest first: all that can occur, or none where any can.
    pub fn run_at_start(self, largest: usize) -> Vec<usize> {
        if self == Self::Any {
            return Vec::new();
        }
        let mut sizes: Vec<usize> = (1..=largest).map(|examples| self.filled(examples, largest)).collect();
        sizes.dedup();
        sizes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_filled_to_powers_of_two_and_never_beyond_the_largest() {
        let filled = |examples| BatchSizes::PowersOfTwo.filled(examples, 24);
        assert_eq!([1, 2, 3, 4, 5, 9, 16, 17, 24].map(filled), [1, 2, 4, 4, 8, 16, 16, 24, 24]);
        assert_eq!(BatchSizes::PowersOfTwo.run_at_start(24), [1, 2, 4, 8, 16, 24]);
        assert_eq!(BatchSizes::Any.filled(5, 24), 5);
        assert!(BatchSizes::Any.run_at_start(24).is_empty());
    }

    #[test]
    fn no_batch_meets_a_size_that_was_not_run_at_start() {
        for largest in 1..=70 {
            let run = BatchSizes::PowersOfTwo.run_at_start(largest);
            for examples in 1..=largest {
                let size = BatchSizes::PowersOfTwo.filled(examples, largest);
                assert!(size >= examples && run.contains(&size), "{examples} of {largest}: {size}");
            }
        }
    }
}
