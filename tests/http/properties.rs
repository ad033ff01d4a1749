//! What is accepted means what was sent, for products of any make.

use std::cell::{Cell, RefCell};

use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Map, Value, json};

use crate::server::{get, put_json};

/// Text of any script, with what JSON escapes.
fn text(length: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![4 => any::<char>(), 1 => Just('"'), 1 => Just('\\'), 1 => Just('\n')],
        length,
    )
    .prop_map(|chars| chars.into_iter().collect())
}

/// JSON of any shape, three levels deep. Numbers are those that a double holds.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        text(0..12).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text(0..8), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A value for a field, good or not, or none.
fn products() -> impl Strategy<Value = Map<String, Value>> {
    let title = prop_oneof![8 => text(1..40).prop_map(Value::from), 1 => anything()];
    let category = prop_oneof![4 => Just(json!("Home & Garden")), 1 => text(0..20).prop_map(Value::from), 1 => anything()];
    let price = prop_oneof![4 => (0.0..1e7_f64).prop_map(Value::from), 1 => (-10..10_i64).prop_map(Value::from), 1 => anything()];
    let currency = prop_oneof![4 => Just(json!("EUR")), 1 => text(3..4).prop_map(Value::from)];
    let place = (-100.0..100.0_f64, -190.0..190.0_f64).prop_map(|(lat, lon)| json!({"lat": lat, "lon": lon}));
    let location =
        prop_oneof![4 => place, 1 => Just(json!({"name": "Leeds"})), 1 => Just(json!({"lat": 5.0}))];
    let date = prop_oneof![4 => Just(json!("2026-11-20T09:30:00Z")), 1 => Just(json!("2026-13-20T09:30:00Z")), 1 => anything()];
    let attributes = prop_oneof![
        4 => prop::collection::btree_map(text(0..8), anything(), 0..4)
            .prop_map(|map| Value::Object(map.into_iter().collect())),
        1 => anything()
    ];
    let unknown = prop::option::weighted(0.05, anything());
    let maybe = |strategy: BoxedStrategy<Value>| prop::option::weighted(0.5, strategy);
    let fields = (
        prop::option::weighted(0.95, title.boxed()),
        maybe(text(0..60).prop_map(Value::from).boxed()),
        maybe(category.boxed()),
        maybe(price.boxed()),
        maybe(currency.boxed()),
        maybe(location.boxed()),
        maybe(date.boxed()),
        maybe(attributes.boxed()),
        unknown,
    );
    fields.prop_map(
        |(title, description, category, price, currency, location, listed_at, attributes, unknown)| {
            [
                ("title", title),
                ("description", description),
                ("category", category),
                ("price", price),
                ("currency", currency),
                ("location", location),
                ("listed_at", listed_at),
                ("attributes", attributes),
                ("colour", unknown),
            ]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
        },
    )
}

/// Whether the two are the same JSON, whichever way numbers are written.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        // The JSON parser may miss the last bit of a number, once on the way there and once on the way back.
        (Value::Number(a), Value::Number(b)) => {
            a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| (a - b).abs() <= 1e-15 * a.abs())
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

#[test]
fn a_product_is_stored_as_it_was_sent_or_refused_and_not_stored() {
    let route = "/v1/products/of-any-make";
    let mut runner = TestRunner::new(ProptestConfig {
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::with_cases(150)
    });
    let accepted = Cell::new(0);
    // A refusal has another request id each time.
    let state = || match get(route) {
        (200, product) => Some(product),
        _ => None,
    };
    let before = RefCell::new(state());
    let outcome = runner.run(&products(), |sent| {
        let (status, answer) = put_json(route, &Value::Object(sent.clone()));
        let stored = state();
        if status != 200 {
            prop_assert!(matches!(status, 400 | 422), "{}: {}", status, answer);
            prop_assert_eq!(&stored, &*before.borrow());
            return Ok(());
        }
        before.replace(stored.clone());
        accepted.set(accepted.get() + 1);
        for (name, value) in &sent {
            // What says nothing may be left out.
            let says_nothing = value.is_null() || value == &json!({});
            let found = stored.as_ref().unwrap().get(name).unwrap_or(&Value::Null);
            prop_assert!(
                says_nothing || same(found, value),
                "{}: {} was sent, {} is stored",
                name,
                value,
                found
            );
        }
        // And nothing is made up but what is said to be.
        let made_up = ["id", "category", "category_predicted", "currency"];
        for name in stored.as_ref().unwrap().as_object().unwrap().keys() {
            prop_assert!(
                sent.contains_key(name) || made_up.contains(&name.as_str()),
                "{} was not sent",
                name
            );
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    assert!(accepted.get() > 20, "only {} of 150 were accepted", accepted.get());
}
