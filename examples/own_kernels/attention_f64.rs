//! Attention in f64, as textbooks define it, and the largest error that an f32 kernel may have.

use super::own_kernels::Bounded;

/// The largest relative error of a rounding to f32. One unit in the last place is at most twice
/// this.
const ROUNDING: f64 = f32::EPSILON as f64 / 2.0;
/// The error of weights below the smallest normal f32, which a device may flush to 0.
const UNDERFLOW: f64 = 1e-30;

/// A sum, and the sum of the errors that its terms may have.
#[derive(Clone, Copy, Default)]
struct Sum {
    exact: f64,
    error: f64,
}

impl Sum {
    fn add(&mut self, term: f64, error: f64) {
        self.exact += term;
        self.error += error;
    }
}

/// The output and the gradients of Q, K and V, each with its bound. `factors` has the mask's factor
/// of each probability, `(heads, length, length)`.
pub fn attention(
    [heads, length, size]: [usize; 3],
    causal: bool,
    inputs: &[f32],
    grad_output: &[f32],
    factors: &[f32],
) -> [Vec<Bounded>; 4] {
    let tensor = heads * length * size;
    let [mut output, mut grad_q, mut grad_k, mut grad_v] =
        [(); 4].map(|()| vec![Sum::default(); tensor]);
    let scale = 1.0 / (size as f64).sqrt();
    let row = |matrix: usize, row: usize| &inputs[matrix * tensor + row * size..][..size];
    // A dot product, and the sum of its terms' magnitudes.
    let dot = |a: &[f32], b: &[f32]| {
        let products = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b));
        (
            products.clone().sum::<f64>(),
            products.map(f64::abs).sum::<f64>(),
        )
    };
    // Relative errors: of a sum over features, and of a sum over a row or a column of P with a
    // division.
    let of_dot = (size + 2) as f64 * ROUNDING;
    let of_row = (length + 8) as f64 * ROUNDING;
    for query in 0..heads * length {
        let first_key = query / length * length;
        let end = if causal {
            query + 1
        } else {
            first_key + length
        };
        let grad = &grad_output[query * size..][..size];
        let scores = (first_key..end).map(|key| dot(row(0, query), row(1, key)));
        let scores: Vec<_> = scores
            .map(|(s, magnitude)| (scale * s, scale * magnitude))
            .collect();
        let largest = scores.iter().map(|s| s.0).fold(f64::MIN, f64::max);
        let smallest = scores.iter().map(|s| s.0).fold(f64::MAX, f64::min);
        let magnitude = scores.iter().map(|s| s.1).fold(0.0, f64::max);
        let sum: f64 = scores.iter().map(|s| (s.0 - largest).exp()).sum();
        // The relative error of P. It includes the error of two scores. The rest is counted in
        // roundings: two calls of exp (3 + 2 |x| units each, and x is rounded), the logarithm (3
        // units, or 2^-21 near 1), the row's sum, and a rescaling in each tile.
        let of_exp = 6.0 + 5.0 * (largest - smallest);
        let of_logarithm = 8.0 + 12.0 * sum.ln() + largest.abs();
        let of_tiles = 8.0 * (length / 32 + 1) as f64;
        let of_p =
            2.0 * of_dot * magnitude + of_row + (2.0 * of_exp + of_logarithm + of_tiles) * ROUNDING;

        // For each pair: P, its factor, its gradient, and the magnitude of the gradient's terms.
        // Besides, delta and its error.
        let mut delta = Sum::default();
        let pairs: Vec<_> = scores
            .iter()
            .zip(first_key..)
            .map(|(score, key)| {
                let p = (score.0 - largest).exp() / sum;
                let factor = f64::from(factors[query * length + key - first_key]);
                let (grad_p, magnitude) = dot(grad, row(2, key));
                let (grad_p, magnitude) = (factor * grad_p, factor * magnitude);
                delta.add(p * grad_p, p * magnitude * (of_p + of_row + of_dot));
                (key, p, factor, grad_p, magnitude)
            })
            .collect();
        for (key, p, factor, grad_p, magnitude) in pairs {
            let masked = p * factor;
            let grad_score = p * (grad_p - delta.exact);
            // The errors of its factors, and of each sum in which it is a term.
            let grad_score_error =
                (of_p + of_row) * grad_score.abs() + p * (of_dot * magnitude + delta.error);
            let masked_error = (of_p + of_row) * masked;
            for f in 0..size {
                let of = [row(0, query), row(1, key), row(2, key), grad];
                let [q, k, v, g] = of.map(|row| f64::from(row[f]));
                let [at_query, at_key] = [query, key].map(|row| row * size + f);
                output[at_query].add(masked * v, masked_error * v.abs());
                grad_v[at_key].add(masked * g, masked_error * g.abs());
                grad_q[at_query].add(grad_score * k, grad_score_error * k.abs());
                grad_k[at_key].add(grad_score * q, grad_score_error * q.abs());
            }
        }
    }
    let bounded = |sums: Vec<Sum>, scale: f64| {
        let bounded = |sum: Sum| Bounded {
            exact: scale * sum.exact,
            bound: scale * sum.error + UNDERFLOW,
        };
        sums.into_iter().map(bounded).collect()
    };
    [
        bounded(output, 1.0),
        bounded(grad_q, scale),
        bounded(grad_k, scale),
        bounded(grad_v, 1.0),
    ]
}
