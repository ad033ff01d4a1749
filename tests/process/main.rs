//! Tests of the program itself: how it starts, refuses to start, stops, imports and reindexes.

mod import;
mod overload;
mod program;
mod refusal;
mod reindex;
mod shutdown;
mod traces;
