//! The checks of norms and of softmaxes share this: tensors of rows, and the limits of what a run may write.

use core::fmt::Display;

use super::Failure;
use super::columns::{one, sources};
use super::kernels::rate;
use super::random::Random;
use super::reference::{Expected, Uniforms, bits, decode, encode};
use super::run::canary;
use super::work::{MARGIN_WORDS, Source};
use crate::kernel::activated::Decide;
use crate::{DropoutCall, DropoutKind, ElementType, MaskKey};

pub(super) const EPSILON: f64 = f32::EPSILON as f64;
/// The number of additions: 32 words or 64 elements of an invocation, and then the sums of the
/// invocations.
pub(super) const ADDITIONS: f64 = 80.0;

/// Tensors of one shape.
pub(super) struct Rows {
    pub element: ElementType,
    pub source: Source,
    pub columns: u32,
    pub call: DropoutCall,
    /// True if limits are lowered, so that each dispatch takes a part of the rows.
    pub is_cut: bool,
}

/// The numbers of the cases, and the features that each leaves unused. A long audit takes all
/// `count`; `of_ways` is also run without the features by which a kernel has several ways.
pub(super) fn numbers(
    long: bool,
    [count, of_ways]: [usize; 2],
    short: &[usize],
    features: wgpu::Features,
) -> Vec<(usize, wgpu::Features)> {
    let all: Vec<_> = (0..count).collect();
    let chosen = if long { &all } else { short };
    let ways = wgpu::Features::SHADER_INT64 | wgpu::Features::IMMEDIATES;
    let none = wgpu::Features::empty();
    let mut numbers: Vec<_> = chosen.iter().map(|number| (*number, none)).collect();
    if features.intersects(ways) {
        numbers.push((of_ways, features & ways));
    }
    numbers
}

impl Rows {
    /// The type follows from `number` alone. `long_rows` is the number of rows of 9,008 columns,
    /// and `samples` that of the sources other than consecutive elements.
    pub fn new(
        number: usize,
        decide: Decide,
        [long_rows, samples]: [u64; 2],
        random: &mut Random,
    ) -> Result<Self, Failure> {
        let is_cut = number % 5 < 3;
        let (source, columns) = match decide {
            // Several invocations share a row of 776 columns. A row of 9008 has more than 256 mask
            // words, so its workgroup draws decisions twice.
            Decide::Linear if number.is_multiple_of(2) => (Source::Linear(18 * 776), 776),
            Decide::Linear => (Source::Linear(long_rows * 9008), 9008),
            decide => {
                let [_, packed, row_ids, rows, run_ids, runs, _, any] = sources(samples)?;
                let chosen = match decide {
                    Decide::BySide => [packed, row_ids, run_ids],
                    _ => [rows, runs, any],
                };
                let columns = if is_cut { 43 } else { 129 };
                (chosen[random.below(3) as usize].clone(), columns)
            }
        };
        let key = MaskKey::new(random.next(), random.next());
        let drop_threshold = random.between(1 << 29, 7 << 29) * u64::from(number % 13 != 12);
        let kinds = [DropoutKind::Inverted, DropoutKind::Classic];
        let call = DropoutCall::new(rate(drop_threshold), key)
            .with_origin(random.below(1 << 60))
            .with_kind(kinds[usize::from(number % 7 == 6)]);
        Ok(Self {
            element: ElementType::ALL[number % 3],
            source,
            columns,
            call,
            is_cut,
        })
    }

    /// The content of a range with a margin after it. `number` makes an element of a row.
    pub fn range(&self, random: &mut Random, number: impl Fn(u64, &mut Random) -> f32) -> Vec<u32> {
        let bytes = self.element.bytes();
        let words = (0..(self.source.len() * bytes).div_ceil(4)).map(|word| {
            let row = 4 * word / bytes / u64::from(self.columns);
            let mut bits = || encode(self.element, number(row, random));
            match bytes {
                4 => bits(),
                _ => bits() | bits() << 16,
            }
        });
        words.chain((0..MARGIN_WORDS).map(canary)).collect()
    }

    /// Numbers of the magnitude of 1, with `mean`.
    pub fn about(&self, mean: f32, random: &mut Random) -> Vec<u32> {
        self.range(random, |_, random| mean + one(random))
    }

    /// The lowered limit lets a dispatch take 128 rows. They have whole tiles of columns, and in
    /// bytes they are a multiple of any device's alignment.
    pub fn granules(&self, device: &wgpu::Device) -> u64 {
        let part_bytes = 128 * u64::from(self.columns) * self.element.bytes();
        let alignment_bytes = u64::from(device.limits().min_storage_buffer_offset_alignment);
        match self.is_cut {
            true => part_bytes.div_ceil(alignment_bytes),
            false => u64::MAX,
        }
    }

    /// Checks that a range is unchanged beside its elements if they were `written`: its margin and
    /// the spare half after an odd length. Otherwise all of it must be unchanged.
    pub fn compare_outside(
        &self,
        [before, after]: [&[u32]; 2],
        written: bool,
        case: &dyn Display,
    ) -> Result<(), Failure> {
        // `first` counts 16-bit halves of words.
        let halves_written = self.source.len() * self.element.bytes() / 2;
        let first = if written { halves_written } else { 0 };
        let halves = |words: &[u32]| {
            let halves = words
                .iter()
                .flat_map(|word| [*word as u16, (word >> 16) as u16]);
            halves.skip(first as usize).collect::<Vec<_>>()
        };
        if halves(before) == halves(after) {
            return Ok(());
        }
        let expected = format!("all beside the results as it was ({case})");
        Err(Failure::new(expected, "other words"))
    }

    pub fn number_of_rows(&self) -> u64 {
        self.source.len() / u64::from(self.columns)
    }

    /// The numbers of the elements of row number `row`.
    pub fn elements(&self, row: u64) -> core::ops::Range<u64> {
        row * u64::from(self.columns)..(row + 1) * u64::from(self.columns)
    }

    pub fn numbers(&self, words: &[u32], row: u64) -> Vec<f64> {
        let number = |element| f64::from(decode(self.element, bits(self.element, words, element)));
        self.elements(row).map(number).collect()
    }

    /// The decisions of a row.
    pub fn kept(&self, row: u64, uniforms: &mut Uniforms) -> Vec<bool> {
        let keeps = |element| self.source.keeps(element, &self.call, uniforms);
        self.elements(row).map(keeps).collect()
    }

    /// Compares an element with what is expected of it.
    pub fn compare(
        &self,
        (what, element, got): (&str, u64, u32),
        expected: Expected,
        case: &dyn Display,
    ) -> Result<(), Failure> {
        if expected.admits(self.element, got) {
            return Ok(());
        }
        let expected = format!("{expected} in {what} {element} ({case})");
        let got = decode(self.element, got);
        Err(Failure::new(expected, format!("{got:e}")))
    }
}
