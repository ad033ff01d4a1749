//! The pretrained networks under the heads.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use clap::{Args, ValueEnum};
use marketrank::artefacts::sha256_of_file;

use super::run::{Model, backbone_file};
use crate::{
    networks::{ResNet50, UpperBlocks, bert::BertConfig},
    onnx::{BertArchitecture, ImageBackbone, TextBackbone},
    weights::{
        self, StateDict,
        hub::{Hub, WeightsSource},
    },
};

/// In the place of a weight file: none.
const RANDOM: &str = "random";

/// Where the pretrained weights are.
#[derive(Debug, Clone, Args)]
pub struct WeightsArgs {
    /// The photo network. Give the weights of that network too
    #[arg(long, value_enum, default_value = "efficientnet_lite2")]
    pub image_backbone: PhotoArchitecture,

    /// Weights of the photo network: a file, or a model of the Hugging Face hub such as `timm/resnet50.a1_in1k`
    #[arg(
        long,
        env = "MARKETRANK_IMAGE_WEIGHTS",
        default_value = ".cache/weights/efficientnet_lite2.pth",
        value_name = "PATH|HUB ID"
    )]
    pub image_weights: WeightsSource,

    /// Weights of the text network, any `BertModel` with its config.json and tokenizer.json: a folder or a model of the
    /// Hugging Face hub
    #[arg(
        long,
        env = "MARKETRANK_TEXT_WEIGHTS",
        default_value = ".cache/weights/minilm",
        value_name = "PATH|HUB ID"
    )]
    pub text_weights: WeightsSource,

    /// The hub, or a mirror of it
    #[arg(long, default_value = "https://huggingface.co", value_name = "URL")]
    pub hub: String,

    /// Files of the hub are kept here
    #[arg(long, default_value = ".cache/hub", value_name = "FOLDER")]
    pub hub_cache: PathBuf,
}

/// Networks for photos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum PhotoArchitecture {
    EfficientnetLite2,
    Resnet50,
}

/// The photo network's weights.
pub struct PhotoNetwork {
    architecture: PhotoArchitecture,
    weights: StateDict,
    /// Hash of the weight file.
    pub sha256: String,
}

/// The text network's weights, its architecture, and the tokenizer it was trained with.
pub struct TextNetwork {
    weights: StateDict,
    architecture: BertArchitecture,
    pub config: BertConfig,
    pub tokenizer: PathBuf,
    /// Hash of the weight file.
    pub sha256: String,
}

impl WeightsArgs {
    pub fn photo_network(&self) -> Result<PhotoNetwork> {
        let files = self.image_weights.locate(&[], &self.hub())?;
        let (weights, sha256) = read(&files.weights)?;
        Ok(PhotoNetwork { architecture: self.image_backbone, weights, sha256 })
    }

    pub fn text_network(&self) -> Result<TextNetwork> {
        let files = self.text_weights.locate(&["config.json", "tokenizer.json"], &self.hub())?;
        let config = BertConfig::read(&files.beside("config.json"))?;
        let (weights, sha256) = read(&files.weights)?;
        let network = TextNetwork {
            weights,
            architecture: BertArchitecture {
                layers: config.layers,
                heads: config.heads,
                layer_norm_epsilon: config.layer_norm_eps as f32,
            },
            config,
            tokenizer: files.beside("tokenizer.json"),
            sha256,
        };
        network.ensure_no_layer_is_left_over(&files.weights)?;
        Ok(network)
    }

    /// ResNet-50, with random weights of this seed where no others are given.
    ///
    /// # Errors
    /// The weights cannot be read, or are meant for another network.
    pub fn resnet50(&self, seed: u64) -> Result<PhotoNetwork> {
        ensure!(
            self.image_backbone == PhotoArchitecture::Resnet50,
            "this trains ResNet-50: add --image-backbone resnet50 and its --image-weights (`{RANDOM}` for none)"
        );
        if self.image_weights != WeightsSource::Path(RANDOM.into()) {
            return self.photo_network();
        }
        let device = Device::flex();
        device.seed(seed);
        Ok(PhotoNetwork {
            architecture: self.image_backbone,
            weights: ResNet50::new(1, &device).state_dict(),
            sha256: format!("{RANDOM} {seed}"),
        })
    }

    fn hub(&self) -> Hub {
        Hub { endpoint: self.hub.clone(), cache: self.hub_cache.clone() }
    }
}

impl PhotoNetwork {
    /// The same network with the weights that `train image` left.
    ///
    /// # Errors
    /// The image model was not trained yet.
    pub fn trained(self, runs: &Path) -> Result<Self> {
        let (weights, sha256) = read(&backbone_file(runs, Model::Image)?)?;
        Ok(Self { weights, sha256, ..self })
    }

    pub fn weights(&self) -> &StateDict {
        &self.weights
    }

    /// The part that is trained on the maps of the rest, with these weights of the whole network; none of ResNet-50, see
    /// [`crate::onnx::backbone::write_frozen_part`].
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn upper_blocks(&self, weights: &StateDict, device: &Device) -> Result<Option<UpperBlocks>> {
        Ok(match self.architecture {
            PhotoArchitecture::EfficientnetLite2 => Some(UpperBlocks::load(weights, device)?),
            PhotoArchitecture::Resnet50 => None,
        })
    }

    pub fn backbone(&self) -> ImageBackbone<'_> {
        match self.architecture {
            PhotoArchitecture::EfficientnetLite2 => ImageBackbone::EfficientNetLite2(&self.weights),
            PhotoArchitecture::Resnet50 => ImageBackbone::ResNet50(&self.weights),
        }
    }
}

/// Weights of a file, and its hash.
fn read(path: &Path) -> Result<(StateDict, String)> {
    let sha256 = sha256_of_file(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok((weights::read(path)?, sha256))
}

impl TextNetwork {
    /// The same network with the weights that `train text` left.
    ///
    /// # Errors
    /// The text model was not trained yet, or from a network of more layers.
    pub fn trained(self, runs: &Path) -> Result<Self> {
        let file = backbone_file(runs, Model::Text)?;
        let (weights, sha256) = read(&file)?;
        let network = Self { weights, sha256, ..self };
        network.ensure_no_layer_is_left_over(&file)?;
        Ok(network)
    }

    /// The layers of the config are read by name, so that those of a deeper network would be cut off without a word.
    fn ensure_no_layer_is_left_over(&self, file: &Path) -> Result<()> {
        let layers = self.config.layers;
        let surplus = format!("encoder.layer.{layers}.");
        ensure!(
            !self.weights.iter().any(|(name, _)| name.contains(&surplus)),
            "{} holds a network of more than the {layers} layers that the config.json of the text network names; give the \
             --text-weights that it was made from",
            file.display()
        );
        Ok(())
    }

    /// The name in the manifest: how many layers of which width.
    pub fn name(&self) -> Result<String> {
        Ok(format!("bert-l{}-h{}", self.architecture.layers, self.backbone().features()?))
    }

    pub fn weights(&self) -> &StateDict {
        &self.weights
    }

    pub fn backbone(&self) -> TextBackbone<'_> {
        TextBackbone { architecture: self.architecture, weights: &self.weights }
    }
}
