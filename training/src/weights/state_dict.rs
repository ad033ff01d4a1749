//! Named tensors on the host: what weight files hold, what networks are built from, and what the graph writer writes.

use std::collections::BTreeMap;

/// A dense float32 tensor in C order.
#[derive(Debug, Clone, PartialEq)]
pub struct HostTensor {
    pub shape: Vec<usize>,
    /// `shape.iter().product()` values.
    pub data: Vec<f32>,
}

/// Tensors by name, with the names of the network's home (torchvision, Hugging Face `BertModel`, ...).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StateDict {
    tensors: BTreeMap<String, HostTensor>,
}

/// Why a network cannot be built from a state dict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateDictError {
    #[error("the weights hold no tensor {name:?}; is this a file of another architecture?")]
    Missing { name: String },
    #[error("tensor {name:?} has shape {found:?}, the network needs {expected:?}")]
    Shape { name: String, found: Vec<usize>, expected: Vec<usize> },
}

impl StateDict {
    pub fn insert(&mut self, name: impl Into<String>, tensor: HostTensor) {
        self.tensors.insert(name.into(), tensor);
    }

    /// The tensor of this name, whatever its shape.
    pub fn get(&self, name: &str) -> Result<&HostTensor, StateDictError> {
        self.tensors.get(name).ok_or_else(|| StateDictError::Missing { name: name.to_owned() })
    }

    /// The tensor of this name, which must have this shape.
    pub fn get_shaped(&self, name: &str, expected: &[usize]) -> Result<&HostTensor, StateDictError> {
        let tensor = self.get(name)?;
        if tensor.shape == expected {
            return Ok(tensor);
        }
        Err(StateDictError::Shape {
            name: name.to_owned(),
            found: tensor.shape.clone(),
            expected: expected.to_vec(),
        })
    }

    /// Names and tensors in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &HostTensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The number of tensors.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// The mean of each tensor over several dicts; of none, nothing.
    ///
    /// # Errors
    /// One of them lacks a tensor of the first, or has it in another shape.
    pub fn mean(of: &[Self]) -> Result<Self, StateDictError> {
        let Some((first, others)) = of.split_first() else { return Ok(Self::default()) };
        let mut mean = first.clone();
        for (name, tensor) in &mut mean.tensors {
            for other in others {
                let other = other.get_shaped(name, &tensor.shape)?;
                tensor.data.iter_mut().zip(&other.data).for_each(|(sum, x)| *sum += x);
            }
            tensor.data.iter_mut().for_each(|sum| *sum /= of.len() as f32);
        }
        Ok(mean)
    }
}

impl FromIterator<(String, HostTensor)> for StateDict {
    fn from_iter<I: IntoIterator<Item = (String, HostTensor)>>(tensors: I) -> Self {
        Self { tensors: tensors.into_iter().collect() }
    }
}

impl IntoIterator for StateDict {
    type Item = (String, HostTensor);
    type IntoIter = std::collections::btree_map::IntoIter<String, HostTensor>;

    /// Names and tensors in the order of the names.
    fn into_iter(self) -> Self::IntoIter {
        self.tensors.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dict<const N: usize>(tensors: [(&str, &[f32]); N]) -> StateDict {
        let tensor = |(name, data): (&str, &[f32])| {
            (name.to_owned(), HostTensor { shape: vec![data.len()], data: data.to_vec() })
        };
        tensors.into_iter().map(tensor).collect()
    }

    #[test]
    fn the_mean_is_that_of_each_number() {
        let of = [
            dict([("a", &[1.0, 2.0]), ("b", &[3.0])]),
            dict([("a", &[2.0, 2.0]), ("b", &[-3.0])]),
            dict([("a", &[6.0, -1.0]), ("b", &[3.0])]),
        ];
        assert_eq!(StateDict::mean(&of), Ok(dict([("a", &[3.0, 1.0]), ("b", &[1.0])])));
        assert_eq!(StateDict::mean(&of[..1]), Ok(of[0].clone()));
    }

    #[test]
    fn there_is_no_mean_of_networks_of_different_shapes() {
        let mean = |other| StateDict::mean(&[dict([("a", &[1.0, 2.0])]), other]);
        let error = mean(dict([("b", &[1.0, 2.0])])).unwrap_err();
        assert_eq!(error, StateDictError::Missing { name: "a".into() });
        let error = mean(dict([("a", &[1.0])])).unwrap_err();
        assert!(matches!(error, StateDictError::Shape { name, .. } if name == "a"));
    }
}
