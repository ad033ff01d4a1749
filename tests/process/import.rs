//! `marketrank import`

use std::process::Stdio;

use tempfile::TempDir;

use crate::program::{import, repository, stderr};

#[test]
fn an_import_that_is_killed_goes_on_where_it_was() {
    let data = TempDir::new().unwrap();
    let table = repository("sample/products.csv");
    let rows = csv::Reader::from_path(&table).unwrap().records().count();
    let mut first = import(&table, data.path()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    let _ = first.kill();
    first.wait().unwrap();

    let output = import(&table, data.path()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains(&format!("the catalogue holds {rows}")), "{said}");
    let again = String::from_utf8(import(&table, data.path()).output().unwrap().stdout).unwrap();
    assert!(
        again.contains(&format!("imported 0 products, {rows} were there already, 0 left out")),
        "{again}"
    );
}

#[test]
fn a_row_that_cannot_be_used_is_named_and_the_others_go_on() {
    let data = TempDir::new().unwrap();
    let table = data.path().join("table.csv");
    let rows = "id,title,price,photos\ngood-1,Sofa,20,\nbad id,Lamp,5,\nbad-2,,5,\nbad-3,Desk,5,nowhere.jpg\ngood-2,Chair,,";
    std::fs::write(&table, rows).unwrap();
    let output = import(&table, &data.path().join("catalogue")).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("imported 2 products, 0 were there already, 3 left out"), "{said}");
    assert!(stderr(&output).contains("nowhere.jpg"), "{}", stderr(&output));
}

#[test]
fn a_table_without_a_title_column_is_refused() {
    let data = TempDir::new().unwrap();
    let table = data.path().join("table.csv");
    std::fs::write(&table, "id,name\n1,Sofa\n").unwrap();
    let output = import(&table, &data.path().join("catalogue")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("no column \"title\""), "{}", stderr(&output));
}
