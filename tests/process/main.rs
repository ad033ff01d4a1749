//! Tests of the program itself: how it starts, refuses to start, stops, imports and reindexes.

mod access;
mod activation;
mod backup;
mod cluster;
mod fault_proxy;
mod import;
mod overload;
mod poison;
mod program;
mod refusal;
mod reindex;
mod reload;
mod search;
mod settings;
mod shutdown;
mod storage;
mod traces;
mod warm_up;
