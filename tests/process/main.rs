//! Tests of the program itself: how it starts, refuses to start, stops, and imports.

mod import;
mod program;
mod refusal;
mod shutdown;
