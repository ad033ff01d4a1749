//! How the engine keeps embeddings and words: what is in memory, what is on disk, and when a graph is built.

use qdrant_edge::{
    Distance, EdgeConfig, EdgeOptimizersConfig, EdgeSparseVectorParams, EdgeVectorParams, HnswIndexConfig,
    Modifier, ScalarQuantizationConfig, ScalarType, VectorStorageDatatype,
};

use crate::catalogue::{
    engine_names::{LEXICAL, SEMANTIC},
    thoroughness::{EF_CONSTRUCT, LINKS, LOOK_UP_WORDS_BELOW, QUANTILE, SCAN_BELOW_KB},
};

/// Embeddings of a segment above which the engine builds a graph (HNSW, Malkov & Yashunin 2016), in kB of float16:
/// 10,000 listings of width 509. Below it a scan answers in milliseconds and is exact.
const GRAPH_ABOVE_KB: usize = 10_000;
/// No links of their own for the points of one category, price or place: they are built anew in every merge, and filters that
/// keep few are scanned.
const LINKS_WITHIN_A_FILTER: usize = 0;
/// Embeddings of one segment, in kB, above which segments are no longer merged. A search visits segments one after the
/// other, so few large ones answer sooner than many small ones.
const LARGEST_SEGMENT_KB: usize = 2_000_000;
/// Segments that merging aims at.
const SEGMENTS: usize = 2;

/// For embeddings of this width.
pub fn with_width(embedding_width: usize) -> EdgeConfig {
    let int8 = ScalarQuantizationConfig {
        r#type: ScalarType::Int8,
        quantile: Some(QUANTILE),
        always_ram: Some(true),
    };
    // Dot and not Cosine: embeddings have norm 1 already, and Cosine would normalise the stored ones once more, so that
    // what comes back is not what was stored. The graph compares in int8, in memory; the exact embeddings, which are
    // float16, are on disk and put in order what the graph found.
    let semantic = EdgeVectorParams::builder(embedding_width, Distance::Dot)
        .datatype(VectorStorageDatatype::Float16)
        .on_disk(true)
        .quantization_config(int8.into())
        .build();
    let lexical = EdgeSparseVectorParams::builder()
        .on_disk(true)
        .modifier(Modifier::Idf)
        .full_scan_threshold(LOOK_UP_WORDS_BELOW)
        .build();
    let graph = HnswIndexConfig {
        m: LINKS,
        ef_construct: EF_CONSTRUCT,
        full_scan_threshold: SCAN_BELOW_KB,
        max_indexing_threads: 0,
        on_disk: Some(false),
        payload_m: Some(LINKS_WITHIN_A_FILTER),
        inline_storage: None,
    };
    EdgeConfig::builder()
        .vector(SEMANTIC, semantic)
        .sparse_vector(LEXICAL, lexical)
        .hnsw_config(graph)
        .optimizers(EdgeOptimizersConfig {
            indexing_threshold: Some(GRAPH_ABOVE_KB),
            max_segment_size: Some(LARGEST_SEGMENT_KB),
            default_segment_number: Some(SEGMENTS),
            ..EdgeOptimizersConfig::default()
        })
        .build()
}
