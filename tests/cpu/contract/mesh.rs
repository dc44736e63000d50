//! `MaskLayout::mesh` and `zigzag`: each element of the whole belongs to one rank and keeps its
//! decision.

use proptest::prelude::*;
use wgpu_dropout::{DropoutCall, DropoutRate, LayoutError, MaskKey, MaskLayout, cpu};

const ROWS: u64 = 13;
const COLUMNS: u64 = 37;

fn whole() -> MaskLayout {
    MaskLayout::elementwise(&[ROWS, COLUMNS]).unwrap()
}

/// Counts the shards that have each element of the whole. An element's number in the whole is its
/// mask index.
fn owners(shards: &[MaskLayout], elements: u64) -> Vec<u32> {
    let mut owners = vec![0; elements as usize];
    for shard in shards {
        for element in 0..shard.len() {
            owners[shard.index(element) as usize] += 1;
        }
    }
    owners
}

fn meshed(data: u64, tensor: u64) -> Vec<MaskLayout> {
    (0..data * tensor)
        .map(|rank| {
            let cuts = [(0, data, rank / tensor), (1, tensor, rank % tensor)];
            whole().mesh(&cuts).unwrap()
        })
        .collect()
}

proptest! {
    #[test]
    fn every_element_has_one_rank(data in 1..20_u64, tensor in 1..50_u64) {
        let shards = meshed(data, tensor);
        prop_assert!(owners(&shards, ROWS * COLUMNS).iter().all(|&n| n == 1));
        // Negative control: without one rank's shard, some elements have no rank.
        let some = shards.iter().position(|shard| !shard.is_empty()).unwrap();
        let others = [&shards[..some], &shards[some + 1..]].concat();
        prop_assert!(owners(&others, ROWS * COLUMNS).contains(&0));
    }

    #[test]
    fn every_element_has_one_rank_in_zigzag(parts in 1..50_u64) {
        let shards: Vec<_> = (0..parts)
            .flat_map(|rank| whole().zigzag(1, parts, rank).unwrap())
            .collect();
        prop_assert!(owners(&shards, ROWS * COLUMNS).iter().all(|&n| n == 1));
    }

    #[test]
    fn parts_lie_in_order_and_the_first_are_longer(size in 0..200_u64, parts in 1..20_u64) {
        let whole = MaskLayout::linear(size);
        let mut next = 0;
        for rank in 0..parts {
            let part = whole.mesh(&[(0, parts, rank)]).unwrap();
            prop_assert_eq!(part.len(), size / parts + u64::from(rank < size % parts));
            prop_assert!(part.is_empty() || part.first_index() == next);
            next += part.len();
        }
        prop_assert_eq!(next, size);
    }
}

#[test]
fn masks_of_ranks_are_slices_of_the_whole() {
    let call = DropoutCall::new(DropoutRate::new(0.3).unwrap(), MaskKey::new(5, 6));
    let mask = |layout: &MaskLayout| {
        let mut words = vec![0; layout.len().div_ceil(32) as usize];
        cpu::keep_mask(layout, &mut words, &call).unwrap();
        move |element: u64| words[element as usize / 32] >> (element % 32) & 1
    };
    let of_whole = mask(&whole());
    let (data, tensor) = (3, 5);
    let (mut row, mut seen) = (0, 0);
    for d in 0..data {
        let mut column = 0;
        let mut rows = 0;
        for t in 0..tensor {
            let shard = whole().mesh(&[(0, data, d), (1, tensor, t)]).unwrap();
            let of_shard = mask(&shard);
            let columns = shard.shape()[1];
            rows = shard.shape()[0];
            for element in 0..shard.len() {
                let place = (row + element / columns) * COLUMNS + column + element % columns;
                assert_eq!(of_shard(element), of_whole(place), "{d} {t} {element}");
            }
            seen += shard.len();
            column += columns;
        }
        row += rows;
    }
    assert_eq!(seen, ROWS * COLUMNS);
}

#[test]
fn cuts_follow_one_another() {
    let whole = MaskLayout::linear(24);
    let pods = whole.mesh(&[(0, 2, 1), (0, 3, 2)]).unwrap();
    assert_eq!(pods, whole.shard(&[20], &[4]).unwrap());
    // An empty list of cuts gives the whole. A shard of a shard is a part of the shard.
    assert_eq!(whole.mesh(&[]).unwrap(), whole);
    let rows = self::whole().mesh(&[(0, 2, 1)]).unwrap();
    let [early, late] = rows.zigzag(1, 2, 1).unwrap();
    assert_eq!(
        (early.index(0), late.index(0)),
        (7 * COLUMNS + 10, 7 * COLUMNS + 19)
    );
}

#[test]
fn shared_decisions_stay_shared() {
    let layout = MaskLayout::feature_channels_first(&[4, 8, 3, 3]).unwrap();
    let shard = layout.mesh(&[(0, 2, 1), (1, 4, 3)]).unwrap();
    assert_eq!(
        (shard.shape(), shard.strides()),
        (&[2, 2, 3, 3][..], layout.strides())
    );
    assert_eq!(shard.first_index(), 2 * 8 + 6);
}

#[test]
fn sizes_of_64_bits_have_parts() {
    let whole = MaskLayout::linear(u64::MAX);
    let last = whole.mesh(&[(0, u64::MAX, u64::MAX - 1)]).unwrap();
    assert_eq!((last.len(), last.first_index()), (1, u64::MAX - 1));
    let [early, late] = whole.zigzag(0, u64::MAX, 0).unwrap();
    assert_eq!((early.len(), late.len()), (1, 0));
    // With more parts than elements, the last ranks have empty shards.
    assert!(MaskLayout::linear(3).mesh(&[(0, 5, 4)]).unwrap().is_empty());
}

#[test]
fn a_cut_that_is_none_is_refused() {
    let dimension = "the mesh cuts dimension 2, the layout has 2: number them from 0 on";
    let rank = "dimension 1 is cut into 4 parts, which gives no rank 4: \
                cut it into one part or more, and number ranks from 0 to parts - 1";
    let expected = LayoutError::MeshDimension {
        dimension: 2,
        dimensions: 2,
    };
    assert_eq!(expected.to_string(), dimension);
    assert_eq!(whole().mesh(&[(0, 2, 0), (2, 1, 0)]), Err(expected.clone()));
    assert_eq!(whole().zigzag(2, 1, 0), Err(expected));
    let expected = LayoutError::MeshRank {
        dimension: 1,
        parts: 4,
        rank: 4,
    };
    assert_eq!(expected.to_string(), rank);
    assert_eq!(whole().mesh(&[(1, 4, 4)]), Err(expected.clone()));
    assert_eq!(whole().zigzag(1, 4, 4), Err(expected));
    let none = LayoutError::MeshRank {
        dimension: 0,
        parts: 0,
        rank: 0,
    };
    assert_eq!(whole().mesh(&[(0, 0, 0)]), Err(none));
}
