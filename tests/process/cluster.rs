//! The server over a Qdrant that fails, and comes back:
//!
//!     QDRANT_URL=http://localhost:6334 cargo test --release --test process -- --ignored cluster

use std::{
    net::{SocketAddr, ToSocketAddrs},
    thread,
    time::{Duration, Instant},
};

use qdrant_client::{Qdrant, QdrantError};
use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    fault_proxy::{Fault, FaultProxy},
    program::{Server, client_that_waits, eventually},
};

/// Every fault that a read and a write must survive.
const FAULTS: [Fault; 4] =
    [Fault::Stopped, Fault::Stalled, Fault::Late(Duration::from_secs(5)), Fault::AnswersCut];
/// How long the server may take to notice that the cluster is back. Its circuit breaker rests for two seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server over a collection of its own, with a proxy between it and the cluster.
struct Shop {
    proxy: FaultProxy,
    server: Server,
    client: Client,
    collection: String,
    _data: TempDir,
}

fn qdrant() -> String {
    std::env::var("QDRANT_URL").expect("QDRANT_URL names the Qdrant to test against")
}

fn address(url: &str) -> SocketAddr {
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    host.to_socket_addrs().unwrap().next().unwrap()
}

/// The collection goes with the test.
impl Drop for Shop {
    fn drop(&mut self) {
        let forget = async {
            let node = Qdrant::from_url(&qdrant()).skip_compatibility_check().build()?;
            for found in node.list_collections().await?.collections {
                if found.name.starts_with(&self.collection) {
                    node.delete_collection(found.name).await?;
                }
            }
            Ok::<_, QdrantError>(())
        };
        if let Err(error) = Runtime::new().unwrap().block_on(forget) {
            eprintln!("{} stays behind: {error}", self.collection);
        }
    }
}

impl Shop {
    fn open() -> Self {
        Self::with_nodes(&[])
    }

    /// A server that knows the proxy as its first node, and these as further ones.
    fn with_nodes(others: &[SocketAddr]) -> Self {
        let proxy = FaultProxy::before(address(&qdrant()));
        let collection = format!("test_{}", uuid::Uuid::new_v4());
        let data = TempDir::new().unwrap();
        let nodes = [&[proxy.address], others].concat();
        let nodes: Vec<String> = nodes.iter().map(|node| format!("http://{node}")).collect();
        let server = Self::serve(&nodes.join(","), &collection, &data);
        let client = client_that_waits(PATIENCE);
        Self { proxy, server, client, collection, _data: data }
    }

    /// A server that asks these nodes and gives it half a second for each attempt.
    fn serve(nodes: &str, collection: &str, data: &TempDir) -> Server {
        let flags = ["--qdrant", nodes, "--qdrant-collection", collection, "--qdrant-timeout-ms", "500"];
        Server::start_with(data.path(), &[&flags[..], &["--cache-mb", "0"]].concat())
    }

    fn url(&self, route: &str) -> String {
        format!("http://{}{route}", self.server.address)
    }

    fn post(&self, route: &str, body: &Value) -> (u16, Value) {
        answer(self.client.post(self.url(route)).json(body).send().unwrap())
    }

    fn put(&self, id: &str) -> (u16, Value) {
        let product = json!({"title": format!("Oak table {id}"), "price": 40});
        answer(self.client.put(self.url(&format!("/v1/products/{id}"))).json(&product).send().unwrap())
    }

    fn get(&self, route: &str) -> (u16, Value) {
        answer(self.client.get(self.url(route)).send().unwrap())
    }

    fn search(&self) -> (u16, Value) {
        self.post("/v1/rank-products", &json!({"query": {"text": "oak table"}}))
    }

    /// Passes everything again, and waits until the server has noticed.
    fn recover(&self) {
        self.proxy.set(Fault::None);
        eventually(PATIENCE, "the server is ready again", || self.get("/health/ready").0 == 200);
    }
}

fn answer(response: Response) -> (u16, Value) {
    (response.status().as_u16(), response.json().unwrap())
}

#[test]
#[ignore = "needs a Qdrant: set QDRANT_URL"]
fn cluster_that_is_away_costs_what_needs_it_and_nothing_else_until_it_is_back() {
    let shop = Shop::open();
    assert_eq!(shop.put("table").0, 200);
    for fault in FAULTS {
        shop.proxy.set(fault);
        let start = Instant::now();
        for (status, problem) in [shop.search(), shop.put("chair"), shop.get("/health/ready")] {
            assert_eq!(status, 503, "{fault:?}: {problem}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("cluster does not answer"), "{fault:?}: {detail}");
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{fault:?}: {:?}", start.elapsed());
        let (status, predicted) = shop.post("/v1/predict-category", &json!({"title": "Raleigh road bike"}));
        assert_eq!((status, &predicted["category"]), (200, &json!("Sports, Leisure & Travel")), "{fault:?}");
        let candidates = json!([{"id": "a", "title": "Garden shed"}, {"id": "b", "title": "Racing bicycle"}]);
        let inline = json!({"query": {"text": "road bike"}, "candidates": candidates});
        let (status, ranked) = shop.post("/v1/rank-products", &inline);
        assert_eq!((status, &ranked["results"][0]["id"]), (200, &json!("b")), "{fault:?}");
        assert_eq!(shop.get("/health/live").0, 200);

        shop.recover();
        let (status, found) = shop.search();
        assert_eq!((status, &found["results"][0]["id"]), (200, &json!("table")), "{fault:?}: {found}");
    }
}

#[test]
#[ignore = "needs a Qdrant: set QDRANT_URL"]
fn cluster_with_a_node_away_is_asked_at_the_next_one() {
    let shop = Shop::with_nodes(&[FaultProxy::before(address(&qdrant())).address]);
    assert_eq!(shop.put("table").0, 200);
    for fault in FAULTS {
        shop.proxy.set(fault);
        for (status, answer) in [shop.search(), shop.put("chair"), shop.get("/health/ready")] {
            assert_eq!(status, 200, "{fault:?}: {answer}");
        }
        // The next fault must meet the server at the proxy again.
        shop.proxy.set(Fault::None);
    }
}

#[test]
#[ignore = "needs a Qdrant: set QDRANT_URL"]
fn cluster_that_answers_late_is_waited_for_within_the_timeout() {
    let shop = Shop::open();
    assert_eq!(shop.put("table").0, 200);
    shop.proxy.set(Fault::Late(Duration::from_millis(100)));
    let (status, found) = shop.search();
    assert_eq!((status, &found["results"][0]["id"]), (200, &json!("table")), "{found}");
}

#[test]
#[ignore = "needs a Qdrant: set QDRANT_URL"]
fn cluster_writes_that_are_acknowledged_while_it_fails_are_all_there() {
    let shop = Shop::open();
    let mut acknowledged = Vec::new();
    for round in 0..20 {
        thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|writer| {
                    let shop = &shop;
                    scope.spawn(move || {
                        let ids = (0..8).map(|number| format!("p-{round}-{writer}-{number}"));
                        ids.filter(|id| shop.put(id).0 == 200).collect::<Vec<_>>()
                    })
                })
                .collect();
            thread::sleep(Duration::from_millis(30));
            shop.proxy.set(FAULTS[round % FAULTS.len()]);
            thread::sleep(Duration::from_millis(200));
            shop.proxy.set(Fault::None);
            writers.into_iter().for_each(|writer| acknowledged.extend(writer.join().unwrap()));
        });
        shop.recover();
    }
    assert!(acknowledged.len() > 100, "only {} writes were acknowledged", acknowledged.len());

    // Another server, straight to the cluster: nothing of this one's memory helps it.
    let data = TempDir::new().unwrap();
    let other = Shop::serve(&qdrant(), &shop.collection, &data);
    for id in &acknowledged {
        let url = format!("http://{}/v1/products/{id}", other.address);
        let (status, product) = answer(shop.client.get(url).send().unwrap());
        assert_eq!((status, &product["title"]), (200, &json!(format!("Oak table {id}"))), "{id}");
    }
}
