//! The parts of a tensor that is cut over a mesh of devices.

use super::error::LayoutError;
use super::layout::MaskLayout;

impl MaskLayout {
    /// The shard of a rank in a mesh of devices. Each of `cuts` is `(dimension, parts, rank)`: it
    /// cuts the dimension into that many parts and takes part number `rank`, counted from 0. If the
    /// size is not a multiple of the parts, the first `size % parts` parts have one element more.
    /// Cuts are made one after the other, so that a second cut of the same dimension cuts the part
    /// of the first.
    ///
    /// Every rank uses the same call, and with it the same seed. Data parallelism cuts the batch,
    /// tensor parallelism the features; sequence parallelism cuts the sequence.
    ///
    /// ```
    /// use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey, MaskLayout, cpu};
    ///
    /// let call = DropoutCall::new(DropoutRate::new(0.1)?, MaskKey::new(42, 7));
    /// let whole = MaskLayout::elementwise(&[32, 1000])?;
    /// // Rank 5 of 2 x 4: rows 16 to 31, columns 250 to 499.
    /// let (data, tensor) = (5 / 4, 5 % 4);
    /// let shard = whole.mesh(&[(0, 2, data), (1, 4, tensor)])?;
    /// assert_eq!(shard, whole.shard(&[16, 250], &[16, 250])?);
    /// let mut mask = vec![0; 16 * 250 / 32];
    /// cpu::keep_mask(&shard, &mut mask, &call)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A batch is also cut if its gradients are accumulated over micro-batches. Under the whole
    /// batch's call, each micro-batch has its slice of the mask that the undivided batch has. If a
    /// micro-batch's mask indices are consecutive, a call with another origin does the same as a
    /// cut of the layout.
    ///
    /// ```
    /// use wgpu_dropout::{DropoutCall, DropoutRate, MaskKey, MaskLayout};
    ///
    /// const MICRO_BATCHES: u64 = 4;
    /// let batch = MaskLayout::elementwise(&[64, 96])?;
    /// let call = DropoutCall::new(DropoutRate::new(0.1)?, MaskKey::layer_step(42, 3, 7));
    /// for i in 0..MICRO_BATCHES {
    ///     // Bind each micro-batch once. Or bind its length once, and give each call another
    ///     // origin.
    ///     let micro_batch = batch.mesh(&[(0, MICRO_BATCHES, i)])?;
    ///     let moved = call.with_origin(i * micro_batch.len());
    ///     assert_eq!(micro_batch.index(0), moved.origin);
    ///     // … forward and backward of the micro-batch; the optimizer steps after the last one …
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`LayoutError::MeshDimension`] for a dimension that the layout does not have,
    /// [`LayoutError::MeshRank`] for a rank that is not below the number of parts.
    pub fn mesh(&self, cuts: &[(usize, u64, u64)]) -> Result<Self, LayoutError> {
        cuts.iter()
            .try_fold(self.clone(), |layout, &(dimension, parts, rank)| {
                layout.check_cut(dimension, parts, rank)?;
                layout.part(dimension, parts.into(), rank.into())
            })
    }

    /// The two shards of a rank in a zig-zag cut, which gives each rank the same work under a
    /// causal mask. The sequence is cut into 2 `parts` chunks, and rank r has chunk r and chunk 2
    /// `parts` - 1 - r. Bind both.
    ///
    /// ```
    /// use wgpu_dropout::MaskLayout;
    ///
    /// // Attention probabilities (heads, queries, keys), whose queries are cut over four ranks.
    /// let whole = MaskLayout::elementwise(&[12, 1024, 1024])?;
    /// let [early, late] = whole.zigzag(1, 4, 1)?;
    /// assert_eq!(early, whole.shard(&[0, 128, 0], &[12, 128, 1024])?);
    /// assert_eq!(late, whole.shard(&[0, 6 * 128, 0], &[12, 128, 1024])?);
    /// # Ok::<(), wgpu_dropout::LayoutError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`mesh`](Self::mesh).
    pub fn zigzag(
        &self,
        dimension: usize,
        parts: u64,
        rank: u64,
    ) -> Result<[Self; 2], LayoutError> {
        self.check_cut(dimension, parts, rank)?;
        let (chunks, rank) = (2 * u128::from(parts), u128::from(rank));
        Ok([
            self.part(dimension, chunks, rank)?,
            self.part(dimension, chunks, chunks - 1 - rank)?,
        ])
    }

    fn check_cut(&self, dimension: usize, parts: u64, rank: u64) -> Result<(), LayoutError> {
        let dimensions = self.shape().len();
        if dimension >= dimensions {
            return Err(LayoutError::MeshDimension {
                dimension,
                dimensions,
            });
        }
        if rank >= parts {
            return Err(LayoutError::MeshRank {
                dimension,
                parts,
                rank,
            });
        }
        Ok(())
    }

    /// The numbers have 128 bits, since twice the parts of a zig-zag may pass 64 bits.
    fn part(&self, dimension: usize, parts: u128, rank: u128) -> Result<Self, LayoutError> {
        let mut shape = self.shape().to_vec();
        let mut start = vec![0; shape.len()];
        let size = u128::from(shape[dimension]);
        let (least, longer) = (size / parts, size % parts);
        // Both are at most the size, which has 64 bits.
        start[dimension] = (rank * least + rank.min(longer)) as u64;
        shape[dimension] = (least + u128::from(rank < longer)) as u64;
        self.shard(&start, &shape)
    }
}
