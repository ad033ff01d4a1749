//! Made-up weights: every value from the tensor's name and the element's index, so that no file is needed. The formula is
//! the one behind `reference/resnet50.json`.

use marketrank_train::weights::{HostTensor, StateDict};

/// Uniform in [-0.5, 0.5): a multiplicative hash (murmur3's finaliser) of the index, seeded with FNV-1a of the name.
pub fn uniform(name: &str, count: usize) -> impl Iterator<Item = f32> {
    let seed =
        name.bytes().fold(2_166_136_261_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
    (0..count as u32).map(move |index| {
        let mut x = index.wrapping_mul(2_654_435_761).wrapping_add(seed);
        x = (x ^ (x >> 16)).wrapping_mul(2_246_822_519);
        x = (x ^ (x >> 13)).wrapping_mul(3_266_489_917);
        x ^= x >> 16;
        (f64::from(x) / 4_294_967_296.0 - 0.5) as f32
    })
}

/// `scale * u + offset`.
pub fn filled(name: &str, shape: &[usize], scale: f32, offset: f32) -> HostTensor {
    let data = uniform(name, shape.iter().product()).map(|u| scale * u + offset).collect();
    HostTensor { shape: shape.to_vec(), data }
}

/// Adds layer `{prefix}.{index}` of an MLP.
pub fn insert_dense(weights: &mut StateDict, prefix: &str, index: usize, [inputs, outputs]: [usize; 2]) {
    let weight = format!("{prefix}.{index}.weight");
    let bias = format!("{prefix}.{index}.bias");
    let scale = 2.0 * (3.0 / inputs as f32).sqrt();
    weights.insert(weight.clone(), filled(&weight, &[inputs, outputs], scale, 0.0));
    weights.insert(bias.clone(), filled(&bias, &[outputs], 0.2, 0.0));
}

/// torchvision's ResNet-50.
pub fn resnet50() -> StateDict {
    let mut weights = StateDict::default();
    insert_convolution(&mut weights, "conv1", "bn1", [64, 3, 7]);
    let mut inputs = 64;
    for (layer, (blocks, width)) in [(3, 64), (4, 128), (6, 256), (3, 512)].into_iter().enumerate() {
        for block in 0..blocks {
            let name = |part: &str| format!("layer{}.{block}.{part}", layer + 1);
            insert_convolution(&mut weights, &name("conv1"), &name("bn1"), [width, inputs, 1]);
            insert_convolution(&mut weights, &name("conv2"), &name("bn2"), [width, width, 3]);
            insert_convolution(&mut weights, &name("conv3"), &name("bn3"), [4 * width, width, 1]);
            if block == 0 {
                let (shortcut, norm) = (name("downsample.0"), name("downsample.1"));
                insert_convolution(&mut weights, &shortcut, &norm, [4 * width, inputs, 1]);
            }
            inputs = 4 * width;
        }
    }
    let scale = 2.0 * (3.0_f32 / 2048.0).sqrt();
    weights.insert("fc.weight", filled("fc.weight", &[1000, 2048], scale, 0.0));
    weights.insert("fc.bias", filled("fc.bias", &[1000], 0.2, 0.0));
    weights
}

fn insert_convolution(weights: &mut StateDict, convolution: &str, norm: &str, shape: [usize; 3]) {
    let [outputs, inputs, kernel] = shape;
    let name = format!("{convolution}.weight");
    let scale = 2.0 * (6.0 / (inputs * kernel * kernel) as f32).sqrt();
    weights.insert(name.clone(), filled(&name, &[outputs, inputs, kernel, kernel], scale, 0.0));
    let (gain_scale, gain) = if norm.ends_with("bn3") { (0.2, 0.3) } else { (0.2, 0.8) };
    let parameters = [
        ("weight", gain_scale, gain),
        ("bias", 0.2, 0.0),
        ("running_mean", 0.2, 0.0),
        ("running_var", 1.0, 1.0),
    ];
    for (field, scale, offset) in parameters {
        let name = format!("{norm}.{field}");
        weights.insert(name.clone(), filled(&name, &[outputs], scale, offset));
    }
}

/// Word pieces of [`small_bert`].
pub const VOCABULARY: usize = 200;
/// Hidden width of [`small_bert`].
pub const WIDTH: usize = 8;

/// A BERT of one layer, 8 wide, with 200 word pieces and 12 positions.
pub fn small_bert() -> StateDict {
    let mut weights = StateDict::default();
    let mut insert = |name: &str, shape: &[usize], offset: f32| {
        weights.insert(name, filled(name, shape, 1.0, offset));
    };
    insert("embeddings.word_embeddings.weight", &[VOCABULARY, WIDTH], 0.0);
    insert("embeddings.position_embeddings.weight", &[12, WIDTH], 0.0);
    insert("embeddings.token_type_embeddings.weight", &[2, WIDTH], 0.0);
    for norm in ["embeddings", "encoder.layer.0.attention.output", "encoder.layer.0.output"] {
        insert(&format!("{norm}.LayerNorm.weight"), &[WIDTH], 1.0);
        insert(&format!("{norm}.LayerNorm.bias"), &[WIDTH], 0.0);
    }
    let layers = [
        ("attention.self.query", WIDTH, WIDTH),
        ("attention.self.key", WIDTH, WIDTH),
        ("attention.self.value", WIDTH, WIDTH),
        ("attention.output.dense", WIDTH, WIDTH),
        ("intermediate.dense", WIDTH, 16),
        ("output.dense", 16, WIDTH),
    ];
    for (layer, inputs, outputs) in layers {
        insert(&format!("encoder.layer.0.{layer}.weight"), &[outputs, inputs], 0.0);
        insert(&format!("encoder.layer.0.{layer}.bias"), &[outputs], 0.0);
    }
    weights
}
