//! Named tensors, and the files they come from and go to.
//!
//! [`read`] takes a published weight file (`.safetensors`, or `.pth` in any format `torch.save` ever wrote) to a
//! [`StateDict`]; [`write_safetensors`] is the way back; [`hub`] finds the file a command line names.

mod error;
mod float_encoding;
pub mod hub;
mod pytorch;
mod safetensors;
mod state_dict;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use self::safetensors::write_safetensors;
pub use error::WeightsError;
pub use state_dict::{HostTensor, StateDict, StateDictError};

/// Reads every float tensor of a weight file, as float32 in C order.
///
/// The format is told from the content, not from the name. Tensors of integers and booleans
/// (`num_batches_tracked`, `position_ids`) are counters and indices, not weights, and are left out.
///
/// # Errors
/// If the file cannot be read, is cut short, is of neither format, holds an encoding other than 16, 32 and 64-bit
/// floats, claims tensors larger than itself, or is a pickle naming anything but tensors and plain values.
pub fn read(path: &Path) -> Result<StateDict, WeightsError> {
    let weights = match opens_like_safetensors(path)? {
        true => safetensors::read(path)?,
        false => pytorch::read(path)?,
    };
    if weights.is_empty() {
        return Err(WeightsError::Empty { path: path.to_owned() });
    }
    Ok(weights)
}

/// Whether a file begins with a safetensors header: its length in eight bytes, then a JSON object.
///
/// A pickle can begin with any of the bytes a length can, but none has `{` in ninth place after a plausible length.
fn opens_like_safetensors(path: &Path) -> Result<bool, WeightsError> {
    const LONGEST_HEADER: u64 = 100_000_000;
    let mut opening = [0; 9];
    let mut file = File::open(path).map_err(|source| WeightsError::unreadable(path, source))?;
    match file.read_exact(&mut opening) {
        Ok(()) => {
            let [length @ .., brace] = opening;
            Ok(brace == b'{' && u64::from_le_bytes(length) <= LONGEST_HEADER)
        }
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(WeightsError::Unrecognised { path: path.to_owned() })
        }
        Err(source) => Err(WeightsError::unreadable(path, source)),
    }
}
