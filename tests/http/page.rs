//! The page at `/`, as a browser gets it. What it does there is tested in `tests/browser`.

use std::collections::BTreeSet;

use reqwest::blocking::Response;

use crate::server::{client, url};

fn fetch(route: &str) -> Response {
    client().get(url(route)).send().unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers()[name].to_str().unwrap()
}

/// What stands between `before` and the next quotation mark, wherever it occurs.
fn quoted<'a>(text: &'a str, before: &str) -> BTreeSet<&'a str> {
    text.split(before).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn the_page_lets_nothing_in_from_elsewhere_and_nothing_inline() {
    let response = fetch("/");
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), "text/html; charset=utf-8");
    assert_eq!(header(&response, "x-content-type-options"), "nosniff");
    assert_eq!(header(&response, "referrer-policy"), "no-referrer");
    let policy = header(&response, "content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    let page = response.text().unwrap();
    assert!(!page.contains("%ASSETS%") && !page.contains("%MAX_"), "a place was not filled in");
    assert!(!page.contains("://"), "the page names another server");
    assert!(!page.contains(" style=") && !page.contains(" onclick="), "the policy would drop it");
    assert_eq!(page.matches("<script").count(), page.matches("<script type=\"module\" src=\"/page/").count());
}

#[test]
fn every_file_that_the_page_names_is_served_for_good() {
    let page = fetch("/").text().unwrap();
    let mut left: Vec<String> = quoted(&page, "href=\"/page/")
        .into_iter()
        .chain(quoted(&page, "src=\"/page/"))
        .map(|path| format!("/page/{path}"))
        .collect();
    let mut seen = BTreeSet::new();
    while let Some(route) = left.pop() {
        if !seen.insert(route.clone()) {
            continue;
        }
        let response = fetch(&route);
        assert_eq!(response.status(), 200, "{route}");
        assert_eq!(header(&response, "cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        let Some(script) = route.rsplit_once('/').filter(|_| route.ends_with(".js")) else { continue };
        assert_eq!(header(&response, "content-type"), "text/javascript; charset=utf-8");
        let text = response.text().unwrap();
        left.extend(quoted(&text, " from \"./").into_iter().map(|module| format!("{}/{module}", script.0)));
    }
    assert!(seen.iter().filter(|route| route.ends_with(".js")).count() > 10, "{seen:?}");
}

#[test]
fn files_of_another_version_are_not_found() {
    let page = fetch("/").text().unwrap();
    let script = quoted(&page, "src=\"/page/").into_iter().next().unwrap();
    let (version, path) = script.split_once('/').unwrap();
    assert_eq!(fetch(&format!("/page/{version}/{path}")).status(), 200);
    assert_eq!(fetch(&format!("/page/0000000000000000/{path}")).status(), 404);
}

#[test]
fn a_page_that_is_known_is_not_sent_again() {
    let tag = header(&fetch("/"), "etag").to_owned();
    let again = client().get(url("/")).header("if-none-match", &tag).send().unwrap();
    assert_eq!(again.status(), 304);
    assert_eq!(header(&again, "etag"), tag);
    assert_eq!(again.bytes().unwrap().len(), 0);
    assert_eq!(client().get(url("/")).header("if-none-match", "\"other\"").send().unwrap().status(), 200);
}

#[test]
fn the_page_travels_compressed() {
    let response = client().get(url("/")).header("accept-encoding", "gzip").send().unwrap();
    assert_eq!(header(&response, "content-encoding"), "gzip");
}
