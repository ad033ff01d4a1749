//! Single operators against values computed by hand.

use std::{f32::consts::LN_2, rc::Rc};

use marketrank_train::{
    onnx::{
        Arithmetic, Dim, GraphBuilder, OnnxError, Precision, Value, file, mlp::Mlp,
        quantiles::ordered_quantiles,
    },
    weights::{HostTensor, StateDict, StateDictError},
};

use crate::{
    formula::filled,
    runtime::{Output, Runtime, assert_close, tensor},
};

const ROWS: Dim = Dim::Named("rows");

/// Runs what `build` makes of one float32 input.
fn evaluate(
    shape: &[usize],
    data: &[f32],
    build: impl FnOnce(&mut GraphBuilder, &Value<f32>) -> Value<f32>,
) -> Output {
    evaluate_in(Precision::Float32.into(), shape, data, build)
}

fn evaluate_in(
    arithmetic: Arithmetic,
    shape: &[usize],
    data: &[f32],
    build: impl FnOnce(&mut GraphBuilder, &Value<f32>) -> Value<f32>,
) -> Output {
    let mut g = GraphBuilder::new("test", arithmetic);
    let dims: Vec<Dim> = shape.iter().map(|&dim| Dim::Fixed(dim)).collect();
    let x = g.input("x", &dims);
    let y = build(&mut g, &x);
    g.output("y", &y, &vec![ROWS; shape.len()]);
    let mut runtime = Runtime::load(&g.finish().unwrap());
    runtime.run(vec![("x", tensor(shape, data))]).remove("y").unwrap()
}

#[test]
fn gelu_is_the_exact_form() {
    let y = evaluate(&[1, 4], &[-2.0, -0.5, 0.0, 1.0], |g, x| g.gelu(x));
    let expected = [-0.045_500_26, -0.154_268_77, 0.0, 0.841_344_8];
    for (found, expected) in y.data.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
    }
}

#[test]
fn rows_are_normalised_alike_by_one_operator_and_by_those_that_int8_models_have_for_it() {
    const EPSILON: f32 = 1e-3;
    let (gain, offset) = ([2.0_f32, 1.0, -1.0, 0.5], [0.0_f32, 10.0, 0.0, 1.0]);
    // A row as usual, one without variance, and one whose variance is less than epsilon.
    let rows = [[1.0_f32, 2.0, 3.0, 10.0], [5.0; 4], [0.01, -0.01, 0.03, 0.01]];
    let expected: Vec<f32> = rows
        .iter()
        .flat_map(|row| {
            let mean = row.iter().sum::<f32>() / 4.0;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 4.0;
            std::array::from_fn::<f32, 4, _>(|i| {
                (row[i] - mean) / (variance + EPSILON).sqrt() * gain[i] + offset[i]
            })
        })
        .collect();
    for arithmetic in [Arithmetic::from(Precision::Float32), Arithmetic::Int8(Rc::default())] {
        let y = evaluate_in(arithmetic, &[3, 4], rows.as_flattened(), |g, x| {
            let (gain, offset) = (g.floats(&gain), g.floats(&offset));
            g.layer_norm(x, [&gain, &offset], EPSILON, 4)
        });
        assert_close(&y.data, &expected);
    }
}

#[test]
fn normalised_vectors_have_norm_one() {
    let y = evaluate(&[2, 2], &[3.0, -4.0, 0.0, 1e-3], |g, x| g.l2_normalise(x));
    assert_close(&y.data, &[0.6, -0.8, 0.0, 1.0]);
}

#[test]
fn a_zero_vector_has_no_direction_and_stays_zero() {
    let y = evaluate(&[1, 3], &[0.0; 3], |g, x| g.l2_normalise(x));
    assert_eq!(y.data, [0.0; 3]);
}

#[test]
fn quantiles_lie_a_softplus_away_from_the_median() {
    let y = evaluate(&[1, 3], &[0.0, 5.0, 1.0], ordered_quantiles);
    assert_close(&y.data, &[5.0 - LN_2, 5.0, 5.0 + 1.313_262]);
}

#[test]
fn quantiles_are_in_order_whatever_the_columns_say() {
    let raw = [900.0, -3.0, -900.0, -50.0, 7.0, 40.0];
    let y = evaluate(&[2, 3], &raw, ordered_quantiles);
    for row in y.rows() {
        assert!(row.is_sorted(), "{row:?}");
    }
}

#[test]
fn layers_of_an_mlp_are_joined_by_relu_and_end_without() {
    let mut weights = StateDict::default();
    let mut insert = |name: &str, shape: &[usize], data: &[f32]| {
        weights.insert(name, HostTensor { shape: shape.to_vec(), data: data.to_vec() });
    };
    insert("head.0.weight", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, -6.0]);
    insert("head.0.bias", &[3], &[0.5, -20.0, 0.0]);
    insert("head.1.weight", &[3, 1], &[-2.0, 10.0, 1.0]);
    insert("head.1.bias", &[1], &[0.25]);
    let mlp = Mlp::read(&weights, "head", 2).unwrap();
    let y = evaluate(&[1, 2], &[1.0, 2.0], |g, x| mlp.emit(g, x));
    // Hidden: 1 + 8 + 0.5 = 9.5; 2 + 10 - 20 = -8 and 3 - 12 = -9, both cut off.
    assert_eq!(y.data, [-2.0 * 9.5 + 0.25]);
}

#[test]
fn a_layer_that_does_not_fit_the_one_before_it_is_named() {
    let mut weights = StateDict::default();
    for (name, shape) in
        [("h.0.weight", vec![2, 3]), ("h.0.bias", vec![3]), ("h.1.weight", vec![4, 1]), ("h.1.bias", vec![1])]
    {
        weights.insert(name, filled(name, &shape, 1.0, 0.0));
    }
    let error = Mlp::read(&weights, "h", 2).unwrap_err();
    let expected =
        StateDictError::Shape { name: "h.1.weight".into(), found: vec![4, 1], expected: vec![3, 1] };
    assert_eq!(error, expected);
}

/// A model that multiplies by one 64 x 64 matrix.
fn product_model(precision: Precision, matrix: &HostTensor) -> Result<Vec<u8>, OnnxError> {
    let mut g = GraphBuilder::new("product", precision);
    let x = g.input("x", &[ROWS, Dim::Fixed(64)]);
    let matrix = g.weight("matrix", matrix);
    let y = g.matmul(&x, &matrix);
    g.output("y", &y, &[ROWS, Dim::Fixed(64)]);
    g.finish()
}

#[test]
fn half_precision_takes_half_the_room_and_keeps_three_digits() {
    let matrix = filled("matrix", &[64, 64], 1.0, 0.0);
    let x = filled("x", &[1, 64], 1.0, 0.0);
    let run =
        |model: &[u8]| Runtime::load(model).run(vec![("x", tensor(&[1, 64], &x.data))]).remove("y").unwrap();
    let whole = product_model(Precision::Float32, &matrix).unwrap();
    let half = product_model(Precision::Float16, &matrix).unwrap();
    assert!(half.len() < whole.len() / 2 + 500, "{} and {} bytes", half.len(), whole.len());
    assert_close(&run(&half).data, &run(&whole).data);
}

#[test]
fn weights_beyond_half_precision_stay_whole() {
    let mut matrix = filled("matrix", &[64, 64], 1.0, 0.0);
    matrix.data[0] = 70_000.0;
    let mut x = [0.0_f32; 64];
    x[0] = 1.0;
    let mut runtime = Runtime::load(&product_model(Precision::Float16, &matrix).unwrap());
    let y = runtime.run(vec![("x", tensor(&[1, 64], &x))]).remove("y").unwrap();
    assert_eq!(y.data[0], 70_000.0);
}

#[test]
fn two_tensors_of_one_name_are_kept_apart() {
    let y = evaluate(&[1], &[10.0], |g, x| {
        let first = g.weight("w", &HostTensor { shape: vec![1], data: vec![2.0] });
        let second = g.weight("w", &HostTensor { shape: vec![1], data: vec![3.0] });
        let x = g.mul(x, &first);
        g.mul(&x, &second)
    });
    assert_eq!(y.data, [60.0]);
}

#[test]
fn a_model_on_disk_is_replaced_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.onnx");
    file::write(&path, b"old").unwrap();
    file::write(&path, b"new").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn a_model_goes_into_no_folder_that_does_not_exist() {
    let folder = tempfile::tempdir().unwrap();
    let error = file::write(&folder.path().join("missing/image.onnx"), b"new").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}
