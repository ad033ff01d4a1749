//! The catalogue in a Qdrant server or cluster: the suite, where `QDRANT_URL` names one, and what is true where none is.
//!
//!     QDRANT_URL=http://localhost:6334 cargo test --release --test retrieval -- --ignored cluster

use std::{net::TcpListener, time::Duration};

use marketrank::catalogue::{
    Catalogue, CatalogueError, Filter, Index, Probe,
    cluster::{ClusterCatalogue, ClusterOptions},
};

use crate::{
    catalogue_suite::catalogue_suite,
    embedded::scratch,
    listings::{Dice, WIDTH, random_listings},
};

/// A collection of its own for each test.
pub struct Lent {
    pub catalogue: ClusterCatalogue,
}

impl Lent {
    pub async fn clear(self) {
        self.catalogue.destroy().await.unwrap();
    }
}

fn options(addresses: Vec<String>) -> ClusterOptions {
    ClusterOptions {
        addresses,
        api_key: std::env::var("QDRANT_API_KEY").ok().map(|key| key.parse().unwrap()),
        collection: format!("test_{}", uuid::Uuid::new_v4()),
        timeout: Duration::from_secs(10),
        shards: 1,
        replicas: 1,
        write_consistency: 1,
    }
}

fn qdrant() -> ClusterOptions {
    let addresses = std::env::var("QDRANT_URL").expect("QDRANT_URL names the nodes to test against");
    options(addresses.split(',').map(str::to_owned).collect())
}

async fn lent() -> Lent {
    Lent { catalogue: ClusterCatalogue::open(&qdrant(), WIDTH, "models 1").await.unwrap() }
}

catalogue_suite!(
    #[ignore = "needs a Qdrant: set QDRANT_URL"]
    lent
);

#[tokio::test]
#[ignore = "needs a Qdrant: set QDRANT_URL"]
async fn order_and_scores_are_those_of_the_embedded_engine() {
    let (embedded, cluster) = (scratch(), lent().await);
    let listings = random_listings(500, &mut Dice(40), Dice::direction);
    for batch in listings.chunks(50) {
        embedded.catalogue.upsert(batch.to_vec()).await.unwrap();
        cluster.catalogue.upsert(batch.to_vec()).await.unwrap();
    }
    let words = marketrank::catalogue::lexical::Terms::of_query("w1 w2 w3");
    for probe in [Probe::Meaning(Dice(41).direction()), Probe::Words(words)] {
        let expected = embedded.catalogue.search(&probe, &Filter::default(), 100).await.unwrap();
        let found = cluster.catalogue.search(&probe, &Filter::default(), 100).await.unwrap();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!((&found.id, found.facts), (&expected.id, expected.facts));
            assert!((found.score - expected.score).abs() < 1e-4, "{}: {}", found.id, found.score);
        }
    }
    cluster.clear().await;
}

#[tokio::test]
#[ignore = "needs a Qdrant: set QDRANT_URL"]
async fn a_collection_of_another_width_is_refused_naming_both() {
    let options = qdrant();
    let first = ClusterCatalogue::open(&options, WIDTH, "models 1").await.unwrap();
    let refused = ClusterCatalogue::open(&options, WIDTH + 1, "models 1").await;
    let Err(CatalogueError::Unusable(message)) = refused else { panic!("it was opened") };
    assert!(message.contains("width 16") && message.contains("17"), "{message}");
    first.destroy().await.unwrap();
}

#[tokio::test]
async fn a_cluster_that_is_down_is_unavailable_and_not_a_fault() {
    // A port that nobody listens on.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused =
        ClusterCatalogue::open(&options(vec![format!("http://{address}")]), WIDTH, "models 1").await;
    let Err(CatalogueError::Unavailable(message)) = refused else { panic!("it was opened") };
    assert!(message.contains("does not answer"), "{message}");
}

#[tokio::test]
async fn a_cluster_that_never_answers_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let impatient = ClusterOptions { timeout: Duration::from_millis(50), ..options(vec![address]) };
    let refused = ClusterCatalogue::open(&impatient, WIDTH, "models 1").await;
    assert!(matches!(refused, Err(CatalogueError::Unavailable(_))));
}

#[tokio::test]
async fn an_address_that_is_none_and_no_address_are_refused() {
    for addresses in [vec![], vec!["not an address".to_owned()]] {
        let refused = ClusterCatalogue::open(&options(addresses), WIDTH, "models 1").await;
        assert!(matches!(refused, Err(CatalogueError::Unusable(_))));
    }
}
