use half::{bf16, f16};

/// How a weight file stores a float. All are little-endian.
#[derive(Debug, Clone, Copy)]
pub(super) enum FloatEncoding {
    F16,
    Bf16,
    F32,
    F64,
}

impl FloatEncoding {
    /// The values of a run of encoded floats, rounded to float32.
    pub(super) fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F16 => decode(bytes, |value| f16::from_le_bytes(value).to_f32()),
            Self::Bf16 => decode(bytes, |value| bf16::from_le_bytes(value).to_f32()),
            Self::F32 => decode(bytes, f32::from_le_bytes),
            Self::F64 => decode(bytes, |value| f64::from_le_bytes(value) as f32),
        }
    }
}

fn decode<const WIDTH: usize>(bytes: &[u8], value: impl Fn([u8; WIDTH]) -> f32) -> Vec<f32> {
    let (values, _) = bytes.as_chunks::<WIDTH>();
    values.iter().copied().map(value).collect()
}
