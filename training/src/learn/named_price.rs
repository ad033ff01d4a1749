//! Which of the amounts that a text names is its price: a linear model of the words around each and of how far it is from what
//! the other words say ([`crate::onnx::amounts`]).
//!
//! The guess that it is trained beside must be as good as one of unseen listings, or the amounts would look worse than they
//! are: it is that of the words of other listings ([`super::word_price::WordPrice::unseen`]).

use burn::{
    module::{Module, Param},
    nn::{Linear, LinearConfig},
    tensor::{
        Device, Int, Tensor, TensorData,
        activation::{relu, softmax},
        module::embedding,
    },
};
use rand_chacha::ChaCha8Rng;

use super::{
    amounts::{Amount, PADDING, Pieces},
    fit::{Lesson, Score, shuffled_batches},
    heads,
};
use crate::{
    onnx::amounts::CONTEXT,
    weights::{HostTensor, StateDict},
};

/// Hidden units that see how far an amount is from the guess.
const DISTANCE_WIDTH: usize = 16;
/// What the scores of empty places are lowered by.
const NEVER: f32 = 1e9;
/// A price within a tenth of the true one is right.
const RIGHT: f32 = 0.1;
/// Shares of the residuals that lie under the band around a named price, and under its upper end.
const BAND: [f64; 2] = [0.1, 0.9];
/// No half width of the band is less, in log price.
const NARROWEST: f32 = 0.01;
/// Fewer prices have no 10 and 90 % quantiles.
const FEWEST: usize = 10;
/// A listing is priced by what its text names where the guess has less than this share.
const GUESSED: f32 = 0.5;

/// What each neighbour of an amount is worth at its place, and each distance from the guess.
#[derive(Module, Debug)]
pub struct NamedPrice {
    /// `[vocabulary * CONTEXT, 1]`
    context: Param<Tensor<2>>,
    distance: [Linear; 2],
}

/// A listing whose text names amounts, one at least.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedExample {
    pub amounts: Vec<Amount>,
    /// The log price that the rest of the model guesses.
    pub guess: f32,
    /// The known one.
    pub log_price: f32,
}

/// The price of listings whose texts name amounts.
pub struct NamedPriceLesson {
    pub train: Vec<NamedExample>,
    pub validation: Vec<NamedExample>,
    /// Of the vocabulary that the texts are made of.
    pub pieces: Pieces,
    pub device: Device,
    /// Names the examples.
    pub fingerprint: String,
}

/// What a model says of a listing.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Named {
    log_price: f32,
    /// The share of the guess in it, 0 to 1.
    of_guess: f32,
}

impl NamedPrice {
    /// No word counts yet.
    pub fn new(vocabulary: usize, device: &Device) -> Self {
        Self {
            context: Param::from_tensor(Tensor::zeros([vocabulary * CONTEXT, 1], device)),
            distance: [[1, DISTANCE_WIDTH], [DISTANCE_WIDTH, 1]]
                .map(|[inputs, outputs]| LinearConfig::new(inputs, outputs).init(device)),
        }
    }

    /// Log prices `[batch, 1]` and the share of the guess in each `[batch, 1]`.
    fn forward(&self, examples: &[&NamedExample], device: &Device) -> [Tensor<2>; 2] {
        let most = examples.iter().map(|example| example.amounts.len()).max().unwrap_or(0);
        let shape = [examples.len(), most];
        let amounts = |fill: &dyn Fn(&Amount) -> f32, empty: f32| -> Tensor<2> {
            let values = examples.iter().flat_map(|example| {
                let own = example.amounts.iter().map(fill);
                own.chain(std::iter::repeat(empty)).take(most)
            });
            Tensor::from_data(TensorData::new(values.collect::<Vec<f32>>(), shape), device)
        };
        let log_amounts = amounts(&|amount| amount.log, 0.0);
        let empty = amounts(&|_| 0.0, NEVER);
        let guesses: Vec<f32> = examples.iter().map(|example| example.guess).collect();
        let guesses = Tensor::<2>::from_data(TensorData::new(guesses, [examples.len(), 1]), device);

        let far = (log_amounts.clone() - guesses.clone()).reshape([examples.len() * most, 1]);
        let [first, second] = &self.distance;
        let by_distance = second.forward(relu(first.forward(far)));
        let scores = (by_distance + self.of_context(examples, most, device)).reshape(shape) - empty;
        let scores = Tensor::cat(vec![guesses.zeros_like(), scores], 1);
        let shares = softmax(scores, 1);
        let prices = Tensor::cat(vec![guesses, log_amounts], 1);
        [(shares.clone() * prices).sum_dim(1), shares.narrow(1, 0, 1)]
    }

    /// `[batch * most, 1]`
    fn of_context(&self, examples: &[&NamedExample], most: usize, device: &Device) -> Tensor<2> {
        let mut rows = Vec::with_capacity(examples.len() * most * CONTEXT);
        let mut is_text = Vec::with_capacity(rows.capacity());
        for example in examples {
            for number in 0..most {
                let context = example.amounts.get(number).map_or([PADDING; CONTEXT], |amount| amount.context);
                rows.extend(context.iter().zip(0..).map(|(&id, place)| id as i32 * CONTEXT as i32 + place));
                // What lies outside of a text is worth nothing: it is not there when the text stands alone.
                is_text.extend(context.iter().map(|&id| f32::from(u8::from(id != PADDING))));
            }
        }
        let shape = [examples.len() * most, CONTEXT];
        let rows = Tensor::<2, Int>::from_data(TensorData::new(rows, shape), device);
        let is_text = Tensor::<2>::from_data(TensorData::new(is_text, shape), device);
        let worth = embedding(self.context.val(), rows).squeeze_dim::<2>(2);
        (worth * is_text).sum_dim(1)
    }

    fn say(&self, examples: &[NamedExample], device: &Device) -> Vec<Named> {
        let examples: Vec<&NamedExample> = examples.iter().collect();
        let [prices, shares] = self
            .forward(&examples, device)
            .map(|column| column.into_data().iter::<f32>().collect::<Vec<_>>());
        let named = |(log_price, of_guess)| Named { log_price, of_guess };
        prices.into_iter().zip(shares).map(named).collect()
    }

    /// The tensors as the graph writer reads them; `band` as [`NamedPriceLesson::band`] has it.
    pub fn state_dict(&self, pieces: &Pieces, band: [f32; 2]) -> StateDict {
        let mut tensors = StateDict::default();
        for (number, layer) in self.distance.iter().enumerate() {
            heads::write(&mut tensors, &format!("amounts.distance.{number}"), layer, 1.0);
        }
        let context = heads::host(self.context.val());
        let shape = vec![context.data.len() / CONTEXT, CONTEXT];
        tensors.insert("amounts.context", HostTensor { shape, ..context });
        tensors.insert("amounts.pieces", pieces.tensor());
        tensors.insert("amounts.band", HostTensor { shape: vec![2], data: band.into() });
        tensors
    }
}

impl NamedPriceLesson {
    /// Whether there is something to learn and something to judge it by.
    pub fn has_examples(&self) -> bool {
        !self.train.is_empty() && !self.validation.is_empty()
    }

    /// The raw columns of the half widths around a named price that hold as many of the validation prices as they claim; none
    /// where there are too few of them to tell. The training listings' own words are known too well to.
    pub fn band(&self, model: &NamedPrice) -> Option<[f32; 2]> {
        let named = model.say(&self.validation, &self.device).into_iter().zip(&self.validation);
        let mut residuals: Vec<f32> = named
            .filter(|(named, _)| named.of_guess < GUESSED)
            .map(|(named, example)| example.log_price - named.log_price)
            .collect();
        if residuals.len() < FEWEST {
            return None;
        }
        residuals.sort_by(f32::total_cmp);
        let quantile = |share: f64| {
            let at = (residuals.len().saturating_sub(1) as f64 * share).round() as usize;
            residuals.get(at).copied().unwrap_or(0.0)
        };
        let [low, high] = BAND.map(quantile);
        // The inverse of the softplus.
        Some([-low, high].map(|width| width.max(NARROWEST).exp_m1().ln()))
    }
}

impl Lesson for NamedPriceLesson {
    type Network = NamedPrice;

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn batches(&self, size: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        shuffled_batches(self.train.len(), size, rng)
    }

    /// The mean absolute error, which the median makes least.
    fn loss(&self, network: &NamedPrice, batch: &[usize], _rng: &mut ChaCha8Rng) -> Tensor<1> {
        let device = self.device.clone().autodiff();
        let examples: Vec<&NamedExample> = batch.iter().map(|&index| &self.train[index]).collect();
        let known: Vec<f32> = examples.iter().map(|example| example.log_price).collect();
        let known = Tensor::<2>::from_data(TensorData::new(known, [examples.len(), 1]), &device);
        let [prices, _] = network.forward(&examples, &device);
        (prices - known).abs().mean()
    }

    fn validate(&self, network: &NamedPrice) -> Score {
        let named = network.say(&self.validation, &self.device);
        let errors: Vec<f32> = named
            .iter()
            .zip(&self.validation)
            .map(|(said, known)| (said.log_price - known.log_price).abs())
            .collect();
        let count = errors.len().max(1) as f64;
        let right = errors.iter().filter(|&&error| error < RIGHT).count();
        Score {
            loss: errors.iter().map(|&error| f64::from(error)).sum::<f64>() / count,
            accuracy: right as f64 / count,
        }
    }
}
