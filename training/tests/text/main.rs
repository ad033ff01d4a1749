//! Text models, from a table and a network to what they have learnt.

mod small;
mod taught;
mod trained;
