//! Runs dropout on many tensors in one pass, with canaries around each.

use core::ops::Range;

use wgpu_dropout::mask::mask_words;
use wgpu_dropout::{DropoutBinding, DropoutCall, Element, MaskLayout};

use crate::case::text;
use crate::common::{inputs, kinds};
use crate::gpu::Gpu;
use crate::image::{CANARY, Image, binding};

use crate::ranges::elements;

pub use crate::common::add::Source;
pub use crate::common::kinds::Direction;
pub use crate::ranges::Layout;

/// A layout of the ranges and a direction.
#[derive(Clone, Copy, Debug)]
pub struct Mode {
    pub layout: Layout,
    pub direction: Direction,
}

/// All layouts in both directions.
pub const MODES: [Mode; 6] = {
    use Direction::{Backward, Forward};
    use Layout::{InPlace, Pooled, Separate};
    [
        Mode::new(Separate, Forward),
        Mode::new(Separate, Backward),
        Mode::new(Pooled, Forward),
        Mode::new(Pooled, Backward),
        Mode::new(InPlace, Forward),
        Mode::new(InPlace, Backward),
    ]
};

impl Mode {
    pub const fn new(layout: Layout, direction: Direction) -> Self {
        Self { layout, direction }
    }

    /// Records `call`.
    pub fn encode(
        self,
        gpu: &Gpu,
        pass: &mut wgpu::ComputePass<'_>,
        binding: &DropoutBinding,
        call: &DropoutCall,
    ) -> Result<(), String> {
        match self.direction {
            Direction::Forward => gpu.dropout.encode_forward(pass, binding, call),
            Direction::Backward => gpu.dropout.encode_backward(pass, binding, call),
        }
        .map_err(text)
    }
}

/// A tensor, its call and the source of its decisions.
pub struct Item<T = f32> {
    pub call: DropoutCall,
    pub x: Vec<T>,
    pub source: Source,
}

impl Item {
    /// A tensor of ordinary values.
    pub fn new(call: DropoutCall, len: u64) -> Self {
        Self::of(call, inputs::values(len))
    }

    /// A tensor of ordinary values with a layout.
    pub fn of_layout(call: DropoutCall, layout: MaskLayout) -> Self {
        Self {
            call,
            x: inputs::values(layout.len()),
            source: Source::Layout(layout),
        }
    }

    /// A tensor of ordinary values with a layout and sample ids.
    pub fn of_samples(call: DropoutCall, layout: MaskLayout, ids: Vec<u32>) -> Self {
        Self {
            call,
            x: inputs::values(layout.len()),
            source: Source::Samples(layout, ids),
        }
    }
}

impl<T: Element> Item<T> {
    /// A tensor of these values with consecutive mask indices.
    pub fn of(call: DropoutCall, x: Vec<T>) -> Self {
        let source = Source::Len(x.len() as u64);
        Self { call, x, source }
    }

    /// The decision of each element, by the reference: true keeps it.
    pub fn kept(&self) -> Vec<bool> {
        self.source.kept(&self.call)
    }

    /// The values as words. The unused half behind an odd length holds half a canary.
    fn words(&self) -> Vec<u32> {
        let mut bytes = bytemuck::cast_slice::<T, u8>(&self.x).to_vec();
        if bytes.len() % 4 == 2 {
            bytes.extend(&CANARY.to_le_bytes()[2..]);
        }
        bytemuck::pod_collect_to_vec(&bytes)
    }
}

/// Runs all items in one pass and returns their results. An error if a byte around the tensors, or
/// of an input, changed.
pub fn dropout<T: Element>(
    gpu: &Gpu,
    mode: Mode,
    items: &[Item<T>],
) -> Result<Vec<Vec<T>>, String> {
    let mut data = Image::new(gpu);
    let inputs: Vec<_> = items.iter().map(|item| data.place(&item.words())).collect();
    let lens = || items.iter().map(|item| item.words().len() as u64);
    let separate = {
        let mut image = Image::new(gpu);
        let places: Vec<_> = lens().map(|len| image.place_for(len)).collect();
        (image, places)
    };
    let outputs = match mode.layout {
        Layout::Separate => separate.1.clone(),
        Layout::Pooled => lens().map(|len| data.place_for(len)).collect(),
        Layout::InPlace => inputs.clone(),
    };

    let mut side = Image::new(gpu);
    let sides: Vec<_> = items
        .iter()
        .map(|item| side.place(item.source.side()))
        .collect();

    let side_buffer = side.upload(gpu);
    let data_buffer = data.upload(gpu);
    let separate_buffer = separate.0.upload(gpu);
    let output_buffer = match mode.layout {
        Layout::Separate => &separate_buffer,
        Layout::Pooled | Layout::InPlace => &data_buffer,
    };
    gpu.submit(|pass| {
        for (i, item) in items.iter().enumerate() {
            let exact = i % 2 == 0;
            let input = binding(&data_buffer, &inputs[i], exact);
            let output = binding(output_buffer, &outputs[i], exact);
            let side = binding(&side_buffer, &sides[i], exact);
            let elements = elements(&item.source, side).of_type(T::TYPE);
            let bound = match mode.layout {
                Layout::InPlace => gpu.dropout.bind_in_place(output, elements),
                Layout::Separate | Layout::Pooled => gpu.dropout.bind(input, output, elements),
            };
            let bound = bound.map_err(text)?;
            mode.encode(gpu, pass, &bound, &item.call)?;
        }
        Ok(())
    })?;

    side.check_outside(&gpu.download(&side_buffer)?, &[])?;
    let after_data = gpu.download(&data_buffer)?;
    let after_separate = gpu.download(&separate_buffer)?;
    let (after, written_data, written_separate) = match mode.layout {
        Layout::Separate => (&after_separate, &[][..], &outputs[..]),
        Layout::Pooled | Layout::InPlace => (&after_data, &outputs[..], &[][..]),
    };
    data.check_outside(&after_data, written_data)?;
    separate
        .0
        .check_outside(&after_separate, written_separate)?;
    words_at(after, &outputs)
        .zip(items)
        .map(|(words, item)| {
            let elements: &[T] = bytemuck::cast_slice(words);
            let (elements, spare) = elements.split_at(item.x.len());
            let canary = &CANARY.to_le_bytes()[4 - size_of_val(spare)..];
            if bytemuck::cast_slice::<_, u8>(spare) != canary {
                return Err(format!("the spare half became {spare:?}"));
            }
            Ok(elements.to_vec())
        })
        .collect()
}

/// Runs all items and compares each result with the reference.
pub fn check_dropout<T: Element>(gpu: &Gpu, mode: Mode, items: &[Item<T>]) -> Result<(), String> {
    for (item, got) in items.iter().zip(dropout(gpu, mode, items)?) {
        kinds::check_elements(&item.call, mode.direction, &item.kept(), &item.x, &got)
            .map_err(|difference| format!("{mode:?}: {difference}; {:?}", item.source))?;
    }
    Ok(())
}

/// The packed masks of pairs of call and length, made in one pass.
pub fn masks(gpu: &Gpu, items: &[(DropoutCall, u64)]) -> Result<Vec<Vec<u32>>, String> {
    let linear = |&(call, len)| (call, MaskLayout::linear(len));
    layout_masks(gpu, &items.iter().map(linear).collect::<Vec<_>>())
}

/// Makes the packed masks and compares each with the reference.
pub fn check_masks(gpu: &Gpu, items: &[(DropoutCall, u64)]) -> Result<(), String> {
    for ((call, len), got) in items.iter().zip(masks(gpu, items)?) {
        inputs::check_mask(call, *len, &got)?;
    }
    Ok(())
}

/// The packed masks of layouts, made in one pass.
pub fn layout_masks(
    gpu: &Gpu,
    items: &[(DropoutCall, MaskLayout)],
) -> Result<Vec<Vec<u32>>, String> {
    let layouts = items.iter().map(|(call, layout)| (call, layout, None));
    packed_masks(gpu, &layouts.collect::<Vec<_>>())
}

/// The packed masks of samples with ids, made in one pass.
pub fn sample_masks(
    gpu: &Gpu,
    items: &[(DropoutCall, MaskLayout, Vec<u32>)],
) -> Result<Vec<Vec<u32>>, String> {
    let samples = items.iter();
    let samples = samples.map(|(call, layout, ids)| (call, layout, Some(&ids[..])));
    packed_masks(gpu, &samples.collect::<Vec<_>>())
}

fn packed_masks(
    gpu: &Gpu,
    items: &[(&DropoutCall, &MaskLayout, Option<&[u32]>)],
) -> Result<Vec<Vec<u32>>, String> {
    let (mut image, mut side) = (Image::new(gpu), Image::new(gpu));
    let places: Vec<_> = items
        .iter()
        .map(|(_, layout, _)| image.place_for(mask_words(layout.len())))
        .collect();
    let sides: Vec<_> = items
        .iter()
        .map(|(_, _, ids)| side.place(ids.unwrap_or_default()))
        .collect();
    let (buffer, side_buffer) = (image.upload(gpu), side.upload(gpu));
    gpu.submit(|pass| {
        for (i, (call, layout, ids)) in items.iter().enumerate() {
            let exact = i % 2 == 0;
            let mask = binding(&buffer, &places[i], exact);
            let bound = match ids {
                None => gpu.keep_mask.bind_layout(mask, layout),
                Some(_) => {
                    let ids = binding(&side_buffer, &sides[i], exact);
                    gpu.keep_mask.bind_samples(mask, layout, ids)
                }
            };
            let bound = bound.map_err(text)?;
            gpu.keep_mask.encode(pass, &bound, call).map_err(text)?;
        }
        Ok(())
    })?;
    let after = gpu.download(&buffer)?;
    image.check_outside(&after, &places)?;
    Ok(words_at(&after, &places).map(<[u32]>::to_vec).collect())
}

/// Checks that the bits of a result are 0 exactly where the packed mask of the call drops.
pub fn check_zeros(gpu: &Gpu, call: &DropoutCall, got: &[u32]) -> Result<(), String> {
    let words = masks(gpu, &[(*call, got.len() as u64)])?.remove(0);
    let kept = kinds::unpacked(&words, got.len());
    match (0..got.len()).find(|&element| (got[element] != 0) != kept[element]) {
        None => Ok(()),
        Some(element) => Err(format!("element {element} is {:#x}; {call}", got[element])),
    }
}

/// The blocks to make: first counter, key, number of blocks.
pub type Blocks = ([u32; 4], [u32; 2], u64);

/// The blocks of each item, made in one pass.
pub fn blocks(gpu: &Gpu, rounds: u32, items: &[Blocks]) -> Result<Vec<Vec<[u32; 4]>>, String> {
    let philox = gpu.philox(rounds);
    let mut image = Image::new(gpu);
    let places: Vec<_> = items
        .iter()
        .map(|&(_, _, len)| image.place_for(4 * len))
        .collect();
    let buffer = image.upload(gpu);
    gpu.submit(|pass| {
        for (i, (place, &(counter, key, len))) in places.iter().zip(items).enumerate() {
            let bound = philox.bind(binding(&buffer, place, i % 2 == 0), len);
            let bound = bound.map_err(text)?;
            philox.encode(pass, &bound, counter, key);
        }
        Ok(())
    })?;
    let after = gpu.download(&buffer)?;
    image.check_outside(&after, &places)?;
    Ok(words_at(&after, &places)
        .map(|words| bytemuck::cast_slice(words).to_vec())
        .collect())
}

fn words_at<'a>(words: &'a [u32], places: &'a [Range<usize>]) -> impl Iterator<Item = &'a [u32]> {
    places.iter().map(|place| &words[place.clone()])
}
