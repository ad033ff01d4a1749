//! Where products are looked up: among the request's own candidates, then in the catalogue.

use super::{MAX_VIEWED, RankError, RankRequest, inline::Inline};
use crate::catalogue::{Catalogue, Index, ProductId, StoredProduct};

/// The catalogue and the candidates of a request.
pub struct Sources<'a> {
    inline: Option<Inline<'a>>,
    catalogue: &'a dyn Catalogue,
}

impl<'a> Sources<'a> {
    pub fn of(catalogue: &'a dyn Catalogue, request: &'a RankRequest) -> Result<Self, RankError> {
        let inline = request.candidates.as_deref().map(Inline::new).transpose()?;
        Ok(Self { inline, catalogue })
    }

    /// What is ranked: the candidates, where there are any.
    pub fn index(&self) -> &dyn Index {
        match &self.inline {
            Some(inline) => inline,
            None => self.catalogue,
        }
    }

    /// A product that the request names, whose `field` that is.
    pub async fn product(
        &self,
        field: &'static str,
        id: Option<&ProductId>,
    ) -> Result<Option<StoredProduct>, RankError> {
        let Some(id) = id else { return Ok(None) };
        if let Some(candidate) = self.candidate(id) {
            return Ok(Some(candidate.clone()));
        }
        let stored = self.catalogue.get(std::slice::from_ref(id)).await?.pop().flatten();
        stored.map(Some).ok_or_else(|| RankError::UnknownProduct { field, id: id.clone() })
    }

    /// Of those that exist.
    pub async fn embeddings(&self, ids: &[ProductId]) -> Result<Vec<Vec<f32>>, RankError> {
        if ids.len() > MAX_VIEWED {
            return Err(RankError::TooManyViewed(ids.len()));
        }
        let others: Vec<ProductId> = ids.iter().filter(|id| self.candidate(id).is_none()).cloned().collect();
        // A request that brings all that it names is answered even where the catalogue does not answer.
        let stored = if others.is_empty() { Vec::new() } else { self.catalogue.embeddings(&others).await? };
        let mut stored = stored.into_iter();
        let embedding = |id| match self.candidate(id) {
            Some(candidate) => Some(candidate.embedding.clone()),
            None => stored.next().flatten(),
        };
        Ok(ids.iter().filter_map(embedding).collect())
    }

    fn candidate(&self, id: &ProductId) -> Option<&'a StoredProduct> {
        self.inline.as_ref()?.get(id)
    }
}
