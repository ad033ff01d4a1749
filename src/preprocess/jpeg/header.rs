//! What stands before a baseline JPEG's scan (ITU T.81, annex B).

use super::{
    huffman::{Codes, Differences, Others},
    segments,
};

/// A baseline JPEG whose only scan comes next.
pub(super) struct Header {
    pub width: u32,
    pub height: u32,
    /// One of brightness, or three of brightness and colour.
    pub components: Vec<Component>,
    /// Units between two restart markers; none where there are no such markers.
    pub restart_interval: Option<u32>,
    /// Where the scan's data begins.
    pub data: usize,
    differences: [Option<Differences>; 4],
    others: [Option<Others>; 4],
}

/// One plane of the photo.
pub(super) struct Component {
    id: u8,
    /// Blocks in a unit, side by side and one below the other.
    pub across: u32,
    pub down: u32,
    quantiser: usize,
    /// What a block's mean is multiplied by.
    pub scale: i32,
    differences: usize,
    others: usize,
}

impl Header {
    /// None where it is another kind of JPEG, or a kind of baseline that cameras do not write.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut header = Self {
            width: 0,
            height: 0,
            components: Vec::new(),
            restart_interval: None,
            data: 0,
            differences: [const { None }; 4],
            others: [const { None }; 4],
        };
        let mut scales = [None; 4];
        for segment in segments(bytes) {
            let content = segment.content;
            match segment.marker {
                0xDB => read_quantisers(content, &mut scales)?,
                0xC4 => header.read_codes(content)?,
                // Baseline, and what differs from it only in larger quantisers and more tables.
                0xC0 | 0xC1 if header.components.is_empty() => header.read_frame(content)?,
                // Other frames, and arithmetic coding.
                0xC0..=0xCF => return None,
                0xDD => header.restart_interval = interval(content)?,
                // Adobe's, which may say that the planes are not of brightness and colour.
                0xEE => return None,
                0xDA => {
                    header.read_scan(content)?;
                    header.data = segment.end;
                    for component in &mut header.components {
                        component.scale = scales[component.quantiser]?;
                    }
                    return Some(header);
                }
                _ => {}
            }
        }
        None
    }

    /// The tables of a component.
    pub fn codes(&self, component: &Component) -> Option<(&Differences, &Others)> {
        Some((self.differences[component.differences].as_ref()?, self.others[component.others].as_ref()?))
    }

    fn read_codes(&mut self, mut content: &[u8]) -> Option<()> {
        while let Some((&[class_and_place], rest)) = content.split_first_chunk() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let count = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(count)?;
            let (codes, place) = (Codes::new(counts, symbols)?, usize::from(class_and_place & 15));
            match class_and_place >> 4 {
                0 => *self.differences.get_mut(place)? = Some(Differences::new(codes)?),
                1 => *self.others.get_mut(place)? = Some(Others::new(codes)),
                _ => return None,
            }
            content = rest;
        }
        Some(())
    }

    fn read_frame(&mut self, content: &[u8]) -> Option<()> {
        let (&[8, h1, h0, w1, w0, count], rest) = content.split_first_chunk()? else { return None };
        self.height = u32::from(u16::from_be_bytes([h1, h0]));
        self.width = u32::from(u16::from_be_bytes([w1, w0]));
        let (specified, []) = rest.as_chunks::<3>() else { return None };
        if !matches!(count, 1 | 3) || specified.len() != usize::from(count) {
            return None;
        }
        for &[id, sampling, quantiser] in specified {
            // A plane alone comes block by block, whatever it says of units (A.2.2).
            let (across, down) = if count == 1 { (1, 1) } else { (sampling >> 4, sampling & 15) };
            if !matches!((across, down), (1 | 2, 1 | 2)) || quantiser > 3 {
                return None;
            }
            let (across, down) = (u32::from(across), u32::from(down));
            let quantiser = usize::from(quantiser);
            self.components.push(Component {
                id,
                across,
                down,
                quantiser,
                scale: 0,
                differences: 0,
                others: 0,
            });
        }
        // Components that are called R, G and B are so, for libjpeg.
        let named = self.components.iter().map(|component| component.id).eq(*b"RGB");
        (self.width > 0 && self.height > 0 && !named).then_some(())
    }

    /// Only a scan of all components is whole by itself.
    fn read_scan(&mut self, content: &[u8]) -> Option<()> {
        let (&count, rest) = content.split_first()?;
        let (selected, [0, 63, 0]) = rest.split_at_checked(2 * usize::from(count))? else { return None };
        let (selected, _) = selected.as_chunks::<2>();
        if selected.is_empty() || selected.len() != self.components.len() {
            return None;
        }
        for (component, &[id, tables]) in self.components.iter_mut().zip(selected) {
            let (differences, others) = (usize::from(tables >> 4), usize::from(tables & 15));
            if component.id != id || differences > 3 || others > 3 {
                return None;
            }
            (component.differences, component.others) = (differences, others);
        }
        Some(())
    }
}

/// Of each table only what the mean is multiplied by is kept.
fn read_quantisers(mut content: &[u8], scales: &mut [Option<i32>; 4]) -> Option<()> {
    while let Some((&precision_and_place, rest)) = content.split_first() {
        let place = scales.get_mut(usize::from(precision_and_place & 15))?;
        let (scale, bytes) = match (precision_and_place >> 4, rest) {
            (0, [scale, ..]) => (i32::from(*scale), 64),
            (1, [high, low, ..]) => (i32::from(u16::from_be_bytes([*high, *low])), 128),
            _ => return None,
        };
        *place = Some(scale);
        content = rest.get(bytes..)?;
    }
    Some(())
}

fn interval(content: &[u8]) -> Option<Option<u32>> {
    let &[high, low] = content else { return None };
    Some(Some(u32::from(u16::from_be_bytes([high, low]))).filter(|&units| units > 0))
}
