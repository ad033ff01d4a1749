//! How good are the models that are served? Measured through ONNX Runtime and the server's own preprocessing.
//!
//! - [`answers`]: what the models say of the listings of a split;
//! - [`metrics`]: what that is worth;
//! - [`measured`]: both, for each of the three models;
//! - [`calibration`]: the temperature and the confidence below which a person should look;
//! - [`retrieval`]: what embeddings find;
//! - [`space`]: whether the three models' embeddings do;
//! - [`ranking`]: what the server's ranking finds, for `--ranking`;
//! - [`report`]: the table of `marketrank-train evaluate`;
//! - [`pictures`]: how a model errs, for the model card and the page;
//! - [`page`]: tables, pictures and the worst mistakes for a browser, for `--report`;
//! - [`speed`]: int8 against float, for `--speed`.

pub mod answers;
pub mod calibration;
pub mod measured;
pub mod metrics;
pub mod page;
pub mod pictures;
pub mod ranking;
pub mod report;
pub mod retrieval;
pub mod space;
pub mod speed;
