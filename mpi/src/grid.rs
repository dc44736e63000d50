//! The grid of processes: this process's position, and sums over rows and columns of the grid.

use anyhow::{Context, Result};
use clap::ValueEnum;
use mpi::collective::SystemOperation;
use mpi::topology::{Color, SimpleCommunicator};
use mpi::traits::*;

/// Number of parts (leaves) of every sum, whatever the grid: parts of the batch for gradients, of
/// the hidden units for logits. A process owns whole leaves.
pub const LEAVES: u32 = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sum {
    /// Add twelve parts in their order: the same bits on each grid, for twelve times the transfer
    Ordered,
    /// Add as MPI does
    Mpi,
}

/// A grid of `data` x `tensor` processes. `data` splits the batch and `tensor` the hidden units.
/// Consecutive ranks are neighbours along `tensor`.
pub struct Grid {
    pub world: SimpleCommunicator,
    /// Processes with the same hidden units.
    over_data: SimpleCommunicator,
    /// Processes with the same part of the batch.
    over_tensor: SimpleCommunicator,
    pub data: u32,
    pub sum: Sum,
}

/// The axis of the grid to sum over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    Data,
    Tensor,
}

impl Grid {
    /// Builds a grid of `data` x `tensor` processes.
    pub fn new(world: &SimpleCommunicator, [data, tensor]: [u32; 2], sum: Sum) -> Result<Self> {
        let (rank, tensor) = (world.rank(), tensor as i32);
        let split = |color| {
            world
                .split_by_color(Color::with_value(color))
                .context("MPI made no communicator")
        };
        Ok(Self {
            world: world.duplicate(),
            over_data: split(rank % tensor)?,
            over_tensor: split(rank / tensor)?,
            data,
            sum,
        })
    }

    pub fn is_root(&self) -> bool {
        self.world.rank() == 0
    }

    /// This process's number along `axis`, which is also the number of its part.
    pub fn part(&self, axis: Axis) -> u32 {
        self.along(axis).rank() as u32
    }

    /// Number of leaves that this process owns.
    pub fn leaves(&self, axis: Axis) -> u32 {
        LEAVES / self.along(axis).size() as u32
    }

    fn along(&self, axis: Axis) -> &SimpleCommunicator {
        match axis {
            Axis::Data => &self.over_data,
            Axis::Tensor => &self.over_tensor,
        }
    }

    /// The numbers of all processes along `axis`, concatenated in the order of their ranks.
    pub fn gather<N: Equivalence + Clone + Default>(&self, axis: Axis, own: &[N]) -> Vec<N> {
        let along = self.along(axis);
        let mut all = vec![N::default(); own.len() * along.size() as usize];
        along.all_gather_into(own, &mut all[..]);
        all
    }

    /// Sums the leaves of all processes along `axis`. `leaves` are this process's, concatenated.
    pub fn sum(&self, axis: Axis, leaves: &[f32]) -> Vec<f32> {
        match self.sum {
            Sum::Ordered => in_order(&self.gather(axis, leaves), LEAVES),
            Sum::Mpi => {
                let own = in_order(leaves, self.leaves(axis));
                let mut sum = vec![0.0; own.len()];
                self.along(axis)
                    .all_reduce_into(&own[..], &mut sum[..], SystemOperation::sum());
                sum
            }
        }
    }

    /// The error of MPI's sum against the sum in order: the largest [`roundings`] of all processes.
    pub fn roundings(&self, axis: Axis, leaves: &[f32], sum: &[f32]) -> f32 {
        let own = roundings(&self.gather(axis, leaves), sum);
        let mut greatest = 0f32;
        self.world
            .all_reduce_into(&own, &mut greatest, SystemOperation::max());
        greatest
    }
}

/// The largest error of a sum's numbers against the sum in order, in units of `f32::EPSILON` times
/// the sum of magnitudes. Sums in any two orders differ by fewer than [`LEAVES`] units.
fn roundings(leaves: &[f32], sum: &[f32]) -> f32 {
    let magnitudes: Vec<f32> = leaves.iter().map(|number| number.abs()).collect();
    let (ordered, magnitudes) = (in_order(leaves, LEAVES), in_order(&magnitudes, LEAVES));
    let roundings = |((sum, ordered), magnitude): ((&f32, &f32), &f32)| match sum == ordered {
        true => 0.0,
        false => (sum - ordered).abs() / (f32::EPSILON * magnitude),
    };
    let sums = sum.iter().zip(&ordered).zip(&magnitudes);
    sums.map(roundings).fold(0.0, f32::max)
}

/// Sums `count` concatenated leaves, from the first to the last.
fn in_order(leaves: &[f32], count: u32) -> Vec<f32> {
    let len = leaves.len() / count as usize;
    let (first, others) = leaves.split_at(len);
    let mut sum = first.to_vec();
    for leaf in others.chunks_exact(len) {
        for (sum, number) in sum.iter_mut().zip(leaf) {
            *sum += number;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_order_is_roundings_away_and_a_lost_leaf_is_not() {
        const LEN: usize = 1000;
        let number = |i: usize| (i as f32 * 0.7).sin();
        let mut leaves: Vec<f32> = (0..LEN * LEAVES as usize).map(number).collect();
        assert_eq!(roundings(&leaves, &in_order(&leaves, LEAVES)), 0.0);
        let reversed: Vec<f32> = leaves.chunks(LEN).rev().flatten().copied().collect();
        let apart = roundings(&leaves, &in_order(&reversed, LEAVES));
        assert!(apart > 0.0 && apart < LEAVES as f32, "{apart}");
        // Negative control: a changed leaf is further away than any order.
        let sum = in_order(&leaves, LEAVES);
        leaves[3 * LEN + 5] += 0.001;
        assert!(roundings(&leaves, &sum) > LEAVES as f32);
    }
}
