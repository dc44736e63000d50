// Outermost first; the first DIMENSIONS count.
@group(0) @binding(2) var<uniform> dimensions: array<Dimension, 8>;

fn dimension_at(d: u32) -> Dimension {
    return dimensions[d];
}
