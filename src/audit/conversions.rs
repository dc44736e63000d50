//! The conversions of f16 that WGSL has, on one device.

use super::checks::of;
use super::gpu::Gpu;
use super::random::Random;
use super::run;
use super::work::{Run, Source, Work};
use super::{Failure, Outcome};
use crate::kernel::axes::BufferLayout;
use crate::{Direction, DropoutCall, DropoutRate, ElementType, MaskKey};

/// Elements of a run: whole mask blocks, and more than the period of a run's values.
const LEN: u64 = 100_000;

/// Rates whose factors are 1 and a bit, 1.25, 1.5, 2, 4 and 2^32: products that are ties, that are
/// exact, and that overflow.
const RATES: [f64; 6] = [
    1.0 / 4_294_967_296.0,
    0.2,
    1.0 / 3.0,
    0.5,
    0.75,
    1.0 - 1.0 / 4_294_967_296.0,
];

const RUNS: usize = 24;

/// Finds out whether a device converts f16 to f32 and back exactly, and so whether
/// [`KernelDescriptor::f16_conversions`](crate::KernelDescriptor::f16_conversions) may be set on
/// it. The answer holds for this adapter and version of its driver.
///
/// It runs dropout with these conversions in each of the device's ways and compares every element
/// with the contract \[M11\]. The elements include each of the 65,536 values, ties in both
/// directions, products that differ if they are rounded once in place of twice, overflows and
/// subnormals. Nothing is stored: a program that wants the answer again calls it again or keeps it.
///
/// ```no_run
/// use wgpu_dropout::audit::{self, Outcome};
/// use wgpu_dropout::{Dropout, KernelDescriptor, wgpu};
///
/// # async fn start(device: &wgpu::Device, queue: &wgpu::Queue) -> Result<(), wgpu_dropout::CreateError> {
/// let outcome = audit::f16_conversions(device, queue).await;
/// let descriptor = KernelDescriptor {
///     f16_conversions: matches!(outcome, Outcome::Passed { .. }),
///     ..Default::default()
/// };
/// let dropout = Dropout::new(device, &descriptor)?;
/// # Ok(())
/// # }
/// ```
pub async fn f16_conversions(device: &wgpu::Device, queue: &wgpu::Queue) -> Outcome {
    let check = async {
        let runs = runs()?;
        let gpu = Gpu::new(device, queue).with_f16_conversions();
        let elements = run::check(&gpu, &runs).await?;
        let figure = format!("{elements} elements in {RUNS} runs");
        Ok::<_, Failure>(Outcome::Passed { figure })
    };
    check.await.unwrap_or_else(|failure| failure.0)
}

/// Runs with each arrangement of buffers, way and direction, each at a rate of its own.
fn runs() -> Result<Vec<Run>, Failure> {
    use wgpu::Features;
    const BUFFERS: [BufferLayout; 3] = [
        BufferLayout::Separate,
        BufferLayout::Pooled,
        BufferLayout::InPlace,
    ];
    let ways = [
        Features::empty(),
        Features::IMMEDIATES,
        Features::SHADER_INT64,
        Features::IMMEDIATES | Features::SHADER_INT64,
    ];
    let random = &mut Random::new(42, 5);
    let run = |number: usize| {
        let p = match RATES.get(number) {
            Some(p) => *p,
            None => random.below(1 << 31) as f64 / f64::from(2).powi(32),
        };
        let key = MaskKey::new(random.next(), random.next());
        let call = DropoutCall::new(DropoutRate::new(p)?, key);
        let work = Work::Dropout {
            element: ElementType::F16,
            buffers: BUFFERS[number % BUFFERS.len()],
            direction: Direction::ALL[number % Direction::ALL.len()],
            source: Source::Linear(LEN),
        };
        Ok(Run {
            avoid: ways[number % ways.len()],
            seed: random.next(),
            ..of(work, call.with_origin(8 * random.below(1 << 40)))
        })
    };
    (0..RUNS).map(run).collect()
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::super::kernels::kernels;
    use super::super::reference::Uniforms;
    use super::super::run::Images;
    use super::super::tests::{ADAPTERS, devices};
    use super::*;
    use crate::host::device::cut_limits;
    use crate::host::faults::{self, Fault};

    #[test]
    fn runs_keep_every_value_and_products_that_wrong_roundings_change() {
        let mut seen = vec![false; 1 << 16];
        let (mut ties, mut rounded_once) = ([0; 2], 0);
        for run in runs().unwrap() {
            let Work::Dropout { source, .. } = &run.work else {
                panic!("a run of dropout");
            };
            let mut images = Images::default();
            let input = run.place(&mut images).input.unwrap();
            let words = &images[input.arena as usize][input.words];
            let mut uniforms = Uniforms::new(run.call.key);
            for (i, bits) in (0..).zip(bytemuck::cast_slice::<_, u16>(words)) {
                if !source.keeps(i, &run.call, &mut uniforms) {
                    continue;
                }
                seen[usize::from(*bits)] = true;
                let (x, factor) = (f16::from_bits(*bits).to_f32(), run.call.keep_scale());
                let product = x * factor;
                if !product.is_finite() {
                    continue;
                }
                let beside = [product.next_down(), product.next_up()].map(f16::from_f32);
                if beside[0].to_bits() != beside[1].to_bits() && product != 0.0 {
                    ties[usize::from(beside[0].to_bits() & 1)] += 1;
                }
                // An f32 that is odd where it is not exact rounds to f16 as the exact product would.
                let exact = f64::from(x) * f64::from(factor);
                let toward_0 =
                    product.to_bits() - u32::from(f64::from(product).abs() > exact.abs());
                let odd = toward_0 | u32::from(f64::from(product) != exact);
                let once = f16::from_f32(f32::from_bits(odd));
                rounded_once += u32::from(once != f16::from_f32(product));
            }
        }
        let missing = seen.iter().filter(|seen| !**seen).count();
        println!("ties {ties:?}, products that differ if rounded once {rounded_once}");
        assert_eq!(missing, 0, "values that no run keeps");
        assert!(ties.iter().all(|ties| *ties > 1000), "{ties:?}");
        assert!(rounded_once > 20, "{rounded_once}");
    }

    const PACKED: &str = "return pack2x16float(bitcast<vec2<f32>>(kept));";
    const PRODUCTS: &str =
        "let products = bitcast<vec2<u32>>(unpack2x16float(pair) * params.mask.keep_scale);";

    /// Conversions that WGSL allows and the contract does not.
    const WRONG: [(&str, &str, &str); 6] = [
        (
            "toward 0",
            PACKED,
            "return pack2x16float(bitcast<vec2<f32>>(kept & vec2<u32>(0xffffe000u)));",
        ),
        (
            "ties away from 0",
            PACKED,
            "return pack2x16float(bitcast<vec2<f32>>(kept | vec2<u32>(1u)));",
        ),
        (
            "results without subnormals",
            PACKED,
            "let tiny = (kept & vec2<u32>(0x7fffffffu)) < vec2<u32>(0x38800000u);
             return pack2x16float(bitcast<vec2<f32>>(select(kept, kept & vec2<u32>(0x80000000u), tiny)));",
        ),
        (
            "inputs without subnormals",
            PRODUCTS,
            "let zero = select(0u, 0x7fffu, (pair & 0x7c00u) == 0u);
             let products = bitcast<vec2<u32>>(unpack2x16float(pair & ~zero) * params.mask.keep_scale);",
        ),
        (
            "overflow to the largest number",
            PACKED,
            "let over = kept >= vec2<u32>(0x477ff000u) & kept < vec2<u32>(0x7f800000u);
             return pack2x16float(bitcast<vec2<f32>>(select(kept, vec2<u32>(0x477fe000u), over)));",
        ),
        // A product whose f32 is odd, if it is not exact, rounds to f16 as the exact one would.
        (
            "product and conversion rounded once",
            PRODUCTS,
            "let x = unpack2x16float(pair);
             let factor = params.mask.keep_scale;
             let high = bitcast<f32>(bitcast<u32>(factor) & 0xfffff000u);
             let a = x * high;
             let b = x * (factor - high);
             let p = a + b;
             let rest = b - (p - a);
             let bits = bitcast<vec2<u32>>(p);
             let inward = (rest < vec2<f32>(0.0)) != (p < vec2<f32>(0.0));
             let odd_bits = (bits - select(vec2<u32>(0u), vec2<u32>(1u), inward)) | vec2<u32>(1u);
             let products = select(bits, odd_bits, abs(rest) > vec2<f32>(0.0));",
        ),
    ];

    #[test]
    fn exact_conversions_pass_and_wrong_ones_are_found() {
        let _alone = ADAPTERS
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for (backend, device, queue) in devices() {
            let limits = cut_limits(&device);
            for run in runs().unwrap() {
                for kernel in kernels(&run, limits) {
                    assert!(kernel.converts_f16(), "{kernel:?}");
                }
            }
            let check = || pollster::block_on(f16_conversions(&device, &queue));
            let outcome = check();
            println!("{backend}: {outcome:?}");
            assert!(matches!(outcome, Outcome::Passed { .. }), "{outcome:?}");
            for (name, from, to) in WRONG {
                let of = |_| true;
                let (outcome, met) = faults::with(Fault::Text { from, to, of }, check);
                assert!(met > 0, "{name}");
                println!("{backend}: {name}: {outcome:?}");
                let is_failed = matches!(outcome, Outcome::Failed { .. });
                assert!(is_failed, "{backend}: {name}: {outcome:?}");
            }
        }
    }
}
