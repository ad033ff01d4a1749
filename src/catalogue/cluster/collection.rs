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

/// Makes the collection and its indexes where they are missing, and checks the width of its embeddings.
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
}
