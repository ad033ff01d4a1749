//! `marketrank import`

use std::{process::Stdio, time::Duration};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Server, client, eventually, import, repository, stderr};

#[test]
fn an_import_that_is_killed_goes_on_where_it_was() {
    let data = TempDir::new().unwrap();
    let table = repository("sample/products.csv");
    let rows = csv::Reader::from_path(&table).unwrap().records().count();
    let mut first = import(&table, data.path()).stderr(Stdio::null()).spawn().unwrap();
    let journal = data.path().join("journal");
    eventually(Duration::from_secs(120), "the first listings are stored", || {
        journal.metadata().is_ok_and(|journal| journal.len() > 0)
    });
    first.kill().unwrap();
    assert!(!first.wait().unwrap().success(), "it had come to its end");

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
    let rows = "id,title,price,photos\ngood-1,Sofa,20,\nbad id,Lamp,5,\nbad-2,,5,\nbad-3,Desk,5,nowhere.jpg\ngood-2,Chair,,\n\
                good-1 ,Sofa,20,";
    std::fs::write(&table, rows).unwrap();
    let output = import(&table, &data.path().join("catalogue")).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("imported 2 products, 0 were there already, 4 left out"), "{said}");
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

#[test]
fn of_two_rows_with_one_id_the_later_one_stays_however_often_the_table_is_imported() {
    let data = TempDir::new().unwrap();
    let (folder, table) = (data.path().join("catalogue"), data.path().join("table.csv"));
    // Further apart than what is stored together.
    let lamps: String = (0..40).map(|number| format!("lamp-{number},Desk lamp,5\n")).collect();
    let rows = format!("id,title,price\nsofa,Grey sofa,20\n{lamps}sofa,Grey sofa,30\n");
    std::fs::write(&table, rows).unwrap();
    for counts in ["imported 41 products, 0 were there already", "imported 0 products, 41 were there already"]
    {
        let output = import(&table, &folder).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(&format!("{counts}, 1 left out; the catalogue holds 41")), "{said}");
        let server = Server::start(&folder);
        let url = format!("http://{}/v1/products/sofa", server.address);
        let sofa: Value = client().get(url).send().unwrap().json().unwrap();
        assert_eq!(sofa["price"], 30.0);
    }
}

#[test]
fn prices_and_places_of_rows_are_taken_as_the_api_takes_them() {
    let data = TempDir::new().unwrap();
    let (folder, table) = (data.path().join("catalogue"), data.path().join("table.csv"));
    let rows =
        "id,title,price,lat,lon\nlamp,Desk lamp,5,53.8,-1.5\npole,Ski pole,5,95,0\nhalf,Half a sofa,5,50,\n";
    std::fs::write(&table, rows).unwrap();
    let output = import(&table, &folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("imported 1 products, 0 were there already, 2 left out"), "{said}");
    assert!(stderr(&output).contains("lat must be from -90 to 90"), "{}", stderr(&output));
    assert!(stderr(&output).contains("lat and lon together"), "{}", stderr(&output));
    let server = Server::start(&folder);
    let url = format!("http://{}/v1/products/lamp", server.address);
    let lamp: Value = client().get(url).send().unwrap().json().unwrap();
    assert_eq!(lamp["currency"], "GBP");
}

#[test]
fn a_row_whose_id_no_url_can_name_is_left_out() {
    let data = TempDir::new().unwrap();
    let table = data.path().join("table.csv");
    std::fs::write(&table, "id,title\n..,Sofa\nlamp,Desk lamp\n").unwrap();
    let output = import(&table, &data.path().join("catalogue")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("imported 1 products, 0 were there already, 1 left out"), "{said}");
    assert!(stderr(&output).contains("no URL can name"), "{}", stderr(&output));
}
