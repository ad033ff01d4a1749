//! Memory that all requests share, a permit a byte.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// There is not as much left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent;

/// So many bytes, over all shares.
#[derive(Debug, Clone)]
pub struct ByteBudget(Arc<Semaphore>);

/// What one request takes of the budget; given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

impl ByteBudget {
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    /// A share that has taken nothing yet.
    pub fn share(&self) -> Share {
        Share { budget: Arc::clone(&self.0), taken: None }
    }
}

impl Share {
    /// Takes as many bytes more, at once or not at all.
    pub fn take(&mut self, bytes: usize) -> Result<(), Spent> {
        let permits = u32::try_from(bytes).map_err(|_| Spent)?;
        let more = Arc::clone(&self.budget).try_acquire_many_owned(permits).map_err(|_| Spent)?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }

    pub fn give_back(&mut self) {
        self.taken = None;
    }

    /// Gives back so much of what it has taken.
    pub fn give_back_part(&mut self, bytes: usize) {
        if let Some(taken) = &mut self.taken {
            drop(taken.split(bytes.min(taken.num_permits())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_until_a_share_is_given_back() {
        let budget = ByteBudget::new(100);
        let (mut first, mut second) = (budget.share(), budget.share());
        assert_eq!((first.take(40), first.take(40)), (Ok(()), Ok(())));
        assert_eq!((second.take(21), second.take(20)), (Err(Spent), Ok(())));
        drop(first);
        assert_eq!(second.take(80), Ok(()));
        second.give_back_part(30);
        assert_eq!((budget.share().take(31), budget.share().take(30)), (Err(Spent), Ok(())));
        second.give_back();
        assert_eq!(budget.share().take(100), Ok(()));
    }
}
