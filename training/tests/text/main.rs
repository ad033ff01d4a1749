//! Text models, from a table and a network to what they have learnt.

#[path = "../made_up/bikes_and_sofas.rs"]
mod bikes_and_sofas;
#[path = "../made_up/onnxruntime.rs"]
mod onnxruntime;
#[path = "../made_up/small_bert.rs"]
mod small_bert;
mod taught;
#[path = "../made_up/teacher.rs"]
mod teacher;
mod trained;
