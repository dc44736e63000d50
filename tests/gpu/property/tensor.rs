//! Random tensors, and the reference's results for them.

use proptest::prelude::*;
use wgpu_dropout::half::{bf16, f16};
use wgpu_dropout::{DropoutCall, DropoutKind, DropoutRate, Element, MaskKey};

use super::index_map::{IndexMap, MAX_ELEMENTS, index_map};
use crate::common::inputs::SPECIALS;
use crate::common::kinds;
use crate::common::reference;
use crate::run::{Item, Source};

const MAX_ID: u64 = u32::MAX as u64;

/// An element type.
pub trait Value: Element {
    /// An element from random bits. If `any` is false, its products are never subnormal in `f32`.
    fn of_bits(bits: u64, any: bool) -> Self;
}

impl Value for f32 {
    fn of_bits(bits: u64, any: bool) -> Self {
        match bits >> 60 {
            0 if !any => SPECIALS[(bits >> 32) as usize % SPECIALS.len()],
            _ if !any => Self::from_bits(bits as u32 & 0xBFFF_FFFF | 0x2000_0000),
            _ => Self::from_bits(bits as u32),
        }
    }
}

impl Value for f16 {
    fn of_bits(bits: u64, _: bool) -> Self {
        Self::from_bits(bits as u16)
    }
}

impl Value for bf16 {
    fn of_bits(bits: u64, _: bool) -> Self {
        Self::from_bits(bits as u16)
    }
}

/// A tensor: its call, the source of its decisions and its values.
#[derive(Clone, Debug)]
pub struct Tensor {
    pub call: DropoutCall,
    pub map: Map,
    /// The seed of the random values.
    seed: u64,
}

/// The source of the decisions.
#[derive(Clone, Debug)]
pub enum Map {
    /// Consecutive mask indices.
    Linear(u64),
    Layout(IndexMap),
    Samples(IndexMap, Vec<u32>),
    /// The number of elements, and a packed mask with spare bits.
    Packed(u64, Vec<u32>),
}

/// Several tensors with the same map, so that they need few kernels.
pub fn tensors(kind: DropoutKind, samples: u64) -> BoxedStrategy<Vec<Tensor>> {
    let origin = prop_oneof![
        Just(0),
        0_u64..100,
        any::<u64>(),
        (0_u64..5000).prop_map(|below| (1 << 35) - below),
        Just(u64::MAX)
    ];
    let key = (any::<u64>(), any::<u64>()).prop_map(|(seed, stream)| MaskKey::new(seed, stream));
    let calls = prop::collection::vec((origin.boxed(), key, rate(), any::<u64>()), 1..16);
    let tensors = move |(map, calls): (Map, Vec<_>)| {
        let tensor = |(origin, key, rate, seed)| Tensor::new(&map, origin, key, rate, kind, seed);
        calls.into_iter().map(tensor).collect()
    };
    (map(samples), calls).prop_map(tensors).boxed()
}

fn map(samples: u64) -> BoxedStrategy<Map> {
    let len = prop_oneof![8 => 0_u64..300, 6 => 0_u64..6000, 1 => 65_530_u64..70_000].boxed();
    prop_oneof![
        3 => len.clone().prop_map(Map::Linear),
        6 => index_map(MAX_ELEMENTS, None).prop_map(Map::Layout),
        4 => (index_map(samples, Some(MAX_ID)), any::<u64>()).prop_map(|(map, seed)| {
            let ids = (0..map.shape[0]).map(|sample| id(mix(seed, sample)));
            let ids = ids.collect();
            Map::Samples(map, ids)
        }),
        2 => (len, any::<u64>()).prop_map(|(len, seed)| {
            let words = (0..len.div_ceil(32)).map(|word| mix(seed, word) as u32);
            Map::Packed(len, words.collect())
        }),
    ]
    .boxed()
}

/// Sample ids: small ones, the largest, and any.
fn id(random: u64) -> u32 {
    match random >> 61 {
        0 => u32::MAX,
        1..5 => random as u32 % 64,
        _ => random as u32,
    }
}

/// A threshold D: given, or derived from an element.
#[derive(Clone, Copy, Debug)]
enum Rate {
    Threshold(u64),
    /// D is u(i) of some element plus 0 or 1, so that the second draw decides.
    Tie(u64),
}

fn rate() -> BoxedStrategy<Rate> {
    prop_oneof![
        4 => (0_u64..=1 << 32).prop_map(Rate::Threshold),
        1 => (0_u64..=1 << 16).prop_map(|threshold| Rate::Threshold(threshold << 16)),
        2 => (0_u64..2).prop_map(Rate::Tie),
        1 => prop::sample::select(vec![0, 1, (1 << 32) - 1, 1 << 32]).prop_map(Rate::Threshold),
    ]
    .boxed()
}

impl Rate {
    fn threshold(self, uniform: impl FnOnce() -> u32) -> u64 {
        match self {
            Self::Threshold(threshold) => threshold,
            Self::Tie(above) => u64::from(uniform()) + above,
        }
    }
}

impl Map {
    /// The largest index of any element or sample id, without the origin.
    fn last(&self) -> u64 {
        match self {
            Self::Linear(len) => len.saturating_sub(1),
            Self::Layout(map) => map.last(None),
            Self::Samples(map, _) => map.last(Some(MAX_ID)),
            Self::Packed(..) => 0,
        }
    }

    /// The mask indices of all elements, in row-major order.
    fn indices(&self, origin: u64) -> Vec<u64> {
        match self {
            Self::Linear(len) | Self::Packed(len, _) => (0..*len)
                .map(|element| origin.wrapping_add(element))
                .collect(),
            Self::Layout(map) => reference::indices(&map.shape, &map.strides, origin + map.first),
            Self::Samples(map, ids) => ids
                .iter()
                .flat_map(|&id| {
                    let first = origin + map.first + u64::from(id) * map.strides[0];
                    reference::indices(&map.shape[1..], &map.strides[1..], first)
                })
                .collect(),
        }
    }

    /// The mask index of a random element.
    fn index(&self, origin: u64, random: u64) -> u64 {
        let indices = self.indices(origin);
        indices
            .get(random as usize % indices.len().max(1))
            .copied()
            .unwrap_or(0)
    }
}

impl Tensor {
    fn new(map: &Map, origin: u64, key: MaskKey, rate: Rate, kind: DropoutKind, seed: u64) -> Self {
        // The last origin that leaves room for all indices.
        let origin = origin.min(u64::MAX - map.last());
        let threshold = rate.threshold(|| {
            let index = map.index(origin, seed);
            reference::uniform(key.seed, key.stream, index)
        });
        let rate = DropoutRate::new(threshold as f64 / 4_294_967_296.0).expect("a probability");
        Self {
            call: DropoutCall::new(rate, key)
                .with_kind(kind)
                .with_origin(origin),
            map: map.clone(),
            seed,
        }
    }

    pub fn len(&self) -> u64 {
        match &self.map {
            Map::Linear(len) | Map::Packed(len, _) => *len,
            Map::Layout(map) | Map::Samples(map, _) => map.shape.iter().product(),
        }
    }

    pub fn indices(&self) -> Vec<u64> {
        self.map.indices(self.call.origin)
    }

    /// The decision of each element, if these are its mask indices: true keeps it.
    pub fn kept(&self, indices: Vec<u64>) -> Vec<bool> {
        match &self.map {
            Map::Packed(len, words) => kinds::unpacked(words, *len as usize),
            _ => kinds::kept(&self.call, indices),
        }
    }

    pub fn item<T: Value>(&self) -> Item<T> {
        // These calls compute no product, so any bits will do.
        let any = self.call.kind == DropoutKind::Classic || self.call.rate.drops_nothing();
        let x = (0..self.len()).map(|element| T::of_bits(mix(self.seed, element), any));
        let source = match &self.map {
            Map::Linear(len) => Source::Len(*len),
            Map::Layout(map) => Source::Layout(map.layout.clone()),
            Map::Samples(map, ids) => Source::Samples(map.layout.clone(), ids.clone()),
            Map::Packed(len, words) => Source::Packed(words.clone(), *len),
        };
        Item {
            call: self.call,
            x: x.collect(),
            source,
        }
    }
}

/// Sebastiano Vigna's splitmix64, applied to a seed and a number.
fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}
