//! An RGB image as a tensor, and the layouts of its mask.

use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;
use wgpu_dropout::{LayoutError, MaskLayout};

/// Elements of a pixel: red, green and blue.
const CHANNELS: u64 = 3;

/// Tiles along each side of an image, if the image stands for a batch of tiles.
const TILES: u64 = 8;

/// The longest side in pixels. The loss's kernel takes one dispatch, of at most 65,535 workgroups
/// of 256 elements.
const MAX_SIDE: u32 = 2048;

/// The kind of dropout, which decides how the layer sees the image.
#[wasm_bindgen]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The image is a list of numbers, each with a decision.
    Elementwise,
    /// The image is a batch of tiles with three feature maps each. Each map has a decision.
    Feature,
    /// The image is a sequence of rows. Each number of a row has a decision, the same in all rows.
    TimeLocked,
    /// The image is a batch of tiles, each with one decision.
    Path,
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ImageError {
    #[error("an image of {columns} x {rows} pixels is too large: take at most {MAX_SIDE} per side")]
    Side { rows: u32, columns: u32 },
    #[error(
        "{columns} x {rows} pixels cannot be cut into {TILES} x {TILES} tiles: take multiples of \
         {TILES}"
    )]
    Tiles { rows: u32, columns: u32 },
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error("the image has {got} numbers, the layer takes {required}: give three per pixel")]
    Length { got: usize, required: u64 },
}

/// The mask layout of an image for a kind of dropout. Pixels lie row by row.
pub fn layout(rows: u32, columns: u32, kind: Kind) -> Result<MaskLayout, ImageError> {
    if rows.max(columns) > MAX_SIDE {
        return Err(ImageError::Side { rows, columns });
    }
    let (height, width) = (u64::from(rows), u64::from(columns));
    // Tiles are a view of the image; its elements stay where they are.
    let tiles = |noise: [Option<u64>; 5]| {
        if !height.is_multiple_of(TILES) || !width.is_multiple_of(TILES) {
            return Err(ImageError::Tiles { rows, columns });
        }
        let shape = [TILES, height / TILES, TILES, width / TILES, CHANNELS];
        Ok(MaskLayout::noise_shape(&shape, &noise)?)
    };
    match kind {
        Kind::Elementwise => Ok(MaskLayout::elementwise(&[height, width, CHANNELS])?),
        Kind::Feature => tiles([None, Some(1), None, Some(1), None]),
        Kind::TimeLocked => {
            let sequence = [1, height, width, CHANNELS];
            Ok(MaskLayout::time_locked_batch_first(&sequence)?)
        }
        Kind::Path => tiles([None, Some(1), None, Some(1), Some(1)]),
    }
}

/// The layout as options of the command line, which then makes the same mask.
#[wasm_bindgen(js_name = layoutArguments)]
pub fn layout_arguments(rows: u32, columns: u32, kind: Kind) -> Result<String, JsError> {
    let layout = layout(rows, columns, kind)?;
    let list = |numbers: &[u64]| {
        let words: Vec<_> = numbers.iter().map(u64::to_string).collect();
        words.join(",")
    };
    let (shape, strides) = (list(layout.shape()), list(layout.strides()));
    Ok(format!("--shape {shape} --mask-strides {strides}"))
}

/// Checks that `image` has an element for each of the layout.
pub fn check_length(image: &[f32], layout: &MaskLayout) -> Result<(), ImageError> {
    let (got, required) = (image.len(), layout.len());
    if got as u64 == required {
        Ok(())
    } else {
        Err(ImageError::Length { got, required })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of decisions, and the mask indices of the first pixel, of its right and its lower
    /// neighbour, and of the first pixel of the second tile.
    fn indices(kind: Kind) -> (u64, [[u64; 3]; 4]) {
        let layout = layout(16, 32, kind).unwrap();
        let pixel = |row: u64, column: u64| {
            let first = (row * 32 + column) * CHANNELS;
            [0, 1, 2].map(|channel| layout.index(first + channel))
        };
        let decisions = layout.last_index().unwrap() + 1;
        let pixels = [pixel(0, 0), pixel(0, 1), pixel(1, 0), pixel(0, 4)];
        (decisions, pixels)
    }

    #[test]
    fn kinds_share_decisions_as_they_say() {
        let consecutive = |first: u64| [first, first + 1, first + 2];
        assert_eq!(
            indices(Kind::Elementwise),
            (16 * 32 * 3, [0, 3, 96, 12].map(consecutive))
        );
        assert_eq!(
            indices(Kind::Feature),
            (64 * 3, [0, 0, 0, 3].map(consecutive))
        );
        assert_eq!(
            indices(Kind::TimeLocked),
            (32 * 3, [0, 3, 0, 12].map(consecutive))
        );
        assert_eq!(indices(Kind::Path), (64, [[0; 3], [0; 3], [0; 3], [1; 3]]));
    }

    #[test]
    fn what_is_no_batch_of_tiles_is_refused_where_tiles_are_meant() {
        let (rows, columns) = (16, 20);
        assert!(layout(rows, columns, Kind::Elementwise).is_ok());
        assert_eq!(
            layout(rows, columns, Kind::Path),
            Err(ImageError::Tiles { rows, columns })
        );
        let (rows, columns) = (MAX_SIDE + 8, 8);
        assert_eq!(
            layout(rows, columns, Kind::Elementwise),
            Err(ImageError::Side { rows, columns })
        );
    }
}
