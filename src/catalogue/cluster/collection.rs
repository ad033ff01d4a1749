//! The collection: one for each space of embeddings, made by whichever server comes first.

use qdrant_client::qdrant::{
    CollectionInfo, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder, Datatype, Distance,
    FieldType, HnswConfigDiffBuilder, Modifier, ScalarQuantizationBuilder, SparseIndexConfigBuilder,
    SparseVectorParamsBuilder, SparseVectorsConfigBuilder, VectorParamsBuilder, VectorsConfigBuilder,
    vectors_config,
};

use super::{
    ClusterOptions,
    nodes::Nodes,
    point::{CATEGORY, LISTED_AT, PLACE, PRICE},
};
use crate::catalogue::{
    CatalogueError,
    engine_names::{LEXICAL, SEMANTIC},
    thoroughness::{EF_CONSTRUCT, LINKS, LOOK_UP_WORDS_BELOW, QUANTILE, SCAN_BELOW_KB},
};

/// Embeddings of different models cannot be compared, so they never lie in one collection: a server with new models has
/// a collection of its own, which can be filled while the servers with the old ones go on serving theirs.
pub fn name(prefix: &str, space: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    format!("{prefix}_{}", space.chars().map(plain).collect::<String>())
}

/// Makes the collection and its indexes where they are missing, and checks the width of its embeddings. One that was made with
/// fewer shards or copies than the options ask is served as it is, with a warning.
///
/// # Errors
/// [`CatalogueError::Unusable`] if the collection there is another one; as [`Nodes::ask`].
pub async fn ensure(
    nodes: &Nodes,
    name: &str,
    embedding_width: usize,
    options: &ClusterOptions,
) -> Result<(), CatalogueError> {
    let exists = || nodes.ask(name.to_owned(), |node, name| Box::pin(node.collection_exists(name)));
    if !exists().await? {
        let created = nodes.ask(layout(name, embedding_width, options), |node, layout| {
            Box::pin(node.create_collection(layout))
        });
        // Another server may have been faster.
        if let Err(error) = created.await
            && !exists().await?
        {
            return Err(error);
        }
    }
    let found = nodes.ask(name.to_owned(), |node, name| Box::pin(node.collection_info(name))).await?;
    check_width(name, found.result.as_ref(), embedding_width)?;
    for shortage in found.result.iter().flat_map(|found| shortages(found, options)) {
        tracing::warn!(
            collection = name,
            "{shortage}, as it was made; give another --qdrant-collection and copy into that"
        );
    }
    for (field, kind) in [
        (CATEGORY, FieldType::Keyword),
        (PRICE, FieldType::Float),
        (LISTED_AT, FieldType::Integer),
        (PLACE, FieldType::Geo),
    ] {
        let index = CreateFieldIndexCollectionBuilder::new(name, field, kind).wait(true);
        nodes.ask(index, |node, index| Box::pin(node.create_field_index(index))).await?;
    }
    Ok(())
}

/// As the embedded engine keeps them, and with the same graph: exact embeddings, which are float16, on disk, int8 copies in
/// memory.
fn layout(name: &str, embedding_width: usize, options: &ClusterOptions) -> CreateCollectionBuilder {
    let mut vectors = VectorsConfigBuilder::default();
    let int8 = ScalarQuantizationBuilder::default().quantile(QUANTILE).always_ram(true);
    vectors.add_named_vector_params(
        SEMANTIC,
        VectorParamsBuilder::new(embedding_width as u64, Distance::Dot)
            .datatype(Datatype::Float16)
            .on_disk(true)
            .quantization_config(int8),
    );
    let graph = HnswConfigDiffBuilder::default()
        .m(LINKS as u64)
        .ef_construct(EF_CONSTRUCT as u64)
        .full_scan_threshold(SCAN_BELOW_KB as u64);
    let words = SparseIndexConfigBuilder::default().full_scan_threshold(LOOK_UP_WORDS_BELOW as u64);
    let mut sparse = SparseVectorsConfigBuilder::default();
    sparse.add_named_vector_params(
        LEXICAL,
        SparseVectorParamsBuilder::default().modifier(Modifier::Idf).index(words),
    );
    CreateCollectionBuilder::new(name)
        .vectors_config(vectors)
        .hnsw_config(graph)
        .sparse_vectors_config(sparse)
        .on_disk_payload(true)
        .shard_number(options.shards)
        .replication_factor(options.replicas)
        .write_consistency_factor(options.write_consistency)
}

fn check_width(
    name: &str,
    found: Option<&CollectionInfo>,
    embedding_width: usize,
) -> Result<(), CatalogueError> {
    let width = found.and_then(width_of);
    if width == Some(embedding_width as u64) {
        return Ok(());
    }
    let width = width.map_or("none".to_owned(), |width| width.to_string());
    Err(CatalogueError::Unusable(format!(
        "the embeddings of the collection {name} have width {width}, those of the models {embedding_width}; give \
         another --qdrant-collection, or remove this one"
    )))
}

/// Of what the collection has less than is asked. More is no surprise: a server need not repeat what the import was given.
fn shortages(found: &CollectionInfo, options: &ClusterOptions) -> Vec<String> {
    let Some(params) = found.config.as_ref().and_then(|config| config.params.as_ref()) else {
        return Vec::new();
    };
    [
        ("--qdrant-shards", options.shards, Some(params.shard_number)),
        ("--qdrant-replicas", options.replicas, params.replication_factor),
        ("--qdrant-write-consistency", options.write_consistency, params.write_consistency_factor),
    ]
    .into_iter()
    .filter_map(|(flag, asked, has)| {
        let has = has.filter(|&has| has < asked)?;
        Some(format!("{flag} asks for {asked}, and the collection has {has}"))
    })
    .collect()
}

fn width_of(info: &CollectionInfo) -> Option<u64> {
    let vectors = info.config.as_ref()?.params.as_ref()?.vectors_config.as_ref()?;
    match vectors.config.as_ref()? {
        vectors_config::Config::ParamsMap(named) => Some(named.map.get(SEMANTIC)?.size),
        vectors_config::Config::Params(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use qdrant_client::qdrant::{
        CollectionConfig, CollectionParams, VectorParams, VectorParamsMap, VectorsConfig,
    };

    use super::*;

    /// What a cluster says of a collection with one named vector.
    fn described(vector: &str, size: u64) -> CollectionInfo {
        let map = HashMap::from([(vector.to_owned(), VectorParams { size, ..VectorParams::default() })]);
        let vectors_config =
            VectorsConfig { config: Some(vectors_config::Config::ParamsMap(VectorParamsMap { map })) };
        let params = CollectionParams { vectors_config: Some(vectors_config), ..CollectionParams::default() };
        let config = CollectionConfig { params: Some(params), ..CollectionConfig::default() };
        CollectionInfo { config: Some(config), ..CollectionInfo::default() }
    }

    #[test]
    fn a_collection_of_another_width_or_of_somebody_else_is_refused_naming_both_widths() {
        check_width("listings", Some(&described(SEMANTIC, 384)), 384).unwrap();
        for (found, width) in
            [(Some(described(SEMANTIC, 512)), "512"), (Some(described("image", 384)), "none"), (None, "none")]
        {
            let refused = check_width("listings", found.as_ref(), 384);
            let Err(CatalogueError::Unusable(message)) = refused else { panic!("it was accepted") };
            assert!(message.contains(width) && message.contains("384"), "{message}");
        }
    }

    #[test]
    fn what_a_collection_has_less_of_than_is_asked_is_named_with_both_numbers() {
        let mut found = described(SEMANTIC, 384);
        let params = found.config.as_mut().and_then(|config| config.params.as_mut()).unwrap();
        (params.shard_number, params.replication_factor, params.write_consistency_factor) =
            (1, Some(2), None);
        let asks = |shards, replicas, write_consistency| ClusterOptions {
            addresses: Vec::new(),
            api_key: None,
            collection: "listings".into(),
            timeout: std::time::Duration::ZERO,
            shards,
            replicas,
            write_consistency,
        };
        assert_eq!(shortages(&found, &asks(1, 1, 1)), [""; 0]);
        let missing = shortages(&found, &asks(3, 4, 2));
        let [shards, replicas] = &missing[..] else { panic!("{missing:?}") };
        assert!(shards.contains("--qdrant-shards asks for 3") && shards.contains("has 1"), "{shards}");
        assert!(
            replicas.contains("--qdrant-replicas asks for 4") && replicas.contains("has 2"),
            "{replicas}"
        );
    }
}
